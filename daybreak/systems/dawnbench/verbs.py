"""The verbs of dawnbench besides training, and what its records claim. Imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from daybreak.engine.claim import Claim, Target
from daybreak.engine.errors import UserError
from daybreak.systems.dawnbench.config import PRESETS
from daybreak.systems.dawnbench.imagenet.config import IMAGENET_PRESETS

LOOPS = {"train": PRESETS, "train-imagenet": IMAGENET_PRESETS}
CLAIMS = {
    "cifar10-94-cpu": Claim(
        "94 % on CIFAR-10 in a quarter of an hour on two cores",
        "cifar10-94",
        {
            "test_accuracy": Target("%", 94.0, ("the most frequent class", 10.0), ("airbench94 on a GPU", 94.01)),
            "training_seconds": Target(
                "s", 900.0, anchor=("DAWNBench's best CPU entry, 16 cores", 286_014.0), better="lower"
            ),
            "training_cpu_seconds": Target("CPU s", better="lower"),
        },
        headline=True,
    ),
    "cifar10-95-cpu": Claim(
        "95 % on CIFAR-10 in an hour on two cores",
        "cifar10-95",
        {
            "test_accuracy": Target("%", 95.0, ("the most frequent class", 10.0), ("airbench95 on a GPU", 95.0)),
            "training_seconds": Target("s", 3_600.0, better="lower"),
            "training_cpu_seconds": Target("CPU s", better="lower"),
        },
    ),
    "cifar10-resnet9-cpu": Claim(
        "a plain ResNet-9 with 1cycle reaches 88 % on CIFAR-10 in ten minutes on two cores",
        "cifar10",
        {
            "test_accuracy": Target("%", 88.0, floor=("the most frequent class", 10.0)),
            "training_seconds": Target("s", 600.0, better="lower"),
        },
    ),
    "mnist-cpu": Claim(
        "99 % on MNIST in two minutes on two cores",
        "cifar10",
        {
            "test_accuracy": Target("%", 99.0, floor=("the most frequent class", 11.35)),
            "test_images": Target("images"),
            "training_seconds": Target("s", 120.0, better="lower"),
        },
        flags={"data": "mnist", "flip": "off", "steps": 900},
    ),
    "digits-cpu": Claim(
        "the tiny preset reads handwritten digits it has not seen, after seconds of training",
        "tiny",
        {
            "test_accuracy": Target("%", 97.0, floor=("the most frequent class", 11.67)),
            "training_seconds": Target("s", 20.0, better="lower"),
        },
    ),
}


@dataclass
class Evaluate:
    """Test a trained run: accuracy on the test set, confusion matrix, right and wrong answers."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.dawnbench.evaluate import evaluate

        return evaluate(run)


@dataclass
class Classify:
    """Say what is in a picture."""

    run: Positional[Path]
    """Run directory."""
    pictures: Positional[tuple[Path, ...]]
    """Picture files."""

    def __call__(self) -> None:
        """One line a picture: file, class, probability."""
        if not self.pictures:
            raise UserError("daybreak dawnbench classify needs picture files after the run directory")
        from daybreak.systems.dawnbench.predict import load

        for path, (name, chance) in zip(self.pictures, load(self.run).classify(self.pictures), strict=True):
            print(f"{path}\t{name}\t{chance:.1%}")


@dataclass
class Leaderboard:
    """Our runs among DAWNBench's 118 entries, ranked by the contest's rule."""

    task: Literal["cifar10", "imagenet", "squad"] = "cifar10"
    """What was trained for."""
    by: Literal["time", "cost", "latency", "inference-cost"] = "time"
    """Time or cost of training to the threshold; latency or cost of classifying an image."""
    runs: tuple[Path, ...] = ()
    """Run directories of ours; a folder of seed_* runs counts as one entry, by its mean."""
    results: Path | None = None
    """Folder with records of ours, as results/dawnbench."""
    cost_per_hour: float | None = None
    """Price of our machine in dollars; without it, the one that a run was given counts."""
    page: Path | None = None
    """Write a page as well, and its plot beside it as PNG."""

    def __call__(self) -> None:
        """Print the table; what of ours could not be ranked is told on the error stream."""
        from daybreak.data import where
        from daybreak.systems.dawnbench import clock
        from daybreak.systems.dawnbench.entries import TASKS
        from daybreak.systems.dawnbench.leaderboard import ranking, table

        task, price = TASKS[self.task], self.cost_per_hour
        submit = clock.inference_submission if ranking.BY[self.by][0] == "inference" else clock.submission
        ours = ranking.own(self.runs, lambda run: submit(run, "daybreak", price))
        ours += ranking.recorded(self.results, price) if self.results else []
        standings = ranking.rank([[entry] for entry in ranking.history(where.root())], ours, task, self.by)
        table.show(standings, self.by)
        for group in ours:
            if why := ranking.why_not(group, task, self.by):
                print(f"daybreak: not ranked: {why}", file=sys.stderr)
        if self.page:
            from daybreak.systems.dawnbench.leaderboard.page import page

            print(f"page: {page(standings, task, self.by, self.page)}", file=sys.stderr)


