"""A trained network elsewhere and by the clock: ONNX with equal logits, milliseconds an image, FLOPs of an image."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from daybreak import cli
from daybreak.engine.errors import UserError
from daybreak.systems import dawnbench
from daybreak.systems.dawnbench import clock
from daybreak.systems.dawnbench.data import test_set as the_test_set
from daybreak.systems.dawnbench.export import difference, export, to_onnx
from daybreak.systems.dawnbench.flops import flops, giga, peak
from daybreak.systems.dawnbench.latency import first_images, measure
from daybreak.systems.dawnbench.networks import image_shapes, image_shares, network

onnx_is_there = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs the extra named export",
)


class SwitchingConv(nn.Conv2d):
    """A convolution with a way of its own on the processor, which no exporter can follow."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_exporting() or input.device.type != "cpu":
            return super().forward(input)
        return torch.from_numpy(conv2d(input, self.weight, self.bias, padding=1).detach().numpy())


class Net(nn.Module):
    """Two convolutions and a matrix: FLOPs that can be counted by hand."""

    def __init__(self, kind: Callable[..., nn.Module] = nn.Conv2d) -> None:
        super().__init__()
        self.first, self.second = kind(3, 8, 3, padding=1), kind(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.second(self.first(images.float() / 255).relu()).relu()
        return self.head(features.mean(dim=(2, 3)))


# ------------------------------------------------------------------------------- ONNX


@onnx_is_there
def test_an_exported_run_gives_the_same_logits_for_any_batch(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnxruntime

    assert cli.main(["dawnbench", "export", str(run)]) == 0
    assert "logits differ from torch's by at most" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(str(run / "model.onnx"), providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()
    assert images.type == "tensor(uint8)" and isinstance(images.shape[0], str) and images.shape[1:] == [1, 8, 8]
    classifier = dawnbench.load(run)
    test = the_test_set(classifier.config).images
    for batch in (1, 5, len(test)):
        (logits,) = session.run(["logits"], {"images": test[:batch].numpy()})
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(logits), classifier.model(test[:batch]), atol=1e-5)


@onnx_is_there
def test_a_layer_that_switches_its_algorithm_is_exported_as_a_convolution() -> None:
    import onnx

    content, largest = to_onnx(Net(SwitchingConv).eval(), (3, 12, 12))
    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert kinds.count("Conv") == 2 and largest < 1e-5


@onnx_is_there
def test_the_network_with_the_quicker_convolution_is_exported() -> None:
    from daybreak.nn.winograd import Conv3x3, pays

    quicker = Conv3x3(256, 256)
    assert pays(torch.zeros(1, 256, 8, 8), quicker.weight), "or the test shows nothing"
    net = nn.Sequential(nn.Conv2d(3, 256, 1), quicker, nn.Flatten())

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: Tensor) -> Tensor:
            return self.net(images.float() / 255)

    _, largest = to_onnx(Whole().eval().to(memory_format=torch.channels_last), (3, 8, 8))
    assert largest < 1e-4


@onnx_is_there
def test_logits_that_differ_are_measured_and_nothing_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (3, 3, 12, 12), dtype=torch.uint8)
    net = Net().eval()
    content, _ = to_onnx(net, (3, 12, 12))
    with torch.no_grad():
        net.head.bias[4] += 0.25
    assert difference(net, content, images) == pytest.approx(0.25, abs=1e-4)
    monkeypatch.setattr("daybreak.systems.dawnbench.export.difference", lambda *_: float("nan"))
    with pytest.raises(UserError, match="was not written: onnxruntime's logits differ by nan"):
        export(run, tmp_path / "bad.onnx")
    assert not (tmp_path / "bad.onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(
    run: Path, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find("sys" if name != package else "no_such_module"))
    assert cli.main(["dawnbench", "export", str(run)]) == 2
    assert f"{package} is not installed; get it with: pip install 'daybreak[export]'" in capsys.readouterr().err


# ------------------------------------------------------------------------------- latency


def test_latency_is_measured_image_by_image_and_noted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "latency", str(run), "--images", "40", "--cost-per-hour", "0.4"]) == 0
    printed = capsys.readouterr().out
    assert "torch on cpu: median" in printed and "over 40 images, $" in printed and "% right" in printed
    noted = json.loads((run / clock.LATENCY).read_text())
    assert noted["images"] == 40 and noted["weights"] == clock.digest(run / "weights.safetensors")
    assert 0 < noted["median_ms"] <= noted["p95_ms"] <= noted["p99_ms"]
    clock.refuse_unknown_machine(noted["environment"], run)


