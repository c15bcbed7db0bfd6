//! One binary for the whole life of a model: the command line and the library behind it
//!
//! A [`Model`] is a value:
//!
//! ```
//! use tenon::{CustomSpec, Model, Sampling, Spec};
//!
//! let spec = Spec::Custom(CustomSpec {
//!     vocab_size: 32, max_seq_len: 16, n_blocks: 1, n_heads: 2, d_model: 16, d_ffn: 32,
//! });
//! let mut model = Model::new(spec, 42)?;
//! println!("{} parameters", model.info().n_params);
//!
//! // Learns to count. Labels are the ids themselves: each token predicts the next.
//! let ids: Vec<Vec<u32>> = vec![(1..13).collect(), (5..17).collect()];
//! let labels: Vec<Vec<i32>> = vec![(1..13).collect(), (5..17).collect()];
//! let before = model.forward_with_labels(&ids, &labels)?.loss;
//! for _ in 0..150 {
//!     model.train_step(&ids, &labels, 0.3)?;
//! }
//! assert!(model.forward_with_labels(&ids, &labels)?.loss < before);
//!
//! let written = model.generate(&[1, 2, 3], &Sampling::greedy(4))?;
//! assert_eq!(written.tokens, [4, 5, 6, 7]);
//!
//! let folder = tempfile::tempdir()?;
//! model.save(folder.path())?;
//! let mut again = Model::load(folder.path())?;
//! assert_eq!(again.forward(&ids)?, model.forward(&ids)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bench;
pub mod cli;
pub mod config;
pub mod contacts;
pub mod context;
pub mod describe;
pub mod evaluate;
pub mod generate;
pub mod memory;
pub mod model;
pub mod plots;
pub mod prepare;
pub mod progress;
pub mod report;
pub mod runs;
pub mod subject;
pub mod table;
pub mod train;

pub use model::{Forward, Info, Model, StepReport};
pub use tenon_eval::{Generated, Sampling};
pub use tenon_models::spec::{CustomSpec, DecoderSpec, Gpt2Spec, Spec};
