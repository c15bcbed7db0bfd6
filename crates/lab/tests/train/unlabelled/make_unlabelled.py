"""A tiny ESM-2 that tells a class of each residue, and its loss where residues have no label.

    python crates/lab/tests/train/unlabelled/make_unlabelled.py crates/lab/tests/train/unlabelled

Writes `model/` (with ESM's vocabulary), `rows.jsonl` and `expected.json`: what `transformers`
computes of labels in which -100 stands for none, as the mean over all labels that count.
"""

import json
import pathlib
import sys

import torch
from transformers import EsmConfig, EsmForTokenClassification

TOKENS = (
    "<cls> <pad> <eos> <unk> L A G V S E R T I D P N K Q F Y M H W C X B U Z O . - <null_1> <mask>"
).split()
NAMES = "HEC"
IGNORED = -100
# The label of a residue, or a dot for none; no residue of the third row has one.
ROWS = [("MKTAYIAK", "..HHEEC."), ("WGQLNDE", "CC.HH.E"), ("PPGS", "....")]
CONFIG = dict(
    vocab_size=len(TOKENS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=12, max_position_embeddings=16, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, pad_token_id=1, mask_token_id=32, hidden_act="gelu",
    position_embedding_type="rotary", token_dropout=True, emb_layer_norm_before=False,
    id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
)


def spelled(i, labels):
    """The same in each way that a table may say it."""
    if i == 0:
        return [None if label == "." else label for label in labels]
    if i == 1:
        return [["", IGNORED][j % 2] if label == "." else label for j, label in enumerate(labels)]
    return labels.replace(".", "?", 2).replace(".", "-", 1)


def main():
    out = pathlib.Path(sys.argv[1])
    torch.manual_seed(5)
    model = EsmForTokenClassification(EsmConfig(**CONFIG)).eval()
    for weight in model.parameters():
        weight.data += 0.4 * torch.randn_like(weight)
    model.save_pretrained(out / "model")
    (out / "model" / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    losses, n = 0.0, 0
    for text, labels in ROWS[:2]:
        ids = [0] + [TOKENS.index(residue) for residue in text] + [2]
        targets = [IGNORED if label == "." else NAMES.index(label) for label in labels]
        targets = [IGNORED] + targets + [IGNORED]
        with torch.no_grad():
            loss = model(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)),
                labels=torch.tensor([targets]),
            ).loss
        counted = sum(target != IGNORED for target in targets)
        losses, n = losses + loss.item() * counted, n + counted
    rows = [{"text": text, "label": spelled(i, labels)} for i, (text, labels) in enumerate(ROWS)]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (out / "expected.json").write_text(json.dumps({"loss": losses / n, "counted": n}) + "\n")


if __name__ == "__main__":
    main()
