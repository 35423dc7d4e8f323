//! The message catalogue: every text that a person reads, in Japanese and in English.
//!
//! The texts are in `ja/*.ftl` and `en/*.ftl`, in the syntax of Project Fluent. The name of a message begins with the
//! name of its file and `-`: `log-put` is in `log.ftl`. The code names messages with [`message!`](crate::message).
//! A file is parsed when its first message is needed, since most commands need few messages.

mod lang;
mod messages;
mod recompose;

pub(crate) use lang::{Lang, Languages, in_language, lang, log_lang, set_languages};
pub(crate) use messages::{Message, lookup};
pub(crate) use recompose::recompose;

#[cfg(test)]
pub(crate) use tests::{assert_in_both_languages, names};
#[cfg(test)]
mod tests;

/// Makes a [`Message`] in the language of this process, or in the language before the name:
/// `message!("log-restarted")`, `message!(lang, "log-left", items = 3)`.
macro_rules! message {
    ($name:literal $(, $parameter:ident = $value:expr)* $(,)?) => {
        $crate::catalogue::message!($crate::catalogue::lang(), $name $(, $parameter = $value)*)
    };
    ($lang:expr, $name:literal $(, $parameter:ident = $value:expr)* $(,)?) => {
        $crate::catalogue::Message::new($lang, $name)
            $(.with(stringify!($parameter), $value))*
            .to_text()
    };
}
pub(crate) use message;
