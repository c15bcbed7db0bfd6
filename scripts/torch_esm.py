"""ESM-2 in transformers beside `tenon bench train|forward --spec esm2_8m|esm2_8m_ragged|esm2_35m`.

    python scripts/torch_esm.py --spec esm2_8m --attention sdpa --threads 1 --steps 5

Prints one JSON line with the keys of `torch_train_step.py`. Sequences of different lengths are
padded to the longest, as a batch of transformers is; `tokens_per_step` counts real tokens and
`padded_tokens_per_step` all.
"""

import argparse
import json
import statistics

import torch
import transformers
from torch_train_step import peak_rss_mib, readings

# Width, layers, heads, lengths. The ragged lengths are those of `tenon bench`.
RAGGED = [119, 175, 157, 58, 64, 94, 90, 169, 249, 97, 50, 67, 186, 156, 83, 205]
SPECS = {
    "esm2_8m": (320, 6, 20, [256] * 8),
    "esm2_8m_ragged": (320, 6, 20, RAGGED),
    "esm2_35m": (480, 12, 20, [256] * 4),
}


# Of all tokens, those that a step of training asks for; a forward pass tells all.
ASKED = 0.15


def batch(lengths):
    shape = len(lengths), max(lengths)
    ids = torch.randint(4, 24, shape)
    mask = (torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1)).long()
    labels = torch.randint(4, 24, shape).masked_fill(mask == 0, -100)
    asked = labels.masked_fill(torch.rand(shape) >= ASKED, -100)
    return ids.masked_fill(mask == 0, 1), (mask if mask.min() == 0 else None), labels, asked


def measure(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    width, n_layers, n_heads, lengths = SPECS[args.spec]
    config = transformers.EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=width,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=1026,
        layer_norm_eps=1e-5,
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=True,
        attn_implementation=args.attention,
    )
    model = transformers.EsmForMaskedLM(config)
    ids, mask, labels, asked = batch(lengths)
    adamw = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )

    def loss(of):
        return model(input_ids=ids, attention_mask=mask, labels=of).loss

    def step():
        loss(asked).backward()
        adamw.step()
        adamw.zero_grad(set_to_none=True)

    def forward():
        with torch.no_grad():
            loss(labels)

    step_ms = readings(step, args.steps, 2)
    forward_ms = readings(forward, args.steps, 2)
    return {
        "who": f"transformers {transformers.__version__} {args.attention}",
        "spec": args.spec,
        "mode": "eager",
        "threads": args.threads,
        "step_ms": statistics.median(step_ms[0]),
        "step_cpu_ms": statistics.median(step_ms[1]),
        "step_cpu_ms_min": min(step_ms[1]),
        "forward_ms": statistics.median(forward_ms[0]),
        "forward_cpu_ms": statistics.median(forward_ms[1]),
        "forward_cpu_ms_min": min(forward_ms[1]),
        "peak_rss_mib": peak_rss_mib(),
        "tokens_per_step": sum(lengths),
        "padded_tokens_per_step": len(lengths) * max(lengths),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", choices=SPECS, required=True)
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
