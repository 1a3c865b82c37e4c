"""Data: the bundled set, every reader on small files of the real formats, splitting, augmentation, batches."""

import argparse
import gzip
import hashlib
import os
import pickle
import shutil
import sys
import zipfile
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ftpkit import data, datasets, readers
from ftpkit.data import Batches, DataSet, Split, augment, holdout, load, normalize, two_classes

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_data_of_this_machine(monkeypatch):
    """Tests find what they made and what the kit ships, never what happens to lie about."""
    monkeypatch.delenv("FTPKIT_DATA", raising=False)
    monkeypatch.setattr(datasets, "DEBIAN", datasets.REPO_DATA / "nowhere")


@pytest.fixture(scope="module")
def bundled():
    return load("fashion-mnist-12k")


def pixels(n, *shape, seed=0):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def tiny(n=12, classes=3, shape=(3, 6, 5)):
    return Split(pixels(n, *shape), torch.arange(n) % classes)


# The bundled set


def test_bundle_is_balanced_whole_and_real(bundled):
    assert bundled.train.images.shape == (10_000, 1, 28, 28) and bundled.test.images.shape == (2000, 1, 28, 28)
    assert bundled.train.labels.bincount().tolist() == 10 * [1000]
    assert bundled.test.labels.bincount().tolist() == 10 * [200]
    assert bundled.classes[0] == "T-shirt/top" and bundled.classes[9] == "Ankle boot" and bundled.num_classes == 10
    assert bundled.input_shape == (1, 28, 28)
    # The full set's mean and deviation are 0.2860 and 0.3530.
    assert bundled.train.mean == pytest.approx((0.286,), abs=2e-3) and bundled.test.mean == bundled.train.mean
    assert bundled.train.std == pytest.approx((0.353,), abs=2e-3) and bundled.test.std == bundled.train.std


def test_bundle_is_small_and_its_licence_is_beside_it():
    folder = datasets.REPO_DATA / "fashion-mnist-12k"
    assert (folder / "fashion-mnist-12k.npz").stat().st_size < 8_000_000
    assert "MIT License" in (folder / "LICENSE").read_text() and "Zalando" in (folder / "LICENSE").read_text()
    assert readers.BUNDLE_SHA256 in (folder / "README.md").read_text()


def test_bundle_holds_the_first_images_of_each_class():
    with np.load(datasets.REPO_DATA / "fashion-mnist-12k" / "fashion-mnist-12k.npz") as file:
        index = file["train_index"]
    assert (np.diff(index.astype(int)) > 0).all() and index[-1] < 60_000


def test_bundle_is_made_anew_with_the_same_contents(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # the full set may come from anywhere
    if datasets.locations()["fashion-mnist"] is None:
        pytest.skip(f"needs the full fashion-mnist to make the bundle from: {datasets.SOURCES['fashion-mnist'].remedy}")
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    assert data.main(parser.parse_args(["bundle", "--out", str(tmp_path / "new")])) == 0
    assert readers.BUNDLE_SHA256 in capsys.readouterr().out
    path = tmp_path / "new" / readers.BUNDLE_FILE
    assert len(readers.read_bundle(path.parent).train_images) == 10_000
    with zipfile.ZipFile(path) as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}  # no clock in the bytes
    # Every image stands at its index in the full set.
    full = datasets.locations()["fashion-mnist"]
    with np.load(path) as file:
        for kind, name in zip(("images", "labels"), readers.IDX_FILES[2:], strict=True):
            source = readers._idx(readers.find_file(full, name), ndim=3 if kind == "images" else 1)
            assert np.array_equal(source[file["test_index"]], file[f"test_{kind}"])


def bundle_copy(tmp_path):
    folder = shutil.copytree(datasets.REPO_DATA / "fashion-mnist-12k", tmp_path / "fashion-mnist-12k")
    return folder / readers.BUNDLE_FILE


def flip_a_byte(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-1000])


