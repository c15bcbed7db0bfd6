

# ESM-2 (Lin et al. 2023) on fused layers: pre-norm blocks, rotary positions, token dropout.


class TenonEsm2Config(TenonConfig):
    model_type = "nv_esm"
    KEYS = dict(
        vocab_size=33, padded_vocab_size=None, hidden_size=320, num_hidden_layers=6,
        num_attention_heads=20, intermediate_size=1280, layer_norm_eps=1e-5, rope_theta=1e4,
        token_dropout=True, emb_layer_norm_before=False, tie_word_embeddings=True,
        mask_token_id=32, pad_token_id=1, initializer_range=0.02, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )

    def __init__(self, **keys):
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)


# Masked tokens in pretraining, and how many of those were shown as the mask.
USUAL_MASKED = 0.15 * 0.8


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        rows = config.padded_vocab_size or config.vocab_size
        self.word_embeddings = nn.Embedding(rows, config.hidden_size, config.pad_token_id)
        if config.emb_layer_norm_before:
            self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids, inputs_embeds, mask):
        x = tokens_of(input_ids, inputs_embeds, self.word_embeddings)
        if self.config.token_dropout and input_ids is not None:
            hidden = input_ids == self.config.mask_token_id
            share = hidden.sum(-1).to(wide(x).dtype) / mask.sum(-1)
            x = x.masked_fill(hidden[..., None], 0.0)
            x = (x * (1 - USUAL_MASKED) / (1 - share)[:, None, None]).to(x.dtype)
        if self.config.emb_layer_norm_before:
            x = self.layer_norm(x)
        return x * mask[..., None].to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.hidden_size
        self.n_heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.layernorm_qkv = NormedLinear(d, 3 * d, config.layer_norm_eps)
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
        self.dropout = config.hidden_dropout_prob
        self.self_attention = Attention(config)
        self.layernorm_mlp = NormedMlp(d, f, f, config.layer_norm_eps, "gelu")

    def forward(self, x, table, seen):
        x = x + F.dropout(self.self_attention(x, table, seen), self.dropout, self.training)
        return x + F.dropout(self.layernorm_mlp(x), self.dropout, self.training)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.emb_layer_norm_after = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class TenonEsm2Model(TenonModel):
    config_class = TenonEsm2Config
    base_model_prefix = "model"
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        output_hidden_states=None, return_dict=None, **kwargs,
    ):
        given = input_ids if inputs_embeds is None else inputs_embeds
        mask = whole_mask(attention_mask, given)
        x = self.embeddings(input_ids, inputs_embeds, mask)
        width = self.config.hidden_size // self.config.num_attention_heads
        table = angles(positions_of(position_ids, x), frequencies(self.config.rope_theta, width))
        seen, states = keys_seen(mask), []
        for block in self.encoder.layers:
            states.append(x)
            x = block(x, table, seen)
        x = self.encoder.emb_layer_norm_after(x)
        states = (*states, x) if self.shows_states(output_hidden_states) else None
        return self.answer(modeling_outputs.BaseModelOutput(x, states), return_dict)


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        d, eps = config.hidden_size, config.layer_norm_eps
        rows = config.padded_vocab_size or config.vocab_size
        self.dense = nn.Linear(d, d)
        self.decoder = NormedLinear(d, rows, eps, weight=not config.tie_word_embeddings)

    def forward(self, x, table):
        return self.decoder(F.gelu(self.dense(x)), table)


class TenonEsm2ForMaskedLM(TenonModel):
    config_class = TenonEsm2Config
    base_model_prefix = "model"
    _no_split_modules = ["Block"]

    def __init__(self, config):
        super().__init__(config)
        self.model = TenonEsm2Model(config)
        self.lm_head = Head(config)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        done = self.model(
            input_ids, attention_mask, position_ids, inputs_embeds, output_hidden_states, True
        )
        tied = self.config.tie_word_embeddings
        table = self.model.embeddings.word_embeddings.weight if tied else None
        logits = self.lm_head(done.last_hidden_state, table)[..., : self.config.vocab_size]
        output = modeling_outputs.MaskedLMOutput(
            masked_loss(logits, labels), logits, done.hidden_states
        )
        return self.answer(output, return_dict)
