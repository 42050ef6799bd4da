"""Generators that others published: the layout of the authors' PyTorch code, and that of the TF-Hub models (hub.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from torch import Tensor

from daybreak.engine.errors import UserError
from daybreak.systems.biggan.model import hub
from daybreak.systems.biggan.model.generator import Generator
from daybreak.systems.biggan.model.layout import GENERATOR, Architecture

OURS = {
    "shared": "embedding",
    "embed": "embedding",
    "input_conv": "stem",
    "conv_sc": "shortcut",
    "theta": "query",
    "phi": "key",
    "g": "value",
    "o": "out",
    "u0": "u",
    "sv0": "sigma",
    "stored_mean": "running_mean",
    "stored_var": "running_var",
}
"""Our word for a part of a name, where theirs is another."""
TRUNCATION_OF_HUB = 2.0
"""Standard deviations within which TF-Hub's models have z drawn, before it is multiplied by the truncation."""
BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")


def read_generator(path: Path, truncation: float = 1.0) -> Generator:
    """A generator out of a safetensors file in one of the public layouts, in evaluation mode.

    ``truncation`` chooses among the statistics of the TF-Hub models, which have them for 51 truncations of z from 0 to
    1. Raises UserError for a file that is missing, damaged, of another kind, or pickled (as .pth and .bin files are).
    """
    state = _tensors(path)
    try:
        if hub.has_layout(state):
            return hub.generator(state, truncation)
        generator = Generator(architecture_of(state))
        generator.load_state_dict(from_public(state))
    except (KeyError, RuntimeError, ValueError) as error:  # a name or a shape that is not the layout's
        raise UserError(
            f"{path} holds no generator in a layout that daybreak reads ({' '.join(str(error).split())[:200]}): "
            "give one of the authors' PyTorch code or of the TF-Hub models, converted to safetensors"
        ) from error
    return generator.requires_grad_(False).eval()


def is_of_hub(path: Path) -> bool:
    """Whether a safetensors file is of a TF-Hub model. Raises UserError as :func:`read_generator`."""
    return hub.has_layout(_tensors(path))


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix in (".pth", ".pt", ".bin", ".pkl"):
        raise UserError(
            f"{path} is a pickle, which could run anything: load it where you trust it, and save its state dict with "
            "safetensors.torch.save_file"
        )
    try:
        return parse_tensors(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}: give the path of a safetensors file") from error
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}): get it again") from error


def from_public(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a network of the authors' code, under our names and in our shapes. Values are not changed.

    Gradients and parts of a state go as well. What we do not keep, the counters of its standing statistics, is left
    out.
    """
    places = _places(state)
    named = {_our_name(name, places): value for name, value in state.items()}
    return {
        name: value[0] if name.endswith((".u", ".sigma")) else value  # (1, M) there
        for name, value in named.items()
        if not name.endswith("accumulation_counter")
    }


def _places(state: Mapping[str, Tensor]) -> dict[tuple[int, int], str]:
    """Their blocks.I.J -> our blocks.K or attention.K: theirs are nested, and attention is the last of its list."""
    found = {(int(match[1]), int(match[2])): match[3] for match in map(BLOCK.fullmatch, state) if match}
    places: dict[tuple[int, int], str] = {}
    count = 0
    for place in sorted(found):
        prefix = f"blocks.{place[0]}.{place[1]}"
        if any(name.startswith(f"{prefix}.theta.") for name in state):
            places[place] = f"attention.{count - 1}"
        else:
            places[place] = f"blocks.{count}"
            count += 1
    return places


def _our_name(name: str, places: dict[tuple[int, int], str]) -> str:
    if match := BLOCK.fullmatch(name):
        name = f"{places[int(match[1]), int(match[2])]}.{match[3]}"
    name = name.replace("output_layer.0.gain", "norm.weight").replace("output_layer.0", "norm")
    name = name.replace("output_layer.2", "to_image").replace(".bn.", ".")
    return ".".join(OURS.get(part, re.sub(r"^bn(\d)$", r"norm\1", part)) for part in name.split("."))


def architecture_of(state: Mapping[str, Tensor]) -> Architecture:
    """What a generator's tensors, by the names of the authors' code, tell of its shape.

    Raises KeyError for other names, ValueError where the embedding is not shared: those released all share it.
    """
    if "shared.weight" not in state:
        raise ValueError("there is no shared.weight")
    places = _places(state)
    blocks = sum(place.startswith("blocks") for place in places.values())
    deep = "blocks.0.0.conv4.weight" in state
    depth = 2 if deep else 1
    resolution = 4 * 2 ** (blocks // depth)
    num_classes, shared_dim = state["shared.weight"].shape
    seen = state["blocks.0.0.bn1.gain.weight"].shape[1]
    first = state["linear.weight"].shape[1]
    channels, width = state["output_layer.2.weight"].shape[:2]
    attended = [int(place.split(".")[1]) // depth for place in places.values() if place.startswith("attention")]
    return Architecture(
        resolution=resolution,
        channels=channels,
        num_classes=num_classes,
        ch=width // GENERATOR[resolution][-1],
        deep=deep,
        depth=2,
        attention=tuple(8 * 2**stage for stage in attended),
        dim_z=first - shared_dim if deep else first * (blocks + 1 if seen > shared_dim else 1),
        shared_dim=shared_dim,
        hier=seen > shared_dim,
    )
