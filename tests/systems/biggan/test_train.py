"""The loop: what learns when, what a resume restores, what stops a run that has collapsed."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from daybreak.data.images import open_image
from daybreak.engine import checkpoint
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import CHECKPOINTS, is_finished, log_series
from daybreak.systems import biggan
from daybreak.systems.biggan.average import Average
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.game import Players, play, players
from daybreak.systems.biggan.losses import hinge_discriminator, hinge_generator, orthogonal_penalty
from daybreak.systems.biggan.model import Discriminator, Generator, architecture, begin
from daybreak.systems.biggan.sample import read_generator
from daybreak.systems.biggan.watch import Watch, compare, symptom_of

CPU = Device(torch.device("cpu"), bf16=False)
loop = importlib.import_module("daybreak.systems.biggan.train")  # the module, not the function of that name


def small(**fields: Any) -> Config:
    """A run of seconds with everything on that draws or keeps something."""
    settings: dict[str, Any] = {
        "ch": 2, "dim_z": 8, "shared_dim": 4, "attention": (8,), "augment": ("colour", "translation", "cutout"),
        "flip": True, "d_steps": 2, "accumulate": 2, "batch_size": 4, "ortho_g": 1e-4, "held_out": 20,
        "ema": 0.9, "ema_start": 2, "steps": 6, "save_every": 2, "eval_every": 2, "sample_every": 4, "log_every": 1,
        "precision": "fp32",
    }  # fmt: skip
    return Config(**{**settings, **fields})


# ----------------------------------------------------------------------------- losses


def test_hinge_losses_stop_where_the_margin_is_kept() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert float(hinge_discriminator(real, fake)) == pytest.approx(0.25 + 0.5)
    assert float(hinge_generator(fake)) == pytest.approx(1.5)
    assert hinge_discriminator(real.bfloat16(), fake.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (3, 2, 2, 2)])
def test_orthogonal_penalty_is_the_squares_of_all_overlaps(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    rows = weight.detach().flatten(1)
    overlaps = rows @ rows.t() * (1 - torch.eye(len(rows), dtype=torch.float64))
    penalty = orthogonal_penalty([weight.detach(), 2 * weight.detach()])
    assert float(penalty) == pytest.approx(17 * float(overlaps.square().sum()))
    (gradient,) = torch.autograd.grad(orthogonal_penalty([weight]), weight)
    assert torch.allclose(gradient.flatten(1), 4 * overlaps @ rows)


# ----------------------------------------------------------------------------- a step


class Steps:
    """``run.update`` without steps: notes which parameters have gradients, and the gradients that accumulated."""

    def __init__(self) -> None:
        self.learning: list[tuple[bool, bool]] = []
        self.p: Players

    def __call__(self, optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        (loss / accumulate).backward()
        self.learning.append((has_gradients(self.p.G), has_gradients(self.p.D)))

    def forget(self) -> None:
        for player in (self.p.G, self.p.D):
            player.zero_grad(set_to_none=True)


def has_gradients(player: nn.Module) -> bool:
    return any(p.grad is not None for p in player.parameters())


def game(config: Config) -> tuple[Players, Iterator[tuple[Tensor, Tensor]], Any]:
    """Players of grey images of 8 pixels in 3 classes, real images, and noise."""
    torch.manual_seed(0)
    shape = architecture(config, 1, 3)
    generator, discriminator = Generator(shape), Discriminator(shape)
    begin(generator, config.init)
    begin(discriminator, config.init)
    p = players(generator, discriminator, config, CPU)

    def reals() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield torch.rand(config.batch_size, 1, 8, 8) * 2 - 1, torch.randint(3, (config.batch_size,))

    def noise() -> tuple[Tensor, Tensor]:
        return torch.randn(config.batch_size, generator.dim_z), torch.randint(3, (config.batch_size,))

    return p, reals(), noise


def test_only_one_player_has_gradients_at_a_time() -> None:
    config = small(augment=(), d_steps=1, accumulate=1)
    p, reals, noise = game(config)
    update = Steps()
    update.p = p

    def step(optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        update.forget()
        update(optimizer, loss, accumulate=accumulate)

    play(p, reals, noise, step, config, CPU)
    assert update.learning == [(False, True), (True, False)]


def test_accumulated_gradients_are_those_of_one_large_batch() -> None:
    whole, parts = small(augment=(), d_steps=1, accumulate=1, batch_size=16), small(augment=(), d_steps=1, batch_size=8)
    gradients: list[dict[str, Tensor]] = []
    for config in (whole, parts):
        p, _, _ = game(config)
        p.G.eval()  # batch norm of halves has other statistics
        random = torch.Generator().manual_seed(1)
        z, classes = torch.randn(32, 8, generator=random), torch.randint(3, (32,), generator=random)
        images, labels = torch.rand(16, 1, 8, 8, generator=random), torch.randint(3, (16,), generator=random)
        update = Steps()
        update.p = p
        reals = iter(zip(images.split(config.batch_size), labels.split(config.batch_size), strict=True))
        drawn = iter(zip(z.split(config.batch_size), classes.split(config.batch_size), strict=True))
        play(p, reals, lambda drawn=drawn: next(drawn), update, config, CPU)
        players_ = {"G": p.G, "D": p.D}
        gradients.append({f"{w}.{n}": q.grad for w, m in players_.items() for n, q in m.named_parameters()})  # type: ignore[misc]
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradients[1][name], gradient, rtol=1e-3, atol=1e-5), name


def test_the_class_embedding_is_not_made_orthogonal() -> None:
    config = small(augment=(), d_steps=1, accumulate=1, ortho_g=1.0)
    p, reals, noise = game(config)
    with torch.no_grad():
        p.G.get_parameter("embedding.weight").fill_(100.0)
    losses: list[float] = []

    def note(optimizer: Optimizer, loss: Tensor, *, accumulate: int) -> None:
        losses.append(float(loss.detach()))

    play(p, reals, noise, note, config, CPU)
    assert abs(losses[1]) < 1e5  # it would add some 1e9


def test_sending_fake_and_real_images_apart_gives_the_same_loss() -> None:
    seen = []
    for split in (False, True):
        config = small(split_d=split, augment=(), d_steps=1, accumulate=1)
        p, reals, noise = game(config)
        seen.append(play(p, reals, noise, lambda *_, **__: None, config, CPU)["loss_D"])
    assert torch.allclose(seen[0], seen[1], rtol=1e-3)  # the power iteration is a step further for the second part


def test_averaged_weights_are_a_copy_first_and_then_follow_buffers_included() -> None:
    generator = Generator(architecture(small(), 1, 3))
    average = Average(generator, decay=0.75, start=2)
    for value in (1.0, 5.0):
        with torch.no_grad():
            for tensor in generator.state_dict().values():
                tensor.fill_(value)
        average.update()
    assert {float(t.unique()) for t in average.module.state_dict().values()} == {2.0}
    again = Average(generator, decay=0.75, start=2)
    again.load_state_dict(average.state_dict())
    assert again.updates == 2 and float(again.module.norm.running_mean[0]) == 2.0
    assert not any(p.requires_grad for p in again.module.parameters())


# ----------------------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return biggan.train(small(out=str(tmp_path_factory.mktemp("biggan") / "whole")))


def test_a_run_logs_its_numbers_and_draws_its_sheets(whole: Path) -> None:
    for name in ("loss_D", "loss_G", "logit_real", "logit_fake"):
        assert len(log_series(whole, name)[1]) == 6
    for name in ("val_distance", "diversity", "sigma_G", "sigma_D"):
        assert len(log_series(whole, name)[1]) == 3
    assert [path.name for path in sorted((whole / "samples").iterdir())] == ["step_0000004.png", "step_0000006.png"]
    width, height = open_image(whole / "samples" / "step_0000006.png").size
    assert height > width > 8 * 64  # ten rows of eight


def test_what_is_saved_is_the_averaged_generator(whole: Path) -> None:
    generator, classes = read_generator(whole)
    assert classes == [str(digit) for digit in range(10)] and not generator.training
    parts = checkpoint.newest(whole / CHECKPOINTS)["parts"]  # type: ignore[index]
    for name, value in generator.state_dict().items():
        assert torch.equal(value, parts["average"]["module"][name])
    assert not torch.equal(generator.linear.weight, parts["G"]["linear.weight"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_killed_run_goes_on_bit_for_bit(
    precision: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if precision == "bf16":
        whole = biggan.train(small(out=str(tmp_path / "whole"), precision="bf16"))
    config = small(out=str(tmp_path / "killed"), precision=precision)
    steps = iter(range(5))

    def killed(*args: Any) -> Any:
        if next(steps) == 3:  # one step after a checkpoint
            raise KeyboardInterrupt
        return play(*args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "play", killed)
        with pytest.raises(KeyboardInterrupt):
            biggan.train(config)
    assert checkpoint.newest(tmp_path / "killed" / CHECKPOINTS)["run"]["step"] == 2  # type: ignore[index]
    resumed = biggan.train(config)
    ours, theirs = (checkpoint.newest(run / CHECKPOINTS) for run in (resumed, whole))
    assert ours and theirs and set(ours["parts"]) == {"G", "D", "opt_G", "opt_D", "average", "data", "watch"}
    (tensors, tree), (expected, expected_tree) = (checkpoint.flatten(state["parts"]) for state in (ours, theirs))
    assert tree == expected_tree and len(tensors) > 250
    assert [name for name in expected if not torch.equal(tensors[name], expected[name])] == []
    assert any(name.endswith(".u") for name in expected)
    assert log_series(resumed, "loss_D") == log_series(whole, "loss_D")


def test_a_collapse_stops_the_run_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "compare", lambda *_: {"val_distance": 1.0, "diversity": 0.01})
    config = small(out=str(tmp_path / "r"), steps=20, eval_every=1, patience=3)
    with caplog.at_level(logging.WARNING, "daybreak"):
        run = biggan.train(config)
    (told,) = (record.getMessage() for record in caplog.records)
    assert "stopped after step 3 of 20 (collapsed: samples of a class differ by 1%" in told
    assert not is_finished(run, 20)
    assert checkpoint.newest(run / CHECKPOINTS)["parts"]["watch"] == {"bad": 3}  # type: ignore[index]


# ----------------------------------------------------------------------------- the watch


HEALTHY = {"diversity": 0.8, "loss_D": 1.2, "loss_G": 0.3, "sigma_G": 4.0, "sigma_D": 2.0}


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ({"diversity": 0.1}, "samples of a class differ by 10%"),
        ({"loss_D": 0.01}, "the discriminator has won, with a loss of 0.010"),
        ({"loss_G": -2e3}, "the generator's loss is -2000"),
        ({"sigma_G": 2e3}, "a weight of G has a singular value of 2000"),
        ({"sigma_D": 2e3}, "a weight of D has a singular value of 2000"),
    ],
)
def test_every_symptom_of_a_collapse_is_told(sign: dict[str, float], words: str) -> None:
    assert symptom_of(HEALTHY) is None
    assert words in str(symptom_of({**HEALTHY, **sign}))


def test_a_collapse_has_to_last_and_one_good_validation_forgives() -> None:
    watch, sick = Watch(patience=2), {**HEALTHY, "diversity": 0.0}
    assert [watch.verdict(numbers) is None for numbers in (sick, HEALTHY, sick)] == [True] * 3
    assert "in 2 validations in a row" in str(watch.verdict(sick))
    later = Watch(patience=2)
    later.load_state_dict(watch.state_dict())
    assert "in 3 validations" in str(later.verdict(sick))
    never = Watch(patience=0)
    assert all(never.verdict(sick) is None for _ in range(9))


def test_the_distance_is_small_for_the_same_distribution_and_sees_labels_and_collapse() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    shapes = torch.randn(3, 1, 8, 8)
    real, fake = (shapes[labels] + torch.randn(60, 1, 8, 8) for _ in range(2))
    same = compare(real, fake, labels)
    assert abs(same["val_distance"]) < 0.2 and same["diversity"] == pytest.approx(1.0, abs=0.1)
    deaf = compare(real, fake.roll(1, 0), labels)  # the same images, of other labels
    assert deaf["val_distance"] > 1.0
    collapsed = compare(real, shapes[labels], labels)
    assert collapsed["diversity"] == 0.0 and collapsed["val_distance"] > same["val_distance"] + 0.1


def test_images_that_are_fewer_than_classes_are_compared_as_one() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 16, 16)
    numbers = compare(images, images.flip(3), torch.arange(4))
    assert set(numbers) == {"val_distance", "diversity"} and numbers["diversity"] == pytest.approx(1.0)


# ----------------------------------------------------------------------------- configs


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"resolution": 24}, "--resolution 24 cannot be: give one of 8, 16"),
        ({"data": "folder"}, "--data folder and --images PATH go together"),
        ({"images": "photos"}, "--data folder and --images PATH go together"),
        ({"attention": (16,)}, "--attention 16 cannot be at --resolution 8"),
        ({"shared_dim": 0}, "--shared-dim 0 goes only with --no-hier"),
        ({"model": "biggan-deep", "hier": False}, "leave out --no-hier"),
        ({"resolution": 32, "dim_z": 3}, "--dim-z 3 cannot be parted among 4 layers"),
    ],
)
def test_fields_that_do_not_go_together_are_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as mistake:
        replace(small(attention=()), **fields).check()
    assert words in str(mistake.value)


def test_every_preset_is_sound() -> None:
    for make in biggan.PRESETS.values():
        make().check()
