"""What a person at a terminal sees of a run: a bar with speed, time left and the latest numbers."""

from __future__ import annotations

import sys
import time
from typing import Any

REFRESH = 0.2  # seconds between two updates: a bar must not cost the steps anything


class Progress:
    """A progress bar on a terminal; nothing at all anywhere else."""

    def __init__(self, title: str, done: int, total: int, show: bool = True, unit: str = "steps") -> None:
        self.bar: Any = None
        self.unit = unit
        self.shown = 0.0
        if not (show and sys.stderr.isatty()):
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[numbers]}", style="cyan"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self.task = self.bar.add_task(title, total=total, completed=done, speed="", numbers="")
        self.bar.start()

    def update(self, done: int) -> None:
        """``done`` steps are done."""
        if self.bar is None or (now := time.monotonic()) - self.shown < REFRESH:
            return
        self.shown = now
        speed = self.bar.tasks[0].speed
        self.bar.update(self.task, completed=done, speed=f"{speed:,.1f} {self.unit}/s" if speed else "")

    def numbers(self, values: dict[str, float]) -> None:
        """Show the latest numbers of the log."""
        if self.bar is not None:
            self.bar.update(self.task, numbers="  ".join(f"{name} {value:.4g}" for name, value in values.items()))

    def close(self, done: int) -> None:
        """Leave the finished bar on the screen."""
        if self.bar is not None:
            self.bar.update(self.task, completed=done)
            self.bar.stop()
