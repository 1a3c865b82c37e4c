"""More exercises of notebook 08: what a few seeds and a chosen epoch can say."""

import numpy as np
from scipy.special import stdtrit

from .card import Case, Exercise, Mistake, Property

_ROUNDED = "Nearly: is something rounded? Leave that to whoever prints it."


def _near(value: float, known: dict[str, float | list[float]]) -> str:
    """The hint whose number this is, or one of its numbers; or ""."""
    return next((hint for hint, number in known.items() if np.isclose(value, number, rtol=1e-3, atol=1e-6).any()), "")


def standard_error(values: list[float]) -> float | None:
    """The standard error of the mean of a few independent figures: the ± of the table.

    values: at least one accuracy in %, one for each seed. Returns points, a number >= 0; None where there is a single
    value, which says nothing about its scatter.
    """
    if len(values) < 2:
        return None
    return np.std(values, ddof=1) / np.sqrt(len(values))


def _wrong_error(values):
    n, scatter = len(values), np.std(values, ddof=1)
    right = scatter / n**0.5
    known = {
        "The sum of squares is divided by n; the mean comes from the same values, so n - 1.": np.std(values) / n**0.5,
        "That is the scatter of a single seed. The mean of n seeds scatters less.": scatter,
        "That is the scatter of a single seed, and with n instead of n - 1. The mean scatters less.": np.std(values),
        "The mean of n figures scatters √n times less than one of them, not n times.": scatter / n,
        "n - 1 belongs under the sum of squares; the mean is √n times as precise.": scatter / (n - 1) ** 0.5,
        "That is a variance: the root is missing.": scatter**2,
        "That is the square of it: the root is missing at the end.": right**2,
        "That is the mean itself: how far would it move with other seeds?": np.mean(values),
        "That is the range: it grows with the number of seeds.": np.ptp(values),
        "These are absolute differences: square them, and take the root.": np.abs(values - np.mean(values)).mean(),
    }

    def wrong(answer) -> str:
        try:
            answer = float(answer)
        except (TypeError, ValueError):
            return "It is to be one number, in points."
        if np.isclose(answer, right, rtol=1e-4, atol=1e-6):
            return ""
        if np.isclose(answer, right, atol=0.006):
            return _ROUNDED
        return _near(answer, known) or "First the scatter of the values about their mean, then that of their mean."

    return wrong


def _error_cases():
    def case(about, *values):
        right = standard_error(values)
        return Case(about, (list(values),), Property(f"{right:.4f}", _wrong_error(np.array(values))))

    yield case("three seeds", 89.0, 90.0, 92.0)
    yield case("two seeds", 88.0, 90.0)
    yield case("ten seeds", 82.9, 82.2, 82.6, 81.9, 83.2, 83.0, 82.4, 82.8, 82.1, 82.7)
    yield case("four seeds that agree", 86.5, 86.5, 86.5, 86.5)
    yield Case("a single seed: None", ([80.6],), None)


def _for_one(value):
    return lambda values: value if len(values) < 2 else standard_error(values)


_ERROR = Exercise(
    notebook="08",
    title="a standard error",
    goal="know what the ± in the table is.",
    difficulty="easy",
    minutes=10,
    reference=standard_error,
    cases=_error_cases,
    mistakes=(
        Mistake("0 for one seed", _for_one(0.0), "0 would say that other seeds give the same. Nobody knows: None."),
        Mistake(
            "NaN for one seed", _for_one(np.nan), "Only the single seed is wrong: instead of NaN it is to give None."
        ),
    ),
    hints=(
        "How far do single seeds scatter about their mean? And how much less does the mean of n of them?",
        "The scatter is the root of (sum of squared differences from the mean) / (n - 1).",
        "`np.std(values, ddof=1)` is the scatter; divide it by the root of n. Before that, ask whether n is 1.",
    ),
    explanation=(
        "n - 1 makes up for the mean having been computed from the same values. A single run has no standard error: "
        "that is the situation of the paper's table."
    ),
)


def on_the_other_half(halves: np.ndarray) -> np.ndarray:
    """The epoch is chosen on one half of the test images and reported on the other; both ways, averaged.

    halves: shares of right answers on each half, shape (runs, epochs, 2). Of epochs that tie, the first is chosen.
    Returns a share for each run, shape (runs,).
    """
    chosen = halves.argmax(axis=1)[:, None, ::-1]  # for each half, the epoch that the other one chose
    return np.take_along_axis(halves, chosen, axis=1).mean(axis=(1, 2))