@onnx_is_there
def test_latency_of_an_exported_file_is_measured_beside(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(run, run / "model.onnx")
    words = ["dawnbench", "latency", str(run), "--images", "20", "--onnx"]
    assert cli.main([*words, str(run / "model.onnx")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("torch") and second.startswith("onnxruntime on cpu")
    assert first.split("; ")[1] == second.split("; ")[1], "the same answers"
    for wrong in (run / "config.json", run / "nowhere.onnx", run):
        assert cli.main([*words, str(wrong)]) == 2
        assert f"{wrong} cannot be opened by onnxruntime" in capsys.readouterr().err


def test_the_clock_covers_each_answer_and_nothing_before_the_warm_up(run: Path) -> None:
    classifier = dawnbench.load(run, device="cpu")
    test = first_images(the_test_set(classifier.config), 10)
    seen: list[tuple[int, ...]] = []

    def right(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape))
        number = next(i for i in range(len(test)) if torch.equal(test.images[i][None], image))
        return torch.eye(10)[test.labels[number]][None]

    measured = measure(right, test, run, classifier.device)
    assert measured.test_accuracy == 100 and measured.images == 10
    assert set(seen) == {(1, 1, 8, 8)} and len(seen) == 110, "a hundred to warm up"


def test_no_images_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "latency", str(run), "--images", "0"]) == 2
    assert "--images 0 cannot be: give at least 1" in capsys.readouterr().err


# ------------------------------------------------------------------------------- FLOPs


@pytest.mark.parametrize("kind", [nn.Conv2d, SwitchingConv])
def test_flops_are_those_counted_by_hand(kind: Callable[..., nn.Module]) -> None:
    counted = flops(Net(kind), (3, 12, 12))
    first, second, head = 2 * 9 * 144 * 3 * 8, 2 * 9 * 144 * 8 * 16, 2 * 16 * 10
    assert counted.inference == first + second + head
    assert counted.training == 3 * (first + second + head) - first, "the images need no gradient"


def test_counting_leaves_the_model_alone() -> None:
    net = Net().eval()
    flops(net, (3, 12, 12))
    assert not net.training and net.head.weight.device.type == "cpu" and net.head.weight.grad is None


def test_flops_of_a_run_say_the_share_of_the_peak(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daybreak.systems.dawnbench.flops.peak", lambda *_: 1e9)
    assert cli.main(["dawnbench", "flops", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("8 x 8 pixels: ") and "1 GFLOP/s in fp32" in lines[1] and "% of the peak" in lines[2]
    assert cli.main(["dawnbench", "flops", "cifar10", "--images-per-second", "10"]) == 0
    each = flops(network(dawnbench.cifar10()), image_shapes(dawnbench.cifar10())[0]).training
    assert f"10 images/s: {giga(10 * each)}FLOP/s, {each / 1e6:.0f} % of the peak" in capsys.readouterr().out


def test_an_unfinished_run_has_flops_and_no_speed(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daybreak.systems.dawnbench.flops.peak", lambda *_: 1e9)
    (run / "result.json").unlink()
    assert cli.main(["dawnbench", "flops", str(run)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_is_neither_preset_nor_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dawnbench", "flops", "cifar11"]) == 2
    assert "cifar11 is no preset (" in capsys.readouterr().err


def test_the_peak_is_that_of_the_quickest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.5, 0.125, 0.25] + [1.0] * 1000)
    monkeypatch.setattr("daybreak.systems.dawnbench.flops.SIDES", {"cpu": 64})
    monkeypatch.setattr("daybreak.systems.dawnbench.flops._seconds_of_product", lambda *_: next(times))
    ticks = iter(range(100))
    monkeypatch.setattr("daybreak.systems.dawnbench.flops.time.perf_counter", lambda: next(ticks))
    assert peak(torch.device("cpu"), torch.float32, seconds=4) == 2 * 64**3 / 0.125


def test_growing_images_count_by_their_share_of_the_steps() -> None:
    config = dawnbench.cifar10_94()
    config.steps = 100
    shapes, shares = image_shapes(config), image_shares(config)
    assert [side for _, _, side in shapes] == [24, 28, 32]
    assert sum(shares) == pytest.approx(1) and shares[0] == pytest.approx(0.55, abs=0.02)
    config.smallest = 0
    assert image_shapes(config) == [(3, 32, 32)] and image_shares(config) == [1.0]
