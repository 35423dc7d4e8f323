//! Draws the screen of a terminal emulator as SVG. Each row appears at its time, once; a viewer without animations, and
//! a person who wants none, sees the last screen at once.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

const STYLE: &str = include_str!("screen.css");
/// The width of a column and the height of a row, in pixels.
const COLUMN: f64 = 8.0;
const ROW: f64 = 19.0;
const MARGIN: f64 = 14.0;
/// How far the base line is below the top of its row.
const BASE_LINE: f64 = 14.0;

/// Neighbouring characters that look the same. All of them take one column, or all of them take two.
struct Run {
    column: u16,
    columns: u16,
    is_wide: bool,
    look: Look,
    text: String,
}

/// The look of a cell, as attributes of its text.
#[derive(Default, PartialEq)]
struct Look(String);

/// Draws the rows that have a time.
pub fn draw(screen: &Screen, times: &[f64], title: &str) -> String {
    let width = f64::from(screen.size().1.get()) * COLUMN + 2.0 * MARGIN;
    let height = times.len() as f64 * ROW + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        width - 1.0,
        height - 1.0
    );
    for (row, time) in (0..).zip(times) {
        let y = MARGIN + f64::from(row) * ROW + BASE_LINE;
        writeln!(svg, "<g class=\"row\" style=\"animation-delay:{time}s\">").unwrap();
        for run in runs(screen, row) {
            let x = MARGIN + f64::from(run.column) * COLUMN;
            let length = f64::from(run.columns) * COLUMN;
            // The length keeps the columns, whatever font the viewer has.
            writeln!(
                svg,
                "<text{} x=\"{x}\" y=\"{y}\" textLength=\"{length}\" \
                 lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                run.look.0,
                escape(&run.text)
            )
            .unwrap();
        }
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The runs of a row. A single blank within a run is part of it; other blanks are left out.
fn runs(screen: &Screen, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..screen.size().1.get() {
        let Some(cell) = screen.cell(row, column) else { continue };
        if cell.is_wide_continuation() || !cell.has_contents() || cell.contents() == " " {
            continue;
        }
        let columns = if cell.is_wide() { 2 } else { 1 };
        let look = look(cell);
        if let Some(last) = runs.last_mut()
            && last.is_wide == cell.is_wide()
            && last.look == look
        {
            let gap = column - last.column - last.columns;
            if gap == 0 || gap == 1 && !last.is_wide {
                last.text.push_str(&" ".repeat(gap.into()));
                last.text.push_str(cell.contents());
                last.columns += gap + columns;
                continue;
            }
        }
        let (is_wide, text) = (cell.is_wide(), cell.contents().to_owned());
        runs.push(Run { column, columns, is_wide, look, text });
    }
    runs
}

fn look(cell: &Cell) -> Look {
    let mut classes = Vec::new();
    let mut fill = String::new();
    match cell.fgcolor() {
        Color::Default => {}
        // The bright colours look as the plain ones: a picture has palettes of its own, for light and dark.
        Color::Idx(index @ 0..16) => classes.push(format!("c{}", index % 8)),
        Color::Idx(index) => fill = format!(" style=\"fill:{}\"", color_of_cube(index)),
        Color::Rgb(red, green, blue) => {
            fill = format!(" style=\"fill:#{red:02x}{green:02x}{blue:02x}\"");
        }
    }
    if cell.bold() {
        classes.push("bold".to_owned());
    }
    if cell.dim() {
        classes.push("dim".to_owned());
    }
    let classes = classes.join(" ");
    let classes = if classes.is_empty() { classes } else { format!(" class=\"{classes}\"") };
    Look(classes + &fill)
}

/// One of the 256 colours of xterm: 16 to 231 are a cube, the rest are greys.
fn color_of_cube(index: u8) -> String {
    if index >= 232 {
        let grey = 8 + 10 * (index - 232);
        return format!("#{grey:02x}{grey:02x}{grey:02x}");
    }
    let level = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
    let [red, green, blue] = [36, 6, 1].map(|unit| level((index - 16) / unit % 6));
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[test]
fn a_picture_has_the_colours_of_the_terminal_and_its_columns() {
    let size = [2, 20].map(|count| std::num::NonZero::new(count).unwrap());
    let mut terminal = vt100::Parser::new(size[0], size[1], 0);
    terminal.process("ab c  \x1b[1;32mx<\x1b[m\r\n\x1b[38;5;208mキュー1\x1b[m".as_bytes());
    let svg = draw(terminal.screen(), &[0.0, 1.5], "title");
    for text in [
        r#"<text x="14" y="28" textLength="32" lengthAdjust="spacingAndGlyphs">ab c</text>"#,
        r#"<text class="c2 bold" x="62" y="28" textLength="16" lengthAdjust="spacingAndGlyphs">x&lt;<"#,
        r##"<text style="fill:#ff8700" x="14" y="47" textLength="48" lengthAdjust="spacingAndGlyphs">キュー<"##,
        r##"<text style="fill:#ff8700" x="62" y="47" textLength="8" lengthAdjust="spacingAndGlyphs">1<"##,
        r#"<g class="row" style="animation-delay:1.5s">"#,
    ] {
        assert!(svg.contains(text), "no {text} in {svg}");
    }
    roxmltree::Document::parse(&svg).unwrap();
}
