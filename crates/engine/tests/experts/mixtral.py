"""Two sparse blocks of Mixtral and their load balancing, computed by transformers in f64.

Writes `mixtral.json` beside this file. The numbers of the model are sines, so that the test makes
them itself. Run it with torch and transformers installed:

    python crates/engine/tests/experts/mixtral.py
"""

import json
import pathlib

import torch
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import (
    MixtralSparseMoeBlock,
    load_balancing_loss_func,
)

ROWS, WIDTH, HIDDEN, EXPERTS, PER_TOKEN, LAYERS = 8, 6, 5, 4, 2, 2
COEFFICIENT = 0.02


def wave(seed, *shape):
    """`sin(1.7·i² + i + seed)`, the same numbers as in the test."""
    n = torch.Size(shape).numel()
    i = torch.arange(n, dtype=torch.float64)
    return torch.sin(1.7 * i * i + i + seed).reshape(shape)


def parameters(block, layer):
    seed = 10.0 * (layer + 1)
    gate = wave(seed + 1, EXPERTS, HIDDEN, WIDTH) / 2
    up = wave(seed + 2, EXPERTS, HIDDEN, WIDTH) / 2
    with torch.no_grad():
        block.gate.weight.copy_(wave(seed, EXPERTS, WIDTH) / 2)
        block.experts.gate_up_proj.copy_(torch.cat([gate, up], dim=1))
        block.experts.down_proj.copy_(wave(seed + 3, EXPERTS, WIDTH, HIDDEN) / 2)


def main():
    # The router casts to f32; here it must not.
    torch.Tensor.float = lambda tensor: tensor
    torch.set_default_dtype(torch.float64)
    config = MixtralConfig(
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_local_experts=EXPERTS,
        num_experts_per_tok=PER_TOKEN,
    )
    config._experts_implementation = "eager"
    x = wave(1.0, 1, ROWS, WIDTH).requires_grad_()
    blocks, logits, y = [], [], x
    for layer in range(LAYERS):
        block = MixtralSparseMoeBlock(config).double()
        parameters(block, layer)
        logits.append(block.gate(y)[0])
        y = y + block(y)
        blocks.append(block)
    aux = load_balancing_loss_func(tuple(logits), EXPERTS, PER_TOKEN)
    # Rows that count weigh the balance; every row of y has its cotangent.
    counted = ROWS - 1
    total = (wave(2.0, ROWS, WIDTH) * y[0]).sum() + counted * COEFFICIENT * aux
    total.backward()
    numbers = {"y": y, "aux": aux, "dx": x.grad}
    for layer, block in enumerate(blocks):
        numbers[f"logits{layer}"] = logits[layer]
        numbers[f"drouter{layer}"] = block.gate.weight.grad
        gate, up = block.experts.gate_up_proj.grad.chunk(2, dim=1)
        numbers[f"dgate{layer}"] = gate
        numbers[f"dup{layer}"] = up
        numbers[f"ddown{layer}"] = block.experts.down_proj.grad
    lists = {name: t.detach().reshape(-1).tolist() for name, t in numbers.items()}
    text = ",\n".join(f'"{name}": {json.dumps(values)}' for name, values in lists.items())
    path = pathlib.Path(__file__).with_name("mixtral.json")
    path.write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
