"""Folders of images of any size: what is refused, and that windows, workers, shards and signals do as they are told."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import datasets as tv
from torchvision.transforms import v2

from ftpkit import data, imagenet
from ftpkit.loop import Training

SMALL = dict(resize=20, crop=16)
KINDS = [  # (mode, suffix, width, height) of the images of a class, in turn
    ("RGB", "JPEG", 50, 37),
    ("L", "jpg", 28, 28),
    ("CMYK", "jpeg", 31, 64),
    ("P", "png", 24, 40),
    ("RGBA", "png", 40, 21),
    ("1", "bmp", 33, 33),
    ("LA", "png", 90, 20),
]


def make_folder(folder, train=7, val=4, classes=("boot", "coat", "bag")):
    """Bundled images, scaled to the sizes and turned into the modes of KINDS."""
    images = data.load("fashion-mnist-12k").train.images[:, 0].numpy()
    for part, count in (("train", train), ("val", val)):
        for label, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                mode, suffix, width, height = KINDS[i % len(KINDS)]
                pixels = np.stack(np.roll(images, -i - 100 * label, axis=0)[:3], axis=-1)
                image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
                if mode in ("LA", "RGBA"):
                    image.putalpha(image.convert("L"))
                image.convert(mode).save(folder / part / name / f"{i}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def folder(place):
    return imagenet.check(place)


@pytest.fixture
def own(tmp_path):
    """A folder that a test may spoil."""
    return make_folder(tmp_path / "own", train=3, val=1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def training(folder, batch_size=4, seed=0, **options):
    return imagenet.batches(folder, "train", batch_size, train=True, generator=seeded(seed), **(SMALL | options))


def same(ours, theirs):
    return len(ours) == len(theirs) and all(
        torch.equal(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)
    )


def joined(shards):
    """Each batch put together from the parts that the shards have of it."""
    batches = zip(*shards, strict=True)
    return [tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True)) for parts in batches]


def grey_levels(x):
    """The pixels, 0 to 255, that were normalised."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in imagenet.MEAN_STD)
    return ((x * std + mean) * 255).round().to(torch.uint8)


# What is in a folder


def test_classes_files_and_labels_are_those_of_image_folder(place, folder):
    assert folder.classes == ("bag", "boot", "coat") and repr(folder).endswith("of 3 classes: 21 train, 12 val")
    for name, part in folder.parts.items():
        oracle = tv.ImageFolder(place / name)
        assert [(part.path(i), int(part.labels[i])) for i in range(len(part))] == oracle.samples


def test_hidden_files_and_folders_and_notes_are_no_images(own):
    whole = imagenet.check(own)
    (own / "train" / ".ipynb_checkpoints").mkdir()
    (own / "train" / "bag" / "._0.JPEG").write_bytes(b"of another system")
    (own / "train" / "bag" / "README.txt").write_text("bags")
    again = imagenet.check(own)
    assert again.classes == whole.classes and again.sha256 == whole.sha256
    assert len(again.parts["train"]) == 9


def test_a_folder_that_holds_test_in_place_of_val(own):
    whole = imagenet.check(own)
    (own / "val").rename(own / "test")
    renamed = imagenet.check(own)
    assert len(renamed.parts["val"]) == 3 and renamed.parts["val"].path(0) == str(own / "test" / "bag" / "0.JPEG")
    assert renamed.sha256 != whole.sha256


def test_the_sum_depends_on_names_and_sizes_and_not_on_the_place(own, tmp_path):
    before = imagenet.check(own).sha256
    moved = own.rename(tmp_path / "moved")
    assert imagenet.check(moved).sha256 == before
    path = moved / "train" / "bag" / "0.JPEG"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert imagenet.check(moved).sha256 != before
    path.write_bytes(content)
    path.rename(path.with_name("00.JPEG"))
    assert imagenet.check(moved).sha256 != before


def test_holdout_takes_from_train_and_keeps_the_proportions(folder):
    divided = folder.holdout(6)
    rest, held = divided.parts["train"], divided.parts["held_out"]
    assert held.labels.bincount().tolist() == [2, 2, 2] and rest.labels.bincount().tolist() == [5, 5, 5]
    assert sorted([*rest.names, *held.names]) == sorted(folder.parts["train"].names)
    assert list(divided.parts) == ["train", "val", "held_out"] and divided.parts["val"] is folder.parts["val"]
    assert [y.tolist() for _, y in imagenet.batches(divided, "held_out", 6, **SMALL)] == [[0, 0, 1, 1, 2, 2]]
    assert np.array_equal(folder.holdout(6, seed=0).parts["held_out"].names, held.names)
    assert not np.array_equal(folder.holdout(6, seed=1).parts["held_out"].names, held.names)
    with pytest.raises(ValueError, match="cannot hold out 21 of 21"):
        folder.holdout(21)


