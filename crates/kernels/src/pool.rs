//! A fixed pool of threads and the context that every parallel kernel takes.

mod parts;

pub(crate) use parts::Parts;

use crate::Isa;
use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Turns of the waiting loop before a thread sleeps: some tens of microseconds.
pub(crate) const SPINS: usize = 4000;

type Task<'a> = &'a (dyn Fn(usize, usize) + Sync + 'a);

/// A pointer to the caller's closure with its lifetime erased.
#[derive(Clone, Copy)]
struct Job(Task<'static>);

struct State {
    job: Option<Job>,
    n_tasks: usize,
    sleeping: usize,
    stop: bool,
    panic: Option<Box<dyn Any + Send>>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when a job appears or the pool stops.
    work: Condvar,
    /// Signalled when the last busy worker leaves a job.
    idle: Condvar,
    /// Counts jobs, so that waiting threads see a new one without the lock.
    epoch: AtomicU64,
    next_task: AtomicUsize,
    busy: AtomicUsize,
}

/// Threads that run numbered tasks of one caller at a time. Sleeps when there is nothing to do.
pub struct Pool {
    shared: Arc<Shared>,
    /// Held by the caller whose job runs.
    turn: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
}

thread_local! {
    static INSIDE_TASK: Cell<bool> = const { Cell::new(false) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish()
    }
}

impl Pool {
    /// A pool of `threads` threads, the caller of [`Pool::run`] being one of them; 0 counts as 1.
    /// Returns when all of them stand ready.
    ///
    /// # Panics
    /// When the system refuses a thread.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                job: None,
                n_tasks: 0,
                sleeping: 0,
                stop: false,
                panic: None,
            }),
            work: Condvar::new(),
            idle: Condvar::new(),
            epoch: AtomicU64::new(0),
            next_task: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
        });
        // Nothing is ever sent: the channel closes when every worker has let go of its end.
        let (starting, started) = channel::<()>();
        let spawn = |worker: usize| {
            let shared = Arc::clone(&shared);
            let starting = starting.clone();
            std::thread::Builder::new()
                .name(format!("kernel-{worker}"))
                .spawn(move || {
                    drop(starting);
                    shared.work_until_stopped(worker);
                })
                .expect("cannot start a kernel thread")
        };
        let workers = (1..threads.max(1)).map(spawn).collect();
        drop(starting);
        // A starting thread allocates; once all stand ready, no kernel does.
        assert!(started.recv().is_err(), "nothing is sent");
        Pool {
            shared,
            turn: Mutex::new(()),
            workers,
        }
    }

    /// Number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task(t, worker)` once for every `t < n_tasks`, on any thread, and returns when all
    /// are done. No two calls with the same `worker < threads()` overlap within one run. From
    /// inside a task, everything runs in place as worker 0.
    ///
    /// Tasks are handed out in the order of their numbers, and whoever takes one runs it at once:
    /// when a task starts, all before it are done or on their way, so it may wait for them.
    ///
    /// # Panics
    /// With the panic of the first task that panicked, after the others have ended.
    pub fn run(&self, n_tasks: usize, task: Task<'_>) {
        if n_tasks <= 1 || self.workers.is_empty() || INSIDE_TASK.get() {
            (0..n_tasks).for_each(|t| task(t, 0));
            return;
        }
        let turn = lock(&self.turn);
        // SAFETY: the lifetime is erased only until `close` below has taken the job back and waited
        // for every worker that took it; a panic in a task is caught before that.
        let job = Job(unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) });
        self.shared.open(job, n_tasks);
        self.shared.work_on(job, n_tasks, 0);
        let panic = self.shared.close();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.stop = true;
        // Under the lock: a worker between its look at the epoch and its sleep would miss both.
        self.shared.epoch.fetch_add(1, Ordering::Release);
        drop(state);
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, so joining cannot fail.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn open(&self, job: Job, n_tasks: usize) {
        let mut state = lock(&self.state);
        state.job = Some(job);
        state.n_tasks = n_tasks;
        self.next_task.store(0, Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::Release);
        let wake = state.sleeping.min(n_tasks - 1);
        drop(state);
        for _ in 0..wake {
            self.work.notify_one();
        }
    }

    /// Takes the job back and waits for the workers that are still on it.
    fn close(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.state).job = None;
        for _ in 0..SPINS {
            if self.busy.load(Ordering::Acquire) == 0 {
                break;
            }
            std::hint::spin_loop();
        }
        let mut state = lock(&self.state);
        while self.busy.load(Ordering::Acquire) != 0 {
            state = self
                .idle
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.panic.take()
    }

    fn work_on(&self, job: Job, n_tasks: usize, worker: usize) {
        INSIDE_TASK.set(true);
        let done = catch_unwind(AssertUnwindSafe(|| {
            let next = || self.next_task.fetch_add(1, Ordering::Relaxed);
            while let Some(t) = Some(next()).filter(|&t| t < n_tasks) {
                (job.0)(t, worker);
            }
        }));
        INSIDE_TASK.set(false);
        if let Err(panic) = done {
            self.next_task.store(n_tasks, Ordering::Relaxed);
            lock(&self.state).panic.get_or_insert(panic);
        }
    }

    fn work_until_stopped(&self, worker: usize) {
        let mut seen = 0;
        loop {
            for _ in 0..SPINS {
                if self.epoch.load(Ordering::Acquire) != seen {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut state = lock(&self.state);
            while self.epoch.load(Ordering::Acquire) == seen {
                state.sleeping += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.sleeping -= 1;
            }
            if state.stop {
                return;
            }
            seen = self.epoch.load(Ordering::Acquire);
            // A worker that comes late finds the job taken back and waits for the next.
            let Some(job) = state.job else { continue };
            let n_tasks = state.n_tasks;
            self.busy.fetch_add(1, Ordering::Relaxed);
            drop(state);
            self.work_on(job, n_tasks, worker);
            if self.busy.fetch_sub(1, Ordering::Release) == 1 {
                // The lock orders this signal after the caller's check of `busy`.
                drop(lock(&self.state));
                self.idle.notify_one();
            }
        }
    }
}

/// What a parallel kernel runs on: a pool and an instruction set that the processor has.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    pool: &'a Pool,
    isa: Isa,
}

