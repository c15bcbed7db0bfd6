

import math


# Decoders in the manner of Llama on fused layers: RMS norms, rotary positions, grouped queries,
# SwiGLU, and in place of one feed-forward layer a choice of experts.


class TenonDecoderConfig(TenonConfig):
    model_type = "tenon_decoder"
    KEYS = dict(
        vocab_size=32000, hidden_size=4096, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=32, head_dim=128, intermediate_size=11008, rms_norm_eps=1e-6,
        rope_parameters=dict(rope_type="default", rope_theta=1e4), rope_theta=None,
        max_position_embeddings=2048, tie_word_embeddings=False, initializer_range=0.02,
        attention_dropout=0.0, use_cache=True, bos_token_id=None, eos_token_id=None,
        pad_token_id=None,
    )
    # Keys that not all families have.
    attention_bias, mlp_bias = False, False
    sliding_window, use_sliding_window, max_window_layers = None, True, 0
    num_local_experts, num_experts_per_tok = 0, 0
    router_aux_loss_coef, output_router_logits = 0.0, False

    def __init__(self, **keys):
        # What it says stands in `rope_parameters`, too.
        keys.pop("rope_scaling", None)
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)

    @property
    def layer_types(self):
        """What caches of generation ask: which layers keep the last keys alone."""
        windows = map(self.window_of, range(self.num_hidden_layers))
        return ["full_attention" if w is None else "sliding_attention" for w in windows]

    def window_of(self, layer):
        """How many tokens a layer sees, the token itself included; None where it sees all."""
        windowed = self.use_sliding_window and layer >= self.max_window_layers
        return self.sliding_window if windowed else None


def scaled_frequencies(config, position_ids):
    """The frequencies for longer contexts than those of pretraining."""
    rope, width = config.rope_parameters, config.head_dim
    plain = frequencies(rope["rope_theta"], width)
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return plain
    factor = rope["factor"]
    if kind == "linear":
        return [turn / factor for turn in plain]
    if kind == "dynamic":
        longer = max((int(position_ids.max()) + 1) / config.max_position_embeddings, 1.0)
        grown = (factor * longer - (factor - 1)) ** (width / max(width - 2, 1))
        return frequencies(rope["rope_theta"] * grown, width)
    if kind == "yarn":
        return mixed_by_place(plain, rope, width)
    if kind != "llama3":
        raise ValueError("rope_type " + kind + " is none of default, linear, dynamic, llama3, yarn")
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]

    def mixed(turn):
        turns = rope["original_max_position_embeddings"] * turn / (2 * math.pi)
        kept = min(max((turns - low) / (high - low), 0.0), 1.0)
        return (1 - kept) * turn / factor + kept * turn

    return [mixed(turn) for turn in plain]


def mixed_by_place(plain, rope, width):
    """YaRN: pairs with many turns in the original context are kept, those with few stretched."""
    length = rope["original_max_position_embeddings"]

    def pair_of(turns):
        return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(rope["rope_theta"]))

    low, high = pair_of(rope["beta_fast"]), pair_of(rope["beta_slow"])
    if rope["truncate"]:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    high += 0.001 * (low == high)
    stretched = [min(max((i - low) / (high - low), 0.0), 1.0) for i in range(len(plain))]
    return [t / rope["factor"] * s + t * (1 - s) for t, s in zip(plain, stretched)]


def rotated_scale(rope):
    """What rotated queries and keys are multiplied by."""
    if rope.get("rope_type") != "yarn":
        return 1.0
    default = 0.1 * math.log(max(rope["factor"], 1.0)) + 1.0
    return rope.get("attention_factor", default)


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        d, width, eps = config.hidden_size, config.head_dim, config.rms_norm_eps
        self.layer, self.width = layer, width
        self.window, self.dropout = config.window_of(layer), config.attention_dropout
        self.n_groups = config.num_key_value_heads
        self.per_group = config.num_attention_heads // self.n_groups
        n_out = (config.num_attention_heads + 2 * self.n_groups) * width
        qwen2, qwen3 = config.model_type == "qwen2", config.model_type == "qwen3"
        self.layernorm_qkv = NormedLinear(
            d, n_out, eps, bias=config.attention_bias or qwen2, norm="rms"
        )
        heads = config.num_attention_heads * width
        self.proj = nn.Linear(heads, d, bias=config.attention_bias)
        self.q_norm = RmsNorm(width, eps) if qwen3 else nn.Identity()
        self.k_norm = RmsNorm(width, eps) if qwen3 else nn.Identity()

    def forward(self, x, table, attention_mask, cache):
        q, k, v = split_heads(self.layernorm_qkv(x), self.n_groups, self.per_group, self.width)
        q, k = rotate_halves(self.q_norm(q), table), rotate_halves(self.k_norm(k), table)
        if cache is not None:
            k, v = cache.update(k.transpose(1, 2), v.transpose(1, 2), self.layer)
            k, v = k.transpose(1, 2), v.transpose(1, 2)
        seen = keys_seen(attention_mask, x.shape[1], k.shape[1], self.window)
        return self.proj(attend(q, k, v, seen, self.dropout if self.training else 0.0))


