"""What is not finite stops the run before the weights move, on a CPU at once, on a GPU before the next save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from torch import Tensor, nn
from toys import LOOPS, ToyConfig

from daybreak.engine import checkpoint, rundir
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.guard import Diverged, Guard, NotFinite
from daybreak.engine.run import Run

NAN, INF = float("nan"), float("inf")


def finite(folder: Path) -> bool:
    """Whether everything in the newest checkpoint is finite."""
    tensors, _ = checkpoint.flatten(checkpoint.newest(folder / rundir.CHECKPOINTS))
    assert len(tensors) > 5
    return all(bool(t.isfinite().all()) for t in tensors.values())


@pytest.mark.parametrize(("poison", "what"), [("data:12", "the loss"), ("loss:12", "the loss")])
def test_a_poisoned_step_is_named_and_the_last_checkpoint_is_good(poison: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(Diverged) as error:
        LOOPS["supervised"](ToyConfig(out=str(tmp_path), poison=poison))
    assert str(error.value) == (
        f"{what} is not finite in step 12 (first in model.0.weight), next of data is epoch 1 index 1: the weights were "
        "not moved (last checkpoint: step 7); lower --lr, or look at these data"
    )
    assert isinstance(error.value, UserError)
    assert checkpoint.newest(tmp_path / rundir.CHECKPOINTS)["run"]["step"] == 7
    assert finite(tmp_path) and not (tmp_path / rundir.RESULT).exists()


def test_a_diverged_run_goes_on_from_its_last_checkpoint_when_the_cause_is_gone(
    tmp_path: Path, undisturbed: Callable[..., Path]
) -> None:
    from outcome import outcome

    class Bad(ToyConfig):
        may_change = ToyConfig.may_change | {"poison"}

    with pytest.raises(Diverged):
        LOOPS["supervised"](Bad(out=str(tmp_path), poison="data:12"))
    LOOPS["supervised"](Bad(out=str(tmp_path)))
    assert outcome(tmp_path) == outcome(undisturbed("supervised"))


def train(
    out: Path,
    loss_of: Callable[[int, Tensor], list[Tensor]],
    optimizer_of: Callable[..., Any] = torch.optim.SGD,
    latching: bool = False,
) -> list[Tensor]:
    """Ten steps of a model whose losses are ``loss_of(step, output)``, one a micro-batch; weights after every step."""
    weights: list[Tensor] = []
    with Run(ToyConfig(out=str(out), steps=10, log_every=4, save_every=2)) as run:
        run._guard.latching = latching
        model = nn.Linear(2, 1)
        optimizer = optimizer_of(model.parameters(), lr=0.1)
        weights.append(model.weight.detach().clone())
        try:
            for step in run.steps(model=model, optimizer=optimizer):
                count = len(loss_of(step, torch.zeros(())))
                for i in range(count):
                    losses = loss_of(step, model(torch.ones(2)).sum())
                    run.update(optimizer, losses[i], accumulate=count)
                run.log(loss=losses[-1])
                weights.append(model.weight.detach().clone())
        finally:
            weights.append(model.weight.detach().clone())
    return weights


@pytest.mark.parametrize(
    ("name", "bad", "what"),
    [
        ("an exploding gradient", lambda y: (y - y.detach()) * 1e38 * 10, "the gradient"),
        ("NaN in the first micro-batch", lambda y: [y * NAN, y], "the loss"),
        ("NaN in the second micro-batch", lambda y: [y, y * NAN], "the loss"),
        ("inf in the first micro-batch's loss alone", lambda y: [y + INF, y], "the loss"),
        ("infinities that cancel", lambda y: [y + INF, y - INF], "the loss"),
        ("a finite loss with a NaN gradient", lambda y: (y - y.detach()).abs().sqrt() * 0, "the gradient"),
    ],
)
def test_weights_do_not_move(name: str, bad: Callable[[Tensor], Any], what: str, tmp_path: Path) -> None:
    weights: list[Tensor] = []  # of the moving model
    steps: list[int] = []

    def loss_of(step: int, y: Tensor) -> list[Tensor]:
        value = bad(y) if step == 5 else y
        return value if isinstance(value, list) else [value]

    def optimizer_of(parameters: Any, lr: float) -> Any:
        optimizer = torch.optim.SGD(parameters, lr)
        weights.append(optimizer.param_groups[0]["params"][0])
        optimizer.register_step_pre_hook(lambda *_: steps.append(len(steps)))
        return optimizer

    with pytest.raises(Diverged, match=rf"^{what} is not finite in step 5.*last checkpoint: step 4"):
        train(tmp_path, loss_of, optimizer_of)
    assert steps == [0, 1, 2, 3, 4]
    assert weights[0].isfinite().all()
    stored = checkpoint.newest(tmp_path / rundir.CHECKPOINTS)["parts"]["model"]["weight"]
    assert (stored - 0.1 - weights[0]).abs().max() < 1e-6  # one step, 4, after the checkpoint, and no more


def fused(kind: Any, **options: Any) -> Callable[..., Any]:
    return lambda parameters, lr: kind(parameters, lr=lr, fused=True, **options)


FUSED = {
    "SGD": fused(torch.optim.SGD, momentum=0.9),
    "Adam": fused(torch.optim.Adam),
    "AdamW": fused(torch.optim.AdamW),
}


@pytest.mark.parametrize("kind", FUSED)
def test_a_latched_fault_freezes_the_weights_and_is_raised_before_the_next_save(kind: str, tmp_path: Path) -> None:
    """The GPU's way, on a CPU: nothing waits, the fused optimizer skips by itself."""
    after: list[Tensor] = []

    def loss_of(step: int, y: Tensor) -> list[Tensor]:
        return [y * NAN if step == 4 else y]

    def optimizer_of(parameters: Any, lr: float) -> Any:
        optimizer = FUSED[kind](parameters, lr)
        optimizer.register_step_post_hook(lambda *_: after.append(optimizer.param_groups[0]["params"][0].clone()))
        return optimizer

    with pytest.raises(Diverged, match=r"^the loss or the gradient is not finite in step 4: .*last checkpoint: step 4"):
        train(tmp_path, loss_of, optimizer_of, latching=True)
    assert len(after) == 6  # steps 0 to 5; the save after step 5 asked the device
    assert all(a.isfinite().all() for a in after)
    assert not after[3].equal(after[2])
    assert after[4].equal(after[3]) and after[5].equal(after[3])
    assert finite(tmp_path)


