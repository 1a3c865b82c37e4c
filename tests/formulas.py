"""Formulas in LaTeX, evaluated: just as much of it as the notebooks use to define losses, surrogates and staircases."""

import re

import numpy as np

FUNCTIONS = {
    "max": np.maximum, "min": np.minimum, "tanh": np.tanh, "log": np.log, "exp": np.exp, "abs": np.abs, "ceil": np.ceil,
    "sqrt": np.sqrt, "clamp": np.clip, "round": np.round,
    "sign": lambda z: np.where(z > 0, 1.0, -1.0),  # sign(0) = -1, as everywhere here
    "step": lambda z: np.where(z > 0, 1.0, 0.0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "total": lambda low, high, term: sum(term(float(i)) for i in range(int(low), int(high) + 1)),
}  # fmt: skip
SPACES = re.compile(r"\\[,;!: ]|\\(?:qquad|quad|left|right|big[lr]?|Big[lr]?)(?![a-zA-Z])")
TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-zA-Zφθλγ]\w*|\*\*|.")


def evaluate(latex: str, **values) -> np.ndarray:
    r"""The value of a formula for these values of its letters, numbers or arrays.

    >>> evaluate(r"\max(0, 1 - tz)", t=1, z=np.array([-1.0, 0.5, 3.0])).tolist()
    [2.0, 0.5, 0.0]
    >>> float(evaluate(r"\tfrac13 \sum_{i=0}^{k-1} \operatorname{step}(z - i)", z=1.5, k=3.0))
    0.6666666666666666
    """
    return np.asarray(eval(python(latex), {"__builtins__": {}} | FUNCTIONS | values))


def python(latex: str) -> str:
    r"""The formula as an expression of Python.

    >>> python(r"1 - \tanh^2(2z - 1)")
    '1-tanh(2*z-1)**2'
    >>> python(r"|g|\,\frac{a z}{2}")
    'abs(g)*((a*z)/(2))'
    """
    text = SPACES.sub(" ", latex).replace(r"\cdot", "*").replace(r"\theta_i", "theta(i)").replace("\\|", "|")
    if match := re.search(r"\\sum_\{i=(.+?)\}\^\{(.+?)\}(.*)", text, re.DOTALL):
        head, (low, high, term) = text[: match.start()], match.groups()
        inner = f"total({python(low)},{python(high)},lambda i: {python(term)})"
        return f"{python(head)}*{inner}" if head.strip() else inner
    text = re.sub(r"\\t?frac\s*(\d)(\d)", r"((\1)/(\2))", text)
    for _ in range(4):  # one in another
        text = re.sub(r"\\t?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
    text = re.sub(r"e\^\{([^{}]*)\}", r"exp(\1)", text)
    text = re.sub(r"\\lceil(.*?)\\rceil", r"ceil(\1)", text)
    text = re.sub(r"\\operatorname\{(\w+)\}|\\(max|min|tanh|log|exp)", lambda m: f" {m[1] or m[2]} ", text)
    text = re.sub(r"\|([^|]+)\|", r"abs(\1)", text)
    text = re.sub(r"(\w+)\s*\^2\s*\(([^()]*)\)", r"\1(\2)^2", text)  # tanh^2(z)
    text = re.sub(r"(tanh)\s*\^2\s*([a-z])\b", r"\1(\2)^2", text)
    text = re.sub(r"(tanh)\s+([a-z])\b", r"\1(\2)", text)
    text = re.sub(r"\^\{([^{}]*)\}|\^(\w)", lambda m: f"**({m[1]})" if m[1] else f"**{m[2]}", text)
    return _with_products(text)


def _with_products(text: str) -> str:
    """Letters that stand side by side are multiplied, and so is what stands before a bracket, but for functions."""
    tokens: list[str] = []
    for token in TOKEN.findall(text):
        if token.isspace():
            continue
        known = token in FUNCTIONS or token == "theta"
        tokens += [token] if known or not token.isalpha() else list(token)
    found = tokens[:1]
    for before, token in zip(tokens, tokens[1:], strict=False):
        ends = before == ")" or (re.fullmatch(r"[\w.]+", before) and before not in FUNCTIONS and before != "theta")
        begins = token == "(" or re.match(r"\w", token)
        found += ["*"] * bool(ends and begins) + [token]
    return "".join(found)


def spans(text: str) -> list[str]:
    """What stands between dollar signs in a piece of Markdown."""
    without_code = re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    return [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)\$", without_code, re.DOTALL)]
