//! The topics that are short tables.

use serde_json::{Value, json};
use tenon_base::Kind;
use tenon_base::knobs::KNOBS;
use tenon_base::limits::LIMITS;
use tenon_records::{Direction, log};

use super::{SCHEMA_VERSION, WIDTH};
use crate::cli::edge::BUG;
use crate::table::{render, wrap};

pub(super) fn environment() -> String {
    let mut out = String::new();
    for knob in KNOBS {
        out += &format!("{}\n", knob.name);
        out += &wrap(knob.doc, "    ", WIDTH);
        out += &format!("    {}; default: {}\n\n", knob.values, knob.default);
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

pub(super) fn environment_json() -> Value {
    let rows: Vec<Value> = KNOBS
        .iter()
        .map(|knob| {
            json!({
                "name": knob.name,
                "values": knob.values,
                "default": knob.default,
                "about": knob.doc,
            })
        })
        .collect();
    json!({"schema_version": SCHEMA_VERSION, "environment": rows})
}

pub(super) fn limits() -> String {
    let rows = LIMITS.iter().map(|limit| {
        let doc = limit.doc.trim().trim_end_matches('.');
        [
            limit.name.to_owned(),
            limit.value.to_string(),
            doc.to_owned(),
        ]
    });
    render(["limit", "largest", "of"], rows)
}

pub(super) fn limits_json() -> Value {
    let rows: Vec<Value> = LIMITS
        .iter()
        .map(|limit| {
            let about = limit.doc.trim();
            json!({"name": limit.name, "value": limit.value, "about": about})
        })
        .collect();
    json!({"schema_version": SCHEMA_VERSION, "limits": rows})
}

/// Code, name of the kind and meaning.
fn exits() -> Vec<(u8, &'static str, &'static str)> {
    let of = |kind: Kind, doc| (kind.exit_code(), kind.name(), doc);
    vec![
        (0, "done", "done, and nothing judged bad"),
        of(
            Kind::Judged,
            "judged bad: a failed check, gate or comparison; training aborted on NaN",
        ),
        of(
            Kind::Usage,
            "usage or configuration: an unknown key, a bad value, a run name that is taken",
        ),
        of(
            Kind::Data,
            "data or checkpoint content: a wrong column, a mismatch, a truncated file",
        ),
        of(Kind::Io, "input or output: disk full, read-only, network"),
        (BUG, "bug", "a bug in the program"),
        of(
            Kind::Interrupted,
            "interrupted by Ctrl-C, after the checkpoint was saved",
        ),
    ]
}

pub(super) fn exit_codes() -> String {
    let rows = exits()
        .into_iter()
        .map(|(code, kind, doc)| [code.to_string(), kind.to_owned(), doc.to_owned()]);
    render(["code", "kind", "meaning"], rows)
}

pub(super) fn exit_codes_json() -> Value {
    let rows: Vec<Value> = exits()
        .into_iter()
        .map(|(code, kind, doc)| json!({"code": code, "kind": kind, "about": doc}))
        .collect();
    json!({"schema_version": SCHEMA_VERSION, "exit_codes": rows})
}

/// What training and evaluation of language models record.
pub(super) const METRICS: &[(&str, &str)] = &[
    (
        "loss",
        "mean negative log-likelihood of what is told, in nats; of numbers `mse`",
    ),
    ("perplexity", "e to the loss"),
    (
        "bits_per_byte",
        "negative log-likelihood in bits over the bytes of the counted text",
    ),
    ("bits_per_token", "loss in bits"),
    (
        "accuracy",
        "part of the counted tokens or sequences whose likeliest class is right",
    ),
    (
        "f1_macro",
        "mean of `f1` over classes right or told somewhere, or over all labels",
    ),
    ("f1_micro", "`f1` over the answers of all labels together"),
    (
        "f1",
        "harmonic mean of precision and recall; of a label never met 0",
    ),
    ("matthews_corrcoef", "correlation of right and told classes"),
    ("mse", "mean squared error of numbers"),
    (
        "pearson",
        "correlation of right and told numbers, the mean over columns",
    ),
    ("spearman", "the same of their ranks"),
    (
        "grad_norm",
        "norm of all gradients together, before clipping",
    ),
    ("learning_rate", "learning rate of the step"),
    ("tokens", "loss tokens since the start of the run"),
    ("tokens_per_second", "loss tokens of the step over its time"),
];

/// `lower`, `higher`, or nothing for what is no judgement.
fn better(metric: &str) -> Option<&'static str> {
    Direction::of(metric).ok().map(Direction::name)
}

pub(super) fn metrics() -> String {
    let rows = METRICS.iter().map(|(name, doc)| {
        let better = better(name).unwrap_or("–");
        [(*name).to_owned(), better.to_owned(), (*doc).to_owned()]
    });
    let table = render(["metric", "better", "what it is"], rows);
    let rule = "Every mean is a sum over counted tokens divided by their number, never a mean of \
                means. What was not measured is absent, never 0.";
    format!("{table}\n{}", wrap(rule, "", WIDTH))
}

pub(super) fn metrics_json() -> Value {
    let rows: Vec<Value> = METRICS
        .iter()
        .map(|(name, doc)| json!({"name": name, "better": better(name), "about": doc}))
        .collect();
    json!({"schema_version": SCHEMA_VERSION, "metrics": rows})
}

/// Name and shape of what programs read.
fn documents() -> Vec<(&'static str, String)> {
    let error = "{\"schema_version\", \"error\": {\"kind\", \"message\", \"where\", \"hint\"}}; \
                 `where` and `hint` may be null; several problems stand in `error.others`";
    let keys: Vec<String> = log::KEYS.iter().map(|key| format!("`{key}`")).collect();
    let log = format!(
        "one object a line with {}; null where not measured",
        keys.join(", ")
    );
    let runs = "{\"schema_version\", \"runs\": [{…, \"series\": […]}]}";
    let best = "{\"schema_version\", \"split\", \"metric\", \"best\": {\"run\", \"at\", \
                \"direction\"} or null}";
    let eval = "{\"schema_version\", \"model\", \"data\": {\"source\", \"split\", \"documents\", \
                \"layout\", \"max_length\", \"batch_size\", \"tokenizer\"}, \"loss\", \
                \"perplexity\", \"top1_accuracy\", \"top5_accuracy\", \"bits_per_byte\", \
                \"tokens\", \"bytes\", \"batches\"}; with `--generate` also `samples`; of a \
                head its metrics, \"counted\" and \"of_each\": [{\"label\", \
                \"f1\", \"support\"}], of numbers [{\"label\", \"mse\", \"pearson\", \
                \"spearman\"}], instead of those of tokens";
    let generate = "{\"schema_version\", \"model\", \"generations\": [{\"prompt\", \"text\", \
                    \"tokens\", \"reason\": eos, stopped, length or context_full, \
                    \"logprobs\": nats of each token}]}";
    let predict = "{\"schema_version\", \"out\", \"dtype\", \"tokens\", \"sequences\", \"loss\", \
                   \"loss_tokens\", \"outputs\": [{\"name\", \"shape\"}], \"dropped\", \
                   \"widened\"}; the tensors stand in `--out`; with `--task head` {…, \
                   \"problem_type\", \"labels\", \"sequences\", \"rows\": [{\"sequence\", \
                   \"label\", \"values\"}]}: of tokens also \"position\" and \"token\", of \
                   several labels the list \"labels\", of numbers no label";
    let contacts = "{\"schema_version\", \"out\", \"dtype\", \"maps\": [{\"id\", \"residues\", \
                    \"picture\"}]}; the tensors stand in `out`";
    let inspect = "{\"schema_version\", \"family\", \"parameters\", \"groups\", \"layers\", \
                   \"batch\", \"dtype\", \"flops\", \"memory\", \"tenants\"}; with `--plan` also \
                   `plan`; memory in bytes";
    let gradcheck = "{\"schema_version\", \"passed\", \"relative_error_max\", \"loss\", \
                     \"worst\", \"untried\", \"tensors\": [{\"name\", \"analytic\", \
                     \"numeric\", \"relative_error\", \"numeric_error\", \"verdict\": agrees, \
                     zero or differs}]}";
    let fetch = "{\"schema_version\", \"repo\", \"revision\", \"commit\", \"path\", \
                 \"files\": [{\"name\", \"bytes\", \"etag\", \"sha256\", \"reused\"}]}; \
                 `sha256` is null where the hub tells another hash, `etag` where it is not known";
    vec![
        ("any failure with --json", error.to_owned()),
        ("tenon eval --json", eval.to_owned()),
        ("tenon generate --json", generate.to_owned()),
        ("tenon predict --json", predict.to_owned()),
        ("tenon contacts --json", contacts.to_owned()),
        ("tenon inspect --json", inspect.to_owned()),
        ("tenon gradcheck --json", gradcheck.to_owned()),
        ("tenon fetch hub --json", fetch.to_owned()),
        ("RUN/metrics.jsonl", log),
        ("tenon runs ls --json", runs.to_owned()),
        ("tenon runs best --json", best.to_owned()),
        (
            "tenon explain config --json",
            "JSON schema of a configuration, draft 2020-12".to_owned(),
        ),
    ]
}

pub(super) fn formats() -> String {
    let rule = "With `--json`, a command writes exactly one JSON document to stdout, also when it \
                fails; talk goes to stderr. `schema_version` grows when a key changes its meaning \
                or goes; new keys may appear at any time.";
    let mut out = wrap(rule, "", WIDTH);
    for (name, shape) in documents() {
        out += &format!("\n{name}\n{}", wrap(&shape, "    ", WIDTH));
    }
    out
}

pub(super) fn formats_json() -> Value {
    let rows: Vec<Value> = documents()
        .into_iter()
        .map(|(name, shape)| json!({"name": name, "shape": shape}))
        .collect();
    json!({"schema_version": SCHEMA_VERSION, "documents": rows})
}
