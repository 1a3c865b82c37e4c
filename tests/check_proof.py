"""Check a proof that no hard-threshold network of a given shape makes fewer errors: `python tests/check_proof.py FILE`.

A proof is a JSON object, written by the exact search; this file shares no code with it.

    X, y, hidden     the problem: numbers (m, n), labels -1 or +1 (m,), widths of the hidden layers, first one first
    value, bound     the errors of the network below; a number that no network of this shape can go below
    proved           true if the two are equal
    targets          for each hidden layer (m, width): what its units give on X
    weights          for each layer (width, inputs + 1), bias last: numbers, or strings "p/q"
    cuts             facts about perceptrons: {layer, points, signs, coefficients, instances}

A cut says that no perceptron gives its points these signs, nor the opposite ones: the points of either sign, weighted
by the coefficients, have the same mean. In layer 1 the points are rows of X, numbered by `instances`; deeper they are
corners of the cube of the layer before, `instances` is null, and the cut holds for its mirror images as well. The bound
follows: no fewer errors are possible even if layer 1 gives X any columns that its cuts allow, and each deeper unit
is any function of the layer before that the cuts of its layer allow. Small problems are enumerated; where that is too
much, HiGHS solves an integer program in floating point, and the report says so.
"""

import json
import sys
from fractions import Fraction
from itertools import combinations_with_replacement, islice, permutations, product
from math import comb
from pathlib import Path

import numpy as np

MOST = 10**9  # settings that are enumerated at most: units of a layer by functions behind it
PART = 2 * 10**7  # signs in memory at once
WIDE = 5  # from this width on mirror images are too many, and cuts are used as they are


class Refused(Exception):
    """The proof does not hold; the message says where."""


def check(proof):
    """One sentence on what `proof`, a dict as above, shows; raises Refused, with the reason, if it shows less."""
    try:
        return _check(proof)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise Refused(f"this is not a proof in the format: {error!r}") from error


def _check(proof):
    X = [[Fraction(float(x)) for x in row] for row in proof["X"]]
    y, hidden, value, bound = proof["y"], proof["hidden"], proof["value"], proof["bound"]
    _need(len(X) == len(y) > 0 and set(y) <= {-1, 1}, "y needs a label -1 or +1 for every row of X")
    _need(len({len(row) for row in X}) == 1, "the rows of X differ in length")
    _need(all(type(k) is int and k > 0 for k in hidden), "widths must be positive integers")
    _need(
        type(bound) is type(value) is int and 0 <= bound <= value,
        f"a bound of {bound} errors does not fit a network that makes {value}",
    )
    _need(proof["proved"] is (bound == value), "`proved` does not say whether value and bound are equal")
    _check_network(X, y, hidden, value, proof["targets"], proof["weights"])
    for number, cut in enumerate(proof["cuts"]):
        _check_cut(cut, X, hidden, f"cut {number}")
    least, how = least_errors(y, hidden, proof["cuts"], bound)
    _need(least >= bound, f"the cuts allow {least} errors, so they do not prove a bound of {bound}")
    shown = f"{value} errors are the optimum" if bound == value else f"between {bound} and {value} errors, not proved"
    return f"{shown}; {len(proof['cuts'])} cuts checked, bound {how}"


def _need(condition, message):
    if not condition:
        raise Refused(message)


def _check_network(X, y, hidden, value, targets, weights):
    """Run the network in rationals, sign(0) = -1."""
    shapes = list(zip([*hidden, 1], [len(X[0]), *hidden], strict=True))
    _need(len(weights) == len(shapes) == len(targets) + 1, "each layer needs weights, each hidden layer targets")
    h = X
    for d, (W, (rows, columns)) in enumerate(zip(weights, shapes, strict=True), start=1):
        _need(
            [len(w) for w in W] == [columns + 1] * rows, f"layer {d}: weights of shape ({rows}, {columns + 1}) needed"
        )
        W = [[Fraction(a) for a in w] for w in W]
        z = [[sum(a * x for a, x in zip(w, row, strict=False)) + w[-1] for w in W] for row in h]
        h = [[1 if a > 0 else -1 for a in row] for row in z]
        _need(d > len(hidden) or h == targets[d - 1], f"layer {d}: the weights do not give the targets")
    errors = sum(out != [label] for out, label in zip(h, y, strict=True))
    _need(errors == value, f"the network makes {errors} errors, not {value}")


