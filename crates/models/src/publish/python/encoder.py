

def keys_seen(attention_mask):
    """[B, 1, T, S] of an encoder: every position sees all tokens, and itself."""
    seen = attention_mask.bool()[:, None, None, :]
    itself = torch.eye(seen.shape[-1], dtype=torch.bool, device=seen.device)
    return seen | itself


def masked_loss(logits, labels):
    """The mean over labels other than -100, without a shift."""
    if labels is None:
        return None
    return F.cross_entropy(
        wide(logits).flatten(0, 1), labels.to(logits.device, torch.long).flatten(),
        ignore_index=IGNORED,
    )
