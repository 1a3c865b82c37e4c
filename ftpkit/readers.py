"""How the files of data sets are read: every reader takes the folder that holds them and returns `Arrays`.

No reader needs torchvision; SVHN needs scipy, and a folder of images needs Pillow.
"""

import gzip
import hashlib
import math
import os
import pickle
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DIGITS = tuple("0123456789")

BUNDLE_FILE = "fashion-mnist-12k.npz"
BUNDLE_SHA256 = "b2d5c432d90f1eda3c743024f241557fd46888f5800b8086d1bc382af4f29562"
IDX_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}

MD5 = {  # of the published files, the values that torchvision checks
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}


@dataclass(frozen=True, eq=False)
class Arrays:
    """A data set as read: images uint8 (N, C, H, W) and labels (N,) of both parts, and the names of the classes."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


def read_bundle(folder: Path) -> Arrays:
    """The bundled subset of Fashion-MNIST, written by `ftpkit.data.bundle`. Raises ValueError for other contents."""
    with np.load(folder / BUNDLE_FILE) as file:
        arrays = dict(file)
    if (found := contents_sha256(arrays)) != BUNDLE_SHA256:
        raise ValueError(f"SHA-256 of its contents is {found}, not {BUNDLE_SHA256}")
    train, test = (arrays[f"{part}_images"][:, None] for part in ("train", "test"))
    return Arrays(train, arrays["train_labels"], test, arrays["test_labels"], FASHION)


def contents_sha256(arrays: dict[str, np.ndarray]) -> str:
    """Of names, types, shapes and values, not of a file: two versions of zlib pack the same arrays differently."""
    digest = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_idx(folder: Path, classes: tuple[str, ...]) -> Arrays:
    """MNIST and the sets made in its image, gzipped or not."""
    train, train_labels, test, test_labels = (
        _idx(find_file(folder, name), ndim=3 if "images" in name else 1) for name in IDX_FILES
    )
    return Arrays(train[:, None], train_labels, test[:, None], test_labels, classes)


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in the folder, or the gzipped one in its place."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _idx(path: Path, ndim: int) -> np.ndarray:
    """An idx file of bytes: 0, 0, 8, ndim, then the sizes as big-endian int32, then the bytes."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        raw = bytearray(file.read())
    if raw[:4] != bytes((0, 0, 8, ndim)):
        raise ValueError(f"{path.name} does not begin like an idx file of bytes with {ndim} dimensions")
    shape = np.frombuffer(raw, ">i4", ndim, offset=4).tolist()
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim)
    if values.size != math.prod(shape):
        raise ValueError(f"{path.name} holds {values.size} bytes of data where its header promises {shape}")
    return values.reshape(shape)


def read_cifar(folder: Path, train: tuple[str, ...], test: str, meta: str, fine: str) -> Arrays:
    """CIFAR-10 and CIFAR-100 in the version for Python. fine: the prefix of the labels' and the names' keys."""
    batches, test_batch = [_unpickle(folder / name) for name in train], _unpickle(folder / test)
    return Arrays(
        np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32),
        np.concatenate([batch[f"{fine}labels"] for batch in batches]),
        test_batch["data"].reshape(-1, 3, 32, 32),
        np.array(test_batch[f"{fine}labels"]),
        tuple(_unpickle(folder / meta)[f"{fine}label_names"]),
    )


