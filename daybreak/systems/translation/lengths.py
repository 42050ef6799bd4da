"""Several networks side by side, by the length of the sentences: what one vector holds, and what attention adds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from daybreak import draw
from daybreak.engine import rundir
from daybreak.engine.claim import Curve
from daybreak.engine.errors import UserError
from daybreak.engine.strict import build, read_object

CURVE = "bleu_lc_by_words"
"""What ``evaluate`` calls BLEU by length, over all test sets together."""

Line = tuple[list[float], list[float]]  # words of the source, BLEU


def compare(sources: Sequence[Path], out: Path) -> list[str]:
    """Draw BLEU by length for each evaluated run, or record of several; returns a table, a line each.

    Raises UserError for a run that was not evaluated, a record without this curve, other test sentences than the first
    one's, and when ``out`` names no picture.
    """
    draw.kind_of(out)
    series: dict[str, Line] = {}
    for source in sources:
        name, line = _of_record(source) if source.suffix == ".json" else _of_run(source)
        if series and line[0] != next(iter(series.values()))[0]:
            raise UserError(
                f"{source} was tested on other sentences than {sources[0]}: give runs of one data set and direction"
            )
        series[f"{name} ({source})" if name in series else name] = line
    draw.curves(series, out, x_label="words of the source", y_label="BLEU, lower-cased", y_span=(0, 40))
    lengths = next(iter(series.values()))[0]
    head = f"{'words':<28}" + "".join(f"{length:>8.1f}" for length in lengths)
    return [head, *(f"{name:<28}" + "".join(f"{score:>8.1f}" for score in y) for name, (_, y) in series.items())]


def _of_record(path: Path) -> tuple[str, Line]:
    """The mean over a record's seeds."""
    for each in read_object(path).get("curves", []):
        curve = build(Curve, each, f"{path}: curves")
        if curve.name == CURVE:
            return path.stem, (curve.x[0], [fmean(of_seeds) for of_seeds in zip(*curve.y, strict=True)])
    raise UserError(f"{path} holds no BLEU by length: give a record of translation evaluate")


def _of_run(folder: Path) -> tuple[str, Line]:
    config: dict[str, Any] = rundir.read_config(folder)["config"]
    curves: dict[str, Any] = rundir.read_json(folder / rundir.CURVES) if (folder / rundir.CURVES).exists() else {}
    if CURVE not in curves:
        raise UserError(f"{folder} was not evaluated: daybreak translation evaluate {folder}")
    name = "Transformer"
    if config["model"] == "rnn":
        attention = "one vector" if config["attention"] == "none" else f"{config['attention']} attention"
        name = f"{config['cell'].upper()}, {attention}"
    return name, (curves[CURVE]["x"], curves[CURVE]["y"])
