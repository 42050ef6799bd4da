"""``daybreak <system> train``: from words to runs, one a seed, each with its report."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from daybreak.cli import parse, unknown
from daybreak.engine.config import RunConfig, to_json
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import RESULT, clear, is_finished, read_json
from daybreak.systems import package


@dataclass
class Call:
    """What belongs to this call and not to the run."""

    seeds: tuple[int, ...] = ()
    """Train one run a seed, in <out>/seed_N; finished ones are left as they are."""
    fresh: bool = False
    """Delete what an earlier run left in the run directory, and start over."""
    print_config: bool = False
    """Print what would run as JSON, and do nothing."""


def run_loop(system: str, loop: str, presets: dict[str, Callable[[], RunConfig]], words: list[str]) -> None:
    """``daybreak <system> <loop> [preset] [--flags]``."""
    name = words.pop(0) if words and not words[0].startswith("-") else next(iter(presets))
    if name not in presets:
        raise UserError(unknown(f"preset of {system} {loop}", name, presets) + f"; see: daybreak {system} --help")
    call, config = read_flags(presets[name](), words, f"daybreak {system} {loop} {name}")
    configs = [config] if not call.seeds else [with_seed(config, seed) for seed in call.seeds]
    if call.print_config:
        for each in configs:
            print(json.dumps(describe(each), indent=1))
        return
    for each in configs:
        if call.fresh and is_main():
            clear(Path(each.folder))
        elif call.seeds and is_finished(Path(each.folder), each.steps):
            print(f"{each.folder} is finished already")
            continue
        folder = getattr(package(system), loop)(each)
        if not tell(system, folder, each.steps):
            return  # stopped by a signal or the budget: the next seed would be, too


def read_flags(config: Any, words: list[str], program: str) -> tuple[Call, Any]:
    """The call's own flags and the config's, flat, in one help page."""
    import tyro

    flat = tyro.conf.OmitArgPrefixes
    both = make_dataclass("Flags", [("call", flat[Call]), ("config", flat[type(config)])])
    both.__doc__ = f"{(type(config).__doc__ or '').strip()}"
    flags = parse(both, words, program, default=both(Call(), config))
    flags.config.preset = config.preset
    flags.config.check()
    return flags.call, flags.config


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The same run with another seed, in a folder of its own."""
    base = config.out or f"runs/{config.system}-{config.preset}"
    changed = dataclasses.replace(config, seed=seed, out=f"{base}/seed_{seed}")
    changed.preset = config.preset
    return changed


def describe(config: RunConfig) -> dict[str, Any]:
    """The config as ``--print-config`` shows it, run directory resolved."""
    resolved = copy.copy(config)
    resolved.out = config.folder
    return {"system": config.system, "preset": config.preset, "config": to_json(resolved)}


def tell(system: str, folder: Path, steps: int) -> bool:
    """Write the run's page and say how it went. Returns whether the run is finished."""
    finished = is_finished(folder, steps)
    if not is_main():
        return finished
    from daybreak.report.page import page

    report = page(folder)
    if not finished:
        return False
    result = read_json(folder / RESULT)
    numbers = "  ".join(f"{name} {value:.4g}" for name, value in result["metrics"].items() if value is not None)
    print(f"{folder} is finished: {steps} steps in {result['seconds']:.1f} s  {numbers}")
    print(f"report: {report}\nnext:   daybreak {system} evaluate {folder}", file=sys.stderr)
    return True


def is_main() -> bool:
    """Whether this is the process of torchrun's that writes and talks."""
    return os.environ.get("RANK", "0") == "0"
