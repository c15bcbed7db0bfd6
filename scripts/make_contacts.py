"""Writes what `predict_contacts` of transformers tells of three short sequences, in true f64.

    python scripts/make_contacts.py crates/models/tests/contacts
    python scripts/make_contacts.py OUT --model FOLDER

The first form also makes the model, a small ESM-2 with random weights, and writes `OUT/model/`,
`OUT/proteins.fasta` and `OUT/contacts.safetensors`: [R, R] for each sequence of R residues.
The second takes the model of a folder and writes `OUT` alone, such a file of tensors.
"""

import argparse
import pathlib

import torch
from make_goldens import everything_f64, fill
from safetensors.torch import load_file, save_file
from transformers import EsmConfig, EsmForMaskedLM, EsmTokenizer

VOCABULARY = (
    "<cls> <pad> <eos> <unk> "
    "L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>"
).split()
SEQUENCES = {"one": "M", "two": "KW", "seventeen": "MKTAYIAKQRXBSFVKS"}
CONFIG = dict(
    vocab_size=33, mask_token_id=32, pad_token_id=1, hidden_size=12, num_hidden_layers=2,
    num_attention_heads=3, intermediate_size=16, max_position_embeddings=24, layer_norm_eps=1e-5,
    position_embedding_type="rotary", emb_layer_norm_before=False, token_dropout=True,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, rope_theta=10000.0,
)


def make_model(folder):
    generator = torch.Generator().manual_seed(11)
    model = EsmForMaskedLM(EsmConfig(**CONFIG))
    for name, weight in model.named_parameters():
        noisy = fill(name.lower(), weight, weight.shape[-1], generator)
        # Attention that prefers some residues, and a head that tells them apart after the
        # correction has taken most of what it sees.
        weight.data = noisy * (2 if ".query." in name or ".key." in name else 1)
        if name.endswith("contact_head.regression.weight"):
            weight.data = noisy * 20
    folder.mkdir(parents=True, exist_ok=True)
    model.config.dtype = torch.float32
    model.config.architectures = ["EsmForMaskedLM"]
    model.config.save_pretrained(folder)
    # Under the names of the published files; `save_pretrained` may rename norms.
    weights = {name: weight.detach().contiguous() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    vocabulary = "\n".join(VOCABULARY) + "\n"
    (folder / "vocab.txt").write_text(vocabulary)
    EsmTokenizer(folder / "vocab.txt").save_pretrained(folder)
    # Saving leaves out the last line break.
    (folder / "vocab.txt").write_text(vocabulary)


def contacts(folder):
    tokenizer = EsmTokenizer.from_pretrained(folder) if (folder / "vocab.txt").exists() else None
    ids_of = {token: i for i, token in enumerate(VOCABULARY)}
    with everything_f64():
        config = EsmConfig.from_pretrained(folder)
        model = EsmForMaskedLM._from_config(config, attn_implementation="eager")
        for name, buffer in model.named_buffers():
            assert not buffer.is_floating_point() or buffer.dtype == torch.float64, name
        model = model.double().eval()
        named = dict(model.named_parameters())
        stored = load_file(folder / "model.safetensors")
        assert set(stored) == set(named), set(stored) ^ set(named)
        for name, weight in stored.items():
            named[name].data = weight.double()
        model.tie_weights()
        maps = {}
        for name, sequence in SEQUENCES.items():
            ids = [0, *(ids_of[residue] for residue in sequence), 2]
            assert tokenizer is None or tokenizer(sequence)["input_ids"] == ids
            ids = torch.tensor([ids])
            with torch.no_grad():
                told = model.predict_contacts(ids, torch.ones_like(ids))
            assert told.dtype == torch.float64
            maps[name] = told[0].contiguous()
    return maps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path)
    args = parser.parse_args()
    if args.model:
        save_file(contacts(args.model), args.out)
        return
    make_model(args.out / "model")
    fasta = "".join(f">{name}\n{sequence}\n" for name, sequence in SEQUENCES.items())
    (args.out / "proteins.fasta").write_text(fasta)
    save_file(contacts(args.out / "model"), args.out / "contacts.safetensors")


if __name__ == "__main__":
    main()
