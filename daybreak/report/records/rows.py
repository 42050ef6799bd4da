"""What a long benchmark has measured so far: a stop loses one training, and not all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import commit_of


class Rows:
    """A file with a line for each training of a seed, all of one commit; without a path, nothing is kept.

    Raises UserError for a file that another commit wrote, or that is not of this kind.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.commit, _ = commit_of(Path(__file__).resolve().parents[3])
        lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
        try:
            self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
            commits = {row["commit"] for row in self.rows}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no file of rows ({error}): give another --rows") from error
        if others := commits - {self.commit}:
            raise UserError(f"{path} has rows of commit {others.pop()}: go on there, or give another --rows")

    def get(self, name: str, seed: int, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The numbers of a training: those that were kept, or else measured now, and kept."""
        for row in self.rows:
            if (row["name"], row["seed"]) == (name, seed):
                return row["numbers"]
        row = {"name": name, "seed": seed, "numbers": measure(), "commit": self.commit}
        self.rows.append(row)
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return row["numbers"]
