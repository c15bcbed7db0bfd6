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


def measure(n_seqs, length, head_dim, causal, now, words):
    """Name and seconds of the forward pass, and of it with the derivative."""
    shape = n_seqs, WIDTH // head_dim, length, head_dim
    inputs = [torch.rand(shape).sub_(0.5).requires_grad_() for _ in range(3)]
    gradient = torch.rand(shape).sub_(0.5)

    @torch.no_grad()
    def forward():
        functional.scaled_dot_product_attention(*inputs, is_causal=causal)

    def both():
        output = functional.scaled_dot_product_attention(*inputs, is_causal=causal)
        torch.autograd.grad(output, inputs, gradient)

    kind = "causal" if causal else "full"
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
    for n_seqs, length in BATCHES:
        for head_dim in HEAD_DIMS:
            for causal in [True, False]:
                for key, seconds in measure(n_seqs, length, head_dim, causal, now, args.words):
                    print(f"{key:<36}{1e3 * seconds:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
