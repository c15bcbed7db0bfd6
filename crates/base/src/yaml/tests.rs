use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Value {
    read(&Source::new("t.yaml", text))
        .unwrap_or_else(|e| panic!("{text:?}: {e}"))
        .value
}

#[track_caller]
fn rejects(text: &str, expected: &str) {
    match read(&Source::new("t.yaml", text)) {
        Ok(node) => panic!("{text:?} is accepted as {node:?}"),
        Err(error) => assert_eq!(format!("error: {error}"), expected),
    }
}

/// A tree without its places.
fn bare(value: &Value) -> String {
    emit(value)
}

fn one(text: &str) -> Value {
    tree(&format!("k: {text}"))
        .get("k")
        .expect("the key")
        .value
        .clone()
}

#[test]
fn scalars_follow_the_core_schema_of_yaml_1_2() {
    use Value::{Bool, Float, Int, Null};
    let cases = [
        ("", Null),
        ("~", Null),
        ("null", Null),
        ("true", Bool(true)),
        ("False", Bool(false)),
        ("0", Int(0)),
        ("-12", Int(-12)),
        ("+3", Int(3)),
        ("0x1F", Int(31)),
        ("0o17", Int(15)),
        ("017", Int(17)),
        ("9223372036854775807", Int(i64::MAX)),
        ("1e-3", Float(1e-3)),
        ("1E5", Float(1e5)),
        ("1.", Float(1.0)),
        (".5", Float(0.5)),
        ("-.5e+2", Float(-50.0)),
        ("6.02e23", Float(6.02e23)),
        (".inf", Float(f64::INFINITY)),
        ("-.Inf", Float(f64::NEG_INFINITY)),
    ];
    for (text, value) in cases {
        assert_eq!(one(text), value, "{text}");
    }
    assert!(matches!(one(".nan"), Float(x) if x.is_nan()));
}

