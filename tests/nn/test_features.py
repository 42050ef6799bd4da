"""The feature net: what it takes, how its weights are stored, and whether the shipped ones are what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from daybreak.data import images
from daybreak.data.toy.digits import digits
from daybreak.engine.errors import UserError
from daybreak.metrics.frechet import Moments, frechet
from daybreak.nn import features
from daybreak.nn.features import CLASSES, FeatureNet, feature_net, features_of, fit, in_half


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def net() -> FeatureNet:
    """One with the statistics of its batch norms set, as after training."""
    torch.manual_seed(0)
    net = FeatureNet()
    net(noise(64, 3, 32, 32))
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 32, 32), (1, 1, 28, 28), (3, 3, 64, 48)])
def test_images_of_any_size_give_features_and_a_logit_a_class(net: FeatureNet, shape: tuple[int, ...]) -> None:
    seen, logits = net(noise(*shape))
    assert seen.shape == (shape[0], 192) and logits.shape == (shape[0], len(CLASSES)) == (shape[0], 46)
    assert seen.min() >= 0 and len(set(CLASSES)) == 46


def test_grey_images_are_those_with_three_equal_colours(net: FeatureNet) -> None:
    grey = noise(4, 1, 28, 28)
    assert torch.equal(net(grey)[0], net(grey.expand(-1, 3, -1, -1))[0])


def test_images_are_scaled_to_whole_bytes_without_aliasing() -> None:
    large = noise(2, 3, 64, 64)
    small = fit(large)
    assert small.shape == (2, 3, 32, 32) and small.dtype == torch.uint8
    assert torch.equal(fit(small), small) and torch.equal(fit(noise(1, 3, 32, 32)), noise(1, 3, 32, 32))
    smooth = avg_pool2d(large.float(), 2)
    picked = interpolate(large.float(), (32, 32))
    assert (small - smooth).abs().mean() < 0.5 * (picked - smooth).abs().mean()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (torch.zeros(1, 3, 32, 32), "uint8 .B, 3 or 1, H, W., and not torch.float32"),
        (noise(1, 4, 32, 32), "1, 4, 32, 32"),
        (noise(3, 32, 32), "3, 32, 32"),
        (noise(1, 1, 9, 7), "7 x 9 pixels are too small"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(net: FeatureNet, wrong: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        net(wrong)


def test_features_of_many_images_come_in_order_whatever_the_batches(net: FeatureNet) -> None:
    some = noise(7, 3, 32, 32)
    seen, logits = features_of(net, some, batch_size=3)
    torch.testing.assert_close(seen, net(some)[0])
    torch.testing.assert_close(logits, net(some)[1])
    assert not seen.requires_grad


def test_half_the_bytes_give_nearly_the_same_features(net: FeatureNet) -> None:
    stored = save(in_half(net).state_dict())
    assert len(stored) < 2_000_000
    again = FeatureNet().eval()
    again.load_state_dict(in_half(net).state_dict())
    assert {p.dtype for p in again.parameters()} == {torch.float32} == {p.dtype for p in net.parameters()}
    seen, expected = again(noise(8, 3, 32, 32))[0], net(noise(8, 3, 32, 32))[0]
    assert not torch.equal(seen, expected) and (seen - expected).norm() < 2e-3 * expected.norm()


def test_weights_with_another_digest_are_refused(
    net: FeatureNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "features.safetensors"
    content = save(in_half(net).state_dict())
    monkeypatch.setattr(features, "WEIGHTS", file)
    monkeypatch.setattr(features, "DIGEST", hashlib.sha256(content).hexdigest())
    with pytest.raises(UserError, match="is not the file that belongs to this daybreak"):
        feature_net()
    file.write_bytes(content)
    assert not feature_net().training
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"features.safetensors is not the file"):
        feature_net()


# ------------------------------------------------------------------------------- the weights that are shipped


def test_the_shipped_net_reads_digits_it_has_not_seen() -> None:
    assert features.WEIGHTS.stat().st_size < 2_000_000
    unseen = digits(train=False)
    _, logits = features_of(feature_net(), unseen.images)
    named = [CLASSES[i] for i in logits.argmax(1).tolist()]
    right = sum(name == unseen.classes[label] for name, label in zip(named, unseen.labels.tolist(), strict=True))
    assert right > 0.95 * len(unseen)


@pytest.mark.realdata
def test_in_shipped_features_the_distance_of_photographs_grows_with_every_kind_of_damage(
    real_data: Callable[[str], Path],
) -> None:
    real_data_root = real_data("cifar-10-batches-bin")
    some = images.cifar10(real_data_root, train=False).images[:3_000].float()
    net = feature_net()
    reference = Moments.of(features_of(net, some[1_500:].byte())[0])
    draw = torch.Generator().manual_seed(0)

    def distance(damaged: Tensor) -> float:
        return frechet(reference, Moments.of(features_of(net, damaged.round().clamp(0, 255).byte())[0]))

    given = some[:1_500]
    grain, spots = torch.randn(given.shape, generator=draw), torch.rand(given[:, :1].shape, generator=draw)
    kinds: dict[str, Callable[[float], Tensor]] = {
        "noise": lambda level: given + 60 * level * grain,
        "blur": lambda level: given.lerp(avg_pool2d(given, 5, 1, 2, count_include_pad=False), level),
        "grey": lambda level: given.lerp(given.mean(1, keepdim=True), level),
        "holes": lambda level: given * (spots > 0.4 * level),
        "few": lambda level: given[torch.arange(1_500) % round(1_500 * (1 - 0.99 * level))],
    }
    for name, damage in kinds.items():
        distances = [distance(damage(level)) for level in (0.0, 0.3, 0.6, 1.0)]
        assert distances == sorted(distances) and distances[-1] > 2 * distances[0], f"{name}: {distances}"
