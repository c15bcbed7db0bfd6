//! `report.md`: what a run was, what came of it, how to go on.

use std::fmt::Write as _;

use tenon_models::spec::Objective;
use tenon_records::{At, Direction, Input, Run, Split, Summary};

/// A sample of what the model writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What it was given.
    pub prompt: String,
    /// What it went on with.
    pub continuation: String,
}

/// Everything that a report tells. Whatever is `None` or empty is left out of it.
#[derive(Clone, Debug)]
pub struct ReportFacts {
    /// The run.
    pub run: Run,
    /// Seconds of training.
    pub seconds: Option<f64>,
    /// Lines of the configuration worth reading: dotted key and value.
    pub config: Vec<(String, String)>,
    /// What the model tells: losses of tokens have a perplexity, and commands follow from it.
    pub objective: Objective,
    /// Lines about the model: layers, widths, parameters.
    pub model: Vec<(String, String)>,
    /// Lines about the data: sets, rows, tokens, what was truncated or dropped.
    pub data: Vec<(String, String)>,
    /// All series of the run.
    pub summaries: Vec<Summary>,
    /// Loss tokens trained on.
    pub tokens: Option<u64>,
    /// Mean throughput.
    pub tokens_per_second: Option<f64>,
    /// Files of the plots, relative to the report; of two formats of one plot, the first is shown.
    pub plots: Vec<String>,
    /// What the model writes.
    pub samples: Vec<Sample>,
    /// What the run was made from.
    pub inputs: Vec<Input>,
    /// The configuration file, for the commands at the end.
    pub config_path: Option<String>,
}

/// The report as Markdown.
pub fn render(facts: &ReportFacts) -> String {
    let run = &facts.run;
    let mut out = format!("# {}\n\n", escape(&run.name));
    out += &outcome(facts);
    out += &results(facts);
    out += &plots(&facts.plots);
    out += &pairs("Model", &facts.model);
    out += &pairs("Data", &facts.data);
    out += &pairs("Configuration", &facts.config);
    out += &samples(&facts.samples);
    out += &lineage(&facts.inputs);
    out += &reproduction(run);
    out += &continuation(facts);
    out
}

fn outcome(facts: &ReportFacts) -> String {
    let run = &facts.run;
    let mut out = format!("Status: **{}**", run.status.name());
    if let Some(error) = &run.error {
        let _ = write!(out, " ({})", escape(error));
    }
    let _ = write!(out, ". Started {}", escape(&run.created_utc));
    if let Some(finished) = &run.finished_utc {
        let _ = write!(out, ", ended {}", escape(finished));
    }
    out += ".";
    if let Some(seconds) = facts.seconds {
        let _ = write!(out, " Training took {}", duration(seconds));
        if let (Some(tokens), Some(rate)) = (facts.tokens, facts.tokens_per_second) {
            let _ = write!(out, ": {} tokens at {rate:.0} tokens/s", grouped(tokens));
        }
        out += ".";
    }
    out + "\n\n"
}

/// The metrics that have a best value; losses of tokens with their perplexity.
fn results(facts: &ReportFacts) -> String {
    let judged: Vec<&Summary> = facts
        .summaries
        .iter()
        .filter(|s| Direction::of(&s.name).is_ok() && s.name != "tokens_per_second")
        .collect();
    if judged.is_empty() {
        return "## Results\n\nNo metric was recorded.\n\n".to_string();
    }
    let mut out = "## Results\n\n| metric | first | last | best | at step |\n\
        |---|---:|---:|---:|---:|\n"
        .to_string();
    for s in &judged {
        let name = format!("{} {}", s.split.name(), escape(&s.name.replace('_', " ")));
        let _ = writeln!(out, "| {name} {}", cells(s, f64::from));
        let is_kept = judged
            .iter()
            .any(|t| t.split == s.split && t.name == "perplexity");
        let tells_tokens = matches!(facts.objective, Objective::Causal | Objective::Masked);
        if s.name == "loss" && !is_kept && tells_tokens {
            let _ = writeln!(
                out,
                "| {} perplexity {}",
                s.split.name(),
                cells(s, f64::exp)
            );
        }
    }
    let validated = judged
        .iter()
        .any(|s| s.split == Split::Validation && s.lowest.is_some());
    if !validated {
        out += "\nNothing was measured on held-out data: these numbers do not show how the model \
            does on new text.\n";
    }
    out + "\n"
}

fn cells(s: &Summary, shown: impl Fn(f64) -> f64) -> String {
    let best: Option<At> = s.best();
    let [first, last] = [s.first, s.last].map(|at| number(shown(at.value)));
    let value = best.map_or("–".to_string(), |at| number(shown(at.value)));
    let step = best.map_or("–".to_string(), |at| at.step.to_string());
    format!("| {first} | {last} | {value} | {step} |")
}

