//! What is measured: a named model or that of a configuration, and a batch of random tokens.

use clap::ValueEnum;
use tenon_base::Result;
use tenon_base::rng::{Key, Stream};
use tenon_engine::exec::IGNORE;
use tenon_engine::{DType, Executor, Extent, Recompute};
use tenon_models::net::{feed, feed_targets};
use tenon_models::published::{plain_decoder, published};
use tenon_models::spec::{Activation, Decoder, Gpt2Spec, Objective, Spec};

use crate::context::Context;
use crate::describe::Described;

/// Models whose shapes `scripts/torch_train_step.py` has too, and one that is large for a
/// processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Named {
    /// GPT-2, 28 M parameters, 92 % of them in a vocabulary of 50,257; 8 sequences of 256
    #[value(name = "gpt28m")]
    Gpt28m,
    /// GPT-2, 26 M parameters with a vocabulary of 512; 4 sequences of 512
    #[value(name = "gpt26m_smallvocab")]
    Gpt26mSmallvocab,
    /// Llama, 52 M parameters with a vocabulary of 32,000; 4 sequences of 256
    #[value(name = "llama52m")]
    Llama52m,
    /// Llama, 1.1 B parameters, the shape of TinyLlama 1.1 B; 1 sequence of 128
    #[value(name = "tinyllama1b1")]
    TinyLlama1b1,
    /// ESM-2 of 8 M parameters; 8 sequences of 256
    #[value(name = "esm2_8m")]
    Esm2Small,
    /// ESM-2 of 8 M parameters; 16 sequences of log-normal lengths
    #[value(name = "esm2_8m_ragged")]
    Esm2Ragged,
    /// ESM-2 of 35 M parameters; 4 sequences of 256
    #[value(name = "esm2_35m")]
    Esm2Medium,
}

/// Draws of a log-normal distribution (of logarithms: mean 5, deviation 0.6).
const RAGGED: [usize; 16] = [
    119, 175, 157, 58, 64, 94, 90, 169, 249, 97, 50, 67, 186, 156, 83, 205,
];

/// Of so many tokens a masked model is asked for [`ASKED`]: 15 % (Devlin et al. 2019, section 3.1).
const ASKED_OF: usize = 20;
const ASKED: usize = 3;
/// Coprime to [`ASKED_OF`]: as many of any run of so many tokens are asked for, and not together.
const ASKED_STEP: usize = 7;

/// A model with its batch.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called in reports.
    pub name: String,
    /// The model; its weights are fresh.
    pub spec: Spec,
    /// Tokens and sequences of a batch. Plans have room for all tokens to count.
    pub batch: Extent,
    /// Tokens of each sequence, where they differ.
    pub lengths: Option<Vec<usize>>,
    /// The type of all floats.
    pub float: DType,
    /// Dropout in training.
    pub dropout: f64,
    /// What the backward pass computes again.
    pub recompute: Recompute,
}

impl Named {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Named::Gpt28m => "gpt28m",
            Named::Gpt26mSmallvocab => "gpt26m_smallvocab",
            Named::Llama52m => "llama52m",
            Named::TinyLlama1b1 => "tinyllama1b1",
            Named::Esm2Small => "esm2_8m",
            Named::Esm2Ragged => "esm2_8m_ragged",
            Named::Esm2Medium => "esm2_35m",
        }
    }

    /// The model and its batch.
    pub fn case(self) -> Case {
        let (spec, seqs, length) = match self {
            Named::Gpt28m => (gpt2([50257, 256, 4, 4, 512, 256]), 8, 256),
            Named::Gpt26mSmallvocab => (gpt2([512, 512, 8, 8, 2048, 512]), 4, 512),
            Named::Llama52m => (llama52m(), 4, 256),
            Named::TinyLlama1b1 => (named("TinyLlama-1.1B"), 1, 128),
            Named::Esm2Small | Named::Esm2Ragged => (named("esm2_t6_8M"), 8, 256),
            Named::Esm2Medium => (named("esm2_t12_35M"), 4, 256),
        };
        let lengths = (self == Named::Esm2Ragged).then(|| RAGGED.to_vec());
        let (tokens, seqs) = match &lengths {
            Some(lengths) => (lengths.iter().sum(), lengths.len()),
            None => (seqs * length, seqs),
        };
        Case {
            name: self.name().to_owned(),
            spec,
            batch: Extent::new(tokens, seqs),
            lengths,
            float: DType::F32,
            dropout: 0.0,
            recompute: Recompute::Selective,
        }
    }
}

/// Vocabulary, width, layers, heads, feed-forward width, context; the head is a matrix of its own.
fn gpt2([vocab_size, d_model, n_layers, n_heads, d_ffn, n_positions]: [usize; 6]) -> Spec {
    Spec::Gpt2(Gpt2Spec {
        vocab_size,
        n_positions,
        d_model,
        n_layers,
        n_heads,
        d_ffn,
        activation: Activation::GeluNew,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings: false,
        bos_id: None,
        eos_ids: Vec::new(),
        initializer_range: 0.02,
    })
}

