"""A trained generator as an ONNX file, for any runtime: latents and labels in, images out, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from daybreak.engine.errors import UserError, need
from daybreak.engine.files import write_atomic
from daybreak.systems.biggan.model import Generator
from daybreak.systems.biggan.predict import open_generator

LARGEST_DIFFERENCE = 1e-4
"""Between a pixel of torch's, from -1 to 1, and of onnxruntime's: rounding, and no more."""
BATCHES = (1, 2, 7)


def export(run: Path, out: Path, truncation: float | None = None) -> float:
    """Write the run's generator to ``out``. Returns the largest difference of a pixel between torch and onnxruntime.

    Its inputs are ``z`` (B, dim_z), float, and ``labels`` (B,), int64; its output ``images`` (B, C, H, W) from -1 to 1.
    With a truncation it has the statistics for such latents, which are the caller's to draw. Raises UserError, and
    writes nothing, when a package is missing or the images differ.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        need(package, "export")
    sampler = open_generator(run, "cpu")
    if truncation is not None:
        sampler.draw(1, truncation, 0)  # refuses one that cannot be
    content, difference = to_onnx(sampler.generator(truncation))
    if not difference <= LARGEST_DIFFERENCE:
        raise UserError(f"{out} was not written: onnxruntime's images differ by {difference:.2g}; please report this")
    write_atomic(out, content)
    return difference


def to_onnx(generator: Generator) -> tuple[bytes, float]:
    """The ONNX file of a generator whose weights are divided for good, and how far onnxruntime's images are."""
    program = torch.onnx.export(
        generator, inputs(generator, 2), input_names=["z", "labels"], output_names=["images"],
        dynamic_shapes=({0: "batch"}, {0: torch.export.Dim.DYNAMIC}), dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None  # only the exporter that writes files itself returns none
    content = program.model_proto.SerializeToString()
    return content, max(difference(generator, content, *inputs(generator, batch)) for batch in BATCHES)


@torch.no_grad()
def difference(generator: Generator, content: bytes, z: Tensor, labels: Tensor) -> float:
    """The largest absolute difference of a pixel between a generator and its ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["images"], {"z": z.numpy(), "labels": labels.numpy()})
    return (generator(z, labels) - torch.from_numpy(theirs)).abs().max().item()


def inputs(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
    """Latents (B, dim_z) and labels (B,)."""
    z = torch.randn(batch, generator.dim_z, generator=torch.Generator().manual_seed(batch))
    return z, torch.arange(batch) % generator.architecture.num_classes
