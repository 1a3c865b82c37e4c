"""Gradient training of the same network on the same problem, to set beside the searches; and a single perceptron."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..activations import Sign
from ..losses import Table
from ..rules import Rule, as_rule
from ..separability import fewest_errors, hinge_fit
from .problem import Outcome, Problem, State, check_budget

# the best of 0.003, 0.01, 0.03 and 0.1 for each of them, see tuning.py and data/results/search_lr.json
LRS: dict[str, float] = Table({"STE": 0.01, "SSTE": 0.01, "FTP-SH": 0.01}, kind="learning rate for the rule")
EPOCHS = 1000
_EXACT_UP_TO = 25


def gradient(
    problem: Problem,
    rule: Rule | str = "SSTE",
    *,
    starts: int = 1,
    budget: int = EPOCHS,
    lr: float | None = None,
    seed: int = 0,
    objective: str = "errors",
    callback: Callable[[State], None] | None = None,
) -> Outcome:
    """Train the problem's network by gradient from `starts` random starts side by side, until one makes no error.

    Hidden units are ``ftpkit.Sign(rule)``, the output loss is logistic, log(1 + exp(-y z)); Adam at a constant rate on
    all instances at once. Inputs are standardised for training, which the returned first layer undoes. budget: epochs
    of each start. An evaluation is one pass of one start over all instances, so at most starts * budget of them; all
    starts are at the same epoch when the first one succeeds. lr: default LRS, chosen by `python -m ftpkit search
    --tune` on seeds that the table does not use. The first start is the same whatever their number.

    value, errors: of the best weights seen at any epoch, in float64; targets: the hidden outputs with them. callback:
    sees the best start of each epoch. Raises ValueError for a budget or a number of starts below 1, a learning rate
    that is not positive, a rule that has no default one and gets none, and any other objective.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> outcome = gradient(xor, "SSTE", starts=50)
    >>> outcome.errors, outcome.feasible, outcome.proved
    (0, True, True)
    """
    rule = as_rule(rule)
    if objective != "errors":
        raise ValueError(f"gradient training is judged by training errors, objective 'errors', not {objective!r}")
    check_budget(starts, "starts")
    if check_budget(budget) is None:
        raise ValueError("gradient training needs a budget of epochs, since it may never succeed")
    lr = LRS[rule.name] if lr is None else lr
    if not lr > 0:
        raise ValueError(f"a learning rate is a positive number, not {lr!r}")

    mean, std = problem.X.mean(axis=0), problem.X.std(axis=0)
    std[std == 0] = 1
    X = torch.tensor((problem.X - mean) / std, dtype=torch.float32).expand(starts, -1, -1)
    y = torch.tensor(problem.y, dtype=torch.float32)
    layers = _random_layers((problem.X.shape[1], *problem.hidden, 1), starts, seed)
    threshold = Sign(rule, scale=1 / problem.m)
    adam = torch.optim.Adam(layers, lr=lr, fused=True)

    best, kept, trace = problem.m + 1, None, []
    for epoch in range(1, budget + 1):
        h = X
        for W in layers[:-1]:
            h = threshold(_affine(h, W))
        yz = y * _affine(h, layers[-1])[..., 0]
        wrong = torch.where(y > 0, yz <= 0, yz < 0).sum(dim=1)  # sign(0) = -1
        fewest = int(wrong.min())
        if fewest < best or callback is not None:
            weights = _unstandardised([W[int(wrong.argmin())] for W in layers], mean, std)
            outputs, _ = problem.forward(weights)
            errors = problem.errors(weights)
            if fewest < best and errors < best:  # both, so that looking on changes nothing
                best, kept = errors, weights
                trace.append((epoch * starts, errors))
            if callback is not None:
                callback(State(epoch * starts, outputs, errors, best))
            if best == 0:
                break
        if epoch < budget:
            adam.zero_grad()
            F.softplus(-yz).mean(dim=1).sum().backward()
            adam.step()

    return Outcome.of_network(f"{rule.name}-{starts}", problem, kept, epoch * starts, trace=tuple(trace))


def _random_layers(widths: tuple[int, ...], starts: int, seed: int) -> list[torch.Tensor]:
    """W_d, (starts, n_d, n_{d-1} + 1), drawn as torch.nn.Linear draws them, uniform in +-1 / sqrt(n_{d-1})."""
    sizes = [(units, inputs + 1) for inputs, units in zip(widths, widths[1:], strict=False)]
    numbers = np.random.default_rng(seed).uniform(-1, 1, (starts, sum(a * b for a, b in sizes)))
    parts = np.split(numbers, np.cumsum([a * b for a, b in sizes])[:-1], axis=1)
    return [
        torch.tensor(part.reshape(starts, *size) / (size[1] - 1) ** 0.5, dtype=torch.float32, requires_grad=True)
        for part, size in zip(parts, sizes, strict=True)
    ]


def _affine(h: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
    return torch.baddbmm(W[:, None, :, -1], h, W[:, :, :-1].mT)


def _unstandardised(layers: list[torch.Tensor], mean: np.ndarray, std: np.ndarray) -> list[np.ndarray]:
    """The same network in float64, on inputs as they are."""
    weights = [W.detach().numpy().astype(np.float64) for W in layers]
    first = weights[0][:, :-1] / std
    weights[0] = np.hstack([first, weights[0][:, -1:] - first @ mean[:, None]])
    return weights


def perceptron(problem: Problem) -> Outcome:
    """One perceptron in place of the network: what can be had without any hidden unit.

    Up to 25 instances the one with the fewest errors (`separability.fewest_errors`); beyond, where counting errors
    exactly takes too long, the one with the least total hinge loss (`separability.hinge_fit`). It is returned as a
    network of the problem's shape whose first unit in each layer does all the work, so its value is one that the
    network can reach.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> perceptron(xor).errors
    1
    """
    exact = problem.m <= _EXACT_UP_TO
    unit = fewest_errors(problem.X, problem.y)[1] if exact else hinge_fit(problem.X, problem.y)[0]
    weights, inputs = [], problem.X.shape[1]
    for width in (*problem.hidden, 1):
        W = np.zeros((width, inputs + 1))
        W[0] = unit
        weights.append(W)
        inputs, unit = width, np.eye(1, width + 1)[0]
    return Outcome.of_network(f"perceptron, {'fewest errors' if exact else 'hinge'}", problem, weights, 1)
