"""`python -m ftpkit train PRESET`: a run in a folder of its own, that can be stopped at any time and taken up again.

On a CPU, a run that goes on is, to the last bit, the one that was never interrupted, given the same version of PyTorch
and as many threads and processes.
"""

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from .. import data, imagenet
from ..loop import COMPILE_MODES, MEMORY, OPTIMIZERS, PRECISIONS, Training, check_budget
from ..names import as_activation
from ..presets import PRESETS, Preset
from ..processes import Processes, ProcessLost, together
from . import feed
from .config import Config, Facts, Source, build, own_rule
from .folder import Folder
from .session import Ended, complain, sentence, shared, summary_writer, work

_OF_PRESET = ("epochs", "lr", "batch_size", "activation", "optimizer", "weight_decay")
_OF_CONFIG = ("seed", "val", "precision", "compile", "channels_last", "memory")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", help="a name that python -m ftpkit presets lists, such as convnet8-sign-ftpsh")
    parser.add_argument("--data", help="another data set, or a folder with train/CLASS/IMAGES and test/ or val/")
    parser.add_argument("--download", action="store_true", help="get a known data set where it is nowhere to be found")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, augmentation and dropout; default 0")
    parser.add_argument("--val", type=int, default=0, metavar="N", help="hold out N training images and judge by them")
    parser.add_argument("--out", type=Path, help="folder of the run; default runs/PRESET-seedSEED")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder, if there is one")

    own = parser.add_argument_group("instead of the preset's own")
    own.add_argument("--epochs", type=int, help="milestones that then lie behind the end move in proportion")
    own.add_argument("--lr", type=float)
    own.add_argument("--batch-size", type=int)
    own.add_argument("--activation", help="as relu, sign:FTP-SH, staircase-3:SSTE, sign:my_rules.py:MyRule")
    own.add_argument("--optimizer", choices=OPTIMIZERS)
    own.add_argument("--weight-decay", type=float)

    how = parser.add_argument_group("how it is computed")
    how.add_argument("--device", help="cpu, cuda, cuda:1; default cuda where there is one; torchrun starts several")
    how.add_argument("--precision", choices=PRECISIONS, default="float32")
    how.add_argument("--channels-last", action="store_true", help="the memory format that GPUs like best")
    modes = dict(zip(("", "--compile", "--cuda-graphs"), COMPILE_MODES, strict=True))
    parser.set_defaults(compile=modes.pop(""))
    either = how.add_mutually_exclusive_group()
    for flag, mode in modes.items():
        about = f"torch.compile{' with CUDA graphs' if 'graphs' in flag else ''}"
        either.add_argument(flag, dest="compile", action="store_const", const=mode, help=about)
    how.add_argument(
        "--memory", choices=MEMORY, default="plain", help="packed: thresholds keep a few bits for backward"
    )
    how.add_argument("--workers", type=int, help="processes that decode images; default one for each core, 8 at most")
    how.add_argument("--tensorboard", action="store_true", help="curves for TensorBoard, in the run's folder")


def main(args: argparse.Namespace) -> int:
    try:
        with ExitStack() as stack:
            try:
                preset = PRESETS[args.preset]
                processes = stack.enter_context(together(args.device))
            except ValueError as error:
                complain(f"no run: {error}")
                return 2
            return _run(preset, args, processes)
    except Ended as end:
        return end.status
    except ProcessLost as error:
        complain(f"stopped: {error}; what was saved before is kept")
        return 1


def _run(preset: Preset, args: argparse.Namespace, processes: Processes) -> int:
    """What this process does among all; raises Ended where it must not wait for the others."""
    with ExitStack() as stack:
        try:
            folder = None
            if processes.first:  # it alone reads and writes
                out = args.out or Path("runs") / f"{preset.name}-seed{args.seed}"
                folder = stack.enter_context(Folder(out, resume=args.resume))
            make_writer = summary_writer() if args.tensorboard else None
            training, config, finished = _prepared(preset, args, folder, processes)
        except KeyboardInterrupt:
            complain("no run: interrupted before it began")
            raise Ended(128 + signal.SIGINT) from None
        except Exception as error:
            said = sentence(error, args.batch_size or preset.batch_size)
            if said is None:
                raise
            complain(f"no run: {said}")
            raise Ended(2) from error
        if folder and finished:
            print(f"{folder.path} is finished, with {config.epochs} epochs: there is nothing left to do")
        if finished:
            return 0
        if folder:
            _announce(preset, config, training, folder)
        board = make_writer(folder.path / "tensorboard", training.epoch) if folder and make_writer else None
        return work(training, config, folder, args.argv, board)


