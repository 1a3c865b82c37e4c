"""The notebooks with their exercises solved: stubs replaced by solutions, and what the checks must then say."""

import copy
import re

from ftpkit.exercises import EXERCISES

CHECK = re.compile(r'exercise\("(\w+)"\)\.check\((\w+)\)')
USE = re.compile(r'(\w+) = exercise\("(\w+)"\)\.use\((\w+)\)')


def text(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def cells(notebook: dict) -> list[tuple[int, str, str]]:
    """(position, kind, exercise) of every cell that is a stub, a check or a use."""
    stubs = {each.stub: name for name, each in EXERCISES.items()}
    found = []
    for n, cell in enumerate(notebook["cells"]):
        source = text(cell)
        if cell["cell_type"] != "code":
            continue
        if source in stubs:
            found.append((n, "stub", stubs[source]))
        elif (check := CHECK.fullmatch(source)) and check[1] == check[2]:
            found.append((n, "check", check[1]))
        elif (use := USE.fullmatch(source)) and use[1] == use[2] == use[3]:
            found.append((n, "use", use[1]))
    return found


def solve(notebook: dict) -> dict:
    """The notebook with all stubs filled in; nothing else differs but what `check` and `use` put out."""
    notebook = copy.deepcopy(notebook)
    for n, kind, name in cells(notebook):
        exercise, cell = EXERCISES[name], notebook["cells"][n]
        if kind == "stub":
            cell["source"] = exercise.solution_code
        elif kind == "check":
            said = {"text/plain": repr(exercise.check(exercise.reference))}
            count = cell["execution_count"]
            cell["outputs"] = [
                {"output_type": "execute_result", "execution_count": count, "data": said, "metadata": {}}
            ]
        else:
            said = f"{name}: yours is RIGHT and is used below.\n"
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": said}]
    return notebook
