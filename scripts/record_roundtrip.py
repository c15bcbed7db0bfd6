"""Asks transformers about the fresh models that Tenon's example `fresh_models` wrote to OUT.

Runs hub_roundtrip.py on each model in f32 and f64 and writes RECORDED/<model>.json: the hashes of
the model's files and what was found. Exits 1 when any comparison failed.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys

DTYPES = {"float32": ("f32", "3e-6"), "float64": ("f64", "1e-9")}


def compare(out, name, dtype):
    short, tolerance = DTYPES[dtype]
    script = pathlib.Path(__file__).with_name("hub_roundtrip.py")
    done = subprocess.run(
        [sys.executable, script, out / name, "--inputs", out / "inputs.safetensors",
         "--logits", out / f"{name}.{short}.safetensors", "--dtype", dtype,
         "--tolerance", tolerance],
        stdout=subprocess.PIPE, text=True,
    )
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, metavar="OUT")
    parser.add_argument("recorded", type=pathlib.Path, metavar="RECORDED")
    args = parser.parse_args()
    passed = True
    for folder in sorted(path for path in args.out.iterdir() if path.is_dir()):
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
        }
        found = {dtype: compare(args.out, folder.name, dtype) for dtype in DTYPES}
        passed &= all(result["passed"] for result in found.values())
        text = json.dumps({"files": files, **found}, indent=2)
        (args.recorded / f"{folder.name}.json").write_text(text + "\n")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
