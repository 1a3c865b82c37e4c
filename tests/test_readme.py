"""What the README says is so: its example runs, its tables are the results files, its commands and links exist."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest
import torch

from ftpkit import bench, race, runs
from ftpkit.__main__ import COMMANDS
from ftpkit.exercises import EXERCISES
from ftpkit.presets import COLUMNS, ROWS
from ftpkit.runs import table as runs_table
from ftpkit.search import methods, tally

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


def test_the_table_of_runs_is_that_of_the_runs():
    found = [r for r in runs_table.records(runs.find(runs.COMMITTED), ["selected"]) if r["n"]]
    assert {r["n"] for r in found} == {10} and sum(r["n"] for r in found) == 170
    expected = []
    for row in dict.fromkeys(r["row"] for r in found):
        cells = {r["column"]: f"{r['mean']:.2f} ± {r['error']:.2f}" for r in found if r["row"] == row}
        title = ROWS[row].title.removesuffix(", bundled images")
        expected.append([title, *(cells.get(column, "–") for column in COLUMNS)])
    assert table_below("`python -m ftpkit table` prints them") == expected


CASES = {
    "logic": ["logic"],
    "2 layers, m ≤ 50": [f"teacher 2-layer* m={m}" for m in (12, 25, 50)],
    "2 layers, m ≥ 100": [f"teacher 2-layer* m={m}" for m in (100, 200)],
    "3 to 5 layers": ["teachers 3-layer", "growth with depth"],
    "moons, images": ["real"],
}


def search_table(result: dict, labels: dict[str, str], cases: dict[str, list[str]], *keys: str) -> list[list[str]]:
    """Shares solved in %, a column for each kind of case, – where not run; then medians over all that were."""
    rows = []
    for label, method in labels.items():
        shares = []
        for cells in cases.values():
            try:
                shares.append(f"{100 * tally.pooled(result, method, cells)['solved']:.0f}")
            except ValueError:
                shares.append("–")
        every = tally.pooled(result, method, [c for cells in cases.values() for c in cells])
        rows.append(
            [label, *shares, *(f"{every[key]:.2g}" if key == "seconds" else f"{every[key]:.0f}" for key in keys)]
        )
    return rows


def own(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def cells_of(result: dict, most_bits: int) -> list[str]:
    return [cell for cell, about in result["cells"].items() if about["bits"] <= most_bits]


SEARCHES = own("perceptron", "SSTE-1", "SSTE-50", "FTP-SH-1", "FTP-SH-50", "MADALINE II", "Algorithm 1", "exact")
LOCAL = own("hill climbing", "beam of 8", "local search", "MADALINE II", "Algorithm 1", "exact")
SMALLEST = own("exhaustive", "big-M, no proof", "exact")
OPEN = {
    "one unit, evaluated flips (the default)": "A1: as it is",
    "one unit, gradient signs": "A1: eq. 2, one unit",
    "all units, evaluated flips": "A1: flips, all units",
    "all units, gradient signs, the rest held and woken": "A1: eq. 2, held and woken",
    "all units, gradient signs, the rest free (eq. 2)": "A1: eq. 2, all units",
    "one unit, flips pooled over neighbours": "A1: pooled",
    "one unit, realisable dichotomies only": "A1: realisable",
    "one instance of an infeasibility certificate": "A1: conflicts",
    "default, every layer solved exactly": "A1: exact solver",
    "default, no random importance": "A1: no noise",
    "default, failed: outputs stay even if worse": "A1: outputs always",
    "default, failed: proposal stays": "A1: refuted targets stay",
    "default, failed: all restored": "A1: all restored",
}
ALWAYS = {"the default": "Algorithm 1", "failed: outputs stay even if worse": "Algorithm 1, outputs always"}


def search_tables(result: dict) -> dict[str, list[list[str]]]:
    """The README's tables of searches, by the words that stand above them."""
    growth = {f"m = {m}": [f"teacher 2-layer n=5 h=3 m={m}"] for m in (12, 25, 50, 100, 200)}
    hard = {cell: [cell] for cell in methods.HARD}
    depth = {"2 layers": ["teacher 2-layer n=5 h=3 m=50"]}
    depth |= {f"{d} layers": [f"teacher {d}-layer n=5 *"] for d in (3, 4, 5)}
    return {
        "Shares of cases solved": search_table(result, SEARCHES, CASES, "evaluations", "seconds"),
        "On the small cases": search_table(result, LOCAL, {"all": cells_of(result, 100)}, "evaluations", "seconds"),
        "On the smallest": search_table(result, SMALLEST, {"all": cells_of(result, 60)}, "seconds"),
        "what the pseudo-code leaves open": search_table(
            result, OPEN, {"all": list(methods.OPEN_QUESTIONS)}, "evaluations"
        ),
        "on four harder kinds": search_table(result, ALWAYS, hard, "evaluations"),
        "Growth with the number of instances": search_table(result, SEARCHES, growth, "seconds"),
        "Growth with depth": search_table(result, SEARCHES, depth, "seconds"),
    }