# What is refused before training starts


def test_folders_of_another_layout(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold train/CLASS/IMAGES and val/CLASS/IMAGES"):
        imagenet.check(tmp_path / "missing")
    make_folder(tmp_path, train=1, val=1, classes=())
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    with pytest.raises(ValueError, match="train has no class folders"):
        imagenet.check(tmp_path)
    (tmp_path / "train" / "boot").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "train" / "boot" / "0.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "val" / "ILSVRC2012_val_00000001.png")  # as ImageNet's archive holds it
    with pytest.raises(ValueError, match="val has no class folders"):
        imagenet.check(tmp_path)
    (tmp_path / "val" / "boot").mkdir()
    with pytest.raises(ValueError, match=r"val has no images of boot; suffixes are .*\.jpeg"):
        imagenet.check(tmp_path)
    (tmp_path / "val" / "bot").mkdir()
    with pytest.raises(ValueError, match="val has classes that train/ has not: bot"):
        imagenet.check(tmp_path)


def test_many_classes_without_images_are_not_all_listed(own):
    for i in range(14):
        (own / "train" / f"empty{i:02}").mkdir()
    with pytest.raises(ValueError, match="train has no images of empty00, .*, empty09 and 4 more;"):
        imagenet.check(own)


def test_unreadable_files_are_named_with_the_reason(own):
    broken = own / "train" / "coat"
    (broken / "a.jpg").write_bytes(b"")
    (broken / "b.jpg").write_bytes(b"<html>404</html>")
    (broken / "c.jpg").symlink_to(own / "nowhere.jpg")
    (broken / "d.jpg").mkdir()
    (broken / "e.jpg").write_bytes((broken / "0.JPEG").read_bytes()[:30])
    Image.new("I;16", (30, 30)).save(broken / "f.png")
    with pytest.raises(ValueError) as caught:
        imagenet.check(own)
    message = str(caught.value)
    assert message.startswith(
        f"6 of 18 images in {own} cannot be used; replace or delete them: train/coat/a.jpg (empty)"
    )
    assert "train/coat/b.jpg (no image), train/coat/c.jpg (No such file or directory)" in message
    assert "train/coat/d.jpg (Is a directory), train/coat/e.jpg (" in message
    assert message.endswith("train/coat/f.png (its mode is I;16, not 8 bits per channel)") and "\n" not in message


def test_ten_unreadable_files_are_named_and_the_rest_counted(own):
    for i in range(300):  # more than one thread's share
        (own / "val" / "bag" / f"x{i:03}.png").write_bytes(b"")
    with pytest.raises(ValueError, match="300 of 312 images .*: val/bag/x000.png .* val/bag/x009.png .* and 290 more"):
        imagenet.check(own)


def test_missing_torchvision_is_said_before_anything_is_read(monkeypatch, folder):
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    with pytest.raises(ImportError, match="pip install torchvision"):
        imagenet.check("nowhere")
    with pytest.raises(ImportError, match="pip install torchvision"):
        imagenet.batches(folder, "val", 4)


@pytest.mark.parametrize(
    "change, match",
    [
        (dict(part="vall"), "no part of the folder 'vall'; did you mean 'val'"),
        (dict(batch_size=0), "batch_size is a whole number of at least 1, not 0"),
        (dict(batch_size=2.0), "batch_size is a whole number of at least 1, not 2.0"),
        (dict(workers=-1), "workers is a whole number of at least 0, not -1"),
        (dict(resize=True), "resize is a whole number of at least 1, not True"),
        (dict(crop=0), "crop is a whole number of at least 1, not 0"),
        (dict(resize=200), "crop=224 does not fit into images whose shorter side is resize=200"),
        (dict(shard=(2, 2)), r"shard is \(rank, world\) .* not \(2, 2\)"),
        (dict(shard=(-1, 2)), r"shard is \(rank, world\) .* not \(-1, 2\)"),
        (dict(device="gpu"), "device 'gpu' is not there"),
    ],
)
def test_batches_refuses(folder, change, match):
    with pytest.raises(ValueError, match=match):
        imagenet.batches(folder, **(dict(part="val", batch_size=4) | change))


# What a batch is


def test_validation_is_torchvisions_own_pipeline_in_order(place, folder):
    usual = v2.Compose(
        [
            v2.Resize(20),
            v2.CenterCrop(16),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*imagenet.MEAN_STD),
        ]
    )
    oracle = tv.ImageFolder(place / "val", usual)
    batches = imagenet.batches(folder, "val", 5, **SMALL)
    assert len(batches) == 3 and batches.images == 12 and batches.batch_size == 5
    assert [len(x) for x, _ in batches] == [5, 5, 2]
    x, y = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    assert x.dtype == torch.float32 and y.dtype == torch.int64 and y.tolist() == oracle.targets
    torch.testing.assert_close(x, torch.stack([image for image, _ in oracle]), rtol=0, atol=1e-6)


