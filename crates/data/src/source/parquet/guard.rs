//! Panics of the decoder as errors: it asserts what a broken file does not hold to.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parquet::errors::ParquetError;

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// What `work` gives, or why it failed, also where it panicked. Nothing is said of that panic: it
/// is the file's mistake, no bug. What `work` borrows must not be used again after a failure.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    HOOK.call_once(|| {
        let say = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                say(info);
            }
        }));
    });
    IS_GUARDED.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(false);
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(words_of(error)),
        Err(payload) => Err(format!("it contradicts itself ({})", message_of(&*payload))),
    }
}

fn words_of(error: ParquetError) -> String {
    match error {
        ParquetError::General(words) | ParquetError::NYI(words) | ParquetError::EOF(words) => words,
        other => other.to_string(),
    }
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let formatted = payload.downcast_ref::<String>().map(String::as_str);
    let fixed = payload.downcast_ref::<&str>().copied();
    formatted.or(fixed).unwrap_or("for an unknown reason")
}
