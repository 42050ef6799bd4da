"""Training: AdamW with 1cycle on the squared error."""

from __future__ import annotations

from pathlib import Path

import torch
from daybreak.systems.template.config import Config
from daybreak.systems.template.data import Points
from daybreak.systems.template.model import Curve
from torch.nn.functional import mse_loss

from daybreak.data.loader import Loader
from daybreak.engine.optim import Schedule, one_cycle
from daybreak.engine.run import Run


def train(config: Config) -> Path:
    """Fit the curve. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        model = run.device.wrap(Curve(config.hidden_size))
        optimizer = torch.optim.AdamW(model.parameters(), config.lr)
        schedule = Schedule(optimizer, lr=one_cycle(config.lr, config.steps))
        points = Points(config.points, config.noise, config.seed)
        data = Loader(points, config.batch_size, config.seed, shard=run.device.shard)
        for _ in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            x, y = run.device.place(next(data))  # (B, 1) each
            with run.device.autocast():
                loss = mse_loss(model(x).float(), y)
            run.update(optimizer, loss)
            schedule.step()
            run.log(loss=loss)
        run.save_weights(model)
    return run.folder
