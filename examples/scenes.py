"""What is in the picture? Captions of drawn scenes: "a small red square above a large blue circle".

The pictures are drawn here, 40 pixels wide, with one or two shapes of some colour and size at random places. A grid of
overlapping windows describes a picture: how much of a window is filled, where, in which colour, and the directions of
its edges (histograms of oriented gradients, Dalal and Triggs 2005). `RNNCaptioner` with attention reads the windows as
regions; without attention it reads all of them as one vector. No caption of the pictures to test on belongs to a
picture of the training: these are combinations that the model has never seen.

    python scenes.py                                          # a small try, some seconds
    python scenes.py --pictures 4000 --max-iter 20            # the figures below
    python scenes.py --plot scenes.png                        # the attention for each word (needs matplotlib)

    4000 pictures to train on, 400 to test on: 16 windows of 14 numbers
    attention to windows: 99.2% of the captions are right
    one vector: 25.0% of the captions are right
"""

import argparse
import itertools

import numpy as np

from fastrnn import RNNCaptioner
from fastrnn.metrics import exact_match

SIDE = 40  # of a picture, in pixels
WINDOW, STRIDE = 16, 8  # of the grid of windows, in pixels
DIRECTIONS = 8  # of edges
COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.7, 0.1), "blue": (0.1, 0.2, 0.9), "yellow": (0.9, 0.8, 0.1)}
SHAPES = {
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 1,
    "circle": lambda x, y: np.hypot(x, y) < 1,
    "triangle": lambda x, y: (abs(y) < 1) & (abs(x) < (1 + y) / 2),
}
SIZES = {"small": 5, "large": 8}  # half of the side
THINGS = list(itertools.product(SIZES, COLOURS, SHAPES))


def draw(things, is_above, random):
    """Return a picture (SIDE, SIDE, 3) of one thing, or of two of which the first is above or to the left."""
    half = [SIZES[size] for size, _, _ in things]
    while True:
        places = [random.uniform(radius, SIDE - radius, 2) for radius in half]  # x and y of the centres
        apart = places[-1] - places[0]
        along, across = apart[::-1] if is_above else apart
        if len(things) == 1 or (along > sum(half) + 1 and along > 2 * abs(across)):
            break
    picture = 0.5 + 0.04 * random.standard_normal((SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for (_, colour, shape), place, radius in zip(things, places, half, strict=True):
        inside = SHAPES[shape]((x - place[0]) / radius, (y - place[1]) / radius)
        picture[inside] += np.array(COLOURS[colour]) - 0.5
    return picture.astype("float32")


def caption(things, is_above):
    """Return the caption of a picture."""
    names = [f"a {' '.join(thing)}" for thing in things]
    return (" above " if is_above else " left of ").join(names)


def regions(picture):
    """Return a vector for each window of a picture, float32 (R, D)."""
    shown = picture - 0.5
    mask = (abs(shown).max(axis=2) > 0.2)[..., None]
    down, right = np.gradient((mask * shown).sum(axis=2))
    direction = np.rint(np.arctan2(down, right) / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    edges = np.hypot(down, right)[..., None] * (direction[..., None] == np.arange(DIRECTIONS))
    places = np.stack(np.mgrid[:SIDE, :SIDE], axis=2) / SIDE - 0.5
    pixels = np.concatenate([mask, mask * places, mask * shown, edges], axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (WINDOW, WINDOW), axis=(0, 1))
    means = windows[::STRIDE, ::STRIDE].mean(axis=(-2, -1))  # (rows, columns, D)
    means[..., 1:6] /= np.maximum(means[..., :1], 0.01)  # place and colour of what is filled
    return means.reshape(-1, means.shape[2]).astype("float32")


def scenes(n, is_held_out, random):
    """Return n pictures, and their captions: those that are held out for tests, or all others."""
    pictures, captions = [], []
    while len(pictures) < n:
        first, second, is_above = *random.integers(len(THINGS), size=2), random.random() < 0.5
        things = [THINGS[first]] if random.random() < 0.1 else [THINGS[first], THINGS[second]]
        if (len(things) == 2 and (first + second) % 5 == 0) == is_held_out:
            pictures.append(draw(things, is_above, random))
            captions.append(caption(things, is_above))
    return pictures, captions


def plot(path, model, picture, X):
    """Draw a picture, and the attention weights of its windows for each word."""
    from matplotlib.figure import Figure

    (aligned,) = model.align([X])
    windows = (SIDE - WINDOW) // STRIDE + 1
    axes = Figure(figsize=(1.4 * (len(aligned.targets) + 1), 2), layout="constrained").subplots(
        1, len(aligned.targets) + 1
    )
    for axis, word, weights in zip(axes, ["", *aligned.targets], [None, *aligned.weights], strict=True):
        axis.imshow(picture.clip(0, 1), extent=(0, SIDE, SIDE, 0))
        axis.set(xticks=[], yticks=[], title=word)
        if weights is not None:
            corner = (WINDOW - STRIDE) / 2
            end = corner + windows * STRIDE
            axis.imshow(weights.reshape(windows, windows), "gray", alpha=0.6, extent=(corner, end, end, corner))
            axis.set(xlim=(0, SIDE), ylim=(SIDE, 0))
    axes[0].figure.savefig(path, dpi=120)


def main():
    """Train on pictures with and without attention; caption pictures with combinations that were held out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, help="to train on")
    parser.add_argument("--max-iter", type=int, default=10)
    parser.add_argument("--plot", metavar="OUT.png", help="draw where the model looks (needs matplotlib)")
    arguments = parser.parse_args()

    random = np.random.default_rng(0)
    pictures, captions = scenes(arguments.pictures, False, random)
    test_pictures, test_captions = scenes(max(100, arguments.pictures // 10), True, random)
    X, X_test = (np.array([regions(picture) for picture in group]) for group in (pictures, test_pictures))
    print(f"{len(X)} pictures to train on, {len(X_test)} to test on: {X.shape[1]} windows of {X.shape[2]} numbers")
    options = {
        "hidden_size": 128,
        "hidden_layer_sizes": (128,),
        "learning_rate_init": 0.004,
        "max_iter": arguments.max_iter,
        "random_state": 0,
    }
    model = RNNCaptioner(attention="dot", **options).fit(X, captions)
    predicted = model.predict(X_test)
    print(f"attention to windows: {exact_match(test_captions, predicted):.1%} of the captions are right")
    flat, flat_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    vector = RNNCaptioner(attention=None, **options).fit(flat, captions)
    print(f"one vector: {exact_match(test_captions, vector.predict(flat_test)):.1%} of the captions are right")
    for right, written in zip(test_captions[:3], predicted, strict=False):
        print(f"{right}  ->  {written}")
    if arguments.plot:
        plot(arguments.plot, model, test_pictures[0], X_test[0])


if __name__ == "__main__":
    main()