fn llama52m() -> Spec {
    let sizes = [32000, 256, 512, 6, 8, 8, 1376];
    Spec::Decoder(plain_decoder(Decoder::Llama, sizes))
}

/// A published model.
fn named(name: &str) -> Spec {
    let mut all = published().into_iter();
    let found = all.find(|model| model.name == name);
    found.expect("a published model").spec
}

impl Case {
    /// The model and batch of a configuration, or of a model's folder.
    ///
    /// # Errors
    /// `Usage` when the configuration's memory budget is too small, `Data` for a model that tells
    /// classes.
    pub fn of(name: String, described: &Described, context: &Context) -> Result<Case> {
        described.spec.expect_tokens("a benchmark")?;
        Ok(Case {
            name,
            batch: described.batch(),
            lengths: None,
            float: described.float(),
            dropout: described.dropout(),
            recompute: described.fit(context)?.recompute,
            spec: described.spec.clone(),
        })
    }

    /// Tokens of a sequence, of the longest where they differ.
    pub fn length(&self) -> usize {
        let longest = self.lengths.iter().flatten().max();
        longest
            .copied()
            .unwrap_or(self.batch.tokens / self.batch.seqs)
    }

    fn lengths(&self) -> Vec<usize> {
        let same = || vec![self.length(); self.batch.seqs];
        self.lengths.clone().unwrap_or_else(same)
    }

    /// Random targets of training: of all tokens, or of those that a masked model is asked for.
    pub fn training_targets(&self) -> Vec<i32> {
        let mut targets = self.targets();
        if self.spec.objective() == Objective::Masked {
            for (t, target) in targets.iter_mut().enumerate() {
                if t * ASKED_STEP % ASKED_OF >= ASKED {
                    *target = IGNORE;
                }
            }
        }
        targets
    }

    /// Random targets of all tokens.
    pub fn targets(&self) -> Vec<i32> {
        random_ids(&self.spec, self.batch.tokens, 1)
    }

    /// Gives the active graph a batch of random tokens, with targets where it has a loss.
    pub fn feed(&self, exec: &mut Executor, targets: &[i32]) {
        let (mut positions, mut bounds) = (Vec::new(), vec![0]);
        for length in self.lengths() {
            positions.extend(0..length as i32);
            bounds.push(positions.len() as i32);
        }
        let ids = random_ids(&self.spec, self.batch.tokens, 0);
        feed(exec, &ids, &positions, &bounds);
        if exec.has_input("targets") {
            feed_targets(exec, targets, &[]);
        }
    }
}

/// The `i`-th row of `n` random ids of the vocabulary, the same in every run.
pub fn random_ids(spec: &Spec, n: usize, i: u64) -> Vec<i32> {
    let mut rng = Key::new(0, Stream::Corpus).at(0, i);
    let vocab_size = spec.vocab_size() as u64;
    (0..n).map(|_| rng.below(vocab_size) as i32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenon_models::net::Outputs;

    #[test]
    fn named_models_have_the_sizes_of_their_names() {
        let facts = [
            (27_906_048, 256),
            (26_006_528, 512),
            (51_747_328, 256),
            (1_100_048_384, 128),
            (7_512_353, 256),
            (7_512_353, 249),
            (33_501_153, 256),
        ];
        assert_eq!(facts.len(), Named::value_variants().len());
        for (named, (n_params, length)) in Named::value_variants().iter().zip(facts) {
            let case = named.case();
            case.spec.validate().unwrap();
            assert_eq!(case.length(), length, "{}", case.name);
            assert!(length <= case.spec.context_len(), "{}", case.name);
            let graph = case.spec.graph(&Outputs::judging());
            assert_eq!(graph.n_params(), n_params, "{}", case.name);
            let on_line = named.to_possible_value().expect("no variant is hidden");
            assert_eq!(on_line.get_name(), named.name());
        }
    }

    #[test]
    fn masked_models_are_asked_for_some_tokens_and_others_for_all() {
        let asked = |named: Named| {
            let case = named.case();
            let targets = case.training_targets();
            assert_eq!(targets.len(), case.batch.tokens);
            let asked = targets.iter().filter(|&&target| target != IGNORE).count();
            asked as f64 / case.batch.tokens as f64
        };
        assert!((asked(Named::Esm2Small) - 0.15).abs() < 0.001);
        assert_eq!(asked(Named::Gpt28m), 1.0);
        let mut one = Named::Esm2Small.case();
        one.batch = Extent::new(1, 1);
        assert_ne!(one.training_targets(), [IGNORE]);
    }

    #[test]
    fn random_tokens_are_those_of_the_vocabulary_and_come_again() {
        let spec = Named::Gpt26mSmallvocab.case().spec;
        let ids = random_ids(&spec, 5000, 0);
        assert_eq!(ids, random_ids(&spec, 5000, 0));
        assert_ne!(ids, random_ids(&spec, 5000, 1));
        assert_eq!((ids.iter().min(), ids.iter().max()), (Some(&0), Some(&511)));
    }
}