def test_latching_changes_no_result(tmp_path: Path) -> None:
    def loss_of(step: int, y: Tensor) -> list[Tensor]:
        return [(y - step) ** 2]

    for kind, optimizer_of in FUSED.items():
        latched = train(tmp_path / kind / "latched", loss_of, optimizer_of, latching=True)
        checked = train(tmp_path / kind / "checked", loss_of, optimizer_of)
        assert all(a.equal(b) for a, b in zip(latched, checked, strict=True))


def test_the_first_fault_is_kept() -> None:
    guard = Guard(Device(torch.device("cpu"), bf16=False))
    guard.latching = True
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1, fused=True)
    good, bad = torch.tensor(1.0), torch.tensor(NAN)
    guard.check(optimizer, 0, good, guard.spoilt([good]))
    guard.read()
    for step, loss, gradient in [(1, good, good), (2, good, bad), (3, bad, good), (4, good, good)]:
        guard.check(optimizer, step, loss, guard.spoilt([good, gradient]))
    with pytest.raises(NotFinite) as fault:
        guard.read()
    assert fault.value.step == 2


def test_without_a_fused_optimizer_the_check_is_made_at_once() -> None:
    guard = Guard(Device(torch.device("cpu"), bf16=False))
    guard.latching = True
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1, foreach=True)
    with pytest.raises(NotFinite, match="the gradient"):
        guard.check(optimizer, 0, torch.tensor(1.0), guard.spoilt([torch.tensor(INF)]))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_one_spoilt_number_anywhere_is_seen_and_good_gradients_stay_as_they_are(
    value: float, dtype: torch.dtype
) -> None:
    guard = Guard(Device(torch.device("cpu"), bf16=False))
    shapes = [(3,), (4, 2, 3, 3), (1,), (129, 65)]
    good = [torch.randn(shape).to(dtype).contiguous() for shape in shapes]
    good[1] = good[1].to(memory_format=torch.channels_last)
    before = [gradient.clone() for gradient in good]
    assert guard.spoilt(good).item() == 0
    assert all(torch.equal(a, b) for a, b in zip(good, before, strict=True))
    for i, gradient in enumerate(good):
        spoilt = [g.clone() for g in good]
        spoilt[i][(-1,) * gradient.dim()] = value
        assert guard.spoilt(spoilt).item() == 1


def test_only_a_gpu_latches() -> None:
    assert not Guard(Device(torch.device("cpu"), bf16=False)).latching
    if torch.cuda.is_available():
        assert Guard(Device(torch.device("cuda"), bf16=False)).latching


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_stops_before_the_save(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="in step 4"), Run(ToyConfig(out=str(tmp_path), device="cuda", steps=10)) as run:
        model = run.device.wrap(toys.mlp(8, 1))
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for step in run.steps(model=model, optimizer=optimizer):
            x = torch.ones(4, 8, device=run.device.torch) * (NAN if step == 4 else 1.0)
            run.update(optimizer, model(x).sum(), clip=1.0)
    assert all(p.isfinite().all() for p in model.parameters())
