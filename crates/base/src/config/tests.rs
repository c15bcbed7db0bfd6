use proptest::prelude::*;

use super::*;
use crate::Kind;
use crate::diag::{Diagnostics, Source, Span};
use crate::yaml::Value;

const PHASE: &[Key] = &[
    Key::new(
        "name",
        Type::Str,
        DefaultValue::Required,
        "Name of the phase.",
    ),
    Key::new(
        "lora.rank",
        Type::int(1, 1024),
        DefaultValue::Int(8),
        "Rank.",
    ),
];
static PHASES: Schema = Schema {
    name: "phase",
    version: 1,
    tables: &[PHASE],
};

const MODEL: &[Key] = &[
    Key::new(
        "model.family",
        Type::Enum(&["custom", "gpt2", "llama"]),
        DefaultValue::Str("custom"),
        "Family of the model.",
    ),
    Key::new(
        "model.d_model",
        Type::COUNT,
        DefaultValue::Int(128),
        "Width.",
    ),
    Key::new("model.n_heads", Type::COUNT, DefaultValue::Int(4), "Heads."),
    Key::new(
        "model.vocab_size",
        Type::COUNT,
        DefaultValue::Derived("the tokenizer's size"),
        "Tokens of the vocabulary.",
    ),
];
const TRAINING: &[Key] = &[
    Key::new(
        "training.learning_rate",
        Type::POSITIVE,
        DefaultValue::Required,
        "Step size.",
    )
    .aliases(&["training.lr", "optimizer.lr"]),
    Key::new(
        "training.dropout",
        Type::BELOW_ONE,
        DefaultValue::Float(0.0),
        "Dropout.",
    ),
    Key::new(
        "training.max_grad_norm",
        Type::AnyOf(&[Type::POSITIVE, Type::Null]),
        DefaultValue::Float(1.0),
        "Clipping; `null` switches it off.",
    ),
    Key::new(
        "training.threads",
        Type::AnyOf(&[Type::Enum(&["auto"]), Type::int(1, 1024)]),
        DefaultValue::Str("auto"),
        "Threads.",
    ),
    Key::new(
        "training.shuffle",
        Type::Bool,
        DefaultValue::Bool(true),
        "Shuffle rows.",
    ),
    Key::new(
        "training.betas",
        Type::List(&Type::FRACTION),
        DefaultValue::Optional,
        "Decay.",
    ),
    Key::new(
        "training.phases",
        Type::Tables(&PHASES),
        DefaultValue::Optional,
        "Phases.",
    ),
    Key::new(
        "data.path",
        Type::Path,
        DefaultValue::Optional,
        "File or folder.",
    ),
    Key::new(
        "data.columns",
        Type::STR_LIST,
        DefaultValue::StrList(&["text"]),
        "Columns.",
    ),
    Key::new("extra", Type::Any, DefaultValue::Optional, "Anything."),
];
static SCHEMA: Schema = Schema {
    name: "config",
    version: 3,
    tables: &[MODEL, TRAINING],
};

const MINIMAL: &str = "training:\n  lr: 0.1\n";

fn read_with(text: &str, sets: &[(&str, &str)]) -> crate::Result<Values> {
    let own = |(path, value): &(&str, &str)| ((*path).to_owned(), (*value).to_owned());
    let sets: Vec<(String, String)> = sets.iter().map(own).collect();
    SCHEMA.read(&Source::new("c.yaml", text), &sets)
}

fn read(text: &str) -> Values {
    read_with(text, &[]).unwrap_or_else(|e| panic!("{text}\nerror: {e}"))
}

#[track_caller]
fn rejects(text: &str, sets: &[(&str, &str)], expected: &str) {
    let error = read_with(text, sets).expect_err("a rejected configuration");
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(format!("error: {error}"), expected);
}

/// The one problem of a text that gives the required key.
#[track_caller]
fn rejects_line(line: &str, expected: &str) {
    rejects(&format!("training:\n  lr: 0.1\n{line}\n"), &[], expected);
}

#[test]
fn the_tables_have_no_faults() {
    assert_eq!(SCHEMA.faults(), Vec::<String>::new());
}

