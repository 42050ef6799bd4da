"""A trained network as an ONNX file, for any runtime: bytes of images in, logits out, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from daybreak.engine.files import write_atomic
from daybreak.engine.onnx import Runtime, check_same, need_onnx, to_graph
from daybreak.systems.dawnbench.networks import image_shapes
from daybreak.systems.dawnbench.predict import load

BATCHES = (1, 2, 7)


def export(run: Path, out: Path) -> float:
    """Write the run's network to ``out``. Returns the largest difference of a logit between torch and onnxruntime.

    Raises UserError, and writes nothing, when a package is missing or the logits differ.
    """
    need_onnx()
    classifier = load(run, device="cpu")
    content, difference = to_onnx(classifier.model, image_shapes(classifier.config)[-1])
    check_same(difference, out, "logits")
    write_atomic(out, content)
    return difference


def to_onnx(model: nn.Module, shape: tuple[int, int, int]) -> tuple[bytes, float]:
    """The ONNX file of a network for images (B, C, H, W) uint8, and how far onnxruntime's logits are from torch's."""
    content = to_graph(model, {"images": pictures(2, shape)}, ["logits"], ({0: "batch"},))
    return content, max(difference(model, content, pictures(batch, shape)) for batch in BATCHES)


@torch.no_grad()
def difference(model: nn.Module, content: bytes, images: Tensor) -> float:
    """The largest absolute difference of a logit between a network and its ONNX file in onnxruntime."""
    (theirs,) = Runtime(content)({"images": images})
    return (model(images) - theirs).abs().max().item()


def pictures(batch: int, shape: tuple[int, int, int]) -> Tensor:
    """Smooth clouds of colour (B, C, H, W) uint8: unlike noise, they give logits of the usual size."""
    generator = torch.Generator().manual_seed(batch)
    coarse = torch.rand(batch, shape[0], 4, 4, generator=generator)
    return (255 * interpolate(coarse, shape[1:], mode="bilinear")).to(torch.uint8)