def _check_cut(cut, X, hidden, name):
    layer, signs, instances = cut["layer"], cut["signs"], cut["instances"]
    _need(layer in range(1, len(hidden) + 2), f"{name}: there is no layer {layer}")
    points = [[Fraction(float(x)) for x in p] for p in cut["points"]]  # "0.1" is the float nearest to a tenth
    coefficients = [Fraction(c) for c in cut["coefficients"]]
    n = len(X[0]) if layer == 1 else hidden[layer - 2]
    fits = len(points) == len(signs) == len(coefficients) <= n + 2
    _need(fits, f"{name}: the support must be at most {n + 2} points, each with a sign and a coefficient")
    _need(set(signs) <= {-1, 1}, f"{name}: signs are -1 or +1")
    if layer == 1:
        fits = len(instances) == len(points) and all(type(i) is int and 0 <= i < len(X) for i in instances)
        _need(fits and [X[i] for i in instances] == points, f"{name}: the points are not these rows of X")
    else:
        corners = all(len(p) == n and set(p) <= {-1, 1} for p in points)
        _need(corners and instances is None, f"{name}: the points are not corners of the cube of layer {layer - 1}")
    _need(all(c > 0 for c in coefficients), f"{name}: a coefficient is not positive")
    weighed = list(zip(signs, coefficients, [[*p, Fraction(1)] for p in points], strict=True))
    both = [[sum(c * p[k] for s, c, p in weighed if s == side) for k in range(n + 1)] for side in (1, -1)]
    _need(both[0][n] == both[1][n] == 1, f"{name}: the coefficients of a sign do not add up to 1")
    _need(both[0] == both[1], f"{name}: the two means differ, so a perceptron may give these signs")


def least_errors(y, hidden, cuts, enough):
    """(errors, how): the fewest that the cuts allow; if not fewer than `enough`, any number from there on."""
    if enough == 0:
        return 0, "trivial"
    case = np.array(y, dtype=np.int8), hidden, clauses_of(cuts, hidden), enough
    found = enumerated(*case)
    return (programmed(*case), "by HiGHS in floating point") if found is None else (found, "by enumeration")


def clauses_of(cuts, hidden):
    """For each layer a set of clauses: frozensets of (instance or corner, sign) of which one at least must be wrong."""

    def both(places, signs):
        return {frozenset(zip(places, (s * sign for sign in signs), strict=True)) for s in (1, -1)}

    clauses = [set() for _ in [*hidden, 1]]
    for cut in cuts:
        known, signs = clauses[cut["layer"] - 1], cut["signs"]
        if cut["layer"] == 1:
            known |= both(cut["instances"], signs)
            continue
        corners = np.array(cut["points"], dtype=float)
        n = corners.shape[1]
        powers = 1 << np.arange(n)[::-1]
        if n >= WIDE or not both(((corners > 0) @ powers).tolist(), signs) <= known:
            for flips in product((1, -1), repeat=n) if n < WIDE else [[1] * n]:
                mirrored = corners * flips > 0
                for order in permutations(range(n)) if n < WIDE else [range(n)]:
                    known |= both((mirrored[:, order] @ powers).tolist(), signs)
    return clauses


def _columns(numbers, size):
    """The binary digits of the numbers, the highest first, as signs: int8, shape (numbers, size)."""
    return np.where(numbers[:, None] >> np.arange(size)[::-1] & 1, 1, -1).astype(np.int8)


def _allowed(size, clauses):
    """All columns of `size` signs that break no clause, one of each and its negative: int8, shape (columns, size)."""
    columns = _columns(np.arange(2 ** (size - 1)) | 2 ** (size - 1), size)
    for clause in clauses:
        places, signs = map(list, zip(*clause, strict=True))
        columns = columns[(columns[:, places] != signs).any(axis=1)]
    return columns


def _corner_numbers(columns, width, part):
    """The corner of each instance, shape (ways, m), for all ways to give the columns to the units, `part` at once."""
    bits = (columns > 0).astype(np.int16)
    ways = combinations_with_replacement(range(len(bits)), width)
    while some := list(islice(ways, part)):
        yield sum(bits[list(unit)] << (width - 1 - j) for j, unit in enumerate(zip(*some, strict=True)))


