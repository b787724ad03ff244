"""N-gram models in plain dictionaries, written from the definitions: slow, exact, float64."""

import collections
import functools
import math

UNK, START, END = "<unk>", "<s>", "</s>"


def remembered(method):
    """Keep what a method returned in its object."""

    @functools.wraps(method)
    def wrapper(self, *args):
        key = (method.__qualname__, *args)
        if key not in self.memory:
            self.memory[key] = method(self, *args)
        return self.memory[key]

    return wrapper


class ReferenceNGrams:
    """What all methods need: the counts of n-grams (tuples of str), one `Counter` an order.

    `words` are the words of the vocabulary in the order of their ids, without the special ones.
    """

    def __init__(self, sentences, words, order):
        self.order = order
        self.memory = {}
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


class ReferenceInterpolated(ReferenceNGrams):
    """What methods share that interpolate with the next lower order; `prune` and `vocab_pad` as lmplz has them."""

    def __init__(self, sentences, words, order, prune=(0,), vocab_pad=0):
        super().__init__(sentences, words, order)
        self.prune = prune
        self.n_predictable = max(vocab_pad, len(self.predictable))
        self.counts = [None, *(self.counts_of(k) for k in range(1, order + 1))]

    def counts_of(self, k):
        counts = dict(self.raw[k])
        counts.pop((START,), None)
        return counts

    def discount(self, k, count):
        return 0

    def extra(self, k, followers):
        return 0

    def frequencies(self, word, history):
        """Return ((order, bucket), relative frequency) for all contexts that were seen, the longest one first."""
        found = []
        for k in range(len(history) + 1, 0, -1):
            context = history[len(history) + 1 - k :]
            total = sum(self.by_context(k).get(context, {}).values())
            if total:
                found.append(((k, bucket(total)), self.counts[k].get((*context, word), 0) / total))
        return found

    @remembered
    def by_context(self, k):
        """Return the words that follow each context of k - 1 words, with their counts."""
        followers = collections.defaultdict(dict)
        for ngram, count in self.counts[k].items():
            if count > 0:
                followers[ngram[:-1]][ngram[-1]] = count
        return followers

    def is_kept(self, ngram):
        k = len(ngram)
        return k == 1 or self.raw[k][ngram] > self.prune[min(k, len(self.prune)) - 1]

    @remembered
    def probability(self, word, history):
        k = len(history) + 1
        followers = self.by_context(k).get(history, {})
        lower = self.probability(word, history[1:]) if history else 1 / self.n_predictable
        if not followers or (history and not self.is_kept(history)):
            return lower
        extra = self.extra(k, followers)
        total = sum(followers.values()) + extra
        removed = {f: self.discount(k, c) if self.is_kept((*history, f)) else c for f, c in followers.items()}
        kept = followers.get(word, 0) - removed.get(word, 0)
        return kept / total + (sum(removed.values()) + extra) / total * lower


class ReferenceKneserNey(ReferenceInterpolated):
    """Interpolated modified Kneser-Ney as lmplz computes it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.discounts = [None, *(self.estimate_discounts(k) for k in range(1, self.order + 1))]

    def counts_of(self, k):
        if k == self.order:
            adjusted = dict(self.raw[k])
        else:
            adjusted = {}
            lefts = collections.Counter(longer[1:] for longer in self.raw[k + 1])
            for ngram, count in self.raw[k].items():
                adjusted[ngram] = count if ngram[0] == START else lefts[ngram]
        if k == 1:
            adjusted[(START,)] = 0
        return adjusted

    def estimate_discounts(self, k):
        counts = dict(self.counts[k])
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

    def discount(self, k, count):
        return self.discounts[k][min(count, 3) - 1]


class ReferenceOneDiscount(ReferenceKneserNey):
    """Interpolated Kneser-Ney with one discount an order."""

    def estimate_discounts(self, k):
        n = collections.Counter(self.counts[k].values())
        return [n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.75] * 3


class ReferenceAbsolute(ReferenceOneDiscount):
    """Interpolated absolute discounting."""

    counts_of = ReferenceInterpolated.counts_of


class ReferenceWittenBell(ReferenceInterpolated):
    """Interpolated Witten-Bell."""

    def extra(self, k, followers):
        return len(followers)


class ReferenceJelinekMercer(ReferenceInterpolated):
    """Relative frequencies mixed with weights by expectation-maximization on every tenth sentence."""

    def __init__(self, sentences, words, order, **kwargs):
        super().__init__(sentences, words, order, **kwargs)
        held = [s for i, s in enumerate(sentences) if i % 10 == 9] or sentences[-1:]
        rest = [s for i, s in enumerate(sentences) if i % 10 != 9]
        if len(sentences) < 10:
            rest = sentences[:-1] or sentences
        part = ReferenceInterpolated(rest, words, order, **kwargs)
        places = [
            part.frequencies(part.normal(token), part.history(tokens[:i]))
            for tokens in ([*sentence, END] for sentence in held)
            for i, token in enumerate(tokens)
        ]
        self.weights = collections.defaultdict(lambda: 0.5)
        for _ in range(100):
            used, refused = collections.Counter(), collections.Counter()
            for place in places:
                self.expect(place, used, refused)
            change = 0
            for key in used | refused:
                new = (1 + used[key]) / (2 + used[key] + refused[key])
                change = max(change, abs(new - self.weights[key]))
                self.weights[key] = new
            if change < 1e-4:
                break

    def expect(self, place, used, refused):
        parts, rest = [], 1.0
        for key, frequency in place:  # from the longest context down
            parts.append((key, rest * self.weights[key] * frequency))
            rest *= 1 - self.weights[key]
        parts.append((None, rest / self.n_predictable))
        total = sum(part for _, part in parts)
        for i, (key, part) in enumerate(parts[:-1]):
            used[key] += part / total
            refused[key] += sum(part for _, part in parts[i + 1 :]) / total

    def extra(self, k, followers):
        total = sum(followers.values())
        weight = self.weights[k, bucket(total)]
        return total * (1 - weight) / weight


def bucket(total):
    return min(15, int(math.log2(total)))


class ReferenceKatz(ReferenceInterpolated):
    """Good-Turing discounts for counts up to 5, backing off to shorter contexts."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.factors = [None, *(self.good_turing(k) for k in range(1, self.order + 1))]

    def good_turing(self, k):
        n = collections.Counter(self.counts[k].values())
        factors = []
        for r in range(1, 6):
            if not n[1] or not n[r] or n[1] == 6 * n[6]:
                factors.append(0)
            else:
                reestimated = (r + 1) * n[r + 1] / n[r]
                factors.append((reestimated / r - 6 * n[6] / n[1]) / (1 - 6 * n[6] / n[1]))
        if not all(0 < factor <= 1 for factor in factors):
            factors = [1 - 0.5 / r for r in range(1, 6)]
        return factors

    @remembered
    def probability(self, word, history):
        k = len(history) + 1
        counts = self.by_context(k).get(history, {})
        if history and not (counts and self.is_kept(history)):
            return self.probability(word, history[1:])
        total = sum(counts.values())
        seen = {
            w: c * (self.factors[k][c - 1] if c <= 5 else 1) for w, c in counts.items() if self.is_kept((*history, w))
        }
        others = [w for w in self.predictable if w not in seen]
        if history:
            lower = {w: self.probability(w, history[1:]) for w in others}
        else:
            n_others = len(others) + self.n_predictable - len(self.predictable)
            lower = dict.fromkeys(others, 1 / n_others if n_others else 0)
        if not others and self.n_predictable == len(self.predictable):
            total = sum(seen.values())
        elif sum(seen.values()) == total:
            total += 1
        if word in seen:
            return seen[word] / total
        rest = sum(lower.values())
        if self.n_predictable > len(self.predictable):
            rest = 1 - sum(self.probability(w, history[1:]) for w in seen) if history else 1
        return (1 - sum(seen.values()) / total) * lower[word] / rest


