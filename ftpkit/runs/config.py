"""What decides a run's result, as data: written into the run's folder, compared when it goes on, built from again."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from ..imagenet import Folder
from ..names import NETWORKS, as_activation
from ..presets import Preset
from ..splits import DataSet


@dataclass(frozen=True)
class Facts:
    """What data a run has seen: their name, numbers of training and test images, (C, H, W), classes, and a SHA-256.

    sha256: of all images and labels, or, for a folder of files that are read one by one, of their names and sizes.
    """

    name: str
    train: int
    test: int
    shape: tuple[int, int, int]
    classes: int
    sha256: str

    @classmethod
    def of(cls, images: DataSet) -> "Facts":
        """Of images in memory.

        >>> from ftpkit.data import load
        >>> Facts.of(load("fashion-mnist-12k"))
        Facts(name='fashion-mnist-12k', train=10000, test=2000, shape=(1, 28, 28), classes=10, sha256='...')
        """
        digest = hashlib.sha256()
        for split in (images.train, images.test):
            for tensor in (split.images, split.labels):
                digest.update(_as_bytes(tensor))
        counts = len(images.train), len(images.test)
        return cls(images.name, *counts, images.input_shape, images.num_classes, digest.hexdigest())

    @classmethod
    def of_files(cls, folder: Folder, crop: int) -> "Facts":
        """Of a folder whose images are read one by one and cut to a square of `crop` pixels."""
        counts = (len(folder.parts[part]) for part in ("train", "val"))
        return cls(folder.path.name, *counts, (3, crop, crop), len(folder.classes), folder.sha256)


def _as_bytes(tensor: Tensor) -> bytes:
    return str(tuple(tensor.shape)).encode() + tensor.cpu().contiguous().numpy().tobytes()


@dataclass(frozen=True)
class Source:
    """The file that an own rule stands in: its name, its text and its SHA-256. What it imports is not looked at."""

    file: str
    text: str
    sha256: str

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Raises FileNotFoundError where there is no such file, ValueError where it is no text."""
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path} with a rule in {Path.cwd()}; name it with its folder")
        content = path.read_bytes()
        return cls(path.name, content.decode(), hashlib.sha256(content).hexdigest())


def own_rule(activation: str) -> Path | None:
    """The file that an activation's rule is in, where it is no rule of the kit's.

    >>> own_rule("sign:mine/my_rules.py:MyRule").as_posix(), own_rule("sign:SSTE")
    ('mine/my_rules.py', None)
    """
    file = _divided(activation)[1]
    return Path(file) if file.endswith(".py") else None


def _divided(activation: str) -> tuple[str, str, str]:
    """kind, file, name of an activation with a rule of one's own; the file is "" where the rule is the kit's."""
    kind, _, rule = activation.partition(":")
    return kind, *rule.rpartition(":")[::2]


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's result; device, processes and workers do not.

    preset: the name it began with. seed: of weights, order, augmentation and dropout. val: so many training images are
    held out, by class, and the rest is trained on. precision, compile, memory, channels_last: see `loop.Training`.
    data: a `Facts`. rule: the `Source` of an own rule, which `activation` then names without its folder. The other
    fields are those of `presets.Preset`, overrides included. Raises ValueError for a seed or a val that cannot be.
    """

    preset: str
    network: str
    activation: str
    optimizer: str
    lr: float
    weight_decay: float
    epochs: int
    milestones: tuple[int, ...]
    batch_size: int
    crop: int
    flip: bool
    resize: int
    data: Facts
    rule: Source | None = None
    seed: int = 0
    val: int = 0
    precision: str = "float32"
    compile: str = "no"
    channels_last: bool = False
    memory: str = "plain"

    def __post_init__(self):
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"a seed is a whole number from 0 to 2^63 - 1, not {self.seed}")
        if not 0 <= self.val < self.data.train:
            raise ValueError(
                f"cannot hold out {self.val} of {self.data.train} training images; choose 1 to {self.data.train - 1}, "
                f"or 0 to hold out none"
            )

    @classmethod
    def of(cls, preset: Preset, data: Facts, rule: Source | None = None, **settings) -> "Config":
        """A preset on these data. settings: fields of Config, from seed on, and those of Preset that are to be others.

        With another number of epochs, milestones that lie behind its end move in proportion; see `scaled`.

        >>> from ftpkit.presets import PRESETS
        >>> facts = Facts("cifar10", 50_000, 10_000, (3, 32, 32), 10, "")
        >>> short = Config.of(PRESETS["convnet8-relu"], facts, epochs=30, seed=1)
        >>> short.lr, short.epochs, short.milestones, short.seed
        (0.001, 30, (20, 25), 1)
        """
        merged = {field.name: getattr(preset, field.name) for field in fields(preset)} | settings
        if "milestones" not in settings:
            merged["milestones"] = scaled(preset.milestones, preset.epochs, merged["epochs"])
        if rule is not None:
            kind, _, name = _divided(merged["activation"])
            merged["activation"] = f"{kind}:{rule.file}:{name}"
        return cls(
            **{field.name: merged[field.name] for field in fields(cls) if field.name in merged}
            | {"preset": preset.name, "data": data, "rule": rule}
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Raises ValueError for a text that no `to_json` wrote."""
        try:
            found = json.loads(text)
            found["milestones"] = tuple(found["milestones"])
            data = found["data"]
            found["data"] = Facts(**{**data, "shape": tuple(data["shape"])})
            found["rule"] = Source(**found["rule"]) if found["rule"] else None
            return cls(**found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"this is not the configuration of a run ({type(error).__name__}: {error})") from error


