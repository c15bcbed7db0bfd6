//! A model hub on the loopback interface, with a second server for contents, that fails on demand.

mod reply;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use sha1::{Digest, Sha1};
use tenon_base::hash;

use self::reply::reply;

/// How a hub keeps a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// On the hub itself, behind a redirect to another path; its etag is Git's hash.
    Plain,
    /// On the second server; its etag is the SHA-256.
    Linked,
}

/// What goes wrong once, with the next request that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// This status, with headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// A request for a part is answered with the whole.
    Whole,
    /// Other bytes of the same length.
    Garbled,
}

/// A request and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Whether the second server was asked.
    pub elsewhere: bool,
    /// The header `Range`.
    pub range: Option<String>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub sent: usize,
}

#[derive(Clone, Debug)]
struct File {
    content: Vec<u8>,
    kept: Kept,
    etag: String,
}

#[derive(Debug, Default)]
struct State {
    repo: String,
    commit: String,
    token: Option<String>,
    files: BTreeMap<String, File>,
    mishaps: Vec<(String, Mishap)>,
    seen: Vec<Seen>,
    stopped: bool,
}

/// The hub; its servers stop when it is dropped.
#[derive(Debug)]
pub struct HubServer {
    state: Arc<Mutex<State>>,
    addresses: [SocketAddr; 2],
}

impl HubServer {
    /// A hub with one repository, whose branch `main` is at `commit`.
    ///
    /// # Panics
    /// When the loopback interface gives no port.
    pub fn start(repo: &str, commit: &str) -> HubServer {
        let state = Arc::new(Mutex::new(State {
            repo: repo.to_owned(),
            commit: commit.to_owned(),
            ..State::default()
        }));
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let addresses = [0, 1].map(|i| listeners[i].local_addr().expect("an address"));
        for (i, listener) in listeners.into_iter().enumerate() {
            let (state, cdn) = (Arc::clone(&state), addresses[1]);
            thread::spawn(move || serve(&listener, &state, i == 1, cdn));
        }
        HubServer { state, addresses }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// Adds or replaces a file, and gives its etag.
    pub fn put(&self, name: &str, content: &[u8], kept: Kept) -> String {
        let etag = match kept {
            Kept::Plain => git_hash(content),
            Kept::Linked => hash::sha256(content),
        };
        let file = File {
            content: content.to_owned(),
            kept,
            etag: etag.clone(),
        };
        self.state().files.insert(name.to_owned(), file);
        etag
    }

    /// Tells another etag of a file than that of its content.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn pretend(&self, name: &str, etag: &str) {
        let mut state = self.state();
        state.files.get_mut(name).expect("a file").etag = etag.to_owned();
    }

    /// Moves the branch `main`.
    pub fn commit(&self, commit: &str) {
        self.state().commit = commit.to_owned();
    }

    /// Shows the repository only to who has this token.
    pub fn want_token(&self, token: &str) {
        self.state().token = Some(format!("Bearer {token}"));
    }

    /// Lets the next request whose method, space and path contain `part` go wrong.
    pub fn mishap(&self, part: &str, mishap: Mishap) {
        self.state().mishaps.push((part.to_owned(), mishap));
    }

    /// What was asked since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no handler panics with the lock")
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.state().stopped = true;
        for address in self.addresses {
            // Wakes the thread that waits for a connection.
            let _ = TcpStream::connect(address);
        }
    }
}

/// Git's hash of a file.
fn git_hash(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()).as_bytes());
    hasher.update(content);
    let mut hex = String::new();
    for byte in hasher.finalize() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn serve(listener: &TcpListener, state: &Arc<Mutex<State>>, elsewhere: bool, cdn: SocketAddr) {
    for stream in listener.incoming() {
        if state.lock().map_or(true, |state| state.stopped) {
            return;
        }
        let (Ok(stream), state) = (stream, Arc::clone(state)) else {
            return;
        };
        // A client that leaves early is no failure of the hub.
        thread::spawn(move || answer(stream, &state, elsewhere, cdn).unwrap_or_default());
    }
}

fn answer(
    stream: TcpStream,
    state: &Mutex<State>,
    elsewhere: bool,
    cdn: SocketAddr,
) -> io::Result<()> {
    let mut seen = request(&stream, elsewhere)?;
    let locked = || {
        state
            .lock()
            .map_err(|_| io::Error::other("a handler panicked"))
    };
    let mishap = take_mishap(&mut *locked()?, &seen);
    let mut reply = reply(&*locked()?, &seen, cdn, mishap.as_ref());
    let whole = reply.body.len();
    match &mishap {
        Some(Mishap::Cut(bytes)) => reply.body.truncate(*bytes),
        Some(Mishap::Garbled) => reply.body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    if seen.method == "HEAD" {
        reply.body.clear();
    }
    (seen.status, seen.sent) = (reply.status, reply.body.len());
    locked()?.seen.push(seen);
    let mut head = format!("HTTP/1.1 {} Tested\r\nConnection: close\r\n", reply.status);
    head += &format!("Content-Length: {whole}\r\n");
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body)
}

fn request(stream: &TcpStream, elsewhere: bool) -> io::Result<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines
        .next()
        .unwrap_or_else(|| Err(io::Error::other("no request")))?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut seen = Seen {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        elsewhere,
        range: None,
        authorization: None,
        status: 0,
        sent: 0,
    };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                seen.range = Some(value.to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                seen.authorization = Some(value.to_owned());
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    Ok(seen)
}

fn take_mishap(state: &mut State, seen: &Seen) -> Option<Mishap> {
    let line = format!("{} {}", seen.method, seen.path);
    let at = state
        .mishaps
        .iter()
        .position(|(part, _)| line.contains(part.as_str()));
    at.map(|i| state.mishaps.remove(i).1)
}
