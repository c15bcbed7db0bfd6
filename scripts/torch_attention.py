"""Scaled dot-product attention in PyTorch, with the names of our bench.

    python scripts/torch_attention.py [--threads N] [WORD...]

Prints milliseconds of the rows of `cargo bench -p tenon-kernels --bench attention` whose names have
all words. Best of several calls; time of the processor on one thread, elapsed on more.
"""

import argparse
import time

import torch
from torch.nn import functional

# Sequences and their length, and widths of a head; heads together are this wide.
BATCHES = [(4, 512), (1, 2048), (1, 8192)]
HEAD_DIMS = [32, 64, 128]
WIDTH = 128
# Sequences, length, heads, key-value heads, width of a head, causal, name.
OF_MODELS = [
    (8, 256, 4, 4, 64, True, "gpt28m"),
    (2, 1024, 8, 2, 64, True, "grouped"),
    (8, 256, 20, 20, 16, False, "esm2_8m"),
]
CALLS_MIN = 2
ROW_SECONDS = 0.3


def best_seconds(work, now):
    """The fewest seconds of a call."""
    begin, best, n_calls = now(), float("inf"), 0
    while n_calls < CALLS_MIN or now() - begin < ROW_SECONDS:
        n_calls += 1
        before = now()
        work()
        best = min(best, now() - before)
    return best


def shapes():
    """Sequences, length, heads, key-value heads, width of a head, causal, name."""
    for n_seqs, length in BATCHES:
        for head_dim in HEAD_DIMS:
            heads = WIDTH // head_dim
            for causal, name in [(True, "causal"), (False, "full")]:
                yield n_seqs, length, heads, heads, head_dim, causal, name
    yield from OF_MODELS


def measure(n_seqs, length, heads, kv_heads, head_dim, causal, kind, now, words):
    """Name and seconds of the forward pass, and of it with the derivative."""
    of = {n: (n_seqs, n, length, head_dim) for n in [heads, kv_heads]}
    inputs = [torch.rand(of[n]).sub_(0.5).requires_grad_() for n in [heads, kv_heads, kv_heads]]
    gradient = torch.rand(of[heads]).sub_(0.5)
    rules = {"is_causal": causal, "enable_gqa": heads != kv_heads}

    @torch.no_grad()
    def forward():
        functional.scaled_dot_product_attention(*inputs, **rules)

    def both():
        output = functional.scaled_dot_product_attention(*inputs, **rules)
        torch.autograd.grad(output, inputs, gradient)

    for name, work in [("forward", forward), ("both", both)]:
        key = f"{n_seqs}x{length} d{head_dim} {kind} {name}"
        if all(word in key for word in words):
            yield key, best_seconds(work, now)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("words", nargs="*", metavar="WORD")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    now = time.process_time if args.threads == 1 else time.perf_counter
    print(f"{args.threads} threads, torch {torch.__version__}")
    print(f"{'attention [ms]':<36}{'torch':>9}")
    for shape in shapes():
        for key, seconds in measure(*shape, now, args.words):
            print(f"{key:<36}{1e3 * seconds:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
