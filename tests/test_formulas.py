"""The formulas that define code, as the notebooks and the kit's own table print them, evaluated against the code."""

import re
from functools import partial
from pathlib import Path

import formulas
import hygiene
import numpy as np
import pytest
import torch

from ftpkit import LOSSES, QuantReLU, formula, gradient_sign, sign

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
Z = np.concatenate([np.linspace(-3, 3, 241) + 1e-4, [-1.0, 0.0, 0.5, 1.0]])  # steps and kinks lie at some of the last


def loss(name):
    return lambda z, t: LOSSES[name].value(torch.tensor(z), t).numpy()


def steep(z, a, t=1.0):
    return formula.Formula("tanh(-a*t*z) + 1", a)(torch.tensor(z), t).numpy()


def surrogate(name):
    return lambda z, t=1: LOSSES[name].surrogate(torch.tensor(z), t).numpy()


def staircase(z, k):
    return QuantReLU(int(k), "SSTE")(torch.tensor(z)).numpy()


def backward(activation):
    def sent(z, g, **_):
        leaf = torch.tensor(z, requires_grad=True)
        activation(leaf).backward(torch.full_like(leaf, g))
        return leaf.grad.numpy()

    return sent


def rounding(z, k):
    return torch.round(int(k) * torch.tensor(z).clamp(0, 1)).numpy() / k


T = {"t": (-1.0, 1.0)}
A = {"a": (0.5, 1.0, 4.0)}
K = {"k": (2.0, 3.0, 5.0, 9.0)}  # k - 1 a power of two: there the sum and the ceiling agree to the last bit
DEFINED = [
    # formula, the code that it defines, what else it depends on
    (r"\max(0, 1 - tz)", loss("Hinge"), T),
    (r"\max(0, -tz)", loss("Perceptron"), T),
    (r"\max(0, 1 - \max(tz, -1))", loss("SaturatedHinge"), T),
    (r"\max(0, 1 - \max(tz, -1))", loss("ClosedSaturatedHinge"), T),
    (r"\tanh(-tz) + 1", loss("SoftHinge"), T),
    (r"\operatorname{sigmoid}(-2tz)", loss("Sigmoid"), T),
    (r"\log(1 + e^{-tz})", loss("LogLoss"), T),
    (r"\max(0, 1 - tz)^2", loss("SquaredHinge"), T),
    (r"\tanh(-a\,tz) + 1", steep, A),
    (r"1 - \tanh^2 z", surrogate("SoftHinge"), {}),
    (r"\operatorname{sigmoid}(-tz)", surrogate("LogLoss"), T),
    (r"2\max(0, 1 - tz)", surrogate("SquaredHinge"), T),
    (r"g\,(1 - \tanh^2(2z - 1))", backward(QuantReLU(3, "FTP-SH")), {"g": (-0.5, 2.0)}),
    (r"\operatorname{clamp}(\lceil z\,(k-1) \rceil, 0, k) / k", staircase, K),
    (r"\frac{1}{k} \sum_{i=0}^{k-1} \operatorname{step}\!\left(z - \theta_i\right)", staircase, K),
    (r"\operatorname{round}(k \operatorname{clamp}(z, 0, 1)) / k", rounding, K),
    (r"\operatorname{sign}(z)", lambda z: sign(torch.tensor(z), "STE").numpy(), {}),
    (r"-\operatorname{sign}(g)", lambda z, g: gradient_sign(torch.tensor(g), None, None).numpy(), {"g": (-0.5, 2.0)}),
]
MARKS = r"\\(?:max|min|tanh|log|exp)[^a-zA-Z_]|\\lceil[^.]*z|\\operatorname\{(?:clamp|round|sigmoid|step|sign)\}\("
ELSEWHERE = [  # with such a function, but no definition of the kit's code
    r"\sum \max(0, 1 - tz)",  # 02: what a search minimises
    r"\operatorname{sign}(0) = -1",
    r"\operatorname{sign}\left(-\frac{\partial L_d}{\partial h_{ij}}\right)",  # 02, 03: eq. 2
    r"-\operatorname{sign}\left(\frac{\partial L_{d+1}}{\partial h_d}\right)",
    r"-\operatorname{sign}(\partial L_{d+1} / \partial h_d)",
    r"-\operatorname{sign}(g_{d-1})",
    r"\operatorname{sign}(z_d)",
    r"\operatorname{step}(z) = 1",
    r"\operatorname{step}(u) = 1",
    r"|g|\,\operatorname{sign}(g)\,\varphi(z, t)",  # 03: a step of a proof
    r"\operatorname{sign}(g)\,|g|",
    r"\operatorname{sign}(\max(a, b, c, d)) = \max(\operatorname{sign}(a), \operatorname{sign}(b), \operatorname{sign}(c), \operatorname{sign}(d))",  # noqa: E501
    r"\operatorname{sign}(B + x)",  # 07: a sum of random variables
    r"\max(0, 1 - t_i z_i)",  # 01: the hinge, instance by instance
    r"\log \sum_c e^{z_{ic}}",  # 04: the cross-entropy, whose gradient exercise 3 compares with PyTorch's
    r"\operatorname{sign}(W h_{k-1})",  # 04: a layer that is used several times
    r"\tanh z - \tanh(z - 1)",  # 06: compared with the code in its own cell
    r"\operatorname{clamp}(z, 0, 1)",
    r"\operatorname{clamp}(z, 0, r)",
    r"\max(z, 0)",
    r"\tanh z",
]


