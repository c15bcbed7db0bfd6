

# AMPLIFY (Fournier et al. 2024): pre-norm blocks with RMS norms, rotary positions of neighbouring
# pairs, SwiGLU, an untied head.


class TenonAmplifyConfig(TenonConfig):
    model_type = "AMPLIFY"
    KEYS = dict(
        vocab_size=27, padded_vocab_size=None, hidden_size=960, num_hidden_layers=32,
        num_attention_heads=15, intermediate_size=3840, norm_eps=1e-5, att_bias=False,
        ffn_bias=False, layer_norm_after_embedding=False, layer_norm_before_last_layer=True,
        max_length=2048, pad_token_id=0, embedding_init_range=0.02, dropout_prob=0.0,
        tie_word_embeddings=False,
    )

    def __init__(self, **keys):
        own = self.take(keys)
        # An attribute of that name would be taken for one of text generation.
        own["context_length"] = own.pop("max_length")
        super().__init__(**keys)
        self.put(own)

    def to_dict(self):
        keys = super().to_dict()
        keys["max_length"] = keys.pop("context_length", self.context_length)
        return keys

    @property
    def gated_width(self):
        """Two thirds of the configured width, in whole eights."""
        return (2 * self.intermediate_size // 3 + 7) // 8 * 8

    @property
    def initializer_range(self):
        return self.embedding_init_range


def rotary_table(config, position_ids, x):
    width = config.hidden_size // config.num_attention_heads
    return angles(positions_of(position_ids, x), frequencies(1e4, width))