def enumerated(y, hidden, clauses, enough):
    """The fewest errors, exactly; None if there are too many settings. Clauses come in pairs, so that a column and its
    negative are both allowed, and deeper ones with all mirror images, so that a layer may as well have either."""
    sizes = [len(y), *(2**width for width in hidden)]
    if len(y) > 20 or max(sizes[1:], default=0) > 16:
        return None
    tables = [_allowed(size, c) for size, c in zip(sizes, clauses, strict=True)]
    if not hidden:
        wrong = np.count_nonzero(tables[0] != y, axis=1)
        return int(np.minimum(wrong, len(y) - wrong).min())
    # From the back: all functions of a layer's outputs that the layers behind it can compute, as columns of its corners
    functions = tables[-1]
    for table, width in zip(tables[-2:0:-1], hidden[:0:-1], strict=True):
        if comb(len(table) + width - 1, width) * len(functions) > MOST:
            return None
        size, seen = table.shape[1], np.zeros(2 ** table.shape[1], dtype=bool)
        for numbers in _corner_numbers(table, width, PART // (len(functions) * size) + 1):
            same = functions[:, numbers] == functions[:, numbers[:, :1]]  # as the first corner, which is taken for +1
            seen[same @ (1 << np.arange(size)[::-1])] = True
        functions = _columns(np.flatnonzero(seen), size)
    functions = np.concatenate([functions, -functions])
    if comb(len(tables[0]) + hidden[0] - 1, hidden[0]) * len(functions) > MOST:
        return None
    least = len(y)
    for numbers in _corner_numbers(tables[0], hidden[0], PART // (len(functions) + 2 * sizes[1]) + 1):
        count = np.zeros((2, len(numbers), sizes[1]), dtype=np.float32)  # instances of either label at each corner
        for i, label in enumerate(y):
            count[int(label > 0), np.arange(len(numbers)), numbers[:, i]] += 1
        errors = count[0] @ (functions > 0).T + count[1] @ (functions < 0).T
        least = min(least, int(errors.min()))
        if least < enough:
            break
    return least


def programmed(y, hidden, clauses, enough, seconds=300):
    """The same by an integer program: a bit per instance and unit, tables of the deeper units, and a bit that says that
    an instance is at a corner. Raises Refused when HiGHS does not finish."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    rows, least, size = [], [], 0

    def variables(count, each):
        nonlocal size
        size += count * each
        return np.arange(size - count * each, size).reshape(count, each)

    def at_least(bound, *terms):
        rows.append(terms)
        least.append(bound)

    def obey(bits, layer):
        for clause in clauses[layer]:
            at_least(1 - sum(s > 0 for _, s in clause), *((bits[k], -s) for k, s in clause))

    outputs = variables(len(y), [*hidden, 1][0])
    lowest = outputs[0] if hidden and hidden[0] < WIDE else []  # a column or its negative: the first sign is +1
    for bits in outputs.T:
        obey(bits, 0)
    for layer, width in enumerate([*hidden[1:], 1] if hidden else [], start=1):
        inputs, outputs = outputs, variables(len(y), width)
        corners = list(product((0, 1), repeat=inputs.shape[1]))
        at, table = variables(len(y), len(corners)), variables(width, len(corners))
        for bits in table:
            obey(bits, layer)
        for i, (c, corner) in product(range(len(y)), enumerate(corners)):
            equal = [(v, 1 - 2 * b) for v, b in zip(inputs[i], corner, strict=True)]
            at_least(1 - sum(corner), (at[i, c], 1), *equal)  # all inputs as at this corner: at = 1
            for j in range(width):  # and then output = table
                at_least(-1, (outputs[i, j], 1), (table[j, c], -1), (at[i, c], -1))
                at_least(-1, (outputs[i, j], -1), (table[j, c], 1), (at[i, c], -1))
    # A label +1 costs 1 - output, a label -1 costs output; fewer than `enough` are asked for
    positive = int(np.count_nonzero(y > 0))
    at_least(positive - enough + 1, *zip(outputs[:, 0], y.tolist(), strict=True))
    cost, low = np.zeros((2, size))
    cost[outputs[:, 0]], low[lowest] = -y, 1
    r, v, a = np.array([(r, v, a) for r, terms in enumerate(rows) for v, a in terms]).T
    limits = LinearConstraint(csr_array((a.astype(float), (r, v)), shape=(len(rows), size)), lb=least)
    found = milp(cost, integrality=1, bounds=Bounds(low, 1), constraints=limits, options={"time_limit": seconds})
    _need(found.status in (0, 2), f"HiGHS could not check the bound: {found.message}")
    return enough if found.status == 2 else positive + round(found.fun)


def main(arguments):
    if len(arguments) != 1:
        return "usage: python tests/check_proof.py FILE.json"
    try:
        print("proof holds:", check(json.loads(Path(arguments[0]).read_text())))
    except (Refused, ValueError) as reason:
        print("proof refused:", reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
