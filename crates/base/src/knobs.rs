//! Environment variables: the only place that reads them, listed by `tenon explain environment`.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::limits::THREADS_MAX;
use crate::{Error, Result, suggest};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The variable's name.
    pub name: &'static str,
    /// What it may hold.
    pub values: &'static str,
    /// What happens when it is absent.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// Every environment variable that the program reads, in the order of the documentation.
pub const KNOBS: &[Knob] = &[
    Knob {
        name: "TENON_THREADS",
        values: "1 to 1024",
        default: "all cores",
        doc: "Number of threads for computation. Results do not depend on it.",
    },
    Knob {
        name: "TENON_ISA",
        values: "scalar, avx2, avx512",
        default: "the best that the processor has",
        doc: "Forces a lower instruction set, to reproduce results of another machine.",
    },
    Knob {
        name: "TENON_DATA",
        values: "a folder",
        default: "named data sets are downloaded",
        doc: "Folder in which named data sets are looked for before anything is downloaded.",
    },
    Knob {
        name: "HF_HOME",
        values: "a folder",
        default: "`huggingface` in the user's cache folder",
        doc: "Where the model hub's files are kept, shared with the hub's own tools.",
    },
    Knob {
        name: "HF_ENDPOINT",
        values: "a URL",
        default: "https://huggingface.co",
        doc: "The model hub, or a mirror of it.",
    },
    Knob {
        name: "HF_TOKEN",
        values: "a token",
        default: "no authentication",
        doc: "Token for gated or private files of the model hub. Never printed or stored.",
    },
    Knob {
        name: "NO_COLOR",
        values: "anything but the empty string",
        default: "colour on a terminal",
        doc: "Switches colour off.",
    },
];

/// Instruction sets that `TENON_ISA` can force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, no vector intrinsics.
    Scalar,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
}

impl Isa {
    /// Every instruction set, lowest first.
    pub const ALL: [Isa; 3] = [Isa::Scalar, Isa::Avx2, Isa::Avx512];

    /// The name in `TENON_ISA` and in documents.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

/// A text that debug output does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for a request header and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The environment variables, parsed. `None` where a variable is absent or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `TENON_THREADS`.
    pub threads: Option<NonZeroUsize>,
    /// `TENON_ISA`.
    pub isa: Option<Isa>,
    /// `TENON_DATA`.
    pub data: Option<PathBuf>,
    /// `HF_HOME`, or where the hub's own tools would look: `huggingface` in `$XDG_CACHE_HOME` or
    /// `~/.cache`.
    pub hub_home: Option<PathBuf>,
    /// `HF_ENDPOINT` without a slash at its end.
    pub hub_endpoint: Option<String>,
    /// `HF_TOKEN`.
    pub hub_token: Option<Secret>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
}

impl Environment {
    /// Reads the variables of the process.
    ///
    /// # Errors
    /// `Usage`, naming the variable, its value and what it may hold.
    pub fn of_process() -> Result<Environment> {
        Self::read(&|name| std::env::var_os(name))
    }

