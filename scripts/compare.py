"""Prints the tables of docs/performance.md: Tenon beside PyTorch and other libraries.

    cargo build --release
    python scripts/compare.py --rounds 3 > tables.md

Runs `tenon bench`, the benches of the kernels and the PyTorch scripts in turns (A B A B ...), so
that what else the machine does meets both. PARTs are the tables: step, encoders, products,
attention, generate, kernels, program; all of them without one. Needs a Python with PyTorch; writes
to stdout, and tells on stderr what it runs. `--through CMD` puts CMD before every measured command.
"""

import argparse
import json
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TENON = ROOT / "target/release/tenon"
SPECS = ["gpt28m", "gpt26m_smallvocab", "llama52m"]
ESM_SPECS = ["esm2_8m", "esm2_35m", "esm2_8m_ragged"]
HELP_RUNS = 20
IMPORT = "import torch; print([x for x in open('/proc/self/status') if x.startswith('VmHWM')][0])"


def run(args, command):
    """What the command prints. It runs in the root of the checkout."""
    command = [*shlex.split(args.through), *map(str, command)]
    print("+", shlex.join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}")
    return done.stdout


def tenon(args, words):
    return json.loads(run(args, [TENON, "bench", *words.split(), "--json"]))


def script(args, name, words):
    return run(args, [sys.executable, f"scripts/{name}", *words])