class Experts(nn.Module):
    def __init__(self, config):
        super().__init__()
        n, d, f = config.num_local_experts, config.hidden_size, config.intermediate_size
        self.gate_up_proj = nn.Parameter(torch.zeros(n, 2 * f, d))
        self.down_proj = nn.Parameter(torch.zeros(n, d, f))


class Mixture(nn.Module):
    """Each token goes through its best experts, in shares of the softmax over all of them."""

    def __init__(self, config):
        super().__init__()
        self.n_chosen = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = Experts(config)

    def forward(self, x):
        flat = x.flatten(0, 1)
        scores = self.gate(flat)
        share, chosen = wide(scores).softmax(-1).topk(self.n_chosen, -1)
        share = (share / share.sum(-1, keepdim=True)).to(x.dtype)
        total = torch.zeros_like(flat)
        for i, (into, back) in enumerate(zip(self.experts.gate_up_proj, self.experts.down_proj)):
            token, place = (chosen == i).nonzero(as_tuple=True)
            y = F.linear(swiglu(F.linear(flat[token], into)), back)
            total = total.index_add(0, token, y * share[token, place, None])
        return total.view_as(x), scores


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        d, f, eps = config.hidden_size, config.intermediate_size, config.rms_norm_eps
        self.self_attention = Attention(config, layer)
        self.mixes = config.num_local_experts > 0
        if self.mixes:
            self.post_attention_layernorm = RmsNorm(d, eps)
            self.mlp = Mixture(config)
        else:
            self.layernorm_mlp = NormedMlp(
                d, 2 * f, f, eps, "swiglu", bias=config.mlp_bias, norm="rms"
            )

    def forward(self, x, table, attention_mask, cache):
        x = x + self.self_attention(x, table, attention_mask, cache)
        if not self.mixes:
            return x + self.layernorm_mlp(x), None
        y, scores = self.mlp(self.post_attention_layernorm(x))
        return x + y, scores


class TenonDecoderModel(TenonModel):
    config_class = TenonDecoderConfig
    base_model_prefix = "model"
    _no_split_modules = ["Block"]
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def get_input_embeddings(self):
        return self.embed_tokens

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
        inputs_embeds=None, use_cache=None, output_hidden_states=None,
        output_router_logits=None, return_dict=None, **kwargs,
    ):
        x = tokens_of(input_ids, inputs_embeds, self.embed_tokens)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        mask, position_ids = after_past(x, attention_mask, position_ids, past_key_values)
        scale = rotated_scale(self.config.rope_parameters)
        table = angles(position_ids, scaled_frequencies(self.config, position_ids))
        table = tuple(part * scale for part in table)
        states, router_logits = [], []
        for block in self.layers:
            states.append(x)
            x, scores = block(x, table, mask, past_key_values)
            router_logits.append(scores)
        x = self.norm(x)
        output = modeling_outputs.MoeModelOutputWithPast(
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=(*states, x) if self.shows_states(output_hidden_states) else None,
            router_logits=tuple(router_logits) if output_router_logits else None,
        )
        return self.answer(output, return_dict)


def balance_loss(router_logits, n_chosen, attention_mask):
    """The number of experts times the sum over them of the share of choices and the mean
    probability (Fedus et al. 2022), over the tokens of all layers together."""
    scores = torch.cat(router_logits)
    probability = wide(scores).softmax(-1)
    chosen = F.one_hot(probability.topk(n_chosen, -1).indices, scores.shape[-1]).sum(1)
    counted = torch.ones_like(probability[:, :1])
    if attention_mask is not None:
        counted = attention_mask.reshape(-1, 1).repeat(len(router_logits), 1).to(counted)
    share = (chosen * counted).sum(0) / counted.sum()
    return scores.shape[-1] * (share * (probability * counted).sum(0) / counted.sum()).sum()


class TenonDecoderForCausalLM(TenonModel, GenerationMixin):
    config_class = TenonDecoderConfig
    base_model_prefix = "model"
    _no_split_modules = ["Block"]
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config):
        super().__init__(config)
        self.model = TenonDecoderModel(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
        inputs_embeds=None, labels=None, use_cache=None, output_hidden_states=None,
        output_router_logits=None, return_dict=None, logits_to_keep=0, **kwargs,
    ):
        config = self.config
        if output_router_logits is None:
            output_router_logits = config.output_router_logits
        output_router_logits = output_router_logits and config.num_local_experts > 0
        done = self.model(
            input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, use_cache,
            output_hidden_states, output_router_logits, True,
        )
        tied = config.tie_word_embeddings
        table = self.model.embed_tokens.weight if tied else self.lm_head.weight
        logits = F.linear(done.last_hidden_state[:, -logits_to_keep:], table)
        loss, balance = next_token_loss(logits, labels), None
        if output_router_logits:
            n_tokens = done.last_hidden_state.shape[1]
            counted = None if attention_mask is None else attention_mask[:, -n_tokens:]
            balance = balance_loss(done.router_logits, config.num_experts_per_tok, counted)
            loss = None if loss is None else loss + config.router_aux_loss_coef * balance
        output = modeling_outputs.MoeCausalLMOutputWithPast(
            loss=loss, aux_loss=balance, logits=logits, past_key_values=done.past_key_values,
            hidden_states=done.hidden_states, router_logits=done.router_logits,
        )
        return self.answer(output, return_dict)
