from __future__ import annotations

import hashlib
import json

import pytest

SESSION = {
    "device": "cpu",
    "cores": 2,
    "threads": 1,
    "torch": "2.15.0",
    "started": "2026-11-22T13:00:00+00:00",
    "command": ["/usr/bin/daybreak", "dawnbench", "train", "digits", "--out", "runs/my digits"],
}
LINES = [
    {"step": step, "seconds": step / 10, "loss": 5 / step, "val_accuracy": step / 10} for step in range(10, 1001, 10)
]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    + "1f15c4890000000d49444154789c6360f8cf0000000301010018dd8db0"
    + "0000000049454e44ae426082"
)


@pytest.fixture
def make_run(tmp_path):
    """Make a run directory; keyword arguments replace what stands in its files (None: no such file)."""

    def make(name="run", about=None, config=None, sessions=(SESSION,), log=LINES, metrics=None, result=True):
        folder = tmp_path / name
        folder.mkdir()
        stored = {"seed": 1, "steps": 1000, "minutes": None, "lr": 0.1, **(config or {})}
        head = {"format": 1, "system": "dawnbench", "preset": "digits", "loop": "train", "config": stored}
        (folder / "config.json").write_text(json.dumps({**head, **(about or {})}))
        if sessions is not None:
            (folder / "environment.json").write_text(json.dumps({"sessions": list(sessions)}))
        text = log if isinstance(log, str) else "".join(json.dumps(line) + "\n" for line in log)
        (folder / "log.jsonl").write_text(text)
        if result:
            digest = hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest()
            end = {"format": 1, "steps": 1000, "seconds": 321.0, "cost": 0.0178, "log_sha256": digest}
            (folder / "result.json").write_text(json.dumps({**end, "metrics": metrics or {"accuracy": 98.1234}}))
        (folder / "samples").mkdir()
        return folder

    return make


@pytest.fixture
def pixel():
    """A PNG of one pixel."""
    return PIXEL
