"""An exercise: its card, its cases, the mistakes that its readers make, and a check that says which one was made."""

import ast
import copy
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType

import numpy as np
import torch

from . import progress
from .running import Outcome, outcomes
from .values import Said, finite, same, shape, show

DIFFICULTIES = ("easy", "middling", "harder")


@dataclass(frozen=True)
class Property:
    """What must hold of an answer where many are right. text: what; wrong: "" or a hint that says what is amiss.

    wrong(obtained) gets a copy, and five seconds; what it raises is told to the reader.
    """

    text: str
    wrong: Callable[[object], str]


_BY_REFERENCE = object()


@dataclass(frozen=True)
class Case:
    """One question to an answer. inputs: what it is called with, () where the answer is a value and no function.

    expected: what it should give; a `Property` of what it gives; left out, what the reference gives. about: what is
    particular to this case ("a batch of one", "z exactly on the threshold").
    """

    about: str
    inputs: tuple = ()
    expected: object = _BY_REFERENCE


@dataclass(frozen=True)
class Mistake:
    """A mistake that readers make. does: an answer that makes it; hint: what leads the reader out of it.

    An answer that gives the same as ``does`` in every case has made it. name: as in "sign(0) = 0".
    """

    name: str
    does: object
    hint: str


GENERAL = {
    "raised": "An error came out of your function: read its last line above, and run the function on this input.",
    "too slow": "Is there a loop whose end is never reached?",
    "the kit's own": "This one is to be written by hand: formulas, numpy and torch, without the kit's functions.",
    "nothing returned": "The function gives back None: does it end with `return`?",
    "not a function": "The check wants the function itself, without brackets and arguments.",
    "a list": "These are the right numbers, in a list: make an array or a tensor of it, as the docstring says.",
    "shape": "The numbers may be right, but their shape is not: which dimension is summed over, kept or added?",
    "one shape only": "It works for the first shape only: take the sizes from the input, not from the first case.",
    "input unchanged": "What comes back is the input itself.",
    "first case": "It gives the same in every case: it should depend on its input.",
    "opposite sign": "Every number has the opposite sign.",
    "not finite": "There are infinite numbers or NaN: is something divided by 0, or a logarithm taken of 0?",
    "property": "",
    "other": "",
}


@dataclass(frozen=True)
class Verdict:
    """What a check says. state: "TODO", "NOT YET" or "RIGHT"; text: all of it; mistake: the name of the one made."""

    state: str
    text: str
    mistake: str = ""
    hint: str = ""

    def __repr__(self):
        return self.text


