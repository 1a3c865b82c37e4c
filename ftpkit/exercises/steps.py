"""The exercises of notebook 01, second part: the rule for a batch, and the mean of all its weights."""

from functools import reduce

import numpy as np

from .card import Case, Exercise, Mistake


def batch_update(w: np.ndarray, X: np.ndarray, t: np.ndarray) -> np.ndarray:
    """One step of the perceptron rule for all examples at once.

    w: weights, (n,). X: examples, (m, n), with the constant 1 for the bias where there is one. t: targets, (m,), -1 or
    +1. Every example is judged by the same w, by t z <= 0. Returns w plus the sum of t x over the mistakes, (n,).
    """
    wrong = t * (X @ w) <= 0
    return w + t[wrong] @ X[wrong]


def _update_cases():
    def case(about, w, X, t):
        return Case(about, (np.array(w, float), np.array(X, float), np.array(t)))

    yield case("two examples, the second is a mistake", [1, 0, 0], [[1, 2, 1], [2, -1, 1]], [1, -1])
    yield case("a single example, no bias", [0.5, -1], [[1, 1]], [1])
    yield case(
        "three mistakes out of four, with a bias",
        [1, -1, 0],
        [[2, 3, 1], [-1, 1, 1], [3, 1, 1], [0, -2, 1]],
        [1, 1, -1, 1],
    )
    yield case("weights of 0, so every z is 0", [0, 0, 0], [[-1, 2, 1], [3, 1, 1], [1, 1, 1]], [1, -1, -1])
    yield case("z is exactly 0, with t = -1 and with t = +1", [1, 1], [[2, -2], [-1, 1], [3, 3]], [-1, 1, 1])
    yield case("no mistake", [2, -1], [[1, 0], [0, 1], [1, 1]], [1, -1, 1])
    yield case("an example that is mended by another", [0.5, 0], [[-1, 1], [-1, 2]], [1, 1])
    rng = np.random.default_rng(0)
    w, X, t = rng.integers(-8, 9, 4), rng.integers(-8, 9, (6, 4)), rng.choice([-1, 1], 6)
    yield case("six examples with four inputs", w / 4, X / 4, t)


def _moved_by(judge, change=lambda w, X, t, wrong: w + t[wrong] @ X[wrong]):
    """A step for the examples that `judge` finds wrong, by their z and t."""
    return lambda w, X, t: change(w, X, t, judge(X @ w, t))


def _one_by_one(w, X, t):
    for x, target in zip(X, t, strict=True):
        if target * (w @ x) <= 0:
            w = w + target * x
    return w


def _mistake(z, t):
    return t * z <= 0


_BATCH = Exercise(
    notebook="01",
    title="all mistakes at once",
    goal="write the rule for a batch.",
    difficulty="easy",
    minutes=10,
    reference=batch_update,
    cases=_update_cases,
    mistakes=(
        Mistake(
            "one after the other",
            _one_by_one,
            "The weights change while the examples are still being judged: judge all of them by the same w first.",
        ),
        Mistake(
            "z = 0 left out",
            _moved_by(lambda z, t: t * z < 0),
            "Only examples with z = 0 are missing: rule (1) counts t z = 0 as a mistake.",
        ),
        Mistake(
            "the output judged",
            _moved_by(lambda z, t: np.where(z > 0, 1, -1) != t),
            "With t = -1 and z = 0 the output is right, and it is a mistake all the same: the rule looks at t z.",
        ),
        Mistake(
            "margin on the wrong side",
            _moved_by(lambda z, t: t * z > 0),
            "The examples that are right are added, and the mistakes are left alone.",
        ),
        Mistake(
            "mask forgotten",
            _moved_by(lambda z, t: np.ones(len(t), bool)),
            "All examples are added, also those that are right already.",
        ),
        Mistake(
            "t forgotten in the condition",
            _moved_by(lambda z, t: z <= 0),
            "Which examples are wrong is a question about t z, not about z: with t = -1 z should be negative.",
        ),
        Mistake(
            "t forgotten in the sum",
            _moved_by(_mistake, lambda w, X, t, wrong: w + X[wrong].sum(axis=0)),
            "The right examples are found, but all of them are added: those with t = -1 are to be taken away.",
        ),
        Mistake(
            "away from the target",
            _moved_by(_mistake, lambda w, X, t, wrong: w - t[wrong] @ X[wrong]),
            "The step goes the wrong way: after it t z should be larger, so t x is added.",
        ),
        Mistake(
            "weights overwritten",
            _moved_by(_mistake, lambda w, X, t, wrong: t[wrong] @ X[wrong]),
            "That is the change alone. It is added to the old weights.",
        ),
        Mistake(
            "overwritten by the last mistake",
            _moved_by(_mistake, lambda w, X, t, wrong: [w, *(t[:, None] * X)[wrong]][-1]),
            "The last mistake takes the place of the weights: w + t x, not t x alone.",
        ),
        Mistake(
            "t - h",
            lambda w, X, t: w + (t - np.where(X @ w > 0, 1, -1)) @ X,
            "That is the rule for outputs 0 and 1: with -1 and +1 t - h is -2 or 2. And h does not show where z is 0.",
        ),
        Mistake(
            "summed over everything",
            _moved_by(_mistake, lambda w, X, t, wrong: w + (t[wrong] @ X[wrong]).sum()),
            "The inputs are summed as well: the same number is added to every weight. Sum over the examples only.",
        ),
        Mistake(
            "mean over the batch",
            _moved_by(_mistake, lambda w, X, t, wrong: w + t[wrong] @ X[wrong] / len(X)),
            "That is the mean over the examples; the rule takes the sum.",
        ),
        Mistake(
            "mean over the mistakes",
            _moved_by(_mistake, lambda w, X, t, wrong: w + t[wrong] @ X[wrong] / max(1, wrong.sum())),
            "That is the mean over the mistakes; the rule takes their sum.",
        ),
        Mistake(
            "one mistake only",
            _moved_by(_mistake, lambda w, X, t, wrong: w + (t[:, None] * X)[wrong][:1].sum(axis=0)),
            "Only the first mistake is added: does the loop end too early?",
        ),
        Mistake(
            "the last mistake only",
            _moved_by(_mistake, lambda w, X, t, wrong: w + (t[:, None] * X)[wrong][-1:].sum(axis=0)),
            "Only the last mistake is added: does each one begin with the old weights again?",
        ),
        Mistake(
            "margin of 1",
            _moved_by(lambda z, t: t * z <= 1),
            "That is the hinge's step: it also moves examples that are right, but by less than 1.",
        ),
        Mistake(
            "bias forgotten",
            _moved_by(_mistake, lambda w, X, t, wrong: w + np.append(t[wrong] @ X[wrong, :-1], 0)),
            "The last weight never changes: it is a weight like the others.",
        ),
    ),
    hints=(
        "Which examples are mistakes, judged by the old w? `X @ w` gives every z. And what does each of them add?",
        "A comparison of arrays gives a mask; `X[mask]` are the rows where it is true.",
        "With `wrong = t * (X @ w) <= 0` the sum over the mistakes is `t[wrong] @ X[wrong]`.",
    ),
    explanation=(
        "A product with a row of targets is a sum with signs. It is the step of size 1 against the gradient of the "
        "perceptron loss, summed over the batch: what the last section found in one `ftpkit.Sign` unit."
    ),
)