/// Elements that one task should handle at least: below, waking a thread costs more than it saves.
const TASK_ELEMENTS_MIN: usize = 16 * 1024;

impl<'a> Cx<'a> {
    /// A context.
    ///
    /// # Panics
    /// When the processor lacks `isa`.
    pub fn new(pool: &'a Pool, isa: Isa) -> Cx<'a> {
        assert!(isa.is_available(), "this processor has no {}", isa.name());
        Cx { pool, isa }
    }

    /// The pool.
    pub fn pool(&self) -> &'a Pool {
        self.pool
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Calls `f` for every `t < n_tasks` as [`Pool::run`] does, on this thread alone when all of
    /// them together visit too few elements to wake another.
    pub(crate) fn in_order(&self, n_tasks: usize, visits: usize, f: &(dyn Fn(usize) + Sync)) {
        if visits < TASK_ELEMENTS_MIN {
            (0..n_tasks).for_each(f);
        } else {
            self.pool.run(n_tasks, &|t, _| f(t));
        }
    }

    /// Calls `f` on ranges that cover `0..n` once, each of about `cost · length` element visits.
    /// How `n` is cut must not influence the result: ranges differ with the number of threads.
    pub(crate) fn ranges(&self, n: usize, cost: usize, f: &(dyn Fn(Range<usize>) + Sync)) {
        let smallest = TASK_ELEMENTS_MIN.div_ceil(cost.max(1));
        let step = smallest.max(n.div_ceil(4 * self.pool.threads()));
        self.pool
            .run(n.div_ceil(step), &|t, _| f(t * step..n.min((t + 1) * step)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Cx, Pool, TASK_ELEMENTS_MIN};
    use crate::Isa;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_task_runs_once() {
        for threads in [0, 1, 2, 3, 8] {
            let pool = Pool::new(threads);
            for n in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                pool.run(n, &|t, worker| {
                    assert!(worker < pool.threads());
                    counts[t].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn many_short_runs() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        for _ in 0..2000 {
            pool.run(4, &|t, _| {
                sum.fetch_add(t, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.load(Ordering::Relaxed), 2000 * 6);
    }

    #[test]
    fn nested_run_completes_in_place() {
        let pool = Pool::new(4);
        let count = AtomicUsize::new(0);
        pool.run(8, &|_, _| {
            pool.run(5, &|_, worker| {
                assert_eq!(worker, 0);
                count.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(count.load(Ordering::Relaxed), 40);
    }

    #[test]
    fn little_work_stays_with_the_caller() {
        let (pool, caller) = (Pool::new(3), std::thread::current().id());
        let cx = Cx::new(&pool, Isa::Scalar);
        let order = Mutex::new(Vec::new());
        cx.in_order(50, TASK_ELEMENTS_MIN - 1, &|t| {
            assert_eq!(std::thread::current().id(), caller);
            order.lock().unwrap().push(t);
        });
        assert!(order.into_inner().unwrap().into_iter().eq(0..50));
        let count = AtomicUsize::new(0);
        cx.in_order(50, TASK_ELEMENTS_MIN, &|t| {
            count.fetch_add(t, Ordering::Relaxed);
        });
        assert_eq!(count.load(Ordering::Relaxed), 49 * 50 / 2);
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let pool = Pool::new(2);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.run(3, &|_, _| {
                            count.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 600);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(10, &|t, _| assert!(t != 5, "task five"));
        }));
        let message = caught.unwrap_err();
        assert!(
            message
                .downcast_ref::<&str>()
                .is_some_and(|m| m.contains("task five"))
        );
        let count = AtomicUsize::new(0);
        pool.run(10, &|_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.load(Ordering::Relaxed), 10);
    }
}
