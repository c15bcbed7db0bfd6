use super::*;

fn source(text: &str) -> Source {
    Source::new("x.rs", text).unwrap()
}

fn comment_lines(text: &str) -> Vec<(usize, String)> {
    let comments = source(text).comments.into_iter();
    comments.map(|c| (c.line, c.text)).collect()
}

#[test]
fn slashes_in_strings_are_no_comments() {
    let text = "//! é\n// one\nfn f() { let _ = \"// no\"; /* two */ }\n/// three\nfn g() {}\n";
    let expected = [
        (1, "//! é"),
        (2, "// one"),
        (3, "/* two */"),
        (4, "/// three"),
    ];
    let expected = expected.map(|(line, text)| (line, text.to_owned()));
    assert_eq!(comment_lines(text), expected);
}

#[test]
fn a_division_is_no_comment() {
    assert_eq!(comment_lines("const A: u8 = 4 / 2;\n"), []);
}

#[test]
fn functions_are_measured_from_the_word_to_the_brace() {
    let text = "/// d\n#[inline]\nfn a(\n  x: [u8; 2],\n) {\n}\ntrait T { fn b(); }\n\
                type F = fn(u8) -> u8;\n";
    let functions = source(text).functions();
    let expected = Function {
        name: "a".to_owned(),
        line: 3,
        n_lines: 4,
    };
    assert_eq!(functions, [expected]);
}

#[test]
fn use_trees_are_flattened() {
    let text = "use std::{fs::{self, File}, io};\nfn f() { std::env::var(\"A\"); x::<u8>(); }";
    let paths = source(text).paths().into_iter().map(|(path, _)| path);
    let paths: Vec<String> = paths.filter(|path| path.contains("::")).collect();
    let expected = ["std::fs::self", "std::fs::File", "std::io", "std::env::var"];
    assert_eq!(paths, expected);
}

#[test]
fn lines_under_cfg_test_are_test_lines() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod c;\nfn d() {}";
    let source = source(text);
    let tested: Vec<usize> = (1..=8).filter(|line| source.is_test_line(*line)).collect();
    assert_eq!(tested, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_safety_comment_is_found_at_the_start_of_the_statement() {
    let text = "fn f() {\n  g();\n  // SAFETY: ok\n  let a = h(1,\n    unsafe { 1 });\n}\n";
    let source = source(text);
    let at = (0..source.tokens.len()).find(|i| source.tokens[*i].text == "unsafe");
    let before: Vec<usize> = source
        .comments_before(at.unwrap())
        .map(|c| c.line)
        .collect();
    assert_eq!(before, [3]);
}

#[test]
fn a_text_that_is_no_rust_names_the_place() {
    let error = Source::new("x.rs", "fn f() {\n  (]\n}").unwrap_err();
    assert!(error.place().unwrap().starts_with("x.rs:2:"), "{error}");
}