#[test]
fn faults_of_tables_are_found() {
    const HIDDEN: &[Type] = &[Type::Tables(&PHASES)];
    const BAD: &[Key] = &[
        Key::new("a", Type::COUNT, DefaultValue::Int(0), "No sentence"),
        Key::new("a.b", Type::Str, DefaultValue::Optional, "Below a key.").aliases(&["c"]),
        Key::new("c", Type::Str, DefaultValue::Optional, "Taken."),
        Key::new("d", Type::AnyOf(HIDDEN), DefaultValue::Optional, "Hidden."),
    ];
    static BAD_SCHEMA: Schema = Schema {
        name: "bad",
        version: 1,
        tables: &[BAD],
    };
    let faults = BAD_SCHEMA.faults().join("\n");
    for part in [
        "the default of `a` is not of its type",
        "the meaning of `a` is no sentence",
        "`a` is a key and a section",
        "`c` names two keys",
        "the mappings of `d` would not be read",
    ] {
        assert!(faults.contains(part), "{part} is not in\n{faults}");
    }
}

#[test]
fn values_defaults_and_absent_keys() {
    let values =
        read("model: {d_model: 64}\ntraining:\n  lr: 1\n  betas: [0.9, 1]\ndata:\n  path: a b/c\n");
    assert_eq!(values.int("model.d_model"), Some(64));
    assert_eq!(values.size("model.n_heads"), Some(4));
    assert_eq!(values.int("model.vocab_size"), None);
    assert_eq!(values.str("model.family"), Some("custom"));
    assert_eq!(values.float("training.learning_rate"), Some(1.0));
    assert_eq!(values.float("training.max_grad_norm"), Some(1.0));
    assert_eq!(values.bool("training.shuffle"), Some(true));
    assert_eq!(values.floats("training.betas"), Some(vec![0.9, 1.0]));
    assert_eq!(
        values.path("data.path"),
        Some(std::path::Path::new("a b/c"))
    );
    assert_eq!(values.strs("data.columns"), Some(vec!["text".to_owned()]));
    assert!(values.tables("training.phases").is_empty());
    assert!(values.is_set("model.d_model") && !values.is_set("model.n_heads"));
    assert!(values.is_set("training.learning_rate"));
    assert_eq!(
        values.span_of("model.d_model"),
        Some(Span {
            line: 1,
            column: 18,
            len: 2
        })
    );
    assert_eq!(values.span_of("model.n_heads"), None);
}

#[test]
fn several_types_in_one_key() {
    let off = read("training: {lr: 1, max_grad_norm: null, threads: 4}");
    assert_eq!(off.float("training.max_grad_norm"), None);
    assert!(off.is_set("training.max_grad_norm"));
    assert_eq!(off.int("training.threads"), Some(4));
    assert_eq!(off.str("training.threads"), None);
    let auto = read(MINIMAL);
    assert_eq!(auto.int("training.threads"), None);
    assert_eq!(auto.str("training.threads"), Some("auto"));
}

#[test]
fn null_is_absence_for_optional_keys_and_sections() {
    let values = read("model:\ntraining: {lr: 1, betas: null}\ndata: {path: ~}\nextra:\n");
    assert!(!values.is_set("training.betas") && !values.is_set("data.path"));
    assert_eq!(values.any("extra"), None);
}

