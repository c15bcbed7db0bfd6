

# EnCodon of CodonFM (2025) in plain pre-norm blocks on fused layers. GELU is the tanh form within
# blocks, which is what Transformer Engine computes, and the exact one in the head.


class TenonCodonfmConfig(TenonConfig):
    model_type = "codonfm"
    KEYS = dict(
        vocab_size=69, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=3072, hidden_act="gelu", layer_norm_eps=1e-12, pad_token_id=3,
        mask_token_id=4, max_position_embeddings=2048, initializer_range=0.02,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, tie_word_embeddings=False,
    )

    def __init__(self, **keys):
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, eps = config.hidden_size, config.layer_norm_eps
        self.n_heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.layernorm_qkv = NormedLinear(d, 3 * d, eps)
        self.proj = nn.Linear(d, d)

    def forward(self, x, table, seen):
        qkv = self.layernorm_qkv(x)
        q, k, v = split_heads(qkv, self.n_heads, 1, x.shape[-1] // self.n_heads)
        q, k = rotate_halves(q, table), rotate_halves(k, table)
        return self.proj(attend(q, k, v, seen, self.dropout if self.training else 0.0))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, f = config.hidden_size, config.intermediate_size
        activation = "gelu_new" if config.hidden_act == "gelu" else config.hidden_act
        self.dropout = config.hidden_dropout_prob
        self.self_attention = Attention(config)
        self.layernorm_mlp = NormedMlp(d, f, f, config.layer_norm_eps, activation)

    def forward(self, x, table, seen):
        x = x + F.dropout(self.self_attention(x, table, seen), self.dropout, self.training)
        return x + F.dropout(self.layernorm_mlp(x), self.dropout, self.training)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.activation = ACTIVATIONS[config.hidden_act]
        self.dense = nn.Linear(d, d)
        self.layer_norm_linear = NormedLinear(d, config.vocab_size, config.layer_norm_eps)

    def forward(self, x):
        return self.layer_norm_linear(self.activation(self.dense(x)))


class TenonCodonfmForMaskedLM(CodonModel):
    config_class = TenonCodonfmConfig

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.lm_head = Head(config)
        self.post_init()

    def blocks(self):
        return self.encoder.layers

    def predicted(self, x):
        return self.lm_head(x)
