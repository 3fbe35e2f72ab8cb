//! Text tables: columns as wide as their widest cell.

/// Rows below a head, columns two spaces apart, no spaces at the ends of lines.
#[must_use]
pub fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let columns = all().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            all()
                .map(|row| width(row, column))
                .max()
                .unwrap_or_default()
        })
        .collect();
    all().map(|row| line(row, &widths)).collect()
}

fn width(row: &[String], column: usize) -> usize {
    row.get(column).map_or(0, |cell| cell.chars().count())
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        text.push_str(&format!("{cell:width$}  "));
    }
    let mut text = text.trim_end().to_owned();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["ie".to_owned(), "127.0.0.1:61613".to_owned(), String::new()],
            vec!["frankfurt".to_owned(), "-".to_owned(), "x".to_owned()],
        ];
        let expected = "\
SITE       STOMP            LABELS
ie         127.0.0.1:61613
frankfurt  -                x
";
        assert_eq!(render(&["SITE", "STOMP", "LABELS"], &rows), expected);
    }
}
