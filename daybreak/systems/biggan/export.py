"""A trained generator as an ONNX file, for any runtime: latents and labels in, images out, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from daybreak.engine.files import write_atomic
from daybreak.engine.onnx import Runtime, check_same, need_onnx, to_graph
from daybreak.systems.biggan.model import Generator
from daybreak.systems.biggan.predict import open_generator

BATCHES = (1, 2, 7)


def export(run: Path, out: Path, truncation: float | None = None) -> float:
    """Write the run's generator to ``out``. Returns the largest difference of a pixel between torch and onnxruntime.

    Its inputs are ``z`` (B, dim_z), float, and ``labels`` (B,), int64; its output ``images`` (B, C, H, W) from -1 to 1.
    With a truncation it has the statistics for such latents, which are the caller's to draw. Raises UserError, and
    writes nothing, when a package is missing or the images differ.
    """
    need_onnx()
    sampler = open_generator(run, "cpu")
    if truncation is not None:
        sampler.draw(1, truncation, 0)  # refuses one that cannot be
    content, difference = to_onnx(sampler.generator(truncation))
    check_same(difference, out, "images")
    write_atomic(out, content)
    return difference


def to_onnx(generator: Generator) -> tuple[bytes, float]:
    """The ONNX file of a generator whose weights are divided for good, and how far onnxruntime's images are."""
    shapes = ({0: "batch"}, {0: torch.export.Dim.DYNAMIC})
    content = to_graph(generator, inputs(generator, 2), ["images"], shapes)
    return content, max(difference(generator, content, inputs(generator, batch)) for batch in BATCHES)


@torch.no_grad()
def difference(generator: Generator, content: bytes, inputs: dict[str, Tensor]) -> float:
    """The largest absolute difference of a pixel between a generator and its ONNX file in onnxruntime."""
    (theirs,) = Runtime(content)(inputs)
    return (generator(*inputs.values()) - theirs).abs().max().item()


def inputs(generator: Generator, batch: int) -> dict[str, Tensor]:
    """``z`` (B, dim_z) and ``labels`` (B,)."""
    z = torch.randn(batch, generator.dim_z, generator=torch.Generator().manual_seed(batch))
    return {"z": z, "labels": torch.arange(batch) % generator.architecture.num_classes}
