//! `metrics.jsonl`: every way a line can lie, torn ends, and continuing.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_records::Split;
use tenon_records::log::{KEYS, LogRow, MetricsLog, line, read};

fn row(step: u64) -> LogRow {
    LogRow {
        step,
        epoch: Some(0.5),
        split: Split::Train,
        loss: Some(2.25),
        learning_rate: Some(1e-3),
        grad_norm: None,
        tokens: Some(4096),
        tokens_per_second: None,
    }
}

fn text_of(rows: &[LogRow]) -> String {
    rows.iter().map(line).collect()
}

#[test]
fn a_line_has_all_keys_in_order() {
    let expected = "{\"step\":7,\"epoch\":0.5,\"split\":\"train\",\"loss\":2.25,\
        \"learning_rate\":0.001,\"grad_norm\":null,\"tokens\":4096,\"tokens_per_second\":null}\n";
    assert_eq!(line(&row(7)), expected);
}

#[test]
fn a_loss_that_is_not_a_number_is_null() {
    for loss in [f64::NAN, f64::INFINITY] {
        let text = line(&LogRow {
            loss: Some(loss),
            ..row(1)
        });
        assert!(text.contains("\"loss\":null"), "{text}");
    }
}

/// Replaces one value of a good line and reads it as the second of three.
fn reason(from: &str, to: &str) -> String {
    let good = line(&row(1));
    assert!(good.contains(from), "{good}");
    let text = format!("{good}{}{good}", good.replace(from, to));
    let error = read(text.as_bytes(), Path::new("m.jsonl")).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(error.place(), Some("m.jsonl:2"));
    error.message().to_string()
}

#[test]
fn each_way_a_line_can_lie() {
    assert_eq!(
        reason("\"loss\"", "\"los\""),
        "unknown key `los`; did you mean `loss`?"
    );
    assert_eq!(
        reason(",\"tokens\":4096", ""),
        "the key `tokens` is missing"
    );
    assert_eq!(reason("\"step\":1", "\"step\":null"), "`step` is null");
    let whole = "not a whole number from 0";
    assert_eq!(
        reason("\"step\":1", "\"step\":-1"),
        format!("`step` is -1, {whole}")
    );
    assert_eq!(
        reason("\"step\":1", "\"step\":1.5"),
        format!("`step` is 1.5, {whole}")
    );
    assert_eq!(reason("4096", "true"), format!("`tokens` is true, {whole}"));
    assert_eq!(
        reason("2.25", "\"x\""),
        "`loss` is \"x\", neither a number nor null"
    );
    assert_eq!(reason("\"train\"", "\"dev\""), "unknown split `dev`");
    assert_eq!(reason("\"train\"", "3"), "`split` is 3, not a name");
    assert!(reason("2.25", "NaN").starts_with("the line is no JSON object"));
    assert!(reason("2.25", "1e999").starts_with("the line is no JSON object"));
    assert!(reason("{", "").starts_with("the line is no JSON object"));
    assert!(reason("{", "\n{").starts_with("the line is no JSON object"));
    assert!(reason("}", "}}").starts_with("the line is no JSON object"));
}

#[test]
fn a_line_that_is_not_utf8() {
    let mut bytes = line(&row(1)).into_bytes();
    bytes.extend(b"\xff\xfe\n");
    let error = read(&bytes, Path::new("m.jsonl")).unwrap_err();
    assert_eq!(error.message(), "the line is not UTF-8");
}

#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_lines() {
    let rows: Vec<LogRow> = (1..=3).map(row).collect();
    let text = text_of(&rows);
    for n in 0..text.len() {
        let cut = &text.as_bytes()[..n];
        let found = read(cut, Path::new("m.jsonl")).unwrap();
        assert!(rows.starts_with(&found.rows), "cut at {n}");
        let whole_lines = cut.iter().filter(|&&b| b == b'\n').count();
        let dropped = n - text_of(&found.rows).len().min(n);
        assert!(found.rows.len() >= whole_lines, "cut at {n}");
        assert_eq!(
            found.torn.map_or(0, |torn| torn.bytes),
            dropped,
            "cut at {n}"
        );
    }
}

#[test]
fn opening_repairs_a_torn_end_so_that_the_next_line_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let whole = text_of(&[row(1), row(2)]);
    // One byte short: the line is complete but for its end, so it is kept.
    for (cut, kept) in [(whole.len() - 1, 2), (whole.len() - 2, 1), (whole.len(), 2)] {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut log = MetricsLog::open(&RealDisk, &path).unwrap();
        assert_eq!(log.rows().len(), kept);
        assert_eq!(log.torn().is_some(), kept == 1);
        log.append(row(3)).unwrap();
        let again = MetricsLog::open(&RealDisk, &path).unwrap();
        assert_eq!(again.torn(), None);
        assert_eq!(again.rows().len(), kept + 1);
        assert_eq!(again.rows(), log.rows());
    }
}

#[test]
fn continuing_cuts_to_the_checkpoint_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = MetricsLog::open(&RealDisk, &path).unwrap();
    log.sync().unwrap();
    assert!(!path.exists(), "an empty log is no file");
    for step in [1, 2, 4, 3, 5] {
        log.append(row(step)).unwrap();
    }
    assert_eq!(log.truncate_to_step(9).unwrap(), 0);
    assert_eq!(log.truncate_to_step(3).unwrap(), 2);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        text_of(&[row(1), row(2), row(3)])
    );
    log.append(row(4)).unwrap();
    log.sync().unwrap();
    assert_eq!(MetricsLog::open(&RealDisk, &path).unwrap().rows().len(), 4);
    assert_eq!(log.truncate_to_step(0).unwrap(), 4);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_strange_line_is_not_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    fs::write(&path, "hello\n").unwrap();
    assert_eq!(
        MetricsLog::open(&RealDisk, &path).unwrap_err().kind(),
        Kind::Data
    );
    assert_eq!(fs::read(&path).unwrap(), b"hello\n");
}

fn any_number() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(any::<f64>().prop_filter("finite", |x| x.is_finite()))
}

prop_compose! {
    fn any_row()(
        step in any::<u64>(),
        split in proptest::sample::select(&Split::ALL[..]),
        numbers in [any_number(), any_number(), any_number(), any_number(), any_number()],
        tokens in proptest::option::of(any::<u64>()),
    ) -> LogRow {
        let [epoch, loss, learning_rate, grad_norm, tokens_per_second] = numbers;
        LogRow { step, epoch, split, loss, learning_rate, grad_norm, tokens, tokens_per_second }
    }
}

proptest! {
    #[test]
    fn rows_come_back_to_the_bit(rows in proptest::collection::vec(any_row(), 0..20)) {
        let found = read(text_of(&rows).as_bytes(), Path::new("m.jsonl")).unwrap();
        prop_assert_eq!(found.torn, None);
        prop_assert_eq!(format!("{:?}", found.rows), format!("{rows:?}"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = read(&bytes, Path::new("m.jsonl")) {
            prop_assert_eq!(error.kind(), Kind::Data);
        }
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(at in 0usize..200, byte in any::<u8>()) {
        let mut bytes = text_of(&[row(1), row(2)]).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        match read(&bytes, Path::new("m.jsonl")) {
            Ok(found) => prop_assert!(found.rows.len() <= 2),
            Err(error) => prop_assert_eq!(error.kind(), Kind::Data),
        }
    }
}

#[test]
fn keys_are_the_documented_ones() {
    assert_eq!(KEYS.len(), 8);
    let document: serde_json::Value = serde_json::from_str(&line(&row(1))).unwrap();
    let keys: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, KEYS);
}
