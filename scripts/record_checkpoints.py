"""Records small checkpoints of PyTorch, and pickles of plain data, for the tests of tenon-models.

    python scripts/record_checkpoints.py crates/models/tests/torch/files

The tests know the values: tensor by tensor they count up from a number.
"""

import pathlib
import pickle
import sys
from collections import OrderedDict

import numpy
import torch
from transformers import GPT2Config, GPT2LMHeadModel


def counted(start, shape, dtype=torch.float32):
    """Values start, start + 1, … in row-major order."""
    n = int(numpy.prod(shape))
    return torch.arange(start, start + n, dtype=torch.float64).reshape(shape).to(dtype)


def kinds():
    names = "float32 float16 bfloat16 float64 int64 int32 int16 int8 uint8 uint16 float8_e4m3fn"
    state = {name: counted(1, (2, 3), getattr(torch, name)) for name in names.split()}
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(7.0)
    state["empty"] = torch.zeros(0, 3)
    state["version"] = 3
    return state


def views():
    state = OrderedDict()
    state["whole"] = counted(0, (4, 6))
    state["tied"] = state["whole"]
    state["transposed"] = state["whole"].t()
    state["rows"] = state["whole"][1:3]
    state["columns"] = state["whole"][:, 2:4]
    state["permuted"] = counted(100, (2, 3, 4)).permute(2, 0, 1)
    state["parameter"] = torch.nn.Parameter(counted(50, (3,)))
    marked = torch.nn.Parameter(counted(60, (2,)))
    marked._is_hf_initialized = True
    state["marked"] = marked
    state._metadata = OrderedDict({"": {"version": 1}, "layer": {"version": 2}})
    return state


def training():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(counted(10 * i, tuple(parameter.shape)))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).square().sum().backward()
    state = OrderedDict((name, value.clone()) for name, value in model.state_dict().items())
    optimizer.step()
    return {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": optimizer.state_dict(),
        "best": numpy.float64(0.25),
        "config": {"layers": [3, 2], "name": "tiny", "tags": {"a"}},
    }


def plain():
    return {
        "none": None,
        "truth": [True, False],
        "integers": [0, 255, 65535, -1, 1 << 40, -(1 << 40)],
        "float": 0.1,
        "text": "naïve",
        "bytes": b"\x00\xff",
        "tuple": (1, (2, 3), (4, 5, 6, 7)),
        "set": {9},
        "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "numpy": [numpy.float64(1.5), numpy.float32(0.5), numpy.int64(-3), numpy.bool_(True)],
        7: "a number as a key",
    }


def gpt2(folder):
    """A model as transformers writes it, and its state as PyTorch does, with the tied head."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=2,
                        bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(kinds(), folder / "kinds.bin")
    torch.save(views(), folder / "views.bin")
    torch.save(views(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(training(), folder / "training.pt")
    torch.save(views(), folder / "legacy_4.bin", pickle_protocol=4,
               _use_new_zipfile_serialization=False)
    gpt2(folder / "gpt2")
    torch.serialization.set_crc32_options(False)
    torch.save({"a": counted(1, (2,))}, folder / "unchecked.bin")
    for protocol in range(6):
        content = pickle.dumps(plain(), protocol)
        (folder / f"plain_{protocol}.pkl").write_bytes(content)


main()