def _prepared(
    preset: Preset, args: argparse.Namespace, folder: Folder | None, processes: Processes
) -> tuple[Training, Config, bool]:
    """The training at the place where it begins or goes on; whatever cannot be is refused here, the cheapest first.

    Also the configuration, and whether the run was finished before.
    """
    own = {name: getattr(args, name) for name in _OF_PRESET if getattr(args, name) is not None}
    changed = replace(preset, **own)
    check_budget(changed.epochs, changed.lr, changed.batch_size, (), False, 1)
    rule, rules = shared(processes, _own_rule(changed.activation, folder) if folder else None)
    if rule is None:
        as_activation(changed.activation)()
    if preset.resize:
        images = imagenet.check(_required(preset, args.data))
        facts = Facts.of_files(images, preset.crop)
    else:
        images = data.load(args.data or preset.data, download=args.download)
        facts = Facts.of(images)
    settings = own | {name: getattr(args, name) for name in _OF_CONFIG}
    config = Config.of(preset, facts, rule, **settings)
    model = build(config, rules).to(processes.device)
    if preset.resize:
        fed = feed.of_files(images, config, _workers() if args.workers is None else args.workers, processes)
    else:
        fed = feed.of_tensors(images, config, processes)
    feed.check(model, config, fed.train.images, processes)
    training = Training(
        model,
        fed.train,
        feed.judge(fed, facts.classes, processes),
        epochs=config.epochs,
        lr=config.lr,
        optimizer=config.optimizer,
        weight_decay=config.weight_decay,
        milestones=config.milestones,
        seed=config.seed,
        precision=config.precision,
        channels_last=config.channels_last,
        compile=config.compile,
        memory=config.memory,
        processes=processes,
    )
    finished, state = shared(processes, _taken_up(folder, config) if folder else None)
    if state is not None:
        try:
            training.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            why = str(error).splitlines()[0]
            raise ValueError(
                f"the checkpoint does not fit this network ({why}): was it saved by another version of ftpkit? Go on "
                f"with that one, or name another --out"
            ) from error
    return training, config, finished


def _taken_up(folder: Folder, config: Config) -> tuple[bool, dict | None]:
    """Whether the run in the folder is finished, and otherwise the state that it has got to, if any."""
    folder.settle(config)
    return folder.finished, None if folder.finished else folder.load()


def _own_rule(activation: str, folder: Folder) -> tuple[Source | None, Path]:
    """The file of an own rule and the folder it is in: where the activation says, or else the run's copy."""
    path = own_rule(activation)
    if path is None:
        return None, Path()
    if not path.is_file() and (folder.rules / path.name).is_file():
        path = folder.rules / path.name
        print(f"{activation}: the file is no longer there; its copy {path} is taken")
    return Source.read(path), path.parent


def _required(preset: Preset, path: str | None) -> str:
    if path is None:
        raise ValueError(
            f"{preset.name} reads images of any size from a folder with train/CLASS/IMAGES and val/CLASS/IMAGES, which "
            f"has to be named: --data FOLDER"
        )
    return path


def _workers() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _announce(preset: Preset, config: Config, training: Training, folder: Folder) -> None:
    images = f"{config.data.train - config.val} images of {config.data.name}"
    print(f"{preset.name}: {config.network} with {config.activation}, seed {config.seed}, {images}, {training.device}")
    if config.milestones != preset.milestones:
        new, old = (", ".join(map(str, milestones)) or "none" for milestones in (config.milestones, preset.milestones))
        print(f"milestones, after which lr falls: {new} of {config.epochs} epochs, for {old} of {preset.epochs}")
    if not folder.sessions:
        print(f"begins in {folder.path}")
    else:
        print(f"goes on in {folder.path} with epoch {training.epoch} of {config.epochs}, batch {training.step + 1}")
        now = {"torch": torch.__version__, "threads": torch.get_num_threads(), "processes": training.processes.world}
        before = folder.sessions[-1]
        if other := [
            f"{key} {before.get(key)} before and {now[key]} now" for key in now if before.get(key) != now[key]
        ]:
            print(
                f"{', '.join(other)}: numbers are added up in another order, so the last bits may differ from here on"
            )
    sys.stdout.flush()
