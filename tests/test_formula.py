"""Formulas for layer losses: random ones against Python's own arithmetic, and whatever is no formula is refused."""

import ast
import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftpkit import LOSSES, Loss, QuantReLU, Rule, Sign, as_rule
from ftpkit.formula import Derivative, Formula, as_loss
from ftpkit.grammar import FUNCTIONS, KNOWN, LONGEST, FormulaError
from ftpkit.names import as_activation, label
from ftpkit.race import Race, run
from ftpkit.surrogate import properties, surrogate

# --- random formulas against an oracle -------------------------------------------------------------------------

ORACLE = {
    "abs": abs,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "sign": lambda x: (x > 0) - (x < 0),
    "softplus": lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))),
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "where": lambda condition, x, y: x if condition else y,
}

NUMBERS = st.one_of(st.integers(0, 9).map(str), st.floats(0.01, 9).map(lambda x: f"{x:.3g}"), st.just("1e-2"))
ATOMS = st.one_of(st.sampled_from(["z", "t", "t*z", "-t*z", "z"]), NUMBERS)


def _grown(parts):
    def call(name, count):
        return st.lists(parts, min_size=count, max_size=count).map(lambda xs: f"{name}({', '.join(xs)})")

    pairs = st.tuples(parts, st.sampled_from(["+", "-", "*"]), parts).map(" ".join)
    compared = st.tuples(parts, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), parts).map(" ".join)
    return st.one_of(
        pairs.map("({})".format),
        compared.map("({})".format),
        st.tuples(parts, parts).map("({0[0]}) / (1 + abs({0[1]}))".format),
        st.tuples(parts, st.integers(0, 3)).map("({0[0]})**{0[1]}".format),
        parts.map("-({})".format),
        parts.map("exp(-abs({}))".format),
        parts.map("log(1 + exp(-abs({})))".format),
        parts.map("sqrt(1 + abs({}))".format),
        *(call(name, 1) for name in ("abs", "sigmoid", "sign", "softplus", "tanh")),
        *(call(name, 2) for name in ("max", "min")),
        *(call(name, 3) for name in ("max", "clamp", "where")),
    )


FORMULAS = st.recursive(ATOMS, _grown, max_leaves=6).map("{} - t*z / 4".format)
POINTS = [-20.0, -3.0, -1.0, -0.4, 0.0, 0.7, 1.0, 2.5, 20.0]


@settings(max_examples=150, deadline=None)
@given(FORMULAS)
def test_random_formulas_have_the_value_that_python_gives_them(text):
    z = torch.tensor(POINTS, dtype=torch.float64)
    try:
        formula = Formula(text)
    except FormulaError as refusal:
        assert len(text) > LONGEST or "not a finite number" in str(refusal), refusal
        return
    for t in (-1, 1):
        code = compile(text, "text", "eval")
        expected = [float(eval(code, {"__builtins__": {}}, ORACLE | {"z": at, "t": t})) for at in POINTS]
        np.testing.assert_allclose(formula(z, t), expected, rtol=1e-7, atol=1e-7, err_msg=text)


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_random_formulas_have_the_slope_that_a_difference_measures(text):
    try:
        loss = Formula(text).loss()
    except FormulaError:
        return
    for t in (-1, 1):
        slope, step = loss.derivative, 1e-5
        z = torch.linspace(-2.97, 3.03, 301, dtype=torch.float64)
        left, here, right = (loss.value(z + k * step, t) for k in (-1, 0, 1))
        most = slope(z, t).abs().max().clamp(min=1)
        smooth = (right - 2 * here + left).abs() <= 1e-4 * step * most
        gap = (slope(z, t) - (right - left) / (2 * step)).abs()[smooth]
        assert smooth.sum() > 200 and gap.max() <= 1e-3 * most, text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-t*z", "Linear"),
        ("1 - clamp(t*z, -1, 1)", "SaturatedHinge"),
        ("tanh(-t*z) + 1", "SoftHinge"),
        ("sigmoid(-2*t*z)", "Sigmoid"),
        ("max(0, 1 - t*z)", "Hinge"),
        ("max(0, -t*z)", "Perceptron"),
        ("log(1 + exp(-t*z))", "LogLoss"),
        ("log(exp(-t*z) + 1)", "LogLoss"),
        ("max(0, 1 - t*z)**2", "SquaredHinge"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_built_in_losses_written_as_formulas(text, name, dtype):
    own, z = as_loss(f"formula:{text}"), torch.linspace(-30, 30, 601, dtype=torch.float64) + 1e-3
    z = torch.cat([z, torch.tensor([-200.0, 200.0])]).to(dtype)
    t = torch.where(torch.arange(len(z)) % 2 == 0, 1.0, -1.0).to(dtype)
    near = dict(rtol=4 * torch.finfo(dtype).eps, atol=8 * torch.finfo(dtype).eps)
    if dtype == torch.float64:
        near["atol"] = 1e-8  # torch's softplus is z itself beyond 20
    for part in ("value", "derivative"):
        out, expected = getattr(own, part)(z, t), getattr(LOSSES[name], part)(z, t)
        assert out.dtype == dtype and out.shape == z.shape and out.isfinite().all()
        away = (z.abs() - 1).abs() > 0.02 if part == "derivative" else z == z
        away &= z.abs() > 0.02
        torch.testing.assert_close(out[away], expected[away], **near)


def test_at_a_tie_the_derivative_is_the_mean_of_both_sides():
    hinge = Derivative(Formula("max(0, 1 - t*z)"))
    assert hinge(torch.tensor([1.0, 1.5, 0.5]), 1).tolist() == [-0.5, 0.0, -1.0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (4,), (2, 3)])
