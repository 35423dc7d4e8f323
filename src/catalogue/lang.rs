//! The languages, and the language of this process.

use std::cell::Cell;
use std::ffi::OsString;
use std::str::FromStr;
use std::sync::OnceLock;

/// A language of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lang {
    /// Japanese.
    Ja,
    /// English.
    En,
}

/// A language that qdemo does not speak.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LangError;

/// The languages of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Languages {
    /// The language of everything but the log.
    pub(crate) people: Lang,
    /// The language of the log lines and of the item names. They are the signature of the tool, and Japanese in every
    /// locale.
    pub(crate) log: Lang,
}

/// The languages of this process. A program that uses the library has English.
static LANGUAGES: OnceLock<Languages> = OnceLock::new();

thread_local! {
    /// The language of texts that this thread makes for another process.
    static OTHER_LANG: Cell<Option<Lang>> = const { Cell::new(None) };
}

/// The language in which this process speaks to people.
pub(crate) fn lang() -> Lang {
    let people = || LANGUAGES.get().map_or(Lang::En, |languages| languages.people);
    OTHER_LANG.get().unwrap_or_else(people)
}

/// What `make` returns when [`lang`] is this language. Errors choose their texts when they are shown, so
/// this also shows an error in another language than that of this process.
pub(crate) fn in_language<T>(lang: Lang, make: impl FnOnce() -> T) -> T {
    let before = OTHER_LANG.replace(Some(lang));
    let made = make();
    OTHER_LANG.set(before);
    made
}

/// The language of the log lines and of the item names.
pub(crate) fn log_lang() -> Lang {
    LANGUAGES.get().map_or(Lang::Ja, |languages| languages.log)
}

/// Sets the languages of this process. Only the first call has an effect.
pub(crate) fn set_languages(languages: Languages) {
    let _ = LANGUAGES.set(languages);
}

impl Languages {
    /// The languages of a person who has chosen a language, or of a person with this locale.
    pub(crate) fn new(chosen: Option<Lang>, locale: Lang) -> Self {
        Self { people: chosen.unwrap_or(locale), log: chosen.unwrap_or(Lang::Ja) }
    }
}

impl Lang {
    /// The language of the locale. `variable` looks up a variable of the environment. The first variable that is not
    /// empty decides; every locale that does not begin with `ja` is English.
    pub(crate) fn of_locale(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let is_japanese = locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            let language = locale.split(['_', '-', '.', '@']).next();
            matches!(language, Some("ja" | "japanese"))
        });
        if is_japanese { Self::Ja } else { Self::En }
    }

    /// The two letters of the language.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

impl FromStr for Lang {
    type Err = LangError;

    fn from_str(text: &str) -> Result<Self, LangError> {
        match text {
            "ja" => Ok(Self::Ja),
            "en" => Ok(Self::En),
            _ => Err(LangError),
        }
    }
}
