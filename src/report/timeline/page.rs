//! The file of a picture: SVG, or HTML around the SVG.

use std::path::Path;

use super::Timeline;
use crate::catalogue::Lang;
use crate::clock::Nanos;

/// A page that loads no other file.
const PAGE_TEMPLATE: &str = include_str!("page.html");

/// The file type of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    /// The picture alone.
    Svg,
    /// A page with the picture, which shows the tooltip under the pointer.
    Html,
}

impl PictureFormat {
    /// The extension of the file's name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Svg => ".svg",
            Self::Html => ".html",
        }
    }

    /// The file type by the extension of the file's name; `None` for an unknown extension.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "svg" => Some(Self::Svg),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// The text of the file with this picture.
    pub(crate) fn file(self, svg: &str, lang: Lang) -> String {
        match self {
            Self::Svg => svg.to_owned(),
            Self::Html => PAGE_TEMPLATE.replace("{lang}", lang.code()).replace("{picture}", svg),
        }
    }
}

impl Timeline {
    /// The text of the file, for a run that ended at `end`.
    pub(crate) fn render(&mut self, end: Nanos, lang: Lang, format: PictureFormat) -> String {
        format.file(&format!("{}\n", self.draw(end, lang)), lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_determines_the_file_type() {
        for (name, format) in [
            ("a.svg", Some(PictureFormat::Svg)),
            ("a.b/c.HTML", Some(PictureFormat::Html)),
            ("a.htm", Some(PictureFormat::Html)),
            ("a.png", None),
            ("svg", None),
            (".svg", None),
            ("", None),
        ] {
            assert_eq!(PictureFormat::from_path(Path::new(name)), format, "{name}");
        }
    }
}
