"""The custom_transformer family in plain PyTorch, for goldens.

Post-norm blocks, erf GELU, no biases, learned positions, weights multiplied from the right
(x @ W, stored [in, out]) and stacked over blocks, a head of its own. Autograd gives the gradients.
"""

import math

import torch

NORM_EPS = 1e-5


def shapes(config):
    """Name -> shape of the 13 tensors."""
    v, s, n = config["vocab_size"], config["max_seq_len"], config["n_blocks"]
    d, f = config["d_model"], config["d_ffn"]
    return {
        "vocab_embedding": (v, d),
        "pos_embedding": (s, d),
        "Q": (n, d, d),
        "K": (n, d, d),
        "V": (n, d, d),
        "W_o": (n, d, d),
        "attention_gamma": (n, d),
        "attention_beta": (n, d),
        "W1": (n, d, f),
        "W2": (n, f, d),
        "ffn_gamma": (n, d),
        "ffn_beta": (n, d),
        "output_projection": (d, v),
    }


def layer_norm(x, gamma, beta):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + NORM_EPS) * gamma + beta


def attention(x, q, k, v, w_o, n_heads, visible):
    """x [B,T,D]; visible [B,T,T] says which key each query may see."""
    b, t, d = x.shape
    heads = lambda w: (x @ w).view(b, t, n_heads, d // n_heads).transpose(1, 2)
    scores = heads(q) @ heads(k).transpose(-1, -2) / math.sqrt(d // n_heads)
    scores = scores.masked_fill(~visible[:, None], -math.inf)
    probabilities = torch.softmax(scores, -1)
    return (probabilities @ heads(v)).transpose(1, 2).reshape(b, t, d) @ w_o


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def forward(config, p, ids, mask):
    """Logits [B,T,V] and the stream before the first and after each block, [B,T,D] each."""
    b, t = ids.shape
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    causal = torch.ones(t, t, dtype=torch.bool).tril()
    visible = causal[None] & mask.bool()[:, None, :]
    # A padded query sees itself: a row without any key would be NaN, also in the gradients.
    visible = visible | torch.eye(t, dtype=torch.bool)[None]
    x = p["vocab_embedding"][ids] + p["pos_embedding"][positions]
    stream = [x]
    for i in range(config["n_blocks"]):
        q, k, v, w_o = (p[name][i] for name in ("Q", "K", "V", "W_o"))
        seen = attention(x, q, k, v, w_o, config["n_heads"], visible)
        x = layer_norm(x + seen, p["attention_gamma"][i], p["attention_beta"][i])
        fed = gelu(x @ p["W1"][i]) @ p["W2"][i]
        x = layer_norm(x + fed, p["ffn_gamma"][i], p["ffn_beta"][i])
        stream.append(x)
    return x @ p["output_projection"], stream
