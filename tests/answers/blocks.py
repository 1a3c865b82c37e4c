"""Answers to the exercise of notebook 07 about the block that keeps the skip path real."""

import torch
from torch import nn

from answers import Answers
from ftpkit import models


class Layers(nn.Module):
    """The layers of the notebook's Block, and two thresholds."""

    def __init__(self, activation, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, (3, 3), stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, (3, 3), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        changes = stride != 1 or before != width
        one_by_one = nn.Conv2d(before, width, 1, stride=stride, bias=False)
        self.skip = nn.Sequential(one_by_one, nn.BatchNorm2d(width)) if changes else nn.Sequential()
        self.first, self.second = activation(), activation()


class InOneExpression(Layers):
    def forward(self, x):
        return self.skip(x) + self.bn2(self.conv2(self.second(self.bn1(self.conv1(self.first(x))))))


class WithLists(nn.Module):
    """Thresholds in a list, the skip path None where it carries x as it is, the sum in place."""

    def __init__(self, activation, before, width, stride):
        nn.Module.__init__(self)
        self.thresholds = nn.ModuleList([activation() for _ in range(2)])
        for n, channels in ((2, width), (1, before)):
            setattr(self, f"bn{n}", nn.BatchNorm2d(width))
            step = stride if n == 1 else 1
            setattr(self, f"conv{n}", nn.Conv2d(channels, width, 3, step, 1, bias=False))
        self.skip = None
        if (before, 1) != (width, stride):
            self.skip = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        h = x
        for n, threshold in enumerate(self.thresholds, start=1):
            h = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(threshold(h)))
        h += x if self.skip is None else self.skip(x)
        return h


def wired(forward):
    """A class with the right layers and this forward pass."""
    return type("Wired", (Layers,), {"forward": forward})


def paper(self, x):
    branch = self.bn2(self.conv2(self.first(self.bn1(self.conv1(x)))))
    return self.second(branch + self.skip(x))


def right_and_one_behind(self, x):
    return self.second(InOneExpression.forward(self, x))


def skip_behind_first(self, x):
    x = self.first(x)
    return self.bn2(self.conv2(self.second(self.bn1(self.conv1(x))))) + self.skip(x)


def behind_norms(self, x):
    h = self.first(self.bn1(self.conv1(x)))
    return self.second(self.bn2(self.conv2(h))) + self.skip(x)


def before_norms(self, x):
    h = self.bn1(self.first(self.conv1(x)))
    return self.bn2(self.second(self.conv2(h))) + self.skip(x)


def norm_first(self, x):
    h = self.conv1(self.first(self.bn1(x)))
    return self.conv2(self.second(self.bn2(h))) + self.skip(x)


def first_missing(self, x):
    return self.bn2(self.conv2(self.second(self.bn1(self.conv1(x))))) + self.skip(x)


def second_missing(self, x):
    return self.bn2(self.conv2(self.bn1(self.conv1(self.first(x))))) + self.skip(x)


def second_behind_the_sum(self, x):
    return self.second(second_missing(self, x))


def both_missing(self, x):
    return self.bn2(self.conv2(self.bn1(self.conv1(x)))) + self.skip(x)


def sum_through_norm(self, x):
    h = self.second(self.bn1(self.conv1(self.first(x))))
    return self.bn2(self.conv2(h) + self.skip(x))


def norms_forgotten(self, x):
    return self.conv2(self.second(self.conv1(self.first(x)))) + self.skip(x)


def no_sum(self, x):
    return self.bn2(self.conv2(self.second(self.bn1(self.conv1(self.first(x))))))


def x_without_its_convolution(self, x):
    return no_sum(self, x) + x


def detached(self, x):
    return no_sum(self, x) + self.skip(x).detach()


def in_place(self, x):
    kept = self.skip(x.clone())
    with torch.no_grad():
        x.copy_(self.first(x))
    return self.bn2(self.conv2(self.second(self.bn1(self.conv1(x))))) + kept


def added_to_x(self, x):
    x += no_sum(self, x)
    return x


def half_where_it_changes(self, x):
    return InOneExpression.forward(self, x) / (2 if len(self.skip) else 1)


class Shared(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.first = self.second = activation()


class MadeEachTime(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        del self.first, self.second
        self.activation = activation

    def first(self, x):
        return self.activation()(x)

    second = first


class Third(InOneExpression):
    def __init__(self, *given):
        super().__init__(*given)
        self.third = given[0]()


class AlwaysConvolves(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.skip = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))


class NeverConvolves(InOneExpression):
    def __init__(self, *given):
        super().__init__(*given)
        self.skip = nn.Identity()


class Biased(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1)


class NormOnTheSum(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.bn3 = nn.BatchNorm2d(width)


class OtherNames(nn.Module):
    def __init__(self, activation, before, width, stride):
        super().__init__()
        self.a = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)


class OneNormTwice(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        del self.bn2

    def forward(self, x):
        return self.bn1(self.conv2(self.second(self.bn1(self.conv1(self.first(x)))))) + self.skip(x)


class Larger(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.conv2 = nn.Conv2d(width, width, 5, padding=2, bias=False)


class NoStride(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.conv1.stride = (1, 1)
        if len(self.skip):
            self.skip[0].stride = (1, 1)


class LateStride(InOneExpression):
    def __init__(self, activation, before, width, stride):
        super().__init__(activation, before, width, stride)
        self.conv1.stride, self.conv2.stride = (1, 1), (stride, stride)


class NoPadding(InOneExpression):
    def __init__(self, *given):
        super().__init__(*given)
        self.conv1.padding = (0, 0)


def a_function(activation, before, width, stride):
    return lambda x: InOneExpression(activation, before, width, stride)(x)


ANSWERS = {
    "RealBlock": Answers(
        right=[InOneExpression, WithLists],
        wrong={
            "property / the paper's": wired(paper),
            "property / threshold behind the sum kept": wired(right_and_one_behind),
            "property / skip path behind the first threshold": wired(skip_behind_first),
            "property / thresholds behind batch norm": wired(behind_norms),
            "property / thresholds before batch norm": wired(before_norms),
            "property / batch norm first": wired(norm_first),
            "property / first threshold missing": wired(first_missing),
            "property / second threshold missing": wired(second_missing),
            "property / second threshold behind the sum": wired(second_behind_the_sum),
            "property / both thresholds missing": wired(both_missing),
            "property / sum through batch norm": wired(sum_through_norm),
            "property / batch norm forgotten": wired(norms_forgotten),
            "property / nothing added": wired(no_sum),
            "property / skip path alone": wired(lambda self, x: self.skip(x)),
            "property / projection forgotten": wired(x_without_its_convolution),
            "property / detached": wired(detached),
            "property / without gradients": wired(torch.no_grad()(InOneExpression.forward)),
            "property / in place": wired(in_place),
            "property / in place, added": wired(added_to_x),
            "property / something besides where the shape changes": wired(half_where_it_changes),
            "property / nothing returned": wired(lambda self, x: None),
            "property / shared threshold": Shared,
            "property / thresholds made in forward": MadeEachTime,
            "property / always a convolution": AlwaysConvolves,
            "property / never a convolution": NeverConvolves,
            "property / bias": Biased,
            "property / one batch norm more": NormOnTheSum,
            "property / one batch norm twice": OneNormTwice,
            "property / larger convolution": Larger,
            "property / stride forgotten": NoStride,
            "property / stride in conv2": LateStride,
            "property / padding forgotten": NoPadding,
            "property / no module": a_function,
            "the kit's own": lambda *given: models.BasicBlock(*given, skip="real"),
            "raised": InOneExpression.forward,
        },
    ),
}
