"""Loads a model folder written by Tenon in transformers and compares logits.

FOLDER has config.json and *.safetensors. INPUTS (input_ids, optional attention_mask) and LOGITS
(logits, as `tenon predict` wrote them) default to FOLDER/inputs.safetensors and
FOLDER/logits.safetensors. Prints one JSON object; exits 1 above the tolerance or when transformers
misses, ignores or re-initialises any weight.
"""

import argparse
import json
import math
import pathlib
import sys
from contextlib import nullcontext

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from make_goldens import everything_f64


def reference_logits(folder, inputs, dtype):
    # transformers 4 knows the argument only under its old name.
    key = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    # Left alone, the references cast to f32 inside, where the f64 mask overflows to NaN.
    with torch.no_grad(), everything_f64() if dtype is torch.float64 else nullcontext():
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager", output_loading_info=True, **{key: dtype}
        )
        mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).long()
        out = model.eval()(
            input_ids=inputs["input_ids"].long(), attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0), use_cache=False,
        )
    complaints = {name: sorted(map(str, found)) for name, found in report.items() if found}
    return out.logits.double(), mask.bool(), complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--inputs", type=pathlib.Path)
    parser.add_argument("--logits", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    inputs = load_file(args.inputs or args.folder / "inputs.safetensors")
    predicted = load_file(args.logits or args.folder / "logits.safetensors")["logits"].double()
    expected, mask, complaints = reference_logits(args.folder, inputs, getattr(torch, args.dtype))
    difference = (predicted - expected)[mask]
    relative = (difference.norm() / expected[mask].norm()).item()
    passed = math.isfinite(relative) and relative <= args.tolerance and not complaints
    print(json.dumps({
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "dtype": args.dtype,
        "absolute_error_max": difference.abs().max().item(),
        "relative_error": relative,
        "tolerance": args.tolerance,
        "loading_complaints": complaints,
        "passed": passed,
    }))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
