"""Records ranked cells into ranked_cells.json beside this file; needs numpy.

Counts are drawn from a negative binomial with many zeros and ties. A cell's counts are divided by
its total, multiplied by 10,000, divided by the gene's median, and sorted from high to low; equal
values keep the order of the genes. Genes g3 and g17 are not in the vocabulary.
"""

import json
import pathlib

import numpy as np

N_GENES, N_CELLS, CONTEXT = 40, 25, 12


def main():
    rng = np.random.default_rng(7)
    means = rng.gamma(0.5, 4.0, N_GENES)
    counts = rng.negative_binomial(1, 1 / (1 + means), (N_CELLS, N_GENES))
    counts[4] = 0
    counts[5] = 0
    counts[5, 3] = 9
    names = [f"g{i}" for i in range(N_GENES)]
    medians = {n: float(rng.choice([0.5, 1.0, 2.0])) for n in names if n not in ("g3", "g17")}
    for name in names[20:30]:
        if name in medians:
            medians[name] = float(rng.lognormal())
    special = {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3}
    tokens = {**special, **{n: 4 + i for i, n in enumerate(reversed(list(medians)))}}
    known = np.array([i for i, n in enumerate(names) if n in medians])
    norm = np.array([medians[names[i]] for i in known])
    ids = np.array([tokens[names[i]] for i in known])
    ranked = []
    for cell in counts:
        total = cell.sum()
        if total == 0:
            ranked.append([])
            continue
        values = cell[known] / total * 10_000 / norm
        nonzero = np.nonzero(values)[0]
        order = nonzero[np.argsort(-values[nonzero], kind="stable")]
        ranked.append([int(i) for i in ids[order]])
    record = {
        "genes": names, "counts": counts.tolist(), "medians": medians, "tokens": tokens,
        "context": CONTEXT, "ranked": ranked,
    }
    path = pathlib.Path(__file__).with_name("ranked_cells.json")
    path.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
