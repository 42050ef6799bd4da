"""One short training of each loop, for all tests that need a finished run."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybreak.systems import biggan
from daybreak.systems.biggan.config import Config
from daybreak.systems.biggan.features.config import features_tiny


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits after a few steps, which nobody could read; all else is as in a good run."""
    config = Config(
        ch=2, dim_z=8, shared_dim=6, batch_size=8, held_out=20, steps=8, save_every=8, eval_every=8, sample_every=8,
        ema=0.5, ema_start=2, precision="fp32", out=str(tmp_path_factory.mktemp("digits") / "run"),
    )  # fmt: skip
    return biggan.train(config)


@pytest.fixture(scope="session")
def features_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature net that knows digits a little."""
    config = features_tiny()
    config.out, config.precision, config.steps = str(tmp_path_factory.mktemp("features") / "run"), "fp32", 12
    return biggan.train_features(config)