def test_any_shape(shape):
    loss, z = as_loss("formula:where(t*z < 2, 1, exp(2 - t*z)) - 0.1*t"), torch.randn(shape)
    t = torch.where(torch.rand(shape) < 0.5, -1.0, 1.0)
    for part in (loss.value, loss.derivative):
        assert part(z, t).shape == part(z, 1).shape == shape and part(z, t).dtype == torch.float32


# --- what is refused -------------------------------------------------------------------------------------------

REFUSED = {
    "": "the formula is empty",
    "t": "does not look at z",
    "2": "does not look at z",
    "tahn(-t*z)": r"'tahn' at character 1 of .*did you mean 'tanh'",
    "1 - tz": r"'tz' at character 5 of '1 - tz' is not known .did you mean 't\*z'",
    "1 - t z": r"cannot be read at character 5: .* a product is written with a star, t\*z",
    "2z": r"cannot be read at character 1: .* a product is written with a star",
    "2 tanh(z)": "a product is written with a star",
    "z(3)": r"'z' at character 1 of 'z\(3\)' is no function",
    "z^2": r"'\^' in 'z\^2' is not known: a power is written with two stars",
    "tanh(z": r"at character 5: '\(' was never closed",
    "tanh": "wants its arguments in brackets",
    "tanh + z": "wants its arguments in brackets",
    "max(z)": "takes 2 to 8 arguments, not 1",
    "tanh()": "takes 1 argument, not 0",
    "where(z, 1)": "takes 3 arguments, not 2",
    "max(*z)": "takes 2 to 8 arguments, not 1",
    "max(*z, *t)": r"'\*z' at character 5",
    "exp(x=z)": "is not known",
    "z if t else 1": "is not known",
    "z and t": "is not known",
    "not z": "is not known",
    "~z": "character '~' at 1|'~' at character 1",
    "z % 2": "is not known",
    "z // 2": "is not known",
    "z @ t": "'@' at character 3",
    "True * z": "'True' at character 1",
    "1j * z": "'1j' at character 1",
    "x*z": "'x' at character 1",
    "z**z": "exponent at character 4",
    "z**21": "must be a number, at most 20",
    "9**9**9**9*z": "must be a number, at most 20",
    "z**-(-99)": "must be a number, at most 20",
    "z*1e999": "above 1e[+]06",
    "z*" + "9" * 150: "above 1e[+]06",
    "z = 1": "cannot be read at character 3",
    "z := 1": "':' at character 3",
    "lambda z: z": "':' at character 9",
    "[z for z in t]": r"'\[' at character 1",
    "z.__class__": "'z.__class__' at character 1",
    "z.real": "'z.real' at character 1",
    "__import__('os').system('true')": '"\'" at character 12',
    "__import__(z)": "'__import__' at character 1",
    "eval(z)": "'eval' at character 1",
    "().__class__ + z": "is not known",
    "exp.__globals__": "is not known",
    "(z, t)": "is not known",
    "z; t": "';' at character 2",
    "z # t": "'#' at character 3",
    "z\\": r"at character 2",
    "z\0": "at character 2",
    "−z": "'−' at character 1",
    "z²": "'²' at character 2",
    "ｚ": "'ｚ' at character 1",
    "(" * 150 + "z": "was never closed",
    "z" * 201: "at most 200 characters, and this one has 201",
    "z+" * 60_000 + "z": "at most 200 characters",
    "1/z": "at z = 0, t = -1 the loss is not a finite number",
    "log(z)": "the loss is not a finite number",
    "exp(z**2)**9": "the loss is not a finite number",
    "sqrt(abs(z))": "at z = 0, t = -1 the derivative is not a finite number",
    "where(z > 0.1, log(z), 0)": "the derivative is not a finite number .where.. works out both its branches",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text.encode("unicode_escape").decode()[:30])