def test_the_default_size_is_the_papers(folder):
    x, _ = next(iter(imagenet.batches(folder, "val", 2)))
    assert x.shape == (2, 3, 224, 224)


@pytest.mark.parametrize("flip", [True, False])
def test_training_takes_every_window_of_the_scaled_image_and_no_other(own, flip):
    for path in [*own.glob("train/*/[!0].*"), *own.glob("val/*/[!0].*")]:
        path.unlink()
    folder = imagenet.check(own)  # one image of 50x37 in each class
    scaled = [v2.PILToTensor()(v2.Resize(6)(Image.open(folder.parts["train"].path(i)))) for i in range(3)]
    assert all(image.shape == (3, 6, 8) for image in scaled)
    windows = [[image[:, i : i + 5, j : j + 5] for i in range(2) for j in range(4)] for image in scaled]
    if flip:
        windows = [[turned for w in of_image for turned in (w, w.flip(2))] for of_image in windows]
    batches = imagenet.batches(folder, "train", 3, train=True, generator=seeded(), resize=6, crop=5, flip=flip)
    seen = [np.zeros(len(of_image), int) for of_image in windows]
    epochs = 160
    for _ in range(epochs):
        ((x, y),) = batches.iterate()
        assert sorted(y.tolist()) == [0, 1, 2]
        for pixels, label in zip(grey_levels(x), y.tolist(), strict=True):
            matches = [torch.equal(pixels, window) for window in windows[label]]
            assert sum(matches) == 1
            seen[label][matches.index(True)] += 1
    expected = epochs / len(windows[0])
    for counts in seen:  # chi-squared with 7 or 15 degrees of freedom: 40 has probability 1e-6 and 5e-4
        assert ((counts - expected) ** 2 / expected).sum() < 40 and counts.min() > 0
    assert not np.array_equal(seen[0], seen[1])  # images do not move together


def test_without_training_a_part_comes_whole_in_order_and_draws_nothing(folder):
    generator = seeded()
    before = generator.get_state()
    batches = imagenet.batches(folder, "train", 8, generator=generator, **SMALL)
    assert torch.cat([y for _, y in batches]).tolist() == folder.parts["train"].labels.tolist()
    assert same(list(batches), list(batches)) and torch.equal(generator.get_state(), before)


def test_every_epoch_has_its_own_order_and_windows_and_every_image_once(folder):
    batches = training(folder, 21)
    epochs = [next(batches.iterate()) for _ in range(3)]
    for (x, y), (other, labels) in zip(epochs, epochs[1:], strict=False):
        assert y.tolist() != labels.tolist() and sorted(y.tolist()) == sorted(labels.tolist())
        assert not torch.equal(x[y.argsort()], other[labels.argsort()])
    assert same([epochs[0]], [next(training(folder, 21).iterate())])
    assert not same([epochs[0]], [next(training(folder, 21, seed=1).iterate())])


# Bit-equal however it is read


