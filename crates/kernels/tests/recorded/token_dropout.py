"""Prints what transformers makes of small embeddings under ESM-2's token dropout.

The first column of the output is the table of `token_dropout_is_that_of_transformers` in
`tests/suite/sequences.rs`. Needs torch and transformers (recorded with 5.23.0).
"""

import torch
from transformers import EsmConfig
from transformers.models.esm.modeling_esm import EsmEmbeddings

MASK, PAD = 32, 1
SEQUENCES = [[0, 5, MASK, 7, MASK, 2], [0, 4, 4, MASK, 6, 7, 8, 9, 2], [0, 6, 2]]

config = EsmConfig(
    vocab_size=33,
    hidden_size=1,
    pad_token_id=PAD,
    mask_token_id=MASK,
    token_dropout=True,
    position_embedding_type="rotary",
    emb_layer_norm_before=False,
)
embeddings = EsmEmbeddings(config).eval()
longest = max(map(len, SEQUENCES))
ids = torch.tensor([ids + [PAD] * (longest - len(ids)) for ids in SEQUENCES])
with torch.no_grad():
    embeddings.word_embeddings.weight.copy_(torch.arange(1.0, 34.0)[:, None] / 3)
    rows = embeddings(input_ids=ids, attention_mask=(ids != PAD).long())
for row, ids in zip(rows, SEQUENCES):
    print([f"{x:.9g}" for x in row[: len(ids), 0].tolist()])
