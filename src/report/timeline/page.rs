//! The file that a picture is in.

use std::path::Path;

use super::Timeline;
use crate::clock::Nanos;
use crate::report::Lang;

/// A page that needs nothing from elsewhere.
const PAGE_TEMPLATE: &str = include_str!("page.html");

/// What kind of file a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    /// The picture alone.
    Svg,
    /// A page with it, in which a pointer tells what is under it.
    Html,
}

impl PictureFormat {
    /// How the file's name ends.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Svg => ".svg",
            Self::Html => ".html",
        }
    }

    /// As the ending of the file's name says; none if it says nothing known.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "svg" => Some(Self::Svg),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }
}

impl Timeline {
    /// The whole file, of a run that ended at `end`.
    pub(crate) fn render(&mut self, end: Nanos, lang: Lang, form: PictureFormat) -> String {
        let svg = format!("{}\n", self.draw(end, lang));
        let tongue = match lang {
            Lang::Ja => "ja",
            Lang::En => "en",
        };
        match form {
            PictureFormat::Svg => svg,
            PictureFormat::Html => {
                PAGE_TEMPLATE.replace("{lang}", tongue).replace("{picture}", &svg)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_what_it_is() {
        for (name, form) in [
            ("a.svg", Some(PictureFormat::Svg)),
            ("a.b/c.HTML", Some(PictureFormat::Html)),
            ("a.htm", Some(PictureFormat::Html)),
            ("a.png", None),
            ("svg", None),
            (".svg", None),
            ("", None),
        ] {
            assert_eq!(PictureFormat::from_path(Path::new(name)), form, "{name}");
        }
    }
}
