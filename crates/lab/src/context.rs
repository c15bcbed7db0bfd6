//! What every command works with: environment, disk, clock, processor, output, interruption.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tenon_base::clock::{Clock, RealClock};
use tenon_base::files::{Disk, RealDisk};
use tenon_base::knobs::Environment;
use tenon_base::{Error, Kind, Result};
use tenon_kernels::Isa;

/// A place for text; behind a lock, since training threads may talk.
pub type Out = Mutex<Box<dyn Write + Send>>;

/// The surroundings of a command. Tests make one with memory in place of the terminal.
pub struct Context {
    /// The environment variables.
    pub environment: Environment,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Threads for computation.
    pub threads: NonZeroUsize,
    /// Instruction set for computation.
    pub isa: Isa,
    /// Whether the result is one JSON document.
    pub json: bool,
    /// Whether talk goes to a person who watches it.
    pub stderr_is_terminal: bool,
    /// Set by the first Ctrl-C after [`Context::catch_interrupts`].
    pub interrupt: Arc<AtomicBool>,
    stdout: Out,
    stderr: Out,
    stdout_closed: AtomicBool,
}

impl Context {
    /// The process's own surroundings.
    ///
    /// # Errors
    /// `Usage` for an environment variable with a bad value, or an instruction set that the
    /// processor lacks.
    pub fn of_process(json: bool) -> Result<Context> {
        let environment = Environment::of_process()?;
        let stdout = Box::new(io::stdout());
        let mut context = Context::new(environment, json, stdout, Box::new(io::stderr()))?;
        context.stderr_is_terminal = io::stderr().is_terminal();
        Ok(context)
    }

    /// Surroundings with writers of the caller's choice, the real disk and the real clock.
    ///
    /// # Errors
    /// `Usage` for an instruction set that the processor lacks.
    pub fn new(
        environment: Environment,
        json: bool,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Result<Context> {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Context {
            threads: environment.threads.unwrap_or(cores),
            isa: isa(&environment)?,
            environment,
            disk: Arc::new(RealDisk),
            clock: Arc::new(RealClock::start()),
            json,
            stderr_is_terminal: false,
            interrupt: Arc::default(),
            stdout: Mutex::new(stdout),
            stderr: Mutex::new(stderr),
            stdout_closed: AtomicBool::new(false),
        })
    }

    /// Writes data to stdout and flushes it.
    ///
    /// # Errors
    /// `Io`. After a broken pipe, [`Context::reader_is_gone`] tells that nobody is left to report to.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        written.map_err(|reason| {
            if reason.kind() == ErrorKind::BrokenPipe {
                self.stdout_closed.store(true, Ordering::Relaxed);
            }
            Error::new(Kind::Io, format!("cannot write to stdout: {reason}"))
        })
    }

    /// Writes a line of talk to stderr. Talk that cannot be heard is no failure.
    pub fn say(&self, line: &str) {
        let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(stderr, "{line}").and_then(|()| stderr.flush());
    }

    /// Whether whoever read stdout has closed it, such as `head`.
    pub fn reader_is_gone(&self) -> bool {
        self.stdout_closed.load(Ordering::Relaxed)
    }

    /// From here on, the first Ctrl-C sets [`Context::interrupt`] and the second ends the process
    /// with exit code 130. For commands that save what they have done.
    ///
    /// # Errors
    /// `Io` when the system refuses, or interrupts are caught already.
    pub fn catch_interrupts(&self) -> Result<()> {
        let interrupt = Arc::clone(&self.interrupt);
        let caught = ctrlc::set_handler(move || {
            if interrupt.swap(true, Ordering::SeqCst) {
                std::process::exit(Kind::Interrupted.exit_code().into());
            }
        });
        caught.map_err(|reason| Error::new(Kind::Io, format!("cannot catch Ctrl-C: {reason}")))
    }

    /// Whether Ctrl-C was pressed.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("environment", &self.environment)
            .field("threads", &self.threads)
            .field("isa", &self.isa)
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

/// The instruction set that `TENON_ISA` asks for, or the best.
fn isa(environment: &Environment) -> Result<Isa> {
    let best = Isa::detect();
    let Some(asked) = environment.isa else {
        return Ok(best);
    };
    let asked = Isa::parse(asked.name()).filter(|isa| isa.is_available());
    asked.ok_or_else(|| {
        let name = environment.isa.map_or("", |isa| isa.name());
        Error::usage(format!("this processor does not have `{name}`"))
            .at("environment variable `TENON_ISA`")
            .hint(format!("its best is `{}`", best.name()))
    })
}
