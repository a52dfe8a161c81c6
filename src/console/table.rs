use anstyle::Style;

/// A table of text: columns as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(String, Style)>>,
    /// Columns from here on are aligned to the right.
    numbers_from: Option<usize>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The columns from `first` on hold numbers.
    pub(crate) fn numbers_from(mut self, first: usize) -> Self {
        self.numbers_from = Some(first);
        self
    }

    /// Adds a row of plain cells.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.styled(cells.into_iter().map(|cell| (cell, Style::new())));
    }

    /// Adds a row whose cells have a style each.
    pub(crate) fn styled<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = (S, Style)>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|(text, style)| (text.into(), style))
                .collect(),
        );
    }

    /// Adds a row of column heads.
    pub(crate) fn head<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.styled(cells.into_iter().map(|cell| (cell, super::HEAD)));
    }

    /// The rows, each indented by two columns.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        let mut out = String::new();
        for row in &self.rows {
            out.push(' ');
            let last = row.len().saturating_sub(1);
            for (column, ((text, style), width)) in row.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width.saturating_sub(text.chars().count()));
                let right = self.numbers_from.is_some_and(|first| column >= first);
                let (before, after) = match (right, column == last) {
                    (true, _) => (pad.as_str(), ""),
                    (false, true) => ("", ""),
                    (false, false) => ("", pad.as_str()),
                };
                out.push_str(&format!(
                    "{}{before}{style}{text}{style:#}{after}",
                    if column == 0 { " " } else { "  " }
                ));
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new().numbers_from(1);
        table.row(["é", "1"]);
        table.row(["long", "100"]);
        assert_eq!(table.render(), "  é       1\n  long  100\n");
    }
}
