

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


class TenonEncodonForMaskedLM(CodonModel):
    config_class = TenonEncodonConfig

    def __init__(self, config):
        super().__init__(config)
        d, eps = config.hidden_size, config.layer_norm_eps
        self.theta = config.rotary_theta
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.cls = nn.Sequential(
            nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d, eps=eps),
            nn.Linear(d, config.vocab_size),
        )
        self.post_init()

    def blocks(self):
        return self.layers

    def predicted(self, x):
        return self.cls(x)
