//! Text for a terminal: tables without frames, and wrapped sentences.

use comfy_table::{Cell, LineStyle, Table, TableStyle};

/// A table with a rule under its header, one row a line, without spaces at the ends of lines.
pub fn render<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(rule));
    table.set_header(header.map(Cell::new));
    for row in rows {
        table.add_row(row);
    }
    let lines = table.lines();
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A text in lines of at most `width` characters, each after `indent`; a longer word has its own.
pub fn wrap(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = indent.chars().count() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > width {
            out += &format!("{indent}{line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out += &format!("{indent}{line}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_up_to_the_width() {
        assert_eq!(wrap("aa bb cc", "  ", 7), "  aa bb\n  cc\n");
        assert_eq!(wrap("aa bb", "", 4), "aa\nbb\n");
        assert_eq!(wrap("toolong a", "", 3), "toolong\na\n");
        assert_eq!(wrap("", " ", 10), "");
    }

    #[test]
    fn a_table_keeps_one_row_a_line() {
        let long = "x".repeat(300);
        let text = render(["a", "b"], [["1".to_owned(), long.clone()]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[2].ends_with(&long));
    }
}