def given(others):
    """Every setting of what a formula depends on besides z, and with it the thresholds of a staircase."""
    settings = [{}] if not others else [{name: value} for name, values in others.items() for value in values]
    return [(each, {"theta": partial(_threshold, each.get("k", 2.0))}) for each in settings]


def _threshold(k, i):
    return formulas.evaluate(r"\frac{i}{k-1}", i=i, k=k)


@pytest.mark.parametrize("latex, code, others", DEFINED, ids=[latex for latex, *_ in DEFINED])
def test_a_formula_gives_what_its_code_gives(latex, code, others):
    for values, helpers in given(others):
        found = formulas.evaluate(latex, **{"t": 1.0} | values, z=Z, **helpers)
        assert np.allclose(found, code(z=Z, **values), rtol=0, atol=1e-12), values


@pytest.mark.parametrize("latex, code, others", DEFINED, ids=[latex for latex, *_ in DEFINED])
def test_a_formula_that_is_a_little_wrong_is_found(latex, code, others):
    for values, helpers in given(others):
        for wrong in (latex + " + z / 100", "-(" + latex + ")", latex + r" + \frac{1}{100}"):
            found = formulas.evaluate(wrong, **{"t": 1.0} | values, z=Z, **helpers)
            assert not np.allclose(found, code(z=Z, **values), rtol=0, atol=1e-12), (wrong, values)


def squeezed(latex):
    return re.sub(r"\\[,;!: ]|\s|\\(?:left|right|big[lr]?)(?![a-zA-Z])", "", latex)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_formula_that_could_define_code_is_one_that_is_evaluated(path):
    known = [squeezed(latex) for latex, *_ in DEFINED] + [squeezed(latex) for latex in ELSEWHERE]
    unknown = []
    for cell in hygiene.read(path)["cells"]:
        for span in formulas.spans("".join(cell["source"])) if cell["cell_type"] == "markdown" else []:
            left = squeezed(span)
            for latex in sorted(known, key=len, reverse=True):
                left = left.replace(latex, "")
            if re.search(MARKS, left):
                unknown.append(f"{cell['id']}: {span}")
    assert not unknown, unknown


def test_the_table_of_losses_prints_formulas_that_are_so():
    """`Loss.formula`; where it goes on with the derivative, or is nothing else, test_losses compares that."""
    seen = 0
    for each in LOSSES.values():
        value = each.formula.partition("derivative")[0].strip(" ,").replace("^", "**")
        value = re.sub(r"(?<=[\dt]) (?=[tz])", "*", value)
        if value:
            written = formula.as_loss(f"formula:{value}")
            for t in (-1, 1):
                assert torch.allclose(written.value(torch.tensor(Z), t), each.value(torch.tensor(Z), t), atol=1e-12)
            seen += 1
    assert seen == len(LOSSES) - 1  # the trapezoid has no short one
