

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


class CodonModel(TenonModel):
    """Codons through `embeddings`, `blocks()` and `predicted(x)`, which layouts name apart."""

    base_model_prefix = "model"
    _no_split_modules = ["Block"]
    theta = 1e4

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings

    def forward(
        self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None,
        labels=None, output_hidden_states=None, return_dict=None, **kwargs,
    ):
        x = self.embeddings(input_ids, inputs_embeds)
        width = self.config.hidden_size // self.config.num_attention_heads
        table = angles(positions_of(position_ids, x), frequencies(self.theta, width))
        seen, states = keys_seen(whole_mask(attention_mask, x)), []
        for block in self.blocks():
            states.append(x)
            x = block(x, table, seen)
        logits = self.predicted(x)[..., : self.config.vocab_size]
        states = (*states, x) if self.shows_states(output_hidden_states) else None
        output = modeling_outputs.MaskedLMOutput(masked_loss(logits, labels), logits, states)
        return self.answer(output, return_dict)
