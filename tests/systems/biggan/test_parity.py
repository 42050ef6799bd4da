"""BigGAN against 25 recordings of its authors' PyTorch code: forward passes, whole training steps, standing statistics.

The recordings are numbers only: weights, inputs, outputs, and the state afterwards. They lie in the folder that
DAYBREAK_PARITY names, or in shared/parity beside the checkout; where neither is there the tests are skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from daybreak.engine.device import Device
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.game import Players, play, players
from daybreak.systems.biggan.model import Architecture, Discriminator, Generator, Original, standing_statistics
from daybreak.systems.biggan.model.public import architecture_of, from_public

pytestmark = pytest.mark.realdata

FORWARD = [
    "01_biggan32_G_eval",
    "01b_biggan32_G_eval_unshared",
    "01c_biggan32_G_eval_flat_z",
    "02_biggan32_D_eval",
    "02b_biggan32_D_eval_thin",
    "03_biggan128_D_eval_attn64",
    "03_biggan128_G_eval_attn64_dimz_rounding",
    "03b_biggan64_D_eval_attn16_8",
    "04_deep32_D_eval",
    "04_deep32_G_eval",
    "04b_deep128_D_eval_attn64",
    "04b_deep128_G_eval_attn64",
    "05_biggan32_D_train",
    "05_biggan32_G_train",
    "05b_biggan32_G_train_mybn",
    "05c_biggan32_D_train_2itr",
    "05d_deep32_D_train",
    "05d_deep32_G_train",
]
STEPS = [
    "06_biggan32_train_step",
    "06b_biggan32_train_2steps_attn16_ema_start2",
    "06c_biggan32_train_step_splitD_Dortho",
    "06d_deep32_train_step",
    "07_biggan32_train_step_accum2",
]
STANDING = ["08_biggan32_standing_mybn", "08b_biggan32_standing_plainbn"]

OUTPUT, GRADIENT = 1e-4, 1e-4
"""Largest difference over the tensor's largest magnitude."""
SLACK = 10
"""For gradients in channels_last: another order of summation moves ReLUs' inputs by 1e-7, here and there across 0."""
ON_THE_EDGE = "06c_biggan32_train_step_splitD_Dortho"
"""Here one ReLU's input is so near 0 that 1e-7 of noise in z, or another processor, moves gradients by 3.5e-4."""
STATE = 5e-5
"""Largest difference."""
NOISE = re.compile(r"blocks\.\d+\.(conv\d|shortcut)\.bias")
"""Biases of G that only batch norms see: their gradient is nothing but rounding, of which Adam makes whole steps."""
NOISY_GRADIENT = 1e-5
CPU = Device(torch.device("cpu"), bf16=False)


# ----------------------------------------------------------------------------- recordings


