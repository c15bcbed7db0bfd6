# SPDX-License-Identifier: MIT OR Apache-2.0
"""A model that Tenon wrote, in plain PyTorch, for `trust_remote_code=True`.

Parameters have the names and layouts of the weights beside this file. Sizes in comments: B rows,
T queries, S keys, H heads, G heads of keys and values, K width of a head, D width of the stream,
F width of the feed-forward layer, V tokens of the vocabulary.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel, modeling_outputs

IGNORED = -100


class TenonConfig(PretrainedConfig):
    """A configuration whose keys have the defaults of `KEYS`."""

    KEYS = dict()

    def take(self, keys):
        """Removes from `keys` what is read here: the value of each of `KEYS`."""
        # Some configurations have stored what is computed from `return_dict`.
        keys.pop("use_return_dict", None)
        return dict((key, keys.pop(key, default)) for key, default in self.KEYS.items())

    def put(self, own):
        for key, value in own.items():
            setattr(self, key, value)

    def to_diff_dict(self):
        # Readers differ in what an absent key means, so that every key is written.
        keys = self.to_dict()
        keys.pop("_name_or_path", None)
        return keys


class TenonModel(PreTrainedModel):
    """What all models of this file share."""

    _supports_sdpa = True
    _keys_to_ignore_on_load_unexpected = [r"_extra_state$", r"inv_freq$"]

    def _init_weights(self, module):
        for name, parameter in module.named_parameters(recurse=False):
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.normal_(parameter, std=getattr(self.config, "initializer_range", 0.02))

    def shows_states(self, asked):
        return getattr(self.config, "output_hidden_states", False) if asked is None else asked

    def answer(self, output, return_dict):
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        return output if return_dict else output.to_tuple()


def wide(x):
    """At least f32: sums of halves lose too much."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def normed(x, weight, bias, eps):
    """A layer norm, or without a bias an RMS norm."""
    if bias is not None:
        return F.layer_norm(x, weight.shape, weight, bias, eps)
    y = wide(x)
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps)
    return weight * y.to(x.dtype)


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return normed(x, self.weight, None, self.eps)


class NormedLinear(nn.Module):
    """A norm and the map that reads it; without a `weight` of its own it is given one."""

    def __init__(self, n_in, n_out, eps, bias=True, norm="layer", weight=True):
        super().__init__()
        self.eps = eps
        own = dict(
            layer_norm_weight=torch.ones(n_in) if norm else None,
            layer_norm_bias=torch.zeros(n_in) if norm == "layer" else None,
            weight=torch.zeros(n_out, n_in) if weight else None,
            bias=torch.zeros(n_out) if bias else None,
        )
        for name, value in own.items():
            self.register_parameter(name, None if value is None else nn.Parameter(value))

    def forward(self, x, weight=None):
        if self.layer_norm_weight is not None:
            x = normed(x, self.layer_norm_weight, self.layer_norm_bias, self.eps)
        return F.linear(x, self.weight if weight is None else weight, self.bias)


def swiglu(x):
    gate, up = x.chunk(2, -1)
    return F.silu(gate) * up


ACTIVATIONS = dict(
    gelu=F.gelu, relu=F.relu, silu=F.silu, swiglu=swiglu,
    gelu_new=lambda x: F.gelu(x, approximate="tanh"),
)


class NormedMlp(nn.Module):
    """A norm, a map to the feed-forward width, an activation, and the map back."""

    def __init__(self, width, width_in, width_out, eps, activation, bias=True, norm="layer"):
        super().__init__()
        self.eps = eps
        self.activation = ACTIVATIONS[activation]
        own = dict(
            layer_norm_weight=torch.ones(width),
            layer_norm_bias=torch.zeros(width) if norm == "layer" else None,
            fc1_weight=torch.zeros(width_in, width),
            fc1_bias=torch.zeros(width_in) if bias else None,
            fc2_weight=torch.zeros(width, width_out),
            fc2_bias=torch.zeros(width) if bias else None,
        )
        for name, value in own.items():
            self.register_parameter(name, None if value is None else nn.Parameter(value))

    def forward(self, x):
        x = normed(x, self.layer_norm_weight, self.layer_norm_bias, self.eps)
        x = self.activation(F.linear(x, self.fc1_weight, self.fc1_bias))
        return F.linear(x, self.fc2_weight, self.fc2_bias)


def frequencies(theta, width):
    """Radians a position for each pair of a head."""
    return [theta ** (-2 * i / width) for i in range(width // 2)]


def angles(position_ids, per_position):
    """Cosines and sines [B, T, 1, K/2]; in f64, which long contexts need, where there is one."""
    dtype = torch.float32 if position_ids.device.type == "mps" else torch.float64
    turns = torch.tensor(per_position, dtype=dtype, device=position_ids.device)
    turns = position_ids[..., None, None].to(dtype) * turns
    return turns.cos(), turns.sin()


def rotate_halves(x, table):
    """Pairs are the two halves of a head."""
    cos, sin = (part.to(x.dtype) for part in table)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def rotate_neighbours(x, table):
    """Pairs are neighbours within a head."""
    cos, sin = (part.to(x.dtype) for part in table)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)


def attend(q, k, v, mask, dropout=0.0, scale=None):
    """q [B, T, H, K], k and v [B, S, G, K], mask [B, 1, T, S] with true where keys are seen."""
    times = q.shape[2] // k.shape[2]
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if times > 1:
        k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    return y.transpose(1, 2).flatten(2)


def split_heads(qkv, n_groups, per_group, width):
    """Rows hold, group by group, the query heads, the key and the value."""
    x = qkv.unflatten(-1, (n_groups, per_group + 2, width))
    return x[..., :per_group, :].flatten(-3, -2), x[..., per_group, :], x[..., per_group + 1, :]


def tokens_of(input_ids, inputs_embeds, table):
    """The stream before the first block, from exactly one of the two inputs."""
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("give either input_ids or inputs_embeds")
    return table(input_ids) if inputs_embeds is None else inputs_embeds


def whole_mask(attention_mask, x):
    """[B, S], 1 where there is a token; absent, all are."""
    if attention_mask is None:
        return torch.ones(x.shape[:2], dtype=torch.long, device=x.device)
    if attention_mask.dim() != 2:
        raise ValueError("attention_mask must be [rows, tokens], 1 for tokens and 0 for padding")
    return attention_mask


def positions_of(position_ids, x):
    if position_ids is None:
        position_ids = torch.arange(x.shape[1], device=x.device)[None]
    return position_ids
