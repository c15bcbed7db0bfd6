//! A model as a value: run it, train it, let it write, save it.

mod batch;

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use tenon_base::files::RealDisk;
use tenon_base::{Error, Result};
use tenon_data::{Tokenizer, vocab};
use tenon_engine::cpu::Cpu;
use tenon_engine::{DType, Executor, Extent, Kernels, LossSum, PlanOptions, Recompute};
use tenon_eval::{Flow, Generated, Generator, Sampling};
use tenon_kernels::Isa;
use tenon_models::checkpoint::Dtype as StoredType;
use tenon_models::folder::{self, Extra};
use tenon_models::hub::{HubConfig, Naming};
use tenon_models::net::{Logits, LossOptions, Outputs, feed, feed_targets};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;
use tenon_train::{Optimizer, update};

use batch::Batch;

/// Norm to which [`Model::train_step`] clips gradients.
pub const MAX_GRAD_NORM: f64 = 1.0;

/// The program that trains.
const TRAINING: usize = 0;
/// The program that shows logits.
const SHOWING: usize = 1;

/// A language model with its parameters. Training and inference share them, in one arena that grows
/// with the largest batch so far.
pub struct Model {
    hub: HubConfig,
    /// Tensors of the folder that are no parameters.
    extras: Vec<Extra>,
    tokenizer: Option<Arc<dyn Tokenizer>>,
    exec: Executor,
    room: Room,
}

/// What the plans have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    tokens: usize,
    seqs: usize,
    /// Tokens of the longest sequence.
    length: usize,
}

/// What a model computed for a batch of `N` tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// `[N, V]`, the sequences end to end.
    pub logits: Vec<f64>,
    /// `V`.
    pub vocab_size: usize,
    /// Mean over the counted labels, in nats; `None` without labels.
    pub loss: Option<f64>,
}

/// A step of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean over the counted labels before the step, in nats.
    pub loss: f64,
    /// Norm of the gradients of the mean loss, as applied.
    pub grad_norm: f64,
    /// The same before clipping to [`MAX_GRAD_NORM`].
    pub grad_norm_before_clip: f64,
    /// Counted labels.
    pub tokens: usize,
}

/// Facts of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The family's name.
    pub family: &'static str,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// The longest sequence, in tokens.
    pub context_len: usize,
    /// Elements of all parameters, tied ones once.
    pub n_params: usize,
    /// Family and sizes.
    pub spec: Spec,
}

impl Model {
    /// A fresh f32 model; equal seeds give equal parameters.
    ///
    /// # Errors
    /// `Data` for sizes that make no model, and for a head that tells classes.
    pub fn new(spec: Spec, seed: u64) -> Result<Model> {
        spec.validate()?;
        spec.expect_tokens("this interface")?;
        let graph = spec.with_rotary_positions(1).graph(&Outputs::judging());
        let weights = Weights::init(&graph, DType::F32, seed);
        Ok(Model::of(
            HubConfig::new(spec, StoredType::F32)?,
            &weights,
            None,
        ))
    }

    /// Reads a run's folder or a hub folder, with the tokenizer that lies in it. Floats have the
    /// type of the checkpoint, at least f32.
    ///
    /// # Errors
    /// `Data` for a folder without a model, files that lie, or a model that tells classes; `Io`.
    pub fn load(path: &Path) -> Result<Model> {
        let folder = folder::load(&RealDisk, path)?;
        folder.config.spec.expect_tokens("this interface")?;
        let tokenizer = match folder.tokenizer_files.is_empty() {
            true => None,
            false => Some(Arc::from(vocab::load(&folder.path)?)),
        };
        let extras = folder.unchanging();
        let hub = HubConfig {
            naming: Naming::Hub,
            ..folder.config
        };
        Ok(Model {
            extras,
            ..Model::of(hub, &folder.weights, tokenizer)
        })
    }

