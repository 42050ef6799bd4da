"""What a finished generator is worth: how near to unseen real images it comes, how many it covers, whom it obeys."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor

from daybreak.data.images import ImageFolder, Images
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.rundir import SAMPLES, config_of, read_config
from daybreak.systems.biggan import pictures
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.data import SPLIT_SEED, test_set, training_set
from daybreak.systems.biggan.features import predict as feature_net
from daybreak.systems.biggan.features.config import FeaturesConfig
from daybreak.systems.biggan.judge import Judge, judge, obeyed, others
from daybreak.systems.biggan.lens import FEWEST, ceiling, distances, diversity, lens, own_net
from daybreak.systems.biggan.predict import Sampler, load

IMAGES = 10_000
LATENTS_SEED, SWAP_SEED = 101, 102
"""Others than those of the sheets and of training."""
SHEET, COLUMNS = "classes.png", 10
CAPTION = "A class a row; the images of a column come from the same latent vector\n"


def evaluate(
    run_dir: str | Path,
    features: Path | None = None,
    inception: Path | None = None,
    classifier: Path | None = None,
    images: int = IMAGES,
) -> dict[str, float]:
    """Numbers of a run, of as many samples as there are test images, with their labels; a sheet goes to ``samples/``.

    ``cfd``, the Frechet distance in the feature net's features with the ends of its interval, ``ckd`` and
    ``classifier_score`` (with ``inception``: FID, KID and Inception Score); precision, recall, density and coverage;
    diversity of the images of a class; and in percent, how often an independent classifier sees the label that was
    asked for, also after the label of the same latent was changed. What begins with ``real_`` is the same of real
    images, and so the best that can be expected. Of a feature net's run, its test accuracies.

    Raises UserError where the run is unfinished, or a network or a data set is missing.
    """
    folder = Path(run_dir)
    if read_config(folder)["loop"] == FeaturesConfig.loop:
        return feature_net.evaluate(folder)
    config = config_of(Config, folder)
    sampler, data, test = load(folder), training_set(config), some_of(test_set(config), images)
    if len(test) < FEWEST:
        raise UserError(
            f"{folder} has {len(test)} images to be compared with, and {FEWEST} are the least: hold out more, or give "
            "more as --images"
        )
    net = functools.cache(lambda: own_net(features))
    through, sees = lens(net, inception, sampler.device), judge(data, classifier, net, sampler.device)
    z = sampler.draw(len(test), None, LATENTS_SEED)
    made = sampler.images(z, test.labels)
    (real, _), (fake, logits) = through.of(test.images), through.of(made)
    known, _ = through.of(some_of(data.train, len(test)).images)
    draw_sheet(sampler, folder / SAMPLES / SHEET)
    return {
        **distances(through, real, fake, logits),
        **ceiling(through, real, known),
        **diversity(real, fake, test.labels),
        **(obedience(sampler, sees, test, z, made) if sees else {}),
        "test_images": len(test),
    }


def some_of(these: Images | ImageFolder, count: int) -> Images:
    """So many images, always the same, in the order that they have; or all of them."""
    order = torch.randperm(len(these), generator=torch.Generator().manual_seed(SPLIT_SEED))
    pixels, labels = these[order[:count].sort().values]
    return Images(pixels, labels, these.classes)


def obedience(sampler: Sampler, sees: Judge, test: Images, z: Tensor, made: Tensor) -> dict[str, float]:
    """Whether labels are obeyed, in percent: those asked for, and others with the same latents (N, dim_z)."""
    swapped = others(test.labels, len(sampler.classes), SWAP_SEED)
    return {
        "label_accuracy": obeyed(sees, made, test.labels),
        "swapped_label_accuracy": obeyed(sees, sampler.images(z, swapped), swapped),
        "real_label_accuracy": obeyed(sees, test.images, test.labels),
    }


def draw_sheet(sampler: Sampler, path: Path) -> None:
    """Every class, with a line that says what is seen."""
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    pictures.grid(sampler, COLUMNS, None, 0, path)
    write_atomic(path.with_suffix(".txt"), CAPTION.encode())
