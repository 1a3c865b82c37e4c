"""`python -m ftpkit COMMAND`: what the kit does from a shell.

A command is a module with `add_arguments(parser)` and `main(args) -> exit status`, and one line in
COMMANDS. The module is imported only when its command is called.
"""

import argparse
import os
import sys
from importlib import import_module

COMMANDS = {
    "doctor": ("ftpkit.doctor", "say what is installed, found and missing; paste it into a bug report"),
    "presets": ("ftpkit.presets", "list the paper's runs and others, with the command that starts each"),
    "train": ("ftpkit.runs.command", "train one of them, in a folder of its own, from which it can go on at any time"),
    "table": ("ftpkit.runs.table", "print the paper's table, and beneath it what was obtained here"),
    "race": ("ftpkit.race", "train the same networks under different rules and compare them, seed by seed"),
    "inside": ("ftpkit.inside", "look inside ten small convolutional networks of each kind: notebook 05's bands"),
    "bench": ("ftpkit.bench", "count and time what the activations cost beside ReLU"),
    "data": ("ftpkit.data", "make the bundled images again from the full set"),
    "depth": ("ftpkit.depth", "gradients by depth and flipped outputs, ten seeds of each: notebook 04's bands"),
    "skips": ("ftpkit.skips", "what thresholds on the skip path do, ten seeds of each: notebook 07's bands"),
    "bands": ("ftpkit.bands", "gather bands and differences from all results: what notebooks check and claim"),
    "search": ("ftpkit.search.compare", "search for targets on small networks by every method, and compare"),
    "picture": ("ftpkit.plots.overview", "draw the README's picture from the results in data/results"),
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m ftpkit", description="ftpkit from a shell")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules = {}
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in argv[:1]:
            modules[name] = import_module(module)
            modules[name].add_arguments(command)
    args = parser.parse_args(argv, argparse.Namespace(argv=argv))
    return modules[args.command].main(args)


if __name__ == "__main__":
    status = main()
    if "LOCAL_RANK" in os.environ:  # torch's threads now and then abort a process of torchrun while Python shuts down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
