"""What all demos share: a state, a pure ``compute(state)``, a pure ``figure(result)``, and the shell around them."""

import base64
import html
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import ipywidgets as W
import traitlets as T
from matplotlib.figure import Figure

from ..plots import Picture
from .controls import Frame, button, row


@dataclass(frozen=True)
class Try:
    """A state worth a thought: what the button says, the question to answer before looking, the state's values."""

    name: str
    question: str
    state: dict


class State(T.HasTraits):
    """What a demo shows, as traits; it is written as it is made.

    >>> class Point(State):
    ...     x = T.Int(0)
    >>> Point(x=3)
    Point(x=3)
    """

    def values(self) -> dict:
        """Every trait and its value, in the order in which they are defined."""
        names = [name for kind in reversed(type(self).__mro__) for name in vars(kind) if name in self.trait_names()]
        return {name: getattr(self, name) for name in dict.fromkeys(names)}

    def set(self, values: dict) -> None:
        """Change several at once: observers hear of it when all have changed. Raises TraitError, and changes none."""
        unknown = set(values) - set(self.trait_names())
        if unknown:
            raise T.TraitError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}; it has {self!r}")
        before = self.values()
        try:
            with self.hold_trait_notifications():
                for name, value in values.items():
                    setattr(self, name, value)
        except T.TraitError:
            with self.hold_trait_notifications():
                for name, value in before.items():
                    setattr(self, name, value)
            raise

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"


class Demo:
    """The shell of a demo. In a notebook, end a cell with it; elsewhere use ``state``, ``compute()``, ``figure()``.

    A demo gives State, TRIES and the five functions below. Keyword arguments are the state to begin with; Reset goes
    back to it. A "Try" button asks its question; its state is shown when Look is pressed. Whatever takes longer than
    SLOW seconds says that it is working; an error is said in words, and raised.
    """

    State: ClassVar[type[State]]
    TRIES: ClassVar[tuple[Try, ...]] = ()
    SLOW = 0.15

    def __init__(self, **start):
        self.state = self.State(**start)
        self._start = self.state.values()
        self._drawn, self._took, self._asked = None, 0.0, None
        self.picture, self.text, self.status, self.question = (W.HTML() for _ in range(4))
        self.reset = button("Reset", "Back to the state that the demo began with", self._reset)
        self.look = button("Look", "Show what the question asks about", self._look)
        self.look.layout.display = "none"
        self.tries = [button(f"Try: {each.name}", each.question, self._ask_for(each)) for each in self.TRIES]
        self.view = W.VBox(
            [
                Frame(),
                *self.controls(),
                row(self.reset, *self.tries, self.look),
                self.question,
                self.status,
                self.stage(),
                self.text,
            ]
        )
        self.view.add_class("ftpkit-demo").add_class(f"ftpkit-{type(self).__name__}")
        self.state.observe(self._draw)
        self._draw()

    # What a demo gives

    def controls(self) -> list[W.Widget]:
        """Its widgets, made once, row by row; see `ftpkit.explore.controls`."""
        raise NotImplementedError

    @staticmethod
    def compute_from(state: State):
        """The numbers of a state, as a frozen dataclass; nothing else may decide them, nothing is changed."""
        raise NotImplementedError

    @staticmethod
    def draw(result) -> Figure:
        """The figure of a result."""
        raise NotImplementedError

    @staticmethod
    def alt(result) -> str:
        """What the figure shows, its finding with the numbers, in a sentence or two."""
        raise NotImplementedError

    @staticmethod
    def numbers(result) -> dict[str, str]:
        """The key numbers, by their names."""
        raise NotImplementedError

    def stage(self) -> W.Widget:
        """The picture, and what a demo wants beside it."""
        return self.picture

    # What it gets

    def compute(self):
        return self.compute_from(self.state)

    def figure(self) -> Figure:
        return self.draw(self.compute())

    @classmethod
    def strip(cls, *starts: dict) -> "Strip":
        """Two or three of its states side by side as pictures, for a reader who has no kernel."""
        results = [cls.compute_from(cls.State(**start)) for start in starts]
        return Strip([Picture(cls.draw(result), cls.alt(result)) for result in results])

    def refresh(self) -> None:
        """Compute and draw the present state."""
        began = time.perf_counter()
        if self._took > self.SLOW:
            self.say("Working …")
        try:
            result = self.compute()
            picture = Picture(self.draw(result), self.alt(result))
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}")
            raise
        lines = (f"{html.escape(key)}: <b>{html.escape(value)}</b>" for key, value in self.numbers(result).items())
        self.text.value = f'<div role="status">{"".join(f"<div>{line}</div>" for line in lines)}</div>'
        self.picture.value = picture._repr_mimebundle_()["text/html"]  # after the text: who sees it has the numbers
        self.say("")
        self._took = time.perf_counter() - began

    def say(self, text: str) -> None:
        """Show a line beneath the controls that screen readers read out; "" takes it away."""
        self.status.value = f'<div role="status">{html.escape(text)}</div>' if text else ""

    def _draw(self, change=None):
        values = repr(self.state)
        if values != self._drawn:
            self._drawn = values
            self._ask(None)
            self.refresh()

    def _reset(self):
        self._ask(None)
        self.state.set(self._start)

    def _ask_for(self, each: Try) -> Callable[[], None]:
        return lambda: self._ask(each)

    def _ask(self, asked: Try | None) -> None:
        self._asked = asked
        self.look.layout.display = "" if asked else "none"
        question = f"<b>{html.escape(asked.question)}</b> Answer for yourself, then press Look." if asked else ""
        self.question.value = f'<div role="status">{question}</div>' if asked else ""

    def _look(self):
        if self._asked is not None:
            asked = self._asked
            self.state.set(self._start | asked.state)
            self._ask(None)
            self.question.value = f'<div role="status"><b>{html.escape(asked.question)}</b></div>'

    def _repr_mimebundle_(self, include=None, exclude=None):
        name = type(self).__name__
        return {**self.view._repr_mimebundle_(), "text/plain": f"{name}: run this cell to use the demo"}


class Strip:
    """Pictures side by side, each with its alt text."""

    def __init__(self, pictures: list[Picture]):
        self.pictures = pictures

    def _repr_mimebundle_(self, include=None, exclude=None):
        images = (
            f'<img alt="{html.escape(picture.alt)}" style="max-width: 100%; margin: 0 1em 0 0" '
            f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
            for picture in self.pictures
        )
        said = "\n".join(f"Figure: {picture.alt}" for picture in self.pictures)
        return {"text/html": "<br>".join(images), "text/plain": said}