def swap_two_labels(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["train_labels"][[0, 1]] = arrays["train_labels"][[1, 0]]
    np.savez(path, **arrays)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [flip_a_byte, cut_off, swap_two_labels, empty])
def test_altered_or_truncated_bundle_is_refused(tmp_path, harm):
    path = bundle_copy(tmp_path)
    load("fashion-mnist-12k", root=tmp_path)
    harm(path)
    with pytest.raises(ValueError, match="truncated, altered.*git checkout -- data/fashion-mnist-12k"):
        load("fashion-mnist-12k", root=tmp_path)


def test_missing_bundle_says_how_to_restore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "REPO_DATA", tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder(.|\n)*git checkout"):
        load("fashion-mnist-12k", download=True)


def test_the_bundle_is_read_without_torchvision_pillow_and_scipy(monkeypatch):
    for name in ("torchvision", "PIL", "scipy", "scipy.io"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    assert len(load("fashion-mnist-12k").train) == 10_000


# Readers of the published formats, on small files


def write_idx(path, array, gzipped):
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()
    with (gzip.open if gzipped else open)(f"{path}{'.gz' if gzipped else ''}", "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


def write_mnist_like(folder, n=20, m=10, gzipped=True, label=lambda n: np.arange(n) % 10):
    folder.mkdir(parents=True)
    made = []
    for part, count in (("train", n), ("t10k", m)):
        images = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte", images, gzipped)
        write_idx(folder / f"{part}-labels-idx1-ubyte", label(count), gzipped)
        made.append(images)
    return made


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_mnist_like_sets_equal_torchvisions_reading(tmp_path, name, gzipped):
    from torchvision import datasets as tv

    theirs = {"mnist": tv.MNIST, "fashion-mnist": tv.FashionMNIST}[name]
    images, test_images = write_mnist_like(tmp_path / theirs.__name__ / "raw", gzipped=gzipped)
    ours = load(name, root=tmp_path)
    assert torch.equal(ours.train.images, torch.from_numpy(images)[:, None])
    assert torch.equal(ours.test.images, torch.from_numpy(test_images)[:, None])
    if not gzipped:
        for train, split in ((True, ours.train), (False, ours.test)):
            oracle = theirs(tmp_path, train=train)
            assert torch.equal(split.images[:, 0], oracle.data) and torch.equal(split.labels, oracle.targets)
            assert name == "mnist" or ours.classes == tuple(oracle.classes)


def test_debian_layout_and_environment_variable(tmp_path, monkeypatch):
    write_mnist_like(tmp_path / "debian" / "fashion-mnist", n=30)
    write_mnist_like(tmp_path / "env" / "fashion-mnist", n=40)
    monkeypatch.setattr(datasets, "DEBIAN", tmp_path / "debian")
    assert len(load("fashion-mnist").train) == 30
    monkeypatch.setenv("FTPKIT_DATA", str(tmp_path / "env"))
    assert len(load("fashion-mnist").train) == 40
    assert len(load("fashion-mnist", root=tmp_path / "debian").train) == 30
    places = data.search_path(tmp_path)
    assert places[:2] == [tmp_path, tmp_path / "env"] and places[-1] == tmp_path / "debian"
    assert data.locations()["fashion-mnist"] == tmp_path / "env" / "fashion-mnist"
    assert data.locations()["svhn"] is None and data.locations()["fashion-mnist-12k"] is not None


def write_cifar(folder, monkeypatch, classes):
    """Pickles with CIFAR's keys and types; their MD5 takes the place of the published ones."""
    from torchvision import datasets as tv

    theirs, prefix = (tv.CIFAR10, "") if classes == 10 else (tv.CIFAR100, "fine_")
    folder = folder / theirs.base_folder
    folder.mkdir(parents=True)
    key, sums = f"{prefix}labels", {}

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
        monkeypatch.setitem(readers.MD5, name, sums[name])

    for name, _ in theirs.train_list + theirs.test_list:
        batch = {"data": RNG.integers(0, 256, (classes, 3072), dtype=np.uint8), key: list(range(classes))}
        write(name, batch | ({"coarse_labels": [0] * classes} if classes == 100 else {}))
    write(theirs.meta["filename"], {f"{prefix}label_names": [f"class {c}" for c in range(classes)]})
    for attribute in ("train_list", "test_list"):
        monkeypatch.setattr(theirs, attribute, [[name, sums[name]] for name, _ in getattr(theirs, attribute)])
    monkeypatch.setattr(theirs, "meta", theirs.meta | {"md5": sums[theirs.meta["filename"]]})
    return theirs


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_equals_torchvisions_reading_and_cifar100_has_100_classes(tmp_path, monkeypatch, classes):
    theirs = write_cifar(tmp_path, monkeypatch, classes)
    ours = load(f"cifar{classes}", root=tmp_path)
    assert ours.num_classes == classes and ours.input_shape == (3, 32, 32)
    assert ours.train.labels.unique().tolist() == list(range(classes))
    for train, split in ((True, ours.train), (False, ours.test)):
        oracle = theirs(tmp_path, train=train)
        assert np.array_equal(split.images.permute(0, 2, 3, 1).numpy(), oracle.data)
        assert split.labels.tolist() == oracle.targets
    assert ours.classes == tuple(oracle.classes)


def test_md5s_are_torchvisions():
    from torchvision import datasets as tv

    known = {}
    for source in (tv.CIFAR10, tv.CIFAR100):
        known |= dict(source.train_list + source.test_list) | {source.meta["filename"]: source.meta["md5"]}
    known |= {name: md5 for _, name, md5 in tv.SVHN.split_list.values() if name in readers.SVHN_FILES}
    assert readers.MD5 == known


def test_a_pickle_that_is_not_the_published_one_is_never_opened(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, 10)
    trap = f"cos\nmkdir\n(S'{tmp_path / 'ran'}'\ntR."
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(trap.encode())
    with pytest.raises(ValueError, match="MD5 of data_batch_3"):
        load("cifar10", root=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_svhn_calls_the_digit_zero_zero(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision import datasets as tv

    splits = dict(tv.SVHN.split_list)
    for part, name in zip(("train", "test"), readers.SVHN_FILES, strict=True):
        path = tmp_path / name
        y = np.arange(1, 11, dtype=np.uint8)[:, None]
        savemat(path, {"X": RNG.integers(0, 256, (32, 32, 3, 10), dtype=np.uint8), "y": y})
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(readers.MD5, name, md5)
        splits[part] = [splits[part][0], name, md5]
    monkeypatch.setattr(tv.SVHN, "split_list", splits)
    ours = load("svhn", root=tmp_path)
    assert ours.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] and ours.classes[0] == "0"
    for part in ("train", "test"):
        oracle = tv.SVHN(tmp_path, part)
        assert np.array_equal(getattr(ours, part).images.numpy(), oracle.data)
        assert getattr(ours, part).labels.tolist() == oracle.labels.tolist()


@pytest.mark.parametrize("gzipped", [True, False])
def test_truncated_idx_file_is_refused(tmp_path, gzipped):
    write_mnist_like(tmp_path / "mnist", gzipped=gzipped)
    path = readers.find_file(tmp_path / "mnist", "train-images-idx3-ubyte")
    for size in (path.stat().st_size - 100, 6, 0):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(ValueError, match="mnist: the files in .* are truncated, altered"):
            load("mnist", root=tmp_path)


def test_labels_and_images_in_each_others_file_are_refused(tmp_path):
    write_mnist_like(tmp_path / "mnist", gzipped=False)
    shutil.copy(tmp_path / "mnist" / "train-labels-idx1-ubyte", tmp_path / "mnist" / "train-images-idx3-ubyte")
    with pytest.raises(ValueError, match="does not begin like an idx file of bytes with 3 dimensions"):
        load("mnist", root=tmp_path)


def test_labels_beyond_the_classes_are_refused(tmp_path):
    write_mnist_like(tmp_path / "mnist", label=lambda n: np.arange(n) % 10 + 1)
    with pytest.raises(ValueError, match="label 10 is out of range; 10 classes have the labels 0 to 9"):
        load("mnist", root=tmp_path)


# Names, places, downloads


def test_unknown_name_lists_the_names_and_suggests_one():
    with pytest.raises(ValueError, match="did you mean 'fashion-mnist'.* cifar100"):
        load("fashon-mnist")


def test_nothing_found_lists_every_place_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("FTPKIT_DATA", str(tmp_path / "env"))
    (tmp_path / "root" / "mnist").mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as caught:
        load("mnist", root=tmp_path / "root")
    message = str(caught.value)
    assert f"{tmp_path / 'root' / 'mnist'}: lacks train-images-idx3-ubyte" in message
    assert f"{tmp_path / 'env' / 'MNIST' / 'raw'}: no such folder" in message
    assert all(str(place) in message for place in data.search_path(tmp_path / "root"))
    assert "download=True" in message and "FTPKIT_DATA" in message
    with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
        load("fashion-mnist")


def test_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder"):
        load("fashion-mnist-12k", root=tmp_path / "missing")


def test_downloads_only_when_asked_and_into_the_right_place(tmp_path, monkeypatch):
    import torchvision.datasets

    calls = []

    def fake(folder, download):
        calls.append(folder)
        write_mnist_like(folder / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fake)
    monkeypatch.setattr(datasets, "REPO_DATA", tmp_path / "data")
    with pytest.raises(FileNotFoundError):
        load("mnist")
    assert calls == []
    assert len(load("mnist", download=True).train) == 20 and calls == [tmp_path / "data" / "downloads"]
    assert len(load("mnist", download=True).train) == 20 and len(calls) == 1  # it is there now
    monkeypatch.setattr(datasets, "REPO_DATA", tmp_path / "other")
    monkeypatch.setenv("FTPKIT_DATA", str(tmp_path / "env"))
    load("mnist", download=True)
    load("mnist", root=tmp_path / "root", download=True)  # FTPKIT_DATA has it: nothing to fetch
    assert calls[1:] == [tmp_path / "env"]


def test_failed_download_and_missing_torchvision_say_what_to_do(tmp_path, monkeypatch):
    import torchvision.datasets

    def no_network(folder, download):
        raise OSError("Name or service not known")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", no_network)
    with pytest.raises(ConnectionError, match="Name or service not known.*put data_batch_1.*yourself"):
        load("cifar10", root=tmp_path / "new", download=True)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        load("cifar10", root=tmp_path, download=True)


def test_absent_device():
    one_too_many = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ValueError, match=f"device '{one_too_many}' is not there.*'cpu'"):
        load("fashion-mnist-12k", device=one_too_many)


def test_unknown_device():
    with pytest.raises(ValueError, match="device 'gpu' is not there"):
        tiny().to("gpu")


# Folders of images


def write_images(folder, mode="RGB", size=(6, 5), classes=("cat", "dog"), parts=("train", "test"), n=3):
    from PIL import Image

    made = {}
    for part in parts:
        for label in classes:
            (folder / part / label).mkdir(parents=True)
            for i in range(n):
                array = RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                image = Image.fromarray(array).convert(mode)
                image.save(folder / part / label / f"{i}.png")
                made[part, label, i] = np.asarray(image)
    return made


@pytest.mark.parametrize("mode, channels", [("RGB", 3), ("L", 1)])
@pytest.mark.parametrize("test_part", ["test", "val"])
def test_image_folder_equals_torchvisions_reading(tmp_path, mode, channels, test_part):
    from torchvision.datasets import ImageFolder

    made = write_images(tmp_path, mode, parts=("train", test_part))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".hidden").mkdir()
    ours = load(f"imagefolder:{tmp_path}")
    assert ours.classes == ("cat", "dog") and ours.input_shape == (channels, 5, 6)
    assert torch.equal(load(tmp_path).train.images, ours.train.images)
    assert load(str(tmp_path)).name == tmp_path.name
    first = torch.from_numpy(made["train", "cat", 0].copy()).view(5, 6, channels).permute(2, 0, 1)
    assert torch.equal(ours.train.images[0], first)
    (tmp_path / "train" / ".hidden").rmdir()
    for part, split in (("train", ours.train), (test_part, ours.test)):
        oracle = ImageFolder(tmp_path / part)
        theirs = np.stack([np.asarray(image) for image, _ in oracle])  # converted to RGB by torchvision
        assert np.array_equal(split.images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy(), theirs)
        assert split.labels.tolist() == oracle.targets


def test_image_of_another_size_is_named(tmp_path):
    from PIL import Image

    write_images(tmp_path)
    Image.new("RGB", (7, 5)).save(tmp_path / "test" / "dog" / "odd.png")
    with pytest.raises(ValueError, match=r"odd\.png: its size is 7x5, not 6x5"):
        load(tmp_path)


@pytest.mark.parametrize("mode, odd", [("L", "RGB"), ("RGB", "I;16"), ("RGB", "F")])
def test_image_of_another_kind_is_named(tmp_path, mode, odd):
    from PIL import Image

    write_images(tmp_path, mode)
    Image.new(odd, (6, 5)).save(tmp_path / "train" / "dog" / "odd.tif")
    with pytest.raises(ValueError, match=r"odd\.tif: its mode is"):
        load(tmp_path)


def test_broken_image_is_named(tmp_path):
    write_images(tmp_path)
    path = tmp_path / "train" / "dog" / "1.png"
    for content in (path.read_bytes()[:60], b"not an image"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.png.*convert or delete it"):
            load(tmp_path)


def test_folder_that_is_no_image_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold train/CLASS/IMAGES"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="must hold train/CLASS/IMAGES"):
        load("imagefolder:missing")
    with pytest.raises(FileNotFoundError, match="must hold train/CLASS/IMAGES"):
        load("./missing")
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match="no class folders"):
        load(tmp_path)


def test_classes_without_training_images(tmp_path):
    write_images(tmp_path)
    (tmp_path / "test" / "bird").mkdir()
    with pytest.raises(ValueError, match="classes that train/ has not: bird"):
        load(tmp_path)
    (tmp_path / "train" / "bird").mkdir()
    with pytest.raises(ValueError, match="no images .*of bird"):
        load(tmp_path)


def test_folder_larger_than_memory_is_refused(tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.setattr(readers, "_memory", lambda: 100)
    with pytest.raises(MemoryError, match="12 images of 6x5 need 0 MB"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="this system does not say how much memory it has")
def test_memory_is_known():
    assert 2**28 < readers._memory() < 2**48


# Splits


def test_statistics_equal_a_plain_computation_in_float64():
    split = tiny(40)
    x = split.images.double() / 255
    assert split.mean == pytest.approx(x.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert split.std == pytest.approx(x.std((0, 2, 3), correction=0).tolist(), rel=1e-12)


def test_constant_channel_normalises_to_zero():
    split = Split(torch.full((2, 1, 3, 3), 7, dtype=torch.uint8), torch.tensor([0, 1]))
    assert split.std == (1.0,) and not normalize(split, split.images).abs().max() > 1e-7


def test_given_statistics_stay():
    split = Split(pixels(4, 3, 2, 2), torch.zeros(4).long(), 0.5, (1, 2, 3))
    assert split.mean == (0.5, 0.5, 0.5) and split.std == (1.0, 2.0, 3.0)
    assert split.subset(2).std == split.std and split.to("cpu").mean == split.mean


@pytest.mark.parametrize(
    "change, error, match",
    [
        (dict(images=torch.rand(4, 1, 2, 2)), TypeError, "must be uint8, 0 to 255, got torch.float32;"),
        (dict(images=torch.full((4, 1, 2, 2), torch.nan)), TypeError, "got torch.float32, with NaN in it"),
        (dict(images=pixels(4, 2, 2)), ValueError, r"must be \(N, C, H, W\)"),
        (dict(images=pixels(0, 1, 2, 2), labels=torch.zeros(0).long()), ValueError, "at least one image"),
        (dict(labels=torch.zeros(4)), TypeError, "must be int64, got torch.float32"),
        (dict(labels=torch.zeros(3).long()), ValueError, r"4 images need labels of shape \(4,\), got \(3,\)"),
        (dict(labels=torch.zeros(4, 1).long()), ValueError, r"got \(4, 1\)"),
        (dict(labels=torch.tensor([0, 1, -1, 2])), ValueError, "label -1 is out of range"),
        (dict(labels=torch.zeros(4, device="meta").long()), ValueError, "images are on cpu and labels on meta"),
        (dict(mean=(0.5, 0.5)), ValueError, "one finite number for each of the 1 channels"),
        (dict(std=float("nan")), ValueError, "std must be one finite number"),
        (dict(std=0.0), ValueError, "std must be positive"),
    ],
)
def test_split_refuses(change, error, match):
    fields = dict(images=pixels(4, 1, 2, 2), labels=torch.tensor([0, 1, 0, 2])) | change
    with pytest.raises(error, match=match):
        Split(**fields)


def test_data_set_refuses_labels_without_a_class_and_differing_shapes():
    with pytest.raises(ValueError, match="label 2 is out of range; 2 classes"):
        DataSet("toy", tiny(), tiny(), ("a", "b"))
    with pytest.raises(ValueError, match="training images are .* and test images"):
        DataSet("toy", tiny(), tiny(shape=(3, 6, 6)), ("a", "b", "c"))


def test_splits_are_frozen_and_short_to_print():
    split = tiny()
    with pytest.raises(FrozenInstanceError):
        split.images = None
    assert repr(split) == "Split of 12 images 3x6x5 on cpu"
    assert "12 training and 12 test images 3x6x5, 3 classes" in repr(DataSet("toy", split, split, ("a", "b", "c")))


def test_subsets():
    split = tiny()
    assert torch.equal(split.subset(5).images, split.images[:5])
    for which in ([7, 2, 2], np.array([7, 2, 2]), torch.tensor([7, 2, 2])):
        assert torch.equal(split.subset(which).images, split.images[[7, 2, 2]])
    assert split.subset(split.labels == 1).labels.tolist() == [1, 1, 1, 1]
    for which, error in ((0, ValueError), (13, ValueError), ([], ValueError), ([12], IndexError)):
        with pytest.raises(error):
            split.subset(which)


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=6), data=st.data())
def test_holdout_divides_every_class_in_proportion(counts, data):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    if (n := len(labels)) < 2:
        return
    labels = labels[torch.randperm(n, generator=torch.Generator().manual_seed(1))]
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)  # each image is its own index
    size, seed = data.draw(st.integers(1, n - 1)), data.draw(st.integers(0, 3))
    rest, held = holdout(Split(images, labels), size, seed)
    assert len(held) == size and len(rest) == n - size
    kept, out = rest.images.flatten().tolist(), held.images.flatten().tolist()
    assert sorted(kept + out) == list(range(n)) and kept == sorted(kept) and out == sorted(out)
    assert torch.equal(rest.labels, labels[kept]) and torch.equal(held.labels, labels[out])
    for c, count in enumerate(counts):
        assert abs((held.labels == c).sum().item() - count * size / n) < 1
    again = holdout(Split(images, labels), size, seed)[1]
    assert torch.equal(again.images, held.images)