def _half_cases():
    yield Case("one run of two epochs", (np.array([[[0.5, 1.0], [0.75, 0.25]]]),))
    tied = [[0.75, 0.5], [0.75, 0.25], [0.25, 0.5]]
    yield Case("epochs that tie: the first", (np.array([tied]),))
    yield Case("two runs of a single epoch: nothing to choose", (np.array([[[0.5, 0.75]], [[1.0, 0.25]]]),))
    random = np.random.default_rng(0).integers(800, 900, size=(4, 6, 2)) / 1000
    yield Case("four runs of six epochs", (random,))


def _picked(halves, epochs):
    return np.take_along_axis(halves, epochs[:, None], axis=1)[:, 0]


_HALF = Exercise(
    notebook="08",
    title="choose by one half, report the other",
    goal="write a protocol that uses every test image and flatters nobody.",
    difficulty="middling",
    minutes=10,
    reference=on_the_other_half,
    cases=_half_cases,
    mistakes=(
        Mistake(
            "judged by itself",
            lambda halves: halves.max(axis=1).mean(axis=1),
            "Each half judges the epoch that it chose itself: that flatters. Report it on the other half.",
        ),
        Mistake(
            "last epoch",
            lambda halves: halves[:, -1].mean(axis=1),
            "That is the last epoch: nothing is chosen.",
        ),
        Mistake(
            "best of both halves together",
            lambda halves: halves.mean(axis=2).max(axis=1),
            "That is the paper's protocol: both halves together choose the epoch, and judge it.",
        ),
        Mistake(
            "the best figure of all",
            lambda halves: halves.max(axis=(1, 2)),
            "That is the highest figure of either half, with no epoch left to judge.",
        ),
        Mistake(
            "second half judges only",
            lambda halves: _picked(halves, halves.argmax(axis=1)[:, ::-1])[:, 1],
            "The first half chooses and the second reports. Do it the other way round as well, and take the mean.",
        ),
        Mistake(
            "first half judges only",
            lambda halves: _picked(halves, halves.argmax(axis=1)[:, ::-1])[:, 0],
            "The second half chooses and the first reports. Do it the other way round as well, and take the mean.",
        ),
        Mistake(
            "last of those that tie",
            lambda halves: on_the_other_half(halves[:, ::-1]),
            "Of epochs that tie the last one is taken: it should be the first.",
        ),
        Mistake(
            "epochs instead of shares",
            lambda halves: halves.argmax(axis=1).mean(axis=1),
            "These are the numbers of the chosen epochs: look up what the other half says of them.",
        ),
        Mistake(
            "in per cent",
            lambda halves: 100 * on_the_other_half(halves),
            "These are per cent: shares are asked for, as they came in.",
        ),
    ),
    hints=(
        "Which epoch would each half choose? Then: what does the *other* half say of that epoch?",
        "`halves.argmax(axis=1)` has shape (runs, 2): the epoch that each half chooses, the first of those that tie.",
        "Call its columns a and b, and take r = `np.arange(len(halves))`: then `halves[r, a, 1]` is one of the two.",
    ),
    explanation=(
        "Every image is used, and none judges an epoch that it helped to choose. The price: the choice is made by half "
        "of the images, so it is a poorer one."
    ),
)


def paired_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """By how many points a is ahead of b: the mean over the seeds, and a 95 % interval for it.

    a, b: shares of right answers of the same n >= 2 seeds in the same order, shape (n,). Returns (mean, low, high) in
    points: the mean of the n differences, and that mean ∓ the 0.975 quantile of Student's t with n - 1 degrees of
    freedom times the standard error of the differences. `stdtrit(degrees, 0.975)` gives the quantile.
    """
    gaps = 100 * (a - b)
    half = stdtrit(len(gaps) - 1, 0.975) * np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    return gaps.mean(), gaps.mean() - half, gaps.mean() + half


