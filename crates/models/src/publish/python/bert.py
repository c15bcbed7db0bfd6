

# BERT (Devlin et al. 2019) and Geneformer (Theodoris et al. 2023) on fused layers: post-norm
# blocks, learned positions, token types.


class TenonBertConfig(TenonConfig):
    model_type = "bert"
    KEYS = dict(
        vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=3072, hidden_act="gelu", layer_norm_eps=1e-12,
        max_position_embeddings=512, type_vocab_size=2, tie_word_embeddings=True,
        pad_token_id=0, initializer_range=0.02, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
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
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, d)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, d)
        self.LayerNorm = nn.LayerNorm(d, eps=config.layer_norm_eps)

    def forward(self, input_ids, inputs_embeds, position_ids, token_type_ids):
        x = tokens_of(input_ids, inputs_embeds, self.word_embeddings)
        if token_type_ids is None:
            token_type_ids = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
        x = x + self.token_type_embeddings(token_type_ids)
        x = x + self.position_embeddings(positions_of(position_ids, x))
        return F.dropout(self.LayerNorm(x), self.dropout, self.training)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.n_heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)

    def forward(self, x, seen):
        q, k, v = split_heads(self.qkv(x), self.n_heads, 1, x.shape[-1] // self.n_heads)
        return self.proj(attend(q, k, v, seen, self.dropout if self.training else 0.0))


class Mlp(nn.Module):
    """A feed-forward layer with the norm of the sum behind it."""

    def __init__(self, config):
        super().__init__()
        d, f = config.hidden_size, config.intermediate_size
        self.dropout = config.hidden_dropout_prob
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = nn.Linear(d, f)
        self.fc2 = nn.Linear(f, d)
        self.layer_norm = nn.LayerNorm(d, eps=config.layer_norm_eps)

    def forward(self, x):
        y = self.fc2(self.activation(self.fc1(x)))
        return self.layer_norm(x + F.dropout(y, self.dropout, self.training))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dropout = config.hidden_dropout_prob
        self.self_attention = Attention(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layernorm_mlp = Mlp(config)

    def forward(self, x, seen):
        y = F.dropout(self.self_attention(x, seen), self.dropout, self.training)
        return self.layernorm_mlp(self.layernorm(x + y))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))


class TenonBertModel(TenonModel):
    config_class = TenonBertConfig
    base_model_prefix = "bert"
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def forward(
        self, input_ids=None, attention_mask=None, token_type_ids=None, position_ids=None,
        inputs_embeds=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = self.embeddings(input_ids, inputs_embeds, position_ids, token_type_ids)
        seen, states = keys_seen(whole_mask(attention_mask, x)), []
        for block in self.encoder.layer:
            states.append(x)
            x = block(x, seen)
        states = (*states, x) if self.shows_states(output_hidden_states) else None
        return self.answer(modeling_outputs.BaseModelOutput(x, states), return_dict)


class Transform(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.activation = ACTIVATIONS[config.hidden_act]
        self.dense = nn.Linear(d, d)
        self.LayerNorm = nn.LayerNorm(d, eps=config.layer_norm_eps)

    def forward(self, x):
        return self.LayerNorm(self.activation(self.dense(x)))


class Predictions(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        if not config.tie_word_embeddings:
            self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, x, table):
        weight = self.decoder.weight if table is None else table
        return F.linear(self.transform(x), weight, self.bias)


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.predictions = Predictions(config)


class TenonBertForMaskedLM(TenonModel):
    config_class = TenonBertConfig
    base_model_prefix = "bert"
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        self.bert = TenonBertModel(config)
        self.cls = Head(config)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, token_type_ids=None, position_ids=None,
        inputs_embeds=None, labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        done = self.bert(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds,
            output_hidden_states, True,
        )
        tied = self.config.tie_word_embeddings
        table = self.bert.embeddings.word_embeddings.weight if tied else None
        logits = self.cls.predictions(done.last_hidden_state, table)
        output = modeling_outputs.MaskedLMOutput(
            masked_loss(logits, labels), logits, done.hidden_states
        )
        return self.answer(output, return_dict)
