"""`python -m ftpkit search`: every method on every cell and seed, and what comes out, in data/results/search.json.

Budgets are counted in evaluations, so that all but the seconds is the same on every run; only a method whose settings
name a time limit may end by the clock, and then it says that nothing is proved.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path

from tqdm import tqdm

from .. import race
from . import tally, tuning
from .cases import CELLS, case, named
from .methods import METHODS, Method
from .tally import FIELDS

SEEDS = 20
_WRITE_EVERY = 3  # seconds


def run(
    methods: Sequence[str] | None = None,
    cells: Sequence[str] | None = None,
    seeds: int = SEEDS,
    out: Path | None = None,
    jobs: int = 0,
    progress: bool = True,
) -> dict:
    """Run what `out` does not hold yet and return everything it then holds, as plain data.

    methods: names in METHODS; cells: as for `cases.named`; None stands for all. seeds: 0, 1, ... up to that number; one
    is enough where neither the cell nor the method draws anything. out: a JSON file, rewritten whole every few seconds
    and at the end, also when interrupted. Runs made with other settings of the method or of the cell are dropped first.
    jobs: processes, of one thread each; 0: this process.

    The result holds `methods` and `cells` (settings, provenance, cases) and `runs`: by method and cell, a list of runs
    with FIELDS. Raises UnknownName (a ValueError) for an unknown method or cell, ValueError for seeds or jobs that are
    no count, for a file that is no such result, and for one that was made with other cases of the same settings.
    """
    chosen = {name: METHODS[name] for name in (METHODS if methods is None else methods)}
    cells = named(cells)
    if seeds < 1 or jobs < 0:
        raise ValueError(f"seeds must be 1 or more and jobs 0 or more, not {seeds} and {jobs}")
    if out is not None and out.exists():
        result = tally.read(out)
    else:
        result = {"fields": list(FIELDS), "methods": {}, "cells": {}, "runs": {}}
    _drop_outdated(result, chosen, cells)
    todo = [
        (name, m, cell, seed)
        for seed in range(seeds)
        for cell in cells
        for name, m in chosen.items()
        if (seed == 0 or m.seeded or not CELLS[cell].fixed)
        and (m.max_bits is None or result["cells"][cell]["bits"] <= m.max_bits)
        and (m.cells is None or cell in named(m.cells))
        and all(row[0] != seed for row in result["runs"][name].get(cell, []))
    ]
    provenance = race.provenance() | {"jobs": jobs} | ({"threads": 1} if jobs else {})
    written = time.monotonic()
    done = _done(todo, jobs)
    try:
        for (name, _, cell, seed), row, made in tqdm(done, total=len(todo), disable=not progress):
            if result["cells"][cell]["cases"].setdefault(str(seed), made) != made:
                raise ValueError(
                    f"{out} was made with another case {cell!r}, seed {seed}, than is drawn now; name another"
                )
            result["methods"][name]["provenance"] = provenance
            rows = result["runs"][name].setdefault(cell, [])
            rows.append(row)
            rows.sort()
            if out is not None and time.monotonic() - written > _WRITE_EVERY:
                tally.write(out, result, list(METHODS))
                written = time.monotonic()
    finally:
        done.close()
        if out is not None and todo:
            tally.write(out, result, list(METHODS))
    return result


def _drop_outdated(result: dict, methods: dict[str, Method], cells: list[str]) -> None:
    """Make room in the result for these methods and cells; drop runs that were made with other settings."""
    for name, m in methods.items():
        known = result["methods"].get(name)
        if known is None or known["settings"] != m.as_data():
            _say_dropped(name, result["runs"].get(name, {}).values())
            result["runs"][name] = {}
            result["methods"][name] = {"settings": m.as_data()}
    for cell in cells:
        known, settings = result["cells"].get(cell), json.loads(json.dumps(CELLS[cell].settings))
        if known is None or known["settings"] != settings:
            _say_dropped(cell, [runs.pop(cell) for runs in result["runs"].values() if cell in runs])
            first = case(cell)
            result["cells"][cell] = {
                "settings": settings,
                "m": first.problem.m,
                "bits": first.problem.bits,
                "planted": first.teacher is not None,
                "fixed": CELLS[cell].fixed,
                "cases": {},
            }


def _say_dropped(name: str, runs: Iterable[list]) -> None:
    if count := sum(map(len, runs)):
        print(f"{name}: other settings than in the file; {count} runs dropped", file=sys.stderr)


def _done(todo: list[tuple], jobs: int) -> Iterator[tuple]:
    """The jobs with their results, in the order in which they come."""
    if jobs == 0:
        yield from map(_one, todo)
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # new processes read it when they start
    others = set(active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        for future in as_completed([pool.submit(_one, job) for job in todo]):
            yield future.result()
    except BaseException:  # an interruption does not wait for the searches under way
        for child in set(active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


_warm = set()


def _one(job: tuple[str, Method, str, int]) -> tuple[tuple, list, list]:
    """One run: the job, its row with FIELDS, and the case's fingerprint, redraws and minority."""
    name, m, cell, seed = job
    if name not in _warm:  # what is imported or compiled on first use is not timed
        m(case("XOR").problem, 0)
        _warm.add(name)
    made = case(cell, seed)
    start = time.perf_counter()
    outcome = m(made.problem, seed)
    seconds = float(f"{time.perf_counter() - start:.3g}")
    value, bound = (round(float(number), 6) for number in (outcome.value, outcome.bound))
    row = [seed, outcome.errors, outcome.evaluations, seconds, value, bound, outcome.proved]
    return job, row, [made.fingerprint, made.redraws, round(made.minority, 4)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help=f"of: {', '.join(METHODS)}; default all")
    parser.add_argument("--cells", nargs="+", metavar="CELL", help="names, groups, or patterns with *; default all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"cases of each cell (default {SEEDS})")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each (default 1)")
    parser.add_argument(
        "--out", type=Path, default=race.RESULTS / "search.json", help="JSON file to write or go on with"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--list", action="store_true", help="make the cases and say what they are; run nothing")
    other.add_argument("--tune", action="store_true", help="learning rates for gradient training, on other seeds")


def main(args: argparse.Namespace) -> int:
    try:
        if args.list:
            print(listing(args.cells, args.seeds))
        elif args.tune:
            print(tuning.summary(tuning.tune(args.out.with_name("search_lr.json"))))
        else:
            print(tally.summary(run(args.methods, args.cells, args.seeds, args.out, args.jobs)))
    except (ValueError, OSError) as error:
        print(f"no comparison: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; {args.out} holds what was done, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def listing(cells: Sequence[str] | None = None, seeds: int = SEEDS) -> str:
    """A line for each cell: group, size, mean share of the rarer label, share of the draws that were thrown away."""
    names = named(cells)
    width = max(map(len, names))
    lines = [f"{'cell':{width}}  {'group':18} {'m':>4} {'hidden':>8} {'bits':>5} {'minority %':>10} {'redrawn %':>10}"]
    for name in names:
        made = [case(name, seed) for seed in range(1 if CELLS[name].fixed else seeds)]
        problem = made[0].problem
        thrown = sum(c.redraws for c in made)
        minority = sum(c.minority for c in made) / len(made)
        about = f"{problem.m:4} {'-'.join(map(str, problem.hidden)):>8} {problem.bits:5} {100 * minority:10.0f}"
        lines.append(f"{name:{width}}  {CELLS[name].group:18} {about} {100 * thrown / (thrown + len(made)):10.0f}")
    return "\n".join(lines)
