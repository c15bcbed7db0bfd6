use super::*;

fn at(source: &Source, line: u32, column: u32, len: u32) -> Place {
    Place::Text(source.clone(), Span { line, column, len })
}

#[track_caller]
fn check(problems: Vec<Diagnostic>, expected: &str) {
    let mut diagnostics = Diagnostics::default();
    for problem in problems {
        diagnostics.push(problem);
    }
    let error = diagnostics.into_result().expect_err("there are problems");
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(format!("error: {error}"), expected);
}

#[test]
fn no_problem_is_ok() {
    assert!(Diagnostics::default().into_result().is_ok());
}

#[test]
fn a_problem_shows_line_carets_label_and_hint() {
    let source = Source::new("run.yaml", "training:\n  learning_rte: 3e-4\n");
    let problem = Diagnostic::new(at(&source, 2, 3, 12), "unknown key `learning_rte`")
        .label("did you mean `learning_rate`?")
        .hint("`tenon explain config` lists every key");
    check(
        vec![problem],
        "error: unknown key `learning_rte`
  --> run.yaml:2:3
2 |   learning_rte: 3e-4
  |   ^^^^^^^^^^^^ did you mean `learning_rate`?
hint: `tenon explain config` lists every key",
    );
}

#[test]
fn problems_are_sorted_by_line_and_named_places_come_last() {
    let source = Source::new("r", "a\nb\n");
    check(
        vec![
            Diagnostic::new(Place::Named("--set x=1".to_owned()), "three")
                .label("l")
                .hint("h"),
            Diagnostic::new(at(&source, 2, 1, 1), "two"),
            Diagnostic::new(at(&source, 1, 1, 1), "one"),
        ],
        "error: one\n  --> r:1:1\n1 | a\n  | ^\n\
         error: two\n  --> r:2:1\n2 | b\n  | ^\n\
         error: three: l\n  --> --set x=1\nhint: h",
    );
}

#[test]
fn the_gutter_is_as_wide_as_the_line_number() {
    let source = Source::new("r", "\n".repeat(99) + "key: x");
    check(
        vec![Diagnostic::new(at(&source, 100, 6, 1), "bad")],
        "error: bad\n  --> r:100:6\n100 | key: x\n    |      ^",
    );
}

#[test]
fn a_long_line_is_cut_to_a_window_around_the_place() {
    let text = format!("{}here{}", "x".repeat(500), "y".repeat(500));
    let source = Source::new("r", text);
    let error = Diagnostic::new(at(&source, 1, 501, 4), "bad")
        .into_error(Kind::Usage)
        .to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[2].chars().count() < 130, "{error}");
    assert!(
        lines[2].starts_with("1 | …x") && lines[2].ends_with("y…"),
        "{error}"
    );
    let caret = lines[3].find('^').unwrap();
    let pointed: String = lines[2].chars().skip(caret).take(4).collect();
    assert_eq!(pointed, "here", "{error}");
}

#[test]
fn a_span_outside_the_text_does_not_panic() {
    let source = Source::new("r", "ab");
    for (line, column, len) in [(0, 0, 0), (1, 3, 1), (1, 9, 9), (7, 1, 1), (1, 2, u32::MAX)] {
        let error = Diagnostic::new(at(&source, line, column, len), "bad").into_error(Kind::Usage);
        assert!(error.to_string().contains('^'));
    }
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let source = Source::new("r", "a: \u{1b}[2J\t\u{202e}x");
    let error = Diagnostic::new(at(&source, 1, 4, 1), "bad")
        .into_error(Kind::Usage)
        .to_string();
    assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error:?}");
    assert_eq!(shown("a\u{1b}b\nc"), "a\u{fffd}b\u{fffd}c");
    assert_eq!(shown(&"é".repeat(81)), "é".repeat(80) + "…");
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let mut diagnostics = Diagnostics::default();
    for n in 0..60 {
        diagnostics.push(Diagnostic::new(
            Place::Named("x".to_owned()),
            format!("p{n}"),
        ));
    }
    let error = diagnostics.into_result().unwrap_err();
    assert_eq!(error.all().count(), 51);
    assert!(
        error
            .to_string()
            .ends_with("10 more problems are not shown")
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_with_a_place() {
    let error = Source::from_bytes("c.yaml", b"a: 1\nb: \xff\n".to_vec()).unwrap_err();
    assert_eq!(error.message(), "the file is not UTF-8 from byte 8");
    assert_eq!(error.place(), Some("c.yaml:2"));
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let limit = CONFIG_BYTES_MAX as usize;
    assert!(Source::from_bytes("c", vec![b' '; limit]).is_ok());
    let error = Source::from_bytes("c", vec![b' '; limit + 1]).unwrap_err();
    assert!(error.message().contains("limit is 1.00 MiB"), "{error}");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_text() {
    assert_eq!(Source::new("c", "\u{feff}a: 1").text(), "a: 1");
}
