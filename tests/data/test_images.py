"""Readers of labelled images: each public format from records written here, its faults, and the real sets."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from daybreak.data import images
from daybreak.data.images import Images
from daybreak.data.loader import Loader
from daybreak.engine.errors import UserError

RealData = Callable[[str], Path]
KINDS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(idx_bytes(array)) if path.suffix == ".gz" else idx_bytes(array))


def write_mnist(place: Path, name: str = "{part}-{kind}-ubyte.gz", labels: tuple[int, ...] = (3, 0, 9)) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k", "test"):
        write_idx(place / name.format(part=part, kind="images-idx3"), pixels)
        write_idx(place / name.format(part=part, kind="labels-idx1"), np.array(labels, np.uint8))
    return pixels


def write_cifar(place: Path, per_file: int = 2) -> np.ndarray:
    """Six files; the records hold their own number in the first red pixel. Returns all pixels."""
    place.mkdir(parents=True)
    (place / "batches.meta.txt").write_text("\n".join(KINDS) + "\n\n")
    records = np.random.default_rng(0).integers(0, 256, (6 * per_file, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(6 * per_file) % 10
    for i, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        (place / name).write_bytes(records[i * per_file : (i + 1) * per_file].tobytes())
    return records[:, 1:].reshape(-1, 3, 32, 32)


def some_images(n: int = 20) -> Images:
    return Images(torch.arange(n * 12, dtype=torch.uint8).view(n, 3, 2, 2), torch.arange(n) % 3, ["a", "b", "c"])


# ------------------------------------------------------------------------------- Images


def test_indexing_takes_a_batch_of_rows() -> None:
    data = some_images()
    for indices in ([3, 1], torch.tensor([3, 1])):
        pixels, labels = data[indices]
        assert torch.equal(pixels, torch.stack([data.images[3], data.images[1]]))
        assert labels.tolist() == [0, 1]


def test_split_holds_out_exactly_and_is_a_function_of_the_seed() -> None:
    data = some_images()
    rest, held_out = data.split(6, seed=1)
    assert (len(rest), len(held_out)) == (14, 6)
    firsts = torch.cat([rest.images, held_out.images])[:, 0, 0, 0]
    assert sorted(firsts.tolist()) == sorted(data.images[:, 0, 0, 0].tolist())
    assert images.digest(data.split(6, seed=1)[1]) == images.digest(held_out)
    assert images.digest(data.split(6, seed=2)[1]) != images.digest(held_out)


@pytest.mark.parametrize("n", [0, 20, 21, -1])
def test_a_split_with_an_empty_side_is_refused(n: int) -> None:
    with pytest.raises(UserError, match=f"cannot hold out {n} of 20"):
        some_images().split(n, seed=0)


def test_the_digest_sees_pixels_labels_order_and_shape() -> None:
    data = some_images()
    others = [
        Images(data.images.flip(0), data.labels, data.classes),
        Images(data.images, data.labels.flip(0), data.classes),
        Images(data.images.view(20, 3, 4, 1), data.labels, data.classes),
        data.subset(list(range(19))),
    ]
    digests = {images.digest(d) for d in [data, *others]}
    assert len(digests) == 5
    assert all(len(d) == 71 and d.startswith("sha256:") for d in digests)
    strided = Images(data.images.contiguous(memory_format=torch.channels_last), data.labels, data.classes)
    assert images.digest(strided) == images.digest(data), "the layout in memory is not content"


# ------------------------------------------------------------------------------- CIFAR-10


def test_cifar10_gives_planes_labels_and_names(tmp_path: Path) -> None:
    pixels = write_cifar(tmp_path / "cifar-10-batches-bin")
    train, test = images.cifar10(tmp_path, train=True), images.cifar10(tmp_path, train=False)
    assert torch.equal(train.images, torch.from_numpy(pixels[:10]))
    assert torch.equal(test.images, torch.from_numpy(pixels[10:]))
    assert train.labels.tolist() == list(range(10))
    assert (train.images.dtype, train.labels.dtype, train.classes) == (torch.uint8, torch.int64, KINDS)
    train.images[0] = 0  # the array is the caller's own


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def one_record_less(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3073])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def wrong_label(path: Path) -> None:
    path.write_bytes(bytes([10]) + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("data_batch_3.bin", cut, "data_batch_3.bin has 6145 bytes, not a whole number"),
        ("data_batch_3.bin", empty, "data_batch_3.bin has 0 bytes"),
        ("data_batch_3.bin", one_record_less, "hold 2, 2, 1, 2, 2 images"),
        ("data_batch_3.bin", wrong_label, "has a label 10 where 10 classes are named"),
        ("data_batch_3.bin", Path.unlink, "there is no .*data_batch_3.bin"),
        ("batches.meta.txt", Path.unlink, "there is no .*batches.meta.txt"),
        ("batches.meta.txt", empty, "names no classes"),
    ],
)
def test_a_damaged_cifar_file_is_named_with_what_to_do(tmp_path, name, damage, words) -> None:
    place = tmp_path / "cifar-10-batches-bin"
    write_cifar(place)
    damage(place / name)
    with pytest.raises(UserError, match=f"{words}.*move {place} away and run: daybreak data prepare cifar10$"):
        images.cifar10(tmp_path, train=True)


def test_a_set_that_is_not_there_names_the_command_that_gets_it(tmp_path: Path) -> None:
    for read, name in [
        (images.cifar10, "cifar10"),
        (images.mnist, "mnist"),
        (images.fashion_mnist, "fashion-mnist"),
        (images.emnist_letters, "emnist-letters"),
    ]:
        with pytest.raises(UserError, match=f"there is no {tmp_path}.*; run: daybreak data prepare {name}$"):
            read(tmp_path, train=True)


# ------------------------------------------------------------------------------- idx


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("train", [True, False])
def test_mnist_and_fashion_mnist_are_read_zipped_and_plain(tmp_path: Path, suffix: str, train: bool) -> None:
    for folder, read in (("mnist", images.mnist), ("fashion-mnist", images.fashion_mnist)):
        pixels = write_mnist(tmp_path / folder, "{part}-{kind}-ubyte" + suffix)
        data = read(tmp_path, train)
        assert torch.equal(data.images, torch.from_numpy(pixels).unsqueeze(1))
        assert data.labels.tolist() == [3, 0, 9]
        assert len(data.classes) == 10
        data.images[0] = 0


def test_emnist_letters_stand_upright_and_count_from_a(tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path / "emnist", "emnist-letters-{part}-{kind}-ubyte.gz", labels=(1, 26, 2))
    data = images.emnist_letters(tmp_path, train=False)
    assert [data.classes[label] for label in data.labels.tolist()] == ["A", "Z", "B"]
    assert torch.equal(data.images[:, 0], torch.from_numpy(pixels).transpose(1, 2))
    assert data.images.is_contiguous()


arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(array=arrays, zipped=st.booleans())
def test_idx_gives_back_what_was_written(scratch: Path, array: np.ndarray, zipped: bool) -> None:
    path = scratch / ("round.gz" if zipped else "round")
    write_idx(path, array)
    assert np.array_equal(images.read_idx(path, 3), array)


@given(array=arrays, zipped=st.booleans(), data=st.data())
def test_idx_refuses_every_beginning_of_a_file(scratch: Path, array: np.ndarray, zipped: bool, data) -> None:
    path = scratch / ("cut.gz" if zipped else "cut")
    write_idx(path, array)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(UserError, match=f"^{path} "):
        images.read_idx(path, 3)


@given(content=st.binary(max_size=60), head=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x03\0\0\0\x01"]))
def test_idx_refuses_noise_or_reads_what_it_announces(scratch: Path, content: bytes, head: bytes) -> None:
    path = scratch / "noise"
    path.write_bytes(head + content)
    try:
        array = images.read_idx(path, 3)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert idx_bytes(array) == head + content


HEADER = b"\0\0\x08\x03"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\x0d\x03" + struct.pack(">3I", 1, 1, 1) + b"\0" * 4, "is not an idx file of bytes in 3 dimensions"),
        (b"\0\0\x08\x01" + struct.pack(">I", 9) + b"\0" * 9, "is not an idx file of bytes in 3 dimensions"),
        (HEADER + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "claims to hold 4294967295 x"),
        (HEADER + struct.pack(">3I", 0, 28, 28), "claims to hold 0 x 28 x 28 bytes"),
        (HEADER + struct.pack(">3I", 1, 2, 2) + b"\0" * 5, "goes on after the 4 bytes"),
        (HEADER + struct.pack(">3I", 1, 2, 2) + b"\0" * 3, "ends after 3 of the 4 bytes"),
        (b"", "is not an idx file"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_an_idx_header_is_not_believed(tmp_path: Path, content: bytes, words: str, zipped: bool) -> None:
    path = tmp_path / ("x.gz" if zipped else "x")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(UserError, match=words):
        images.read_idx(path, 3)


def test_a_gzip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    zipped = bytearray(gzip.compress(idx_bytes(np.ones((2, 2, 2), np.uint8))))
    zipped[-8] ^= 1
    path.write_bytes(zipped)
    with pytest.raises(UserError, match="CRC check failed"):
        images.read_idx(path, 3)


def test_a_zip_bomb_is_read_only_as_far_as_it_announces(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(HEADER + struct.pack(">3I", 1, 1, 4) + bytes(50_000_000), compresslevel=1))
    with pytest.raises(UserError, match="goes on after the 4 bytes"):
        images.read_idx(path, 3)


@pytest.mark.parametrize(
    ("labels", "words"),
    [((3, 0), "has 3 images, but .* 2 labels"), ((3, 0, 10), "has labels from 0 to 10, where 0 to 9 are meant")],
)
def test_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path, labels: tuple[int, ...], words: str) -> None:
    write_mnist(tmp_path / "mnist", labels=labels)
    with pytest.raises(UserError, match=f"{words}.*daybreak data prepare mnist$"):
        images.mnist(tmp_path, train=True)


# ------------------------------------------------------------------------------- folders


def write_folder(root: Path, sizes: tuple[tuple[int, int], ...] = ((6, 4), (6, 4), (6, 4))) -> None:
    for i, ((width, height), kind) in enumerate(zip(sizes, ("dog", "cat", "dog"), strict=True)):
        (root / kind).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (10 * i, 0, 255)).save(root / kind / f"{i}.PNG")


def test_a_folder_of_folders_is_read_by_name(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / "dog" / ".hidden.png").write_bytes(b"")
    (tmp_path / ".git").mkdir()
    data = images.folder(tmp_path)
    assert (len(data), data.classes, data.labels.tolist()) == (3, ["cat", "dog"], [0, 1, 1])
    pixels, labels = data[torch.tensor([2, 0])]
    assert (pixels.shape, pixels.dtype, labels.tolist()) == ((2, 3, 4, 6), torch.uint8, [1, 0])
    assert pixels[:, :, 0, 0].tolist() == [[20, 0, 255], [10, 0, 255]]


def test_a_size_makes_images_of_all_sizes_one_batch(tmp_path: Path) -> None:
    write_folder(tmp_path, sizes=((6, 4), (1, 1), (300, 2)))
    pixels, _ = images.folder(tmp_path, size=5)[[0, 1, 2]]
    assert pixels.shape == (3, 3, 5, 5)
    assert pixels[1, :, 0, 0].tolist() == [0, 0, 255]


def test_images_of_two_sizes_without_a_size_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, sizes=((6, 4), (6, 4), (5, 4)))
    with pytest.raises(UserError, match=r"2\.PNG is 5 x 4 pixels where another image is 6 x 4: give the size"):
        images.folder(tmp_path)[[0, 1, 2]]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_file_in_a_folder_is_named_also_from_a_worker(tmp_path: Path, workers: int) -> None:
    write_folder(tmp_path)
    path = tmp_path / "cat" / "1.PNG"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"^\S+1\.PNG is damaged or cut short \([^\n]*\): get it again[^\n]*$"):
        next(Loader(images.folder(tmp_path), 3, seed=0, workers=workers))


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ((), "has no sub-folders: put the images of each class into a folder of its own"),
        (("cat",), "cat has no images"),
        (None, "there is no folder"),
    ],
)
def test_a_folder_without_images_says_what_it_should_hold(tmp_path: Path, folders, words: str) -> None:
    for name in folders or ():
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=words):
        images.folder(tmp_path if folders is not None else tmp_path / "missing")


# ------------------------------------------------------------------------------- the real sets


@pytest.mark.realdata
@pytest.mark.parametrize(("train", "n"), [(True, 50_000), (False, 10_000)])
def test_real_cifar10_is_complete_and_balanced(real_data: RealData, train: bool, n: int) -> None:
    data = images.cifar10(real_data("cifar-10-batches-bin"), train)
    assert data.images.shape == (n, 3, 32, 32)
    assert data.labels.bincount().tolist() == [n // 10] * 10
    assert data.classes == KINDS
    means = data.images.double().mean((0, 2, 3)) / 255
    assert means.tolist() == pytest.approx([0.4914, 0.4822, 0.4465] if train else [0.4942, 0.4851, 0.4504], abs=5e-5)


@pytest.mark.realdata
def test_real_mnist_has_its_60_000_digits(real_data: RealData) -> None:
    data = images.mnist(real_data("mnist"), train=True)
    assert data.images.shape == (60_000, 1, 28, 28)
    assert data.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert (data.images.double().mean() / 255).item() == pytest.approx(0.1307, abs=5e-5)
    test = images.mnist(real_data("mnist"), train=False)  # 10,000, or the first of them
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.realdata
def test_real_fashion_mnist_is_complete(real_data: RealData) -> None:
    data = images.fashion_mnist(real_data("fashion-mnist"), train=True)
    assert data.images.shape == (60_000, 1, 28, 28)
    assert data.labels.bincount().tolist() == [6_000] * 10


@pytest.mark.realdata
def test_real_emnist_letters_stand_upright(real_data: RealData) -> None:
    data = images.emnist_letters(real_data("emnist"), train=False)
    assert data.labels.unique().tolist() == list(range(26))
    ink = data.images[:, 0].double()
    letter_t = ink[data.labels == data.classes.index("T")].mean(0)
    assert letter_t[:10].sum() > 1.3 * letter_t[18:].sum(), "a T has its bar at the top"
