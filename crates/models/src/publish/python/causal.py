

from transformers import DynamicCache, GenerationMixin


def keys_seen(attention_mask, n_queries, n_keys, window):
    """[B, 1, T, S]: the last `n_keys` tokens, of which the last `n_queries` ask."""
    end = attention_mask.shape[1]
    keys = torch.arange(end - n_keys, end, device=attention_mask.device)
    queries = torch.arange(end - n_queries, end, device=attention_mask.device)[:, None]
    seen = keys <= queries
    if window is not None:
        seen &= queries - keys < window
    # Padding sees itself: a row without any key would be no number.
    return seen & attention_mask[:, None, None, end - n_keys :].bool() | (keys == queries)


def after_past(x, attention_mask, position_ids, cache):
    """Mask [B, S] of the tokens in the cache and of those in `x`, and positions of the latter."""
    n_past = 0 if cache is None else cache.get_seq_length()
    mask = whole_mask(attention_mask, x)
    if mask.shape[1] < n_past + x.shape[1]:
        mask = F.pad(mask, (n_past + x.shape[1] - mask.shape[1], 0), value=1)
    if position_ids is None:
        position_ids = n_past + torch.arange(x.shape[1], device=x.device)[None]
    return mask, position_ids


def next_token_loss(logits, labels):
    """The mean over labels other than -100, each told by the token before."""
    if labels is None:
        return None
    shifted = labels[:, 1:].to(logits.device, torch.long)
    return F.cross_entropy(
        wide(logits[:, :-1]).flatten(0, 1), shifted.flatten(), ignore_index=IGNORED
    )
