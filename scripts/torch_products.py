"""Rates of the matrix products of training steps in PyTorch, with the names of our bench.

    python scripts/torch_products.py [--threads N] [WORD...]

Prints GFLOP/s of `torch.mm` for the rows of `cargo bench -p tenon-kernels --bench gemm` whose names
have all words. Best of several calls; time of the processor on one thread, elapsed on more and of
short calls.
"""

import argparse
import time

import torch

# Rows, inputs and outputs of linear layers; whether a model keeps the weight as inputs x outputs.
LAYERS = [
    ((2048, 256, 768), True),
    ((2048, 256, 256), True),
    ((2048, 256, 512), True),
    ((2048, 512, 256), True),
    ((2048, 256, 50257), False),
    ((2048, 512, 1536), True),
    ((2048, 512, 512), True),
    ((2048, 512, 2048), True),
    ((2048, 2048, 512), True),
    ((1024, 512, 512), False),
    ((1024, 512, 1376), False),
    ((1024, 1376, 512), False),
    ((1024, 512, 32000), False),
    ((2048, 320, 320), False),
    ((2048, 320, 1280), False),
    ((2048, 1280, 320), False),
]
CALLS_MIN = 5
ROW_SECONDS = 0.17
SHORT_SECONDS = 0.002
COLD_BYTES = 64 << 20


def passes(rows, inputs, outputs, in_out):
    """Name, m, n, k, and whether each factor lies in memory transposed."""
    suffix = "-io" if in_out else ""
    weight = (inputs, outputs) if in_out else (outputs, inputs)
    yield "forward" + suffix, rows, outputs, inputs, False, not in_out
    yield "dx" + suffix, rows, inputs, outputs, False, in_out
    yield "dw" + suffix, *weight, rows, True, False
    yield "row" + suffix, 1, outputs, inputs, False, not in_out


def factor(rows, cols, transposed):
    return torch.rand(cols, rows).sub_(0.5).t() if transposed else torch.rand(rows, cols).sub_(0.5)


def best_seconds(sets, now):
    """The fewest seconds of a call; calls go around the operands."""
    begin, best, n_calls = time.perf_counter(), float("inf"), 0
    while n_calls < CALLS_MIN or time.perf_counter() - begin < ROW_SECONDS:
        n_calls += 1
        a, b, c = sets[0]
        sets.append(sets.pop(0))
        before = now()
        torch.mm(a, b, out=c)
        best = min(best, now() - before)
    return best


def clock(sets, threads):
    """The processor's time where one thread works, which other programs cannot lengthen; elapsed
    for calls that are too short to be told by it: some of them are left alone."""
    a, b, c = sets[0]
    torch.mm(a, b, out=c)
    before = time.perf_counter()
    torch.mm(a, b, out=c)
    is_short = time.perf_counter() - before < SHORT_SECONDS
    return time.perf_counter if is_short or threads > 1 else time.process_time


def products(words):
    for layer, is_also_in_out in LAYERS:
        for in_out in [False, True] if is_also_in_out else [False]:
            for name, m, n, k, a_transposed, b_transposed in passes(*layer, in_out):
                copies = -(-COLD_BYTES // (4 * (m * k + k * n + m * n)))
                for n_sets in [2] if copies == 1 else [1, copies + 1]:
                    kind = "warm" if n_sets == 1 else "cold"
                    key = "x".join(map(str, layer)) + f" {name} {kind}"
                    if all(word in key for word in words):
                        yield key, m, n, k, a_transposed, b_transposed, n_sets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("words", nargs="*", metavar="WORD")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{args.threads} threads, torch {torch.__version__}")
    print(f"{'product [GFLOP/s]':<36}{'torch':>9}")
    for key, m, n, k, a_transposed, b_transposed, n_sets in products(args.words):
        sets = [
            (factor(m, k, a_transposed), factor(k, n, b_transposed), torch.zeros(m, n))
            for _ in range(n_sets)
        ]
        best = best_seconds(sets, clock(sets, args.threads))
        print(f"{key:<36}{2 * m * n * k / best / 1e9:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
