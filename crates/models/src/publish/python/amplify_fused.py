

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, bias = config.hidden_size, config.att_bias
        self.n_heads = config.num_attention_heads
        self.dropout = config.dropout_prob
        self.layernorm_qkv = NormedLinear(d, 3 * d, config.norm_eps, bias=bias, norm="rms")
        self.proj = nn.Linear(d, d, bias=bias)

    def forward(self, x, table, seen):
        qkv = self.layernorm_qkv(x)
        q, k, v = split_heads(qkv, self.n_heads, 1, x.shape[-1] // self.n_heads)
        q, k = rotate_neighbours(q, table), rotate_neighbours(k, table)
        return self.proj(attend(q, k, v, seen, self.dropout if self.training else 0.0))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, f = config.hidden_size, config.gated_width
        self.dropout = config.dropout_prob
        self.self_attention = Attention(config)
        self.layernorm_mlp = NormedMlp(
            d, 2 * f, f, config.norm_eps, "swiglu", bias=config.ffn_bias, norm="rms"
        )

    def forward(self, x, table, seen):
        x = x + F.dropout(self.self_attention(x, table, seen), self.dropout, self.training)
        return x + F.dropout(self.layernorm_mlp(x), self.dropout, self.training)


class Stack(nn.Module):
    """Embedding and blocks; the norm after them belongs to the head."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        rows = config.padded_vocab_size or config.vocab_size
        self.encoder = nn.Embedding(rows, config.hidden_size, config.pad_token_id)
        if config.layer_norm_after_embedding:
            self.layer_norm_1 = RmsNorm(config.hidden_size, config.norm_eps)
        self.transformer_encoder = nn.ModuleList(
            Block(config) for _ in range(config.num_hidden_layers)
        )


class TenonAmplifyForMaskedLM(TenonModel):
    config_class = TenonAmplifyConfig
    base_model_prefix = ""
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        rows = config.padded_vocab_size or config.vocab_size
        norm = "rms" if config.layer_norm_before_last_layer else None
        self.amplify = Stack(config)
        self.decoder = NormedLinear(config.hidden_size, rows, config.norm_eps, norm=norm)
        self.post_init()

    def get_input_embeddings(self):
        return self.amplify.encoder

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = tokens_of(input_ids, inputs_embeds, self.amplify.encoder)
        if self.config.layer_norm_after_embedding:
            x = self.amplify.layer_norm_1(x)
        table = rotary_table(self.config, position_ids, x)
        seen, states = keys_seen(whole_mask(attention_mask, x)), []
        for block in self.amplify.transformer_encoder:
            states.append(x)
            x = block(x, table, seen)
        logits = self.decoder(x)[..., : self.config.vocab_size]
        if self.shows_states(output_hidden_states):
            weight = self.decoder.layer_norm_weight
            last = x if weight is None else normed(x, weight, None, self.config.norm_eps)
            states = (*states, last)
        else:
            states = None
        output = modeling_outputs.MaskedLMOutput(masked_loss(logits, labels), logits, states)
        return self.answer(output, return_dict)
