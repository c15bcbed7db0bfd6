

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, eps = config.hidden_size, config.layer_norm_eps
        self.n_heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.layernorm_qkv = NormedLinear(d, 3 * d, eps)
        self.proj = NormedLinear(d, d, eps)

    def forward(self, x, table, seen):
        qkv = self.layernorm_qkv(x)
        q, k, v = split_heads(qkv, self.n_heads, 1, x.shape[-1] // self.n_heads)
        q, k = rotate_halves(q, table), rotate_halves(k, table)
        return self.proj(attend(q, k, v, seen, self.dropout if self.training else 0.0))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, f, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.dropout = config.hidden_dropout_prob
        self.self_attention = Attention(config)
        self.mlp_fc1 = NormedLinear(d, f, eps)
        self.mlp_fc2 = NormedLinear(f, d, eps)

    def forward(self, x, table, seen):
        x = x + F.dropout(self.self_attention(x, table, seen), self.dropout, self.training)
        y = self.mlp_fc2(F.gelu(self.mlp_fc1(x)))
        return x + F.dropout(y, self.dropout, self.training)


class TenonEncodonForMaskedLM(CodonModel):
    config_class = TenonEncodonConfig

    def __init__(self, config):
        super().__init__(config)
        d, eps = config.hidden_size, config.layer_norm_eps
        self.theta = config.rotary_theta
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        rows = config.padded_vocab_size or config.vocab_size
        self.cls = nn.Sequential(nn.Linear(d, d), nn.GELU(), NormedLinear(d, rows, eps))
        self.post_init()

    def blocks(self):
        return self.layers

    def predicted(self, x):
        return self.cls(x)
