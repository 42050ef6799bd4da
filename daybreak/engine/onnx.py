"""Trained networks as ONNX files, for any runtime: written only where onnxruntime computes the same."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from daybreak.engine.errors import UserError, need

LARGEST_DIFFERENCE = 1e-4
"""Between a number of torch's and of onnxruntime's: rounding, and no more."""


def need_onnx() -> None:
    """Raise UserError naming what to install when a package is missing."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        need(package, "export")


def to_graph(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], shapes: Any) -> bytes:
    """The ONNX file of a module: example ``inputs`` by name, names of its outputs, and which of their sizes are free.

    ``shapes`` has for each input what ``torch.export`` calls its dynamic shape.
    """
    onnx: Any = torch.onnx  # whose types are partly unknown
    program = onnx.export(
        module, tuple(inputs.values()), input_names=list(inputs), output_names=list(outputs),
        dynamic_shapes=shapes, dynamo=True, verbose=False,
    )  # fmt: skip
    assert program is not None  # only the exporter that writes files itself returns none
    return program.model_proto.SerializeToString()


class Runtime:
    """An ONNX file, opened in onnxruntime on the CPU."""

    def __init__(self, content: bytes) -> None:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Inputs by name -> all outputs in order."""
        found = self.session.run(None, {name: value.numpy() for name, value in inputs.items()})
        return [torch.as_tensor(value) for value in found]


def check_same(difference: float, out: Path, what: str) -> None:
    """Raise UserError, before anything is written, where onnxruntime's ``what`` differ by more than rounding."""
    if not difference <= LARGEST_DIFFERENCE:
        raise UserError(f"{out} was not written: onnxruntime's {what} differ by {difference:.2g}; please report this")