fn plots(files: &[String]) -> String {
    let stem = |file: &str| {
        file.rsplit_once('.')
            .map_or(file, |(stem, _)| stem)
            .to_string()
    };
    let mut shown: Vec<String> = Vec::new();
    let mut out = String::new();
    for file in files {
        let stem = stem(file);
        if shown.contains(&stem) {
            continue;
        }
        let name = stem.rsplit('/').next().unwrap_or(&stem).replace('_', " ");
        let _ = writeln!(out, "![{}](<{}>)\n", escape(&name), link(file));
        shown.push(stem);
    }
    match out.is_empty() {
        true => out,
        false => format!("## Curves\n\n{out}"),
    }
}

fn pairs(title: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("## {title}\n\n| | |\n|---|---|\n");
    for (key, value) in rows {
        let _ = writeln!(out, "| {} | {} |", escape(key), escape(value));
    }
    out + "\n"
}

fn samples(samples: &[Sample]) -> String {
    let mut out = String::new();
    for (n, sample) in samples.iter().enumerate() {
        let text = format!("{}{}", sample.prompt, sample.continuation);
        let prompt = escape(&sample.prompt);
        let _ = writeln!(
            out,
            "Sample {}, prompt “{prompt}”:\n\n{}",
            n + 1,
            fenced("text", &text)
        );
    }
    match out.is_empty() {
        true => out,
        false => format!("## What it writes\n\n{out}"),
    }
}

fn lineage(inputs: &[Input]) -> String {
    if inputs.is_empty() {
        return String::new();
    }
    let mut out = "## Made from\n\n| what | which | SHA-256 |\n|---|---|---|\n".to_string();
    for input in inputs {
        let kind = input.kind.name().replace('_', " ");
        let hash = input.sha256.as_deref().unwrap_or("not hashed");
        let _ = writeln!(
            out,
            "| {kind} | {} | {} |",
            escape(&input.source),
            escape(hash)
        );
    }
    out + "\n"
}

fn reproduction(run: &Run) -> String {
    format!(
        "## Made with\n\nVersion {}, seed {}, `{}` kernels, {} threads. The same version, \
        configuration, data and kernels give the same bits with any number of threads.\n\n",
        escape(&run.version),
        run.seed,
        run.isa.replace('`', ""),
        run.threads
    )
}

fn continuation(facts: &ReportFacts) -> String {
    let run = &facts.run;
    let model = shell(&format!("{}/model", run.dir));
    let mut commands = format!("tenon runs show {}\n", shell(&run.name));
    if let Some(config) = &facts.config_path {
        let (config, name) = (shell(config), shell(&run.name));
        let _ = writeln!(
            commands,
            "tenon train {config} --name {name} --resume latest"
        );
    }
    let use_of_it = match facts.objective {
        Objective::Causal => format!("tenon generate {model} --prompt 'Once upon a time'"),
        Objective::Masked => {
            let out = "--out embeddings.safetensors";
            format!("tenon predict {model} --task embed --data texts.txt {out}")
        }
        Objective::Sequence { .. } | Objective::Token { .. } => {
            format!("tenon predict {model} --task head --data texts.txt --out told.tsv")
        }
    };
    let _ = writeln!(commands, "{use_of_it}\ntenon eval {model}");
    format!("## Go on\n\n{}", fenced("sh", &commands))
}

/// Text as Markdown text: on one line, with everything that has a meaning there escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '$' | '>' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// The target of a link between angle brackets.
fn link(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A code block whose fence is longer than any run of backticks inside. Control characters other
/// than line ends and tabs are shown as U+FFFD.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let shown: String = text
        .chars()
        .map(|c| {
            if c.is_control() && !"\n\t".contains(c) {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect();
    format!(
        "{fence}{language}\n{}\n{fence}\n",
        shown.trim_end_matches('\n')
    )
}

/// A word for a POSIX shell.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn number(x: f64) -> String {
    match x.abs() {
        _ if !x.is_finite() => "not finite".to_string(),
        0.0 => "0".to_string(),
        size if !(1e-3..1e6).contains(&size) => format!("{x:.3e}"),
        size if size < 100.0 => format!("{x:.4}"),
        _ => format!("{x:.1}"),
    }
}

/// Whole numbers with commas between groups of three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes) = (whole / 3600, whole % 3600 / 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds:.1} s"),
        (0, minutes) => format!("{minutes} min {} s", whole % 60),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