@pytest.fixture(scope="module")
def two_epochs(folder):
    batches = training(folder)
    return [list(batches.iterate()) for _ in range(2)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_shards_and_skipped_batches_change_no_bit(folder, two_epochs, workers):
    assert [len(x) for x, _ in two_epochs[0]] == [4, 4, 4, 4, 4, 1]
    for world in (1, 2, 3):
        shards = [training(folder, workers=workers, shard=(rank, world)) for rank in range(world)]
        for epoch, skip in zip(two_epochs, (0, 2), strict=True):
            parts = [list(shard.iterate(skip)) for shard in shards]
            assert {len(part) for part in parts} == {6 - skip} and all(len(shard) == 6 for shard in shards)
            assert same(joined(parts), epoch[skip:])


def test_every_validation_image_exactly_once_in_all_shards(folder):
    whole = list(imagenet.batches(folder, "val", 5, **SMALL))
    for world in (2, 4):  # the last batch has two images: with four processes two of them get none
        shards = [list(imagenet.batches(folder, "val", 5, shard=(rank, world), **SMALL)) for rank in range(world)]
        assert sum(len(y) for shard in shards for _, y in shard) == 12
        assert same(joined(shards), whole)


def test_skipped_images_are_not_opened(folder, own):
    folder = imagenet.check(own)
    for i in range(6):
        os.unlink(folder.parts["train"].path(i))
    batches = imagenet.batches(folder, "train", 3, **SMALL)
    assert [y.tolist() for _, y in batches.iterate(skip=2)] == [[2, 2, 2]] and list(batches.iterate(skip=3)) == []
    with pytest.raises(ValueError, match="cannot be decoded"):
        list(batches.iterate(skip=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_torchs_own_generator_is_left_to_the_model(folder, workers):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    list(training(folder, workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_worker_gets_can_be_sent_to_it(folder, two_epochs):
    """Where workers are not forked, they get a pickle, and no image in it."""
    sent = pickle.dumps(training(folder).files)
    assert len(sent) < 20_000
    batches = training(folder)
    object.__setattr__(batches, "files", pickle.loads(sent))
    assert same(list(batches), two_epochs[0])


def test_a_network_trains_on_it_and_goes_on_in_the_middle_of_an_epoch(folder):
    def begun():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(36, 3))
        test = imagenet.batches(folder, "val", 5, **SMALL)

        def top1(model):
            return {"test_accuracy": float(torch.cat([model(x).argmax(1) == y for x, y in test]).float().mean())}

        return Training(model, training(folder, workers=1), top1, epochs=2, lr=0.01)

    whole, stopped, resumed = begun(), begun(), begun()
    history = whole.run()
    asked = iter(range(100))
    stopped.run(should_stop=lambda: next(asked) == 9)  # after 9 of 12 steps
    resumed.load_state_dict(stopped.state_dict())
    assert (resumed.epoch, resumed.step) == (2, 3)
    assert [r["test_accuracy"] for r in resumed.run()] == [r["test_accuracy"] for r in history]
    assert resumed.history[1]["train_loss"] == history[1]["train_loss"]
    ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# What happens to workers


def no_workers_left():
    return multiprocessing.active_children() == []


def truncate(folder, index):
    """Cut a file off behind its header, where `check` does not look."""
    path = folder.parts["train"].path(index)
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) - 150)
    return path


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_file_cut_off_behind_its_header_is_named_when_it_is_met(own, workers):
    path = truncate(imagenet.check(own), 4)
    folder = imagenet.check(own)  # finds nothing
    batches = imagenet.batches(folder, "train", 2, workers=workers, **SMALL).iterate()
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0, 0], [0, 1]]
    with pytest.raises(ValueError) as caught:
        next(batches)
    assert no_workers_left()  # though the traceback is still held
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be decoded (") and "\n" not in message and "truncated" in message
    assert message.endswith("put a whole copy in its place and go on")


def test_a_file_deleted_since_the_folder_was_checked_is_named(own):
    folder = imagenet.check(own)
    path = folder.parts["train"].path(0)
    os.unlink(path)
    with pytest.raises(ValueError, match=f"{path} cannot be decoded .No such file or directory"):
        list(imagenet.batches(folder, "train", 2, **SMALL))


def test_workers_end_with_the_iteration_however_it_ends(folder):
    batches = training(folder, workers=2)
    for _ in batches:
        assert len(multiprocessing.active_children()) == 2
    assert no_workers_left()  # it came to its end
    for _ in batches:
        break
    assert no_workers_left()
    try:
        for _ in batches:
            raise KeyError("in the training step")
    except KeyError:
        assert no_workers_left()
    held = batches.iterate()
    next(held)
    held.close()
    assert no_workers_left()


def test_workers_end_with_a_process_that_is_killed(place):
    script = (
        "import multiprocessing, time; from ftpkit import imagenet\n"
        f"batches = imagenet.batches(imagenet.check({str(place)!r}), 'train', 4, workers=2, resize=20, crop=16)\n"
        "for _ in batches:\n"
        "    print(len(multiprocessing.active_children()), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "2\n"
        process.kill()
        process.communicate(timeout=30)  # it ends when nobody can write any more; a worker looks every five seconds
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not say who sent a signal")
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_workers_outlive_signals_that_reach_the_whole_run(folder, two_epochs, name):
    """Ctrl-C, and the end of a job's time: the run finishes its step and saves, for which it needs its workers."""
    batches = training(folder, workers=2).iterate()
    got = [next(batches), next(batches)]  # one of each worker
    pids = [str(child.pid) for child in multiprocessing.active_children()]
    subprocess.run(["kill", f"-{name}", *pids], check=True)  # by another process than the workers' parent
    time.sleep(0.2)
    assert same([*got, *batches], two_epochs[0])


def test_workers_still_heed_their_parent(folder):
    batches = training(folder, workers=2).iterate()
    next(batches)
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(10)
        child.kill()  # or a worker that does not would keep this process from its own end
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        list(batches)
