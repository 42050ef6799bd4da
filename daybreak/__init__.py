"""daybreak: the deep-learning systems of the start of 2019, trained, measured and used from one install."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__version__ = version("daybreak")


def load(run_dir: Any, device: str = "auto") -> Any:
    """Open a run directory: it knows its system, whose ``load`` gives the object with the system's own verb."""
    from daybreak.systems import load

    return load(run_dir, device)
