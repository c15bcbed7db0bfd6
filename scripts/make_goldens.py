"""Small goldens of the families, computed by their reference implementations in true f64.

A folder has `model/` (config.json, model.safetensors in f32, weights of std 0.9/sqrt(fan_in)),
`inputs.safetensors` (input_ids, attention_mask, labels) and `expected.safetensors` in f64: logits,
hidden_states.0 (what enters block 0), hidden_states.i (the stream after block i; the last one after
the final norm where the family has one), loss (mean over labels other than -100: of decoders the
shifted one, of encoders that of the token itself) and grad.<name in the file>.

Rows: full context, right padding, left padding, one token at the start, and in the narrow goldens
one in the middle. Values at padded positions mean nothing.
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
import encoder_reference

SEED = 7
# Under this seed every expert is chosen by a token that counts.
SEEDS = {"mixtral": 8}
IGNORED = -100
GPT2 = dict(
    model_type="gpt2", vocab_size=61, n_positions=14, n_embd=16, n_layer=2, n_head=2, n_inner=None,
    activation_function="gelu_new", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    bos_token_id=0, eos_token_id=1,
)
LLAMA = dict(
    model_type="llama", vocab_size=61, max_position_embeddings=14, hidden_size=16,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
    intermediate_size=28, hidden_act="silu", rms_norm_eps=1e-5, rope_theta=500.0,
    tie_word_embeddings=False, attention_bias=False, mlp_bias=False, bos_token_id=1, eos_token_id=2,
)
CUSTOM = dict(
    model_type="custom_transformer", vocab_size=61, max_seq_len=14, n_blocks=2, n_heads=2,
    d_model=16, d_ffn=24, dtype="float32",
)
# The narrow ones: two heads of 6, so that the halves and the neighbours of a head differ.
SIZES = dict(
    vocab_size=20, max_position_embeddings=8, hidden_size=12, num_hidden_layers=2,
    num_attention_heads=2, intermediate_size=10,
)
DECODER = dict(
    **SIZES, num_key_value_heads=1, head_dim=6, hidden_act="silu", rms_norm_eps=1e-5,
    tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
)
# Of three pairs one keeps its frequency, one is mixed, and one is stretched in full.
LLAMA3_ROPE = dict(
    rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=0.1, high_freq_factor=0.8,
    original_max_position_embeddings=6,
)
LINEAR_ROPE = dict(rope_type="linear", rope_theta=100.0, factor=3.0)
# Of three pairs one keeps its frequency and two are mixed; the factor gives `attention_factor`.
YARN_ROPE = dict(
    rope_type="yarn", rope_theta=100.0, factor=6.0, beta_fast=4.0, beta_slow=0.2,
    original_max_position_embeddings=64,
)
PLAIN_ROPE = dict(rope_type="default", rope_theta=300.0)
MIXTRAL = DECODER | dict(
    model_type="mixtral", rope_parameters=PLAIN_ROPE, intermediate_size=6, num_local_experts=3,
    num_experts_per_tok=2, router_aux_loss_coef=0.3, sliding_window=None,
)
BERT = SIZES | dict(
    model_type="bert", hidden_act="gelu", type_vocab_size=3, layer_norm_eps=1e-5, pad_token_id=0,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, tie_word_embeddings=True,
)
ESM = SIZES | dict(
    model_type="esm", layer_norm_eps=1e-5, position_embedding_type="rotary", rope_theta=300.0,
    mask_token_id=19, pad_token_id=1, eos_token_id=2, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, tie_word_embeddings=True,
)
FAMILIES = {
    "custom": CUSTOM,
    "gpt2": GPT2,
    # Scores divided by the number of the block alone.
    "gpt2_scores": GPT2 | dict(
        vocab_size=12, n_positions=8, n_embd=8, n_head=2, n_inner=6, activation_function="relu",
        scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True,
    ),
    "llama": LLAMA,
    "llama3_rope": DECODER | dict(model_type="llama", rope_parameters=LLAMA3_ROPE),
    "linear_rope": DECODER | dict(model_type="llama", rope_parameters=LINEAR_ROPE),
    "yarn_rope": DECODER | dict(
        model_type="qwen2", rope_parameters=YARN_ROPE, num_hidden_layers=1,
    ),
    "mistral": DECODER | dict(
        model_type="mistral", rope_parameters=PLAIN_ROPE, sliding_window=3,
    ),
    "qwen2": DECODER | dict(
        model_type="qwen2", rope_parameters=PLAIN_ROPE, use_sliding_window=True, sliding_window=3,
        max_window_layers=1, layer_types=["full_attention", "sliding_attention"],
    ),
    "qwen3": DECODER | dict(
        model_type="qwen3", rope_parameters=PLAIN_ROPE, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, tie_word_embeddings=False,
    ),
    "mixtral": MIXTRAL | dict(output_router_logits=True),
    "unbalanced": MIXTRAL | dict(output_router_logits=False, num_hidden_layers=1),
    "bert": BERT,
    "geneformer": BERT | dict(hidden_act="relu", type_vocab_size=2, num_hidden_layers=1),
    "esm2": ESM | dict(token_dropout=True, emb_layer_norm_before=False),
    "esm2_norm": ESM | dict(
        token_dropout=False, emb_layer_norm_before=True, num_hidden_layers=1,
    ),
    # As ESM-1b: the table of positions begins with the rows of padding and before it.
    "esm1b": ESM | dict(
        position_embedding_type="absolute", token_dropout=True, emb_layer_norm_before=True,
        max_position_embeddings=10, num_hidden_layers=1,
    ),
    "amplify": dict(
        model_type="AMPLIFY", vocab_size=20, max_length=8, hidden_size=12, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=12, norm_eps=1e-5, hidden_act="SwiGLU",
        rms_norm=True, att_bias=False, ffn_bias=False, layer_norm_after_embedding=False,
        layer_norm_before_last_layer=True, pad_token_id=0, dtype="float32",
    ),
    "codonfm": SIZES | dict(
        model_type="encodon", hidden_act="gelu", layer_norm_eps=1e-5, rotary_theta=300.0,
        intermediate_size=8, pad_token_id=3, dtype="float32",
    ),
    "codonfm_plain": SIZES | dict(
        model_type="codonfm", hidden_act="gelu", layer_norm_eps=1e-5, intermediate_size=8,
        num_hidden_layers=1, fuse_qkv_params=True, qkv_weight_interleaved=True,
        attn_input_format="bshd", pad_token_id=3, mask_token_id=19, dtype="float32",
    ),
}
# What transformers does not have: shapes and forward by model_type.
OWN = {
    "custom_transformer": (custom_reference.shapes, custom_reference.forward),
    "AMPLIFY": (encoder_reference.amplify_shapes, encoder_reference.amplify),
    "codonfm": (encoder_reference.plain_encodon_shapes, encoder_reference.plain_encodon),
    "encodon": (encoder_reference.encodon_shapes, encoder_reference.encodon),
}
MASKED = ("bert", "esm", "AMPLIFY", "codonfm", "encodon")


@contextmanager
def everything_f64():
    """Turns every cast to f32 inside the references into one to f64."""
    to, as_float, softmax = torch.Tensor.to, torch.Tensor.float, torch.nn.functional.softmax
    arange, zeros = torch.arange, torch.zeros
    wide = lambda value: torch.float64 if value is torch.float32 else value

    def patched_to(self, *args, **kwargs):
        return to(self, *map(wide, args), **{key: wide(value) for key, value in kwargs.items()})

    def patched_arange(*args, **kwargs):
        return arange(*args, **{key: wide(value) for key, value in kwargs.items()})

    def patched_zeros(*args, **kwargs):
        return zeros(*args, **{key: wide(value) for key, value in kwargs.items()})

    def patched_softmax(*args, **kwargs):
        return softmax(*args, **{key: wide(value) for key, value in kwargs.items()})

    torch.Tensor.to, torch.Tensor.float = patched_to, torch.Tensor.double
    torch.nn.functional.softmax, torch.arange = patched_softmax, patched_arange
    torch.zeros = patched_zeros
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.to, torch.Tensor.float = to, as_float
        torch.nn.functional.softmax, torch.arange = softmax, arange
        torch.zeros = zeros
        torch.set_default_dtype(torch.float32)


def loss_of(config, logits, labels):
    if config["model_type"] not in MASKED:
        logits, labels = logits[:, :-1], labels[:, 1:]
    kept = labels != IGNORED
    log_probabilities = torch.log_softmax(logits[kept], -1)
    return -log_probabilities.gather(1, labels[kept][:, None]).mean()


def expected(loss, logits, stream, weights):
    loss.backward()
    tensors = {"logits": logits, "loss": loss.reshape(1)}
    tensors |= {f"hidden_states.{i}": x for i, x in enumerate(stream)}
    tensors |= {f"grad.{name}": w.grad for name, w in weights.items() if w.grad is not None}
    assert all(x.dtype == torch.float64 for x in tensors.values())
    return {name: x.detach().contiguous() for name, x in tensors.items()}


def auto_class(config):
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    masked = config.model_type in MASKED
    return AutoModelForMaskedLM if masked else AutoModelForCausalLM


def parameters_of(model, weights):
    """The model's parameters from those of a file, which keeps experts apart and may have no
    prefix."""
    named = dict(model.named_parameters(remove_duplicate=False))
    n_needed = len(dict(model.named_parameters()))
    weights, parameters = dict(weights), {}
    for name in named:
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            at = name.replace(".mlp.", ".block_sparse_moe.").rpartition(".")[0]
            part = lambda w: torch.stack(
                [weights.pop(f"{at}.{i}.{w}.weight") for i in range(named[name].shape[0])]
            )
            gated = name.endswith("gate_up_proj")
            parameters[name] = torch.cat((part("w1"), part("w3")), 1) if gated else part("w2")
    for name, weight in weights.items():
        ours = name.replace(".block_sparse_moe.gate.", ".mlp.gate.")
        parameters[ours if ours in named else "transformer." + ours] = weight
    assert parameters.keys() <= named.keys(), "unknown weights"
    assert len(parameters) == n_needed, "weights missing"
    return parameters


def run_transformers(config, folder, inputs):
    from transformers import AutoConfig

    with everything_f64():
        theirs = AutoConfig.from_pretrained(folder, attn_implementation="eager")
        theirs._experts_implementation = "eager"
        model = auto_class(theirs).from_config(theirs, attn_implementation="eager")
        # Before the cast below: a table made in f32 would look like f64 after it.
        for name, buffer in model.named_buffers():
            whole = not buffer.is_floating_point()
            assert whole or buffer.dtype == torch.float64, f"{name} is {buffer.dtype}"
        model = model.double().eval()
        stored = load_file(folder / "model.safetensors")
        weights = {name: w.double().requires_grad_() for name, w in stored.items()}
        mask = inputs["attention_mask"].long()
        given = dict(
            input_ids=inputs["input_ids"].long(), attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0), output_hidden_states=True,
        )
        if behind_padding(config):
            del given["position_ids"]
        if "token_type_ids" in inputs:
            given["token_type_ids"] = inputs["token_type_ids"].long()
        if config["model_type"] not in MASKED:
            given["use_cache"] = False
        out = torch.func.functional_call(model, parameters_of(model, weights), kwargs=given)
        loss = loss_of(config, out.logits, inputs["labels"].long())
        if config.get("output_router_logits"):
            loss = loss + config["router_aux_loss_coef"] * out.aux_loss
        return expected(loss, out.logits, out.hidden_states, weights)


def run_own(config, folder, inputs):
    shapes, forward = OWN[config["model_type"]]
    stored = load_file(folder / "model.safetensors")
    assert {n: tuple(w.shape) for n, w in stored.items()} == shapes(config)
    weights = {name: w.double().requires_grad_() for name, w in stored.items()}
    ids, mask = inputs["input_ids"].long(), inputs["attention_mask"].long()
    logits, stream = forward(config, weights, ids, mask)
    loss = loss_of(config, logits, inputs["labels"].long())
    return expected(loss, logits, stream, weights)


def run(folder):
    config = json.loads((folder / "model/config.json").read_text())
    inputs = load_file(folder / "inputs.safetensors")
    own = config["model_type"] in OWN
    return (run_own if own else run_transformers)(config, folder / "model", inputs)


def fill(name, weight, fan_in, generator):
    """Norm gains around 1, everything else around 0: no value that hides a mistake."""
    noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    norm = any(part in name.lower() for part in ("norm", "ln", "cls.2")) and "weight" in name
    # A fused layer has a matrix beside the gains of its norm.
    norm = norm and weight.dim() == 1
    if norm or "gamma" in name:
        return (1 + 0.2 * noise).float()
    if weight.dim() == 1 or "beta" in name:
        return (0.2 * noise).float()
    return (noise * 0.9 / math.sqrt(fan_in)).float()


def write_transformers_model(folder, config, generator):
    from transformers import CONFIG_MAPPING

    rest = {key: value for key, value in config.items() if key != "model_type"}
    theirs = CONFIG_MAPPING[config["model_type"]](**rest)
    model = auto_class(theirs).from_config(theirs)
    for name, weight in model.named_parameters():
        # Conv1D of GPT-2 stores [in, out], Linear [out, in]; a row of an embedding has its width.
        conv = "c_attn" in name or "c_proj" in name or "c_fc" in name
        weight.data = fill(name, weight, weight.shape[0 if conv else -1], generator)
    model.save_pretrained(folder)
    if config["model_type"] == "esm":
        # Saving renames its norms in a way that no published checkpoint has.
        named = {name: w.data.contiguous() for name, w in model.named_parameters()}
        save_file(named, folder / "model.safetensors", {"format": "pt"})
    (folder / "generation_config.json").unlink(missing_ok=True)


def write_own_model(folder, config, generator):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    right = config["model_type"] == "custom_transformer"
    for name, shape in OWN[config["model_type"]][0](config).items():
        fan_in = shape[-2] if right and "embedding" not in name else shape[-1]
        tensors[name] = fill(name, torch.empty(shape), fan_in, generator)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def behind_padding(config):
    """Whether learned positions begin behind the row of padding, and padding is told by its id."""
    esm = config["model_type"] == "esm"
    return esm and config.get("position_embedding_type", "absolute") == "absolute"


def context_of(config):
    keys = ("max_position_embeddings", "n_positions", "max_seq_len", "max_length")
    context = next(config[key] for key in keys if key in config)
    return context - (config["pad_token_id"] + 1 if behind_padding(config) else 0)


def make_inputs(config, narrow, generator):
    vocab_size, context = config["vocab_size"], context_of(config)
    masked = config["model_type"] in MASKED
    # The last id of a masked model stands for hidden tokens.
    last = vocab_size - 1 if masked else vocab_size
    ids = torch.randint(3, last, (5 if narrow else 4, context), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, context - (3 if narrow else 5):] = 0
    mask[2, :3 if narrow else 4] = 0
    mask[3, 1:] = 0
    if narrow:
        mask[4] = 0
        mask[4, 5] = 1
    ids = torch.where(mask == 1, ids, config["pad_token_id"] if behind_padding(config) else 0)
    labels = torch.where(mask == 1, ids, IGNORED)
    inputs = {"attention_mask": mask, "labels": labels}
    if masked:
        told = torch.rand(3, context, generator=generator) < 0.6
        labels[:3] = torch.where(told, labels[:3], IGNORED)
        # Some of the tokens to tell are hidden, more in one row than in the other.
        for row, columns in ((0, (1, 4)), (2, (6,))):
            for column in columns:
                labels[row, column] = ids[row, column]
                ids[row, column] = vocab_size - 1
    else:
        # A prompt without loss; and the first real token, which nothing real predicts.
        labels[0, :3] = IGNORED
        labels[2, 3 if narrow else 4] = IGNORED
        labels[4:, 5] = IGNORED
    if config["model_type"] == "bert":
        types = torch.randint(0, config["type_vocab_size"], ids.shape, generator=generator)
        inputs["token_type_ids"] = types * mask
    return {"input_ids": ids} | inputs


def make(out, name):
    generator = torch.Generator().manual_seed(SEEDS.get(name, SEED))
    config, folder = FAMILIES[name], out / f"{name}_small"
    own = config["model_type"] in OWN
    write = write_own_model if own else write_transformers_model
    write(folder / "model", config, generator)
    inputs = make_inputs(config, context_of(config) == 8, generator)
    save_file(inputs, folder / "inputs.safetensors")
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
    parser.add_argument("family", nargs="*", default=list(FAMILIES))
    args = parser.parse_args()
    if args.check:
        sys.exit(0 if all([check(folder) for folder in args.check]) else 1)
    if args.out is None:
        parser.error("OUT or --check is needed")
    for name in args.family:
        make(args.out, name)


if __name__ == "__main__":
    main()
