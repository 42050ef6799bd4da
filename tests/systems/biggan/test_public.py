"""Generators that others published: files that fit and files that do not, and the TF-Hub models' formula."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from daybreak.engine.errors import UserError
from daybreak.systems.biggan.model import Generator
from daybreak.systems.biggan.model.public import read_generator

CH, Z, CLASSES, STATISTICS, ATTENDED = 8, 6, 4, 51, 8
WIDTHS = (16, 16, 8, 4, 2, 1)
LAYERS = [
    (before * CH, outputs * CH) for before, after in pairwise(WIDTHS) for outputs in (before, after)
]  # two blocks a stage
"""A model of the layout of biggan-deep-128, but narrower: two blocks a stage, the second of which enlarges."""


# ----------------------------------------------------------------------------- tensors as TF-Hub's conversion has them


def spectral(state: dict[str, Tensor], name: str, *shape: int, bias: bool) -> None:
    weight = torch.randn(*shape)
    v = F.normalize(torch.randn(shape[0]) @ weight.flatten(1), dim=0)
    u = F.normalize(weight.flatten(1) @ v, dim=0)  # as after one step of the power iteration: far from its end
    if bias:
        state[f"{name}.bias"] = torch.randn(shape[0]) * 0.1
    state |= {f"{name}.weight_orig": weight, f"{name}.weight_u": u, f"{name}.weight_v": v}


def norm(state: dict[str, Tensor], name: str, channels: int, conditional: bool = True) -> None:
    state[f"{name}.running_means"] = torch.randn(STATISTICS, channels) * 0.2
    state[f"{name}.running_vars"] = torch.rand(STATISTICS, channels) + 0.5
    if conditional:
        for part in ("scale", "offset"):
            spectral(state, f"{name}.{part}", channels, 2 * Z, bias=False)
    else:
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.rand(channels), torch.randn(channels)


@pytest.fixture
def hub() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = {"embeddings.weight": torch.randn(Z, CLASSES)}
    spectral(state, "generator.gen_z", 16 * 16 * CH, 2 * Z, bias=True)
    for i, (inputs, outputs) in enumerate(LAYERS):
        name, hidden = f"generator.layers.{i + (i >= ATTENDED)}", inputs // 4
        for j, (before, after, kernel) in enumerate(
            [(inputs, hidden, 1), (hidden, hidden, 3), (hidden, hidden, 3), (hidden, outputs, 1)]
        ):
            norm(state, f"{name}.bn_{j}", before)
            spectral(state, f"{name}.conv_{j}", after, before, kernel, kernel, bias=True)
    attention, width = f"generator.layers.{ATTENDED}", LAYERS[ATTENDED][0]
    for part, outputs in (("theta", width // 8), ("phi", width // 8), ("g", width // 2)):
        spectral(state, f"{attention}.snconv1x1_{part}", outputs, width, 1, 1, bias=False)
    spectral(state, f"{attention}.snconv1x1_o_conv", width, width // 2, 1, 1, bias=False)
    state[f"{attention}.gamma"] = torch.tensor([0.8])
    norm(state, "generator.bn", CH, conditional=False)
    spectral(state, "generator.conv_to_rgb", CH, CH, 3, 3, bias=True)
    return state


# ----------------------------------------------------------------------------- what they compute, by the formula


class Reference:
    """The published generator, tensor by tensor."""

    def __init__(self, state: dict[str, Tensor], row: float) -> None:
        self.state, self.row = state, row

    def weight(self, name: str) -> Tensor:
        weight, u, v = (self.state[f"{name}.weight_{part}"] for part in ("orig", "u", "v"))
        return weight / (u @ weight.flatten(1) @ v)

    def norm(self, name: str, x: Tensor, condition: Tensor | None) -> Tensor:
        low, share = int(self.row), self.row % 1
        mean, var = (
            (1 - share) * self.state[f"{name}.{table}"][low]
            + (share * self.state[f"{name}.{table}"][low + 1] if share else 0)
            for table in ("running_means", "running_vars")
        )
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-4).sqrt()
        if condition is None:
            return x * self.state[f"{name}.weight"][:, None, None] + self.state[f"{name}.bias"][:, None, None]
        scale, offset = (
            (condition @ self.weight(f"{name}.{part}").t())[..., None, None] for part in ("scale", "offset")
        )
        return x * (1 + scale) + offset

    def conv(self, name: str, x: Tensor) -> Tensor:
        weight = self.weight(name)
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), padding=weight.shape[2] // 2)

    def block(self, name: str, x: Tensor, condition: Tensor, outputs: int, enlarge: bool) -> Tensor:
        h = x
        for j in range(4):
            h = F.relu(self.norm(f"{name}.bn_{j}", h, condition))
            h = self.conv(f"{name}.conv_{j}", F.interpolate(h, scale_factor=2) if j == 1 and enlarge else h)
        x = x[:, :outputs]
        return h + (F.interpolate(x, scale_factor=2) if enlarge else x)

    def attention(self, name: str, x: Tensor) -> Tensor:
        theta, phi, g = (self.conv(f"{name}.snconv1x1_{part}", x) for part in ("theta", "phi", "g"))
        phi, g = F.max_pool2d(phi, 2).flatten(2), F.max_pool2d(g, 2).flatten(2)
        weights = torch.softmax(theta.flatten(2).transpose(1, 2) @ phi, 2)
        found = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.state[f"{name}.gamma"] * self.conv(f"{name}.snconv1x1_o_conv", found)

    def __call__(self, z: Tensor, labels: Tensor) -> Tensor:
        condition = torch.cat([z, self.state["embeddings.weight"].t()[labels]], 1)
        h = condition @ self.weight("generator.gen_z").t() + self.state["generator.gen_z.bias"]
        h = h.view(-1, 4, 4, 16 * CH).permute(0, 3, 1, 2)
        for i, (_, outputs) in enumerate(LAYERS):
            if i == ATTENDED:
                h = self.attention(f"generator.layers.{i}", h)
            h = self.block(f"generator.layers.{i + (i >= ATTENDED)}", h, condition, outputs, enlarge=i % 2 == 1)
        h = F.relu(self.norm("generator.bn", h, None))
        return torch.tanh(self.conv("generator.conv_to_rgb", h)[:, :3])


@pytest.mark.parametrize(("truncation", "row"), [(0.2, 10), (0.5, 25), (1.0, 50), (0.33, 16.5)])
def test_a_generator_of_tf_hub_gives_its_images(
    hub: dict[str, Tensor], truncation: float, row: float, tmp_path: Path
) -> None:
    save_file(hub, tmp_path / "model.safetensors")
    generator = read_generator(tmp_path / "model.safetensors", truncation)
    shape = generator.architecture
    assert (shape.resolution, shape.ch, shape.num_classes, shape.attention) == (128, CH, CLASSES, (64,))
    z, labels = truncation * torch.randn(2, Z), torch.tensor([3, 1])
    expected = Reference(hub, row)(z, labels)
    assert float(expected.std()) > 0.1
    assert float((generator(z, labels) - expected).abs().max()) < 1e-5


def test_a_truncation_without_statistics_is_refused(hub: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(hub, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"truncation of 1.5 .* from 0 to 1"):
        read_generator(tmp_path / "model.safetensors", 1.5)


# ----------------------------------------------------------------------------- files that are no generator


def test_a_pickled_file_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"G_ema\.pth is a pickle.*safetensors"):
        read_generator(tmp_path / "G_ema.pth")


def test_a_missing_or_damaged_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*G\.safetensors"):
        read_generator(tmp_path / "G.safetensors")
    (tmp_path / "G.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_generator(tmp_path / "G.safetensors")


@pytest.mark.parametrize(
    "state",
    [
        {"a": torch.zeros(1)},
        {"shared.weight": torch.zeros(3, 4)},
        {"shared.weight": torch.zeros(3, 4), "generator.gen_z.weight_orig": torch.zeros(3, 4)},
    ],
)
def test_tensors_of_another_network_are_refused_in_one_sentence(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="holds no generator in a layout that daybreak reads") as mistake:
        read_generator(tmp_path / "other.safetensors")
    assert "\n" not in str(mistake.value)


def test_a_generator_of_ours_is_not_taken_for_theirs(tmp_path: Path) -> None:
    from daybreak.systems.biggan.model import Architecture

    generator = Generator(Architecture(resolution=8, num_classes=2, ch=2, dim_z=4, shared_dim=2))
    save_file(generator.state_dict(), tmp_path / "ours.safetensors")
    with pytest.raises(UserError, match="holds no generator"):
        read_generator(tmp_path / "ours.safetensors")
