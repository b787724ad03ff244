"""How well dates, pronunciations, French sentences, numbers and captions are written; for `benchmarks.quality`.

Models are seeded by fixed numbers: a figure comes out again to the last digit on the same machine.
"""

import runpy
import time
from pathlib import Path

import numpy as np

from fastrnn import RNNCaptioner, RNNTranslator
from fastrnn.datasets import load_dates, load_eng_fra, load_g2p
from fastrnn.metrics import bleu, chrf, exact_match
from fastrnn.translation import predict_together

ATTENTIONS = {"with attention": "additive", "without": None}
FIVE = 5
NUMBERS, NUMBERS_TESTED, LENGTHS = 40_000, 500, (5, 10, 20, 30, 40, 50, 60)
SCENES = 4000
EXAMPLES = Path(__file__).parents[1] / "examples"
OF_DATES = {"tokenizer": "chars", "hidden_size": 128, "batch_size": 128, "learning_rate_init": 4e-3, "max_iter": 2}
# Spellings are read as characters, and phones are written as they are.
OF_WORDS = {"tokenizer": ("chars", None)}


def fitted(options, *data, **validation):
    """Return a new model that is trained, and the seconds of its training."""
    begin = time.perf_counter()
    model = RNNTranslator(**options).fit(*data, **validation)
    return model, time.perf_counter() - begin


def dates(n_seeds=None):
    """Print how many dates of the test data come out exactly, for some seeds."""
    data = load_dates()
    for seed in range(n_seeds or 1):
        options = {**OF_DATES, "random_state": seed}
        model, seconds = fitted(options, data.train.data, data.train.target)
        right = exact_match(data.test.target, model.predict(data.test.data))
        print(f"dates {seed}: {right:.2%} exact, fit {seconds:.1f} s", flush=True)


def pronunciation(language, n_seeds):
    """Print the share of words with a wrong pronunciation: of each seed's model, their mean, and all together."""
    data, models, wrong = load_g2p(language), [], []
    for seed in range(n_seeds):
        model, seconds = fitted({**OF_WORDS, "random_state": seed}, data.train.data, data.train.target,
                                X_val=data.dev.data, y_val=data.dev.target)  # fmt: skip
        models.append(model)
        wrong.append([1 - exact_match(part.target, model.predict(part.data)) for part in (data.dev, data.test)])
        print(f"g2p-{language} {seed}: wrong words dev {wrong[-1][0]:.2%}, test {wrong[-1][1]:.2%}, "
              f"{model.n_iter_} epochs, fit {seconds:.0f} s", flush=True)  # fmt: skip
    dev, test = np.mean(wrong, axis=0)
    print(f"g2p-{language}: mean of {len(wrong)} models dev {dev:.2%}, test {test:.2%}")
    if len(models) > 1:
        found = predict_together(models, data.test.data)
        print(f"g2p-{language}: {len(models)} models together test {1 - exact_match(data.test.target, found):.2%}")


def english_french(n_seeds=None):
    """Print BLEU, chrF and exact matches of French sentences, written as characters and as subwords."""
    data = load_eng_fra()
    sentences, references = data.test.sentences, data.test.references
    for tokenizer in ("chars", "subwords"):
        for name, attention in ATTENTIONS.items():
            for seed in range(n_seeds or 1):
                options = {"tokenizer": tokenizer, "vocab_size": 1000, "attention": attention, "random_state": seed}
                model, seconds = fitted(options, data.train.data, data.train.target,
                                        X_val=data.dev.data, y_val=data.dev.target)  # fmt: skip
                found = model.predict(sentences)
                print(f"eng_fra, {tokenizer}, {name}: BLEU {bleu(references, found):.1f}, "
                      f"chrF {chrf(references, found):.1f}, exact {exact_match(references, found):.1%}, "
                      f"fit {seconds:.0f} s", flush=True)  # fmt: skip


def numbers(n_seeds=None):
    """Print how many numbers in words are written as digits without a mistake, by their number of words."""
    example, random = runpy.run_path(str(EXAMPLES / "numbers_in_words.py")), np.random.default_rng(0)
    draw = example["draw"]
    train = draw(NUMBERS, LENGTHS[0], LENGTHS[-1], random)
    tests = [draw(NUMBERS_TESTED, length, length, random) for length in LENGTHS]
    for name, attention in ATTENTIONS.items():
        for seed in range(n_seeds or 1):
            options = {**example["OPTIONS"], "hidden_size": 128, "max_iter": 10}
            model, seconds = fitted({**options, "attention": attention, "random_state": seed}, *train)
            found = " ".join(f"{n}: {exact_match(y, model.predict(X)):.1%}" for n, (X, y) in
                             zip(LENGTHS, tests, strict=True))  # fmt: skip
            print(f"numbers, {name}: exact by words {found}, fit {seconds:.0f} s", flush=True)


def scenes(n_seeds=None):
    """Print how many captions of drawn scenes come out exactly; none of them belongs to a scene of the training."""
    content, random = runpy.run_path(str(EXAMPLES / "scenes.py")), np.random.default_rng(0)
    parts = [content["scenes"](n, is_held_out, random) for n, is_held_out in ((SCENES, False), (SCENES // 10, True))]
    (X, y), (X_test, y_test) = ((np.array(list(map(content["regions"], part[0]))), part[1]) for part in parts)
    for seed in range(n_seeds or 1):
        begin = time.perf_counter()
        model = RNNCaptioner(attention="dot", learning_rate_init=0.004, max_iter=20, random_state=seed).fit(X, y)
        print(f"scenes {seed}: {exact_match(y_test, model.predict(X_test)):.1%} exact, "
              f"fit {time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip


BENCHMARKS = {
    "dates": dates,
    **{f"g2p-{language}": lambda n_seeds=None, language=language: pronunciation(language, n_seeds or FIVE)
       for language in ("english", "french", "hungarian", "japanese", "italian", "greek")},
    "eng-fra": english_french,
    "numbers": numbers,
    "scenes": scenes,
}  # fmt: skip
