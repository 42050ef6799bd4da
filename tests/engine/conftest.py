"""What the engine's tests share: a process to fork from, and undisturbed runs to compare with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # forks.py and toys.py are scripts, too

from forks import Forks


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