    /// Reads the variables from any source; the tests' way in.
    pub fn read(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Environment> {
        let text = |name| text(lookup, name);
        let path = |name| {
            lookup(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache =
            || path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
        Ok(Environment {
            threads: text("TENON_THREADS")?
                .map(|v| parse_threads(&v))
                .transpose()?,
            isa: text("TENON_ISA")?.map(|v| parse_isa(&v)).transpose()?,
            data: path("TENON_DATA"),
            hub_home: path("HF_HOME").or_else(|| cache().map(|dir| dir.join("huggingface"))),
            hub_endpoint: text("HF_ENDPOINT")?
                .map(|v| parse_endpoint(&v))
                .transpose()?,
            hub_token: text("HF_TOKEN")?.map(|v| Secret(v.trim().to_owned())),
            no_color: lookup("NO_COLOR").is_some_and(|value| !value.is_empty()),
        })
    }
}

fn text(lookup: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Result<Option<String>> {
    match lookup(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value
            .into_string()
            .map(Some)
            .map_err(|_| Error::usage(format!("`{name}` is not UTF-8")).at("environment")),
    }
}

fn rejected(name: &str, value: &str, hint: String) -> Error {
    Error::usage(format!("`{name}` cannot be `{value}`"))
        .at("environment")
        .hint(hint)
}

fn parse_threads(value: &str) -> Result<NonZeroUsize> {
    let parsed = value.trim().parse::<NonZeroUsize>().ok();
    parsed
        .filter(|n| n.get() as u64 <= THREADS_MAX)
        .ok_or_else(|| {
            rejected(
                "TENON_THREADS",
                value,
                format!("set a number from 1 to {THREADS_MAX}, or unset it to use all cores"),
            )
        })
}

fn parse_isa(value: &str) -> Result<Isa> {
    if let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name() == value) {
        return Ok(isa);
    }
    let hint = match suggest::nearest(value, Isa::ALL.map(Isa::name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "set `scalar`, `avx2` or `avx512`, or unset it".to_owned(),
    };
    Err(rejected("TENON_ISA", value, hint))
}

fn parse_endpoint(value: &str) -> Result<String> {
    let url = value.trim().trim_end_matches('/');
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(url.to_owned()),
        _ => Err(rejected(
            "HF_ENDPOINT",
            value,
            "set a URL that begins with `https://` or `http://`".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment> {
        Environment::read(&|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn absent_and_empty_variables_are_none() {
        let empty: Vec<(&str, &str)> = KNOBS.iter().map(|knob| (knob.name, "")).collect();
        let environment = read(&[]).unwrap();
        assert_eq!(environment, read(&empty).unwrap());
        assert_eq!(environment.threads, None);
        assert_eq!(environment.hub_home, None);
        assert!(!environment.no_color);
    }

    #[test]
    fn values_are_typed() {
        let environment = read(&[
            ("TENON_THREADS", "8"),
            ("TENON_ISA", "avx2"),
            ("TENON_DATA", "/data"),
            ("HF_ENDPOINT", "https://mirror.example/"),
            ("NO_COLOR", "1"),
        ]);
        let environment = environment.unwrap();
        assert_eq!(environment.threads.map(NonZeroUsize::get), Some(8));
        assert_eq!(environment.isa, Some(Isa::Avx2));
        assert_eq!(environment.data, Some(PathBuf::from("/data")));
        assert_eq!(
            environment.hub_endpoint.as_deref(),
            Some("https://mirror.example")
        );
        assert!(environment.no_color);
    }

    #[test]
    fn bad_values_are_usage_errors_that_say_what_is_allowed() {
        let cases = [
            ("TENON_THREADS", "0", "1 to 1024"),
            ("TENON_THREADS", "-2", "1 to 1024"),
            ("TENON_THREADS", "1025", "1 to 1024"),
            ("TENON_THREADS", "four", "all cores"),
            ("TENON_ISA", "avx", "did you mean `avx2`?"),
            ("TENON_ISA", "sse", "`scalar`, `avx2` or `avx512`"),
            ("HF_ENDPOINT", "mirror.example", "https://"),
            ("HF_ENDPOINT", "https://", "https://"),
        ];
        for (name, value, hint) in cases {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage);
            assert!(error.message().contains(name), "{error}");
            assert!(
                error.hint_text().is_some_and(|text| text.contains(hint)),
                "{error}"
            );
        }
    }

    #[test]
    fn the_hub_folder_follows_the_hubs_own_order() {
        let home = |pairs: &[(&str, &str)]| read(pairs).unwrap().hub_home;
        let user = ("HOME", "/u");
        assert_eq!(home(&[user]), Some(PathBuf::from("/u/.cache/huggingface")));
        assert_eq!(
            home(&[user, ("XDG_CACHE_HOME", "/c")]),
            Some("/c/huggingface".into())
        );
        let all = [user, ("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")];
        assert_eq!(home(&all), Some("/h".into()));
    }

    #[test]
    fn the_token_does_not_show_in_debug_output() {
        let environment = read(&[("HF_TOKEN", "hf_abc\n")]).unwrap();
        assert!(!format!("{environment:?}").contains("hf_abc"));
        assert_eq!(
            environment.hub_token.as_ref().map(Secret::reveal),
            Some("hf_abc")
        );
    }

    #[test]
    fn every_knob_is_documented_once() {
        for (row, knob) in KNOBS.iter().enumerate() {
            assert!(knob.doc.ends_with('.'), "{}", knob.name);
            assert!(
                !knob.values.is_empty() && !knob.default.is_empty(),
                "{}",
                knob.name
            );
            assert!(
                KNOBS[..row].iter().all(|other| other.name != knob.name),
                "{}",
                knob.name
            );
        }
        let isa = KNOBS
            .iter()
            .find(|knob| knob.name == "TENON_ISA")
            .map(|knob| knob.values);
        assert_eq!(isa, Some(Isa::ALL.map(Isa::name).join(", ").as_str()));
    }
}
