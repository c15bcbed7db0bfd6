

# EnCodon of CodonFM (2025): pre-norm blocks over codons with a second norm inside each branch,
# rotary positions, an untied head.


class TenonEncodonConfig(TenonConfig):
    model_type = "encodon"
    KEYS = dict(
        vocab_size=69, hidden_size=1024, num_hidden_layers=12, num_attention_heads=16,
        intermediate_size=4096, layer_norm_eps=1e-12, rotary_theta=1e4,
        max_position_embeddings=2048, pad_token_id=3, initializer_range=0.02,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, tie_word_embeddings=False,
    )

    def __init__(self, **keys):
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.dropout = config.hidden_dropout_prob
        self.word_embeddings = nn.Embedding(config.vocab_size, d, config.pad_token_id)
        self.post_ln = nn.LayerNorm(d, eps=config.layer_norm_eps)

    def forward(self, input_ids, inputs_embeds):
        x = self.post_ln(tokens_of(input_ids, inputs_embeds, self.word_embeddings))
        return F.dropout(x, self.dropout, self.training)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.n_heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))

    def forward(self, x, table, seen):
        parts, heads = (self.query, self.key, self.value), (self.n_heads, -1)
        q, k, v = (part(x).unflatten(-1, heads) for part in parts)
        q, k = rotate_halves(q, table), rotate_halves(k, table)
        return attend(q, k, v, seen, self.dropout if self.training else 0.0)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, f, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.dropout = config.hidden_dropout_prob
        self.pre_attn_layer_norm = nn.LayerNorm(d, eps=eps)
        self.attention = Attention(config)
        self.post_attn_layer_norm = nn.LayerNorm(d, eps=eps)
        self.post_attn_dense = nn.Linear(d, d)
        self.pre_ffn_layer_norm = nn.LayerNorm(d, eps=eps)
        self.intermediate_dense = nn.Linear(d, f)
        self.post_ffn_layer_norm = nn.LayerNorm(f, eps=eps)
        self.output_dense = nn.Linear(f, d)

    def forward(self, x, table, seen):
        y = self.attention(self.pre_attn_layer_norm(x), table, seen)
        y = self.post_attn_dense(self.post_attn_layer_norm(y))
        x = x + F.dropout(y, self.dropout, self.training)
        y = F.gelu(self.intermediate_dense(self.pre_ffn_layer_norm(x)))
        y = self.output_dense(self.post_ffn_layer_norm(y))
        return x + F.dropout(y, self.dropout, self.training)


class TenonEncodonForMaskedLM(TenonModel):
    config_class = TenonEncodonConfig
    base_model_prefix = "model"
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        d, v = config.hidden_size, config.vocab_size
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.cls = nn.Sequential(
            nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d, eps=config.layer_norm_eps),
            nn.Linear(d, v),
        )
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = self.embeddings(input_ids, inputs_embeds)
        width = self.config.hidden_size // self.config.num_attention_heads
        table = angles(positions_of(position_ids, x), frequencies(self.config.rotary_theta, width))
        seen, states = keys_seen(whole_mask(attention_mask, x)), []
        for block in self.layers:
            states.append(x)
            x = block(x, table, seen)
        logits = self.cls(x)
        states = (*states, x) if self.shows_states(output_hidden_states) else None
        output = modeling_outputs.MaskedLMOutput(masked_loss(logits, labels), logits, states)
        return self.answer(output, return_dict)
