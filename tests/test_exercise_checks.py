"""What every check promises, whatever it is given: it never raises, ends, hands out copies, shows what failed."""

import json
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftpkit.exercises import (
    EXERCISES,
    Case,
    Exercise,
    Mistake,
    Property,
    exercise,
    forget_progress,
    keep_progress,
    running,
    show_progress,
)
from ftpkit.losses import UnknownName


def double(x):
    """Twice x, for a tensor of any shape."""
    return 2 * x


def double_cases():
    yield Case("three numbers", (torch.tensor([1.0, 2.0, 3.0]),))
    yield Case("a row of two", (torch.tensor([[4.0, -5.0]]),))


def card(**changes):
    told = dict(
        notebook="01", title="doubling", goal="double a number.", difficulty="easy", minutes=1, reference=double,
        cases=double_cases, mistakes=(Mistake("squared", lambda x: x * x, "That is the square."),),
        hints=("Add it to itself.", "Or multiply by 2."), explanation="2 x = x + x.",
    )  # fmt: skip
    return Exercise(**told | changes)


class Spiteful:
    """Raises whatever is asked of it."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __repr__ = __len__ = __iter__ = __call__ = __deepcopy__ = lambda self, *_: 1 / 0
    __hash__ = None


@given(
    st.sampled_from(sorted(EXERCISES)),
    st.one_of(
        st.none(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.builds(Spiteful),
        st.sampled_from([print, len, int, str, torch.nn.ReLU, np.zeros(3), torch.zeros(2), iter([1]), Exception, ...]),
        st.builds(lambda value: lambda *_, **__: value, st.one_of(st.integers(), st.text(), st.builds(Spiteful))),
    ),
)  # fmt: skip
def test_it_never_raises_whatever_it_gets(name, answer):
    verdict = exercise(name).check(answer)
    assert verdict.state in ("TODO", "NOT YET") or (verdict.state == "RIGHT" and EXERCISES[name].is_value)
    assert verdict.text.startswith(verdict.state) and repr(verdict) == verdict.text


@pytest.mark.parametrize("raised", [ValueError("x"), KeyError(3), SystemExit(1), KeyboardInterrupt(), AssertionError()])
def test_an_answer_that_raises_is_told_so(raised):
    def answer(x):
        raise raised

    verdict = card().check(answer)
    assert verdict.state == "NOT YET" and f"raised {type(raised).__name__}" in verdict.text
    assert verdict.mistake == "raised"


def test_an_endless_answer_is_given_up_and_its_thread_ends(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.3)

    def answer(x):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    before, began = threading.active_count(), time.monotonic()
    verdict = card().check(answer)
    assert time.monotonic() - began < 3 and "took longer than 0.3 s and was given up" in verdict.text
    assert verdict.mistake == "too slow" and threading.active_count() == before


def test_five_seconds_are_the_limit():
    assert running.SECONDS == 5


def test_an_answer_cannot_alter_its_cases():
    kept = [torch.tensor([1.0, 2.0, 3.0])]

    def answer(x):
        result = 2 * x
        x.zero_()
        return result

    shared = card(cases=lambda: [Case("one", (kept[0],)), Case("the same again", (kept[0],))])
    assert shared.check(answer).state == "RIGHT"
    assert kept[0].tolist() == [1, 2, 3]


def test_an_answer_that_draws_random_numbers_disturbs_no_later_cell():
    def answer(x):
        torch.manual_seed(int(1000 * torch.rand(())))
        return x + x

    before = torch.get_rng_state()
    assert card().check(answer).state == "RIGHT" and card().use(answer) is answer
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_failing_case_is_shown_with_input_expected_and_obtained():
    verdict = card().check(lambda x: x * x)
    assert str(verdict) == (
        "NOT YET: double, case 1 of 2: three numbers\n"
        "  input:    x = tensor of shape (3,): [1, 2, 3]\n"
        "  expected: tensor of shape (3,): [2, 4, 6]\n"
        "  obtained: tensor of shape (3,): [1, 4, 9]\n"
        "Hint: That is the square."
    )
    assert "case 2 of 2: a row of two" in card().check(lambda x: 2 * x if x.ndim == 1 else x).text


@pytest.mark.parametrize(
    "answer, mistake",
    [
        (lambda x: x, "input unchanged"),
        (lambda x: -2 * x, "opposite sign"),
        (lambda x: torch.tensor([2.0, 4.0, 6.0]), "first case"),
        (lambda x: torch.stack([2 * x[i] for i in range(3)]), "one shape only"),
        (lambda x: (2 * x).sum(), "shape"),
        (lambda x: (2 * x).tolist(), "a list"),
        (lambda x: [*(2 * x)], "a list"),
        (lambda x: [[1.0], [2.0, 3.0]], "shape"),
        (lambda x: 2 * x / 0, "not finite"),
        (lambda x: print(end=""), "nothing returned"),
        (lambda x: x + 1, "other"),
        (7, "not a function"),
    ],
)
def test_general_mistakes(answer, mistake):
    verdict = card().check(answer)
    assert (verdict.state, verdict.mistake) == ("NOT YET", mistake) and verdict.hint


def test_a_mistake_with_a_name_goes_before_a_general_one():
    named = card(mistakes=(Mistake("unchanged", lambda x: x, "It is the input."),))
    assert named.check(lambda x: x.clone()).mistake == "unchanged"


def test_a_property_is_looked_at_within_the_time_and_on_a_copy(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.3)

    def slow(value):
        while True:
            pass

    def cases(look):
        return lambda: [Case("any", expected=Property("a number", look))]

    value = dict(reference=3, name="three", mistakes=())
    assert "took longer" in card(cases=cases(slow), **value).check(3).text
    assert "ZeroDivisionError" in card(cases=cases(lambda value: 1 / 0), **value).check(3).text
    assert card(cases=cases(lambda value: "" if value == 3 else "three!"), **value).check(4).hint == "three!"
    assert card(cases=cases(lambda value: value.clear() or ""), **value).check(kept := [1]).state == "RIGHT"
    assert kept == [1]


@pytest.mark.parametrize("empty", [lambda x: None, lambda x: ...])
def test_stubs(empty):
    def documented(x):
        """What is to be done."""

    def dots(x): ...

    def none(x):
        return None

    for blank in (documented, dots, none, None, ..., [1, None], {"a": True, "b": None}, {"a": (1, [None])}):
        assert card().check(blank).state == "TODO"
    assert card().check(lambda x: 0).state == "NOT YET"


class Doubling:
    """Twice x."""

    def __call__(self, x):
        return 2 * x


def test_a_class_has_a_stub_that_the_formatter_leaves_alone():
    each = card(reference=Doubling, cases=lambda: [Case("one", (), Property("a callable", lambda made: ""))])
    assert each.stub == 'class Doubling:\n    """Twice x."""\n\n    ...  # your code'
    names = {}
    exec(each.stub, names)
    assert each.check(names["Doubling"]).state == "TODO" and each.check(Doubling).state == "RIGHT"


def test_hints_come_one_by_one_and_the_solution_is_code_and_words():
    each = card()
    said = [repr(each.hint()) for _ in range(3)]
    assert said[0].startswith("Hint 1 of 2: Add it to itself.") and said[1].startswith("Hint 2 of 2: Or multiply by 2.")
    assert said[2] == said[1] and 'exercise("double").solution()' in said[1]
    solution = repr(each.solution())
    assert "    return 2 * x\n```" in solution and solution.endswith("2 x = x + x.")
    assert each.solution()._repr_markdown_() == solution


def test_later_cells_get_the_reader_s_own_only_when_it_is_right(capsys):
    def own(x):
        return x + x

    each = card()
    assert each.use(own) is own and capsys.readouterr().out == "double: yours is RIGHT and is used below.\n"
    assert each.use(None) is double and "yours is TODO; the kit's own" in capsys.readouterr().out
    assert each.use(lambda x: x) is double and "yours is NOT YET; the kit's own" in capsys.readouterr().out


def test_a_value_is_asked_for_in_the_form_it_is_wanted():
    value = dict(reference={"a": 1, "b": 2}, name="pair", mistakes=(), cases=lambda: [Case("both")])
    assert card(**value).stub == "pair = None  # your answer"
    each = card(**value, blank='{"a": None, "b": None}  # whole numbers')
    assert each.stub == 'pair = {"a": None, "b": None}  # whole numbers'
    assert [each.check(a).state for a in ({"a": 1, "b": None}, {"a": 1, "b": 3}, {"a": 1, "b": 2})] == [
        "TODO",
        "NOT YET",
        "RIGHT",
    ]


@pytest.mark.parametrize(
    "wrong",
    [dict(difficulty="trivial"), dict(hints=()), dict(explanation=""), dict(reference=3), dict(hints=("a",) * 4)],
)
def test_an_incomplete_card_is_refused(wrong):
    with pytest.raises(ValueError, match="exercise"):
        card(**wrong)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'hinge_derivative'"):
        exercise("hinge_derivativ")


# Progress


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("FTPKIT_PROGRESS", str(tmp_path / "mine.json"))
    return tmp_path / "mine.json"


def test_nothing_is_kept_unless_asked_for(place):
    exercise("hinge_derivative").check(EXERCISES["hinge_derivative"].reference)
    assert not place.exists() and "Nothing is kept" in repr(show_progress())


def test_progress_is_kept_shown_and_forgotten(place):
    keep_progress()
    number = sum(each.notebook == "03" for each in EXERCISES.values())
    right = exercise("hinge_derivative")
    right.check(lambda z, t: z)
    assert f"notebook 03: 0 of {number} right; begun: hinge_derivative" in repr(show_progress())
    right.check(right.reference)
    right.check(lambda z, t: z)  # what was right once stays so
    right.use(lambda z, t: z)  # no try
    assert json.loads(place.read_text())["hinge_derivative"] | {"last": ""} == {
        "state": "RIGHT",
        "tries": 2,
        "last": "",
    }
    assert f"notebook 03: 1 of {number} right" in repr(show_progress())
    keep_progress()
    assert f"1 of {number}" in repr(show_progress())
    forget_progress()
    assert not place.exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"hinge_derivative": 3}', '{"x": {"state": "DONE", "tries": 1}}'])
def test_a_file_that_is_no_progress_is_left_as_it_is(place, text):
    place.write_text(text)
    assert exercise("hinge_derivative").check(lambda z, t: z).state == "NOT YET"
    for said in (show_progress(), keep_progress(), forget_progress()):
        assert "was left as it is" in repr(said)
    assert place.read_text() == text


def test_a_verdict_is_given_though_nothing_can_be_written(place, monkeypatch):
    keep_progress()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert exercise("hinge_derivative").check(EXERCISES["hinge_derivative"].reference).state == "RIGHT"