#[test]
fn what_only_looks_like_a_number_or_a_boolean_is_a_string() {
    let strings = [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "nan",
        "inf",
        "e5",
        ".",
        "-",
        "+.",
        "1e",
        "1e+",
        "1.2.3",
        "1_000",
        "0x",
        "0xg",
        "-0x1",
        "0o8",
        "tRue",
        "12:30",
        "1 2",
        ".e1",
        "2026-03-01",
    ];
    for text in strings {
        let expected = Value::Str(text.to_owned());
        match text {
            // A lone dash opens a list.
            "-" => assert_eq!(one("\"-\""), expected),
            _ => assert_eq!(one(text), expected, "{text}"),
        }
    }
    for quoted in ["\"1\"", "'true'", "\"null\"", "''"] {
        assert!(matches!(one(quoted), Value::Str(_)), "{quoted}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused_and_all_of_them_reported() {
    rejects(
        "a: 9223372036854775808\nb: 1e999\n",
        "error: the integer is too large for 64 bits: `9223372036854775808`
  --> t.yaml:1:4
1 | a: 9223372036854775808
  |    ^^^^^^^^^^^^^^^^^^^
error: the number is too large for 64-bit floating point: `1e999`
  --> t.yaml:2:4
2 | b: 1e999
  |    ^^^^^",
    );
}

#[test]
fn places_are_counted_in_characters_from_one() {
    let source = Source::new("t", "ä:\n  - x: 'é'\n    yy: [1, 22]\n");
    let root = read(&source).unwrap();
    let Value::Map(entries) = &root.value else {
        panic!()
    };
    assert_eq!(
        entries[0].0.span,
        Span {
            line: 1,
            column: 1,
            len: 1
        }
    );
    let Value::Seq(items) = &entries[0].1.value else {
        panic!()
    };
    let x = items[0].value.get("x").unwrap();
    assert_eq!(
        x.span,
        Span {
            line: 2,
            column: 8,
            len: 3
        }
    );
    let Value::Seq(numbers) = &items[0].value.get("yy").unwrap().value else {
        panic!()
    };
    assert_eq!(
        numbers[1].span,
        Span {
            line: 3,
            column: 13,
            len: 2
        }
    );
}

#[test]
fn json_is_read_with_tabs_escapes_and_surrogate_pairs() {
    let text = "{\n\t\"a\": [1, 2.5e-1, null, true],\n\t\"b\\/\": \"\\ud83d\\ude00\\n\"\n}\n";
    let expected = "a: [1, 0.25, null, true]\nb/: \"😀\\n\"\n";
    assert_eq!(bare(&tree(text)), expected);
}

#[test]
fn every_duplicate_key_is_reported_with_the_first() {
    rejects(
        "a: 1\nb: {c: 1, c: 2}\n\"a\": 3\n",
        "error: duplicate key `c`
  --> t.yaml:2:11
2 | b: {c: 1, c: 2}
  |           ^ first set at line 2
hint: keep one of the two
error: duplicate key `a`
  --> t.yaml:3:1
3 | \"a\": 3
  | ^^^ first set at line 1
hint: keep one of the two",
    );
}

#[test]
fn tabs_in_indentation() {
    rejects(
        "a:\n\tb: 1\n",
        "error: YAML: tabs disallowed within this context (block indentation)
  --> t.yaml:2:1
2 |  b: 1
  | ^
hint: indent with spaces, not tabs",
    );
    let error = read(&Source::new("t", "a: 1\n\tb: 2\n")).unwrap_err();
    assert_eq!(error.place(), Some("t:2:1"));
    assert_eq!(error.hint_text(), Some("indent with spaces, not tabs"));
}

#[test]
fn empty_texts() {
    for text in ["", "\n\n", "# nothing\n", "---\n...\n", "~", "\u{feff}"] {
        rejects(
            text,
            "error: the text is empty: it holds no value\n  --> t.yaml",
        );
    }
}

#[test]
fn a_second_document() {
    rejects(
        "a: 1\n---\nb: 2\n",
        "error: the file holds more than one document\n  --> t.yaml:2:1\n2 | ---\n  | ^^^",
    );
}

#[test]
fn tags_merge_keys_and_keys_that_are_no_scalars() {
    let message = |text: &str| {
        read(&Source::new("t", text))
            .expect_err("refused")
            .message()
            .to_owned()
    };
    let tagged = message("a: !!python/object:os.system x\n");
    assert!(
        tagged.starts_with("tag `") && tagged.ends_with("` is not supported"),
        "{tagged}"
    );
    assert!(tagged.contains("python/object:os.system"), "{tagged}");
    assert_eq!(
        message("a: &x {b: 1}\nc:\n  <<: *x\n"),
        "merge key `<<` is not supported"
    );
    assert_eq!(message("? [1]\n: 2\n"), "a key has to be a scalar");
    assert_eq!(message("a: &x b\n*x : c\n"), "a key cannot be an alias");
}

#[test]
fn unclosed_collections_and_unknown_anchors() {
    rejects(
        "a: [1, 2\n",
        "error: YAML: unclosed bracket '['\n  --> t.yaml:1:4\n1 | a: [1, 2\n  |    ^",
    );
    rejects(
        "a: *x\n",
        "error: YAML: while parsing node, found unknown anchor
  --> t.yaml:1:4
1 | a: *x
  |    ^",
    );
}

#[test]
fn aliases_are_written_out_at_their_own_place() {
    let root = read(&Source::new("t", "a: &x [1, {b: 2}]\nc: *x\n")).unwrap();
    let (a, c) = (root.value.get("a").unwrap(), root.value.get("c").unwrap());
    assert_eq!(bare(&a.value), bare(&c.value));
    assert_eq!(
        c.span,
        Span {
            line: 2,
            column: 4,
            len: 2
        }
    );
}

#[test]
fn an_alias_within_its_own_anchor() {
    let error = read(&Source::new("t", "a: &x [*x]\n")).unwrap_err();
    assert_eq!(error.message(), "the alias stands within its own anchor");
}

#[test]
fn a_bomb_of_aliases_meets_the_budget() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text += &format!(
            "a{level}: &a{level} [{}]\n",
            [alias.as_str(); 10].join(", ")
        );
    }
    let error = read(&Source::new("t", text)).unwrap_err();
    assert_eq!(error.message(), "more than 100000 values");
}

