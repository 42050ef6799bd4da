"""Inception against torchvision's with the FID's pools, and its resizing against TensorFlow's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.inception import Inception3

from daybreak.engine.errors import UserError
from daybreak.nn.inception import Inception, read_inception, resize


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    network = Inception().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that no statistic is left out unseen
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.2, 0.6)
    return network


def test_names_and_shapes_are_those_of_the_public_layout(network: Inception) -> None:
    with torch.device("meta"):
        peer = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    theirs = {name: tensor.shape for name, tensor in peer.state_dict().items()}
    assert {name: tensor.shape for name, tensor in network.state_dict().items()} == theirs


@torch.no_grad()
def test_features_are_torchvisions_with_the_fids_pools(network: Inception, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Inception3(num_classes=1008, aux_logits=False, init_weights=False).eval()
    peer.load_state_dict(network.state_dict())
    pixels = 2 * torch.rand(2, 3, 107, 91) - 1
    mine = network.maps(pixels).mean((2, 3))

    pool, pools = functional.avg_pool2d, []

    def fid_pool(x: Tensor, kernel_size: int, stride: int, padding: int) -> Tensor:
        pools.append(x.shape[1])
        if x.shape[1] == 2048:  # the last block
            return functional.max_pool2d(x, kernel_size, stride, padding)
        return pool(x, kernel_size, stride, padding, count_include_pad=False)

    monkeypatch.setattr(torchvision.models.inception.F, "avg_pool2d", fid_pool)
    seen: list[Tensor] = []
    peer.avgpool.register_forward_hook(lambda module, given, out: seen.append(out.flatten(1)))
    peer(pixels)
    assert pools == [192, 256, 288, 768, 768, 768, 768, 1280, 2048]
    torch.testing.assert_close(mine, seen[0], rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_images_of_any_size_give_features_and_logits_without_the_bias(network: Inception) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 1, 20, 24), dtype=torch.uint8)
    features, logits = network(images)
    assert features.shape == (1, 2048) and features.min() >= 0 and features.std() > 0
    torch.testing.assert_close(logits + network.fc.bias, network.fc(features))
    torch.testing.assert_close(network(images.expand(-1, 3, -1, -1))[0], features)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (299, 8), (400, 301)])
def test_resizing_is_bilinear_from_the_corner_of_the_first_pixel(height: int, width: int) -> None:
    picture = np.random.RandomState(0).rand(height, width)
    rows = np.stack([np.interp(np.arange(299) * width / 299, np.arange(width), row) for row in picture])
    expected = np.stack([np.interp(np.arange(299) * height / 299, np.arange(height), row) for row in rows.T]).T
    mine = resize(torch.from_numpy(picture).float()[None, None])[0, 0]
    np.testing.assert_allclose(mine, expected, atol=2e-4)
    flat = torch.full((1, 1, height, width), 200.0)
    torch.testing.assert_close(resize(flat), torch.full((1, 1, 299, 299), 200.0))


def test_weights_are_read_with_and_without_the_counts_of_batch_norms(network: Inception, tmp_path: Path) -> None:
    weights = network.state_dict()
    save_file({k: v for k, v in weights.items() if "num_batches" not in k}, tmp_path / "old.safetensors")
    read = read_inception(tmp_path / "old.safetensors")
    assert not read.training and all(torch.equal(v, weights[k]) for k, v in read.state_dict().items())


def test_what_is_no_inception_is_refused_in_one_sentence(network: Inception, tmp_path: Path) -> None:
    weights = dict(network.state_dict())
    del weights["Mixed_6c.branch_pool.conv.weight"]
    save_file(weights, tmp_path / "torn.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    complaints = {
        "torn.safetensors": "Mixed_6c.branch_pool.conv.weight",
        "noise.safetensors": "cannot be read",
        "nowhere.safetensors": "cannot be read",
        "pt_inception.pth": "give the pt_inception.safetensors",
    }
    for name, complaint in complaints.items():
        with pytest.raises(UserError, match=complaint) as caught:
            read_inception(tmp_path / name)
        assert name in str(caught.value) and len(str(caught.value).splitlines()) == 1
