"""The verbs of biggan besides its two trainings. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from daybreak.engine.errors import UserError
from daybreak.systems.biggan.claims import CLAIMS
from daybreak.systems.biggan.config import PRESETS
from daybreak.systems.biggan.features.config import FEATURES_PRESETS

__all__ = ["CLAIMS", "LOOPS", "VERBS"]

LOOPS: dict[str, Any] = {"train": PRESETS, "train-features": FEATURES_PRESETS}


@dataclass
class Evaluate:
    """Compare samples with unseen real images, and ask a classifier whether they are what was asked for."""

    features: Path | None = None
    """Run directory of another feature net, trained by train-features; default: the one that daybreak brings."""
    inception: Path | None = None
    """Safetensors file of the public Inception weights: FID, KID and Inception Score in place of our own figures."""
    classifier: Path | None = None
    """Run directory of another classifier of the same classes, trained by daybreak dawnbench."""
    images: int = 10_000
    """Test images to compare with, at most, and as many samples."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.biggan.evaluate import evaluate

        return evaluate(run, self.features, self.inception, self.classifier, self.images)


@dataclass
class Sample:
    """Make images of classes: a sheet, or a folder of files."""

    run: Positional[Path]
    """Run directory; or the safetensors file of a published generator."""
    classes: tuple[str, ...] = ()
    """Classes by name or number; default: all."""
    n: int = 8
    """Images of each class."""
    truncation: float | None = None
    """Draw latents within so many standard deviations: better images, more alike; a published one may take 0 to 1."""
    seed: int = 0
    """Of the latents."""
    out: Path = Path("samples.png")
    """Picture to write, .png or .svg; anything else is a folder, which gets a file an image."""

    def __call__(self) -> None:
        """Print what was written."""
        from daybreak.systems.biggan.pictures import samples
        from daybreak.systems.biggan.predict import open_generator

        written = samples(open_generator(self.run), self.classes, self.n, self.truncation, self.seed, self.out)
        print(self.out if len(written) == 1 else f"{self.out}: {len(written)} files")


@dataclass
class Grid:
    """Draw every class (a row each) from the same latents (a column each)."""

    run: Positional[Path]
    """Run directory; or the safetensors file of a published generator."""
    n: int = 10
    """Columns."""
    truncation: float | None = None
    """Draw latents within so many standard deviations."""
    seed: int = 0
    """Of the latents."""
    out: Path = Path("grid.png")
    """Picture to write, .png or .svg."""

    def __call__(self) -> None:
        """Print the file."""
        from daybreak.systems.biggan.pictures import grid
        from daybreak.systems.biggan.predict import open_generator

        print(grid(open_generator(self.run), self.n, self.truncation, self.seed, self.out))


@dataclass
class Interpolate:
    """Draw the way from one class to another, or from one image of a class to another."""

    run: Positional[Path]
    """Run directory; or the safetensors file of a published generator."""
    classes: Positional[tuple[str, ...]]
    """Two classes, by name or number; of one, the way goes between two latents."""
    steps: int | None = None
    """Images of a way; default: 10, and 60 of a film."""
    n: int = 4
    """Ways, a row each."""
    truncation: float | None = None
    """Draw latents within so many standard deviations."""
    seed: int = 0
    """Of the latents."""
    out: Path = Path("interpolation.png")
    """Picture to write, .png or .svg; or .mp4, a film that goes there and back."""

    def __call__(self) -> None:
        """Print the file."""
        if not self.classes:
            raise UserError("daybreak biggan interpolate needs one class or two, as in: interpolate runs/digits 3 8")
        from daybreak.draw import is_film
        from daybreak.systems.biggan.pictures import strips
        from daybreak.systems.biggan.predict import open_generator

        sampler = open_generator(self.run)
        usual = 60 if is_film(self.out) else 10
        steps = usual if self.steps is None else self.steps
        print(strips(sampler, self.classes, steps, self.n, self.truncation, self.seed, self.out))


@dataclass
class Truncate:
    """Show what truncation gains and costs: precision and recall over its thresholds, and a sheet of samples."""

    run: Positional[Path]
    """Run directory."""
    thresholds: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0)
    """Standard deviations beyond which latents are drawn anew."""
    images: int = 2_000
    """Test images to compare with, at most, and as many samples of each threshold."""
    features: Path | None = None
    """Run directory of another feature net, trained by train-features; default: the one that daybreak brings."""
    out: Path = Path("truncation.png")
    """Picture of the curve to write; the sheet goes beside it as *_sheet.png."""

    def __call__(self) -> None:
        """A line for each threshold, then the files written."""
        from daybreak import draw
        from daybreak.systems.biggan.truncation import curve, draw_curve, draw_sheet

        draw.kind_of(self.out)
        sampler, points = curve(self.run, self.thresholds, self.images, self.features)
        print("truncation\tprecision %\trecall %\tclassifier score")
        for p in points:
            print(f"{p.truncation:g}\t{p.precision:.1f}\t{p.recall:.1f}\t{p.score:.2f}")
        print(draw_curve(points, self.out))
        sheet = self.out.with_name(f"{self.out.stem}_sheet{self.out.suffix}")
        print(draw_sheet(sampler, [p.truncation for p in points], sheet))


@dataclass
class Export:
    """Write a generator as ONNX, and check that onnxruntime makes the same images."""

    run: Positional[Path]
    """Run directory; or the safetensors file of a published generator."""
    onnx: Path | None = None
    """File to write; default: model.onnx in the run directory."""
    truncation: float | None = None
    """Give it the statistics for latents within so many standard deviations."""

    def __call__(self) -> None:
        """Print the file and the largest difference of a pixel."""
        if self.onnx is None and not self.run.is_dir():
            raise UserError(f"{self.run} is no run directory: give the file to write as --onnx")
        from daybreak.systems.biggan.export import export

        out = self.onnx or self.run / "model.onnx"
        difference = export(self.run, out, self.truncation)
        print(f"{out}: onnxruntime's pixels, from -1 to 1, differ from torch's by at most {difference:.2g}")


VERBS: dict[str, Any] = {
    "evaluate": Evaluate,
    "sample": Sample,
    "grid": Grid,
    "interpolate": Interpolate,
    "truncate": Truncate,
    "export": Export,
}