def _widths(a, b) -> dict[str, float | list[float]]:
    """What leads out of a wrong half width, and the half widths that it is for."""
    n, gaps = len(a), 100 * (a - b)
    t, error = stdtrit(n - 1, 0.975), np.std(gaps, ddof=1) / n**0.5
    biased = np.std(gaps) / n**0.5
    apart = 100 * np.hypot(np.std(a, ddof=1), np.std(b, ddof=1)) / n**0.5
    spread = [np.std(gaps, ddof=1), np.std(gaps), np.ptp(np.quantile(gaps, [0.025, 0.975])) / 2]
    return {
        "n - 1, not n, divides the sum of squares.": t * biased,
        "1.96 is for many seeds. With few of them Student's quantile is larger.": 1.96 * error,
        "1.96 is for many seeds, and n - 1, not n, divides the sum of squares.": 1.96 * biased,
        "2 is a rough 1.96, which is for many seeds. Student's quantile is larger.": 2 * error,
        "the quantile is missing; one standard error is no 95 % interval.": error,
        "n seeds have n - 1 degrees of freedom, not n.": stdtrit(n, 0.975) * error,
        "2.5 % are to be left out on each side: the 0.975 quantile.": stdtrit(n - 1, 0.95) * error,
        "n - 1 belongs under the sum of squares; the mean is √n times as precise.": t * error * (n / (n - 1)) ** 0.5,
        "so far apart are the differences themselves. How far would their mean move?": spread,
        "it is still a share, not points.": t * error / 100,
        "that is for a single seed. The mean of n seeds scatters √n times less.": t * error * n**0.5,
        "the mean of n scatters √n times less than one of them, not n times.": t * error / n**0.5,
        "a and b share their seeds. Take the scatter of the differences, seed by seed.": t * apart,
        "these are n pairs and not 2 n seeds: take the differences.": stdtrit(2 * n - 2, 0.975) * apart,
    }


def _wrong_interval(a, b):
    mean, low, high = paired_interval(a, b)
    widths = _widths(a, b)

    def wrong(answer) -> str:
        try:
            found = np.array([float(each) for each in answer])
        except (TypeError, ValueError):
            return "Three numbers are wanted: mean, low, high."
        if len(found) != 3:
            return f"Three numbers are wanted, mean, low and high, and here are {len(found)}."
        if np.allclose(found, [mean, low, high], rtol=1e-3, atol=1e-6):
            return ""
        if np.allclose(found, [mean, low, high], atol=0.006):
            return _ROUNDED
        if hint := _first_wrong(found, mean, high - mean):
            return hint
        width = _near((found[2] - found[1]) / 2, widths) or "a quantile times a standard error: print both of them."
        return f"The mean is right. The width: {width}"

    return wrong


def _first_wrong(found, mean, half) -> str:
    first, low, high = found
    if np.isclose(first, -mean, rtol=1e-3):
        return "The mean has the opposite sign: a minus b."
    if np.isclose(first, mean / 100, rtol=1e-3):
        return "These are shares: a point is a hundredth."
    if np.allclose([first, low], [mean - half, mean], rtol=1e-3):
        return "The order is mean, low, high."
    if not np.isclose(first, mean, rtol=1e-3, atol=1e-6):
        return "The mean is wrong already: that of a minus b, in points."
    if np.isclose(low, half, rtol=1e-3, atol=1e-6) or np.allclose([low, high], [-half, half], rtol=1e-3):
        return "That is how far the ends lie from the mean: return the ends themselves."
    if low > high:
        return "Low and high have changed places."
    return "" if np.isclose(high - mean, mean - low, rtol=1e-3) else "The mean is to lie in the middle of the interval."


def _interval_cases():
    def case(about, a, b):
        a, b = np.array(a), np.array(b)
        told = "({:.4f}, {:.4f}, {:.4f})".format(*paired_interval(a, b))
        return Case(about, (a, b), Property(told, _wrong_interval(a, b)))

    yield case("three seeds", [0.90, 0.92, 0.91], [0.89, 0.90, 0.88])
    yield case("two seeds", [0.83, 0.85], [0.84, 0.85])
    yield case("three seeds, the same difference in each", [0.75, 0.5, 0.625], [0.625, 0.375, 0.5])
    rng = np.random.default_rng(0)
    yield case("five seeds", rng.integers(820, 860, size=5) / 1000, rng.integers(820, 860, size=5) / 1000)
    yield case("ten seeds", rng.integers(860, 880, size=10) / 1000, rng.integers(855, 875, size=10) / 1000)


_INTERVAL = Exercise(
    notebook="08",
    title="an interval for a lead",
    goal="say what a few seeds can and cannot show.",
    difficulty="harder",
    minutes=15,
    reference=paired_interval,
    cases=_interval_cases,
    mistakes=(),
    hints=(
        "Pairs: what matters is the difference under one and the same seed. How many numbers does that leave?",
        "Take the n differences in points, their mean, and their standard error as in exercise 4.",
        "half = `stdtrit(n - 1, 0.975)` times the standard error of the differences; then mean - half and mean + half.",
    ),
    explanation=(
        "What both rules owe to the seed drops out of the difference. Student's quantile makes up for a scatter "
        "that is estimated from few seeds: 12.7 for two, 4.3 for three, 2.3 for ten, and 1.96 for very many. "
        "For a single seed there is no interval."
    ),
)

EXERCISES = (_ERROR, _HALF, _INTERVAL)
