"""What the engine's tests share: a process to fork from, undisturbed runs to compare with, and what is compared."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # forks.py and toys.py are scripts, too

from forks import Forks  # noqa: E402

from daybreak.engine import checkpoint, rundir  # noqa: E402


def outcome(folder: Path) -> dict[str, Any]:
    """All that two equal runs have in common, to the last bit: weights, state, data position, log; no seconds."""
    last = checkpoint.whole(folder / rundir.CHECKPOINTS)[-1]
    state = json.loads((last / checkpoint.STATE).read_text(encoding="utf-8"))
    del state["tree"]["run"]["seconds"]
    result = rundir.read_json(folder / rundir.RESULT)
    return {
        "checkpoint": last.name,
        "weights": hashlib.sha256((folder / rundir.WEIGHTS).read_bytes()).hexdigest(),
        "tensors": hashlib.sha256((last / checkpoint.TENSORS).read_bytes()).hexdigest(),
        "state": hashlib.sha256(json.dumps(state).encode()).hexdigest(),
        "data": state["tree"]["parts"].get("data"),
        "log": [{k: v for k, v in line.items() if k != "seconds"} for line in rundir.read_log(folder)],
        "metrics": result["metrics"],
        "log is whole": result["log_sha256"] == rundir.log_digest(folder),
        "left over": [path.name for path in folder.rglob(".tmp_*")],
    }


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A process to fork training processes from."""
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def undisturbed(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``undisturbed(loop, **fields)``: folder of a run that nothing happened to; each is made once."""
    folders: dict[str, Path] = {}

    def run(loop: str, **fields: Any) -> Path:
        key = f"{loop} {sorted(fields.items())}"
        if key not in folders:
            folder = tmp_path_factory.mktemp("undisturbed") / "run"
            assert forks.run(loop, folder, **fields) == (0, "")
            folders[key] = folder
        return folders[key]

    return run
