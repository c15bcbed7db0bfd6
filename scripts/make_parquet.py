"""Writes small Parquet files, and the same rows as JSON lines, for the tests of tenon-data.

    python scripts/make_parquet.py crates/data/tests/parquet

`rows.jsonl` has the rows of every file in `same/`; the files differ in codec, encodings, versions
and sizes of pages and row groups. `set/` and `proteins.*` are small data sets for training,
`refused/` holds what a reader of text refuses.
"""

import datetime
import decimal
import json
import pathlib
import sys

import pyarrow
import pyarrow.parquet as parquet
from pyarrow.parquet import encryption

MESSAGE = pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("text", pyarrow.string(), nullable=False),
        ("note", pyarrow.large_string()),
        ("label", pyarrow.int64()),
        ("small", pyarrow.int8()),
        ("count", pyarrow.uint32()),
        ("score", pyarrow.float64()),
        ("ratio", pyarrow.float32()),
        ("flag", pyarrow.bool_()),
        ("tags", pyarrow.list_(pyarrow.string())),
        ("ids", pyarrow.large_list(pyarrow.int32())),
        ("grid", pyarrow.list_(pyarrow.list_(pyarrow.int16()))),
        ("messages", pyarrow.list_(MESSAGE)),
        ("meta", pyarrow.struct({"lang": pyarrow.string(), "year": pyarrow.int32()})),
    ]
)


def rows():
    """Twelve rows; nulls, empty and one-element lists come in turns of different lengths."""

    def turn(i, values):
        return values[i % len(values)]

    made = []
    for i in range(12):
        messages = [{"role": "user", "content": f"ask {i}"}, {"role": "assistant", "content": None}]
        made.append(
            {
                "text": turn(i, ["same", "Zürich, 5 °C", 'a "quoted"\nline', "日本 🙂", ""]),
                "note": turn(i, [None, "n", "", f"note {i}"]),
                "label": turn(i, [0, 1, -1, 2**62 + 1, None]),
                "small": turn(i, [-128, 127, None]),
                "count": turn(i, [4294967295, None, 7]),
                "score": turn(i, [0.1, -2.5e-300, None, 1e22]),
                "ratio": turn(i, [0.5, None, -1.25]),
                "flag": turn(i, [True, False, None]),
                "tags": turn(i, [["a", "b"], [], None, [None, "c"], ["d"]]),
                "ids": turn(i, [[1, 2, 3], None, [-4], []]),
                "grid": turn(i, [[[1, 2], [3]], [[]], [], None, [None, [4]]]),
                "messages": turn(i, [messages, [], None, messages[:1], [None]]),
                "meta": turn(i, [{"lang": "de", "year": i}, None, {"lang": None, "year": None}]),
            }
        )
    return made


def same(out):
    """The same rows, written in every way that the common tools write."""
    table = pyarrow.Table.from_pylist(rows(), schema=SCHEMA)
    write_lines(out.parent / "rows.jsonl", rows())
    ways = {
        "default": {},
        "uncompressed": {"compression": "none", "row_group_size": 5},
        "snappy": {"compression": "snappy", "row_group_size": 12},
        "gzip": {"compression": "gzip", "row_group_size": 7},
        "zstd": {"compression": "zstd", "row_group_size": 7},
        "lz4": {"compression": "lz4", "row_group_size": 12},
        "plain": {"use_dictionary": False, "compression": "none"},
        "pages": {"data_page_size": 1, "write_batch_size": 3, "compression": "none"},
        "v2_pages": {"data_page_version": "2.0", "data_page_size": 1, "write_batch_size": 3},
        "v2_zstd": {"data_page_version": "2.0", "compression": "zstd", "version": "2.6"},
        "version1": {"version": "1.0", "compression": "snappy"},
        "checksums": {"write_page_checksum": True},
        "delta": {
            "use_dictionary": False,
            "data_page_version": "2.0",
            "column_encoding": {
                "text": "DELTA_LENGTH_BYTE_ARRAY",
                "note": "DELTA_BYTE_ARRAY",
                "label": "DELTA_BINARY_PACKED",
                "small": "DELTA_BINARY_PACKED",
                "score": "BYTE_STREAM_SPLIT",
                "ratio": "BYTE_STREAM_SPLIT",
                "flag": "RLE",
            },
        },
    }
    for name, how in ways.items():
        parquet.write_table(table, out / f"{name}.parquet", store_schema=name == "default", **how)