def averaged_perceptron(X: np.ndarray, t: np.ndarray, passes: int) -> np.ndarray:
    """The mean of the perceptron's weights after every example that it has looked at.

    X: examples, (m, n). t: targets, (m,), -1 or +1. passes: so often rule (1) goes through all examples, from w = 0 on,
    also where it makes no mistake any more. Returns the mean of the passes * m weights, (n,): those after each example,
    whether it was a mistake or not.
    """
    w, total = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(passes):
        for i in range(len(X)):
            if t[i] * (w @ X[i]) <= 0:
                w = w + t[i] * X[i]
            total += w
    return total / (passes * len(X))


def _mean_cases():
    def case(about, X, t, passes):
        return Case(about, (np.array(X, float), np.array(t), passes))

    yield case("two examples, two passes", np.eye(2), [1, -1], 2)
    yield case("the first target is -1", [[2, 1, 1], [1, 0, 1], [0, 3, 1]], [-1, 1, 1], 1)
    rng = np.random.default_rng(2)
    yield case("five examples, three passes", rng.integers(-8, 9, (5, 3)) / 4, rng.choice([-1, 1], 5), 3)
    yield case("at rest long before the last pass", [[1, 2], [-2, 1], [1, -1]], [1, -1, -1], 8)
    yield case("a single example", [[0.5, 1, -1, 1]], [-1], 1)


def _trace(X, t, passes, *, mistake=_mistake, least=-1, change=lambda x, target: target * x):
    """The weights before and after each example, a row for each; was it a mistake?"""
    w, before, after, wrong = np.zeros(X.shape[1]), [], [], []
    for _ in range(passes):
        for x, target in zip(X, t, strict=True):
            wrong.append(mistake(w @ x, target))
            before.append(w)
            w = w + change(x, target) * wrong[-1]
            after.append(w)
        if sum(wrong[-len(X) :]) <= least:
            break
    return np.array(before), np.array(after), np.array(wrong)


def _of(summary, **how):
    """What `averaged_perceptron` gives if it sums up its trace like this."""
    return lambda X, t, passes: summary(*_trace(X, t, passes, **how), len(X), passes)


def _two_names(X, t, passes):
    w = total = np.zeros(X.shape[1])
    for x, target in zip(np.tile(X, (passes, 1)), np.tile(t, passes), strict=True):
        if target * (w @ x) <= 0:
            w += target * x
        total += w
    return total / (passes * len(X))


