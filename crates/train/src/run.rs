//! The training loop.

use crate::checkpoint::{Checkpoints, ModelStore};
use crate::event::{Ending, Event, StepStats, Validation};
use crate::settings::Settings;
use crate::state::State;
use crate::update::update;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tenon_base::clock::Clock;
use tenon_base::files::Disk;
use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};
use tenon_data::{Batch, Loader};
use tenon_engine::{Executor, LossSum};
use tenon_models::net::{feed, feed_targets};

/// Judges the model that the executor holds, on the validation split.
pub type Judge<'a> = &'a mut dyn FnMut(&mut Executor) -> Result<Validation>;

/// Is told everything that happens; an error ends the run.
pub type Observer<'a> = &'a mut dyn FnMut(Event<'_>) -> Result<()>;

/// What a run works with.
pub struct Run<'a> {
    /// The training graph, active, with its parameters set.
    pub exec: &'a mut Executor,
    /// Training batches.
    pub data: Loader,
    /// The numbers.
    pub settings: &'a Settings,
    /// The validation split, when there is one.
    pub judge: Option<Judge<'a>>,
    /// Where checkpoints go.
    pub checkpoints: PathBuf,
    /// How their model folders are written.
    pub store: &'a dyn ModelStore,
    /// The disk.
    pub disk: &'a dyn Disk,
    /// The clock, for the seconds of the run.
    pub clock: &'a dyn Clock,
    /// The name of the instruction set that the executor computes with.
    pub isa: &'a str,
    /// Set from outside to stop after the present step.
    pub interrupt: &'a AtomicBool,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The state at the end.
    pub state: State,
    /// Why it ended.
    pub ending: Ending,
    /// The folder of the last checkpoint.
    pub last: PathBuf,
}

/// Trains to the end of the schedule, or until something else ends the run. A resumed run makes the
/// same steps, with the same bits, as one that was never interrupted.
pub fn train(run: Run<'_>, resume: Option<&Path>, observe: Observer<'_>) -> Result<Outcome> {
    let mut train = Training::start(run, resume)?;
    train.note_isa(observe)?;
    let ending = loop {
        if let Some(ending) = train.ending() {
            break ending;
        }
        train.step(observe)?;
    };
    train.finish(ending, observe)
}

struct Training<'a> {
    run: Run<'a>,
    state: State,
    batch: Batch,
    dropout: Key,
    /// Clock reading that belongs to `state.seconds`.
    started: f64,
    /// The step after which the run was saved last.
    saved_at: Option<u64>,
}

impl<'a> Training<'a> {
    fn start(run: Run<'a>, resume: Option<&Path>) -> Result<Self> {
        let mut train = Training {
            state: State::default(),
            batch: Batch::default(),
            dropout: Key::new(run.settings.seed, Stream::Dropout),
            started: run.clock.elapsed().as_secs_f64(),
            saved_at: None,
            run,
        };
        if let Some(folder) = resume {
            let run = &mut train.run;
            let checkpoints = Checkpoints::new(run.disk, run.checkpoints.clone(), run.store);
            train.state = checkpoints.load(run.exec, folder)?;
            run.data.seek(train.state.cursor)?;
            checkpoints.forget_after(train.state.step)?;
            train.saved_at = Some(train.state.step);
        }
        Ok(train)
    }

    /// Says so when the run continues on another path, and keeps the present one.
    fn note_isa(&mut self, observe: Observer<'_>) -> Result<()> {
        let now = self.run.isa;
        let before = std::mem::replace(&mut self.state.isa, now.to_owned());
        if self.saved_at.is_some() && before != now {
            observe(Event::OtherIsa {
                before: &before,
                now,
            })?;
        }
        Ok(())
    }

