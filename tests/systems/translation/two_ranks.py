"""``python two_ranks.py FOLDER``: a short training alone, and the same as two ranks, in forks of one process."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from daybreak.systems.translation.config import Config, tiny
from daybreak.systems.translation.train import train

sys.path.append(str(Path(__file__).parents[2]))

from children import two_ranks


def config(out: Path) -> Config:
    """Eight steps without noise; batches so small that some have one pair, fewer than there are ranks."""
    short = tiny()
    short.out, short.device, short.precision = str(out), "cpu", "fp32"
    short.pairs, short.held_out, short.dropout = 100, 10, 0.0
    short.hidden_size, short.ff_size, short.longest, short.tokens, short.strata = 16, 16, 40, 160, 2
    short.steps, short.log_every, short.eval_every = 30, 1, 30
    return short


def main(folder: Path) -> None:
    """Train alone, then as two ranks; raises SystemExit when one of them fails."""
    train(config(folder / "one"))
    if any(codes := two_ranks(partial(train, config(folder / "two")))):
        raise SystemExit(f"ranks ended with {codes}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