def stories(start, n):
    people, things = ["Ann", "Bob", "Cleo", "Dan"], ["a boat", "two apples", "the old map"]
    for i in range(start, start + n):
        text = f"{people[i % 4]} has {things[i % 3]}. On day {i} {people[i % 3]} comes. "
        yield {"id": i, "text": text * 3}


def data_set(out):
    """A folder as the model hub lays it out: shards of splits, once in each format."""
    shards = {
        "train-00000-of-00002": list(stories(0, 40)),
        "train-00001-of-00002": list(stories(40, 20)),
        "validation-00000-of-00001": list(stories(60, 12)),
    }
    for name, made in shards.items():
        write_both(out / "parquet/data" / name, out / "jsonl/data" / name, made)


def proteins(out):
    letters = "ACDEFGHIKLMNPQRSTVWY"
    made = []
    for i in range(48):
        family = i % 2
        motif = ["MKTAYIAKQR", "GSHWLLPEDN"][family]
        ends = letters[i % 20] + letters[(7 * i + 3) % 20]
        row = {"id": f"P{i}", "sequence": (motif + ends) * 2, "family": family}
        made.append({**row, "known": i % 3 == 0})
    write_both(out / "proteins", out / "proteins", made)


def refused(out):
    """Values that JSON lines cannot hold, files that need a key or a codec that is not built in."""
    day = datetime.date(2024, 2, 29)
    kinds = pyarrow.table(
        {
            "bytes": [b"abc"],
            "day": [day],
            "moment": [datetime.datetime(2024, 2, 29, 12)],
            "price": [decimal.Decimal("1.50")],
            "nan": [float("nan")],
            "map": pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int32())),
            "nothing": pyarrow.nulls(1),
        }
    )
    parquet.write_table(kinds, out / "kinds.parquet")
    text = pyarrow.table({"text": ["secret"] * 20, "open": ["plain"] * 20})
    codecs = {"text": "brotli", "open": "none"}
    parquet.write_table(text, out / "brotli.parquet", compression=codecs)
    parquet.write_table(text.slice(0, 0), out / "no_rows.parquet")
    twice = pyarrow.table([["x"], ["y"]], names=["text", "text"])
    parquet.write_table(twice, out / "twice.parquet")
    for name, plaintext in {"encrypted": False, "encrypted_column": True}.items():
        how = encryption.EncryptionConfiguration(
            footer_key="footer", column_keys={"column": ["text"]}, plaintext_footer=plaintext
        )
        factory = encryption.CryptoFactory(lambda _: NoSecret())
        keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
        parquet.write_table(text, out / f"{name}.parquet", encryption_properties=keys)


class NoSecret(encryption.KmsClient):
    """Keeps keys in the open: the tests only ask whether encryption is noticed."""

    def __init__(self):
        encryption.KmsClient.__init__(self)

    def wrap_key(self, key, name):
        return name.encode() + key.hex().encode()

    def unwrap_key(self, wrapped, name):
        return bytes.fromhex(wrapped.decode()[len(name) :])


def write_both(columns, lines, made):
    columns.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(made), f"{columns}.parquet", compression="zstd")
    write_lines(pathlib.Path(f"{lines}.jsonl"), made)


def write_lines(path, made):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in made]
    path.write_text("".join(lines), encoding="utf-8")


def main():
    out = pathlib.Path(sys.argv[1])
    for folder in ["same", "refused"]:
        (out / folder).mkdir(parents=True, exist_ok=True)
    same(out / "same")
    data_set(out / "set")
    proteins(out)
    refused(out / "refused")


if __name__ == "__main__":
    main()
