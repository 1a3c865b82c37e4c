"""Answers to the exercises of notebook 05, second half."""

import torch
import torch.nn.functional as F
from torch import nn

from answers import Answers
from ftpkit import models


def parameters_of_a_network(channels, height, width, classes):
    conv = [nn.Conv2d(channels, 32, 5, padding=3), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.MaxPool2d(2)]
    features = nn.Sequential(*conv)(torch.zeros(1, channels, height, width)).numel()
    layers = [*conv, nn.Linear(features, 1024), nn.Linear(1024, classes)]
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def parameters_step_by_step(channels, height, width, classes):
    total, maps = 0, channels
    for out, padding in ((32, 3), (64, 2)):
        total += (maps * 5 * 5 + 1) * out
        height, width = (height + 2 * padding - 4) // 2, (width + 2 * padding - 4) // 2
        maps = out
    for inputs, outputs in ((maps * height * width, 1024), (1024, classes)):
        total += (inputs + 1) * outputs
    return float(total)


def parameters(c, h, w, n, grown=2, weights_only=False):
    """With the half sizes written out: h and w are those of the image."""
    for _ in range(2):
        h, w, grown = (h + grown) // 2, (w + grown) // 2, 0
    bias = 0 if weights_only else 1120 + n
    return 800 * c + 51200 + 65536 * h * w + 1024 * n + bias


def set_by_loops(x, t, size, padding):
    padded, X, y = F.pad(x, (padding,) * 4), [], []
    for image, targets in zip(padded, t, strict=True):
        for i, row in enumerate(targets):
            for j, target in enumerate(row):
                if target:
                    X.append(image[:, i : i + size, j : j + size].flatten())
                    y.append(target)
    return torch.stack(X), torch.stack(y)


def set_by_windows(x, t, size, padding):
    windows = F.pad(x, [padding] * 4).unfold(2, size, 1).unfold(3, size, 1)  # (batch, channels, rows, columns, s, s)
    chosen = t.nonzero(as_tuple=True)
    return [windows.permute(0, 2, 3, 1, 4, 5)[chosen].flatten(1).numpy(), t[chosen].int()]


def set_by_convolution(x, t, size, padding):
    """The patches as the answers of filters that pick one number each."""
    number = x.shape[1] * size * size
    picked = F.conv2d(x, torch.eye(number).reshape(number, x.shape[1], size, size), padding=padding)
    y = t.reshape(-1)
    keep = y.abs() > 0
    return picked.movedim(1, 3).reshape(-1, number)[keep], y[keep]


def kept_all(x, t, size, padding):
    return set_by_convolution(x, torch.ones_like(t), size, padding)[0], t.reshape(-1)


def zeros_as_minus(x, t, size, padding):
    return set_by_loops(x, torch.where(t == 0, -torch.ones_like(t), t), size, padding)


def only_firing(x, t, size, padding):
    X, y = set_by_loops(x, t, size, padding)
    return X[y > 0], y[y > 0]


def view_as_rows(x, t, size, padding):
    seen = F.unfold(x, size, padding=padding)
    X = torch.cat([each.reshape(-1, seen.shape[1]) for each in seen])
    return X[t.flatten() != 0], t[t != 0]


def over_the_batch_last(x, t, size, padding):
    examples = []
    windows = F.unfold(x, size, padding=padding)
    for place in range(windows.shape[2]):
        for image in range(len(x)):
            if target := t[image].flatten()[place]:
                examples.append((windows[image, :, place], target))
    return torch.stack([row for row, _ in examples]), torch.stack([target for _, target in examples])


def columns_outside(x, t, size, padding):
    padded, X, y = F.pad(x, (padding,) * 4), [], []
    for b in range(len(x)):
        for j in range(t.shape[2]):
            for i in range(t.shape[1]):
                if t[b, i, j] != 0:
                    X.append(padded[b, :, i : i + size, j : j + size].flatten())
                    y.append(t[b, i, j])
    return torch.stack(X), torch.stack(y)


def rearranged(change):
    """The right set with each patch, (channels, size, size), changed."""

    def answer(x, t, size, padding):
        X, y = set_by_loops(x, t, size, padding)
        return torch.stack([change(patch).flatten() for patch in X.reshape(-1, x.shape[1], size, size)]), y

    return answer


