"""AMPLIFY and both variants of EnCodon, which transformers does not have, in plain PyTorch, for
goldens.

Both see a sequence from both sides; weights are stored [out, in]. Autograd gives the gradients.
Parameters have the names of the published checkpoints.
"""

import math

import torch
from torch.nn.functional import linear, silu


def amplify_shapes(config):
    """Name -> shape; the gated layer is two thirds of the configured width, in whole eights."""
    v, d = config["vocab_size"], config["hidden_size"]
    f = -(-(config["intermediate_size"] * 2 // 3) // 8) * 8
    shapes = {"encoder.weight": (v, d), "layer_norm_2.weight": (d,)}
    shapes |= {"decoder.weight": (v, d), "decoder.bias": (v,)}
    for i in range(config["num_hidden_layers"]):
        block = {f"{name}.weight": (d, d) for name in ("q", "k", "v", "wo")}
        block |= {"attention_norm.weight": (d,), "ffn_norm.weight": (d,)}
        block |= {"ffn.w12.weight": (2 * f, d), "ffn.w3.weight": (d, f)}
        shapes |= {f"transformer_encoder.{i}.{name}": shape for name, shape in block.items()}
    return shapes


def encodon_shapes(config):
    """Name -> shape."""
    v, d, f = config["vocab_size"], config["hidden_size"], config["intermediate_size"]
    norm = lambda name, width: {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    dense = lambda name, out, width: {f"{name}.weight": (out, width), f"{name}.bias": (out,)}
    shapes = {"embeddings.word_embeddings.weight": (v, d), **norm("embeddings.post_ln", d)}
    for i in range(config["num_hidden_layers"]):
        block = {
            **norm("pre_attn_layer_norm", d), **norm("post_attn_layer_norm", d),
            **norm("pre_ffn_layer_norm", d), **norm("post_ffn_layer_norm", f),
            **dense("attention.query", d, d), **dense("attention.key", d, d),
            **dense("attention.value", d, d), **dense("post_attn_dense", d, d),
            **dense("intermediate_dense", f, d), **dense("output_dense", d, f),
        }
        shapes |= {f"layers.{i}.{name}": shape for name, shape in block.items()}
    return shapes | dense("cls.0", d, d) | norm("cls.2", d) | dense("cls.3", v, d)


def plain_encodon_shapes(config):
    """Name -> shape; rows of query, key and value alternate by head."""
    v, d, f = config["vocab_size"], config["hidden_size"], config["intermediate_size"]
    kinds = ("weight", "bias")
    norm = lambda name: {f"{name}layer_norm_{kind}": (d,) for kind in kinds}
    dense = lambda name, out, width: {f"{name}weight": (out, width), f"{name}bias": (out,)}
    shapes = {"embeddings.word_embeddings.weight": (v, d)}
    shapes |= {f"embeddings.post_ln.{kind}": (d,) for kind in kinds}
    for i in range(config["num_hidden_layers"]):
        qkv, mlp = "self_attention.layernorm_qkv.", "layernorm_mlp."
        block = {
            **norm(qkv), **dense(qkv, 3 * d, d), **dense("self_attention.proj.", d, d),
            **norm(mlp), **dense(mlp + "fc1_", f, d), **dense(mlp + "fc2_", d, f),
        }
        shapes |= {f"encoder.layers.{i}.{name}": shape for name, shape in block.items()}
    head = "lm_head.layer_norm_linear."
    return shapes | dense("lm_head.dense.", d, d) | norm(head) | dense(head, v, d)


def rms_norm(x, gain, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * gain


def layer_norm(x, gain, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + eps) * gain + bias


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def rotate(x, positions, theta, interleaved):
    """x [B,H,T,K]: each pair turns by position · theta^(−2i/K), as a complex number would."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = positions[:, None, :, None] * frequencies
    pairs = x.unflatten(-1, (half, 2)) if interleaved else x.unflatten(-1, (2, half)).mT
    a, b = pairs.unbind(-1)
    turned = torch.stack(
        (a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()), -1
    )
    return (turned if interleaved else turned.mT).flatten(-2)


def attention(q, k, v, mask, n_heads, theta, interleaved):
    """q, k, v [B,T,D], mask [B,T]; every token sees every real one of its row."""
    heads = lambda x: x.unflatten(-1, (n_heads, -1)).transpose(1, 2)
    positions = (mask.cumsum(-1) - 1).clamp(min=0).double()
    q, k = (rotate(heads(x), positions, theta, interleaved) for x in (q, k))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~mask.bool()[:, None, None], -math.inf)
    return (torch.softmax(scores, -1) @ heads(v)).transpose(1, 2).flatten(-2)


def amplify(config, p, ids, mask):
    """Logits [B,T,V] and the stream [B,T,D]; the last one after the final norm."""
    eps, n_heads = config["norm_eps"], config["num_attention_heads"]
    x = p["encoder.weight"][ids]
    stream = [x]
    for i in range(config["num_hidden_layers"]):
        w = lambda name: p[f"transformer_encoder.{i}.{name}.weight"]
        y = rms_norm(x, w("attention_norm"), eps)
        q, k, v = (linear(y, w(name)) for name in "qkv")
        x = x + linear(attention(q, k, v, mask, n_heads, 1e4, True), w("wo"))
        y = rms_norm(x, w("ffn_norm"), eps)
        gate, up = linear(y, w("ffn.w12")).chunk(2, -1)
        x = x + linear(silu(gate) * up, w("ffn.w3"))
        stream.append(x)
    stream[-1] = rms_norm(x, p["layer_norm_2.weight"], eps)
    return linear(stream[-1], p["decoder.weight"], p["decoder.bias"]), stream


def encodon(config, p, ids, mask):
    """Logits [B,T,V] and the stream [B,T,D]."""
    eps, n_heads, theta = (
        config[key] for key in ("layer_norm_eps", "num_attention_heads", "rotary_theta")
    )
    norm = lambda name, x: layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"], eps)
    dense = lambda name, x: linear(x, p[f"{name}.weight"], p[f"{name}.bias"])
    x = norm("embeddings.post_ln", p["embeddings.word_embeddings.weight"][ids])
    stream = [x]
    for i in range(config["num_hidden_layers"]):
        at = f"layers.{i}."
        y = norm(at + "pre_attn_layer_norm", x)
        q, k, v = (dense(f"{at}attention.{name}", y) for name in ("query", "key", "value"))
        y = attention(q, k, v, mask, n_heads, theta, False)
        x = x + dense(at + "post_attn_dense", norm(at + "post_attn_layer_norm", y))
        y = gelu(dense(at + "intermediate_dense", norm(at + "pre_ffn_layer_norm", x)))
        x = x + dense(at + "output_dense", norm(at + "post_ffn_layer_norm", y))
        stream.append(x)
    return dense("cls.3", norm("cls.2", gelu(dense("cls.0", x)))), stream


def plain_encodon(config, p, ids, mask):
    """Logits [B,T,V] and the stream [B,T,D]. Transformer Engine computes GELU in the tanh form;
    the head has the exact one."""
    eps, n_heads = config["layer_norm_eps"], config["num_attention_heads"]
    norm = lambda at, x: layer_norm(x, p[f"{at}weight"], p[f"{at}bias"], eps)
    dense = lambda at, x: linear(x, p[f"{at}weight"], p[f"{at}bias"])
    x = norm("embeddings.post_ln.", p["embeddings.word_embeddings.weight"][ids])
    stream = [x]
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layers.{i}.self_attention."
        qkv = dense(at + "layernorm_qkv.", norm(at + "layernorm_qkv.layer_norm_", x))
        by_head = qkv.unflatten(-1, (n_heads, 3, -1))
        q, k, v = (by_head[..., part, :].flatten(-2) for part in range(3))
        x = x + dense(at + "proj.", attention(q, k, v, mask, n_heads, 1e4, False))
        at = f"encoder.layers.{i}.layernorm_mlp."
        x = x + dense(at + "fc2_", tanh_gelu(dense(at + "fc1_", norm(at + "layer_norm_", x))))
        stream.append(x)
    head = "lm_head.layer_norm_linear."
    y = norm(head + "layer_norm_", gelu(dense("lm_head.dense.", x)))
    return dense(head, y), stream