@dataclass(frozen=True)
class Exercise:
    """A card. Readers call ``check``, ``hint``, ``solution`` and ``use``; the rest is for those who write exercises.

    reference: the right answer: a function or class whose name is the exercise's and whose docstring is the task, or a
    value; then name says what it is called. notebook: "03". difficulty: one of `DIFFICULTIES`. cases: gives the cases,
    new ones at each call, the plainest first, of more than one shape where shapes may differ. mistakes: those with a
    hint of their own. hints: one to three steps towards the solution. explanation: why the solution is right. by_hand:
    is an answer that calls functions of the kit refused? Where the reference is a value, code is the solution's text,
    and blank what the stub gives the name until then: None, or a collection with None in it, and a comment on the form.

    Raises ValueError where a card is not complete.
    """

    notebook: str
    title: str
    goal: str
    difficulty: str
    minutes: int
    reference: object
    cases: Callable[[], Iterable[Case]]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]
    explanation: str
    by_hand: bool = True
    name: str = ""
    code: str = ""
    blank: str = "None  # your answer"
    _given: list[int] = field(default_factory=lambda: [0], repr=False, compare=False)

    def __post_init__(self):
        if not self.name:
            object.__setattr__(self, "name", getattr(self.reference, "__name__", ""))
        if not self.name.isidentifier():
            raise ValueError(f"exercise {self.title!r}: a reference that is a value needs name=, the variable's name")
        if self.difficulty not in DIFFICULTIES or not 1 <= len(self.hints) <= 3 or not self.explanation:
            raise ValueError(f"exercise {self.name}: one of {DIFFICULTIES}, one to three hints and an explanation")

    # What readers use

    def check(self, answer=None) -> Verdict:
        """TODO, NOT YET with the first case that fails and one hint, or RIGHT. Never raises.

        The answer is called with copies, has five seconds for all cases, and cannot change them, nor torch's generator
        of random numbers.
        """
        verdict = self._verdict(answer)
        progress.note(self.name, verdict.state)
        return verdict

    def hint(self) -> Said:
        """The next of up to three hints; after the last one, the last again."""
        step = min(self._given[0], len(self.hints) - 1)
        self._given[0] = step + 1
        after = f'the solution: exercise("{self.name}").solution()' if step == len(self.hints) - 1 else "another hint"
        return Said(f"Hint {step + 1} of {len(self.hints)}: {self.hints[step]}\n\nNext: {after}.")

    def solution(self) -> Said:
        """The code of a right answer, and why it is right."""
        return Said(f"```python\n{self.solution_code}\n```\n\n{self.explanation}")

    def use(self, answer=None):
        """The answer if it is RIGHT, otherwise the reference; it prints which, so that later cells can rely on it."""
        state = self._verdict(answer).state
        if state == "RIGHT":
            print(f"{self.name}: yours is RIGHT and is used below.")
            return answer
        print(f"{self.name}: yours is {state}; the kit's own is used below.")
        return copy.deepcopy(self.reference)

    # What writers use

    @property
    def is_value(self) -> bool:
        return not callable(self.reference)

    @cached_property
    def solution_code(self) -> str:
        if self.is_value:
            return self.code or f"{self.name} = {self.reference!r}"
        return textwrap.dedent(inspect.getsource(self.reference)).rstrip()

    @cached_property
    def stub(self) -> str:
        """What stands in the notebook: signature and docstring of the reference, and room for the reader's code."""
        if self.is_value:
            return f"{self.name} = {self.blank}"
        lines = self.solution_code.splitlines()
        node = ast.parse(self.solution_code).body[0]
        if ast.get_docstring(node) is None:
            raise ValueError(
                f"exercise {self.name}: the reference has no docstring, so the card would not say the task"
            )
        gap = [""] if isinstance(node, ast.ClassDef) else []  # as the formatter wants it
        return "\n".join([*lines[: node.body[0].end_lineno], *gap, "    ...  # your code"])

    @property
    def card(self) -> str:
        """The line that stands under the title in the notebook."""
        return f"*Goal: {self.goal} {self.difficulty.capitalize()}, {self.minutes} minutes.*"

    # How a check works

    def _verdict(self, answer) -> Verdict:
        try:
            with torch.random.fork_rng(devices=[]):  # an answer that draws, or makes a layer, disturbs no later cell
                return self._check(answer)
        except Exception as error:
            text = f"the check could not read this answer ({type(error).__name__}: {error})"
            return self._not_yet(f"NOT YET: {self.name}: {text}", "other", self.hints[0])

    def _check(self, answer) -> Verdict:
        if _is_blank(answer) or _is_stub(answer):
            todo = f'TODO: {self.name}. Fill in the cell above and run it; exercise("{self.name}").hint() helps.'
            return Verdict("TODO", todo)
        cases = list(self.cases())
        expected = [self._expected(case) for case in cases]
        if self.is_value:
            found = [Outcome(copy.deepcopy(answer)) for _ in cases]
        elif not callable(answer):
            text = f"NOT YET: {self.name}: a function is wanted, and this is {show(answer)}"
            return self._not_yet(text, "not a function", GENERAL["not a function"])
        else:
            found = outcomes(answer, [case.inputs for case in cases])
        for n, (case, wanted, outcome) in enumerate(zip(cases, expected, found, strict=False)):
            complaint = self._complaint(wanted, outcome)
            if complaint is not None:
                mistake, hint = complaint or self._diagnosis(cases, expected, found, n)
                return self._not_yet(self._told(case, wanted, outcome, n, len(cases)), mistake, hint)
        many = f"all {len(cases)} cases" if len(cases) > 1 else "its case"
        return Verdict("RIGHT", f"RIGHT: {self.name} passes {many}.")

    def _expected(self, case: Case):
        if case.expected is not _BY_REFERENCE:
            return case.expected
        return self.reference if self.is_value else self.reference(*copy.deepcopy(case.inputs))

    def _complaint(self, wanted, outcome: Outcome) -> tuple[str, str] | tuple[()] | None:
        """None: nothing is wrong; a mistake and its hint; or () where the other cases must be looked at."""
        if outcome.failure:
            return ()
        if outcome.kit and self.by_hand:
            return "the kit's own", f"It calls {outcome.kit}. " + GENERAL["the kit's own"]
        if isinstance(wanted, Property):
            if outcome.value is None:
                return ()
            (looked,) = outcomes(wanted.wrong, [(outcome.value,)])
            wrong = f"Looking at it {looked.failure}." if looked.failure else looked.value
            return ("property", wrong) if wrong else None
        return None if same(outcome.value, wanted) else ()

    def _diagnosis(self, cases, expected, found, n) -> tuple[str, str]:
        """Which mistake an answer that fails in case n has made: a known one, a general one, or another."""
        for mistake in self.mistakes:
            if self._made(mistake, cases, found):
                return mistake.name, mistake.hint
        outcome, wanted = found[n], expected[n]
        general = outcome.kind or next((name for name, sees in _SEEN.items() if sees(cases, expected, found, n)), "")
        if general == "raised" and n and shape(wanted) != shape(expected[0]):
            general = "one shape only"
        return (general, GENERAL[general]) if general else ("other", self.hints[0])

    def _made(self, mistake: Mistake, cases, found) -> bool:
        if any(outcome.failure for outcome in found):
            return False
        if not callable(mistake.does):
            return self.is_value and all(same(outcome.value, mistake.does) for outcome in found)
        given = outcomes(mistake.does, [case.inputs for case in cases])
        if any(outcome.failure for outcome in given):
            return False
        return all(_alike(a.value, b.value) for a, b in zip(found, given, strict=True))

    def _told(self, case: Case, wanted, outcome: Outcome, n: int, cases: int) -> str:
        lines = [f"NOT YET: {self.name}, case {n + 1} of {cases}: {case.about}"]
        if outcome.kit and self.by_hand:
            return lines[0]
        if case.inputs:
            names = list(inspect.signature(self.reference).parameters)
            given = [f"{name} = {show(value)}" for name, value in zip(names, case.inputs, strict=False)]
            lines.append(f"  input:    {', '.join(given)}")
        lines.append(f"  expected: {wanted.text if isinstance(wanted, Property) else show(wanted)}")
        lines.append(f"  obtained: {outcome.failure or show(outcome.value)}")
        return "\n".join(lines)

    def _not_yet(self, told: str, mistake: str, hint: str) -> Verdict:
        return Verdict("NOT YET", f"{told}\nHint: {hint}" if hint else told, mistake, hint)


