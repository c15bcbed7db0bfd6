"""A training step of the models of `tenon bench train --spec NAME` in PyTorch, with the same keys.

    python scripts/torch_train_step.py --spec gpt28m --threads 1 --steps 5

Prints one JSON line: elapsed and processor time of a step (forward, backward, fused AdamW; medians
and minima) and of a forward pass with its loss, and the peak of resident memory after the steps.
Processor time (user and system, all threads) can be compared on a busy machine, elapsed time not.
"""

import argparse
import functools
import json
import math
import statistics
import time

import torch
from torch.nn import functional

WARM_STEPS = 2
NORM_EPS = 1e-5
INIT_STD = 0.02
ROPE_THETA = 10_000.0

# Family, vocabulary, width, layers, heads, feed-forward width, length, sequences.
SPECS = {
    "gpt28m": ("gpt2", 50257, 256, 4, 4, 512, 256, 8),
    "gpt26m_smallvocab": ("gpt2", 512, 512, 8, 8, 2048, 512, 4),
    "llama52m": ("llama", 32000, 512, 6, 8, 1376, 256, 4),
}


def split_heads(x, n_heads):
    """[sequences, length, width] -> [sequences, heads, length, width of a head]"""
    sequences, length, width = x.shape
    return x.reshape(sequences, length, n_heads, width // n_heads).transpose(1, 2)


def join_heads(x):
    return x.transpose(1, 2).flatten(2)


def rotary_tables(length, head_dim):
    frequencies = ROPE_THETA ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.arange(length).unsqueeze(1) * frequencies
    return angles.cos(), angles.sin()


def rotate(x, tables):
    """Turns column i with column i + half of the head."""
    cos, sin = tables
    first, second = x.tensor_split(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Layer(torch.nn.Module):
    """A pre-norm block of either family."""

    def __init__(self, is_gpt2, width, n_heads, hidden):
        super().__init__()
        linear = functools.partial(torch.nn.Linear, bias=is_gpt2)
        norm = torch.nn.LayerNorm if is_gpt2 else torch.nn.RMSNorm
        self.is_gpt2, self.n_heads = is_gpt2, n_heads
        self.attention_norm = norm(width, eps=NORM_EPS)
        self.attention_in = linear(width, 3 * width)
        self.attention_out = linear(width, width)
        self.mlp_norm = norm(width, eps=NORM_EPS)
        # Llama's gate and value are one product here, as its fastest implementations have it.
        self.mlp_in = linear(width, hidden if is_gpt2 else 2 * hidden)
        self.mlp_out = linear(hidden, width)

    def attend(self, x, tables):
        parts = self.attention_in(x).chunk(3, dim=-1)
        queries, keys, values = (split_heads(part, self.n_heads) for part in parts)
        if tables is not None:
            queries, keys = rotate(queries, tables), rotate(keys, tables)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.attention_out(join_heads(mixed))

    def feed_forward(self, x):
        hidden = self.mlp_in(x)
        if self.is_gpt2:
            return self.mlp_out(functional.gelu(hidden, approximate="tanh"))
        gate, value = hidden.chunk(2, dim=-1)
        return self.mlp_out(functional.silu(gate) * value)

    def forward(self, x, tables):
        x = x + self.attend(self.attention_norm(x), tables)
        return x + self.feed_forward(self.mlp_norm(x))


class Model(torch.nn.Module):
    """A decoder whose head is a matrix of its own; returns the mean loss."""

    def __init__(self, family, vocab_size, width, n_layers, n_heads, hidden, length):
        super().__init__()
        is_gpt2 = family == "gpt2"
        self.tokens = torch.nn.Embedding(vocab_size, width)
        self.positions = torch.nn.Embedding(length, width) if is_gpt2 else None
        self.tables = None if is_gpt2 else rotary_tables(length, width // n_heads)
        layers = [Layer(is_gpt2, width, n_heads, hidden) for _ in range(n_layers)]
        self.layers = torch.nn.ModuleList(layers)
        norm = torch.nn.LayerNorm if is_gpt2 else torch.nn.RMSNorm
        self.norm = norm(width, eps=NORM_EPS)
        self.head = torch.nn.Linear(width, vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=INIT_STD)

    def forward(self, ids, targets):
        x = self.tokens(ids)
        if self.positions is not None:
            x = x + self.positions.weight
        for layer in self.layers:
            x = layer(x, self.tables)
        logits = self.head(self.norm(x)).float()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def peak_rss_mib():
    """The kernel's own count of this program; what `getrusage` tells may be its parent's."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def readings(work, n, warm):
    """Milliseconds of each time, elapsed and of the processor."""
    spent_ms = [], []
    for i in range(warm + n):
        processor, elapsed = time.process_time(), time.perf_counter()
        work()
        spent = time.perf_counter() - elapsed, time.process_time() - processor
        if i >= warm:
            for column, seconds in zip(spent_ms, spent):
                column.append(1e3 * seconds)
    return spent_ms


def measure(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    *shape, length, sequences = SPECS[args.spec]
    model = Model(*shape, length)
    n_params = sum(math.prod(parameter.shape) for parameter in model.parameters())
    run = torch.compile(model) if args.mode == "compile" else model
    ids, targets = torch.randint(shape[1], (2, sequences, length))
    adamw = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )

    def loss():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.mode == "bf16"):
            return run(ids, targets)

    def step():
        adamw.zero_grad(set_to_none=True)
        loss().backward()
        adamw.step()

    step_ms, step_cpu_ms = readings(step, args.steps, WARM_STEPS)
    peak = peak_rss_mib()
    forward = torch.no_grad()(loss)
    forward_ms, forward_cpu_ms = readings(forward, max(3, args.steps // 2), 1)
    return {
        "who": f"torch {torch.__version__}",
        "spec": args.spec,
        "mode": args.mode,
        "threads": args.threads,
        "step_ms": statistics.median(step_ms),
        "step_cpu_ms": statistics.median(step_cpu_ms),
        "step_ms_min": min(step_ms),
        "step_cpu_ms_min": min(step_cpu_ms),
        "forward_ms": statistics.median(forward_ms),
        "forward_cpu_ms": statistics.median(forward_cpu_ms),
        "peak_rss_mib": peak,
        "tokens_per_step": sequences * length,
        "n_params": n_params,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", choices=SPECS, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--mode", choices=["eager", "compile", "bf16"], default="eager")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
