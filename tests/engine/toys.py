"""Three toy loops in the shapes of real ones: supervised, adversarial, self-play. A test runs them in a process of
their own: ``python toys.py LOOP OUT [field=value ...]``."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from daybreak.data.loader import Loader
from daybreak.engine.config import RunConfig
from daybreak.engine.optim import EMA, Schedule, one_cycle
from daybreak.engine.run import Run


@dataclass(kw_only=True)
class ToyConfig(RunConfig):
    """A toy's fields."""

    system: ClassVar[str] = "toy"

    device: Any = "cpu"
    steps: int = 60
    log_every: int = 5
    save_every: int = 7
    lr: float = 0.01
    batch_size: int = 16
    pause: float = 0.0
    """Seconds to sleep in each step, so that a kill falls between steps, too."""
    poison: str = ""
    """"data:12" makes the data of step 12 NaN; "loss:12" its loss infinite."""
    interrupt: str = ""
    """"SIGTERM:12" sends that signal to this process in step 12; "SIGTERM:12:1" to rank 1 alone."""
    noise: float = 0.01
    """Standard deviation of the noise on the supervised toy's outputs."""

    def misbehave(self, step: int) -> None:
        """Be slow, or be stopped from outside."""
        time.sleep(self.pause)
        name, at, rank = (*self.interrupt.split(":"), "", "", "")[:3]
        if at == str(step) and rank in ("", os.environ.get("RANK", "0")):
            os.kill(os.getpid(), signal.Signals[name])


class Rows:
    """A regression set: inputs (N, 8), targets (N, 1)."""

    def __init__(self, count: int = 200) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(count, 8, generator=generator)
        self.y = self.x.sin().sum(1, keepdim=True)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[indices], self.y[indices]


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def supervised(config: ToyConfig) -> Path:
    with Run(config) as run:
        model = run.device.wrap(mlp(8, 1))
        optimizer = torch.optim.AdamW(model.parameters(), config.lr)
        schedule = Schedule(optimizer, lr=one_cycle(config.lr, 60))
        data = Loader(Rows(), config.batch_size, config.seed, shard=run.device.shard)
        parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "data": data}
        for step in run.steps(**parts):
            x, y = next(data)
            if config.poison == f"data:{step}":
                x = x * float("nan")
            loss = mse_loss(model(x) + config.noise * torch.randn(len(x), 1), y)
            if config.poison == f"loss:{step}":
                loss = loss * float("inf")
            run.update(optimizer, loss, clip=1.0)
            schedule.step()
            run.log(loss=loss)
            config.misbehave(step)
        run.save_weights(model)
    return run.folder


def adversarial(config: ToyConfig) -> Path:
    with Run(config) as run:
        G, D = mlp(4, 8), mlp(8, 1)
        opt_G, opt_D = torch.optim.Adam(G.parameters(), config.lr), torch.optim.Adam(D.parameters(), config.lr)
        ema = EMA(G, 0.9)
        data = Loader(Rows(), config.batch_size, config.seed)
        for step in run.steps(G=G, D=D, opt_G=opt_G, opt_D=opt_D, ema=ema, data=data):
            for _ in range(2):
                real, _ = next(data)
                fake = G(torch.randn(len(real), 4)).detach()
                loss_D = softplus(-D(real)).mean() + softplus(D(fake)).mean()
                run.update(opt_D, loss_D)
            loss_G = softplus(-D(G(torch.randn(config.batch_size, 4)))).mean()
            run.update(opt_G, loss_G)
            ema.update()
            run.log(loss_D=loss_D, loss_G=loss_G)
            config.misbehave(step)
        run.save_weights(ema.module)
    return run.folder


class Replay:
    """The last games, sampled with Python's and NumPy's generators, as a careless user would."""

    def __init__(self) -> None:
        self.games: list[tuple[Tensor, float]] = []

    def extend(self, games: list[tuple[Tensor, float]]) -> None:
        self.games = (self.games + games)[-64:]

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        chosen = [self.games[random.randrange(len(self.games))] for _ in range(count)]
        return torch.stack([x for x, _ in chosen]), torch.tensor([[z] for _, z in chosen])

    def state_dict(self) -> dict[str, Any]:
        return {"games": self.games}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.games = state["games"]


def self_play(config: ToyConfig) -> Path:
    with Run(config) as run:
        net = mlp(8, 1)
        optimizer = torch.optim.SGD(net.parameters(), config.lr, momentum=0.9)
        replay = Replay()
        for step in run.steps(net=net, optimizer=optimizer, replay=replay):
            games = [torch.from_numpy(np.random.randn(8).astype(np.float32)) for _ in range(4)]
            replay.extend([(x, float(x.sum() > net(x).item())) for x in games])
            for _ in range(2):
                x, z = replay.sample(config.batch_size)
                loss = mse_loss(net(x), z)
                run.update(optimizer, loss)
            run.log(loss=loss)
            config.misbehave(step)
        run.save_weights(net)
    return run.folder


LOOPS = {"supervised": supervised, "adversarial": adversarial, "self_play": self_play}


def main(loop: str, out: str, *fields: str) -> None:
    """Run a toy loop; ``fields`` are "name=value"."""
    torch.set_num_threads(1)
    config = ToyConfig(out=out)
    for name, value in (field.split("=", 1) for field in fields):
        setattr(config, name, type(getattr(config, name))(value))
    LOOPS[loop](config)


if __name__ == "__main__":
    from daybreak.engine.errors import UserError

    try:
        main(*sys.argv[1:])
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(2)
