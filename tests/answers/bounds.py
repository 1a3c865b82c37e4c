"""Answers to the exercises of notebook 02, last part."""

import numpy as np

from answers import Answers
from ftpkit.separability import fewest_errors, separate


def conflicts_by_leaving_rows_out(X, t):
    rows, found = [i for i in range(len(t)) if t[i] != 0], []
    while len(rows):
        verdict = separate(X[rows], t[rows])
        if verdict.separable:
            break
        found.append({rows[k] for k in verdict.support})
        rows = [i for i in rows if i not in found[-1]]
    return found


def conflicts_from_the_other_end(X, t):
    verdict = separate(X[::-1], t[::-1])
    if verdict.separable:
        return ()
    rows = len(t) - 1 - verdict.support
    rest = np.where(np.isin(np.arange(len(t)), rows), 0, t)
    return (rows, *conflicts_from_the_other_end(X, rest))


def conflicts_while(step, stop=50):
    """A loop as it should be, but with another step: (t, verdict, found) -> what is appended."""

    def answer(X, t):
        t, found = t.copy(), []
        while len(found) < stop and (verdict := separate(X, t)).separable is False:
            found.append(step(t, verdict))
        return found

    return answer


def drop_first_row_only(t, verdict):
    t[verdict.support[0]] = 0
    return verdict.support


def drop_and_give_coefficients(t, verdict):
    t[verdict.support] = 0
    return list(verdict.coefficients)


def drop_and_give_certificate(t, verdict):
    t[verdict.support] = 0
    return verdict


def conflicts_numbered_anew(X, t):
    found = []
    while not (verdict := separate(X, t)).separable:
        found.append(verdict.support)
        X, t = np.delete(X, verdict.support, 0), np.delete(t, verdict.support)
        if len(t) == 0:
            break
    return found


def errors_of_one_line(X, t):
    _, weights = fewest_errors(X, t)
    z = X @ weights[:-1] + weights[-1]
    return [[i] for i in np.flatnonzero(t * z <= 0) if t[i]]


def right_lists(X, t):
    return conflicts_by_leaving_rows_out(X, t)


ANSWERS = {
    "conflicts": Answers(
        right=[conflicts_by_leaving_rows_out, conflicts_from_the_other_end],
        wrong={
            "property / the number": lambda X, t: len(right_lists(X, t)),
            "property / one only": lambda X, t: right_lists(X, t)[:1],
            "property / one row dropped": conflicts_while(drop_first_row_only),
            "property / coefficients": conflicts_while(drop_and_give_coefficients),
            "property / certificates": conflicts_while(drop_and_give_certificate),
            "property / numbered anew": conflicts_numbered_anew,
            "property / the errors of one line": errors_of_one_line,
            "property / all rows in one": lambda X, t: [np.flatnonzero(t)] if right_lists(X, t) else [],
            "property / target of 0 treated as -1": lambda X, t: right_lists(X, np.where(t > 0, 1, -1)),
            "property / from 1": lambda X, t: [np.array([*rows]) + 1 for rows in right_lists(X, t)],
            "property / first case": lambda X, t: [[0, 1, 2, 3]],
            "nothing returned": lambda X, t: right_lists(X, t) is None or None,
        },
    ),
}
