"""A trained generator, opened and asked for images: which classes, in which order, how truncated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import daybreak
from daybreak.data.images import folder, open_image
from daybreak.engine.errors import UserError
from daybreak.nn.features import FeatureNet
from daybreak.systems.biggan import pictures
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import as_bytes
from daybreak.systems.biggan.model import Architecture, Generator, architecture
from daybreak.systems.biggan.model.spectral import spectral_layers
from daybreak.systems.biggan.predict import Sampler, load, open_generator
from daybreak.systems.biggan.sample import great_circle, latents, read_generator, sample


@pytest.fixture(scope="module")
def sampler(digits_run: Path) -> Sampler:
    return load(digits_run, device="cpu")


def near(ours: Tensor, theirs: Tensor) -> bool:
    """Equal but for rounding to the byte."""
    return ours.shape == theirs.shape and int((ours.int() - theirs.int()).abs().max()) <= 1


# ----------------------------------------------------------------------------- sampling


def test_a_run_directory_gives_images_of_the_classes_asked_for_in_that_order(sampler: Sampler) -> None:
    images = sampler.sample(["7", 2], n=3, seed=5)
    assert images.shape == (6, 1, 8, 8) and images.dtype == torch.uint8
    assert near(images[:3], sampler.sample("7", n=3, seed=5)) and near(images[3:], sampler.sample(2, n=3, seed=5))
    assert not near(images[:3], images[3:]) and not near(images, sampler.sample(["7", 2], n=3, seed=6))
    assert sampler.sample(n=1).shape == (10, 1, 8, 8)


def test_the_same_call_gives_the_same_bytes_and_asking_for_more_changes_none(sampler: Sampler) -> None:
    few, many = sampler.sample(4, n=2), sampler.sample(4, n=5)
    assert torch.equal(few, sampler.sample(4, n=2)) and near(few, many[:2])


def test_what_is_sampled_from_is_the_averaged_generator(sampler: Sampler, digits_run: Path) -> None:
    generator, classes = read_generator(digits_run)
    assert classes == sampler.classes
    expected = as_bytes(sample(generator, latents(4, generator.dim_z, seed=1), torch.full((4,), 3), sampler.device))
    assert near(sampler.sample(3, n=4, seed=1), expected)


def test_truncation_takes_statistics_of_its_own_and_leaves_the_weights_alone(sampler: Sampler) -> None:
    whole, cut = sampler.generator(None), sampler.generator(0.3)
    assert all(layer.folded for layer in spectral_layers(cut))
    assert torch.equal(whole.linear.weight, cut.linear.weight)
    assert not torch.equal(whole.norm.running_var, cut.norm.running_var)
    z = latents(200, whole.dim_z, 0.3, seed=9)
    seen: list[Tensor] = []
    with torch.no_grad():
        cut.norm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        cut(z, torch.arange(200) % 10)
    means = seen[0].mean((0, 2, 3))
    assert float((means - cut.norm.running_mean).abs().max()) < 0.2 * float(seen[0].std())
    images = sampler.sample(0, n=4, truncation=0.3)
    assert torch.equal(images, sampler.sample(0, n=4, truncation=0.3))


def test_narrower_latents_give_images_that_are_more_alike(sampler: Sampler) -> None:
    spreads = [float(sampler.sample(1, n=40, truncation=t).float().std(0).mean()) for t in (0.05, 1.0, 3.0)]
    assert spreads == sorted(spreads) and spreads[-1] > 2 * spreads[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"classes": 10}, "there is no class 10 among the 10; they are 0, 1, 2"),
        ({"classes": -1}, "there is no class -1"),
        ({"classes": "seven"}, "there is no class 'seven'"),
        ({"classes": []}, "no class was asked for"),
        ({"n": 0}, "0 images by the seed 0 cannot be"),
        ({"seed": -1}, "by the seed -1 cannot be"),
        ({"truncation": 0.0}, "a truncation of 0 leaves nothing"),
        ({"truncation": float("nan")}, "a truncation of nan leaves nothing"),
    ],
)
def test_what_cannot_be_sampled_is_told_in_one_sentence(sampler: Sampler, asked: dict[str, object], words: str) -> None:
    with pytest.raises(UserError) as mistake:
        sampler.sample(**asked)  # type: ignore[arg-type]
    assert words in str(mistake.value) and "\n" not in str(mistake.value)


def test_a_class_that_is_nearly_named_is_suggested(sampler: Sampler) -> None:
    named = Sampler(["ship", "truck", *map(str, range(20))], sampler.device, sampler.generator, sampler.draw)
    with pytest.raises(UserError, match="did you mean 'ship'"):
        named.labels("shop")
    with pytest.raises(UserError, match=r"they are ship, truck, 0, 1, .*, 9, \.\.\."):
        named.labels(["zebra"])
    assert named.labels(["ship", "3", 3]).tolist() == [0, 5, 3], "a name comes before a number"


# ----------------------------------------------------------------------------- ways


def test_a_way_between_classes_begins_and_ends_with_their_images(sampler: Sampler) -> None:
    way = sampler.interpolate((3, 8), steps=5, n=2, seed=4)
    assert way.shape == (10, 1, 8, 8)
    assert near(way[0::5], sampler.sample(3, n=2, seed=4)) and near(way[4::5], sampler.sample(8, n=2, seed=4))
    assert not near(way[2::5], way[0::5])


def test_a_way_within_a_class_goes_between_two_of_its_images(sampler: Sampler) -> None:
    way, images = sampler.interpolate("6", steps=4, n=2), sampler.sample("6", n=4)
    assert near(way[[0, 3, 4, 7]], images[[0, 1, 2, 3]])


def test_a_great_circle_keeps_the_length_where_a_line_would_not() -> None:
    torch.manual_seed(0)
    start, end = torch.randn(2, 3, 64)
    way = great_circle(start, end, torch.linspace(0, 1, 5))
    assert torch.allclose(way[:, 0], start, atol=1e-5) and torch.allclose(way[:, 4], end, atol=1e-5)
    shortest = torch.minimum(start.norm(dim=1), end.norm(dim=1))
    assert (way[:, 2].norm(dim=1) > 0.95 * shortest).all() and (((start + end) / 2).norm(dim=1) < 0.95 * shortest).all()
    same = great_circle(start, start, torch.tensor([0.3]))
    assert torch.allclose(same[:, 0], start, atol=1e-4)
    assert torch.isfinite(great_circle(start, -start, torch.linspace(0, 1, 3))).all()


def test_ways_that_cannot_be_are_told(sampler: Sampler) -> None:
    with pytest.raises(UserError, match="not 3 in 8"):
        sampler.interpolate((1, 2, 3))
    with pytest.raises(UserError, match="not 2 in 1"):
        sampler.interpolate((1, 2), steps=1)
    shape = architecture(Config(ch=2, dim_z=4, shared_dim=0, hier=False), 1, 3)
    bare = Sampler(list("abc"), sampler.device, lambda _: Generator(shape).eval(), sampler.draw)
    with pytest.raises(UserError, match="has no class embedding"):
        bare.interpolate(("a", "b"))


# ----------------------------------------------------------------------------- pictures


def test_a_folder_of_samples_is_what_training_reads(sampler: Sampler, tmp_path: Path) -> None:
    written = pictures.samples(sampler, ("3", "8"), 4, None, 0, tmp_path / "made")
    assert len(written) == 8
    read = folder(tmp_path / "made")
    assert read.classes == ["3", "8"] and len(read) == 8
    images, labels = read[torch.arange(8)]
    expected = sampler.sample([3, 8], 4)
    assert torch.equal(images[:, :1], expected) and labels.tolist() == [0] * 4 + [1] * 4


def test_a_name_of_a_class_that_is_no_name_of_a_folder_is_changed(sampler: Sampler, tmp_path: Path) -> None:
    named = Sampler(["T-shirt/top", ".."], sampler.device, sampler.generator, sampler.draw)
    written = pictures.samples(named, (), 1, None, 0, tmp_path / "made")
    assert [path.parent for path in written] == [tmp_path / "made" / "T-shirt_top", tmp_path / "made" / "_"]


def test_sheets_have_a_row_for_each_class(sampler: Sampler, tmp_path: Path) -> None:
    (sheet,) = pictures.samples(sampler, ("1", "2", "3"), 8, 0.5, 0, tmp_path / "s.png")
    grid = pictures.grid(sampler, 6, None, 0, tmp_path / "g.png")
    strips = pictures.strips(sampler, ("1", "2"), 8, 3, None, 0, tmp_path / "i.png")
    sizes = [open_image(path).size for path in (sheet, grid, strips)]
    assert sizes[0] == sizes[2] and sizes[1][0] < sizes[0][0] and sizes[1][1] > 3 * sizes[0][1]


# ----------------------------------------------------------------------------- what is opened


def test_a_feature_nets_run_opens_as_that_and_has_no_images(features_run: Path) -> None:
    assert isinstance(daybreak.load(features_run), FeatureNet)
    with pytest.raises(UserError, match=r"is a feature net's run: give one of daybreak biggan train"):
        open_generator(features_run)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda known: {**known, "channels": 2}, "neither grey nor RGB"),
        (lambda known: {**known, "classes": []}, "names no classes"),
        (lambda known: {"classes": known["classes"]}, "lacks the key 'channels'"),
    ],
)
def test_damaged_classes_are_told(digits_run: Path, tmp_path: Path, spoil: object, words: str) -> None:
    run = shutil.copytree(digits_run, tmp_path / "run")
    path = run / "assets" / "classes.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))  # type: ignore[operator]
    with pytest.raises(UserError, match=words):
        load(run)


def test_a_published_generator_is_opened_from_its_file(tmp_path: Path) -> None:
    """Of the authors' layout: names as theirs, statistics for truncation made here."""
    torch.manual_seed(0)
    shape = Architecture(resolution=32, num_classes=3, ch=2, dim_z=8, shared_dim=4)
    generator = Generator(shape).eval()
    save_file(authors_names(generator), tmp_path / "G_ema.safetensors")
    opened = open_generator(tmp_path / "G_ema.safetensors", "cpu")
    assert opened.classes == ["0", "1", "2"]
    expected = as_bytes(sample(generator, latents(2, 8), torch.tensor([1, 1]), opened.device))
    assert near(opened.sample(1, n=2), expected)
    assert opened.sample(1, n=2, truncation=0.5).shape == (2, 3, 32, 32)


def authors_names(generator: Generator) -> dict[str, Tensor]:
    """Our tensors by the names of the authors' code, which ``from_public`` undoes."""
    theirs: dict[str, Tensor] = {}
    for name, value in generator.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            parts = ["blocks", parts[1], "0", *parts[2:]]
            parts[3] = {"norm1": "bn1", "norm2": "bn2", "shortcut": "conv_sc"}.get(parts[3], parts[3])
        elif parts[0] == "norm":
            parts = ["output_layer", "0", *({"weight": "gain"}.get(part, part) for part in parts[1:])]
        elif parts[0] == "to_image":
            parts = ["output_layer", "2", *parts[1:]]
        elif parts[0] == "embedding":
            parts[0] = "shared"
        last = {"u": "u0", "sigma": "sv0", "running_mean": "stored_mean", "running_var": "stored_var"}
        parts[-1] = last.get(parts[-1], parts[-1])
        theirs[".".join(parts)] = value[None].clone() if parts[-1] in ("u0", "sv0") else value.clone()
    return theirs