def table(name, command, head, rows):
    """A table in Markdown below the command that its numbers come from, marked with its name."""
    print(f"<!-- table: {name} -->\n\n```sh\n{command}\n```\n")
    print("| " + " | ".join(head) + " |")
    print("|---" + "|--:" * (len(head) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def number(x, digits=3):
    """So many significant digits, never in powers of ten; `-` for what is not known."""
    if x is None:
        return "-"
    whole = len(str(int(abs(x))))
    return f"{x:,.{max(0, digits - whole)}f}"


def middle(runs, key):
    """The median of the rounds; `None` when a round does not tell."""
    values = [one.get(key) for one in runs]
    return None if None in values else statistics.median(values)


def over(a, b):
    return None if a is None or b is None else a / b


def step(args):
    """Training steps and forward passes of the named models."""
    peak = float(run(args, [sys.executable, "-c", IMPORT]).split()[1]) / 1024
    steps, forwards = [], []
    for threads in args.threads:
        for spec in args.specs:
            ours, theirs = [], []
            words = ["--spec", spec, "--threads", threads, "--steps", args.steps]
            for _ in range(args.rounds):
                ours.append(tenon(args, "train " + " ".join(map(str, words))))
                answer = script(args, "torch_train_step.py", [*words, "--mode", args.mode])
                theirs.append(json.loads(answer))
            steps.append(step_row(spec, threads, ours, theirs, peak))
            forwards.append(forward_row(spec, threads, ours, theirs))
    words = f"--rounds {args.rounds} --steps {args.steps} --mode {args.mode}"
    command = f"python scripts/compare.py step {words}"
    head = ["model, threads", "Tenon ms", "PyTorch ms", "PyTorch ÷ Tenon", "floor ms"]
    head += ["Tenon ÷ floor", "products GFLOP/s", "main memory GB/s", "product scales"]
    table("step", command, [*head, "step scales"], [row[0] for row in steps])
    head = ["model, threads", "Tenon peak MiB", "planned", "peak ÷ plan", "PyTorch peak"]
    head += ["its import alone", "Tenon ÷ PyTorch"]
    table("memory", command, head, [row[1] for row in steps])
    head = ["model, threads", "Tenon forward ms", "PyTorch forward ms", "PyTorch ÷ Tenon"]
    table("forward", command, head, forwards)
    head = ["model, threads", "PyTorch ÷ Tenon, step", "Tenon ÷ floor", "Tenon ÷ PyTorch, peak"]
    rows = [[row[0][0], row[0][3], row[0][5], row[1][6]] for row in steps]
    table("readme", command, head, rows)


def time_key(name, threads):
    """Time of the processor on one thread, which others cannot lengthen; elapsed on more."""
    return f"{name}_cpu_ms" if threads == 1 else f"{name}_ms"


def step_row(spec, threads, ours, theirs, import_peak):
    key = time_key("step", threads) + "_min"
    mine, other = middle(ours, key), middle(theirs, key)
    names = ["roofline_ms", "step_over_roofline", "sgemm_gflops", "bandwidth_gb_per_s"]
    rest = [middle(ours, name) for name in [*names, "sgemm_scaling", "step_scaling"]]
    times = [mine, other, over(other, mine), *rest]
    peaks = [middle(runs, "peak_rss_mib") for runs in [ours, theirs]]
    plan = [middle(ours, "planned_peak_mib"), middle(ours, "peak_rss_over_plan")]
    memory = [peaks[0], *plan, peaks[1], import_peak, over(*peaks)]
    name = f"{spec}, {threads}"
    return [[name, *map(number, cells)] for cells in [times, memory]]


def forward_row(spec, threads, ours, theirs):
    mine, other = (middle(runs, time_key("forward", threads)) for runs in [ours, theirs])
    return [f"{spec}, {threads}", *map(number, [mine, other, over(other, mine)])]


def bench_program(name):
    """Builds a bench of the kernels and returns its path."""
    words = ["cargo", "bench", "-p", "tenon-kernels", "--bench", name, "--no-run"]
    words.append("--message-format=json")
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, done.stdout.splitlines())
    programs = [one["executable"] for one in messages if one.get("executable")]
    return programs[-1]


def rows_of(text, n_names):
    """The rows of a bench: a name of some words, and a number or nothing under each head."""
    rows = {}
    for line in text.splitlines()[2:]:
        words = line.split()
        cells = [None if word == "-" else float(word) for word in words[n_names:]]
        rows[" ".join(words[:n_names])] = cells
    return rows


def best_of(args, program, name, n_names, best):
    """The best of each cell of our bench and of the script, over rounds of both in turns."""
    found = {}
    for _ in range(args.rounds):
        ours = rows_of(run(args, [program, 1, *args.words]), n_names)
        theirs = rows_of(script(args, name, args.words), n_names)
        for key, cells in ours.items():
            cells = cells + theirs.get(key, [None])
            before = found.get(key, cells)
            pairs = zip(before, cells)
            found[key] = [None if None in pair else best(pair) for pair in pairs]
    return found


def encoders(args):
    """ESM-2 beside transformers, with sequences of one length and packed beside padded."""
    rows = []
    ratios = {}
    for spec in ESM_SPECS:
        words = ["--spec", spec, "--threads", "1", "--steps", str(args.steps)]
        ours, theirs = [], {"sdpa": [], "eager": []}
        for _ in range(args.rounds):
            ours.append(tenon(args, "train " + " ".join(words)))
            for attention in theirs:
                answer = script(args, "torch_esm.py", [*words, "--attention", attention])
                theirs[attention].append(json.loads(answer))
        for work in ["forward", "step"]:
            key = {"forward": "forward_cpu_ms", "step": "step_cpu_ms_min"}[work]
            mine = min(run[key] for run in ours)
            others = [min(run[key] for run in runs) for runs in theirs.values()]
            ratios[spec, work] = min(others) / mine
            floor = min(run["step_over_roofline"] for run in ours) if work == "step" else None
            cells = [mine, *others, min(others) / mine, floor]
            rows.append([f"{spec}, {work}", *map(number, cells)])
        ratios[spec, "padded"] = theirs["sdpa"][0]["padded_tokens_per_step"]
        ratios[spec, "real"] = theirs["sdpa"][0]["tokens_per_step"]
    for work in ["forward", "step"]:
        ragged, even = "esm2_8m_ragged", "esm2_8m"
        padding = ratios[ragged, "padded"] / ratios[ragged, "real"]
        expected = padding * ratios[even, work]
        cells = [padding, expected, ratios[ragged, work], ratios[ragged, work] / expected]
        rows.append([f"padded ÷ packed, {work}", *map(number, cells), "-"])
    head = ["model, work", "Tenon ms", "SDPA ms", "eager ms", "best of both ÷ Tenon"]
    command = f"python scripts/compare.py encoders --rounds {args.rounds} --steps {args.steps}"
    table("encoders", command, [*head, "Tenon ÷ floor"], rows)


def bench_command(name, args):
    """The command of a table whose rows can be chosen."""
    chosen = ["--words", *args.words] if args.words else []
    return shlex.join(["python", "scripts/compare.py", name, "--rounds", str(args.rounds), *chosen])


def products(args):
    """Rates of products beside those of three libraries."""
    rows = []
    found = best_of(args, bench_program("gemm"), "torch_products.py", 3, max)
    for key, (mine, foreign, openblas, _, torch) in found.items():
        best = max(rate for rate in [mine, foreign, openblas, torch] if rate is not None)
        rows.append([key, *map(number, [mine, foreign, openblas, torch, mine / best])])
    head = ["product, GFLOP/s", "Tenon", "gemm", "OpenBLAS", "PyTorch (MKL)", "Tenon ÷ best"]
    table("products", bench_command("products", args), head, rows)


def attention(args):
    """Times of attention, and what a causal mask saves."""
    rows = []
    found = best_of(args, bench_program("attention"), "torch_attention.py", 4, min)
    for key, (mine, _, torch) in found.items():
        full = found.get(key.replace(" causal ", " full "), [None])[0]
        saved = over(mine, full) if " causal " in key else None
        rows.append([key, *map(number, [mine, torch, over(torch, mine), saved])])
    head = ["attention, ms", "Tenon", "PyTorch", "PyTorch ÷ Tenon", "causal ÷ full"]
    table("attention", bench_command("attention", args), head, rows)


def generate(args):
    """Tokens that are written one by one, beside the reading of the weights."""
    rows = []
    for spec in args.specs:
        runs = [tenon(args, f"generate --spec {spec} --threads 1") for _ in range(args.rounds)]
        mine, floor = middle(runs, "step_cpu_ms_min"), middle(runs, "roofline_ms")
        rest = [middle(runs, key) for key in ["mib_per_token", "bandwidth_gb_per_s"]]
        rest += [middle(runs, key) for key in ["forward_cpu_ms", "prefill_ratio"]]
        rows.append([spec, *map(number, [mine, floor, over(mine, floor), *rest])])
    head = ["model", "token ms", "floor ms", "token ÷ floor", "read MiB", "main memory GB/s"]
    command = f"python scripts/compare.py generate --rounds {args.rounds}"
    table("generate", command, [*head, "prompt of 128, ms", "prompt ÷ floor"], rows)


def kernels(args):
    """Each kernel beside its floor."""
    runs = [tenon(args, "kernels --threads 1") for _ in range(args.rounds)]
    rows = []
    for same in zip(*(one["kernels"] for one in runs)):
        best = max if same[0]["unit"] == "gflops" else min
        value, floor = (best(one[key] for one in same) for key in ["value", "floor"])
        part = value / floor if best is max else floor / value
        unit = "GFLOP/s" if best is max else "ns an element"
        name = f"{same[0]['kernel']}, {same[0]['shape']}"
        cells = [f"{number(value)} {unit}", number(floor), f"{100 * part:.0f} %", same[0]["bound"]]
        rows.append([name, *cells])
    head = ["kernel", "best", "floor", "of the floor", "bound by"]
    command = f"python scripts/compare.py kernels --rounds {args.rounds}"
    table("kernels", command, head, rows)


def program(args):
    """The program itself: a cold look at its help, and its size."""
    elapsed, processor = [], []
    for _ in range(HELP_RUNS):
        before, begin = children_seconds(), time.perf_counter()
        subprocess.run([TENON, "--help"], stdout=subprocess.DEVNULL, check=True)
        elapsed.append(1e3 * (time.perf_counter() - begin))
        processor.append(1e3 * (children_seconds() - before))
    rows = [
        [f"`tenon --help`, elapsed ms, best of {HELP_RUNS}", number(min(elapsed))],
        [f"`tenon --help`, processor ms, best of {HELP_RUNS}", number(min(processor))],
        ["the binary, MiB", number(TENON.stat().st_size / 2**20)],
    ]
    table("program", "python scripts/compare.py program", ["program", "value"], rows)


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


TABLES = [step, encoders, products, attention, generate, kernels, program]
PARTS = {part.__name__: part for part in TABLES}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--specs", nargs="+", choices=SPECS, default=SPECS)
    parser.add_argument("--words", nargs="+", default=[], help="rows of products and attention")
    parser.add_argument("--through", default="", metavar="CMD")
    args = parser.parse_args()
    for part in args.parts or PARTS:
        if part not in PARTS:
            parser.error(f"no table `{part}`; there are {', '.join(PARTS)}")
    for part in args.parts or PARTS:
        PARTS[part](args)


if __name__ == "__main__":
    main()
