//! Whose architecture a model has.

use crate::spec::{Activation, Decoder, Encoder, Rope, RopeScaling, Spec};

/// The paper of an architecture.
pub(super) struct Origin {
    /// What it is called.
    pub(super) name: &'static str,
    /// Who wrote it, and when.
    pub(super) authors: &'static str,
    /// The title.
    pub(super) title: &'static str,
    /// Where it stands.
    pub(super) url: &'static str,
}

const fn origin(
    name: &'static str,
    authors: &'static str,
    title: &'static str,
    url: &'static str,
) -> Origin {
    Origin {
        name,
        authors,
        title,
        url,
    }
}

const TRANSFORMER: Origin = origin(
    "a post-norm transformer",
    "Vaswani et al. (2017)",
    "Attention Is All You Need",
    "https://arxiv.org/abs/1706.03762",
);
const GPT2: Origin = origin(
    "GPT-2",
    "Radford et al. (2019)",
    "Language Models are Unsupervised Multitask Learners",
    concat!(
        "https://cdn.openai.com/better-language-models/",
        "language_models_are_unsupervised_multitask_learners.pdf"
    ),
);
const BERT: Origin = origin(
    "BERT",
    "Devlin et al. (2019)",
    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
    "https://arxiv.org/abs/1810.04805",
);
const GENEFORMER: Origin = origin(
    "Geneformer",
    "Theodoris et al. (2023)",
    "Transfer learning enables predictions in network biology",
    "https://doi.org/10.1038/s41586-023-06139-9",
);
const ESM2: Origin = origin(
    "ESM-2",
    "Lin et al. (2023)",
    "Evolutionary-scale prediction of atomic-level protein structure with a language model",
    "https://doi.org/10.1126/science.ade2574",
);
const ESM1B: Origin = origin(
    "ESM-1b",
    "Rives et al. (2021)",
    "Biological structure and function emerge from scaling unsupervised learning to 250 million \
     protein sequences",
    "https://doi.org/10.1073/pnas.2016239118",
);
const ESM1V: Origin = origin(
    "ESM-1v",
    "Meier et al. (2021)",
    "Language models enable zero-shot prediction of the effects of mutations on protein function",
    "https://doi.org/10.1101/2021.07.09.450648",
);
const AMPLIFY: Origin = origin(
    "AMPLIFY",
    "Fournier et al. (2024)",
    "Protein Language Models: Is Scaling Necessary?",
    "https://doi.org/10.1101/2024.09.23.614603",
);
const ENCODON: Origin = origin(
    "EnCodon of CodonFM",
    "NVIDIA and Arc Institute (2025)",
    "Learning the Language of Codon Translation with CodonFM",
    "https://openreview.net/forum?id=TMnYYL5qLI",
);
const LLAMA: Origin = origin(
    "Llama",
    "Touvron et al. (2023)",
    "LLaMA: Open and Efficient Foundation Language Models",
    "https://arxiv.org/abs/2302.13971",
);
const LLAMA3: Origin = origin(
    "Llama 3",
    "Grattafiori et al. (2024)",
    "The Llama 3 Herd of Models",
    "https://arxiv.org/abs/2407.21783",
);
const MISTRAL: Origin = origin(
    "Mistral",
    "Jiang et al. (2023)",
    "Mistral 7B",
    "https://arxiv.org/abs/2310.06825",
);
const MIXTRAL: Origin = origin(
    "Mixtral",
    "Jiang et al. (2024)",
    "Mixtral of Experts",
    "https://arxiv.org/abs/2401.04088",
);
const QWEN2: Origin = origin(
    "Qwen 2",
    "Yang et al. (2024)",
    "Qwen2 Technical Report",
    "https://arxiv.org/abs/2407.10671",
);
const QWEN3: Origin = origin(
    "Qwen 3",
    "Yang et al. (2025)",
    "Qwen3 Technical Report",
    "https://arxiv.org/abs/2505.09388",
);

/// The papers of a model's architecture, the first one first.
pub(super) fn origins(spec: &Spec) -> Vec<&'static Origin> {
    match spec {
        Spec::Custom(_) => vec![&TRANSFORMER],
        Spec::Gpt2(_) => vec![&GPT2],
        Spec::Encoder(spec) => match spec.family {
            // BERT with ReLU is what Geneformer is.
            Encoder::Bert { .. } if spec.activation == Activation::Relu => vec![&BERT, &GENEFORMER],
            Encoder::Bert { .. } => vec![&BERT],
            // ESM-1v has no norm behind the embedding.
            Encoder::Esm {
                rope_theta: None,
                embed_norm,
                ..
            } => vec![if embed_norm { &ESM1B } else { &ESM1V }],
            Encoder::Esm { .. } => vec![&ESM2],
            Encoder::Amplify { .. } => vec![&AMPLIFY],
            Encoder::Encodon { .. } | Encoder::PlainEncodon => vec![&ENCODON],
        },
        Spec::Decoder(spec) => match (spec.family, spec.rope) {
            (
                Decoder::Llama,
                Rope {
                    scaling: Some(RopeScaling::Llama3 { .. }),
                    ..
                },
            ) => vec![&LLAMA, &LLAMA3],
            (Decoder::Llama, _) => vec![&LLAMA],
            (Decoder::Mistral, _) => vec![&MISTRAL],
            (Decoder::Mixtral, _) => vec![&MIXTRAL],
            (Decoder::Qwen2, _) => vec![&QWEN2],
            (Decoder::Qwen3, _) => vec![&QWEN3],
        },
    }
}
