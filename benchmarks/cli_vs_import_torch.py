# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""CPU seconds until the command line has answered help, a list, a typo and a wrong value, against ``import torch``.

python3 dev.py bench cli_vs_import_torch
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from daybreak.report.records import Measurement, Record, write

ROUNDS = 7
ANSWERS = {
    "help": ["-m", "daybreak", "--help"],
    "list": ["-m", "daybreak", "list"],
    "typo": ["-m", "daybreak", "dawnbench", "trian"],
    "wrong_value": ["-m", "daybreak", "dawnbench", "train", "--lr", "fast"],
    "help_of_train": ["-m", "daybreak", "dawnbench", "train", "--help"],
}
PEER = ["-c", "import torch"]


def main() -> None:
    """Measure in turns, print the medians, and write ``results/engine/cli.json``."""
    started = time.monotonic()
    every = {**ANSWERS, "import torch": PEER}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for _ in range(ROUNDS):
        for name, words in every.items():
            seconds[name].append(cpu_seconds(words))
    for name, values in seconds.items():
        print(f"{name:<16}{statistics.median(values):.3f} s")
    slowest = max(ANSWERS, key=lambda name: statistics.median(seconds[name]))
    pairs = [torch / ours for torch, ours in zip(seconds["import torch"], seconds[slowest], strict=True)]
    record = Record(
        system="engine",
        name="cli",
        claim="the command line answers help, lists and mistakes in under half a second of CPU time, without torch",
        commands=["python3 dev.py bench cli_vs_import_torch"],
        attempts=f"one call of {ROUNDS} rounds, all are listed",
        measurements=[
            *(Measurement(f"{name}_seconds", "CPU s", seconds[name], 0.5, better="lower") for name in ANSWERS),
            Measurement("slowest_answer_ratio", "x", pairs, peer="import torch", how="CPU seconds, in turns"),
        ],
        seconds=time.monotonic() - started,
    )
    print(write(record, Path("results")))


def cpu_seconds(words: list[str]) -> float:
    """User and system time of one process and its children."""
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0  # it has been waited for
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
