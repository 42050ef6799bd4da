"""How long one image takes: the contest's inference task, one image at a time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from daybreak.data.images import Images
from daybreak.engine import rundir
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError, need
from daybreak.systems.dawnbench.clock import LATENCY, Latency, digest
from daybreak.systems.dawnbench.config import SHAPES
from daybreak.systems.dawnbench.data import test_set
from daybreak.systems.dawnbench.predict import Classifier, load

WARM_UP = 100
"""Images classified before the clock: what is loaded, compiled or allocated at the first ones."""
Answer = Callable[[Tensor], Tensor]
"""One image (1, C, H, W) uint8 -> scores (1, num_classes), both in the host's memory."""


def latency(run: Path, images: int) -> Latency:
    """Measure on the best device here, on the first ``images`` test images, and note it in the run directory."""
    classifier = open_run(run)
    test = first_images(test_set(classifier.config), images)
    measured = measure(classifier.probabilities, test, run, classifier.device)
    rundir.write_json(run / LATENCY, dataclasses.asdict(measured))
    return measured


def latency_in_onnxruntime(run: Path, file: Path, images: int) -> Latency:
    """The same for an exported file, on the processor; nothing is noted."""
    need("onnxruntime", "export")
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidProtobuf, NoSuchFile

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidProtobuf, NoSuchFile) as error:
        raise UserError(f"{file} cannot be opened by onnxruntime: write it with daybreak dawnbench export") from error
    classifier = open_run(run, device="cpu")

    def answer(image: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: image.numpy()})[0])

    test = first_images(test_set(classifier.config), images)
    return measure(answer, test, run, dataclasses.replace(classifier.device, bf16=False))


def open_run(run: Path, device: Literal["auto", "cpu"] = "auto") -> Classifier:
    """Open a run on images of one size. Raises UserError for one on ImageNet, whose images come in any shape."""
    classifier = load(run, device)
    if not isinstance(classifier, Classifier):
        raise UserError(f"{run} is a run on ImageNet: latency is measured of runs on {', '.join(SHAPES)}")
    return classifier


def first_images(test: Images, count: int) -> Images:
    """At most ``count`` images of a test set. Raises UserError for less than one."""
    if count < 1:
        raise UserError(f"--images {count} cannot be: give at least 1")
    return test.subset(torch.arange(min(count, len(test))))


def measure(answer: Answer, test: Images, run: Path, device: Device) -> Latency:
    """Milliseconds of every single image, from host memory to scores in host memory."""
    for i in range(WARM_UP):
        answer(test.images[i % len(test)][None])
    times, right = np.empty(len(test)), 0
    for i in range(len(test)):
        image = test.images[i][None]
        started = time.perf_counter()
        scores = answer(image)
        times[i] = 1000 * (time.perf_counter() - started)
        right += int(scores.argmax() == test.labels[i])
    median, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
    now = rundir.environment(device.name, device.precision, torch.get_num_threads(), 1)
    return Latency(
        images=len(test),
        mean_ms=float(times.mean()),
        median_ms=median,
        p95_ms=p95,
        p99_ms=p99,
        test_accuracy=100 * right / len(test),
        weights=digest(run / rundir.WEIGHTS),
        environment={**now, "started": datetime.now(UTC).isoformat(timespec="seconds")},
    )
