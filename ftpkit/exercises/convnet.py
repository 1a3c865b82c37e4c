"""The exercises of notebook 05, second half: where a convolutional network has its weights, what a map learns from."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .card import Case, Exercise, Mistake


def parameters_of_convnet4(channels: int, height: int, width: int, classes: int) -> int:
    """The number of parameters of the paper's 4-layer network, by arithmetic.

    channels, height, width: of an image, height and width 2 or more. classes: the number of outputs. Returns the number
    of all weights and biases, a whole number.
    """
    height, width = (height + 2) // 2 // 2, (width + 2) // 2 // 2
    conv1 = 25 * channels * 32 + 32
    conv2 = 25 * 32 * 64 + 64
    fc3 = 64 * height * width * 1024 + 1024
    fc4 = 1024 * classes + classes
    return conv1 + conv2 + fc3 + fc4


def _parameter_cases():
    yield Case("the network of this notebook", (1, 28, 28, 10))
    yield Case("CIFAR-10", (3, 32, 32, 10))
    yield Case("a hundred classes", (3, 32, 32, 100))
    yield Case("neither square nor a multiple of 4", (2, 13, 18, 4))
    yield Case("the smallest image", (1, 2, 2, 2))


def _count(channels, height, width, classes, *, side=lambda n: (n + 2) // 4, before=32, bias=1, shared=True):
    """The number of parameters, with what is wrong in it given by name."""
    first, second = (1, 1) if shared else ((height + 2) * (width + 2), (height + 2) // 2 * ((width + 2) // 2))
    conv1 = (25 * channels + bias) * 32 * first
    conv2 = (25 * before + bias) * 64 * second
    return conv1 + conv2 + (64 * side(height) * side(width) + bias) * 1024 + (1024 + bias) * classes


_PARAMETERS = Exercise(
    notebook="05",
    title="count the parameters",
    goal="know where the weights are.",
    difficulty="middling",
    minutes=10,
    reference=parameters_of_convnet4,
    cases=_parameter_cases,
    mistakes=(
        Mistake(
            "biases forgotten",
            partial(_count, bias=0),
            "Only the weights are counted: each map and each fully connected unit has a bias, too.",
        ),
        Mistake(
            "biases of the convolutions forgotten",
            lambda *sizes: _count(*sizes) - 96,
            "A convolution has biases, too: one for each map.",
        ),
        Mistake(
            "last layer forgotten",
            lambda channels, height, width, classes: _count(channels, height, width, 0),
            "The layer that gives the classes their numbers has parameters, too.",
        ),
        Mistake(
            "first padding forgotten",
            partial(_count, side=lambda n: n // 4),
            "Right for some sizes only: the first convolution, padded by 3, makes the picture larger. By how much?",
        ),
        Mistake(
            "a convolution makes it too large",
            partial(_count, side=lambda n: (n + 6) // 4),
            "Too large: padding adds rows, but how close to the rim does the middle of a 5 x 5 filter get?",
        ),
        Mistake(
            "a pool rounds up",
            partial(_count, side=lambda n: -(-(n + 2) // 4)),
            "A pool of 2 drops a row that has no partner: what does that make of an odd number?",
        ),
        Mistake(
            "parts of a place",
            partial(_count, side=lambda n: (n + 2) / 4),
            "There are no parts of places: what becomes of an odd number of rows in a pool?",
        ),
        Mistake(
            "one pool only",
            partial(_count, side=lambda n: (n + 2) // 2),
            "Too many for the first fully connected layer: how often is the picture pooled before it?",
        ),
        Mistake(
            "no pool",
            partial(_count, side=lambda n: n + 2),
            "Far too many for the first fully connected layer: what do the two pools do to height and width?",
        ),
        Mistake(
            "channels of the image forgotten",
            lambda channels, *others: _count(1, *others),
            "Right for grey images only: how many weights does a filter of the first layer have for three channels?",
        ),
        Mistake(
            "maps below forgotten",
            partial(_count, before=1),
            "A filter of the second layer looks at all maps of the first: how many weights does it have?",
        ),
        Mistake(
            "always ten classes",
            lambda channels, height, width, classes: _count(channels, height, width, 10),
            "Right for ten classes only: where does `classes` come in?",
        ),
        Mistake(
            "weights at every place",
            partial(_count, shared=False),
            "In a convolution all places share their weights: the size of the picture does not count there.",
        ),
        Mistake(
            "square",
            lambda channels, height, width, classes: _count(channels, height, height, classes),
            "Right for square images only: where does the width come in?",
        ),
    ),
    hints=(
        "Four layers have parameters. How many weights has one filter of the first layer, and how many filters are "
        "there?",
        "A convolution has (maps in) x 25 x (maps out) weights and (maps out) biases. With padding 3 a 5 x 5 filter "
        "makes the picture larger by 2, with padding 2 it keeps its size; a pool is `// 2`.",
        "The third layer has 64 maps of `(height + 2) // 2 // 2` times `(width + 2) // 2 // 2` places as inputs, and "
        "1024 outputs, each with a bias.",
    ),
    explanation=(
        "All places of a map share their weights, so the size of the image counts only in the first fully connected "
        "layer: it holds 3,212,288 of the 3,274,634 parameters for grey images of 28 x 28. For CIFAR-10 they are "
        "4,259,274, as in the authors' code."
    ),
)


def training_set(x: Tensor, t: Tensor, size: int, padding: int) -> tuple[Tensor, Tensor]:
    """The training set of one map of a convolution: that of a single perceptron.

    x: what goes into the convolution, shape (batch, channels, height, width). t: this map's targets, -1, 0 or +1, shape
    (batch, rows, columns), one for each place of the filter. size: of the square filter, which moves by 1. padding: the
    rows and columns of zeros on each side of x. Returns the pair (X, y). y, shape (examples,): the targets that are not
    0, image by image and row by row. X, shape (examples, channels * size * size): what the filter sees at each of them,
    in the order of its weights, `conv.weight[j].flatten()`.
    """
    seen = F.unfold(x, size, padding=padding)  # (batch, channels * size * size, places)
    X, y = seen.transpose(1, 2).flatten(0, 1), t.flatten()
    return X[y != 0], y[y != 0]


def _set_cases():
    one_to_nine = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    yield Case("a filter of 2 x 2, a target everywhere", (one_to_nine, torch.tensor([[[1.0, -1], [1, 1]]]), 2, 0))
    yield Case("one place has the target 0", (one_to_nine, torch.tensor([[[1.0, 0], [-1, 1]]]), 2, 0))
    x = torch.arange(1.0, 49)
    t = torch.tensor([[[-1.0, 1], [1, 0]], [[0.0, 0], [0, 0]], [[1.0, 1], [-1, 1]]])
    yield Case("two channels", (x[:18].reshape(1, 2, 3, 3), t[:1], 2, 0))
    yield Case("three images, all targets of the second are 0", (x[:27].reshape(3, 1, 3, 3), t, 2, 0))
    yield Case("a filter of 3 x 3, padded by 1", (x[:4].reshape(1, 1, 2, 2), t[2:], 3, 1))
    generator = torch.Generator().manual_seed(6)
    t = torch.randint(-1, 2, (2, 6, 7), generator=generator).float()
    yield Case("two images, two channels, padded by 2, not square", (x.reshape(2, 2, 3, 4), t[:, :5, :6], 3, 2))


def _rows(x, size, padding):
    return F.unfold(x, size, padding=padding).transpose(1, 2)  # (batch, places, numbers)


def _set(rows, t):
    X, y = rows.flatten(0, 1), t.flatten()
    return X[y != 0], y[y != 0]


def _zero_is_minus(x, t, size, padding):
    return _rows(x, size, padding).flatten(0, 1), torch.where(t > 0, 1.0, -1.0).flatten()


def _not_transposed(x, t, size, padding):
    return _set(F.unfold(x, size, padding=padding).reshape(1, -1, x.shape[1] * size * size), t)


def _places_first(x, t, size, padding):
    return _set(_rows(x, size, padding).transpose(0, 1), t.flatten(1).T)


def _columns_first(x, t, size, padding):
    return _set(_rows(x, size, padding).unflatten(1, t.shape[1:]).transpose(1, 2).flatten(1, 2), t.transpose(1, 2))


def _turned(x, t, size, padding):
    return _set(_rows(x, size, padding).unflatten(2, (-1, size * size)).flip(-1).flatten(2), t)


def _patch_columns_first(x, t, size, padding):
    return _set(_rows(x, size, padding).unflatten(2, (-1, size, size)).transpose(-1, -2).flatten(2), t)


def _channels_last(x, t, size, padding):
    return _set(_rows(x, size, padding).unflatten(2, (-1, size * size)).transpose(-1, -2).flatten(2), t)


def _with_ones(x, t, size, padding):
    X, y = training_set(x, t, size, padding)
    return torch.cat([X, torch.ones(len(X), 1)], dim=1), y


def _as_pictures(x, t, size, padding):
    X, y = training_set(x, t, size, padding)
    return X.unflatten(1, (-1, size, size)), y


_SET = Exercise(
    notebook="05",
    title="the training set of a map",
    goal="see the perceptron in a convolution.",
    difficulty="harder",
    minutes=20,
    reference=training_set,
    cases=_set_cases,
    mistakes=(
        Mistake(
            "targets of 0 kept",
            lambda x, t, size, padding: (_rows(x, size, padding).flatten(0, 1), t.flatten()),
            "Places whose target is 0 are left alone: they are no examples.",
        ),
        Mistake(
            "target of 0 treated as -1",
            _zero_is_minus,
            "A target of 0 is not a target of -1: such a place is left alone, and is no example.",
        ),
        Mistake(
            "only those that are to fire",
            lambda x, t, size, padding: _set(_rows(x, size, padding), t.clamp(min=0)),
            "The examples with the target -1 are missing. Which targets are to be left out?",
        ),
        Mistake(
            "reshaped instead of transposed",
            _not_transposed,
            "The shapes are right, but each row mixes numbers of several places: `reshape` does not exchange two "
            "dimensions.",
        ),
        Mistake(
            "place by place",
            _places_first,
            "The right examples in another order: all places of the first image come first, then those of the second.",
        ),
        Mistake(
            "column by column",
            _columns_first,
            "The right examples in another order: the filter moves along a row before it goes to the next one.",
        ),
        Mistake(
            "filter turned round",
            _turned,
            "Each patch is upside down: torch's convolution does not turn the filter round.",
        ),
        Mistake(
            "patch column by column",
            _patch_columns_first,
            "Within a row of X the order is another than that of the weights: they go along the rows of the filter.",
        ),
        Mistake(
            "channels last",
            _channels_last,
            "Within a row of X the channels alternate: the weights have all numbers of one channel, then of the next.",
        ),
        Mistake(
            "one channel only",
            lambda x, t, size, padding: _set(_rows(x[:, :1], size, padding), t),
            "The filter sees all channels at once: a row of X has size * size numbers of each.",
        ),
        Mistake(
            "first image only",
            lambda x, t, size, padding: training_set(x[:1], t[:1], size, padding),
            "The examples of the other images are missing: one perceptron learns from all of them.",
        ),
        Mistake(
            "a column of ones",
            _with_ones,
            "The last column belongs to the bias, which is no part of `conv.weight`.",
        ),
        Mistake(
            "patches as pictures",
            _as_pictures,
            "For a perceptron an example is one row of numbers: X has two dimensions.",
        ),
        Mistake(
            "X alone",
            lambda x, t, size, padding: training_set(x, t, size, padding)[0],
            "The perceptron needs its targets too: give back the pair X, y.",
        ),
        Mistake(
            "examples as columns",
            lambda x, t, size, padding: (training_set(x, t, size, padding)[0].T, t[t != 0]),
            "The examples stand in the columns of X: each is to be a row.",
        ),
        Mistake(
            "y as 0 and 1",
            lambda x, t, size, padding: (training_set(x, t, size, padding)[0], (t[t != 0] > 0).float()),
            "The targets are -1 and +1, as they stand in t, not 0 and 1.",
        ),
        Mistake(
            "y, X",
            lambda x, t, size, padding: training_set(x, t, size, padding)[::-1],
            "First X, then y.",
        ),
        Mistake(
            "y as a column",
            lambda x, t, size, padding: (training_set(x, t, size, padding)[0], t[t != 0][:, None]),
            "y is to have one dimension, with a number for each example.",
        ),
    ),
    hints=(
        "One example is one place of the filter on one image: a row of X with all the numbers that the filter sees "
        "there, and one number of y. In which order are the filter's weights stored?",
        "`F.unfold(x, size, padding=padding)` has what the filter sees at each place in its columns, in the order of "
        "the weights: shape (batch, channels * size * size, places). The places of `t` have the same order.",
        "`.transpose(1, 2).flatten(0, 1)` makes one row for each image and place; `t.flatten()` goes with it, and "
        "`y != 0` says which rows stay.",
    ),
    explanation=(
        "A map is one perceptron with `channels * size * size` weights, and each place of each image is an example of "
        "its own. `X @ conv.weight[j].flatten() + conv.bias[j]` are the map's pre-activations, and the gradient of its "
        "weights is a sum over the rows of X, each times the gradient that arrives at its place."
    ),
)

EXERCISES = (_PARAMETERS, _SET)
