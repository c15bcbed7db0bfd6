//! A thin client: redirects that leave the token at home, and patience with what may pass.

use std::path::Path;
use std::time::Duration;

use tenon_base::files::Disk;
use tenon_base::knobs::Secret;
use tenon_base::{Error, Kind, Result};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::access::{Access, Proxy};
use super::address::{is_same_place, plain, redirected, uri};

const REDIRECTS_MAX: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the hub may stay silent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest pause between two attempts, also where the hub asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is asked of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The headers. Redirects are followed until an answer has this header.
    HeadUntil(&'static str),
    /// The content from this byte on.
    Content(u64),
}

/// An answer; of an error status too.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why there is no answer, or no more of one.
pub(super) enum Failure {
    /// May work when it is tried again, after the pause that the server asks for.
    Passing(Error, Option<Duration>),
    /// Will not.
    Lasting(Error),
}

/// What came of one attempt.
pub(super) type Tried<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Lasting(error)
    }
}

/// The client of one hub.
pub(super) struct Client {
    agent: Agent,
    home: Uri,
    token: Option<Secret>,
    attempts: u32,
    first_pause: Duration,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// `Usage` for a proxy or certificates that cannot be used; `Io`.
    pub(super) fn new(disk: &dyn Disk, access: &Access) -> Result<Client> {
        let home = uri(&access.endpoint)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tenon/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .proxy(access.proxy.as_ref().map(proxy).transpose()?);
        if let Some(path) = &access.certificates {
            let tls = TlsConfig::builder().root_certs(certificates(disk, path)?);
            config = config.tls_config(tls.build());
        }
        Ok(Client {
            agent: config.build().new_agent(),
            home,
            token: access.token.clone(),
            attempts: access.attempts.max(1),
            first_pause: access.first_pause,
        })
    }

    /// Whether a token is sent to the hub.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Asks until there is an answer, or no more patience.
    pub(super) fn ask(&self, url: &str, ask: Ask) -> Result<Answer> {
        let mut failures = 0;
        loop {
            match self.ask_once(url, ask) {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.pause(failure, &mut failures)?,
            }
        }
    }

    /// Waits before something is tried again; the error, when it should not be.
    pub(super) fn pause(&self, failure: Failure, failures: &mut u32) -> Result<()> {
        let (error, asked) = match failure {
            Failure::Lasting(error) => return Err(error),
            Failure::Passing(error, asked) => (error, asked),
        };
        *failures += 1;
        if *failures >= self.attempts {
            return Err(error);
        }
        let own = self
            .first_pause
            .saturating_mul(1 << (*failures - 1).min(16));
        std::thread::sleep(asked.unwrap_or(own).min(PAUSE_MAX));
        Ok(())
    }

    /// Asks once, redirects followed.
    pub(super) fn ask_once(&self, url: &str, ask: Ask) -> Tried<Answer> {
        let mut at = uri(url)?;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.send(&at, ask)?;
            let is_enough = match ask {
                Ask::HeadUntil(name) => answer.headers.contains_key(name),
                Ask::Content(_) => false,
            };
            match answer.header("location") {
                Some(location) if (300..400).contains(&answer.status) && !is_enough => {
                    at = redirected(&at, location)?;
                }
                _ => return judged(answer, &at),
            }
        }
        let message = format!(
            "`{}` redirects more than {REDIRECTS_MAX} times",
            plain(&uri(url)?)
        );
        Err(Failure::Lasting(Error::new(Kind::Io, message)))
    }

    fn send(&self, at: &Uri, ask: Ask) -> Tried<Answer> {
        let mut request = match ask {
            Ask::HeadUntil(_) => self.agent.head(at),
            Ask::Content(_) => self.agent.get(at),
        };
        if let Some(token) = self
            .token
            .as_ref()
            .filter(|_| is_same_place(at, &self.home))
        {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        if let Ask::Content(from @ 1..) = ask {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response: Response<Body> = request.call().map_err(|e| failure(at, e))?;
        let (parts, body) = response.into_parts();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }
}

/// Answers that say "later" are failures that may pass.
fn judged(answer: Answer, at: &Uri) -> Tried<Answer> {
    if !matches!(answer.status, 408 | 429 | 500..) {
        return Ok(answer);
    }
    let message = format!("`{}` answers with status {}", plain(at), answer.status);
    let hint = match answer.status {
        429 => "the hub limits how often it is asked: wait a while, or set `HF_TOKEN`",
        _ => "the hub is in trouble: try again later",
    };
    let seconds = answer
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok());
    let error = Error::new(Kind::Io, message).hint(hint);
    Err(Failure::Passing(error, seconds.map(Duration::from_secs)))
}

