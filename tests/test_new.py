"""``daybreak new``: the template becomes a system that passes what every system must."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daybreak.engine.errors import UserError
from daybreak.new import new_system

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "docs" / "how-to" / "template"

pytestmark = pytest.mark.skipif(not TEMPLATE.is_dir(), reason="the template is in the checkout, not in the wheel")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `new` needs of the checkout."""
    shutil.copytree(ROOT / "daybreak", tmp_path / "daybreak", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TEMPLATE, tmp_path / "docs" / "how-to" / "template")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_new_system_passes_the_conformance_suite(checkout: Path) -> None:
    new_system("zebra", checkout)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_conformance.py", "-k", "zebra", "-p", "no:cacheprovider"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout and "skipped" not in done.stdout


@pytest.mark.parametrize("name", ["Zebra", "my-system", "1st", "class", "dawnbench", "../up", ""])
def test_a_name_that_cannot_be_is_refused_and_nothing_written(checkout: Path, name: str) -> None:
    before = sorted(checkout.rglob("*"))
    with pytest.raises(UserError):
        new_system(name, checkout)
    assert sorted(checkout.rglob("*")) == before


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="checkout"):
        new_system("zebra", tmp_path)
