//! Addresses: where a redirect leads, what is the same place, and what may be shown.

use tenon_base::{Error, Kind, Result};
use ureq::http::Uri;

use super::names::shown;

/// Reads a URL of the web.
///
/// # Errors
/// `Io` for what is none.
pub(super) fn uri(url: &str) -> Result<Uri> {
    let refused = || Error::new(Kind::Io, format!("`{}` is no URL", shown(url)));
    let uri: Uri = url.parse().map_err(|_| refused())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(refused()),
    }
}

/// Where a redirect leads. Nobody may lead from an encrypted connection to an open one.
pub(super) fn redirected(from: &Uri, location: &str) -> Result<Uri> {
    let scheme = from.scheme_str().unwrap_or_default();
    let host = from.authority().map_or("", |authority| authority.as_str());
    let url = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{folder}/{location}")
    };
    let to = uri(&url)?;
    if scheme == "https" && to.scheme_str() != Some("https") {
        let message = format!(
            "`{}` redirects to `{}`, which is not encrypted",
            plain(from),
            plain(&to)
        );
        return Err(Error::new(Kind::Io, message));
    }
    Ok(to)
}

/// Whether two addresses have the same scheme, host and port.
pub(super) fn is_same_place(a: &Uri, b: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let port = |uri: &Uri| {
        let usual = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        uri.port_u16().unwrap_or(usual)
    };
    a.scheme_str() == b.scheme_str() && host(a) == host(b) && port(a) == port(b)
}

/// An address without what may be secret in it: the query holds signatures.
pub(super) fn plain(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let port = uri
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    shown(&format!("{scheme}://{host}{port}{}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &str, location: &str) -> Result<String> {
        redirected(&uri(from)?, location).map(|uri| uri.to_string())
    }

    #[test]
    fn redirects_are_absolute_or_relative_and_never_less_safe() {
        let from = "https://a.example/x/y?z=1";
        assert_eq!(
            to(from, "https://b.example/c").unwrap(),
            "https://b.example/c"
        );
        assert_eq!(to(from, "//b.example/c").unwrap(), "https://b.example/c");
        assert_eq!(to(from, "/c?d=1").unwrap(), "https://a.example/c?d=1");
        assert_eq!(to(from, "c").unwrap(), "https://a.example/x/c");
        assert!(to(from, "http://a.example/x").is_err());
        assert!(to(from, "file:///etc/passwd").is_err());
        assert!(to("http://a.example/x", "https://a.example/x").is_ok());
    }

    #[test]
    fn a_place_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| is_same_place(&uri(a).unwrap(), &uri(b).unwrap());
        assert!(same("https://a.example/x", "https://A.example:443/y"));
        assert!(!same("https://a.example", "http://a.example"));
        assert!(!same("https://a.example", "https://a.example:8443"));
        assert!(!same("https://a.example", "https://b.a.example"));
        assert!(!same("https://a.example", "https://a.example.b"));
    }

    #[test]
    fn signatures_and_passwords_of_a_url_are_not_shown() {
        let url = uri("https://user:word@a.example:1/x?Signature=s").unwrap();
        assert_eq!(plain(&url), "https://a.example:1/x");
    }
}