fn failure(at: &Uri, reason: ureq::Error) -> Failure {
    use std::io::ErrorKind;

    let place = plain(at);
    let error = Error::new(Kind::Io, format!("cannot reach `{place}`: {reason}"));
    let trust = "`SSL_CERT_FILE` names the certificate authorities to trust, for hubs and proxies \
                 with their own";
    let network = "check the network, `HF_ENDPOINT` and the proxy variables; `HF_HUB_OFFLINE=1` \
                   uses what is in the cache";
    let passes = match &reason {
        // What is not understood on an encrypted connection is nearly always a certificate.
        ureq::Error::Io(reason) if reason.kind() == ErrorKind::InvalidData => {
            return Failure::Lasting(error.hint(trust));
        }
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => return Failure::Lasting(error.hint(trust)),
        ureq::Error::Io(reason) => reason.kind() != ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => true,
        _ => false,
    };
    match passes {
        true => Failure::Passing(error.hint(network), None),
        false => Failure::Lasting(error.hint(network)),
    }
}

fn proxy(proxy: &Proxy) -> Result<ureq::Proxy> {
    let refused = || {
        let error = Error::usage("the URL of the proxy cannot be used").at("environment");
        error.hint("`HTTPS_PROXY` and its like hold a URL such as `http://proxy.example.org:3128`")
    };
    let parsed = ureq::Proxy::new(proxy.url.reveal()).map_err(|_| refused())?;
    let mut whole = ureq::Proxy::builder(parsed.protocol())
        .host(parsed.host())
        .port(parsed.port());
    if let Some(name) = parsed.username() {
        whole = whole.username(name);
    }
    if let Some(password) = parsed.password() {
        whole = whole.password(password);
    }
    let whole = proxy
        .except
        .iter()
        .fold(whole, |whole, host| whole.no_proxy(host));
    whole.build().map_err(|_| refused())
}

fn certificates(disk: &dyn Disk, path: &Path) -> Result<RootCerts> {
    let pem = disk.read(path)?;
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    });
    let found: std::result::Result<Vec<Certificate<'static>>, ureq::Error> = items.collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => {
            Ok(RootCerts::new_with_certs(&certificates))
        }
        _ => {
            let message = format!("`{}` holds no certificates as PEM", path.display());
            Err(Error::usage(message).at("environment variable `SSL_CERT_FILE`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_keeps_name_password_and_exceptions() {
        let made = proxy(&Proxy {
            url: Secret::new("http://me:p%40ss@proxy.example:3128"),
            except: vec!["localhost".to_owned(), ".example.org".to_owned()],
        });
        let made = made.unwrap();
        assert_eq!((made.host(), made.port()), ("proxy.example", 3128));
        assert_eq!(
            (made.username(), made.password()),
            (Some("me"), Some("p@ss"))
        );
        let is_direct = |url: &str| made.is_no_proxy(&url.parse().unwrap());
        assert!(is_direct("http://localhost/x") && is_direct("https://a.example.org"));
        assert!(!is_direct("https://example.com"));
        for bad in ["http://", "ftp://a", "a b"] {
            let url = Secret::new(bad);
            let error = proxy(&Proxy {
                url,
                except: Vec::new(),
            })
            .unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{bad}");
        }
    }
}
