"""What is said of a generator: figures, an independent classifier, curves of truncation, and mistakes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from daybreak.data.images import Images
from daybreak.data.toy.digits import digits
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.metrics.frechet import Moments, frechet
from daybreak.nn.features import CLASSES
from daybreak.systems import biggan, dawnbench
from daybreak.systems.biggan import lens as lenses
from daybreak.systems.biggan import truncation
from daybreak.systems.biggan.claims import CLAIMS
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import TrainingSet, test_set, training_set
from daybreak.systems.biggan.evaluate import evaluate, some_of
from daybreak.systems.biggan.judge import judge, obeyed, of_feature_net, of_run, others, support_vectors
from daybreak.systems.biggan.lens import diversity, frechet_interval, own_net
from daybreak.systems.biggan.verbs import LOOPS

CPU = Device(torch.device("cpu"), bf16=False)
test_set.__test__ = False  # type: ignore[attr-defined]  # no test, though it is called so


@pytest.fixture(scope="module")
def numbers(digits_run: Path, features_run: Path) -> dict[str, float]:
    return evaluate(digits_run, features=features_run, images=60)


# ----------------------------------------------------------------------------- a run


def test_a_generator_that_learned_nothing_gets_the_figures_of_one(
    numbers: dict[str, float], digits_run: Path, features_run: Path
) -> None:
    assert all(math.isfinite(value) for value in numbers.values()) and numbers["test_images"] == 60
    assert numbers["cfd_low"] < numbers["cfd"] < numbers["cfd_high"]
    assert numbers["real_cfd"] < numbers["cfd_low"] and numbers["real_coverage"] > numbers["coverage"]
    assert numbers["real_label_accuracy"] > 90 > 50 > numbers["label_accuracy"]
    assert numbers == evaluate(digits_run, features=features_run, images=60), "twice the same"
    assert (digits_run / "samples" / "classes.png").exists()


def test_every_metric_of_a_claim_is_measured_and_its_preset_is_there(numbers: dict[str, float]) -> None:
    presets = {**LOOPS["train"], **LOOPS["train-features"]}
    for name, claim in CLAIMS.items():
        config = presets[claim.preset]()
        replace(config, **{key: tuple(v) if isinstance(v, list) else v for key, v in claim.flags.items()}).check()
        timed = {"training_seconds", "training_cpu_seconds"}
        if name != "feature-net":
            assert set(claim.metrics) - timed <= set(numbers), name
    assert sum(claim.headline for claim in CLAIMS.values()) == 1


def test_the_run_of_a_feature_net_is_tested_as_what_it_is(features_run: Path) -> None:
    assert set(evaluate(features_run)) == {"digits_accuracy"}


def test_a_folder_is_compared_with_what_was_held_out_of_it(tmp_path: Path, features_run: Path) -> None:
    torch.manual_seed(0)
    for i in range(40):
        place = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(torch.randint(0, 256, (9, 9, 3), dtype=torch.uint8).numpy()).save(place)
    config = Config(
        data="folder", images=str(tmp_path / "photos"), held_out=12, batch_size=4, ch=2, dim_z=4, shared_dim=4,
        steps=2, eval_every=2, sample_every=2, precision="fp32", out=str(tmp_path / "run"),
    )  # fmt: skip
    run = biggan.train(config)
    numbers = evaluate(run, features=features_run)
    assert numbers["test_images"] == 12 and "label_accuracy" not in numbers
    with pytest.raises(UserError, match="has 9 images to be compared with, and 10 are the least"):
        evaluate(run, features=features_run, images=9)


# ----------------------------------------------------------------------------- features


def test_a_run_of_another_kind_is_no_feature_net(digits_run: Path) -> None:
    with pytest.raises(UserError, match="is no feature net"):
        own_net(digits_run)


def test_with_inception_the_figures_have_their_published_names(
    digits_run: Path, features_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def stand_in(path: Path) -> Any:
        asked.append(path)
        return own_net(features_run)

    monkeypatch.setattr(lenses, "read_inception", stand_in)
    numbers = evaluate(digits_run, inception=Path("inception.safetensors"), images=30)
    assert asked and {"fid", "fid_low", "fid_high", "real_fid", "kid", "inception_score"} <= set(numbers)
    assert not any("cfd" in name or "ckd" in name for name in numbers)


# ----------------------------------------------------------------------------- figures


def test_the_interval_is_about_the_distance_and_narrows_with_more_images() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(4_000, 4), torch.randn(4_000, 4) + 0.5
    true = 4 * 0.25
    widths: list[float] = []
    for count in (250, 4_000):
        low, high = frechet_interval(real[:count], fake[:count])
        assert low < true < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]
    assert frechet_interval(real, fake) == (low, high)
    assert low < frechet(Moments.of(real), Moments.of(fake)) < high
    assert frechet_interval(real[:50], real[:50])[0] == 0.0


def test_diversity_is_one_of_real_images_and_none_of_a_collapsed_class() -> None:
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    centres = 10 * torch.randn(3, 5)
    real, fake = (centres[labels] + torch.randn(90, 5) for _ in range(2))
    assert diversity(real, fake, labels)["diversity"] == pytest.approx(1.0, abs=0.15)
    fake[labels == 1] = centres[1]
    numbers = diversity(real, fake, labels)
    assert numbers["least_diversity"] == 0.0 and numbers["diversity"] == pytest.approx(2 / 3, abs=0.15)
    alone = diversity(real[:3], fake[:3], torch.arange(3))
    assert alone["diversity"] > 0


def test_some_images_are_always_the_same_and_keep_their_order() -> None:
    everything = Images(torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1), torch.arange(50), ["x"])
    some = some_of(everything, 10)
    assert len(some) == 10 and some.labels.tolist() == sorted(some.labels.tolist()) != list(range(10))
    assert torch.equal(some.labels, some_of(everything, 10).labels) and len(some_of(everything, 99)) == 50


def test_test_images_are_none_of_those_trained_on() -> None:
    config = Config(unconditional=True)
    test, train = test_set(config), training_set(config)
    assert len(test) == 360 and test.classes == ["image"] and not test.labels.any()
    known = {bytes(image.numpy().tobytes()) for image in (*train.train.images, *train.held_out.images)}  # type: ignore[union-attr]
    assert sum(image.numpy().tobytes() in known for image in test.images) < 3


# ----------------------------------------------------------------------------- the judge


def test_support_vectors_read_digits_that_they_have_not_seen() -> None:
    test = digits(train=False)
    sees = support_vectors(digits(train=True))
    assert obeyed(sees, test.images, test.labels) > 97
    assert obeyed(sees, test.images, others(test.labels, 10, seed=0)) < 3


def test_another_label_is_never_the_same_and_may_be_any() -> None:
    labels = torch.arange(3_000) % 3
    swapped = others(labels, 3, seed=0)
    assert not (swapped == labels).any() and set(swapped.tolist()) == {0, 1, 2}
    assert torch.equal(swapped, others(labels, 3, seed=0))


def seen_as(number: int) -> Any:
    """A feature net that takes every image for one class."""

    def net(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(len(images), len(CLASSES))
        logits[:, number] = 5.0
        logits[:, -1] = 9.0  # what is not asked about
        return torch.zeros(len(images), 2), logits

    return net


def test_the_feature_net_is_asked_among_the_classes_alone() -> None:
    classes = ["truck", "ship", "cat"]
    sees = of_feature_net(seen_as(CLASSES.index("ship")), classes, CPU)
    assert sees(torch.zeros(4, 3, 32, 32, dtype=torch.uint8)).tolist() == [1] * 4


def test_who_judges_depends_on_what_is_made() -> None:
    grey, colour = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, 3, 8, 8, dtype=torch.uint8)

    def data(images: Tensor, *classes: str) -> TrainingSet:
        these = Images(images, torch.arange(4) % len(classes), list(classes))
        return TrainingSet(these, these, these.classes)

    def never() -> Any:
        raise AssertionError("the feature net is not needed")

    assert judge(data(grey, "image"), None, never, CPU) is None
    assert judge(data(colour, "rose", "tulip"), None, never, CPU) is None
    photographs = judge(data(colour, "ship", "cat"), None, lambda: seen_as(CLASSES.index("cat")), CPU)
    assert photographs and photographs(colour).tolist() == [1] * 4


def test_a_dawnbench_run_judges_where_its_classes_are_the_same(tmp_path: Path, digits_run: Path) -> None:
    config = dawnbench.tiny()
    config.out, config.steps, config.precision = str(tmp_path / "run"), 40, "fp32"
    run = dawnbench.train(config)
    test, classes = digits(train=False), [str(digit) for digit in range(10)]
    assert obeyed(of_run(run, classes), test.images, test.labels) > 60
    with pytest.raises(UserError, match=r"tells 0, 1, 2, ... apart, and the generator makes cat, dog, \.\.\."):
        of_run(run, ["cat", "dog"])
    with pytest.raises(UserError, match="is no classifier of small images"):
        of_run(digits_run, classes)


# ----------------------------------------------------------------------------- truncation


def test_a_curve_has_a_point_for_each_threshold_from_the_narrowest_on(
    digits_run: Path, features_run: Path, tmp_path: Path
) -> None:
    sampler, points = truncation.curve(digits_run, (1.5, 0.2, 1.5), 30, features_run)
    assert [point.truncation for point in points] == [0.2, 1.5]
    assert all(0 <= point.precision <= 100 and 0 <= point.recall <= 100 and point.score >= 1 for point in points)
    assert truncation.draw_curve(points, tmp_path / "c.png").exists()
    assert truncation.draw_sheet(sampler, [0.2, 1.5], tmp_path / "s.png").exists()


@pytest.mark.parametrize(
    ("thresholds", "images", "words"),
    [
        ((1.0, 1.0), 30, "at least two thresholds"),
        ((0.5, 1.0), 5, "5 images are too few for a curve"),
        ((0.0, 1.0), 30, "a truncation of 0 leaves nothing"),
    ],
)
def test_a_curve_that_cannot_be_is_told(
    digits_run: Path, features_run: Path, thresholds: tuple[float, ...], images: int, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        truncation.curve(digits_run, thresholds, images, features_run)