def test_holdout_depends_on_its_seed_only_and_refuses_other_sizes(bundled):
    torch.manual_seed(5)
    first = holdout(bundled.train, 1000, seed=1)[1].images
    assert torch.equal(first, holdout(bundled.train, 1000, seed=1)[1].images)
    assert not torch.equal(first, holdout(bundled.train, 1000, seed=2)[1].images)
    assert holdout(bundled.train, 1000)[1].mean == bundled.train.mean
    for size in (0, -1, 10_000):
        with pytest.raises(ValueError, match="choose between 1 and 9999"):
            holdout(bundled.train, size)


def test_two_classes_by_name_and_by_index(bundled):
    pair = two_classes(bundled, "Ankle boot", "Sandal")
    assert pair.classes == ("Ankle boot", "Sandal") and pair.num_classes == 2
    sandals_and_boots = bundled.train.labels[torch.isin(bundled.train.labels, torch.tensor([5, 9]))]
    assert torch.equal(pair.train.labels == 0, sandals_and_boots == 9)
    assert len(pair.test) == 400 and pair.train.mean == bundled.train.mean
    same = two_classes(bundled.train, 9, 5)
    assert isinstance(same, Split) and torch.equal(same.images, pair.train.images)
    assert torch.equal(two_classes(bundled, 9, 5).test.labels, pair.test.labels)