#[test]
fn lists_of_mappings_have_their_own_schema() {
    let values =
        read("training:\n  lr: 1\n  phases:\n    - name: a\n    - {name: b, lora: {rank: 2}}");
    let phases = values.tables("training.phases");
    let names: Vec<_> = phases.iter().map(|phase| phase.str("name")).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    let ranks: Vec<_> = phases.iter().map(|phase| phase.int("lora.rank")).collect();
    assert_eq!(ranks, [Some(8), Some(2)]);
    rejects_line(
        "  phases:\n  - nam: x\n  - name: y\n    lora: {rank: 0}\n  - 3",
        "error: unknown key `nam`
  --> c.yaml:4:5
4 |   - nam: x
  |     ^^^ did you mean `name`?
hint: `tenon explain config` lists every key with its default
error: `name` is missing
  --> c.yaml:4:5
4 |   - nam: x
  |     ^ expected a string
error: `lora.rank` is out of range: 0
  --> c.yaml:6:18
6 |     lora: {rank: 0}
  |                  ^ expected an integer from 1 to 1024
error: the phase is an integer
  --> c.yaml:7:5
7 |   - 3
  |     ^ expected a mapping
hint: its keys are `name`, `lora`",
    );
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_lines() {
    rejects(
        "model:
  d_modle: 64
  family: lama
  n_heads: 2.0
training:
  dropout: 1
  shuffle: yes
  seed: 3
",
        &[("training.betas", "[2]")],
        "error: unknown key `d_modle` in `model`
  --> c.yaml:2:3
2 |   d_modle: 64
  |   ^^^^^^^ did you mean `d_model`?
hint: `tenon explain config` lists every key with its default
error: unknown value `lama` for `model.family`
  --> c.yaml:3:11
3 |   family: lama
  |           ^^^^ did you mean `llama`?
hint: one of `custom`, `gpt2`, `llama`
error: `model.n_heads` is a number
  --> c.yaml:4:12
4 |   n_heads: 2.0
  |            ^^^ expected an integer of at least 1
hint: write `2`
error: `training.learning_rate` is missing
  --> c.yaml:5:1
5 | training:
  | ^^^^^^^^ expected a number above 0
error: `training.dropout` is out of range: 1
  --> c.yaml:6:12
6 |   dropout: 1
  |            ^ expected a number of at least 0 and below 1
error: `training.shuffle` is a string
  --> c.yaml:7:12
7 |   shuffle: yes
  |            ^^^ expected `true` or `false`
hint: write `true`
error: unknown key `seed` in `training`
  --> c.yaml:8:3
8 |   seed: 3
  |   ^^^^
hint: `tenon explain config` lists every key with its default
error: `training.betas` is out of range: 2: expected a number from 0 to 1
  --> --set training.betas=[2]",
    );
}

#[test]
fn a_key_in_the_wrong_section_is_sent_home() {
    rejects_line(
        "model: {dropout: 0.1}",
        "error: unknown key `dropout` in `model`
  --> c.yaml:3:9
3 | model: {dropout: 0.1}
  |         ^^^^^^^ this key belongs to `training`
hint: `tenon explain config` lists every key with its default",
    );
    rejects_line(
        "model.d_model: 3",
        "error: unknown key `model.d_model`
  --> c.yaml:3:1
3 | model.d_model: 3
  | ^^^^^^^^^^^^^ sections are nested, not joined by points
hint: `tenon explain config` lists every key with its default",
    );
}

#[test]
fn an_alias_and_its_key_are_one_key() {
    assert_eq!(
        read("optimizer: {lr: 0.5}").float("training.learning_rate"),
        Some(0.5)
    );
    rejects_line(
        "  learning_rate: 0.2",
        "error: `learning_rate` and `lr` are the same key
  --> c.yaml:3:3
3 |   learning_rate: 0.2
  |   ^^^^^^^^^^^^^ first set at line 2
hint: keep one of the two",
    );
}

#[test]
fn wrong_types_say_what_was_probably_meant() {
    let hint = |line: &str| {
        let text = format!("training:\n  lr: 0.1\n{line}\n");
        let error = read_with(&text, &[]).expect_err(line);
        assert_eq!(error.all().count(), 1, "{error}");
        error.hint_text().unwrap_or("").to_owned()
    };
    assert_eq!(hint("  shuffle: 'off'"), "write `false`");
    assert_eq!(hint("  dropout: \"0.1\""), "write `0.1`");
    assert_eq!(hint("model: {d_model: 1_024}"), "write `1024`");
    assert_eq!(hint("model: {d_model: 1e3}"), "write `1000`");
    assert_eq!(hint("data: {path: 3}"), "put the value in quotes");
    assert_eq!(hint("data: {columns: text}"), "write `[text]`");
    assert_eq!(hint("data: {columns: 3}"), "");
    assert_eq!(hint("data: {columns: [3]}"), "put the value in quotes");
    assert_eq!(hint("  threads: 0"), "");
    assert_eq!(
        hint("  shuffle: null"),
        "leave the key out for its default `true`"
    );
    assert_eq!(
        hint("model: 3"),
        "its keys are `family`, `d_model`, `n_heads`, `vocab_size`"
    );
}

#[test]
fn numbers_have_to_be_finite() {
    for text in [".inf", "-.inf", ".nan", "0", "-1.0e-3"] {
        let error = read_with(&format!("training: {{lr: {text}}}"), &[]).expect_err(text);
        assert!(error.message().contains("out of range"), "{error}");
        assert_eq!(error.all().count(), 1, "{error}");
    }
    let error = read_with("training: {lr: 1e999}", &[]).unwrap_err();
    assert_eq!(error.all().count(), 1, "{error}");
}

#[test]
fn a_key_of_several_types_reports_the_nearest_one() {
    rejects_line(
        "  threads: 2000",
        "error: `training.threads` is out of range: 2000
  --> c.yaml:3:12
3 |   threads: 2000
  |            ^^^^ expected `auto`, or an integer from 1 to 1024",
    );
    rejects_line(
        "  threads: aut",
        "error: unknown value `aut` for `training.threads`
  --> c.yaml:3:12
3 |   threads: aut
  |            ^^^ did you mean `auto`?
hint: one of `auto`",
    );
}

#[test]
fn the_root_has_to_be_a_mapping() {
    let error = read_with("[1]", &[]).unwrap_err();
    assert_eq!(error.message(), "the config is a list");
    assert_eq!(error.all().count(), 1, "{error}");
}

#[test]
fn sets_override_the_text_and_the_last_of_equals_wins() {
    let sets = [
        ("training.lr", "0.2"),
        ("training.learning_rate", "3e-4"),
        ("model.d_model", "32"),
        ("data.path", "*.csv"),
        ("data.columns", "[a, b]"),
        ("training.threads", "auto"),
        ("training.max_grad_norm", "null"),
    ];
    let values = read_with("training: {lr: 0.1, threads: 2}", &sets).unwrap();
    assert_eq!(values.float("training.learning_rate"), Some(3e-4));
    assert_eq!(values.int("model.d_model"), Some(32));
    assert_eq!(values.str("data.path"), Some("*.csv"));
    assert_eq!(
        values.strs("data.columns"),
        Some(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(values.str("training.threads"), Some("auto"));
    assert_eq!(values.float("training.max_grad_norm"), None);
    assert_eq!(values.span_of("model.d_model"), None);
    assert!(read_with("training:", &[("training.lr", "1")]).is_ok());
}

#[test]
fn a_set_text_needs_no_quotes_where_only_text_can_be_meant() {
    let path = |value: &str| {
        let values = read_with(MINIMAL, &[("data.path", value)]).unwrap();
        values.str("data.path").map(str::to_owned)
    };
    for text in [
        "7", "true", "a: b", "@x", "[x", "C:\\data", "1e3", ">", "a #b",
    ] {
        assert_eq!(path(text).as_deref(), Some(text));
    }
    assert_eq!(path("'7'").as_deref(), Some("7"));
    assert_eq!(path(""), None);
}

#[test]
fn problems_of_sets_are_reported_at_the_set() {
    rejects(
        MINIMAL,
        &[
            ("training.dropot", "1"),
            ("model.family", "gpt3"),
            ("training", "1"),
            ("lr", "1"),
        ],
        "error: unknown key `training.dropot`: did you mean `training.dropout`?
  --> --set training.dropot=1
hint: `tenon explain config` lists every key
error: unknown value `gpt3` for `model.family`: did you mean `gpt2`?
  --> --set model.family=gpt3
hint: one of `custom`, `gpt2`, `llama`
error: `training` is a section, not a key
  --> --set training=1
hint: its keys are `learning_rate`, `dropout`, `max_grad_norm`, `threads`, `shuffle`, `betas`, \
         `phases`, `lr`
error: unknown key `lr`: did you mean `training.lr`?
  --> --set lr=1
hint: `tenon explain config` lists every key",
    );
    let error = read_with(MINIMAL, &[("model.d_model", "[1")]).unwrap_err();
    assert_eq!(error.place(), Some("--set model.d_model=[1"));
    let error = read_with(MINIMAL, &[("model.d_model", "x\u{1b}[2J")]).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn checks_of_the_caller_join_the_same_report() {
    let source = Source::new("c.yaml", "model:\n  d_model: 10\n  n_heds: 3\n");
    let mut problems = Diagnostics::default();
    let sets = [("training.lr".to_owned(), "x".to_owned())];
    let values = SCHEMA.collect(&source, &sets, &mut problems).unwrap();
    assert_eq!(
        values.float("training.learning_rate"),
        None,
        "a refused value has no default"
    );
    let (width, heads) = (values.int("model.d_model"), values.int("model.n_heads"));
    if width
        .zip(heads)
        .is_some_and(|(width, heads)| width % heads != 0)
    {
        let problem = values.problem("model.d_model", "`d_model` 10 is not divisible by 4 heads");
        problems.push(problem.hint("change `model.n_heads`"));
    }
    problems.push(values.problem("model.vocab_size", "absent, shown at its section"));
    problems.push(values.problem("data.path", "absent with its section"));
    let error = problems.into_result().unwrap_err();
    let places: Vec<_> = error.all().filter_map(crate::Error::place).collect();
    let expected = [
        "c.yaml:1:1",
        "c.yaml:2:12",
        "c.yaml:3:3",
        "--set training.lr=x",
        "c.yaml",
    ];
    assert_eq!(places, expected, "{error}");
}

#[test]
fn the_resolved_text_reads_back_the_same_and_does_not_depend_on_defaults() {
    let mut values = read(
        "training:\n  lr: 1e-9\n  max_grad_norm: null\n  phases: [{name: 'no'}]\ndata: {path: '1'}",
    );
    values.derive("model.vocab_size", Value::Int(50257));
    values.derive("model.d_model", Value::Int(128));
    let text = values.resolved_yaml();
    let expected = "model:
  family: custom
  d_model: 128
  n_heads: 4
  vocab_size: 50257
training:
  learning_rate: 1.0e-9
  dropout: 0.0
  max_grad_norm: null
  threads: auto
  shuffle: true
  phases:
    - name: \"no\"
      lora:
        rank: 8
data:
  path: \"1\"
  columns: [text]
";
    assert_eq!(text, expected);
    let back = read(&text);
    assert_eq!(back.resolved_yaml(), text);
    assert!(back.is_set("model.n_heads"));
}

#[test]
fn derive_does_not_touch_what_the_user_gave() {
    let mut values = read("model: {vocab_size: 7}\ntraining: {lr: 1}");
    values.derive("model.vocab_size", Value::Int(9));
    assert_eq!(values.int("model.vocab_size"), Some(7));
}

#[test]
#[should_panic(expected = "`model.width` is not a key of the config")]
fn an_unknown_path_is_a_mistake_of_the_program() {
    read(MINIMAL).int("model.width");
}

#[test]
#[should_panic(expected = "`model.d_model` never holds a boolean")]
fn an_impossible_type_is_a_mistake_of_the_program() {
    read(MINIMAL).bool("model.d_model");
}

#[test]
fn the_reference_has_a_row_for_every_key() {
    let text = SCHEMA.markdown();
    for key in SCHEMA.keys() {
        assert!(
            text.contains(&format!("| `{}` | ", key.path)),
            "{}",
            key.path
        );
    }
    let row = "| `training.learning_rate` | a number above 0 | required | Step size. \
               Also read as `training.lr`, `optimizer.lr`. |";
    assert!(text.contains(row), "{text}");
    assert!(
        text.contains("| `training.phases[].lora.rank` | "),
        "{text}"
    );
    assert_eq!(
        text.matches("## `").count(),
        4,
        "one heading for each section: {text}"
    );
}

#[test]
fn the_json_schema_nests_sections_and_closes_them() {
    let schema = SCHEMA.json_schema();
    assert_eq!(schema["schema_version"], 3);
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    let training = &schema["properties"]["training"];
    assert_eq!(training["additionalProperties"], false);
    assert_eq!(
        training["properties"]["learning_rate"]["exclusiveMinimum"],
        0.0
    );
    assert_eq!(
        training["properties"]["lr"]["description"],
        "Same as `training.learning_rate`."
    );
    assert_eq!(training["properties"]["dropout"]["default"], 0.0);
    assert!(
        training.get("required").is_none(),
        "an alias may stand for the required key"
    );
    let phase = &training["properties"]["phases"];
    assert_eq!(phase["type"], serde_json::json!(["array", "null"]));
    assert_eq!(phase["items"]["required"], serde_json::json!(["name"]));
    let vocabulary = &schema["properties"]["model"]["properties"]["vocab_size"];
    assert_eq!(vocabulary["type"], serde_json::json!(["integer", "null"]));
}

proptest! {
    #[test]
    fn any_text_is_values_or_an_error(text in any::<String>()) {
        let _ = read_with(&text, &[]);
    }

    #[test]
    fn any_document_of_known_and_unknown_keys_is_values_or_an_error(
        rows in prop::collection::vec(
            ("( {0,2})(model|training|data|lr|d_model|phases|name|lora|extra|x\\.y|betas)",
             "(|1|-1|0.5|null|yes|auto|\\[1\\]|\\{name: a\\}|\\[\\{name: 1\\}\\]|'x')"),
            0..12,
        ),
        set in ("[a-z._]{0,20}|training.lr|model|data.columns", any::<String>()),
    ) {
        let lines = rows.iter().map(|(key, value)| format!("{key}: {value}\n"));
        let text: String = lines.collect();
        match read_with(&text, &[(&set.0, &set.1)]) {
            Ok(values) => {
                let resolved = values.resolved_yaml();
                prop_assert_eq!(read(&resolved).resolved_yaml(), resolved);
            }
            Err(error) => prop_assert_eq!(error.kind(), Kind::Usage),
        }
    }

    #[test]
    fn any_set_of_a_string_key_is_kept_or_absent(text in any::<String>()) {
        let values = read_with(MINIMAL, &[("data.path", &text)]).unwrap();
        let path = values.str("data.path");
        // Only a pair of quotes is the empty path; nothing at all is absence.
        let quoted = text.trim_start().starts_with(['"', '\'']);
        prop_assert!(path.is_none_or(|path| quoted || path == text));
    }
}
