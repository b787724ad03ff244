"""N-gram models in plain dictionaries, written from the definitions: slow, exact, float64."""

import collections
import math

UNK, START, END = "<unk>", "<s>", "</s>"


class ReferenceNGrams:
    """What all methods need: the counts of n-grams (tuples of str), one `Counter` an order.

    `words` are the words of the vocabulary in the order of their ids, without the special ones.
    """

    def __init__(self, sentences, words, order):
        self.order = order
        self.known = set(words) | {UNK, START, END}
        self.ids = {word: number for number, word in enumerate([UNK, START, END, *words])}
        self.predictable = [UNK, END, *words]
        self.raw = [collections.Counter() for _ in range(order + 1)]
        for sentence in sentences:
            padded = [START, *map(self.normal, sentence), END]
            for k in range(1, order + 1):
                for end in range(k, len(padded) + 1):
                    self.raw[k][tuple(padded[end - k : end])] += 1

    def normal(self, word):
        return word if word in self.known else UNK

    def history(self, tokens):
        return tuple([START, *map(self.normal, tokens)][max(0, len(tokens) + 2 - self.order) :])

    def log_probs(self, sentence):
        """Return the natural log probability of each token and of </s>."""
        tokens = [*sentence, END]
        values = [self.probability(self.normal(t), self.history(tokens[:i])) for i, t in enumerate(tokens)]
        return [math.log(value) if value > 0 else -math.inf for value in values]


class ReferenceKneserNey(ReferenceNGrams):
    """Interpolated modified Kneser-Ney as lmplz computes it."""

    def __init__(self, sentences, words, order):
        super().__init__(sentences, words, order)
        self.adjusted = [None, *(self.adjust(k) for k in range(1, order + 1))]
        self.discounts = [None, *(self.estimate_discounts(k) for k in range(1, order + 1))]

    def adjust(self, k):
        if k == self.order:
            adjusted = dict(self.raw[k])
        else:
            adjusted = {}
            for ngram, count in self.raw[k].items():
                lefts = {longer[0] for longer in self.raw[k + 1] if longer[1:] == ngram}
                adjusted[ngram] = count if ngram[0] == START else len(lefts)
        if k == 1:
            adjusted[(START,)] = 0
        return adjusted

    def estimate_discounts(self, k):
        counts = dict(self.adjusted[k])
        if k < self.order and counts:
            last = max(counts, key=lambda ngram: [self.ids[word] for word in reversed(ngram)])
            counts[last] = self.raw[k][last]
        n = collections.Counter(counts.values())
        if 0 in (n[1], n[2], n[3]):
            return [0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        discounts = [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
        in_range = all(0 <= discount <= j for j, discount in enumerate(discounts, start=1))
        return discounts if in_range else [0.5, 1.0, 1.5]

    def probability(self, word, history):
        k = len(history) + 1
        followers = {ngram[-1]: c for ngram, c in self.adjusted[k].items() if ngram[:-1] == history and c > 0}
        lower = self.probability(word, history[1:]) if history else 1 / len(self.predictable)
        if not followers:
            return lower
        discounts = self.discounts[k]
        removed = {follower: discounts[min(count, 3) - 1] for follower, count in followers.items()}
        total = sum(followers.values())
        kept = followers.get(word, 0) - removed.get(word, 0)
        return kept / total + sum(removed.values()) / total * lower


class ReferenceAdditive(ReferenceNGrams):
    """Relative frequencies after adding `k` to every count; with k = 0 and an unseen context nothing is probable."""

    def __init__(self, sentences, words, order, k):
        super().__init__([], words, order)
        self.k = k
        self.followers = collections.defaultdict(collections.Counter)
        for sentence in sentences:
            tokens = [*map(self.normal, sentence), END]
            for i, token in enumerate(tokens):
                self.followers[self.history(tokens[:i])][token] += 1

    def probability(self, word, history):
        followers = self.followers.get(history, collections.Counter())
        total = followers.total() + self.k * len(self.predictable)
        return (followers[word] + self.k) / total if total else 0.0