def test_two_classes_refuses(bundled):
    for a, b in (("Boot", "Sandal"), (10, 0), (-1, 0)):
        with pytest.raises(ValueError, match="there is no class .*Ankle boot"):
            two_classes(bundled, a, b)
    for a, b in ((3, 3), (0, 10), ("Sandal", 0)):
        with pytest.raises(ValueError, match="two different classes"):
            two_classes(bundled.train, a, b)


# Normalisation and augmentation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_normalize_is_its_formula(dtype):
    split = tiny()
    x = normalize(split, split.images, dtype)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(-1, 1, 1) for v in (split.mean, split.std))
    torch.testing.assert_close(x, ((split.images.double() / 255 - mean) / std).to(dtype))
    assert torch.equal(x, normalize((split.mean, split.std), split.images, dtype))
    if dtype == torch.float64:
        assert x.mean((0, 2, 3)).abs().max() < 1e-12
        assert (x.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-12


def windows(image, crop, flip):
    """All images that augmentation may make of one image, by plain slicing."""
    _, h, w = image.shape
    padded = F.pad(image, (crop,) * 4)
    for dy in range(2 * crop + 1):
        for dx in range(2 * crop + 1):
            window = padded[:, dy : dy + h, dx : dx + w]
            yield window
            if flip:
                yield window.flip(2)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(2, 6), st.integers(2, 6)),
    crop=st.integers(0, 2),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_augmented_images_are_windows_of_the_padded_original(shape, crop, flip, seed):
    images = pixels(*shape, seed=seed)
    before = images.clone()
    out = augment(images, torch.Generator().manual_seed(seed), crop, flip)
    assert out.shape == images.shape and out.dtype == torch.uint8 and torch.equal(images, before)
    for image, made in zip(images, out, strict=True):
        assert any(torch.equal(made, window) for window in windows(image, crop, flip))


