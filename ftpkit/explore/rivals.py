"""Lists of those who may race, to which rules may come while they are shown."""

from collections.abc import Mapping
from dataclasses import replace

import ipywidgets as W
import traitlets as T

from ..plots.convnet import name as full_name
from ..rules import RULES, Rule

KIT = frozenset(RULES)


def rivals() -> list[str]:
    """Every rule that there is now, on the sign and on a staircase of three steps, and two activations without a rule.

    >>> rivals()[:2], rivals()[-2:]
    (['sign:STE', 'sign:SSTE'], ['relu', 'saturated-relu'])
    """
    return [*(f"{kind}:{rule}" for kind in ("sign", "staircase-3") for rule in RULES), "relu", "saturated-relu"]


def add(own: Mapping[str, Rule]) -> None:
    """Put rules of the reader's own into `RULES`, each under its name, in the place of an earlier one of that name.

    Raises TypeError for what is no Rule, ValueError for a name that is no single word or that the kit uses itself.
    """
    for name, rule in own.items():
        if not isinstance(rule, Rule):
            raise TypeError(f"own rules are ftpkit.Rule objects, and {name!r} is a {type(rule).__name__}")
        if name in KIT or not name.isidentifier():
            raise ValueError(f"a rule of your own needs one word that the kit does not use as its name, not {name!r}")
        RULES[name] = replace(rule, name=name)


class RivalList:
    """A list to choose a contestant from, which follows a trait of the state. nobody: may the place stay empty?

    Unlike `controls.choice` it can be given new options (`offer`) and still stands where the state does, also on a
    contestant that is in no list.
    """

    def __init__(self, state: T.HasTraits, name: str, description: str, nobody: bool):
        self.state, self.name, self.nobody, self.offering = state, name, nobody, False
        look = {"style": {"description_width": "initial"}, "layout": {"width": "24em"}}
        self.box = W.Dropdown(options=self._options(), value=self._value, description=description, **look)
        self.box.observe(self._chosen, "value")
        state.observe(self.offer, name)

    @property
    def _value(self) -> str:
        return getattr(self.state, self.name)

    def offer(self, change=None) -> None:
        """Have all rules that there are now, and stand where the state does."""
        self.offering = True
        if list(self.box.options) != (options := self._options()):
            self.box.options = options
        self.box.value = self._value
        self.offering = False

    def _options(self) -> list[tuple[str, str]]:
        known = rivals()
        extra = [] if self._value in ("", *known) else [self._value]
        return [*([("nobody", "")] if self.nobody else []), *((full_name(each), each) for each in (*known, *extra))]

    def _chosen(self, change) -> None:
        if not self.offering:
            setattr(self.state, self.name, change["new"])
