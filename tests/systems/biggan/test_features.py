"""The training of the feature net, on the digits that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from string import ascii_uppercase

import pytest
import torch
from safetensors.torch import load_file

from daybreak.data.images import Images
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import WEIGHTS, log_series, read_json
from daybreak.nn.features import CLASSES, PHOTOGRAPHS, FeatureNet
from daybreak.systems.biggan.features import data
from daybreak.systems.biggan.features.config import FeaturesConfig, features, features_tiny
from daybreak.systems.biggan.features.predict import evaluate, load
from daybreak.systems.biggan.features.train import augmented, train_features


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = features_tiny()
    config.out, config.precision = str(tmp_path_factory.mktemp("features") / "run"), "fp32"
    return train_features(config)


def test_a_minute_part_of_the_training_learns_the_digits(run: Path) -> None:
    _, accuracies = log_series(run, "val_accuracy")
    assert accuracies[-1] > max(80.0, accuracies[0])
    numbers = evaluate(run)
    assert set(numbers) == {"digits_accuracy"} and numbers["digits_accuracy"] > 80.0
    assert read_json(run / "assets" / "data.json")["digest"].startswith("sha256:")


def test_filters_are_stored_in_half_precision_and_compute_in_single(run: Path) -> None:
    stored = load_file(run / WEIGHTS)
    assert all((t.dtype == torch.float16) == (t.dim() > 1) for t in stored.values())
    assert (run / WEIGHTS).stat().st_size < 2_000_000
    net = load(run, device="cpu")
    assert isinstance(net, FeatureNet) and not net.training
    assert {p.dtype for p in net.parameters()} == {torch.float32} and not any(p.requires_grad for p in net.parameters())


def test_photographs_are_mirrored_and_letters_never(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (400, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(400) % len(CLASSES)
    seen = augmented(images, labels, crop=0)
    mirrored = (seen == images.flip(3)).flatten(1).all(1)
    kept = (seen == images).flatten(1).all(1)
    assert (mirrored ^ kept).all() and not mirrored[labels >= len(PHOTOGRAPHS)].any()
    assert 0.2 < mirrored[labels < len(PHOTOGRAPHS)].float().mean() < 0.8


def test_sets_are_joined_with_classes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(side: int, channels: int, classes: list[str]) -> Callable[[Path, bool], Images]:
        labels = torch.arange(40) % len(classes)
        pictures = (labels * 5).to(torch.uint8)[:, None, None, None].expand(-1, channels, side, side)
        return lambda root, train: Images(pictures, labels, classes)

    orders = [sorted(PHOTOGRAPHS, reverse=True), list(ascii_uppercase), list("0123456789")]  # as files may name them
    sets = {
        "cifar10": made(32, 3, orders[0]),
        "letters": made(28, 1, orders[1]),
        "mnist": made(28, 1, orders[2]),
        "digits": made(8, 1, orders[2]),
    }
    monkeypatch.setattr(data, "SETS", sets)
    config = FeaturesConfig(cifar10=40, letters=30, mnist=0, digits=10, held_out=8)
    train_set, held_out = data.training_sets(config)
    assert len(train_set) == 72 and len(held_out) == 8 and train_set.images.shape[1:] == (3, 32, 32)
    for picture, label in zip(train_set.images, train_set.labels, strict=True):
        (value,) = picture.unique().tolist()
        name = CLASSES[label]
        assert next(names for names in orders if name in names)[value // 5] == name
    with pytest.raises(UserError, match="cannot hold out 41 of 40 images"):
        data.training_sets(FeaturesConfig(cifar10=0, letters=0, mnist=41, digits=0, held_out=1))


def test_the_preset_takes_all_sets_and_too_few_images_are_refused() -> None:
    config = features()
    config.check()
    assert list(data.counts(config)) == ["cifar10", "letters", "mnist", "digits"] and config.preset == "features"
    with pytest.raises(UserError, match="100 images are too few"):
        FeaturesConfig(cifar10=0, letters=100, mnist=0, digits=0, held_out=50).check()