def with_bias(x, t, size, padding):
    X, y = set_by_loops(x, t, size, padding)
    return F.pad(X, (0, 1), value=1.0), y


def in_pictures(x, t, size, padding):
    X, y = set_by_loops(x, t, size, padding)
    return X.reshape(-1, x.shape[1], size, size), y


def padding_forgotten(x, t, size, padding):
    seen = F.unfold(x, size).transpose(1, 2).flatten(0, 1)
    return seen[t.flatten() != 0], t[t != 0]


ANSWERS = {
    "parameters_of_convnet4": Answers(
        right=[parameters_of_a_network, parameters_step_by_step, parameters],
        wrong={
            "biases forgotten": lambda *sizes: parameters(*sizes, weights_only=True),
            "biases of the convolutions forgotten": lambda *sizes: parameters(*sizes) - 32 - 64,
            "last layer forgotten": lambda c, h, w, n: parameters(c, h, w, n) - 1025 * n,
            "first padding forgotten": lambda *sizes: parameters(*sizes, grown=0),
            "a convolution makes it too large / padding alone": lambda *sizes: parameters(*sizes, grown=6),
            "a convolution makes it too large / the second one, too": lambda c, h, w, n: (
                parameters(c, 0, 0, n, grown=0) + 65536 * (((h + 2) // 2 + 2) // 2) * (((w + 2) // 2 + 2) // 2)
            ),
            "a pool rounds up": lambda c, h, w, n: parameters(c, h + 3, w + 3, n),
            "parts of a place": lambda c, h, w, n: parameters(c, 0, 0, n, grown=0) + 4096 * (h + 2) * (w + 2),
            "one pool only": lambda c, h, w, n: parameters(c, 2 * h + 2, 2 * w + 2, n),
            "no pool": lambda c, h, w, n: parameters(c, 4 * h + 6, 4 * w + 6, n),
            "channels of the image forgotten": lambda c, h, w, n: parameters(1, h, w, n),
            "maps below forgotten": lambda *sizes: parameters(*sizes) - 31 * 1600,
            "always ten classes": lambda c, h, w, n: parameters(c, h, w, 10),
            "weights at every place": lambda c, h, w, n: (
                parameters(c, h, w, n)
                + (800 * c + 32) * ((h + 2) * (w + 2) - 1)
                + 51264 * (((h + 2) // 2) * ((w + 2) // 2) - 1)
            ),
            "square": lambda c, h, w, n: parameters(c, h, h, n),
            "first case": lambda c, h, w, n: 3_274_634,
            "the kit's own": lambda c, h, w, n: models.count_parameters(
                models.ConvNet4(nn.ReLU, input_shape=(c, h, w), classes=n)
            ),
            "nothing returned": lambda c, h, w, n: print(end=""),
        },
    ),
    "training_set": Answers(
        right=[set_by_loops, set_by_windows, set_by_convolution],
        wrong={
            "targets of 0 kept": kept_all,
            "target of 0 treated as -1": zeros_as_minus,
            "only those that are to fire": only_firing,
            "reshaped instead of transposed": view_as_rows,
            "place by place": over_the_batch_last,
            "column by column": columns_outside,
            "filter turned round": rearranged(lambda patch: patch.rot90(2, (1, 2))),
            "patch column by column": rearranged(lambda patch: patch.mT),
            "channels last": rearranged(lambda patch: patch.permute(1, 2, 0)),
            "one channel only": lambda x, *others: set_by_loops(x[:, 0:1], *others),
            "first image only": lambda x, t, *others: set_by_windows(x[0:1], t[0:1], *others),
            "a column of ones": with_bias,
            "patches as pictures": in_pictures,
            "X alone": lambda *given: set_by_loops(*given)[0],
            "examples as columns": lambda *given: (set_by_loops(*given)[0].t(), set_by_loops(*given)[1]),
            "y as 0 and 1": lambda *given: (set_by_loops(*given)[0], (set_by_loops(*given)[1] + 1) / 2),
            "y, X": lambda *given: tuple(reversed(set_by_loops(*given))),
            "y as a column": lambda *given: (set_by_loops(*given)[0], set_by_loops(*given)[1].unsqueeze(1)),
            "raised / padding forgotten": padding_forgotten,
            "other": lambda x, t, size, padding: (x, t),
        },
    ),
}
