"""Numbers in words, written as digits: with attention and without, by the length of the words.

"two million forty" becomes "2000040": the network writes zeros for the places that the words leave out. Without
attention, the decoder knows the words by one vector alone, the state of the encoder after the last word; the longer the
number, the less of it is left in there. With attention, the decoder reads the words that it needs for each digit.

    python numbers_in_words.py
    python numbers_in_words.py --plot why.png    # gradient flow and attention (needs matplotlib)

The first chart of the plot shows why attention was invented: the gradient of the loss of the first digit by the states
of the encoder (`fastrnn.inspection.gradient_flow`). That digit depends on the first word, and without attention the
gradient has to come back to it through all the others.
"""

import argparse

import numpy as np

from fastrnn import RNNTranslator
from fastrnn.inspection import AttentionDisplay, GradientFlowDisplay
from fastrnn.metrics import exact_match

ONES = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen").split()  # fmt: skip
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ["", *("thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion "
                "decillion undecillion duodecillion tredecillion quattuordecillion").split()]  # fmt: skip
FEWEST = 5  # words
# The pairs have no mistakes, and more can be drawn: no regularizer is needed.
OPTIONS = {"tokenizer": ("whitespace", "chars"), "embedding_size": 64, "dropout": 0.0, "label_smoothing": 0.0,
           "learning_rate_init": 2e-3}  # fmt: skip


def below_thousand(number):
    """Return the words of a number from 0 to 999; none for 0."""
    hundreds, rest = divmod(number, 100)
    words = [ONES[hundreds - 1], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(TENS[rest // 10 - 2])
        rest %= 10
    return words + ([ONES[rest - 1]] if rest else [])


def in_words(digits):
    """Return the words of a number that is given as digits."""
    padded, words = digits.zfill(-(-len(digits) // 3) * 3), []
    groups = [int(padded[i : i + 3]) for i in range(0, len(padded), 3)]
    for group, scale in zip(groups, SCALES[len(groups) - 1 :: -1], strict=True):
        if group:
            words += [*below_thousand(group), scale] if scale else below_thousand(group)
    return words


def draw(n, fewest, most, random):
    """Return n numbers of `fewest` to `most` words, in words and as digits; in some of them many digits are 0."""
    X, y = [], []
    while len(X) < n:
        size = random.integers(fewest // 2, min(most, 3 * len(SCALES) - 1) + 1)  # of the digits after the first one
        rest = random.integers(10, size=size) * (random.random(size) >= random.choice([0, 0.3]))
        digits = str(random.integers(1, 10)) + "".join(map(str, rest))
        words = in_words(digits)
        if fewest <= len(words) <= most:
            X.append(" ".join(words))
            y.append(digits)
    return X, y


def plot(path, models, X, y, said):
    """Draw the gradient flow of both networks from the first digit of numbers, and the attention for one number."""
    from matplotlib.figure import Figure

    left, right = Figure(figsize=(13, 5), layout="constrained").subplots(1, 2)
    for name, model in models.items():
        GradientFlowDisplay.from_estimator(model, X, y=y, step=0, name=name, ax=left)
    AttentionDisplay.from_estimator(models["with attention"], said, name="attention", ax=right)
    left.figure.savefig(path, dpi=120)


def main():
    """Train both networks, and print how many numbers they write without a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, default=20_000, help="to learn from")
    parser.add_argument("--words", type=int, default=60, help="of the longest numbers")
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--plot", metavar="OUT.png", help="draw gradient flow and attention (needs matplotlib)")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    X, y = draw(arguments.numbers, FEWEST, arguments.words, random)
    lengths = sorted({*range(FEWEST, arguments.words, 10), arguments.words})
    tests = {length: draw(200, length, length, random) for length in lengths}
    models = {}
    for name, attention in (("with attention", "additive"), ("without", None)):
        models[name] = model = RNNTranslator(
            attention=attention,
            hidden_size=arguments.hidden_size,
            max_iter=arguments.max_iter,
            random_state=0,
            **OPTIONS,
        ).fit(X, y)
        print(f"{name}:")
        for length, (words, digits) in tests.items():
            print(f"    {length:3} words: {exact_match(digits, model.predict(words)):6.1%} right")
        said = tests[max(tests)][0][0]
        print(f"    {said}\n    {model.predict([said])[0]}")
    if arguments.plot:
        longest, shortest = tests[max(tests)], tests[FEWEST]
        plot(arguments.plot, models, longest[0][:20], longest[1][:20], shortest[0][0])


if __name__ == "__main__":
    main()
