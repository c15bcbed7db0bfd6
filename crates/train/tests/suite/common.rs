//! A tiny run that every test of the loop shares.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tenon_base::Result;
use tenon_base::clock::FixedClock;
use tenon_base::files::Disk;
use tenon_data::batch::{Borders, Layout, LoaderSpec, Order, Partial, Sight};
use tenon_data::vocab::{ByteTokenizer, Tokenizer};
use tenon_data::{Batch, Loader, Tokens};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::{DType, Executor, Extent, LossSum, PlanOptions};
use tenon_models::checkpoint::mapping::Target;
use tenon_models::checkpoint::{self, Checkpoint, Dtype, Slot};
use tenon_models::net::{LossOptions, Outputs, feed, feed_targets};
use tenon_models::spec::{CustomSpec, Spec};
use tenon_models::weights::{Source, Weight, Weights};
use tenon_train::*;

/// Weights under our own names: the tests need no hub folder.
pub(crate) struct PlainStore;

impl ModelStore for PlainStore {
    fn save(&self, disk: &dyn Disk, folder: &Path, weights: &mut dyn Source) -> Result<()> {
        disk.create_dir_all(folder)?;
        let slot = |w: &Target| Slot {
            name: w.name.clone(),
            dtype: Dtype::F32,
            shape: w.shape.clone(),
        };
        let slots: Vec<Slot> = weights.targets().iter().map(slot).collect();
        let mut numbers = 0..slots.len();
        let mut fill = |_: &Slot, sink: &mut dyn Write| {
            weights.write_to(numbers.next().expect("in order"), sink)
        };
        let path = folder.join("model.safetensors");
        checkpoint::write(
            disk,
            &path,
            &slots,
            checkpoint::Order::Given,
            &BTreeMap::new(),
            &mut fill,
        )
    }

    fn load(&self, disk: &dyn Disk, folder: &Path) -> Result<Weights> {
        let file = Checkpoint::open(disk, &folder.join("model.safetensors"))?;
        let weight = |t: checkpoint::TensorView<'_>| Weight {
            name: t.name.to_string(),
            shape: t.shape.to_vec(),
            bytes: t.bytes.to_vec().into(),
        };
        let tensors = file.tensors_on_disk().map(weight).collect();
        Ok(Weights {
            dtype: DType::F32,
            tensors,
        })
    }
}

const LENGTH: usize = 16;

pub(crate) fn loader(batch_size: usize, order: Order) -> Loader {
    let text = "the quick brown fox jumps over the lazy dog; 0123456789. ".repeat(12);
    let tokenizer = ByteTokenizer;
    let mut tokens = Tokens::new(&tokenizer);
    let ids = tokenizer.encode(&text).unwrap();
    tokens.push(&ids, 0, text.len() as u64).unwrap();
    let layout = Layout::Packed {
        sight: Sight::Block,
        borders: Borders::Fixed,
    };
    let spec = LoaderSpec {
        layout,
        length_max: LENGTH,
        batch_size,
        order,
        partial: Partial::Keep,
    };
    Loader::new(Arc::new(tokens), spec).unwrap()
}

pub(crate) fn executor(seed: u64, batch_size: usize, moments: usize, dropout: f64) -> Executor {
    let spec = Spec::Custom(CustomSpec {
        vocab_size: 257,
        max_seq_len: LENGTH,
        n_blocks: 2,
        n_heads: 2,
        d_model: 16,
        d_ffn: 32,
    });
    let capacity = Extent::new(batch_size * LENGTH, batch_size);
    let train = Arc::new(spec.graph(&Outputs::training(LossOptions::PLAIN, dropout)));
    let judge = Arc::new(spec.graph(&Outputs::judging()));
    let programs = vec![
        (
            train.clone(),
            PlanOptions::training(DType::F32, capacity, moments),
        ),
        (judge, PlanOptions::inference(DType::F32, capacity)),
    ];
    let mut exec = Executor::with_programs(programs, Box::new(Cpu::new(1, Isa::detect())));
    Weights::init(&train, DType::F32, seed).write(&mut exec);
    exec
}

pub(crate) fn settings() -> Settings {
    Settings {
        seed: 5,
        optimizer: Optimizer::AdamW {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
        },
        schedule: Schedule {
            curve: Curve::Cosine,
            base: 3e-3,
            min: 3e-4,
            warmup_steps: 3,
            total_steps: 14,
        },
        accumulation: 2,
        max_grad_norm: Some(1.0),
        nan_steps_max: 10,
        eval_every: Some(4),
        checkpoint_every: Some(3),
        checkpoint_every_epochs: None,
        log_every: 2,
        keep_checkpoints: Some(2),
        early_stopping: None,
    }
}

pub(crate) fn judge(exec: &mut Executor) -> Result<Validation> {
    exec.activate(1);
    let mut data = loader(2, Order::InOrder);
    let (mut batch, mut loss) = (Batch::default(), LossSum::default());
    for _ in 0..data.n_batches() {
        data.next(&mut batch);
        feed(exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
        feed_targets(exec, &batch.targets, &[]);
        exec.forward();
        loss.add(exec.loss());
    }
    exec.activate(0);
    Ok(Validation {
        loss,
        metrics: Vec::new(),
    })
}

/// What a run left: its outcome, weights and moments, and what it told about steps and validations.
pub(crate) struct Left {
    pub(crate) outcome: Outcome,
    pub(crate) weights: Weights,
    pub(crate) lines: Vec<String>,
}

pub(crate) struct Options<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) folder: &'a Path,
    pub(crate) settings: Settings,
    /// The instruction set that the run is told of.
    pub(crate) isa: &'static str,
    /// Set the interrupt after this step.
    pub(crate) interrupt_after: Option<u64>,
}

pub(crate) fn run(
    options: Options<'_>,
    exec: &mut Executor,
    resume: Option<&Path>,
) -> Result<Left> {
    let interrupt = AtomicBool::new(false);
    let mut lines = Vec::new();
    let clock = FixedClock::at(0);
    let mut judge = judge;
    let run = Run {
        exec,
        data: loader(
            2,
            Order::Shuffled {
                seed: options.settings.seed,
            },
        ),
        settings: &options.settings,
        judge: Some(&mut judge),
        checkpoints: options.folder.to_path_buf(),
        store: &PlainStore,
        disk: options.disk,
        clock: &clock,
        isa: options.isa,
        interrupt: &interrupt,
    };
    let outcome = train(run, resume, &mut |event| {
        match event {
            Event::Step(s) => {
                if options.interrupt_after == Some(s.step) {
                    interrupt.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Event::Log(s) => lines.push(format!("{s:?}")),
            Event::Validated {
                step,
                validation,
                is_best,
                ..
            } => {
                lines.push(format!("{step} {validation:?} {is_best}"));
            }
            Event::OtherIsa { before, now } => lines.push(format!("{before} to {now}")),
            Event::Skipped { .. } | Event::Saved { .. } | Event::Ended(_) => {}
        }
        Ok(())
    })?;
    let weights = Weights::read(exec);
    Ok(Left {
        outcome,
        weights,
        lines,
    })
}

/// The latest complete checkpoint.
pub(crate) fn latest(disk: &dyn Disk, folder: &Path) -> Option<std::path::PathBuf> {
    let checkpoints = Checkpoints::new(disk, folder.to_path_buf(), &PlainStore);
    let steps = checkpoints.steps().expect("the folder can be listed");
    steps.last().map(|&s| checkpoints.path(s))
}