class ReferenceStupidBackoff(ReferenceNGrams):
    """Relative frequencies, with a fixed factor for backing off from a context that was seen."""

    def probability(self, word, history):
        if not history:
            n_tokens = sum(c for ngram, c in self.raw[1].items() if ngram != (START,))
            return 0 if word == START else self.raw[1][word,] / n_tokens
        k = len(history) + 1
        if self.raw[k][(*history, word)]:
            return self.raw[k][(*history, word)] / self.raw[k - 1][history]
        return (0.4 if self.raw[k - 1][history] else 1) * self.probability(word, history[1:])


class ReferencePrunedByEntropy:
    """Another reference's model without n-grams that hardly change the distributions, by the definition of entropy."""

    def __init__(self, full, threshold):
        self.full = full
        self.memory = {}
        self.kept = [None, *(set(full.raw[k]) for k in range(1, full.order + 1))]
        for k in range(full.order, 1, -1):
            longer = self.kept[k + 1] if k < full.order else set()
            needed = {ngram[:-1] for ngram in longer} | {ngram[1:] for ngram in longer}
            self.kept[k] = {n for n in self.kept[k] if n in needed or self.rise(n) >= threshold}

    def rise(self, ngram):
        """Return by which part of it the perplexity rises without one n-gram."""
        *history, word = ngram
        history = tuple(history)
        followers = {n[-1] for n in self.full.raw[len(ngram)] if n[:-1] == history} - {word}
        old = {w: self.full.probability(w, history) for w in self.full.predictable}
        lower = {w: self.full.probability(w, history[1:]) for w in self.full.predictable}
        others = [w for w in self.full.predictable if w not in followers]
        scale = sum(old[w] for w in others) / sum(lower[w] for w in others)
        divergence = sum(old[w] * math.log(old[w] / (scale * lower[w])) for w in others if old[w] > 0)
        return math.expm1(self.reach(history) * divergence)

    def reach(self, history):
        """Return the probability of the words of a context."""
        first = END if history[0] == START else history[0]
        product = self.full.probability(first, ())
        for i in range(1, len(history)):
            product *= self.full.probability(history[i], history[:i])
        return product

    @remembered
    def probability(self, word, history):
        if not history or (*history, word) in self.kept[len(history) + 1]:
            return self.full.probability(word, history)
        if history not in self.kept[len(history)]:
            return self.probability(word, history[1:])
        followers = {n[-1] for n in self.kept[len(history) + 1] if n[:-1] == history}
        others = [w for w in self.full.predictable if w not in followers]
        left = 1 - sum(self.full.probability(w, history) for w in followers)
        return left * self.probability(word, history[1:]) / sum(self.probability(w, history[1:]) for w in others)

    def log_probs(self, sentence):
        tokens = [*sentence, END]
        full = self.full
        return [math.log(self.probability(full.normal(t), full.history(tokens[:i]))) for i, t in enumerate(tokens)]


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
