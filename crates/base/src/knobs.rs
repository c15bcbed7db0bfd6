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
        default: "`assets/datasets` alone",
        doc: "Folder in which named data sets are looked for first.",
    },
    Knob {
        name: "HF_HOME",
        values: "a folder",
        default: "`huggingface` in the user's cache folder",
        doc: "Where the model hub's files are kept, shared with the hub's own tools.",
    },
    Knob {
        name: "HF_HUB_CACHE",
        values: "a folder",
        default: "`hub` in `HF_HOME`",
        doc: "Where the repositories of the model hub are kept.",
    },
    Knob {
        name: "HF_HUB_OFFLINE",
        values: "1, on, yes, true; 0, off, no, false",
        default: "0",
        doc: "Switches the network off: only what is kept already is found.",
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
        default: "what the file `token` in `HF_HOME` holds, or no authentication",
        doc: "Token for gated or private files of the model hub. Never printed or stored, and sent \
              to the hub alone.",
    },
    Knob {
        name: "HTTPS_PROXY",
        values: "a URL such as `http://proxy:3128` or `socks5://proxy:1080`",
        default: "`https_proxy`, `ALL_PROXY`, `all_proxy`, or a direct connection",
        doc: "Proxy on the way to a hub whose URL begins with `https://`.",
    },
    Knob {
        name: "HTTP_PROXY",
        values: "a URL such as `http://proxy:3128` or `socks5://proxy:1080`",
        default: "`http_proxy`, `ALL_PROXY`, `all_proxy`, or a direct connection",
        doc: "Proxy on the way to a hub whose URL begins with `http://`.",
    },
    Knob {
        name: "NO_PROXY",
        values: "hosts with commas between them; `.example.org` means all below it",
        default: "`no_proxy`, or no host",
        doc: "Hosts that are reached without a proxy.",
    },
    Knob {
        name: "SSL_CERT_FILE",
        values: "a PEM file",
        default: "the certificate authorities that Mozilla trusts",
        doc: "Certificate authorities to trust, for hubs and proxies of an organisation.",
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
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

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
    /// `HF_HUB_CACHE`, or `hub` in [`Environment::hub_home`].
    pub hub_cache: Option<PathBuf>,
    /// `HF_HUB_OFFLINE`.
    pub hub_offline: bool,
    /// `HF_ENDPOINT` without a slash at its end.
    pub hub_endpoint: Option<String>,
    /// `HF_TOKEN`.
    pub hub_token: Option<Secret>,
    /// `HTTPS_PROXY` or what stands for it; secret, since it may hold a password.
    pub https_proxy: Option<Secret>,
    /// `HTTP_PROXY` or what stands for it.
    pub http_proxy: Option<Secret>,
    /// The hosts of `NO_PROXY`.
    pub no_proxy: Vec<String>,
    /// `SSL_CERT_FILE`.
    pub certificates: Option<PathBuf>,
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
        let text = |name: &str| text(lookup, name);
        let path = |name| {
            lookup(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache =
            || path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
        let hub_home = path("HF_HOME").or_else(|| cache().map(|dir| dir.join("huggingface")));
        let in_home = || hub_home.as_ref().map(|home| home.join("hub"));
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| text(name).transpose());
            found.transpose()
        };
        let proxy = |names: [&str; 2]| {
            let names = [&names[..], &["ALL_PROXY", "all_proxy"]].concat();
            Ok::<_, Error>(first(&names)?.map(Secret))
        };
        Ok(Environment {
            threads: text("TENON_THREADS")?
                .map(|v| parse_threads(&v))
                .transpose()?,
            isa: text("TENON_ISA")?.map(|v| parse_isa(&v)).transpose()?,
            data: path("TENON_DATA"),
            hub_cache: path("HF_HUB_CACHE").or_else(in_home),
            hub_offline: match text("HF_HUB_OFFLINE")? {
                Some(value) => parse_switch("HF_HUB_OFFLINE", &value)?,
                None => false,
            },
            hub_endpoint: text("HF_ENDPOINT")?
                .map(|v| parse_endpoint(&v))
                .transpose()?,
            hub_token: text("HF_TOKEN")?.map(|v| Secret(v.trim().to_owned())),
            https_proxy: proxy(["HTTPS_PROXY", "https_proxy"])?,
            http_proxy: proxy(["HTTP_PROXY", "http_proxy"])?,
            no_proxy: hosts(first(&["NO_PROXY", "no_proxy"])?.as_deref()),
            certificates: path("SSL_CERT_FILE"),
            hub_home,
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

fn parse_switch(name: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Ok(true),
        "0" | "off" | "no" | "false" => Ok(false),
        _ => Err(rejected(name, value, "set `1` or `0`".to_owned())),
    }
}

/// The entries of a list with commas.
fn hosts(list: Option<&str>) -> Vec<String> {
    let entries = list.unwrap_or_default().split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    entries.map(str::to_owned).collect()
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
#[path = "knobs_tests.rs"]
mod tests;
