"""Records what Python reads from saved tokenizers into crates/data/tests/golden/tokenizers.json.

Usage: python scripts/tokenizer_reference.py R50K_BASE.TIKTOKEN     (run in the repository's root;
needs transformers and tiktoken; the rank file is part of the crate tiktoken-rs)

Saves every tokenizer with the example `save_tokenizers`, loads it with `AutoTokenizer`, and writes
texts, ids, decoded text and the SHA-256 of the files. GPT-2's ids are compared with tiktoken's.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import tiktoken
from transformers import AutoTokenizer

TEXTS = [
    "",
    "a",
    "Hello, world!",
    " leading and trailing ",
    "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.",
    "tabs\tand\r\nnew   lines\n\n\n  and   spaces ",
    "I'll don't we've they're it's I'd I'm 'tis O'Neill's",
    "3.14159 1234567890 2024-06-01 1e-5 0xFF",
    "Straße café naïve Ærøskøbing",
    "Привет, мир! Ελληνικά עברית العربية हिन्दी",
    "今日は世界。漢字かな交じり文 한국어",
    "🙂🙃 👩‍👩‍👧‍👦 🇩🇰 e\u0301 \u00a0nbsp \u200bzero",
    "fn main() { println!(\"{}\", x[0] + 1); } // code",
    "x = {'a': [1, 2], \"b\": None}\n    return x**2 != y",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa          !!!!!!!!!!!!!??",
    "\u0000\u0001\u007f\u0085\ufeff\uffff\U0010ffff",
]
SPECIAL = {
    "gpt2": "one<|endoftext|>two <|endoftext|>\nthree",
    "byte": "one<eos>two <eos>",
    "char": "one<eos>two <eos>",
    "char_without_eos": "one<eos>two <eos>",
}


def tiktoken_gpt2(path):
    ranks = {}
    for line in open(path, "rb"):
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    pattern = (
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    )
    return tiktoken.Encoding(
        "r50k", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}
    )


def record(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
    return {
        "files": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.iterdir())
        },
        "eos_id": tokenizer.eos_token_id,
        "pad_id": tokenizer.pad_token_id,
        "vocab_size": len(tokenizer),
        "cases": cases,
    }


def main(ranks):
    char_text = "".join(TEXTS) + "".join(SPECIAL.values())
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        text_file = folder / "char.txt"
        text_file.write_bytes(char_text.encode())
        command = "cargo run -q -p tenon-data --example save_tokenizers --".split()
        subprocess.run([*command, str(folder), str(text_file)], check=True)
        golden = {"char_text": char_text, "tokenizers": {}}
        for name, special in SPECIAL.items():
            golden["tokenizers"][name] = record(folder / name, [*TEXTS, special])
    reference = tiktoken_gpt2(ranks)
    for case in golden["tokenizers"]["gpt2"]["cases"]:
        ids = reference.encode(case["text"], allowed_special="all")
        assert ids == case["ids"], (case, ids)
    path = pathlib.Path("crates/data/tests/golden/tokenizers.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
