

# GPT-2 (Radford et al. 2019) on fused layers: pre-norm blocks, learned positions, matrices
# [out, in].


class TenonGpt2Config(TenonConfig):
    model_type = "gpt2"
    KEYS = dict(
        vocab_size=50257, padded_vocab_size=None, n_positions=1024, n_embd=768, n_layer=12,
        n_head=12, n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5,
        tie_word_embeddings=True, initializer_range=0.02, embd_pdrop=0.0, attn_pdrop=0.0,
        resid_pdrop=0.0, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False,
        use_cache=True, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )
    attribute_map = dict(
        hidden_size="n_embd", num_hidden_layers="n_layer", num_attention_heads="n_head",
        max_position_embeddings="n_positions",
    )

    def __init__(self, **keys):
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)

    @property
    def rows(self):
        return self.padded_vocab_size or self.vocab_size


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        d = config.n_embd
        self.layer, self.n_heads, self.dropout = layer, config.n_head, config.attn_pdrop
        self.scale = (d // config.n_head) ** -0.5 if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1
        self.layernorm_qkv = NormedLinear(d, 3 * d, config.layer_norm_epsilon)
        self.proj = nn.Linear(d, d)

    def forward(self, x, attention_mask, cache):
        qkv = self.layernorm_qkv(x)
        q, k, v = split_heads(qkv, self.n_heads, 1, x.shape[-1] // self.n_heads)
        if cache is not None:
            k, v = cache.update(k.transpose(1, 2), v.transpose(1, 2), self.layer)
            k, v = k.transpose(1, 2), v.transpose(1, 2)
        seen = keys_seen(attention_mask, x.shape[1], k.shape[1], None)
        dropout = self.dropout if self.training else 0.0
        return self.proj(attend(q, k, v, seen, dropout, self.scale))


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        d, f = config.n_embd, config.n_inner or 4 * config.n_embd
        self.dropout = config.resid_pdrop
        self.self_attention = Attention(config, layer)
        self.layernorm_mlp = NormedMlp(
            d, f, f, config.layer_norm_epsilon, config.activation_function
        )

    def forward(self, x, attention_mask, cache):
        y = self.self_attention(x, attention_mask, cache)
        x = x + F.dropout(y, self.dropout, self.training)
        return x + F.dropout(self.layernorm_mlp(x), self.dropout, self.training)


class TenonGpt2Model(TenonModel):
    config_class = TenonGpt2Config
    base_model_prefix = "transformer"
    _no_split_modules = ["Block"]
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.rows, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.h = nn.ModuleList(Block(config, i) for i in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self):
        return self.wte

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
        inputs_embeds=None, use_cache=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = tokens_of(input_ids, inputs_embeds, self.wte)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache()
        mask, position_ids = after_past(x, attention_mask, position_ids, past_key_values)
        x = F.dropout(x + self.wpe(position_ids), self.config.embd_pdrop, self.training)
        states = []
        for block in self.h:
            states.append(x)
            x = block(x, mask, past_key_values)
        x = self.ln_f(x)
        output = modeling_outputs.BaseModelOutputWithPast(
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=(*states, x) if self.shows_states(output_hidden_states) else None,
        )
        return self.answer(output, return_dict)


class TenonGpt2ForCausalLM(TenonModel, GenerationMixin):
    config_class = TenonGpt2Config
    base_model_prefix = "transformer"
    _no_split_modules = ["Block"]
    _skip_keys_device_placement = ["past_key_values"]

    def __init__(self, config):
        super().__init__(config)
        self.transformer = TenonGpt2Model(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.n_embd, config.rows, bias=False)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
        inputs_embeds=None, labels=None, use_cache=None, output_hidden_states=None,
        return_dict=None, logits_to_keep=0, **kwargs,
    ):
        done = self.transformer(
            input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, use_cache,
            output_hidden_states, True,
        )
        tied = self.config.tie_word_embeddings
        table = self.transformer.wte.weight if tied else self.lm_head.weight
        logits = F.linear(done.last_hidden_state[:, -logits_to_keep:], table)
        logits = logits[..., : self.config.vocab_size]
        output = modeling_outputs.CausalLMOutputWithPast(
            loss=next_token_loss(logits, labels), logits=logits,
            past_key_values=done.past_key_values, hidden_states=done.hidden_states,
        )
        return self.answer(output, return_dict)