def test_every_offset_and_both_sides_come_up_equally_often():
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 5, 5)
    out = augment(image.expand(18_000, 1, 5, 5), torch.Generator().manual_seed(0), crop=1)
    counts = [(out == window).flatten(1).all(1).sum().item() for window in windows(image, 1, flip=True)]
    assert sum(counts) == 18_000 and len(counts) == 18
    chi_squared = sum((count - 1000) ** 2 / 1000 for count in counts)
    assert chi_squared < 40.8  # 17 degrees of freedom, p = 0.001


def test_flip_alone_is_torch_flip():
    images = pixels(200, 3, 4, 5)
    out = augment(images, torch.Generator().manual_seed(0), crop=0)
    flipped = (out == images.flip(3)).flatten(1).all(1)
    assert torch.equal(out, torch.where(flipped[:, None, None, None], images.flip(3), images))
    assert 70 < flipped.sum() < 130


def test_augment_repeats_with_its_generator_and_leaves_torchs_own_alone():
    images = pixels(50, 1, 28, 28)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = augment(images, torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, augment(images, torch.Generator().manual_seed(0)))
    assert not torch.equal(first, augment(images, torch.Generator().manual_seed(1)))
    without = augment(images)
    torch.manual_seed(3)
    assert torch.equal(without, augment(images))
    assert augment(images, crop=0, flip=False) is images


