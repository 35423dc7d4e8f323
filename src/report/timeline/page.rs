//! The file of a picture: SVG, or HTML around the SVG with the statistics and a script.

use std::path::Path;

use super::Timeline;
use super::chart::Chart;
use super::style::legend_list;
use crate::catalogue::Lang;
use crate::clock::Nanos;

/// A page that loads no other file.
const PAGE_TEMPLATE: &str = include_str!("page.html");
/// A page with nothing but a picture.
const PLAIN_TEMPLATE: &str = include_str!("plain_page.html");
const PAGE_CSS: &str = include_str!("page.css");
const PAGE_SCRIPT: &str = include_str!("page.js");

/// A name and its values.
type StatisticsRow = (String, Vec<String>);

/// The file type of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    /// The picture alone.
    Svg,
    /// A page with the picture: a reader can zoom, and step through the events.
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

    /// The text of the file with this picture, without a script.
    pub(crate) fn file(self, svg: &str, lang: Lang) -> String {
        match self {
            Self::Svg => svg.to_owned(),
            Self::Html => PLAIN_TEMPLATE.replace("{lang}", lang.code()).replace("{picture}", svg),
        }
    }
}

impl Timeline {
    /// The text of the file, for a run that ended at `end`.
    pub(crate) fn render(&mut self, end: Nanos, lang: Lang, format: PictureFormat) -> String {
        self.finish(end);
        let statistics = self.statistics.take().and_then(|figures| figures.rows(end, lang));
        let mut chart = Chart::new(self, lang, format == PictureFormat::Html);
        let svg = format!("{}\n", chart.draw());
        match format {
            PictureFormat::Svg => svg,
            PictureFormat::Html => chart.draw_page(&svg, &statistics.unwrap_or_default()),
        }
    }
}

impl Chart<'_> {
    /// The page around the picture.
    fn draw_page(&self, svg: &str, statistics: &[StatisticsRow]) -> String {
        let lang = self.labels.lang();
        let notes = self.notes().into_iter().map(|note| format!("<p class=\"note\">{note}</p>\n"));
        let steps = self.timeline.steps_as_json(&self.labels, &self.column_texts());
        fill_template(PAGE_TEMPLATE, |name| match name {
            "lang" => lang.code().to_owned(),
            "title" => self.title(),
            "style" => PAGE_CSS.to_owned(),
            "notes" => notes.clone().collect(),
            "legend" => legend_list(self.legend()),
            "picture" => svg.to_owned(),
            "steps" => steps.clone(),
            "items" => self.timeline.item_labels_as_json(),
            "statistics" => statistics_table(statistics),
            "script" => PAGE_SCRIPT.to_owned(),
            _ => self.labels.page_text(name),
        })
    }
}

/// Replaces each `{{name}}` of the template. A value may contain braces.
fn fill_template(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        page += before;
        page += &value(name);
        rest = after;
    }
    page + rest
}

fn statistics_table(rows: &[StatisticsRow]) -> String {
    let row = |(n, (name, values)): (usize, &StatisticsRow)| {
        let (cell, span) = match (n, values.len()) {
            (0, _) => ("th", ""),
            (_, 1) => ("td", " colspan=\"2\""),
            _ => ("td", ""),
        };
        let values = values.iter().map(|value| format!("<{cell}{span}>{value}</{cell}>"));
        format!("<tr><th>{name}</th>{}</tr>\n", values.collect::<String>())
    };
    let rows: String = rows.iter().enumerate().map(row).collect();
    if rows.is_empty() { rows } else { format!("<table>\n{rows}</table>") }
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