def _alike(a, b) -> bool:
    try:
        return same(a, b)
    except Exception:
        return False


def _is_blank(answer) -> bool:
    """Is nothing filled in, or not everything?"""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    return answer is None or answer is ... or (isinstance(answer, list | tuple) and any(map(_is_blank, answer)))


def _is_stub(answer) -> bool:
    """Has a function no code but its docstring, or a class no function?"""
    if isinstance(answer, type):
        return not any(callable(each) for each in vars(answer).values())
    if not isinstance(answer, FunctionType):
        return False
    names = {instruction.opname for instruction in dis.get_instructions(answer)}
    bare = {"RESUME", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "NOP", "CACHE"}
    constants = [each for each in answer.__code__.co_consts if each is not None and each != answer.__doc__]
    return names <= bare and not constants


_SEEN: dict[str, Callable] = {
    "nothing returned": lambda cases, expected, found, n: found[n].value is None,
    "not finite": lambda cases, expected, found, n: not finite(found[n].value) and finite(expected[n]),
    "a list": lambda cases, expected, found, n: _listed(found[n].value, expected[n]),
    "first case": lambda cases, expected, found, n: (
        n > 0 and len(found) == len(cases) and all(_alike(each.value, found[0].value) for each in found)
    ),
    "one shape only": lambda cases, expected, found, n: (
        n > 0 and shape(expected[n]) not in (None, shape(expected[0])) and shape(found[n].value) == shape(expected[0])
    ),
    "shape": lambda cases, expected, found, n: (
        shape(found[n].value) != shape(expected[n]) and shape(expected[n]) is not None
    ),
    "opposite sign": lambda cases, expected, found, n: (
        shape(expected[n]) is not None and all(map(_opposite, (each.value for each in found), expected))
    ),
    "input unchanged": lambda cases, expected, found, n: (
        len(found) == len(cases)
        and all(
            any(_alike(each.value, given) for given in case.inputs) for each, case in zip(found, cases, strict=True)
        )
    ),
}  # what can be seen of an answer that ran, in this order


def _listed(obtained, expected) -> bool:
    try:
        return isinstance(obtained, list | tuple) and same(np.array(obtained), expected)
    except Exception:
        return False


def _opposite(obtained, expected) -> bool:
    try:
        return same(-obtained, expected)
    except Exception:
        return False
