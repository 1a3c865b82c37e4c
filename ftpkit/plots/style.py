"""The look of every figure, and the way it is shown: as a picture with an alt text."""

import base64
import html
from io import BytesIO

from matplotlib.figure import Figure

# Okabe and Ito's colours, which stay apart for colour-blind readers; the line style and marker repeat what they say.
_STYLES = {
    "FTP-SH": ("#0072B2", "-", "o"),
    "SSTE": ("#D55E00", "--", "s"),
    "STE": ("#E69F00", ":", "^"),
    "oracle": ("#000000", "-", "*"),
    "ReLU": ("#7F7F7F", "-.", "D"),
    "Saturated ReLU": ("#404040", (0, (5, 1, 1, 1)), "d"),
    "Ramp": ("#009E73", (0, (5, 2)), "v"),
    "Sigmoid": ("#56B4E9", (0, (3, 1, 1, 1)), "P"),
    "SaturatedHinge": ("#A34700", (0, (1, 1)), "X"),
    "Hinge": ("#CC79A7", "-", "<"),
    "LogLoss": ("#56B4E9", (0, (4, 1)), ">"),
    "Perceptron": ("#8C6D1F", (0, (2, 1)), "p"),
    "SquaredHinge": ("#882255", (0, (6, 1)), "h"),
}


def style(name: str) -> dict:
    """Colour, line style and marker of a rule, the same in every figure of the kit; keywords for ``ax.plot``.

    name: a rule or a label of `race.label`. On a staircase a rule keeps its colour; its markers are hollow.

    >>> style("FTP-SH")["color"], style("FTP-SH, 3 steps")["color"]
    ('#0072B2', '#0072B2')
    """
    rule, _, steps = name.partition(", ")
    color, linestyle, marker = _STYLES.get(rule, ("#444444", "-", "."))
    look = {"color": color, "linestyle": linestyle, "marker": marker, "label": name}
    if steps.endswith("steps"):
        look |= {"linestyle": (0, (1, 1)), "markerfacecolor": "white", "markeredgewidth": 1.6}
    return look


def figure(rows: int = 1, columns: int = 1, width: float = 4.0, height: float = 3.0, **subplots):
    """A white figure of rows x columns axes, each width x height inches, and its axes; no global pyplot state."""
    fig = Figure(figsize=(width * columns, height * rows), layout="constrained", facecolor="white")
    axes = fig.subplots(rows, columns, **subplots)
    for ax in fig.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    return fig, axes


class Picture:
    """A figure as a notebook shows it: a PNG whose alt text states what is to be seen."""

    def __init__(self, fig: Figure, alt: str):
        alt = " ".join(alt.split())
        if len(alt) < 30:
            raise ValueError(f"an alt text says what the figure shows, in a sentence; {alt!r} does not")
        png = BytesIO()
        fig.savefig(png, format="png", dpi=80, metadata={"Software": None})
        self.alt, self.png = alt, png.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        source = base64.b64encode(self.png).decode()
        img = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{source}">'
        return {"text/html": img, "text/plain": f"Figure: {self.alt}"}


def show(fig: Figure, alt: str) -> Picture:
    """End a cell with ``plots.show(fig, "what it shows")``: the figure with its alt text; ValueError without one."""
    return Picture(fig, alt)