def test_what_is_no_formula_is_refused_in_one_sentence(text):
    with pytest.raises(FormulaError, match=REFUSED[text]) as refusal:
        Formula(text)
    said = str(refusal.value)
    assert "\n" not in said and isinstance(refusal.value, ValueError) and len(said) < 700
    if "is not known" in said and "^" not in said:
        assert said.endswith(KNOWN) and all(name in said for name in FUNCTIONS)


def test_a_text_is_asked_for():
    with pytest.raises(TypeError, match="a formula is a text such as"):
        Formula(3)


NODES = (
    "lambda: 0|[z]|{z}|z[0]|z.T|f'{z}'|'z'|(yield z)|await z|z if t else a|{z: t}|*z|z := t|...|None|b'z'|z is t|z in t"
)


@given(
    st.sampled_from([*NODES.split("|"), "__import__('os')", "open(z)", "z.__class__.__mro__", "().__class__"]),
    FORMULAS,
    st.sampled_from(["{} + {}", "max({1}, {0})", "tanh({0}) * ({1})", "where({1} > 0, {0}, 1)", "({0})**2 - {1}"]),
)
def test_no_foreign_part_gets_through_wherever_it_stands(part, text, frame):
    with pytest.raises(FormulaError):
        Formula(frame.format(part, text))


@settings(max_examples=300)
@given(st.text("zta()+-*/.,<>=!0123456789 _eEjxpmaxlogtanh'\"[]:;\\\n{}@~|&%^#", max_size=30))
def test_any_text_is_a_formula_or_refused(text):
    try:
        formula = Formula(text)
    except FormulaError:
        return
    allowed = (ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Call)
    for node in ast.walk(ast.parse(formula.text, mode="eval").body):
        assert isinstance(node, (*allowed, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context))
        assert not isinstance(node, ast.Name) or node.id in {"z", "t", *FUNCTIONS}
    assert formula(torch.zeros(2), 1).shape == (2,)


def test_numbers_and_powers_stay_small_work():
    deep = Formula("-" * 150 + "z")  # the deepest trees that fit
    assert deep(torch.tensor([2.0]), 1).item() == 2.0
    assert Formula("(" * 90 + "z" + ")" * 90)(torch.tensor([2.0]), 1).item() == 2.0


# --- the parameter ---------------------------------------------------------------------------------------------


def test_the_parameter_is_written_into_the_text():
    formula = Formula("tanh(-a*t*z) + a**2 - max(a, abs(z))", a=2.5)
    assert formula.text == "tanh(-2.5*t*z) + 2.5**2 - max(2.5, abs(z))" and formula == Formula(formula.text, a=7)
    assert Formula("a*z", a=1e-4).text == "0.0001*z" and Formula("a*z").text == "1*z"
    for wrong in (0, -1, math.inf, math.nan, 1e7):
        with pytest.raises(FormulaError, match="the parameter a is a number above 0"):
            Formula("a*z", a=wrong)
    with pytest.raises(FormulaError, match="must be a number, at most 20"):
        Formula("z**a", a=21)


# --- as losses and rules ---------------------------------------------------------------------------------------


def test_a_formula_is_a_value():
    one, two = Formula("tanh( -t*z )"), Formula("tanh( -t*z )")
    assert one == two and hash(one) == hash(two) and one.loss() == two.loss() and one != Formula("tanh(-t*z)")
    for thing in (one, one.derivative(), one.loss(), Rule(one.loss()), Rule("formula:tanh(-t*z)", weighted=False)):
        assert pickle.loads(pickle.dumps(thing)) == copy.deepcopy(thing) == thing


def test_a_rule_of_a_formula_is_found_by_its_name():
    rule = as_rule("formula:tanh(-2*t*z) + 1")
    assert isinstance(rule.loss, Loss) and as_rule(rule.name) == rule == Rule(rule.name) == eval(repr(rule))
    assert label(f"staircase-3:{rule.name}") == "tanh(-2*t*z) + 1, 3 steps"
    assert as_activation(f"staircase-3:{rule.name}")().rule == rule
    with pytest.raises(FormulaError, match="did you mean 'tanh'"):
        as_rule("formula:tahn(z)")


