

# EnCodon of CodonFM (2025): pre-norm blocks over codons with a second norm inside each branch,
# rotary positions, an untied head.


class TenonEncodonConfig(TenonConfig):
    model_type = "encodon"
    KEYS = dict(
        vocab_size=69, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=3072, layer_norm_eps=1e-12, rotary_theta=1e5,
        max_position_embeddings=2048, padded_vocab_size=None, pad_token_id=3,
        initializer_range=0.02, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        tie_word_embeddings=False,
    )

    def __init__(self, **keys):
        own = self.take(keys)
        super().__init__(**keys)
        self.put(own)
