"""Columns on the terminal."""

from __future__ import annotations

import sys
from typing import Any


def table(header: list[str], rows: list[list[str]]) -> None:
    """Print columns: on a terminal as wide as it is, elsewhere in full."""
    from rich.console import Console
    from rich.table import Table

    view = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        view.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(view)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
