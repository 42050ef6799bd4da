"""The networks: shapes, spectral norm, batch norms, attention, resampling, in both formats and precisions."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daybreak.nn.winograd import pays
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.model import (
    Architecture,
    Discriminator,
    Generator,
    architecture,
    begin,
    fold,
    standing_statistics,
)
from daybreak.systems.biggan.model.attention import Attention
from daybreak.systems.biggan.model.blocks import GeneratorBlock
from daybreak.systems.biggan.model.layout import GENERATOR
from daybreak.systems.biggan.model.norm import MOMENTUM, BatchNorm, ConditionalNorm
from daybreak.systems.biggan.model.resample import RESAMPLED, RESAMPLED_PLAINLY, Resample
from daybreak.systems.biggan.model.spectral import SpectralConv2d, SpectralLinear, as_matrix, spectral_layers

SMALL = Architecture(resolution=16, channels=1, num_classes=5, ch=4, dim_z=9, shared_dim=6, attention=(8,))
CHANNELS_LAST: Any = {"memory_format": torch.channels_last}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def drawn(generator: Generator, count: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(count, generator.dim_z), torch.arange(count) % generator.architecture.num_classes


def first_block(generator: Generator) -> GeneratorBlock:
    block = generator.blocks[0]
    assert isinstance(block, GeneratorBlock)
    return block


# ----------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("resolution", list(GENERATOR))
def test_every_resolution_gives_images_of_its_size_and_a_logit_for_each(
    resolution: int, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which the meta device has not
    shape = Architecture(
        resolution=resolution, num_classes=3, ch=8, deep=deep, dim_z=16, shared_dim=4, attention=(8, resolution)
    )
    with torch.device("meta"):  # shapes without numbers
        generator, discriminator = Generator(shape), Discriminator(shape)
        images = generator(torch.empty(2, generator.dim_z), torch.empty(2, dtype=torch.int64))
        logits = discriminator(images, torch.empty(2, dtype=torch.int64))
    assert images.shape == (2, 3, resolution, resolution)
    assert logits.shape == (2,)


@pytest.mark.parametrize(("deep", "ch", "dim_z", "millions"), [(False, 96, 120, 70.4), (True, 128, 128, 50.2)])
def test_the_generators_for_imagenet_are_as_large_as_the_authors(
    deep: bool, ch: int, dim_z: int, millions: float
) -> None:
    shape = Architecture(
        resolution=128, num_classes=1000, ch=ch, deep=deep, dim_z=dim_z, shared_dim=128, attention=(64,)
    )
    with torch.device("meta"):
        count = sum(p.numel() for p in Generator(shape).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_a_latent_that_cannot_be_parted_equally_loses_its_remainder() -> None:
    assert Generator(SMALL).dim_z == 9
    assert Generator(replace(SMALL, dim_z=11)).dim_z == 9
    assert Generator(replace(SMALL, dim_z=11, hier=False)).dim_z == 11


def test_each_block_sees_its_own_part_of_the_latent() -> None:
    generator = Generator(SMALL).eval()
    seen: list[Tensor] = []
    for block in generator.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[1]))
    z, labels = drawn(generator)
    generator(z, labels)
    assert generator.embedding is not None
    for i, condition in enumerate(seen, start=1):
        assert torch.equal(condition[:, :6], generator.embedding(labels))
        assert torch.equal(condition[:, 6:], z[:, 3 * i : 3 * i + 3])


@pytest.mark.parametrize("deep", [False, True])
def test_both_networks_heed_the_label(deep: bool) -> None:
    shape = replace(SMALL, deep=deep)
    generator, discriminator = Generator(shape).eval(), Discriminator(shape).eval()
    z, labels = drawn(generator)
    other = (labels + 1) % 5
    images = generator(z, labels)
    assert float((generator(z, other) - images).detach().abs().amax((1, 2, 3)).min()) > 1e-3
    assert float((discriminator(images, other) - discriminator(images, labels)).detach().abs().min()) > 1e-3


def test_the_networks_of_a_config_are_as_it_says() -> None:
    config = Config(resolution=32, ch=6, model="biggan-deep", depth=3, attention=(16,), dim_z=20, shared_dim=10)
    shape = architecture(config, channels=1, num_classes=7)
    generator = Generator(shape)
    assert len(generator.blocks) == 9 and generator.dim_z == 20
    assert generator.embedding is not None and generator.embedding.weight.shape == (7, 10)
    assert [i for i, layer in enumerate(generator.attention) if isinstance(layer, Attention)] == [5]


def test_first_weights_are_orthogonal_or_small() -> None:
    generator = Generator(SMALL)
    begin(generator, "orthogonal")
    rows = as_matrix(generator.to_image.weight.detach())
    assert torch.allclose(rows @ rows.t(), torch.eye(len(rows)), atol=1e-5)
    begin(generator, "normal")
    assert float(first_block(generator).conv1.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


# ----------------------------------------------------------------------------- resampling


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("resample", ["up", "down", "none"])
def test_resampling_convolutions_equal_their_plain_form_gradients_included(resample: Resample, kernel: int) -> None:
    x = torch.randn(2, 5, 6, 10, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 5, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    ours, plainly = (form[resample, kernel](x, weight, bias) for form in (RESAMPLED, RESAMPLED_PLAINLY))
    assert torch.allclose(ours, plainly, rtol=0, atol=1e-12)
    towards = torch.randn_like(ours)
    gradients = [torch.autograd.grad(form, (x, weight, bias), towards) for form in (ours, plainly)]
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("resample", ["up", "down", "none"])
def test_wide_layers_take_winograds_way_to_the_same_result(resample: Resample) -> None:
    x = torch.randn(2, 128, 6, 6).contiguous(**CHANNELS_LAST).requires_grad_()
    weight, bias = torch.randn(128, 128, 3, 3) / 34, torch.randn(128)
    assert pays(x, weight)
    ours, plainly = (form[resample, 3](x, weight, bias) for form in (RESAMPLED, RESAMPLED_PLAINLY))
    assert "Winograd" in names_of_graph(ours) and "Winograd" not in names_of_graph(plainly)
    assert torch.allclose(ours, plainly, atol=1e-4)


def names_of_graph(out: Tensor) -> str:
    nodes, names = [out.grad_fn], ""
    while nodes:
        if node := nodes.pop():
            names += node.name()
            nodes += [following for following, _ in node.next_functions]
    return names


# ----------------------------------------------------------------------------- spectral norm


@pytest.mark.parametrize("layer", [SpectralConv2d(SMALL, 5, 8, 3), SpectralLinear(SMALL, 12, 7)])
def test_a_trained_layer_has_a_largest_singular_value_of_one(layer: Any) -> None:
    x = torch.randn(2, 5, 4, 4) if isinstance(layer, nn.Conv2d) else torch.randn(2, 12)
    with torch.no_grad():
        layer.weight.mul_(3)
        for _ in range(300):
            layer(x)
        largest = torch.linalg.matrix_norm(as_matrix(layer.weight), 2)
        assert float(layer.sigma) == pytest.approx(float(largest), rel=1e-3)
        assert float(torch.linalg.matrix_norm(as_matrix(layer.divided()), 2)) == pytest.approx(1, rel=1e-3)


def test_evaluation_moves_no_vector_and_training_does_even_without_gradients() -> None:
    layer = SpectralLinear(SMALL, 12, 7).eval()
    x, before = torch.randn(2, 12), layer.u.clone()
    first = layer(x)
    assert torch.equal(layer(x), first) and torch.equal(layer.u, before)
    with torch.no_grad():
        layer.train()(x)
    assert not torch.equal(layer.u, before)


def test_the_power_iteration_is_in_fp32_under_autocast() -> None:
    layer = SpectralConv2d(SMALL, 5, 8, 3).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer.divided()
    assert inside.dtype == torch.float32 and torch.equal(inside, layer.divided())


@pytest.mark.parametrize("deep", [False, True])
def test_folded_networks_give_the_same_images_and_need_no_iteration(deep: bool) -> None:
    generator = Generator(replace(SMALL, deep=deep)).eval()
    z, labels = drawn(generator)
    before = generator(z, labels)
    folded = fold(generator)
    assert torch.allclose(folded(z, labels), before, atol=1e-5)
    for layer in spectral_layers(folded):
        layer.u.fill_(float("nan"))
    assert torch.isfinite(folded(z, labels)).all()


# ----------------------------------------------------------------------------- batch norm


def test_a_conditional_norm_gives_each_image_its_own_gain_and_bias() -> None:
    norm = ConditionalNorm(SMALL, 3, 6)
    x, condition = torch.randn(4, 3, 5, 5) * 3 + 2, torch.randn(4, 6)
    gain, bias = (layer.eval()(condition)[:, :, None, None] for layer in (norm.gain, norm.bias))
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (var + 1e-5).sqrt() * (1 + gain) + bias
    assert torch.allclose(norm(x, condition), expected, atol=1e-5)
    assert torch.allclose(norm.running_mean, MOMENTUM * mean.flatten(), atol=1e-6)
    expected_var = (1 - MOMENTUM) + MOMENTUM * x.var((0, 2, 3))
    assert torch.allclose(norm.running_var, expected_var, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_statistics_of_bf16_images_are_reckoned_in_fp32(memory_format: torch.memory_format) -> None:
    norm = BatchNorm(SMALL, 3, 1e-5)
    x = (torch.randn(8, 3, 16, 16) * 0.1 + 10).bfloat16().contiguous(memory_format=memory_format)
    out = norm.normalise(x)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(norm.running_mean, MOMENTUM * x.float().mean((0, 2, 3)), rtol=1e-5)
    variance = (1 - MOMENTUM) + MOMENTUM * x.float().var((0, 2, 3))
    assert torch.allclose(norm.running_var, variance, rtol=1e-4)


def test_a_label_is_enough_for_a_norm_without_shared_embedding() -> None:
    shape = replace(SMALL, shared_dim=0, hier=False)
    generator = Generator(shape)
    assert generator.embedding is None
    z, labels = drawn(generator)
    assert generator(z, labels).shape == (4, 1, 16, 16)
    assert first_block(generator).norm1.gain.weight.shape == (5, 16)


def test_standing_statistics_are_the_mean_over_the_batches() -> None:
    generator = Generator(SMALL)
    norm = first_block(generator).norm1
    batches = [drawn(generator, 8) for _ in range(3)]
    seen: list[Tensor] = []
    norm.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].mean((0, 2, 3))))
    norm.running_mean.fill_(1e6)
    standing_statistics(generator, batches)
    assert torch.allclose(norm.running_mean, torch.stack(seen).mean(0), atol=1e-5)
    assert norm.momentum == MOMENTUM and not generator.training


# ----------------------------------------------------------------------------- attention


def attended(layer: Attention, x: Tensor) -> Tensor:
    """The formula of SAGAN, place by place."""
    query, key, value = (F.conv2d(x, part.divided()) for part in (layer.query, layer.key, layer.value))
    key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
    energy = torch.einsum("bcij,bckl->bijkl", query, key).flatten(3)
    weights = torch.softmax(energy, 3)
    found = torch.einsum("bijn,bcn->bcij", weights, value.flatten(2))
    return x + layer.gamma * F.conv2d(found, layer.out.divided())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_attention_is_that_of_the_paper_in_either_memory_format(memory_format: Any) -> None:
    layer = Attention(SMALL, 16).eval().to(memory_format=memory_format)
    x = torch.randn(2, 16, 6, 8).contiguous(memory_format=memory_format)
    assert torch.equal(layer(x), x), "it begins by adding nothing"
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    out = layer(x)
    assert torch.allclose(out, attended(layer, x), atol=1e-5)
    assert out.is_contiguous(memory_format=memory_format)


# ----------------------------------------------------------------------------- formats and precisions


@pytest.mark.parametrize("deep", [False, True])
def test_channels_last_changes_nothing_and_stays(deep: bool) -> None:
    generator, discriminator = Generator(replace(SMALL, deep=deep)), Discriminator(replace(SMALL, deep=deep))
    generator.eval()
    discriminator.eval()
    z, labels = drawn(generator)
    images = generator(z, labels)
    logits = discriminator(images, labels)
    for network in (generator, discriminator):
        network.to(**CHANNELS_LAST)
    last_input: list[Tensor] = []
    generator.to_image.register_forward_pre_hook(lambda _module, inputs: last_input.append(inputs[0]))
    there = generator(z, labels)
    assert last_input[0].is_contiguous(**CHANNELS_LAST)
    assert torch.allclose(there, images, atol=1e-5)
    assert torch.allclose(discriminator(there, labels), logits, atol=1e-4)


@torch.no_grad()
def test_bf16_is_near_fp32_and_gives_fp32_images_and_logits() -> None:
    generator, discriminator = Generator(SMALL).eval(), Discriminator(SMALL).eval()
    begin(generator, "orthogonal")
    begin(discriminator, "orthogonal")
    z, labels = drawn(generator, 16)
    images = generator(z, labels)
    logits = discriminator(images, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = generator(z, labels)
        rough_logits = discriminator(images, labels)
    assert rough.dtype == rough_logits.dtype == torch.float32
    assert float((rough - images).abs().mean()) < 0.02 < float(images.abs().mean())
    assert float((rough_logits - logits).abs().max()) < 0.03 * float(logits.abs().max())
