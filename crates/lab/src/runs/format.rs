//! Values as table cells and as JSON.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use serde_json::{Value, json};
use tenon_records::{At, Run, Summary};

/// What a table shows where there is nothing.
pub(super) const ABSENT: &str = "–";

/// A table with a header and no lines but the one under it.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(rule));
    table.set_header(header.iter().map(Cell::new));
    table
}

/// The text of a table without the spaces that pad its lines.
pub(super) fn text(table: &Table) -> String {
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

pub(super) fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// One line whatever the text holds, so that a stored message cannot break a table or a terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A value in at least five significant digits.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        _ if !x.is_finite() => "not finite".to_string(),
        0.0 => "0".to_string(),
        size if !(1e-3..1e7).contains(&size) => format!("{x:.4e}"),
        size => {
            let places = (4 - size.log10().floor() as i32).clamp(0, 7) as usize;
            format!("{x:.places$}")
        }
    }
}

pub(super) fn at(at: Option<At>) -> String {
    at.map_or(ABSENT.to_string(), |at| {
        format!("{} @ {}", number(at.value), at.step)
    })
}

/// RFC 3339 without fractions of a second and without the letters between.
pub(super) fn time(utc: Option<&str>) -> String {
    let Some(utc) = utc else {
        return ABSENT.to_string();
    };
    let seconds = utc.get(..19).unwrap_or(utc);
    one_line(&seconds.replace('T', " "))
}

/// A finite number or null.
pub(super) fn value_json(x: f64) -> Value {
    Value::from(x)
}

pub(super) fn at_json(at: Option<At>) -> Value {
    at.map_or(
        Value::Null,
        |at| json!({ "step": at.step, "value": value_json(at.value) }),
    )
}

pub(super) fn summary_json(summary: &Summary) -> Value {
    json!({
        "split": summary.split.name(),
        "name": summary.name,
        "points": summary.points,
        "first": at_json(Some(summary.first)),
        "last": at_json(Some(summary.last)),
        "lowest": at_json(summary.lowest),
        "highest": at_json(summary.highest),
        "best": at_json(summary.best()),
    })
}

pub(super) fn run_json(run: &Run) -> Value {
    json!({
        "id": run.id.number(),
        "name": run.name,
        "kind": run.kind,
        "status": run.status.name(),
        "created_utc": run.created_utc,
        "finished_utc": run.finished_utc,
        "dir": run.dir,
        "seed": run.seed,
        "isa": run.isa,
        "threads": run.threads,
        "version": run.version,
        "error": run.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_five_digits() {
        let found = [
            0.0,
            2.0,
            2.345678,
            12345.678,
            0.00012345,
            1e9,
            -0.5,
            f64::NAN,
        ]
        .map(number);
        let expected = [
            "0",
            "2.0000",
            "2.3457",
            "12346",
            "1.2345e-4",
            "1.0000e9",
            "-0.50000",
            "not finite",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_value_that_is_not_finite_is_null_in_json() {
        assert_eq!(value_json(f64::NAN), Value::Null);
        assert_eq!(value_json(f64::INFINITY), Value::Null);
        assert_eq!(at_json(None), Value::Null);
    }

    #[test]
    fn a_stored_text_cannot_move_the_cursor() {
        assert_eq!(one_line("a\nb\x1b[2Jc\td"), "a b [2Jc d");
    }
}
