"""Small goldens of the families, computed by their reference implementations in true f64.

A folder has `model/` (config.json, model.safetensors in f32, weights of std 0.9/sqrt(fan_in)),
`inputs.safetensors` (input_ids, attention_mask, labels) and `expected.safetensors` in f64: logits,
hidden_states.0 (what enters block 0), hidden_states.i (the stream after block i; the last one after
the final norm where the family has one), loss (shifted, mean over labels other than -100) and
grad.<name in the file>.

Rows: full context, right padding, left padding, one token. Values at padded positions mean nothing.
"""

import argparse
import json
import math
import pathlib
import sys
from contextlib import contextmanager

import torch
from safetensors.torch import load_file, save_file

import custom_reference

SEED = 7
IGNORED = -100
GPT2 = dict(
    vocab_size=61, n_positions=14, n_embd=16, n_layer=2, n_head=2, n_inner=None,
    activation_function="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    bos_token_id=0, eos_token_id=1,
)
LLAMA = dict(
    vocab_size=61, max_position_embeddings=14, hidden_size=16, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, head_dim=6, intermediate_size=28,
    hidden_act="silu", rms_norm_eps=1e-5, rope_theta=500.0, tie_word_embeddings=False,
    attention_bias=False, mlp_bias=False, bos_token_id=1, eos_token_id=2,
)
CUSTOM = dict(
    model_type="custom_transformer", vocab_size=61, max_seq_len=14, n_blocks=2, n_heads=2,
    d_model=16, d_ffn=24, dtype="float32",
)


@contextmanager
def everything_f64():
    """Turns every cast to f32 inside the references into one to f64."""
    to, as_float, softmax = torch.Tensor.to, torch.Tensor.float, torch.nn.functional.softmax
    arange = torch.arange
    wide = lambda value: torch.float64 if value is torch.float32 else value

    def patched_to(self, *args, **kwargs):
        return to(self, *map(wide, args), **{key: wide(value) for key, value in kwargs.items()})

    def patched_arange(*args, **kwargs):
        return arange(*args, **{key: wide(value) for key, value in kwargs.items()})

    def patched_softmax(*args, **kwargs):
        return softmax(*args, **{key: wide(value) for key, value in kwargs.items()})

    torch.Tensor.to, torch.Tensor.float = patched_to, torch.Tensor.double
    torch.nn.functional.softmax, torch.arange = patched_softmax, patched_arange
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.to, torch.Tensor.float = to, as_float
        torch.nn.functional.softmax, torch.arange = softmax, arange
        torch.set_default_dtype(torch.float32)


def loss_of(logits, labels):
    logits, labels = logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1)
    kept = labels != IGNORED
    log_probabilities = torch.log_softmax(logits[kept], -1)
    return -log_probabilities.gather(1, labels[kept][:, None]).mean()


def expected(logits, stream, labels, weights):
    loss = loss_of(logits, labels)
    loss.backward()
    tensors = {"logits": logits, "loss": loss.reshape(1)}
    tensors |= {f"hidden_states.{i}": x for i, x in enumerate(stream)}
    tensors |= {f"grad.{name}": w.grad for name, w in weights.items() if w.grad is not None}
    assert all(x.dtype == torch.float64 for x in tensors.values())
    return {name: x.detach().contiguous() for name, x in tensors.items()}


def run_transformers(folder, inputs):
    from transformers import AutoConfig, AutoModelForCausalLM

    with everything_f64():
        config = AutoConfig.from_pretrained(folder, attn_implementation="eager")
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        # Before the cast below: a table made in f32 would look like f64 after it.
        for name, buffer in model.named_buffers():
            assert buffer.dtype in (torch.float64, torch.bool), f"{name} is {buffer.dtype}"
        model = model.double()
        stored = load_file(folder / "model.safetensors")
        named = dict(model.named_parameters())
        prefix = "" if set(stored) <= set(named) else "transformer."
        assert {prefix + name for name in stored} <= set(named), "unknown weights"
        assert len(stored) == len(named), "weights missing"
        for name, weight in stored.items():
            named[prefix + name].data = weight.double()
        model.tie_weights()
        model.eval()
        mask = inputs["attention_mask"].long()
        out = model(
            input_ids=inputs["input_ids"].long(), attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            output_hidden_states=True, use_cache=False,
        )
        weights = {name: named[prefix + name] for name in stored}
        return expected(out.logits, out.hidden_states, inputs["labels"].long(), weights)