def _unpickle(path: Path):
    """Unpickle a file once its MD5 has shown that it is the published one, for a pickle can run any code."""
    _check_md5(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these pickles are older than numpy's present way to write a dtype
        return pickle.loads(path.read_bytes(), encoding="latin1")


def _check_md5(path: Path) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    if found != MD5[path.name]:
        raise ValueError(f"MD5 of {path.name} is {found}, not {MD5[path.name]}")


def read_svhn(folder: Path) -> Arrays:
    """Street View House Numbers, cropped digits, train and test without extra."""
    from scipy.io import loadmat

    parts = []
    for name in SVHN_FILES:
        _check_md5(folder / name)
        mat = loadmat(folder / name)
        parts += [mat["X"].transpose(3, 2, 0, 1), mat["y"].flatten() % 10]  # the files call the digit 0 "10"
    return Arrays(*parts, classes=DIGITS)


def read_image_folder(folder: Path) -> Arrays:
    """Images of one size in train/CLASS/* and test/CLASS/* (without test/: in val/CLASS/*), decoded by Pillow.

    Classes are the sorted names of the folders in train/. The first image decides between grey and RGB. Raises
    FileNotFoundError for another layout, ValueError for a file that is broken, of another size, of 16 bits or coloured
    among grey ones, and MemoryError for more pixels than this machine has memory.
    """
    classes, parts, files = find_images(folder, ("test", "val"))
    refuse_empty(parts[0], classes, files[0])
    train, test = _decode([[path for paths in part for path in paths] for part in files])
    labels = [np.repeat(np.arange(len(classes)), [len(paths) for paths in part]) for part in files]
    return Arrays(train, labels[0], test, labels[1], classes)


def find_images(folder: Path, held_out: tuple[str, ...]) -> tuple[tuple[str, ...], list[Path], list[list[list[str]]]]:
    """Classes, the folders of the two parts, and for each part the image files of every class, in the order of names.

    The second part is the first of `held_out` that is there. Hidden files and folders, which begin with a dot, do not
    count. Raises FileNotFoundError where a part is missing, and ValueError for a part without class folders and for
    classes that train/ does not have.
    """
    found = next((name for name in held_out if (folder / name).is_dir()), held_out[-1])
    parts = [folder / "train", folder / found]
    if not all(part.is_dir() for part in parts):
        layout = f"train/CLASS/IMAGES and {held_out[0]}/CLASS/IMAGES (or {held_out[1]}/CLASS/IMAGES)"
        raise FileNotFoundError(f"{folder} must hold {layout}")
    names = [sorted(path.name for path in part.iterdir() if path.is_dir() and path.name[0] != ".") for part in parts]
    for part, classes in zip(parts, names, strict=True):
        if not classes:
            raise ValueError(f"{part} has no class folders with images in them: it needs one for each class")
    if unknown := sorted(set(names[1]) - set(names[0])):
        raise ValueError(f"{parts[1]} has classes that train/ has not: {some(unknown)}")
    return tuple(names[0]), parts, [[_image_files(part / name) for name in names[0]] for part in parts]


def refuse_empty(part: Path, classes: tuple[str, ...], files: list[list[str]]) -> None:
    """Raises ValueError for a class that has no images in this part."""
    if empty := [name for name, found in zip(classes, files, strict=True) if not found]:
        raise ValueError(f"{part} has no images of {some(empty)}; suffixes are {' '.join(sorted(IMAGE_SUFFIXES))}")


def some(names: list[str]) -> str:
    """The first ten names, and how many more there are."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _image_files(folder: Path) -> list[str]:
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    images = (name for name in names if name[0] != "." and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES)
    return [os.path.join(folder, name) for name in images]


def _decode(parts: list[list[str]]) -> list[np.ndarray]:
    from PIL import Image

    paths = [path for part in parts for path in part]
    with Image.open(paths[0]) as first:
        mode, (width, height) = "L" if first.mode in ("1", "L") else "RGB", first.size
    channels = len(mode)
    needed = len(paths) * channels * height * width
    if needed > _memory():
        raise MemoryError(
            f"{len(paths)} images of {width}x{height} need {needed / 1e6:,.0f} MB and this machine has "
            f"{_memory() / 1e6:,.0f} MB; make them smaller, or use fewer"
        )
    images = np.empty((len(paths), channels, height, width), np.uint8)
    for i, path in enumerate(tqdm(paths, f"decoding {needed / 1e6:,.0f} MB", unit=" images", leave=False)):
        try:
            with Image.open(path) as image:
                if image.size != (width, height):
                    raise ValueError(f"its size is {image.width}x{image.height}, not {width}x{height} as of {paths[0]}")
                if image.mode[0] in "IF" or (mode == "L" and image.mode not in ("1", "L")):
                    raise ValueError(f"its mode is {image.mode}, not {mode} as of {paths[0]}")
                pixels = np.asarray(image.convert(mode))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}; convert or delete it") from error
        images[i] = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    return np.split(images, [len(parts[0])])


def _memory() -> float:
    """Bytes of memory of this machine, infinite where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf
