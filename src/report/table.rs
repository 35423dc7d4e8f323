//! A table for people, aligned by the width on a terminal.

use console::{Alignment, pad_str};

/// A table with the labels of its columns in the first row. All cells are right-aligned.
pub(crate) struct Table<const COLUMNS: usize> {
    widths: [usize; COLUMNS],
    gap: &'static str,
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table whose columns have at least these widths, and this gap between two.
    pub(crate) fn new(
        least_widths: [usize; COLUMNS],
        gap: &'static str,
        labels: [String; COLUMNS],
    ) -> Self {
        let mut table = Self { widths: least_widths, gap, rows: Vec::new() };
        table.push(labels);
        table
    }

    pub(crate) fn push(&mut self, row: [String; COLUMNS]) {
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = console::measure_text_width(cell).max(*width);
        }
        self.rows.push(row);
    }

    /// The lines of the table, each with its newline.
    pub(crate) fn to_text(&self) -> String {
        let line = |row: &[String; COLUMNS]| {
            let cells = row.iter().zip(self.widths);
            let cells = cells.map(|(cell, width)| pad_str(cell, width, Alignment::Right, None));
            cells.collect::<Vec<_>>().join(self.gap) + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell_on_a_terminal() {
        let mut table = Table::new([0, 4], "  ", ["深さ".to_owned(), "n".to_owned()]);
        table.push(["1".to_owned(), "12345".to_owned()]);
        assert_eq!(table.to_text(), "深さ      n\n   1  12345\n");
    }
}