def test_search_tables_are_the_results():
    for words, rows in search_tables(tally.load()).items():
        assert table_below(words) == rows, words


def test_a_wrong_figure_would_show():
    wrong = [row[:] for row in race_table("mlp")]
    wrong[0][1] = "99.99"
    assert table_below("python -m ftpkit race mlp`") != wrong


def test_cost_table_is_what_is_counted():
    for name, passes, moved, *_ in table_below("make bench`"):
        cost = bench.cost(bench.ACTIVATIONS[name]())
        assert (passes, moved) == (f"{cost.forward} + {cost.backward}", f"{cost.bytes_moved:g}"), name


BENCH = json.loads((race.RESULTS / "bench.json").read_text())


def times(network: str, name: str) -> str:
    median, low, high = BENCH["networks"][network]["step"][name]
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def test_the_times_are_those_of_the_bench():
    header, rows = ["Sign, SSTE", "Sign, FTP-SH", "QuantReLU(3), FTP-SH"], table_below("Time of a training step")
    assert f"| network | batch | {' | '.join(header)} |" in README
    assert rows == [[n, str(b["batch"]), *(times(n, name) for name in header)] for n, b in BENCH["networks"].items()]


def test_the_bytes_kept_are_those_of_the_bench():
    expected = []
    for network, found in BENCH["networks"].items():
        saved = {name: f"{kept / found['saved_bytes']['nn.ReLU']:.2f}" for name, kept in found["saved_bytes"].items()}
        for packed in (name for name in bench.IN_NETWORKS if name.endswith(bench.PACKED)):
            plain = packed.removesuffix(bench.PACKED)
            expected.append([network, plain, saved[plain], saved[packed], times(network, packed)])
    assert table_below("**Memory.**") == expected


def test_the_bytes_kept_are_counted_alike_today():
    build, batch = bench.NETWORKS["ConvNet4"]
    images = bench._random_batches(batch, 1, torch.device("cpu"))
    options = {"precision": "float32", "channels_last": False, "compile": "no"}
    networks = bench._networks(build, bench.IN_NETWORKS, images, options, torch.device("cpu"))
    counted = {name: network.saved_bytes() for name, network in networks.items()}
    assert counted == BENCH["networks"]["ConvNet4"]["saved_bytes"]


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    accuracies = [float(line.split()[-1]) for line in printed.getvalue().splitlines()]
    assert len(accuracies) == 3 and min(accuracies) > 0.7


def test_the_exercises_are_counted():
    assert f"## The exercises\n\n{len(EXERCISES)} of them" in README
    (shown,) = re.findall(r'exercise\("(\w+)"\)', README)
    assert shown in EXERCISES


def test_commands_and_links_exist():
    assert set(re.findall(r"python -m ftpkit (\w+)", README)) <= set(COMMANDS)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])make (\w+)", README)) - {"it"} <= {*targets, "test", "notebooks"}
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
