"""The exercises of notebook 08: every printed solution passes its check, and plausible wrong answers do not."""

import exercises
import pytest

BOOK = exercises.Book("08_the_papers_table")

WRONG = {
    1: [
        "statements = {'a': True, 'b': True, 'c': True}",
        "statements = {'a': True, 'b': False, 'c': False}",
        "statements = {'a': False, 'b': True, 'c': False}",
    ],
    2: [
        "def standard_error(values):\n    return np.std(values) / len(values) ** 0.5 if len(values) > 1 else None",
        "def standard_error(values):\n    return np.std(values, ddof=1) if len(values) > 1 else None",
        "def standard_error(values):\n    return np.std(values, ddof=len(values) > 1) / len(values) ** 0.5",
    ],
    3: [
        "def flattery(epochs, images, runs, seed=0):\n    return 1.0",
        "def flattery(epochs, images, runs, seed=0):\n"
        "    right = np.random.default_rng(seed).binomial(images, 0.9, size=(runs, epochs))\n"
        "    return (right.max(axis=1) / images - 0.9).mean()",
        "def flattery(epochs, images, runs, seed=0):\n"
        "    right = np.random.default_rng(seed).binomial(images, 0.9, size=(runs, epochs))\n"
        "    return 100 * (right.max(axis=0) / images - 0.9).mean()",
    ],
    4: [
        "def on_the_other_half(halves):\n    return halves.max(axis=1).mean(axis=1)",
        "def on_the_other_half(halves):\n    return halves[:, -1].mean(axis=1)",
        "def on_the_other_half(halves):\n"
        "    return np.take_along_axis(halves, halves.argmax(axis=1)[:, None], axis=1).mean(axis=(1, 2))",
    ],
    5: [
        "commands = ['python -m ftpkit train resnet18-staircase-' + rule for rule in ('ftpsh', 'sste')]",
        "commands = ['python -m ftpkit train cifar-resnet18-staircase-ftpsh']",
        "commands = ['cifar-resnet18-staircase-ftpsh', 'cifar-resnet18-staircase-sste']",
    ],
}


@pytest.fixture(scope="module")
def namespace():
    names = {"__name__": "__main__"}
    for kind, text in BOOK.before:
        if kind == "code":
            exec(text, names)
    return BOOK.begin(names)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right(namespace, number):
    exercise = BOOK.exercises[number]
    assert exercise.attempt(namespace, exercise.solution).startswith("right")


@pytest.mark.parametrize("number, wrong", [(number, text) for number, texts in WRONG.items() for text in texts])
def test_a_wrong_answer_is_refused(namespace, number, wrong):
    with pytest.raises(AssertionError):
        BOOK.exercises[number].attempt(namespace, wrong)