@pytest.mark.parametrize("function", [lambda x: augment(x), lambda x: normalize(((0.5,), (0.5,)), x)])
def test_augment_and_normalize_refuse_other_images(function):
    with pytest.raises(TypeError, match="must be uint8.*normalised already"):
        function(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"must be \(N, C, H, W\)"):
        function(pixels(2, 8, 8))


def test_augment_refuses_a_crop_beyond_the_image_and_normalize_other_channels():
    for crop in (-1, 6):
        with pytest.raises(ValueError, match="crop must be between 0 and 5 for images of 6x5"):
            augment(pixels(2, 1, 6, 5), crop=crop)
    with pytest.raises(ValueError, match="images with 3 channels need as many"):
        normalize(((0.5,), (0.5,)), pixels(2, 3, 6, 5))


# Batches


@given(n=st.integers(1, 30), batch_size=st.integers(1, 40), shuffle=st.booleans())
def test_batches_hold_every_image_once(n, batch_size, shuffle):
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    split = Split(images, torch.arange(n), 0, 1 / 255)  # normalised, each image is its own index
    batches = Batches(split, batch_size, shuffle=shuffle, generator=torch.Generator().manual_seed(0))
    made = list(batches)
    assert len(made) == len(batches) == -(-n // batch_size)
    assert all(len(x) == batch_size for x, _ in made[:-1])
    x, y = (torch.cat(part) for part in zip(*made, strict=True))
    assert x.dtype == torch.float32 and y.dtype == torch.int64
    assert torch.equal(x.flatten().round().long(), y)
    assert sorted(y.tolist()) == list(range(n)) and (shuffle or y.tolist() == list(range(n)))


def test_batches_are_normalised_and_augmented_images(bundled):
    split = bundled.test.subset(100)
    (x, y), *_ = Batches(split, 64)
    assert torch.equal(x, normalize(split, split.images[:64])) and torch.equal(y, split.labels[:64])
    generator = torch.Generator().manual_seed(4)
    (x, _), *_ = Batches(split, 64, crop=2, flip=True, generator=generator, dtype=torch.bfloat16)
    made = augment(split.images[:64], torch.Generator().manual_seed(4), 2, True)
    assert torch.equal(x, normalize(split, made, torch.bfloat16))


def test_order_repeats_with_the_seed_and_changes_with_every_pass():
    split = tiny(60)

    def order(seed):
        batches = Batches(split, 7, shuffle=True, crop=1, flip=True, generator=torch.Generator().manual_seed(seed))
        return [torch.cat([x for x, _ in batches]) for _ in range(2)]

    first, again, other = order(0), order(0), order(1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], other[0])


def test_batches_refuse():
    for size in (0, -3):
        with pytest.raises(ValueError, match="batch_size must be at least 1"):
            Batches(tiny(), size)
    for what in ([], DataSet("toy", tiny(), tiny(), ("a", "b", "c"))):
        with pytest.raises(TypeError, match=r"needs a Split, such as data.load\(name\).train"):
            Batches(what, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_cpus_batches():
    def batches(split):
        generator = torch.Generator().manual_seed(0)
        return [(x.cpu(), y.cpu()) for x, y in Batches(split, 50, shuffle=True, crop=4, flip=True, generator=generator)]

    on_cpu, on_cuda = (load("fashion-mnist-12k", device=device).test for device in ("cpu", "cuda"))
    assert on_cuda.images.is_cuda and on_cuda.mean == on_cpu.mean
    for (x, y), (x_cuda, y_cuda) in zip(batches(on_cpu), batches(on_cuda), strict=True):
        torch.testing.assert_close(x, x_cuda)
        assert torch.equal(y, y_cuda)
    held = holdout(on_cuda, 100)[1].images.cpu()
    assert torch.equal(held, holdout(on_cpu, 100)[1].images)
