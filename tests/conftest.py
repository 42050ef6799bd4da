"""What all tests share: one torch thread, and the real data sets where they lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two test processes share two cores


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """``real_data("mnist")`` -> the data root that holds that folder; skips loudly where it is not there.

    DAYBREAK_REQUIRE_DATA names the folders without which the test fails instead.
    """

    def root_with(folder: str) -> Path:
        root = Path(os.environ.get("DAYBREAK_DATA", Path.home() / ".cache" / "daybreak" / "data"))
        if (root / folder).is_dir():
            return root
        text = f"{folder} is not under {root}: set DAYBREAK_DATA, or run `daybreak data prepare`"
        if folder in os.environ.get("DAYBREAK_REQUIRE_DATA", "").split():
            pytest.fail(text)
        pytest.skip(text)

    return root_with


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests could not see real data."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "set DAYBREAK_DATA" in str(r.longrepr)]
    if skipped:
        terminalreporter.section("real data", yellow=True)
        terminalreporter.line(
            f"{len(skipped)} tests did NOT run: their data sets are not under DAYBREAK_DATA", yellow=True
        )
