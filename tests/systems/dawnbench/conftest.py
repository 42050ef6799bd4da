"""A run of two steps; and a finished one on CIFAR-10 as it lies on the disk, without the minutes of training it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daybreak.engine.config import to_json
from daybreak.systems import dawnbench
from daybreak.systems.dawnbench.config import cifar10

SESSION = {
    "daybreak": "0.1.0", "commit": "0123456789abcdef", "torch": "2.15.0", "device": "cpu", "precision": "fp32",
    "processor": "Some(R) Processor", "cores": 2, "threads": 2, "world": 1, "started": "2026-11-22T10:00:00+00:00",
}  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``tiny``, two steps long: not to be written to."""
    config = dawnbench.tiny()
    config.out, config.steps = str(tmp_path_factory.mktemp("trained") / "run"), 2
    return dawnbench.train(config)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """``make_run("a", seconds=400.0, accuracy=94.1)`` -> its run directory.

    ``rows`` of (epoch, seconds, accuracy) are evaluations on held-out images; other keywords change the config.
    """

    def make(
        name: str, seconds: float = 400.0, accuracy: float = 94.1, rows: Any = (), session: Any = None, **config: Any
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)

        def write(file: str, value: Any) -> None:
            (folder / file).write_text(json.dumps(value))

        settings = {**to_json(cifar10()), "held_out": 500 if rows else 0, **config}
        stored = {"format": 1, "system": "dawnbench", "preset": "cifar10", "loop": "train", "config": settings}
        lines = [{"step": i, "seconds": s, "epoch": e, "val_accuracy": a} for i, (e, s, a) in enumerate(rows)]
        log = "".join(json.dumps(line) + "\n" for line in lines or [{"step": 9, "seconds": seconds, "loss": 1.0}])
        (folder / "log.jsonl").write_text(log)
        digest = hashlib.sha256(log.encode()).hexdigest()
        write("config.json", stored)
        write("environment.json", {"sessions": [session or SESSION]})
        write("result.json", {"format": 1, "steps": 10, "seconds": seconds, "metrics": {}, "log_sha256": digest})
        write("evaluation.json", {"format": 1, "metrics": {"test_accuracy": accuracy}})
        return folder

    return make
