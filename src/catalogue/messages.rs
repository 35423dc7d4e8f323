//! One message: its name, its language and its parameters, to text.

use std::fmt::Display;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use super::{Lang, lang};

/// The whole numbers up to this one are exact as a number of Fluent, which is an f64.
const MAX_EXACT: u64 = 1 << 53;

/// A file of messages, in both languages.
pub(super) struct MessageFile {
    /// The text before the first `-` of each name.
    pub(super) name: &'static str,
    /// The texts in `[Japanese, English]`.
    pub(super) texts: [&'static str; 2],
    bundles: [OnceLock<FluentBundle<FluentResource>>; 2],
}

macro_rules! message_files {
    ($($name:literal),* $(,)?) => {
        pub(super) static FILES: [MessageFile; [$($name),*].len()] = [$(MessageFile {
            name: $name,
            texts: [
                include_str!(concat!("ja/", $name, ".ftl")),
                include_str!(concat!("en/", $name, ".ftl")),
            ],
            bundles: [OnceLock::new(), OnceLock::new()],
        }),*];
    };
}

message_files![
    "bench", "cli", "command", "error", "exec", "folder", "help", "input", "keeper", "learn",
    "log", "man", "notice", "os", "output", "picture", "reason", "refusal", "run", "server",
    "stats", "status", "sweep", "trace", "value",
];

/// A message and the values of its parameters.
pub(crate) struct Message {
    lang: Lang,
    name: &'static str,
    parameters: FluentArgs<'static>,
}

/// A value of a parameter.
pub(crate) trait Parameter {
    fn into_value(self) -> FluentValue<'static>;
}

impl Message {
    pub(crate) fn new(lang: Lang, name: &'static str) -> Self {
        Self { lang, name, parameters: FluentArgs::new() }
    }

    pub(crate) fn with(mut self, parameter: &'static str, value: impl Parameter) -> Self {
        self.parameters.set(parameter, value.into_value());
        self
    }

    /// The text of the message. A test holds that each name in the code is in the catalogue; the text of any other
    /// message is its name.
    pub(crate) fn to_text(&self) -> String {
        find(self.lang, self.name, Some(&self.parameters)).unwrap_or_else(|| self.name.to_owned())
    }
}

/// The text of a message whose name is made at run time, without parameters. None if there is no such message.
pub(crate) fn lookup(name: &str) -> Option<String> {
    find(lang(), name, None)
}

pub(super) fn find(lang: Lang, name: &str, parameters: Option<&FluentArgs<'_>>) -> Option<String> {
    let file_name = name.split('-').next();
    let bundle = FILES.iter().find(|file| Some(file.name) == file_name)?.bundle(lang);
    let pattern = bundle.get_message(name)?.value()?;
    // An error is a parameter that the caller has not given: the text then shows the parameter's name.
    Some(bundle.format_pattern(pattern, parameters, &mut Vec::new()).into_owned())
}

impl MessageFile {
    fn bundle(&self, lang: Lang) -> &FluentBundle<FluentResource> {
        let index = lang as usize;
        self.bundles[index].get_or_init(|| {
            let language: LanguageIdentifier = lang.code().parse().unwrap_or_default();
            let mut bundle = FluentBundle::new_concurrent(vec![language]);
            // The marks around parameters would be seen, and found by no search.
            bundle.set_use_isolating(false);
            // A test holds that the files have no errors. If one had, the other messages would be there.
            let resource = FluentResource::try_new(self.texts[index].to_owned());
            let _ = bundle.add_resource(resource.unwrap_or_else(|(resource, _)| resource));
            bundle
        })
    }
}

impl<T: Display> Parameter for &T
where
    T: ?Sized,
{
    fn into_value(self) -> FluentValue<'static> {
        FluentValue::String(self.to_string().into())
    }
}

impl Parameter for String {
    fn into_value(self) -> FluentValue<'static> {
        FluentValue::String(self.into())
    }
}

impl Parameter for u64 {
    /// A larger number is shown, but has no plural rule.
    fn into_value(self) -> FluentValue<'static> {
        if self <= MAX_EXACT {
            FluentValue::from(self)
        } else {
            FluentValue::String(self.to_string().into())
        }
    }
}

impl Parameter for u32 {
    fn into_value(self) -> FluentValue<'static> {
        FluentValue::from(self)
    }
}

impl Parameter for i32 {
    fn into_value(self) -> FluentValue<'static> {
        FluentValue::from(self)
    }
}

impl Parameter for usize {
    fn into_value(self) -> FluentValue<'static> {
        u64::try_from(self).unwrap_or(u64::MAX).into_value()
    }
}