def scaled(milestones: tuple[int, ...], epochs: int, new_epochs: int) -> tuple[int, ...]:
    """Milestones for another number of epochs: as they are where all still lie inside, else moved in proportion.

    >>> scaled((200, 250), 300, 400), scaled((200, 250), 300, 30), scaled((200, 250), 300, 1)
    ((200, 250), (20, 25), ())
    """
    if not milestones or max(milestones) < new_epochs:
        return milestones
    moved = (round(milestone * new_epochs / epochs) for milestone in milestones)
    return tuple(milestone for milestone in moved if 0 < milestone < new_epochs)


def differences(theirs: Config, ours: Config) -> list[str]:
    """Where two configurations differ, a sentence for each setting; none where they are equal.

    >>> from ftpkit.presets import PRESETS
    >>> facts = Facts("cifar10", 50_000, 10_000, (3, 32, 32), 10, "")
    >>> one, other = (Config.of(PRESETS["convnet8-relu"], facts, lr=lr) for lr in (0.1, 0.2))
    >>> differences(one, other)
    ['lr is 0.1 there and 0.2 here']
    """
    there, here = _settings(theirs), _settings(ours)
    return [f"{key} is {there[key]} there and {here[key]} here" for key in here if there[key] != here[key]]


def _settings(config: Config) -> dict:
    """Every setting by the name that a sentence calls it by; of an own rule what tells two files apart."""
    settings = asdict(config)
    data, rule = settings.pop("data"), settings.pop("rule")
    settings |= {f"the data's {part}": value for part, value in data.items()}
    return settings | {"the SHA-256 of the own rule's file": rule and rule["sha256"]}


def build(config: Config, rules: Path = Path()) -> nn.Module:
    """The network of a run with the weights that it begins with, on the CPU; torch's generator stays as it was.

    rules: the folder that holds the own rule's file, where there is one. Raises what the network raises for images of
    another shape, UnknownName (a ValueError) for a network, an activation or a rule that is not known, and what
    `as_rule` raises for an own one.

    >>> from ftpkit.presets import PRESETS
    >>> facts = Facts("cifar10", 50_000, 10_000, (3, 32, 32), 10, "")
    >>> sum(p.numel() for p in build(Config.of(PRESETS["convnet8-sign-ftpsh"], facts)).parameters())
    1492554
    """
    activation = config.activation
    if config.rule is not None:
        kind, file, name = _divided(activation)
        activation = f"{kind}:{rules / file}:{name}"
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(config.seed)
        return NETWORKS[config.network](as_activation(activation), config.data.shape, config.data.classes)
