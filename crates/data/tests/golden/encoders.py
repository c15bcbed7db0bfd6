"""Records what `transformers` reads from tokenizers of encoders into encoders.json beside this.

Usage: python crates/data/tests/golden/encoders.py     (in the repository's root)

`esm`, `amplify`, `codon`, `genes` are saved by the example `save_tokenizers` and loaded by
`AutoTokenizer`; `kmers` and `bert_…` are `vocab.txt` files given in the record, which both sides
load.
"""

import json
import pathlib
import subprocess
import tempfile

from transformers import AutoTokenizer, EsmTokenizer

PROTEINS = [
    "", "M", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ",
    "LAGVSERTIDPKQNFYMHWCXBUZO.-", "MK<mask>T", "<mask>", "<cls>MK<eos>", "<pad><unk>A",
    "MKJT", "MKJJT", "mkt", "M K T", "MJ JT", "A1 2A", "MK*", "MK\nT", "a<cls>b", "<mA>", "éA",
    "<null_1>A", "A|G", "J\u00a0J", "A\u001cA", " A ", "1<mask>2",
]
CODONS = [
    "", "ATG", "ATGGCCTAA", "AUGGCCUAA", "atggccuaa", "AAATTTCCCGGG", "ATGNNNTAA", "ANGATG",
    "<MASK>ATG", "ATG<MASK>TAA", "<UNK><PAD>", "---ATG", "TTTTTG",
]
GENES = ["", "ENSG03", "ENSG02 ENSG01\nENSG03", "ENSG01 <mask> ENSG02", "ENSG01 ENSG01"]
KMERS = [
    "", "ATTACG", "ATTACGATTACG", "ATTACATTACG", "ATTACGNNA", "A<mask>ATTACG", "attacg", "CATTACGX",
]
KMER_VOCAB = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "ATTACG", "TTACGA", "CATTAC", *"ATCGN"]
WORDS = [
    "", "Hello worlds!", "café, Café", "漢漢 x", "unaffable [MASK] x", "[CLS] hello[SEP]",
    "hello\tworld\n\u00a0!", "HELLO", "unworldable " + "a" * 101, "[mask]", "hello##s",
]
WORD_VOCAB = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] hello world ##s ! , caf cafe ##é Hello 漢 un ##aff ##able x "
    "# ["
).split(" ")


def cases(tokenizer, texts):
    return [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in texts]


def special(tokenizer):
    names = ["eos", "bos", "pad", "unk", "mask", "cls", "sep"]
    return {name: getattr(tokenizer, f"{name}_token_id") for name in names}


def built_in(folder, name, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder / name)
    if name == "esm":
        assert type(tokenizer) is EsmTokenizer
    return {"special": special(tokenizer), "size": len(tokenizer), "cases": cases(tokenizer, texts)}


def from_files(folder, name, files, texts):
    (folder / name).mkdir()
    for file, content in files.items():
        (folder / name / file).write_text(content)
    tokenizer = AutoTokenizer.from_pretrained(folder / name)
    return {"files": files, "special": special(tokenizer), "cases": cases(tokenizer, texts)}


def main():
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "char.txt").write_text("a")
        command = "cargo run -q -p tenon-data --example save_tokenizers --".split()
        subprocess.run([*command, str(folder), str(folder / "char.txt")], check=True)
        record = {
            "esm": built_in(folder, "esm", PROTEINS),
            "amplify": built_in(folder, "amplify", PROTEINS),
            "codon": built_in(folder, "codon", CODONS),
            "genes": built_in(folder, "genes", GENES),
        }
        esm = {"tokenizer_class": "EsmTokenizer", "eos_token": None}
        bert = {"tokenizer_class": "BertTokenizer"}
        cased = {**bert, "do_lower_case": False}
        strip = {**cased, "strip_accents": True, "tokenize_chinese_chars": False}
        kmers = {"vocab.txt": "\n".join(KMER_VOCAB), "tokenizer_config.json": json.dumps(esm)}
        record["kmers"] = from_files(folder, "kmers", kmers, KMERS)
        for name, config in [("bert", bert), ("bert_cased", cased), ("bert_strip", strip)]:
            vocab = {"vocab.txt": "\n".join(WORD_VOCAB) + "\n"}
            files = {**vocab, "tokenizer_config.json": json.dumps(config)}
            record[name] = from_files(folder, name, files, WORDS)
    path = pathlib.Path(__file__).with_name("encoders.json")
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
