"""Tiny encoders with heads for classes, computed by `transformers` in true f64.

    python crates/models/tests/heads/make_heads.py crates/models/tests/heads

A folder has `model/`, `inputs.safetensors` and `expected.safetensors` in f64: logits, loss,
hidden_states.i and grad.<name in the file>. Rows of a head for sequences are padded on the right
only: the reference reads column 0, whatever it holds.
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig, BertForSequenceClassification, BertForTokenClassification, EsmConfig,
    EsmForSequenceClassification, EsmForTokenClassification,
)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "scripts"))
from make_goldens import IGNORED, everything_f64, fill  # noqa: E402

SEED, CONTEXT, VOCABULARY, MASK_ID = 11, 10, 19, 18
SIZES = dict(
    vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=12, max_position_embeddings=CONTEXT, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, pad_token_id=1, mask_token_id=MASK_ID,
)
NAMES = {0: "cytosol", 1: "membrane", 2: "nucleus"}
BERT = dict(SIZES, hidden_act="relu", id2label=NAMES, problem_type="single_label_classification")
ESM = dict(
    SIZES, position_embedding_type="rotary", token_dropout=True, emb_layer_norm_before=False,
    hidden_act="gelu",
)
MODELS = {
    "bert_sequence": (BertForSequenceClassification, BertConfig, BERT),
    "bert_token": (BertForTokenClassification, BertConfig, dict(BERT, problem_type=None)),
    "esm2_sequence": (EsmForSequenceClassification, EsmConfig, dict(ESM, num_labels=4)),
    "bert_numbers": (
        BertForSequenceClassification, BertConfig, dict(BERT, problem_type="regression"),
    ),
    "bert_labels": (
        BertForSequenceClassification, BertConfig,
        dict(BERT, problem_type="multi_label_classification"),
    ),
    "esm2_number": (
        EsmForSequenceClassification, EsmConfig,
        dict(ESM, num_labels=1, problem_type="regression"),
    ),
    # Two classes are what a configuration means that says nothing.
    "esm2_token": (EsmForTokenClassification, EsmConfig, ESM),
}


def write_model(folder, kind, config, generator):
    model = kind(config)
    for name, weight in model.named_parameters():
        gain = name.endswith("LayerNorm.weight") or "layer_norm" in name and weight.dim() == 1
        name = "norm.weight" if gain and name.endswith("weight") else "other"
        weight.data = fill(name, weight, weight.shape[-1], generator)
    model.save_pretrained(folder)


def told(problem, n_classes, generator):
    """Numbers, or labels of which one is only likely."""
    if problem == "regression":
        return torch.randn(4, n_classes, generator=generator)
    labels = torch.randint(0, 2, (4, n_classes), generator=generator).float()
    labels[1, 1] = 0.75
    return labels


def make_inputs(name, config, generator):
    sequences, n_classes = not name.endswith("token"), config.num_labels
    ids = torch.randint(4, MASK_ID, (4, CONTEXT), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, CONTEXT - 4:] = 0
    if sequences:
        mask[2, CONTEXT - 2:] = 0
    else:
        mask[2, :3] = 0
    mask[3, 1:] = 0
    ids[0, 4] = ids[2, 5] = MASK_ID
    ids = torch.where(mask == 1, ids, 1)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if name.startswith("bert"):
        inputs["token_type_ids"] = torch.randint(0, 2, ids.shape, generator=generator) * mask
    if config.problem_type in ("regression", "multi_label_classification"):
        labels = told(config.problem_type, n_classes, generator)
    elif sequences:
        labels = torch.tensor([n_classes - 1, 0, IGNORED, 1])
    else:
        labels = torch.randint(0, n_classes, ids.shape, generator=generator)
        labels[0, :3] = IGNORED
        labels = torch.where(mask == 1, labels, IGNORED)
    return inputs | {"labels": labels}


def old_name(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def run(folder, kind, config, inputs):
    with everything_f64():
        model = kind._from_config(config, attn_implementation="eager")
        for name, buffer in model.named_buffers():
            assert buffer.dtype != torch.float32, f"{name} is f32"
        model = model.double().eval()
        stored = load_file(folder / "model.safetensors")
        # The norms of ESM-2 are saved under other names, and its angles beside them.
        stored = {name: x for name, x in stored.items() if not name.endswith("inv_freq")}
        in_file = lambda name: name if name in stored else old_name(name)
        named = {in_file(name): weight for name, weight in model.named_parameters()}
        assert set(stored) == set(named), set(stored) ^ set(named)
        for name, weight in stored.items():
            named[name].data = weight.double()
        mask = inputs["attention_mask"]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        inputs = {k: x.double() if x.is_floating_point() else x for k, x in inputs.items()}
        out = model(**inputs, position_ids=positions, output_hidden_states=True)
        out.loss.backward()
    tensors = {"logits": out.logits, "loss": out.loss.reshape(1)}
    tensors |= {f"hidden_states.{i}": x for i, x in enumerate(out.hidden_states)}
    tensors |= {f"grad.{name}": w.grad for name, w in named.items() if w.grad is not None}
    assert all(x.dtype == torch.float64 for x in tensors.values())
    return {name: x.detach().contiguous() for name, x in tensors.items()}


def main():
    out = pathlib.Path(sys.argv[1])
    for name, (kind, make_config, keys) in MODELS.items():
        generator = torch.Generator().manual_seed(SEED)
        folder, config = out / name, make_config(**keys)
        write_model(folder / "model", kind, config, generator)
        inputs = make_inputs(name, config, generator)
        save_file(inputs, folder / "inputs.safetensors")
        save_file(run(folder / "model", kind, config, inputs), folder / "expected.safetensors")


if __name__ == "__main__":
    main()
