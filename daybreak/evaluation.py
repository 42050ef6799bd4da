"""``daybreak <system> evaluate``: the official numbers of one run or of several, and the record of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daybreak.cli import parse
