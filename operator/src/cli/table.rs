//! Tables for people: columns as wide as what is in them.

/// Lines of a table, the first row its head; two blanks between columns, none at the end.
#[must_use]
pub fn lines(rows: &[Vec<String>], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        let line = format!("{indent}{}", cells.collect::<Vec<_>>().join("  "));
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// A row of texts.
#[must_use]
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{lines, row};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [row(["A", "LONG", "C"]), row(["bb", "x", ""])];
        assert_eq!(lines(&rows, "  "), "  A   LONG  C\n  bb  x\n");
    }
}