@pytest.mark.parametrize("unit", [Sign, lambda rule: QuantReLU(3, rule), lambda rule: QuantReLU(3, rule, form="sum")])
def test_a_layer_sends_back_what_the_built_in_rule_sends(unit):
    z, g = torch.randn(2, 200, dtype=torch.float64)
    sent = []
    for rule in ("formula:sigmoid(-2*t*z)", "Sigmoid"):
        leaf = z.clone().requires_grad_()
        unit(rule)(leaf).backward(g)
        sent.append(leaf.grad)
    torch.testing.assert_close(*sent, rtol=0, atol=1e-12)


def test_a_formula_races():
    contestants = ("sign:LogLoss", "sign:formula:log(1 + exp(-t*z))", "staircase-3:formula:max(0, 1 - t*z)**2")
    settings = dict(epochs=1, seeds=1, train_size=200, test="fashion-mnist-12k")
    result = run(Race("mlp", contestants, (3e-3,), **settings), progress=False)
    assert [record["contestant"] for record in result["runs"]] == list(contestants)
    built_in, own, staircase = (record["accuracy"] for record in result["runs"])
    assert abs(built_in - own) < 0.05 and all(math.isfinite(record["train_loss"][0]) for record in result["runs"])
    assert staircase > 0.2


# --- what can be said of a loss --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_properties_of_the_built_in_losses(name):
    found = properties(LOSSES[name])
    straight = {"Linear", "ClosedSaturatedHinge", "SaturatedHinge", "SoftHinge", "Sigmoid", "Trapezoid"}
    convex = {"Linear", "Hinge", "Perceptron", "LogLoss", "SquaredHinge"}
    assert found.straight == (name in straight) and found.convex == (name in convex)
    assert found.error < 1e-8 and found.jumps == found.away == () and not found.silent and found.finite == 10_000


def test_a_wrong_derivative_is_found():
    wrong = Loss("wrong", lambda z, t: (1 - t * z).clamp(min=0) ** 2, lambda z, t: -t * (1 - t * z).clamp(min=0))
    assert properties(wrong).error > 0.4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1 - t*z)**2", dict(convex=True, away=((-1, -20.0, -1.0), (1, 1.0, 20.0)), straight=False)),
        ("t*z", dict(convex=True, away=((-1, -20.0, 20.0), (1, -20.0, 20.0)), straight=True)),
        ("where(t*z > 0, 0, 1)", dict(convex=False, silent=True, jumps=((-1, 0.0), (1, 0.0)))),
        ("max(0, 1 - t*z) + 2*(t*z < -3)", dict(convex=False, silent=False, jumps=((-1, 3.0), (1, -3.0)))),
        ("exp(-t*z)", dict(convex=True, finite=20, away=(), straight=False)),
        ("exp(-9*t*z)", dict(convex=True, finite=0)),
        ("z**2", dict(convex=True, away=((-1, -20.0, 0.0), (1, 0.0, 20.0)))),
    ],
)
def test_properties_of_formulas(text, expected):
    found = properties(as_loss(f"formula:{text}"))
    assert {key: getattr(found, key) for key in expected} == expected
    assert found.error < 1e-6


@pytest.mark.parametrize(
    ("text", "area", "width"),
    [
        ("tanh(-0.1*t*z) + 1", 2, 20 * math.atanh(math.sqrt(0.5))),
        ("tanh(-0.01*t*z) + 1", 2, math.nan),
        ("-t*z / (1 + abs(z))", 2, 2 * (math.sqrt(2) - 1)),  # phi = 1 / (1 + abs(z))^2, a quarter of it beyond 20
        ("1 / (1 + exp(2*t*z))", 1, 2 * math.atanh(math.sqrt(0.5))),  # its derivative is inf / inf far out
        ("-t*log(1 + abs(z))", math.inf, math.inf),
        ("-t*log(z + sqrt(1 + z*z))", math.inf, math.inf),
    ],
)
def test_area_and_width_of_slow_surrogates(text, area, width):
    found = surrogate(as_loss(f"formula:{text}"))
    assert found.area == pytest.approx(area, abs=1e-5)
    assert found.width == pytest.approx(width, abs=0.01, nan_ok=True)
