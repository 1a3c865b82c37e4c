"""The exercises of notebook 02, last part: conflicts add up to a bound."""

import operator

import numpy as np

from ..separability import Certificate, separate
from .card import Case, Exercise, Property


def conflicts(X: np.ndarray, t: np.ndarray) -> list[list[int]]:
    """Rows that no unit can get right together: several such sets without a common row.

    X: inputs, (m, n). t: targets, (m,), -1 or +1, or 0 for rows that do not count. Returns lists of row numbers. Each
    has at most n + 2 rows, and no unit gives all of their targets. No row stands in two of them. A unit gives the
    targets of all rows that are left over.
    """
    t, found = np.array(t), []
    while (verdict := separate(X, t)).separable is False:
        found.append(verdict.support.tolist())
        t[verdict.support] = 0
    return found


def _wrong_conflicts(X: np.ndarray, t: np.ndarray):
    def wrong(found) -> str:
        if isinstance(found, int | float | np.number):
            return "That is a number. Give the lists themselves: how many they are, everybody can count."
        try:
            found = [sorted({operator.index(i) for i in each}) for each in found]
        except TypeError:
            return _no_numbers(found)
        if not all(0 <= i < len(X) for each in found for i in each):
            return f"Row numbers go from 0 to {len(X) - 1}."
        return _no_conflict(X, t, found) or _shared_or_left(X, t, found)

    return wrong


_SHIFTED = "(If you leave rows out of X, the others get new numbers.)"


def _no_numbers(found) -> str:
    if isinstance(found, Certificate) or (np.iterable(found) and any(isinstance(each, Certificate) for each in found)):
        return "The rows of a certificate are its `support`: give these."
    return "It is to be a list of lists of whole numbers, the rows of each conflict (and no coefficients)."


def _no_conflict(X, t, found) -> str:
    for rows in found:
        if any(t[i] == 0 for i in rows):
            return f"{rows}: a row with the target 0 has no wish, so nobody can get it wrong."
        if not rows or separate(X[rows], t[rows]).separable:
            return f"{rows}: one unit gives all of these targets, so they force no error. {_SHIFTED}"
        if len(rows) > X.shape[1] + 2:
            return f"{rows}: a certificate needs n + 2 rows at most. What is superfluous is lost to other conflicts."
    return ""


def _shared_or_left(X, t, found) -> str:
    taken = [i for each in found for i in each]
    twice = sorted({i for i in taken if taken.count(i) > 1})
    if twice:
        return f"Row {twice[0]} is in two of them: one error in it may be all that both cost. {_SHIFTED}"
    left = np.array(t)
    left[taken] = 0
    if separate(X, left).separable is False:
        return "Among the other rows there is a conflict left: go on, until a unit gives what remains."
    return ""


def _conflict_cases():
    def case(about, X, t):
        X, t = np.array(X, float), np.array(t)
        return Case(about, (X, t), Property("lists of rows, as asked for", _wrong_conflicts(X, t)))

    square, xor = [[-1, -1], [-1, 1], [1, -1], [1, 1]], [-1, 1, 1, -1]
    yield case("XOR", square, xor)
    yield case("AND: a unit gives it", square, [-1, -1, -1, 1])
    yield case("seven instances on a line", np.arange(7)[:, None], [1, -1] * 3 + [1])
    yield case("XOR where one row does not count, and a pair", [*square, [3, 3], [3, 3]], [0, *xor[1:], 1, -1])
    twins = np.random.default_rng(0).standard_normal((5, 3)).round(2)
    yield case("the same points with both targets, three inputs", np.r_[twins, twins], [1] * 5 + [-1] * 5)
    rng = np.random.default_rng(1)
    yield case("thirty instances at random", rng.standard_normal((30, 2)).round(2), rng.choice([-1, 1], 30))


_CONFLICTS = Exercise(
    notebook="02",
    title="a bound from conflicts",
    goal="prove how many errors a single unit must make.",
    difficulty="harder",
    minutes=20,
    reference=conflicts,
    cases=_conflict_cases,
    mistakes=(),
    hints=(
        "`separate(X, t)` finds one conflict: the `support` of its certificate. How do you make it find another one?",
        "It ignores rows with the target 0. Set the rows of a conflict to 0, in a copy of t, and ask again.",
        "`while (verdict := separate(X, t)).separable is False:` note `verdict.support.tolist()`, put zeros there.",
    ),
    explanation=(
        "No unit gets all rows of a conflict right, so each costs an error, and conflicts without a common row cost "
        "one each: as many as there are lists, errors are at least. It is only a bound. Two lists for the twenty "
        "moons are the truth, since the exact optimum with one unit is 2. For fifty images of pullovers and coats "
        "there is one list of 12 rows, and the least number of errors is 2; big conflicts use up the rows. "
        "`fewest_errors` goes on from here: it looks for the fewest rows that hit *every* conflict."
    ),
    by_hand=False,
)

EXERCISES = (_CONFLICTS,)
