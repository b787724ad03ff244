"""Taggers and what belongs to them, on random sentences."""

import numpy as np

from fastrnn.metrics import entity_f1, entity_report

N_SENTENCES, N_TOKENS = 2000, 47_000


def random_tags(rng, lengths):
    """Return tags of sentences: a tenth of the tokens begin an entity, half of the others in one go on."""
    starts = rng.random(lengths.sum()) < 0.1
    kinds = rng.integers(0, 4, len(starts)).tolist()
    tags, inside = [], None
    for start, kind, goes_on in zip(starts.tolist(), kinds, rng.random(len(starts)) < 0.5, strict=True):
        inside = kind if start else inside if goes_on else None
        tags.append("O" if inside is None else f"{'B' if start else 'I'}-{inside}")
    return [tags[end - length : end] for length, end in zip(lengths, np.cumsum(lengths), strict=True)]


class EntityF1:
    """Metrics of 47,000 tokens."""

    def setup(self):
        rng = np.random.default_rng(0)
        lengths = rng.multinomial(N_TOKENS, np.full(N_SENTENCES, 1 / N_SENTENCES))
        self.y_true, self.y_pred = random_tags(rng, lengths), random_tags(rng, lengths)

    def time_entity_f1(self):
        entity_f1(self.y_true, self.y_pred)

    def time_entity_report(self):
        entity_report(self.y_true, self.y_pred)
