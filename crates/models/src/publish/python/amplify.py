

class GatedMlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, f, bias = config.hidden_size, config.gated_width, config.ffn_bias
        self.w12 = nn.Linear(d, 2 * f, bias=bias)
        self.w3 = nn.Linear(f, d, bias=bias)

    def forward(self, x):
        return self.w3(swiglu(self.w12(x)))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, eps = config.hidden_size, config.norm_eps
        self.n_heads = config.num_attention_heads
        self.dropout = config.dropout_prob
        self.attention_norm = RmsNorm(d, eps)
        self.q, self.k, self.v, self.wo = (
            nn.Linear(d, d, bias=config.att_bias) for _ in range(4)
        )
        self.ffn_norm = RmsNorm(d, eps)
        self.ffn = GatedMlp(config)

    def forward(self, x, table, seen):
        y, heads = self.attention_norm(x), (self.n_heads, -1)
        q, k, v = (part(y).unflatten(-1, heads) for part in (self.q, self.k, self.v))
        q, k = rotate_neighbours(q, table), rotate_neighbours(k, table)
        rate = self.dropout if self.training else 0.0
        x = x + F.dropout(self.wo(attend(q, k, v, seen, rate)), rate)
        return x + F.dropout(self.ffn(self.ffn_norm(x)), rate)


class TenonAmplifyForMaskedLM(TenonModel):
    config_class = TenonAmplifyConfig
    base_model_prefix = ""
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        d, v, eps = config.hidden_size, config.vocab_size, config.norm_eps
        self.encoder = nn.Embedding(v, d, config.pad_token_id)
        if config.layer_norm_after_embedding:
            self.layer_norm_1 = RmsNorm(d, eps)
        self.transformer_encoder = nn.ModuleList(
            Block(config) for _ in range(config.num_hidden_layers)
        )
        if config.layer_norm_before_last_layer:
            self.layer_norm_2 = RmsNorm(d, eps)
        self.decoder = nn.Linear(d, v)
        self.post_init()

    def get_input_embeddings(self):
        return self.encoder

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = tokens_of(input_ids, inputs_embeds, self.encoder)
        if self.config.layer_norm_after_embedding:
            x = self.layer_norm_1(x)
        table = rotary_table(self.config, position_ids, x)
        seen, states = keys_seen(whole_mask(attention_mask, x)), []
        for block in self.transformer_encoder:
            states.append(x)
            x = block(x, table, seen)
        if self.config.layer_norm_before_last_layer:
            x = self.layer_norm_2(x)
        logits = self.decoder(x)
        states = (*states, x) if self.shows_states(output_hidden_states) else None
        output = modeling_outputs.MaskedLMOutput(masked_loss(logits, labels), logits, states)
        return self.answer(output, return_dict)
