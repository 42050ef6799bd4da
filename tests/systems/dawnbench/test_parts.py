"""Each part of the fast recipe by itself: against the formula, torch's own, or what it must leave as it is."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad
from torchvision.transforms.v2.functional import resize as torchvision_resize

from daybreak.engine.config import RunConfig
from daybreak.engine.errors import UserError
from daybreak.engine.run import Run
from daybreak.systems.dawnbench.parts import (
    SAM,
    BlurPool,
    GhostBatchNorm2d,
    dirac_,
    hardest,
    progressive_size,
    resize,
    views,
    whitening_filters,
)

close = torch.testing.assert_close


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# ----------------------------------------------------------------------------- whitening


def smooth_images(count: int = 700) -> Tensor:
    """Bytes (count, 3, 9, 8) whose neighbours and channels are correlated, as those of photographs."""
    noise = torch.randn(count, 3, 11, 10)
    mixed = torch.einsum("dc,bchw->bdhw", torch.tensor([[1.0, 0.8, 0.5], [0.0, 0.5, 0.4], [0.0, 0.0, 0.3]]), noise)
    smooth = torch.nn.functional.avg_pool2d(mixed, 3, stride=1)
    return (smooth * 120 + 128).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("kernel", [2, 3])
def test_what_a_whitening_layer_puts_out_is_uncorrelated_and_of_variance_one(kernel: int) -> None:
    images = smooth_images()
    filters = whitening_filters(images, kernel, eps=0.0)
    half = 3 * kernel**2
    assert filters.shape == (2 * half, 3, kernel, kernel) and filters.dtype == torch.float32
    outputs = conv2d(images.double(), filters[:half].double()).transpose(0, 1).flatten(1)  # (filters, places)
    close(torch.from_numpy(np.cov(outputs.numpy(), bias=True)), torch.eye(half).double(), rtol=0, atol=1e-4)
    assert torch.equal(filters[half:], -filters[:half])


def test_whitening_filters_are_in_the_units_of_the_images() -> None:
    images = smooth_images(100)
    filters = whitening_filters(images)
    assert torch.equal(whitening_filters(images.float()), filters)
    close(whitening_filters(images.float() / 64), 64 * filters)
    close(whitening_filters(images.float() - 120), filters)


def test_eps_bounds_what_a_whitening_layer_amplifies() -> None:
    images = (smooth_images(100).float() - 128) / 60
    images[:, 2] = images[:, 1]  # a direction without variance
    mean_variance = images.var((0, 2, 3)).mean()
    largest = whitening_filters(images, eps=0.01).flatten(1).norm(dim=1).max()
    assert largest == pytest.approx(float((0.01 * mean_variance) ** -0.5), rel=0.05)


# ----------------------------------------------------------------------------- identity


def test_the_first_filters_hand_their_input_through_and_the_others_stay_random() -> None:
    conv = nn.Conv2d(4, 10, 3, padding=1, bias=False)
    before = conv.weight.detach().clone()
    assert dirac_(conv.weight) is conv.weight and conv.weight.requires_grad
    images = torch.randn(2, 4, 5, 6)
    close(conv(images)[:, :4], images)
    assert torch.equal(conv.weight[4:], before[4:])


def test_fewer_filters_than_inputs_hand_through_as_many_as_there_are() -> None:
    conv = nn.Conv2d(4, 3, 3, padding=1, bias=False)
    dirac_(conv.weight)
    images = torch.randn(2, 4, 5, 6)
    close(conv(images), images[:, :3])


# ----------------------------------------------------------------------------- ghost batch norm


def norms(ghost: int) -> tuple[GhostBatchNorm2d, nn.BatchNorm2d]:
    """Ours and torch's, with the same random scale and bias."""
    ours, theirs = GhostBatchNorm2d(5, ghost, momentum=0.3), nn.BatchNorm2d(5, momentum=0.3)
    nn.init.normal_(theirs.weight), nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def gradients(output: Tensor, images: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(output.sin().sum(), [images, *module.parameters()]))


@pytest.mark.parametrize("ghost", [8, 100])
def test_ghost_batch_norm_of_the_whole_batch_is_batch_norm(ghost: int) -> None:
    ours, theirs = norms(ghost)
    for _ in range(3):
        images = torch.randn(8, 5, 4, 3).mul(3).add(1).requires_grad_()
        mine, his = ours(images), theirs(images)
        close(mine, his)
        for a, b in zip(gradients(mine, images, ours), gradients(his, images, theirs), strict=True):
            close(a, b)
    close(dict(ours.state_dict()), dict(theirs.state_dict()))


def test_each_virtual_batch_is_normalised_by_itself() -> None:
    ours, theirs = norms(4)
    images = torch.randn(10, 5, 4, 3) * torch.arange(1.0, 11.0)[:, None, None, None]
    images.requires_grad_()
    mine, his = ours(images), torch.cat([theirs(part) for part in images.split([4, 3, 3])])
    close(mine, his)
    for a, b in zip(gradients(mine, images, ours), gradients(his, images, theirs), strict=True):
        close(a, b)


