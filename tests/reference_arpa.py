"""ARPA files read line by line into dictionaries, and scored from the definition: slow and plain."""

import re

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf"


def parse(content):
    """Return a dict an order: n-gram (tuple of str) -> (log10 probability, log10 backoff); or raise ValueError."""
    lines = [re.sub(r"[ \t\r]+", " ", line).strip(" ") for line in content.decode().split("\n")]
    lines = lines[lines.index("\\data\\") :]
    counts, place = [], 1
    while place < len(lines) and (lines[place] == "" or lines[place].startswith("ngram ")):
        if lines[place]:
            k, count = re.fullmatch(r"ngram +(\d{1,4}) *= *(\d{1,18})", lines[place]).groups()
            require(int(k) == len(counts) + 1)
            counts.append(int(count))
        place += 1
    require(counts)
    levels = []
    for k, count in enumerate(counts, start=1):
        place = skip_empty(lines, place)
        require(lines[place] == f"\\{k}-grams:")
        level = {}
        place += 1
        while lines[place] != "" and not lines[place].startswith("\\"):
            ngram, values = parse_row(lines[place].split(" "), k)
            require(ngram not in level)
            require(k == 1 or all((word,) in levels[0] for word in ngram))
            level[ngram] = values
            place += 1
        require(len(level) == count)
        levels.append(level)
    require(lines[skip_empty(lines, place)] == "\\end\\")
    require(("<s>",) in levels[0] and ("</s>",) in levels[0] and ("<pad>",) not in levels[0])
    require(not any("\0" in word for (word,) in levels[0]))
    return levels


def require(condition):
    if not condition:
        raise ValueError


def skip_empty(lines, place):
    while lines[place] == "":
        place += 1
    return place


def parse_row(fields, k):
    require(len(fields) in (k + 1, k + 2))
    require(all(re.fullmatch(NUMBER, field, re.IGNORECASE | re.ASCII) for field in (fields[0], *fields[k + 1 :])))
    log_prob, backoff = float(fields[0]), float(fields[k + 1]) if len(fields) > k + 1 else 0.0
    require(log_prob <= 0 and backoff < float("inf"))
    return tuple(fields[1 : k + 1]), tuple(-float("inf") if value == -99 else value for value in (log_prob, backoff))


def log10_prob(levels, ngram):
    """Return log10 of the probability of the last word of an n-gram after those before it."""
    ngram = ngram[-len(levels) :]
    if ngram in levels[len(ngram) - 1]:
        return levels[len(ngram) - 1][ngram][0]
    if len(ngram) == 1:
        return -float("inf")
    return levels[len(ngram) - 2].get(ngram[:-1], (0, 0.0))[1] + log10_prob(levels, ngram[1:])


def log10_probs(levels, sentence, bos=True):
    """Return log10 of the probability of each token of a sentence and of </s>, with <s> before it or with nothing."""
    known = [word if (word,) in levels[0] else "<unk>" for word in sentence]
    tokens = ["<s>", *known, "</s>"][not bos :]
    return [log10_prob(levels, tuple(tokens[: end + 1])) for end in range(bos, len(tokens))]
