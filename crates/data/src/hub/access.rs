//! How the hub is reached, and where its files are kept.

use std::path::PathBuf;
use std::time::Duration;

use tenon_base::files::Disk;
use tenon_base::knobs::{Environment, Secret};
use tenon_base::{Error, Result};

/// The hub that is asked when `HF_ENDPOINT` names none.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// The file in `HF_HOME` into which the hub's own tools write a token.
const TOKEN_FILE: &str = "token";
/// How often something is tried before it is given up, and the pause after the first failure; each
/// further pause is twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The way to the hub, and the cache.
#[derive(Clone, Debug)]
pub struct Access {
    /// URL of the hub without a slash at its end.
    pub endpoint: String,
    /// Sent to the hub, and to nobody that it redirects to.
    pub token: Option<Secret>,
    /// The folder that holds the repositories.
    pub cache: PathBuf,
    /// Whether only the cache is asked.
    pub offline: bool,
    /// Proxy on the way to the hub.
    pub proxy: Option<Proxy>,
    /// PEM file of the certificate authorities to trust; `None` for Mozilla's.
    pub certificates: Option<PathBuf>,
    /// How often something that may pass is tried; at least 1.
    pub attempts: u32,
    /// The pause after the first failure; each further one is twice as long.
    pub first_pause: Duration,
}

/// A proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its URL; secret, since it may hold a password.
    pub url: Secret,
    /// Hosts that are reached without it; `.example.org` means all below it.
    pub except: Vec<String>,
}

impl Access {
    /// What the environment says; the token file is read when there is one.
    ///
    /// # Errors
    /// `Usage` when there is no folder for the cache, or the token cannot be one; `Io`.
    pub fn of(environment: &Environment, disk: &dyn Disk) -> Result<Access> {
        let endpoint = environment.hub_endpoint.clone();
        let endpoint = endpoint.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let url = match endpoint.starts_with("https:") {
            true => &environment.https_proxy,
            false => &environment.http_proxy,
        };
        let proxy = url.clone().map(|url| Proxy {
            url,
            except: environment.no_proxy.clone(),
        });
        Ok(Access {
            token: token(environment, disk)?,
            cache: cache(environment)?,
            offline: environment.hub_offline,
            proxy,
            certificates: environment.certificates.clone(),
            attempts: ATTEMPTS,
            first_pause: FIRST_PAUSE,
            endpoint,
        })
    }
}

/// The folder of the cache.
///
/// # Errors
/// `Usage` when the environment names none and no home.
fn cache(environment: &Environment) -> Result<PathBuf> {
    environment.hub_cache.clone().ok_or_else(|| {
        let error = Error::usage("there is no folder for the model hub's files");
        error.hint("set `HF_HOME` to a folder")
    })
}

fn token(environment: &Environment, disk: &dyn Disk) -> Result<Option<Secret>> {
    if let Some(token) = &environment.hub_token {
        return checked(token.clone(), "`HF_TOKEN`").map(Some);
    }
    let Some(path) = environment
        .hub_home
        .as_ref()
        .map(|home| home.join(TOKEN_FILE))
    else {
        return Ok(None);
    };
    if !disk.exists(&path)? {
        return Ok(None);
    }
    let bytes = disk.read(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => Ok(None),
        text => checked(Secret::new(text), &format!("`{}`", path.display())).map(Some),
    }
}

/// A token that can stand in a header. It is never shown, not even when it is refused.
fn checked(token: Secret, place: &str) -> Result<Secret> {
    match token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token),
        false => Err(Error::usage(format!(
            "the token in {place} is not one word of ASCII"
        ))),
    }
}
