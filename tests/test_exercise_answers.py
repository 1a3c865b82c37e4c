"""Every exercise's check is proven: right answers pass it, wrong ones get the hint that fits the mistake made."""

import inspect
from importlib import import_module

import pytest
import torch

from ftpkit.exercises import EXERCISES

HOMES = {name: each.cases.__module__.rsplit(".", 1)[1] for name, each in EXERCISES.items()}
ANSWERS = {
    name: answers
    for home in sorted(set(HOMES.values()))
    for name, answers in import_module(f"answers.{home}").ANSWERS.items()
}
every_exercise = pytest.mark.parametrize("name", EXERCISES)
RIGHT = [(name, n) for name, answers in ANSWERS.items() for n in range(len(answers.right))]
WRONG = [(name, mistake) for name, answers in ANSWERS.items() for mistake in answers.wrong]


def code(answer):
    return getattr(answer, "__code__", repr(answer))  # a value may be a dict, which has no hash


@every_exercise
def test_there_are_two_right_answers_and_four_wrong_ones(name):
    exercise, answers = EXERCISES[name], ANSWERS[name]
    assert len({code(each) for each in answers.right}) >= 2, f"{name}: two right answers, written differently, please"
    assert all(code(each) != code(exercise.reference) for each in answers.right)
    assert len(answers.wrong) >= 4, f"{name}: four wrong answers, taken from real mistakes, please"
    known = {mistake.name for mistake in exercise.mistakes}
    unproven = known - {mistake.split(" / ")[0] for mistake in answers.wrong}
    assert not unproven, f"{name}: no wrong answer makes these mistakes: {', '.join(sorted(unproven))}"


@pytest.mark.parametrize("name, n", RIGHT)
def test_right_answers_pass(name, n):
    verdict = EXERCISES[name].check(ANSWERS[name].right[n])
    assert verdict.state == "RIGHT", verdict


@pytest.mark.parametrize("name, mistake", WRONG)
def test_wrong_answers_get_the_hint_that_fits(name, mistake):
    verdict = EXERCISES[name].check(ANSWERS[name].wrong[mistake])
    assert verdict.state == "NOT YET", verdict
    assert verdict.mistake == mistake.split(" / ")[0], verdict
    assert verdict.hint and verdict.text.endswith(verdict.hint)


@every_exercise
def test_each_mistake_has_a_hint_of_its_own(name):
    exercise = EXERCISES[name]
    hints = {mistake: exercise.check(answer).hint for mistake, answer in ANSWERS[name].wrong.items()}
    kinds = {mistake.split(" / ")[0] if not mistake.startswith("property") else mistake for mistake in hints}
    assert len(set(hints.values())) >= max(4, len(kinds)), hints


@every_exercise
def test_the_reference_passes_the_stub_is_todo_and_the_solution_runs(name):
    exercise = EXERCISES[name]
    assert exercise.check(exercise.reference).state == "RIGHT"
    assert exercise.check().state == exercise.check(...).state == "TODO"
    if exercise.is_value:
        names = {}
        exec(exercise.stub, names)
        assert exercise.check(names[name]).state == "TODO"
    else:
        names = vars(inspect.getmodule(exercise.reference)).copy()
        exec(exercise.stub, names)
        assert exercise.check(names[name]).state == "TODO"
        exec(exercise.solution_code, names)
        assert exercise.check(names[name]).state == "RIGHT"


@every_exercise
def test_a_function_s_stub_has_types(name):
    reference = EXERCISES[name].reference
    if inspect.isfunction(reference):
        signature = inspect.signature(reference)
        untyped = [each.name for each in signature.parameters.values() if each.annotation is inspect.Parameter.empty]
        assert not untyped and signature.return_annotation is not inspect.Signature.empty, untyped or "returns what?"


@every_exercise
def test_checking_disturbs_no_random_numbers(name):
    before = torch.get_rng_state()
    EXERCISES[name].check(ANSWERS[name].right[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_no_answer_is_left_over():
    assert set(ANSWERS) == set(EXERCISES)