#[test]
fn depth_is_limited_with_and_without_aliases() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(read(&Source::new("t", nested(64))).is_ok());
    let error = read(&Source::new("t", nested(65))).unwrap_err();
    assert_eq!(error.message(), "nested more than 64 levels deep");
    // The parser's own limit comes first here.
    assert!(read(&Source::new("t", nested(100_000))).is_err());
    let through_alias = format!(
        "a: &x {}\nb: {}",
        nested(40),
        "[".repeat(30) + "*x" + &"]".repeat(30)
    );
    let error = read(&Source::new("t", through_alias)).unwrap_err();
    assert_eq!(error.message(), "nested more than 64 levels deep");
}

#[test]
fn emitted_numbers_stay_floats_for_every_reader() {
    let cases = [
        (3.0, "3.0"),
        (1e-4, "0.0001"),
        (1e-8, "1.0e-8"),
        (-1.5e-8, "-1.5e-8"),
        (1e22, "1.0e+22"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (f64::NEG_INFINITY, "-.inf"),
        (f64::NAN, ".nan"),
    ];
    for (x, text) in cases {
        assert_eq!(number(x), text);
    }
}

#[test]
fn emitted_strings_are_quoted_where_any_reader_could_take_them_for_something_else() {
    for plain in ["gpt2", "a/b.c", "runs/x-1", "user@host", "_x"] {
        assert_eq!(emit(&Value::Str(plain.to_owned())), format!("{plain}\n"));
    }
    for text in [
        "", "no", "On", "1e3", "true", "null", "12:30", "a: b", "a #b", "-x", "*x", "x\ny",
    ] {
        let emitted = emit(&Value::Str(text.to_owned()));
        assert!(emitted.starts_with('"'), "{text} became {emitted}");
        assert_eq!(tree(&emitted), Value::Str(text.to_owned()));
    }
}

#[test]
fn emitted_collections_nest_as_blocks() {
    let text = "a:\n  - b: 1\n    c: [x, z]\n  - []\n  - - [1]\n    - {}\nd:\n  e:\n    f: null\n";
    assert_eq!(emit(&tree(text)), text);
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => {
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
        }
        (Value::Seq(a), Value::Seq(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.value, &b.value))
        }
        (Value::Map(a), Value::Map(b)) => {
            let pairs = || a.iter().zip(b);
            a.len() == b.len()
                && pairs().all(|(a, b)| a.0.name == b.0.name && same(&a.1.value, &b.1.value))
        }
        (a, b) => a == b,
    }
}

fn node(value: Value) -> Node {
    Node {
        span: Span {
            line: 1,
            column: 1,
            len: 0,
        },
        value,
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        any::<String>().prop_map(Value::Str),
        "[a-z0-9.:#~ -]{0,8}".prop_map(Value::Str),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let seq = prop::collection::vec(inner.clone(), 0..6)
            .prop_map(|items| Value::Seq(items.into_iter().map(node).collect()));
        let map = prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|entries| {
            let span = Span {
                line: 1,
                column: 1,
                len: 0,
            };
            let keyed = entries
                .into_iter()
                .map(|(name, v)| (Key { span, name }, node(v)));
            Value::Map(keyed.collect())
        });
        prop_oneof![seq, map]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_tree_or_an_error(text in any::<String>()) {
        let _ = read(&Source::new("t", text));
    }

    #[test]
    fn any_text_of_yaml_characters_is_a_tree_or_an_error(
        text in r##"([a-c1.'"\\&*!<>|%@`\[\]{},:?~#\t\r-]|\n|  |: |- |&a |\*a |---\n|<<: ){0,40}"##
    ) {
        let source = Source::new("t", text);
        if let Err(error) = read(&source) {
            prop_assert_eq!(error.kind(), crate::Kind::Usage);
            prop_assert!(error.place().is_some());
        }
    }

    #[test]
    fn what_is_emitted_reads_back_the_same(value in values()) {
        let text = emit(&value);
        match read(&Source::new("t", text.clone())) {
            Ok(back) => prop_assert!(same(&value, &back.value), "{text}"),
            Err(error) => prop_assert!(matches!(value, Value::Null), "{error}\n{text}"),
        }
    }
}