def run_custom(folder, inputs):
    config = json.loads((folder / "config.json").read_text())
    stored = load_file(folder / "model.safetensors")
    assert {n: tuple(w.shape) for n, w in stored.items()} == custom_reference.shapes(config)
    weights = {name: w.double().requires_grad_() for name, w in stored.items()}
    ids, mask = inputs["input_ids"].long(), inputs["attention_mask"].long()
    logits, stream = custom_reference.forward(config, weights, ids, mask)
    return expected(logits, stream, inputs["labels"].long(), weights)


def run(folder):
    config = json.loads((folder / "model/config.json").read_text())
    custom = config["model_type"] == "custom_transformer"
    inputs = load_file(folder / "inputs.safetensors")
    return (run_custom if custom else run_transformers)(folder / "model", inputs)


def fill(name, weight, fan_in, generator):
    """Norm gains around 1, everything else around 0: no value that hides a mistake."""
    noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    gain = "gamma" in name or ("norm" in name or "ln_" in name) and name.endswith("weight")
    if gain:
        return (1 + 0.2 * noise).float()
    if weight.dim() == 1 or "beta" in name:
        return (0.2 * noise).float()
    return (noise * 0.9 / math.sqrt(fan_in)).float()


def write_transformers_model(folder, config, generator):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        # Conv1D of GPT-2 stores [in, out], Linear [out, in]; a row of an embedding has its width.
        conv = "c_attn" in name or "c_proj" in name or "c_fc" in name
        weight.data = fill(name, weight, weight.shape[0 if conv else -1], generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write_custom_model(folder, generator):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, shape in custom_reference.shapes(CUSTOM).items():
        weight = torch.empty(shape)
        fan_in = shape[-1] if "embedding" in name else shape[-2]
        tensors[name] = fill(name, weight, fan_in, generator)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CUSTOM, indent=2) + "\n")


def make_inputs(vocab_size, context, generator):
    ids = torch.randint(3, vocab_size, (4, context), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, context - 5:] = 0
    mask[2, :4] = 0
    mask[3, 1:] = 0
    ids = ids * mask
    labels = torch.where(mask == 1, ids, IGNORED)
    # A prompt without loss; and the first real token, which nothing real predicts.
    labels[0, :3] = IGNORED
    labels[2, 4] = IGNORED
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def make(out, family):
    from transformers import GPT2Config, LlamaConfig

    generator = torch.Generator().manual_seed(SEED)
    folder = out / f"{family}_small"
    if family == "custom":
        write_custom_model(folder / "model", generator)
        vocab_size, context = CUSTOM["vocab_size"], CUSTOM["max_seq_len"]
    else:
        config = GPT2Config(**GPT2) if family == "gpt2" else LlamaConfig(**LLAMA)
        write_transformers_model(folder / "model", config, generator)
        vocab_size, context = config.vocab_size, config.max_position_embeddings
    save_file(make_inputs(vocab_size, context, generator), folder / "inputs.safetensors")
    save_file(run(folder), folder / "expected.safetensors")


def check(folder):
    """Prints the relative error of each tensor against the folder's own; true when all agree."""
    mask = load_file(folder / "inputs.safetensors")["attention_mask"].bool()
    theirs, ours = load_file(folder / "expected.safetensors"), run(folder)
    worst = 0.0
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours:
            worst = math.inf
            continue
        a, b = ours[name], theirs[name]
        if name == "logits" or name.startswith("hidden_states"):
            a, b = a[mask], b[mask]
        error, norm = (a - b).norm().item(), b.norm().item()
        worst = max(worst, error if norm < 1e-9 else error / norm)
    print(json.dumps({"folder": folder.name, "relative_error_max": worst}))
    return worst < 1e-10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", nargs="+", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    parser.add_argument("family", nargs="*", default=["gpt2", "llama", "custom"])
    args = parser.parse_args()
    if args.check:
        sys.exit(0 if all([check(folder) for folder in args.check]) else 1)
    if args.out is None:
        parser.error("OUT or --check is needed")
    for family in args.family:
        make(args.out, family)


if __name__ == "__main__":
    main()
