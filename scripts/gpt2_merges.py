"""Packs GPT-2's `vocab.bpe` into `crates/data/assets/gpt2_merges.u16`.

Usage: python scripts/gpt2_merges.py path/to/vocab.bpe crates/data/assets/gpt2_merges.u16

Ids 0-255 are the bytes in the order of GPT-2's byte table (printable bytes first), every merge
makes the next id, and the pair of ids of each merge is written as two little-endian u16.
"""

import struct
import sys


def byte_table():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = [chr(byte) for byte in printable]
    rest = [byte for byte in range(256) if byte not in printable]
    return table + [chr(256 + i) for i in range(len(rest))]


def main(source, target):
    ids = {symbol: i for i, symbol in enumerate(byte_table())}
    with open(source, encoding="utf-8") as file, open(target, "wb") as out:
        assert file.readline().startswith("#version")
        for line in file:
            left, right = line.rstrip("\n").split(" ")
            out.write(struct.pack("<HH", ids[left], ids[right]))
            assert left + right not in ids
            ids[left + right] = len(ids)


if __name__ == "__main__":
    main(*sys.argv[1:])
