"""What the README says is so: its example runs, its tables are the results files, its commands and links exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from ftpkit import bench, race
from ftpkit.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def table_below(command: str) -> list[list[str]]:
    """The cells of the first table that follows `command` in the README, without its two header lines."""
    lines = README.split(command, 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def race_table(name: str) -> list[list[str]]:
    result = race.load(name)
    rows = []
    for contestant in result["settings"]["contestants"]:
        accuracies = 100 * race.correct(result, contestant).mean(axis=1)
        error = accuracies.std(ddof=1) / len(accuracies) ** 0.5
        lr = race.best_lr(result, contestant)
        rows.append([race.label(contestant), f"{accuracies.mean():.2f}", f"{error:.2f}", f"{lr:g}"])
    return sorted(rows, key=lambda row: -float(row[1]))


@pytest.mark.parametrize("name", ["mlp", "convnet4"])
def test_race_tables_are_the_results(name):
    assert table_below(f"python -m ftpkit race {name}`") == race_table(name)


def test_a_wrong_figure_would_show():
    wrong = [row[:] for row in race_table("mlp")]
    wrong[0][1] = "99.99"
    assert table_below("python -m ftpkit race mlp`") != wrong


def test_cost_table_is_what_is_counted():
    for name, passes, moved, *_ in table_below("make bench`"):
        cost = bench.cost(bench.ACTIVATIONS[name]())
        assert (passes, moved) == (f"{cost.forward} + {cost.backward}", f"{cost.bytes_moved:g}"), name


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    accuracies = [float(line.split()[-1]) for line in printed.getvalue().splitlines()]
    assert len(accuracies) == 3 and min(accuracies) > 0.7


def test_commands_and_links_exist():
    assert set(re.findall(r"python -m ftpkit (\w+)", README)) <= set(COMMANDS)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])make (\w+)", README)) - {"it"} <= {*targets, "test", "notebooks"}
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
