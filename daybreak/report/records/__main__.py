"""The command ``python -m daybreak.report.records``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daybreak.engine.errors import UserError
from daybreak.report.records import tables

VERBS = {"check": tables.check, "tables": tables.tables, "stale": tables.stale}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the three verbs; returns the exit code: 1 when something is out of step, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m daybreak.report.records", description="Records and their tables.")
    parser.add_argument(
        "verb",
        choices=VERBS,
        help="check: name records that do not hold and files out of step; tables: write those files anew; "
        "stale: name records whose code has changed since",
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    given = parser.parse_args(arguments)
    try:
        if not (given.root / tables.BEST).parent.is_dir():
            raise UserError(
                f"{given.root.resolve()} is no checkout of daybreak: go to its root, or name it with --root"
            )
        lines = [str(line) for line in VERBS[given.verb](given.root)]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    for line in lines:
        print(line)
    return 1 if given.verb == "check" and lines else 0


if __name__ == "__main__":
    sys.exit(main())