    fn settings(&self) -> &'a Settings {
        self.run.settings
    }

    fn ending(&self) -> Option<Ending> {
        let (settings, state) = (self.settings(), &self.state);
        let is_stale = |e: &crate::EarlyStopping| state.validations_since_best >= e.patience;
        if state.n_skipped >= settings.nan_steps_max {
            Some(Ending::NotFinite)
        } else if settings.early_stopping.as_ref().is_some_and(is_stale) {
            Some(Ending::Stopped)
        } else if state.step >= settings.schedule.total_steps {
            Some(Ending::Finished)
        } else if self.run.interrupt.load(Ordering::Relaxed) {
            Some(Ending::Interrupted)
        } else {
            None
        }
    }

    /// Epochs done, with the fraction of the present one.
    fn epoch(&self) -> f64 {
        let cursor = self.state.cursor;
        let batches = self.run.data.n_batches() * self.run.data.spec().batch_size;
        cursor.epoch as f64 + cursor.position as f64 / batches.max(1) as f64
    }

    fn step(&mut self, observe: Observer<'_>) -> Result<()> {
        let rate = self.settings().schedule.rate(self.state.step);
        let epoch_before = self.state.cursor.epoch;
        let loss = self.accumulate();
        let grad_norm = match loss.tokens {
            0 => 0.0,
            n => self.run.exec.grad_sum_of_squares().sqrt() / n as f64,
        };
        let is_finite = loss.total.is_finite() && grad_norm.is_finite();
        self.state.step += 1;
        self.state.cursor = self.run.data.cursor();
        self.state.tokens += loss.tokens as u64;
        (self.state.grad_norm, self.state.learning_rate) = (grad_norm, rate);
        if is_finite {
            self.state.window.add(loss);
            if loss.tokens > 0 {
                self.update(rate, grad_norm, loss.tokens);
            }
            observe(Event::Step(self.stats(loss)))?;
        } else {
            self.state.n_skipped += 1;
            let (step, n_skipped) = (self.state.step, self.state.n_skipped);
            observe(Event::Skipped { step, n_skipped })?;
        }
        self.duties(epoch_before, observe)
    }

    fn stats(&self, loss: LossSum) -> StepStats {
        StepStats {
            loss,
            ..self.state.window_stats(self.epoch())
        }
    }

    /// Gradients of the sum over the window's batches.
    fn accumulate(&mut self) -> LossSum {
        let mut sum = LossSum::default();
        self.run.exec.zero_grads();
        for _ in 0..self.settings().accumulation {
            self.run.data.next(&mut self.batch);
            let exec = &mut *self.run.exec;
            feed(
                exec,
                &self.batch.ids,
                &self.batch.positions,
                &self.batch.cu_seqlens,
            );
            feed_targets(exec, &self.batch.targets, &self.batch.given);
            exec.set_key(self.dropout.words(self.state.micro_step));
            exec.forward();
            exec.backward();
            sum.add(exec.loss());
            self.state.micro_step += 1;
        }
        sum
    }

    fn update(&mut self, rate: f64, grad_norm: f64, tokens: usize) {
        self.state.updates += 1;
        let clip = match self.settings().max_grad_norm {
            Some(max) if grad_norm > max => max / grad_norm,
            _ => 1.0,
        };
        update(
            self.run.exec,
            &self.settings().optimizer,
            rate,
            clip / tokens as f64,
            self.state.updates,
        );
    }

    /// What is due after a step: metrics, validation, checkpoint.
    fn duties(&mut self, epoch_before: u64, observe: Observer<'_>) -> Result<()> {
        let is_due = |every: Option<u64>| every.is_some_and(|n| self.state.step.is_multiple_of(n));
        let settings = self.settings();
        let epoch = self.state.cursor.epoch;
        let is_epoch_due = |n: u64| epoch > epoch_before && epoch.is_multiple_of(n);
        let validate = is_due(settings.eval_every);
        let save = is_due(settings.checkpoint_every)
            || settings.checkpoint_every_epochs.is_some_and(is_epoch_due);
        if is_due(Some(settings.log_every)) {
            self.log(observe)?;
        }
        if validate {
            self.validate(observe)?;
        }
        if save {
            self.save(observe)?;
        }
        Ok(())
    }

    fn log(&mut self, observe: Observer<'_>) -> Result<()> {
        if self.state.window.tokens > 0 {
            observe(Event::Log(self.state.window_stats(self.epoch())))?;
            self.state.window = LossSum::default();
        }
        Ok(())
    }

    fn validate(&mut self, observe: Observer<'_>) -> Result<()> {
        let Some(judge) = self.run.judge.as_mut() else {
            return Ok(());
        };
        let validation = judge(self.run.exec)?;
        let loss = validation.loss.mean().ok_or_else(|| {
            Error::data("the validation split has no token that counts").hint("give it more text")
        })?;
        let min_delta = self
            .run
            .settings
            .early_stopping
            .map_or(0.0, |e| e.min_delta);
        let is_best = self
            .state
            .best
            .is_none_or(|(_, best)| loss < best - min_delta);
        if is_best {
            self.state.best = Some((self.state.step, loss));
            self.state.validations_since_best = 0;
        } else {
            self.state.validations_since_best += 1;
        }
        self.state.validated_at = Some(self.state.step);
        observe(Event::Validated {
            step: self.state.step,
            epoch: self.epoch(),
            tokens: self.state.tokens,
            validation: &validation,
            is_best,
        })?;
        if is_best { self.save(observe) } else { Ok(()) }
    }

    fn save(&mut self, observe: Observer<'_>) -> Result<()> {
        let now = self.run.clock.elapsed().as_secs_f64();
        self.state.seconds += now - self.started;
        self.started = now;
        let checkpoints =
            Checkpoints::new(self.run.disk, self.run.checkpoints.clone(), self.run.store);
        let folder = checkpoints.save(self.run.exec, &self.state)?;
        checkpoints.prune(
            self.run.settings.keep_checkpoints,
            self.state.best.map(|(s, _)| s),
        )?;
        self.saved_at = Some(self.state.step);
        observe(Event::Saved {
            step: self.state.step,
            folder: &folder,
        })
    }

    fn finish(mut self, ending: Ending, observe: Observer<'_>) -> Result<Outcome> {
        if ending != Ending::Interrupted {
            self.log(observe)?;
            if self.state.validated_at != Some(self.state.step) && ending != Ending::NotFinite {
                self.validate(observe)?;
            }
        }
        if self.saved_at != Some(self.state.step) {
            self.save(observe)?;
        }
        observe(Event::Ended(ending))?;
        let checkpoints =
            Checkpoints::new(self.run.disk, self.run.checkpoints.clone(), self.run.store);
        Ok(Outcome {
            last: checkpoints.path(self.state.step),
            state: self.state,
            ending,
        })
    }
}