_MEAN = Exercise(
    notebook="01",
    title="the averaged perceptron",
    goal="mend the restlessness of the perceptron.",
    difficulty="middling",
    minutes=15,
    reference=averaged_perceptron,
    cases=_mean_cases,
    mistakes=(
        Mistake(
            "the last weights",
            _of(lambda before, after, wrong, m, passes: after[-1]),
            "These are the weights at the end. (If you keep a list: does `w += ...` change what stands in it already?)",
        ),
        Mistake(
            "the sum",
            _of(lambda before, after, wrong, m, passes: after.sum(axis=0)),
            "That is the sum of the weights: how many were summed?",
        ),
        Mistake(
            "divided by one pass",
            _of(lambda before, after, wrong, m, passes: after.sum(axis=0) / m),
            "With one pass it is right. How many weights are there in several passes?",
        ),
        Mistake(
            "divided by the number of passes",
            _of(lambda before, after, wrong, m, passes: after.sum(axis=0) / passes),
            "The sum is right. It has an entry for every example of every pass, not one for each pass.",
        ),
        Mistake(
            "after mistakes only",
            _of(lambda before, after, wrong, m, passes: after[wrong].mean(axis=0)),
            "Only the weights after a mistake are counted: those that stay right for long should count more.",
        ),
        Mistake(
            "after mistakes only, divided by all",
            _of(lambda before, after, wrong, m, passes: after[wrong].sum(axis=0) / len(after)),
            "The weights are added after a mistake only, and divided by the number of all: add them for every example.",
        ),
        Mistake(
            "before each example",
            _of(lambda before, after, wrong, m, passes: before.mean(axis=0)),
            "These are the weights before each example: first the rule, then the sum.",
        ),
        Mistake(
            "with the start",
            _of(lambda before, after, wrong, m, passes: after.sum(axis=0) / (len(after) + 1)),
            "There is one weight vector too many in the mean: the zeros at the start do not count.",
        ),
        Mistake(
            "after each pass",
            _of(lambda before, after, wrong, m, passes: after[m - 1 :: m].mean(axis=0)),
            "That is the mean over the ends of the passes: asked for are the weights after every example.",
        ),
        Mistake(
            "last pass only",
            _of(lambda before, after, wrong, m, passes: after[-m:].mean(axis=0)),
            "That is the mean over the last pass: is the sum set to 0 where a pass begins?",
        ),
        Mistake(
            "first pass only",
            _of(lambda before, after, wrong, m, passes: after[:m].mean(axis=0)),
            "That is the mean over the first pass: does the loop end too early, or every pass begin with weights of 0?",
        ),
        Mistake(
            "stops when at rest",
            _of(lambda before, after, wrong, m, passes: after.mean(axis=0), least=0),
            "It stops after a pass without a mistake. The weights at rest count in all passes that are left, too.",
        ),
        Mistake(
            "stops when at rest, divided by all",
            _of(lambda before, after, wrong, m, passes: after.sum(axis=0) / (passes * m), least=0),
            "It stops after a pass without a mistake, and divides by all passes: the others add to the sum as well.",
        ),
        Mistake(
            "never begins",
            _of(lambda before, after, wrong, m, passes: after.mean(axis=0), mistake=lambda z, t: t * z < 0),
            "The weights stay 0: at the start every t z is 0, which counts as a mistake.",
        ),
        Mistake(
            "the output judged",
            _of(
                lambda before, after, wrong, m, passes: after.mean(axis=0),
                mistake=lambda z, t: (1 if z > 0 else -1) != t,
            ),
            "With t = -1 and z = 0 the output is right, and rule (1) counts a mistake all the same: it looks at t z.",
        ),
        Mistake(
            "t forgotten",
            _of(lambda before, after, wrong, m, passes: after.mean(axis=0), change=lambda x, target: x),
            "Every mistake adds x: with t = -1 it should be taken away.",
        ),
        Mistake(
            "one array, two names",
            _two_names,
            "Is there a line like `total = w`? That is one array with two names: what is added to one is in the other.",
        ),
        Mistake(
            "where it was right",
            _of(lambda before, after, wrong, m, passes: after[~wrong].sum(axis=0) / max(1, (~wrong).sum())),
            "Only the weights after examples that were right are counted: those after a mistake count as well.",
        ),
        Mistake(
            "half of the last",
            _of(lambda before, after, wrong, m, passes: reduce(lambda mean, w: (mean + w) / 2, after, 0 * after[0])),
            "(mean + w) / 2 gives half of the weight to the last one. In the mean all count the same.",
        ),
        Mistake(
            "sums of mistakes",
            _of(lambda before, after, wrong, m, passes: (after - before).mean(axis=0)),
            "That is the mean of the changes, not of the weights.",
        ),
    ),
    hints=(
        "Take the function `perceptron` from above. What has to be kept beside w, and when is it changed?",
        "Keep a second vector and add w to it after every example, mistake or not. Divide at the end.",
        "`total += w` stands in the inner loop, below the `if`, not inside; then `total / (passes * len(X))`.",
    ),
    explanation=(
        "Weights that stay right for many examples count often, those that are soon undone count little. Freund and "
        "Schapire proposed it as a cheap form of their voted perceptron. Only the number of passes is to be chosen."
    ),
)

EXERCISES = (_BATCH, _MEAN)