@dataclass
class Submit:
    """Write finished runs in DAWNBench's own format: JSON, and the curve as TSV."""

    runs: Positional[tuple[Path, ...]]
    """Run directories; one whose latency was measured gives an inference entry, too."""
    author: str
    """Who submits."""
    out: Path
    """Folder laid out as the contest's repository: TASK/train/NAME.json and .tsv, TASK/inference/NAME.json."""
    cost_per_hour: float | None = None
    """Price of the machine in dollars; without it, the one that a run was given counts."""

    def __call__(self) -> None:
        """Print the files written."""
        if not self.runs:
            raise UserError("daybreak dawnbench submit needs run directories, as in: submit runs/cifar/seed_0")
        from daybreak.systems.dawnbench import clock
        from daybreak.systems.dawnbench.entries import write_files

        for run in self.runs:
            print(write_files(clock.submission(run, self.author, self.cost_per_hour), self.out))
            if (run / clock.LATENCY).exists():
                print(write_files(clock.inference_submission(run, self.author, self.cost_per_hour), self.out))


@dataclass
class Latency:
    """Measure how long one image takes, one at a time over the test images."""

    run: Positional[Path]
    """Run directory; what was measured is noted in it."""
    images: int = 10_000
    """Test images to classify."""
    onnx: Path | None = None
    """Measure an exported file in onnxruntime as well."""
    cost_per_hour: float | None = None
    """Price of the machine in dollars, for the cost of an image."""

    def __call__(self) -> None:
        """One line each for torch and onnxruntime."""
        from daybreak.systems.dawnbench import latency

        measured = {"torch": latency.latency(self.run, self.images)}
        if self.onnx:
            measured["onnxruntime"] = latency.latency_in_onnxruntime(self.run, self.onnx, self.images)
        for name, m in measured.items():
            price = self.cost_per_hour
            cost = "" if price is None else f", ${m.mean_ms / 3.6 * price:.3g} for a million images"
            print(
                f"{name} on {m.environment['device']}: median {m.median_ms:.3g} ms, mean {m.mean_ms:.3g}, "
                f"p95 {m.p95_ms:.3g}, p99 {m.p99_ms:.3g} over {m.images:,} images{cost}; "
                f"{m.test_accuracy:.2f} % right"
            )


@dataclass
class Flops:
    """Count what a network computes for an image, and the share of this machine's peak that training reaches."""

    what: Positional[str]
    """A preset, or a run directory."""
    images_per_second: float | None = None
    """Speed of training; without it, that of the run directory from its first second to its last."""

    def __call__(self) -> None:
        """A line for each size of the images, then the peak."""
        from daybreak.systems.dawnbench.flops import report

        presets = {name: make for loop in LOOPS.values() for name, make in loop.items() if name != "tiny"}
        print("\n".join(report({**presets, **LOOPS["train"]}, self.what, self.images_per_second)))


@dataclass
class Export:
    """Write a trained network as ONNX, and check that onnxruntime computes the same."""

    run: Positional[Path]
    """Run directory."""
    onnx: Path | None = None
    """File to write; default: model.onnx in the run directory."""

    def __call__(self) -> None:
        """Print the file and the largest difference of a logit."""
        from daybreak.systems.dawnbench.export import export

        out = self.onnx or self.run / "model.onnx"
        difference = export(self.run, out)
        print(f"{out}: onnxruntime's logits differ from torch's by at most {difference:.2g}")


VERBS: dict[str, Any] = {
    "evaluate": Evaluate,
    "classify": Classify,
    "leaderboard": Leaderboard,
    "submit": Submit,
    "latency": Latency,
    "flops": Flops,
    "export": Export,
}