@dataclass
class Recording:
    """One file: its flags, and its tensors by prefix, networks' under our names."""

    flags: argparse.Namespace
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def state(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a prefix, such as G or D_after, as ours."""
        start = f"{prefix}/"
        return from_public({n.removeprefix(start): t for n, t in self.tensors.items() if n.startswith(start)})


def read_flags(text: str) -> argparse.Namespace:
    """The flags of the authors' code that a recording was made with, and its defaults for the others."""
    parser = argparse.ArgumentParser()
    for name in ("G_shared", "hier", "mybn", "D_thin", "ema", "split_D", "accumulate_stats"):
        parser.add_argument(f"--{name}", action="store_true")
    for name, number in {
        "G_ch": 64, "D_ch": 64, "G_depth": 1, "D_depth": 1, "dim_z": 128, "shared_dim": 0, "num_D_SV_itrs": 1,
        "batch_size": 8, "num_D_steps": 2, "num_D_accumulations": 1, "num_G_accumulations": 1, "ema_start": 0,
        "num_standing_accumulations": 16,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=number)
    for name, number in {
        "SN_eps": 1e-8, "BN_eps": 1e-5, "adam_eps": 1e-8, "G_lr": 5e-5, "D_lr": 2e-4, "G_ortho": 0.0, "D_ortho": 0.0,
        "ema_decay": 0.9999,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=float, default=number)
    for name in ("G_attn", "D_attn", "G_init", "D_init", "model"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args(text.split())


@pytest.fixture
def read() -> Callable[[str], Recording]:
    """``read("01_biggan32_G_eval")``; skips where there are no recordings, but fails where DAYBREAK_PARITY is set."""
    named = os.environ.get("DAYBREAK_PARITY")
    folder = (Path(named) if named else Path(__file__).parents[4] / "shared" / "parity") / "biggan"
    if not folder.is_dir():
        text = f"the recordings of BigGAN are not in {folder}: set DAYBREAK_PARITY to the folder that has them"
        pytest.fail(text) if named else pytest.skip(text)

    def read_one(name: str) -> Recording:
        with safe_open(folder / f"{name}.safetensors", "pt") as file:  # pyright: ignore[reportGeneralTypeIssues]
            facts = json.loads(file.metadata()["case"])
            return Recording(read_flags(facts["flags"]), facts, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118

    return read_one


def test_every_recording_is_compared(read: Callable[[str], Recording]) -> None:
    assert len({*FORWARD, *STEPS, *STANDING}) == 25
    assert read(FORWARD[0]).facts["kind"] == "G_eval"


# ----------------------------------------------------------------------------- networks


THEIR_WAYS = Original(fixed_output_eps=True, attends_after_every_block=True)


def architecture(recording: Recording, network: str) -> Architecture:
    """The shape of the recorded G or D, the authors' ways included."""
    flags = recording.flags
    attention = getattr(flags, f"{network}_attn")
    return Architecture(
        resolution=recording.facts["resolution"],
        num_classes=recording.facts["n_classes"],
        ch=getattr(flags, f"{network}_ch"),
        deep=flags.model == "BigGANdeep",
        depth=getattr(flags, f"{network}_depth"),
        attention=tuple(int(side) for side in attention.split("_") if side),
        dim_z=flags.dim_z,
        shared_dim=(flags.shared_dim or flags.dim_z) if flags.G_shared else 0,
        hier=flags.hier,
        wide=not flags.D_thin,
        power_steps=flags.num_D_SV_itrs,
        spectral_eps=flags.SN_eps,
        norm_eps=flags.BN_eps,
        original=replace(THEIR_WAYS, biased_variance=flags.mybn),
    )


def network(recording: Recording, which: str, shape: Architecture | None = None) -> Any:
    """The recorded G or D, its state loaded, in the mode of the recording."""
    made: nn.Module = (Generator if which == "G" else Discriminator)(shape or architecture(recording, which))
    made.load_state_dict(recording.state(which))
    return CPU.wrap(made).train(not recording.facts["kind"].endswith("eval"))


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference."""
    assert ours.shape == theirs.shape
    return float((ours.detach() - theirs).abs().max())


def assert_near(ours: Tensor, theirs: Tensor, relative: float, what: str) -> None:
    far, largest = distance(ours, theirs), float(theirs.abs().max())
    assert far <= relative * largest, f"{what} differs by {far:.2g}, and its largest magnitude is {largest:.2g}"


def assert_state(ours: dict[str, Tensor], theirs: dict[str, Tensor], what: str, noise: float = 0.0) -> None:
    """Every recorded tensor; ``noise`` is what biases before batch norms may differ by."""
    assert theirs
    far = {name: distance(ours[name], value) for name, value in theirs.items()}
    bad = {name: gap for name, gap in far.items() if gap > (noise if noise and NOISE.fullmatch(name) else STATE)}
    assert not bad, f"{what}: {bad}"


@pytest.mark.parametrize("name", FORWARD)
def test_a_forward_pass_is_that_of_the_authors(name: str, read: Callable[[str], Recording]) -> None:
    recording = read(name)
    which = recording.facts["kind"][0]
    net = network(recording, which)
    with torch.set_grad_enabled(recording.facts["grad"]):
        if which == "G":
            assert net.dim_z == recording.facts["effective_dim_z"]
            assert_near(net(recording["in/z"], recording["in/y"]), recording["out/image"], OUTPUT, "the image")
        else:
            images = recording["in/x"].requires_grad_(recording.facts["grad"])
            logits = net(images, recording["in/y"])
            assert_near(logits[:, None], recording["out/logit"], OUTPUT, "the logit")
            if recording.facts["grad"]:
                (gradient,) = torch.autograd.grad(logits.sum(), images)
                assert_near(gradient, recording["out/grad_x_of_sum_logit"], GRADIENT, "the gradient")
    if "out/shared_y" in recording.tensors:
        assert_near(net.embedding(recording["in/y"]), recording["out/shared_y"], 0.0, "the class embedding")
    after = recording.state(f"{which}_after")
    assert bool(after) == net.training
    assert_state(net.state_dict(), after or recording.state(which), "the state afterwards")


def test_the_class_embedding_may_be_given_in_place_of_the_label(read: Callable[[str], Recording]) -> None:
    recording = read("01_biggan32_G_eval")
    net = network(recording, "G")
    assert_near(net(recording["in/z"], recording["out/shared_y"]), recording["out/image"], OUTPUT, "the image")


@pytest.mark.parametrize("name", [name for name in FORWARD if "_G_" in name and "unshared" not in name])
def test_the_shape_of_a_generator_is_read_off_its_tensors(name: str, read: Callable[[str], Recording]) -> None:
    recording = read(name)
    told = architecture_of({key[2:]: value for key, value in recording.tensors.items() if key.startswith("G/")})
    Generator(told).load_state_dict(recording.state("G"))
    asked = architecture(recording, "G")
    assert (told.resolution, told.ch, told.deep, told.attention, told.hier or told.deep) == (
        asked.resolution, asked.ch, asked.deep, tuple(side for side in asked.attention if side), asked.hier
    )  # fmt: skip


# ----------------------------------------------------------------------------- what our own ways are


@pytest.mark.parametrize(
    ("name", "way", "least"),
    [
        ("01c_biggan32_G_eval_flat_z", "fixed_output_eps", 4e-4),
        ("03_biggan128_G_eval_attn64_dimz_rounding", "fixed_output_eps", 4e-4),
    ],
)
def test_our_own_way_moves_the_output(name: str, way: str, least: float, read: Callable[[str], Recording]) -> None:
    recording = read(name)
    shape = architecture(recording, "G")
    net = network(recording, "G", replace(shape, original=replace(shape.original, **{way: False})))
    assert distance(net(recording["in/z"], recording["in/y"]), recording["out/image"]) > least


def test_our_running_variance_is_the_estimate_of_the_population(read: Callable[[str], Recording]) -> None:
    recording = read("05b_biggan32_G_train_mybn")
    shape = architecture(recording, "G")
    net = network(recording, "G", replace(shape, original=THEIR_WAYS))
    net(recording["in/z"], recording["in/y"])
    before, after = (recording.state(which)["norm.running_var"] for which in ("G", "G_after"))
    count = recording.facts["batch"] * 32 * 32
    batch = (after - 0.9 * before) / 0.1  # the variance of the batch, over its count
    assert distance(net.norm.running_var, 0.9 * before + 0.1 * batch * count / (count - 1)) < 1e-6
    assert distance(net.norm.running_var, after) > 1e-6


def test_our_discriminator_attends_once_at_a_resolution(read: Callable[[str], Recording]) -> None:
    shape = architecture(read("05_biggan32_D_train"), "D")
    theirs, ours = Discriminator(shape), Discriminator(replace(shape, original=Original()))
    assert [isinstance(layer, nn.Identity) for layer in theirs.attention] == [False] * 4
    assert [isinstance(layer, nn.Identity) for layer in ours.attention] == [False, True, True, True]


@pytest.mark.parametrize("name", ["01_biggan32_G_eval", "02_biggan32_D_eval", "04_deep32_D_eval", "04_deep32_G_eval"])
def test_plain_resampling_gives_the_same(name: str, read: Callable[[str], Recording]) -> None:
    recording = read(name)
    which = recording.facts["kind"][0]
    shape = architecture(recording, which)
    net = network(recording, which, plainly(shape, True))
    if which == "G":
        assert_near(net(recording["in/z"], recording["in/y"]), recording["out/image"], OUTPUT, "the image")
    else:
        assert_near(net(recording["in/x"], recording["in/y"])[:, None], recording["out/logit"], OUTPUT, "the logit")


# ----------------------------------------------------------------------------- training


class Recorder:
    """``run.update`` that keeps the gradients each optimizer saw, and the state of D after its first step."""

    def __init__(self, p: Players) -> None:
        self.p = p
        self.gradients: dict[str, list[dict[str, Tensor]]] = {"G": [], "D": []}
        self.after_first: dict[str, Tensor] = {}
        self.passes: dict[int, int] = {}

    def __call__(self, optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        done = self.passes[id(optimizer)] = self.passes.get(id(optimizer), 0) + 1
        if done % accumulate == 1 % accumulate:
            optimizer.zero_grad(set_to_none=True)
        (loss / accumulate).backward()
        if done % accumulate:
            return
        which = "G" if optimizer is self.p.opt_G else "D"
        player: nn.Module = getattr(self.p, which)
        gradients = {name: p.grad.clone() for name, p in player.named_parameters() if p.grad is not None}
        self.gradients[which].append(gradients)
        optimizer.step()
        if which == "D" and not self.after_first:
            self.after_first = {name: p.detach().clone() for name, p in player.named_parameters()}


def training_config(flags: argparse.Namespace) -> Config:
    """The recorded step's settings. Their strength of the orthogonal term is twice ours (a deviation in README.md)."""
    assert flags.num_D_accumulations == flags.num_G_accumulations
    return Config(
        batch_size=flags.batch_size,
        d_steps=flags.num_D_steps,
        accumulate=flags.num_D_accumulations,
        split_d=flags.split_D,
        lr_g=flags.G_lr,
        lr_d=flags.D_lr,
        adam_eps=flags.adam_eps,
        ortho_g=flags.G_ortho / 2,
        ortho_d=flags.D_ortho / 2,
        ema=flags.ema_decay,
        ema_start=flags.ema_start,
    )


def plainly(shape: Architecture, plain: bool) -> Architecture:
    """The shape with or without resampling in steps of its own."""
    return replace(shape, original=replace(shape.original, plain_resampling=plain))


@dataclass
class Played:
    """What came of the recorded steps, played by our code."""

    p: Players
    recorder: Recorder
    logits: list[Tensor]
    losses: list[dict[str, Tensor]]


def replay(recording: Recording, plain: bool = True, **changes: Any) -> Played:
    """Our training step on the recorded images, labels and noise, as often as was recorded."""
    config = replace(training_config(recording.flags), **changes)
    G, D = (network(recording, which, plainly(architecture(recording, which), plain)) for which in ("G", "D"))
    p = players(G, D, config, CPU)
    recorder, logits = Recorder(p), []
    p.D.register_forward_hook(lambda _module, _inputs, output: logits.append(output.detach()))
    size = config.batch_size
    images, labels = recording["in/x"].flatten(0, 1), recording["in/x_label"].flatten()
    reals = iter(zip(images.split(size), labels.split(size), strict=True))
    drawn = iter(zip(recording["in/z"], recording["in/y"], strict=True))
    iterations = recording.facts["iterations"]
    losses = [play(p, reals, lambda: next(drawn), recorder, config, CPU) for _ in range(iterations)]
    assert next(reals, None) is None and next(drawn, None) is None, "not all that was recorded was used"
    return Played(p, recorder, logits, losses)


@pytest.fixture(params=["their form", "our form"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How networks compute; in their form in contiguous tensors, and enlarging before convolutions."""
    if request.param == "their form":
        monkeypatch.setattr(Device, "wrap", lambda _self, module: module)
    return request.param


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_is_that_of_the_authors(name: str, form: str, read: Callable[[str], Recording]) -> None:
    recording, plain = read(name), form == "their form"
    played = replay(recording, plain)
    flags, iterations = recording.flags, recording.facts["iterations"]

    theirs = theirs_in_order(recording)
    assert_near(torch.cat(played.logits), torch.cat(theirs), OUTPUT, "the logits")
    for i, losses in enumerate(played.losses):
        returned = recording["out/returned_D_loss_real"][i] + recording["out/returned_D_loss_fake"][i]
        assert_near(losses["loss_D"], returned, OUTPUT, "D's loss")
        undivided = recording["out/returned_G_loss"][i] * flags.num_G_accumulations
        assert_near(losses["loss_G"], undivided, OUTPUT, "G's loss")

    for prefix, ours in (
        ("D_grad0", played.recorder.gradients["D"][0]),
        ("D_grad1", played.recorder.gradients["D"][1]),
        ("G_grad", played.recorder.gradients["G"][0]),
    ):
        assert_gradients(ours, recording.state(prefix), prefix, 1 if plain and name != ON_THE_EDGE else SLACK)
    if first := recording.state("D_after_step0"):
        assert_state(played.recorder.after_first, first, "D after its first step")
    noise = flags.G_lr * iterations * (1 if plain else 2)  # two steps of Adam at most apart, in opposite directions
    assert_state(played.p.D.state_dict(), recording.state("D_after"), "D")
    assert_state(played.p.G.state_dict(), recording.state("G_after"), "G", noise)
    if averaged := recording.state("G_ema_after"):
        assert_state(played.p.average.module.state_dict(), averaged, "the averaged G", noise)


def theirs_in_order(recording: Recording) -> list[Tensor]:
    """The recorded logits as D gave them: fake then real in each of its passes, then those of G's passes."""
    flags, iterations = recording.flags, recording.facts["iterations"]
    fake, real, of_g = (recording[f"out/{name}"][..., 0].split(1) for name in ("D_fake", "D_real", "G_fake"))
    of_d = [torch.cat(pair, 1)[0] for pair in zip(fake, real, strict=True)]
    per_step, per_g_step = flags.num_D_steps * flags.num_D_accumulations, flags.num_G_accumulations
    return [
        logits
        for i in range(iterations)
        for logits in (
            *of_d[i * per_step : (i + 1) * per_step],
            *(row[0] for row in of_g[i * per_g_step : (i + 1) * per_g_step]),
        )
    ]


def assert_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor], what: str, slack: float = 1) -> None:
    for name, gradient in theirs.items():
        if what.startswith("G") and NOISE.fullmatch(name):
            assert distance(ours[name], gradient) < slack * NOISY_GRADIENT
        else:
            assert_near(ours[name], gradient, slack * GRADIENT, f"{what} of {name}")


def test_the_gradient_before_the_orthogonal_term_is_theirs_too(read: Callable[[str], Recording]) -> None:
    recording = read(STEPS[0])
    without = replay(recording, ortho_g=0.0).recorder.gradients["G"][0]
    assert_gradients(without, recording.state("G_grad_before_ortho"), "G_grad_before_ortho")
    with pytest.raises(AssertionError, match="G_grad of"):  # the term is large enough to be seen
        assert_gradients(without, recording.state("G_grad"), "G_grad")


def test_the_orthogonal_term_as_the_paper_has_it_is_not_theirs(read: Callable[[str], Recording]) -> None:
    recording = read(STEPS[0])
    ours = replay(recording, ortho_g=recording.flags.G_ortho).recorder.gradients["G"][0]
    with pytest.raises(AssertionError, match="G_grad of"):
        assert_gradients(ours, recording.state("G_grad"), "G_grad")


# ----------------------------------------------------------------------------- standing statistics


@pytest.mark.parametrize("name", STANDING)
def test_standing_statistics_are_those_of_the_authors(name: str, read: Callable[[str], Recording]) -> None:
    recording = read(name)
    net = network(recording, "G")
    batches = list(zip(recording["in/z"], recording["in/y"], strict=True))
    after = recording.state("G_after")
    if recording.flags.mybn:  # they keep sums, and divide by their count when they use them
        standing_statistics(net, batches)
        after = {key: value / len(batches) if "running" in key else value for key, value in after.items()}
    else:  # a reset that resets nothing: training passes without gradients (a deviation in README.md)
        with torch.no_grad():
            for batch in batches:
                net(*batch)
        net.eval()
    assert_state(net.state_dict(), after, "the statistics")
    labels = recording["in/y_sample"]
    for kind in ("full", "trunc"):
        image = net(recording[f"in/z_{kind}"], labels)
        assert_near(image, recording[f"out/image_{kind}"], OUTPUT, f"the image of z_{kind}")
