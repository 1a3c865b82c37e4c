"""The exercises of notebook 02: every printed solution passes its check, and plausible wrong answers do not."""

import exercises
import hygiene
import pytest

from ftpkit.search.problem import Spent

BOOK = exercises.Book("02_targets_by_search")

CERTIFICATE = """
def is_certificate(X, t, support, coefficients):
    signed = [int(t[i]) * {number}(c) for i, c in zip(support, coefficients)]
    if {refused}:
        return False
    return all(sum(v * {number}(float(X[i, k])) for v, i in zip(signed, support)) == 0 for k in range(X.shape[1]))
"""
NOT_POSITIVE = "not all(c > 0 for c in coefficients)"
NOT_ONE = "sum(v for v in signed if v > 0) != 1 or sum(signed) != 0"
WRONG = {
    1: [
        CERTIFICATE.format(number="Fraction", refused=NOT_POSITIVE),
        CERTIFICATE.format(number="Fraction", refused=f"{NOT_POSITIVE} or sum(signed) != 0"),
        CERTIFICATE.format(number="Fraction", refused="sum(v for v in signed if v > 0) < 0 or sum(signed) != 0"),
        "def is_certificate(X, t, support, coefficients):\n"
        "    mixture = sum(t[i] * float(c) * X[i] for i, c in zip(support, coefficients))\n"
        "    sides = [sum(c for i, c in zip(support, coefficients) if t[i] == s) for s in (1, -1)]\n"
        "    return bool(np.allclose(mixture, 0)) and sides == [1, 1] and all(c > 0 for c in coefficients)",
        "def is_certificate(X, t, support, coefficients):\n    return separate(X, t).separable is False",
    ],
    2: [
        "def climb_out(T, evaluate):\n    return climb(T, evaluate)[0]",
        "def climb_out(T, evaluate):\n    return np.c_[columns[solving[0][0]], columns[solving[0][1]]]",
        "def climb_out(T, evaluate):\n    evaluate([T])\n    return np.c_[y, y]",
        "def climb_out(T, evaluate):\n    while evaluate([T]) > 0:\n        T = T * [-1, 1]\n    return T",
    ],
    3: [
        f"def my_rule(view, rng):\n    g = view.gradient()\n    return {answer}"
        for answer in (
            "np.sign(g), np.abs(g)",
            "np.where(g == 0, view.h, np.sign(g)), np.abs(g)",
            "np.where(g == 0, view.h, -np.sign(g)), np.where(g == 0, 1, np.abs(g))",
            "np.where(g == 0, view.h, np.sign(g)), np.ones(g.shape)",
            "np.where(g == 0, 1, np.sign(g)), np.where(g == 0, 1, np.abs(g))",
        )
    ],
    4: [
        "def at_least(X, t):\n    return int(separate(X, t).separable is False)",
        "def at_least(X, t):\n    bound = 0\n    while (v := separate(X, t)).separable is False:\n"
        "        t[v.support] = 0\n        bound += 1\n    return bound",
        "def at_least(X, t):\n    v = separate(X, t)\n    return len(v.support) if v.separable is False else 0",
        "def at_least(X, t):\n    t, bound = np.array(t), 0\n    while (v := separate(X, t)).separable is False:\n"
        "        t[v.support[0]] = 0\n        bound += 1\n    return bound + 2",
    ],
    5: [
        "def largest_m(settings):\n    m = 1\n    while settings(m) <= 10**9:\n        m += 1\n    return m",
        "def largest_m(settings):\n    m = 1\n    while settings(m + 1) < 10**9:\n        m += 1\n    return m",
        "def largest_m(settings):\n    return 9",
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin; figures and cells that are not compared are left out."""
    names = {"__name__": "__main__"}
    excused = hygiene.excused(BOOK.notebook)
    for i, (kind, source) in enumerate(BOOK.before):
        if kind == "code" and i not in excused:
            exec(source.partition("plots.show(")[0], names)
        if names.get("by_enumeration") is not None:  # what comes after it, exercises do not use
            break
    return BOOK.begin(names)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right_and_the_stub_unsolved(namespace, number):
    exercise = BOOK.exercises[number]
    assert exercise.attempt(namespace, exercise.stub) == "not solved yet\n"
    assert exercise.attempt(namespace, exercise.solution).startswith("right")


@pytest.mark.parametrize(("number", "answer"), [(n, a) for n, answers in WRONG.items() for a in answers])
def test_wrong_answers_are_found_out(namespace, number, answer):
    with pytest.raises((AssertionError, Spent)):
        BOOK.exercises[number].attempt(namespace, answer)
