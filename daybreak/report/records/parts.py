"""What each part of a recipe is worth: variants trained with the same seeds, in turns, and the table of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from daybreak.report.records.record import Mark, Measurement, Record
from daybreak.report.records.rows import Rows

Numbers = dict[str, float]
"""Of one training: ``accuracy`` in percent, the CPU ``seconds``, and its ``wall`` seconds."""


def parts_arguments(description: str, names: Sequence[str], seeds: list[int]) -> argparse.ArgumentParser:
    """The flags of a benchmark of parts: --seeds, --only, --rows, --results."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--seeds", type=int, nargs="+", default=seeds)
    arguments.add_argument(
        "--only", nargs="+", choices=names, metavar="VARIANT", help="names of variants; nothing is recorded then"
    )
    arguments.add_argument("--rows", type=Path, help="file that keeps what was measured, to go on after a stop")
    arguments.add_argument("--results", type=Path, default=Path("results"))
    return arguments


def measure_parts(
    names: Sequence[str], seeds: Sequence[int], kept: Path | None, measure: Callable[[str, int], Numbers]
) -> dict[str, list[Numbers]]:
    """Every variant with every seed, in turns, so that a busy machine is busy for all of them alike.

    Stopped, and called again with the same file of ``kept`` rows, it goes on.
    """
    rows = Rows(kept)
    results: dict[str, list[Numbers]] = {name: [] for name in names}
    for seed in seeds:
        for name in names:
            numbers = rows.get(name, seed, partial(measure, name, seed))
            results[name].append(numbers)
            print(f"{seed} {name:<34}{numbers['accuracy']:8.2f} % {numbers['seconds']:8.1f} CPU s", flush=True)
    return results


def parts_table(results: dict[str, list[Numbers]]) -> list[Measurement]:
    """Accuracy and CPU seconds of every variant; the first of them, the recipe, stands beside each."""
    recipe, whole = next(iter(results.items()))
    measurements = []
    for name, rows in results.items():
        slug = name.translate(str.maketrans(" ", "_", ",%'.()")).lower()
        accuracies, times = ([row[number] for row in rows] for number in ("accuracy", "seconds"))
        of = Mark(recipe, round(mean(row["accuracy"] for row in whole), 2))
        measurements.append(Measurement(f"{slug}_accuracy", "%", accuracies, anchor=of, how=name))
        took = Mark(recipe, round(mean(row["seconds"] for row in whole), 1))
        measurements.append(Measurement(f"{slug}_seconds", "CPU s", times, anchor=took, how=name, better="lower"))
    return measurements


def parts_record(
    system: str, name: str, claim: str, benchmark: str, results: dict[str, list[Numbers]], seeds: Sequence[int]
) -> Record:
    """The record ``results/<system>/<name>.json`` of what ``dev.py bench <benchmark>`` measured."""
    return Record(
        system=system,
        name=name,
        claim=claim,
        commands=[f"python3 dev.py bench {benchmark} --seeds " + " ".join(map(str, seeds))],
        attempts="all seeds are listed; --rows keeps what is measured, to go on in another call",
        measurements=parts_table(results),
        seeds=list(seeds),
        seconds=sum(row["wall"] for rows in results.values() for row in rows),
    )
