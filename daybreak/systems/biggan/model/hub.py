"""The BigGAN-deep generators of TF-Hub, by the names of their PyTorch conversion (``generator.layers.N...``).

They differ from ours in what is the same to a network: the latent stands before the class embedding, the first map is
laid out with the channels last, the last layer has channels that nobody looks at, and the two vectors of each spectral
norm are stored. So the weights are divided here, once and for all, and put in our order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, cat

from daybreak.engine.errors import UserError
from daybreak.systems.biggan.model.generator import SMALLEST_SIDE, Generator
from daybreak.systems.biggan.model.layout import GENERATOR, Architecture
from daybreak.systems.biggan.model.spectral import spectral_layers

EPS = 1e-4  # of their batch norms
LAYER = re.compile(r"generator\.layers\.(\d+)\.(.+)")
ATTENTION = {
    "snconv1x1_theta": "query",
    "snconv1x1_phi": "key",
    "snconv1x1_g": "value",
    "snconv1x1_o_conv": "out",
}


def has_layout(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of such a model."""
    return "generator.gen_z.weight_orig" in state


def generator(state: Mapping[str, Tensor], truncation: float) -> Generator:
    """Our generator with the weights of theirs, and its statistics for a truncation from 0 to 1.

    Raises UserError for another truncation, KeyError and RuntimeError for tensors that do not fit.
    """
    if not 0 <= truncation <= 1:
        raise UserError(f"a truncation of {truncation:g} has no statistics in this model: give one from 0 to 1")
    ours = _renamed(_divided(_plain(state, truncation)))
    built = Generator(_architecture(ours))
    for layer in spectral_layers(built):
        layer.folded = True
    kept = {name: value for name, value in built.state_dict().items() if name.endswith((".u", ".sigma"))}
    built.load_state_dict({**kept, **_reordered(ours, built)})
    return built.requires_grad_(False).eval()


def _plain(state: Mapping[str, Tensor], truncation: float) -> dict[str, Tensor]:
    """All tensors, of the tables of statistics the row of this truncation, or the mean of the two about it."""
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        if not name.endswith(("running_means", "running_vars")):
            plain[name] = value
            continue
        place = truncation * (len(value) - 1)
        below = min(int(place + 1e-9), len(value) - 2)
        plain[name] = value[below].lerp(value[below + 1], place - below)
    return plain


def _divided(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """X.weight_orig, X.weight_u and X.weight_v become X.weight."""
    divided = {name: value for name, value in state.items() if not re.search(r"\.weight_(orig|u|v)$", name)}
    for name, weight in state.items():
        if name.endswith("_orig"):
            stem = name.removesuffix("_orig")
            sigma = state[f"{stem}_u"].dot(weight.flatten(1).mv(state[f"{stem}_v"]))
            divided[stem] = weight / sigma
    return divided


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    attention = {int(m[1]) for m in map(LAYER.fullmatch, state) if m and m[2] == "gamma"}
    return {_our_name(name, attention): value for name, value in state.items()}


def _our_name(name: str, attention: set[int]) -> str:
    if match := LAYER.fullmatch(name):
        layer, rest = int(match[1]), match[2]
        block = layer - sum(other < layer for other in attention)
        name = f"attention.{block - 1}.{rest}" if layer in attention else f"blocks.{block}.{rest}"
    for theirs, ours in ATTENTION.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    name = re.sub(r"\.(bn|conv)_(\d)\.", lambda m: f".{'norm' if m[1] == 'bn' else 'conv'}{int(m[2]) + 1}.", name)
    name = name.replace("running_means", "running_mean").replace("running_vars", "running_var")
    name = name.replace(".scale.", ".gain.").replace(".offset.", ".bias.")
    name = name.replace("embeddings.", "embedding.").replace("generator.gen_z.", "linear.")
    return name.replace("generator.bn.", "norm.").replace("generator.conv_to_rgb.", "to_image.")


def _architecture(ours: Mapping[str, Tensor]) -> Architecture:
    blocks = 1 + max(int(name.split(".")[1]) for name in ours if name.startswith("blocks."))
    resolution = SMALLEST_SIDE * 2 ** (blocks // 2)
    attended = {int(name.split(".")[1]) for name in ours if name.startswith("attention.")}
    embedding = ours["embedding.weight"]  # (width, classes)
    return Architecture(
        resolution=resolution,
        num_classes=embedding.shape[1],
        ch=ours["to_image.weight"].shape[1] // GENERATOR[resolution][-1],
        deep=True,
        attention=tuple(sorted(8 * 2 ** (block // 2) for block in attended)),
        dim_z=ours["linear.weight"].shape[1] - embedding.shape[0],
        shared_dim=embedding.shape[0],
        norm_eps=EPS,
    )


def _reordered(ours: Mapping[str, Tensor], built: Generator) -> dict[str, Tensor]:
    """The same tensors in the order of our channels and conditions."""
    done = dict(ours)
    done["embedding.weight"] = ours["embedding.weight"].t()
    for name in ("to_image.weight", "to_image.bias"):
        done[name] = ours[name][: built.architecture.channels]
    for name, value in ours.items():
        if re.search(r"\.(gain|bias)\.weight$", name) or name == "linear.weight":
            done[name] = cat([value[:, built.dim_z :], value[:, : built.dim_z]], 1)  # class first
        elif name.endswith(".gamma"):
            done[name] = value.squeeze()
    for name in ("linear.weight", "linear.bias"):  # rows (4, 4, C) -> (C, 4, 4)
        rows = done[name].unflatten(0, (SMALLEST_SIDE, SMALLEST_SIDE, -1))
        done[name] = rows.movedim(2, 0).flatten(0, 2)
    return done