@pytest.mark.parametrize(("batch", "ghost"), [(12, 4), (10, 4), (7, 1)])
def test_running_statistics_are_those_of_the_whole_batch_whatever_the_virtual_one(batch: int, ghost: int) -> None:
    ours, theirs = norms(ghost)
    for _ in range(4):
        images = torch.randn(batch, 5, 4, 3) + 5 * torch.randn(batch, 1, 1, 1)  # virtual batches differ in their means
        ours(images), theirs(images)
    close(dict(ours.state_dict()), dict(theirs.state_dict()))
    close(ours.eval()(images), theirs.eval()(images))


def test_under_autocast_type_and_memory_format_stay_and_statistics_are_not_rounded() -> None:
    images = torch.randn(6, 5, 4, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    ours, theirs = norms(2)
    with torch.autocast("cpu", torch.bfloat16):
        output = ours(images)
    theirs(images.float())
    assert output.dtype == torch.bfloat16 and output.is_contiguous(memory_format=torch.channels_last)
    close(dict(ours.state_dict()), dict(theirs.state_dict()))


def test_a_frozen_scale_stays_one_while_the_bias_is_trained() -> None:
    norm = GhostBatchNorm2d(5, 4, scale=False)
    norm(torch.randn(8, 5, 3, 3)).sin().sum().backward()
    assert norm.weight.grad is None and torch.equal(norm.weight, torch.ones(5))
    assert norm.bias.grad is not None and norm.bias.grad.abs().min() > 0


# ----------------------------------------------------------------------------- blur pool


@pytest.mark.parametrize("side", [3, 4, 7, 32])
def test_blur_pool_is_a_dense_maximum_a_binomial_blur_and_every_other_pixel(side: int) -> None:
    images = torch.randn(2, 5, side, side + 1)
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(5, 1, 3, 3)
    dense = pad(max_pool2d(images, 2, stride=1), [1] * 4, mode="reflect")
    close(BlurPool()(images), conv2d(dense, kernel, groups=5)[:, :, ::2, ::2])
    assert BlurPool()(images).shape == max_pool2d(images, 2).shape


def test_blur_pool_hardly_sees_a_shift_that_max_pooling_turns_into_another_picture() -> None:
    stripes = torch.tensor([0.0, 0.0, 1.0, 1.0] * 3).expand(1, 1, 6, 12)  # the example of Zhang's figure 3
    pooled = [BlurPool()(stripes.roll(shift, 3))[0, 0, 1, 1:5].tolist() for shift in (0, 1)]
    assert pooled == [[1.0, 0.5, 1.0, 0.5], [0.75, 0.75, 0.75, 0.75]]


def test_the_gradient_of_blur_pool_is_right() -> None:
    images = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(BlurPool(), images)


# ----------------------------------------------------------------------------- sharpness-aware minimisation


class Bowl(nn.Module):
    """Half the sum of curvature times position squared."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
        self.unused = nn.Parameter(torch.ones(2))
        self.curvature = torch.tensor([1.0, 10.0, 100.0])

    def forward(self) -> Tensor:
        return 0.5 * (self.curvature * self.position**2).sum()


def test_a_run_with_sam_steps_from_its_weights_with_the_gradient_found_uphill(tmp_path: Path) -> None:
    bowl, expected = Bowl(), Bowl().position.detach()
    optimizer = torch.optim.SGD(bowl.parameters(), 0.01)
    sam = SAM(optimizer, rho=0.1)
    with Run(RunConfig(out=str(tmp_path / "run"), device="cpu", steps=5)) as run:
        for _ in run.steps(bowl=bowl, optimizer=optimizer):
            sam.perturb(bowl())
            run.update(optimizer, bowl())
            uphill = bowl.curvature * expected
            uphill = expected + 0.1 * uphill / uphill.norm()
            expected = expected - 0.01 * bowl.curvature * uphill
            close(bowl.position.detach(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_restored_weights_are_the_same_bits(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3)).to(dtype)
    net[0].to(memory_format=torch.channels_last)
    before = copy.deepcopy(net.state_dict())
    sam = SAM(torch.optim.SGD(net.parameters(), 0.1), rho=0.3)
    sam.perturb(net(torch.randn(2, 3, 4, 4, dtype=dtype)).square().sum())
    moved = [(value - before[name]).float().norm() for name, value in net.state_dict().items()]
    assert float(torch.stack(moved).norm()) == pytest.approx(0.3, rel=0.02)
    assert all(p.grad is None for p in net.parameters()), "left for the next backward to add to"
    sam.restore()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    sam.restore()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_both_passes_may_share_an_autocast_region() -> None:
    net, images = nn.Linear(4, 4), torch.randn(3, 4)
    sam = SAM(torch.optim.SGD(net.parameters(), 0.1), rho=5.0)
    with torch.autocast("cpu", torch.bfloat16):
        at_first = net(images)
        sam.perturb(at_first.square().sum())
        uphill = net(images)
        sam.restore()
        again = net(images)
    assert torch.equal(again, at_first) and (uphill - at_first).abs().max() > 1


def test_perturbing_twice_is_refused_since_the_weights_before_would_be_lost() -> None:
    bowl = Bowl()
    sam = SAM(torch.optim.SGD(bowl.parameters(), 0.1))
    sam.perturb(bowl())
    with pytest.raises(RuntimeError, match="perturbed already"):
        sam.perturb(bowl())


# ----------------------------------------------------------------------------- selective backprop


def test_images_are_taken_in_proportion_to_a_power_of_their_losses_percentile() -> None:
    losses = torch.tensor([3.0, 0.1, 9.0, 0.2])  # ranks 2, 0, 3, 1
    draws = torch.cat([hardest(losses, 0.25) for _ in range(4000)])
    wanted = torch.tensor([2.5, 0.5, 3.5, 1.5]) ** 3
    close(draws.bincount(minlength=4) / 4000, wanted / wanted.sum(), rtol=0, atol=0.03)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.77, 1.0])
def test_the_same_number_of_different_images_is_taken_every_time(keep: float) -> None:
    losses = torch.rand(40)
    draws = [hardest(losses, keep) for _ in range(50)]
    assert all(len(chosen) == round(40 * keep) and (chosen[1:] > chosen[:-1]).all() for chosen in draws)
    gain = losses[torch.cat(draws)].mean() - losses.mean()
    assert gain > 0.02 if keep < 1 else abs(gain) < 1e-6


# ----------------------------------------------------------------------------- sizes


def test_images_grow_in_stages_from_small_to_full() -> None:
    size = progressive_size(224, 128, 10, delay=0.2, finish=0.2)
    assert [size(done) for done in range(11)] == [128, 128, 128, 128, 160, 160, 192, 192, 224, 224, 224]


@pytest.mark.parametrize(("full", "smallest", "multiple"), [(224, 96, 32), (32, 16, 4), (64, 64, 8)])
@pytest.mark.parametrize(("delay", "finish"), [(0.0, 0.1), (0.5, 0.5), (0.3, 0.2)])
def test_sizes_never_fall_and_end_full(full: int, smallest: int, multiple: int, delay: float, finish: float) -> None:
    size = progressive_size(full, smallest, 200, multiple=multiple, delay=delay, finish=finish)
    sizes = [size(done) for done in range(200)]
    assert sizes == sorted(sizes) and sizes[0] == smallest and not any(side % multiple for side in sizes)
    assert sizes.count(full) == (round(200 * finish) if smallest < full else 200)


@pytest.mark.parametrize(("full", "smallest"), [(128, 160), (224, 100), (230, 128), (64, 0)])
def test_sizes_that_make_no_stages_are_refused(full: int, smallest: int) -> None:
    with pytest.raises(UserError, match=f"from {smallest} to {full}"):
        progressive_size(full, smallest, 10)


@pytest.mark.parametrize(("size", "side", "wanted"), [((40, 40), 16, [16, 16]), ((24, 36), 16, [16, 24])])
def test_resizing_is_that_of_torchvision(size: tuple[int, int], side: int, wanted: list[int]) -> None:
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    ours, theirs = resize(images, side), torchvision_resize(images, wanted, antialias=True)
    assert ours.dtype == torch.uint8 and list(ours.shape[2:]) == wanted
    assert (ours.int() - theirs.int()).abs().max() <= 1
    assert ours.is_contiguous(memory_format=torch.channels_last)
    close(resize(images.float(), side), ours.float(), rtol=0, atol=0.51)
    assert resize(images, min(size)) is images


def test_a_fine_pattern_shrinks_to_its_mean_colour() -> None:
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 200.0
    assert (resize(checks.expand(1, 3, 32, 32), 8)[:, :, 1:-1, 1:-1] - 100).abs().max() < 1


# ----------------------------------------------------------------------------- test-time views


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_six_views_have_the_weights_of_the_recipe(dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (2, 3, 5, 4)).to(dtype)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect").astype(np.float32)
    mean = 0.25 * padded[:, :, 1:6, 1:5] + 0.125 * padded[:, :, 0:5, 0:4] + 0.125 * padded[:, :, 2:7, 2:6]
    mean = mean + mean[:, :, :, ::-1]
    seen: list[Tensor] = []

    def model(view: Tensor) -> Tensor:
        seen.append(view)
        return view.float().flatten(1)

    close(views(model, images), torch.from_numpy(mean).flatten(1))
    assert len(seen) == 6 and {view.dtype for view in seen} == {dtype}
    assert torch.stack(seen).unique(dim=0).shape[0] == 6