    fn of(hub: HubConfig, weights: &Weights, tokenizer: Option<Arc<dyn Tokenizer>>) -> Model {
        let room = Room {
            tokens: 1,
            seqs: 1,
            length: 1,
        };
        Model {
            exec: executor(&hub.spec, weights, room),
            hub,
            extras: Vec::new(),
            tokenizer,
            room,
        }
    }

    /// Family, sizes and number of parameters.
    pub fn info(&self) -> Info {
        let spec = &self.hub.spec;
        Info {
            family: spec.family(),
            vocab_size: spec.vocab_size(),
            context_len: spec.context_len(),
            n_params: self.exec.graph().n_params(),
            spec: spec.clone(),
        }
    }

    /// The tokenizer that lay beside the model.
    pub fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.tokenizer.as_deref()
    }

    /// The parameters, under our names.
    pub fn weights(&mut self) -> Weights {
        Weights::read(&mut self.exec)
    }

    /// Logits of sequences, which may have different lengths.
    ///
    /// # Errors
    /// `Data` for an empty batch or sequence, one longer than the context, or an id outside the
    /// vocabulary.
    pub fn forward(&mut self, ids: &[Vec<u32>]) -> Result<Forward> {
        let batch = Batch::new(ids, None, &self.hub.spec)?;
        Ok(self.show(&batch).0)
    }

    /// Logits and loss. A token's label is that of its place, and −100 is not counted: the token
    /// before it predicts it, and the first label of a sequence is nobody's to predict; in a model
    /// of masked tokens each token predicts its own.
    ///
    /// # Errors
    /// As [`Model::forward`]; `Data` for labels of another shape or outside the vocabulary, or when
    /// none counts.
    pub fn forward_with_labels(
        &mut self,
        ids: &[Vec<u32>],
        labels: &[Vec<i32>],
    ) -> Result<Forward> {
        let batch = Batch::new(ids, Some(labels), &self.hub.spec)?;
        let (shown, loss) = self.show(&batch);
        let loss = loss.mean();
        Ok(Forward { loss, ..shown })
    }

    fn show(&mut self, batch: &Batch) -> (Forward, LossSum) {
        self.feed(SHOWING, batch);
        self.exec.forward();
        let logits = self.exec.read_output("logits");
        let shown = Forward {
            logits: logits.expect("a showing graph has logits"),
            vocab_size: self.hub.spec.vocab_size(),
            loss: None,
        };
        (shown, self.exec.loss())
    }

    /// Gradients of the mean loss under our names of the parameters.
    ///
    /// # Errors
    /// As [`Model::forward_with_labels`].
    pub fn gradients(
        &mut self,
        ids: &[Vec<u32>],
        labels: &[Vec<i32>],
    ) -> Result<Vec<(String, Vec<f64>)>> {
        let loss = self.backward(ids, labels)?;
        let graph = self.exec.graph().clone();
        let per_token = 1.0 / loss.tokens as f64;
        let mut gradients = Vec::new();
        for p in graph.param_ids() {
            if let Some(mut values) = self.exec.read_grad(p) {
                values.iter_mut().for_each(|x| *x *= per_token);
                gradients.push((graph.param(p).name.clone(), values));
            }
        }
        Ok(gradients)
    }

    /// One step of gradient descent on the mean loss, clipped to [`MAX_GRAD_NORM`].
    ///
    /// # Errors
    /// As [`Model::forward_with_labels`]; judged bad, with the parameters as they were, when loss
    /// or gradients are not finite.
    pub fn train_step(
        &mut self,
        ids: &[Vec<u32>],
        labels: &[Vec<i32>],
        learning_rate: f64,
    ) -> Result<StepReport> {
        if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
            let message = format!("the learning rate is {learning_rate}");
            return Err(Error::usage(message).hint("give a number of at least 0"));
        }
        let sum = self.backward(ids, labels)?;
        let per_token = 1.0 / sum.tokens as f64;
        let loss = sum.total * per_token;
        let norm = self.exec.grad_sum_of_squares().sqrt() * per_token;
        if !(loss.is_finite() && norm.is_finite()) {
            let message = format!("the loss is {loss}, the norm of the gradients {norm}");
            return Err(Error::judged(message).hint("lower the learning rate"));
        }
        let clip = match norm > MAX_GRAD_NORM {
            true => MAX_GRAD_NORM / norm,
            false => 1.0,
        };
        let sgd = Optimizer::Sgd {
            momentum: 0.0,
            weight_decay: 0.0,
        };
        update(&mut self.exec, &sgd, learning_rate, clip * per_token, 1);
        Ok(StepReport {
            loss,
            grad_norm: norm * clip,
            grad_norm_before_clip: norm,
            tokens: sum.tokens,
        })
    }

    /// Leaves the gradients of the sum over counted labels.
    fn backward(&mut self, ids: &[Vec<u32>], labels: &[Vec<i32>]) -> Result<LossSum> {
        let batch = Batch::new(ids, Some(labels), &self.hub.spec)?;
        self.feed(TRAINING, &batch);
        self.exec.zero_grads();
        self.exec.forward();
        self.exec.backward();
        Ok(self.exec.loss())
    }

    /// Continues a prompt.
    ///
    /// # Errors
    /// `Usage` for a setting outside its range, or a prompt that is empty or longer than the
    /// context; `Data` for an id outside the vocabulary.
    pub fn generate(&mut self, prompt: &[u32], sampling: &Sampling) -> Result<Generated> {
        let weights = self.weights();
        let spec = &self.hub.spec;
        let wanted = prompt.len().saturating_add(sampling.max_new_tokens);
        let capacity = wanted.clamp(1, spec.context_len());
        let mut generator = Generator::new(spec, &weights, device(), 1, capacity)?;
        let on_token = &mut |_: usize, _: u32| Flow::Continue;
        let mut generated = generator.generate(&[prompt.to_vec()], sampling, on_token)?;
        Ok(generated.remove(0))
    }

    /// Writes a hub folder, with the tokenizer if there is one.
    ///
    /// # Errors
    /// `Io`.
    pub fn save(&mut self, folder: &Path) -> Result<()> {
        let weights = self.weights();
        folder::save_from(&RealDisk, folder, &self.hub, &mut &weights, &self.extras)?;
        match &self.tokenizer {
            Some(tokenizer) => tokenizer.save(&RealDisk, folder),
            None => Ok(()),
        }
    }

    /// Gives a program a batch, in an arena that is large enough.
    fn feed(&mut self, program: usize, batch: &Batch) {
        let needed = Room {
            tokens: self.room.tokens.max(batch.ids.len()),
            seqs: self.room.seqs.max(batch.bounds.len() - 1),
            length: self.room.length.max(batch.length),
        };
        if needed != self.room {
            let weights = self.weights();
            self.exec = executor(&self.hub.spec, &weights, needed);
            self.room = needed;
        }
        self.exec.activate(program);
        feed(&mut self.exec, &batch.ids, &batch.positions, &batch.bounds);
        feed_targets(&mut self.exec, &batch.targets, &[]);
    }
}

fn device() -> Box<dyn Kernels> {
    let threads = available_parallelism().map_or(1, |n| n.get());
    Box::new(Cpu::new(threads, Isa::detect()))
}

fn executor(spec: &Spec, weights: &Weights, room: Room) -> Executor {
    let capacity = Extent::new(room.tokens, room.seqs);
    // No more rotary angles than sequences have positions.
    let spec = spec.with_rotary_positions(room.length);
    let training = Outputs::training(LossOptions::PLAIN, 0.0);
    let showing = Outputs {
        logits: Some(Logits::All),
        ..training.clone()
    };
    let programs = vec![
        (
            Arc::new(spec.graph(&training)),
            PlanOptions {
                recompute: Recompute::Selective,
                ..PlanOptions::training(weights.dtype, capacity, 0)
            },
        ),
        (
            Arc::new(spec.graph(&showing)),
            PlanOptions::inference(weights.dtype, capacity),
        ),
    ];
    let mut exec = Executor::with_programs(programs, device());
    weights.write(&mut exec);
    exec
}
