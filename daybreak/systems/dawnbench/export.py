"""A trained network as an ONNX file, for any runtime: bytes of images in, logits out, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from daybreak.engine.errors import UserError, need
from daybreak.engine.files import write_atomic
from daybreak.systems.dawnbench.networks import image_shapes
from daybreak.systems.dawnbench.predict import load

LARGEST_DIFFERENCE = 1e-4
"""Between a logit of torch's and of onnxruntime's: rounding, and no more."""
BATCHES = (1, 2, 7)


def export(run: Path, out: Path) -> float:
    """Write the run's network to ``out``. Returns the largest difference of a logit between torch and onnxruntime.

    Raises UserError, and writes nothing, when a package is missing or the logits differ.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        need(package, "export")
    classifier = load(run, device="cpu")
    content, difference = to_onnx(classifier.model, image_shapes(classifier.config)[-1])
    if not difference <= LARGEST_DIFFERENCE:
        raise UserError(f"{out} was not written: onnxruntime's logits differ by {difference:.2g}; please report this")
    write_atomic(out, content)
    return difference


def to_onnx(model: nn.Module, shape: tuple[int, int, int]) -> tuple[bytes, float]:
    """The ONNX file of a network for images (B, C, H, W) uint8, and how far onnxruntime's logits are from torch's."""
    program = torch.onnx.export(
        model, (pictures(2, shape),), input_names=["images"], output_names=["logits"],
        dynamic_shapes=({0: "batch"},), dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None  # only the exporter that writes files itself returns none
    content = program.model_proto.SerializeToString()
    return content, max(difference(model, content, pictures(batch, shape)) for batch in BATCHES)


@torch.no_grad()
def difference(model: nn.Module, content: bytes, images: Tensor) -> float:
    """The largest absolute difference of a logit between a network and its ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["logits"], {"images": images.numpy()})
    return (model(images) - torch.from_numpy(theirs)).abs().max().item()


def pictures(batch: int, shape: tuple[int, int, int]) -> Tensor:
    """Smooth clouds of colour (B, C, H, W) uint8: unlike noise, they give logits of the usual size."""
    generator = torch.Generator().manual_seed(batch)
    coarse = torch.rand(batch, shape[0], 4, 4, generator=generator)
    return (255 * interpolate(coarse, shape[1:], mode="bilinear")).to(torch.uint8)
