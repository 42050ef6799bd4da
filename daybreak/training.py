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

from daybreak.cli import parse
from daybreak.engine.config import RunConfig, to_json
from daybreak.engine.errors import UserError, unknown
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
    if call.seeds and config.seed != presets[name]().seed:
        raise UserError("--seed and --seeds exclude each other: give all seeds as --seeds")
    configs = [config] if not call.seeds else [with_seed(config, seed) for seed in call.seeds]
    for each in configs:
        each.check()
    if call.print_config:
        print("\n".join(json.dumps(describe(each), indent=1) for each in configs))
        return
    for each in configs:
        if not train_one(system, loop, each, call):
            return  # stopped by a signal or the budget: the next seed would be, too


def train_one(system: str, loop: str, config: RunConfig, call: Call) -> bool:
    """Train one run, tell how it went, and return whether it is finished."""
    folder = Path(config.folder)
    if call.fresh and is_main():
        clear(folder)
    elif call.seeds and is_finished(folder, config.steps):
        print(f"{folder} is finished already")
        return True
    getattr(package(system), loop.replace("-", "_"))(config)
    finished = tell(system, folder, config.steps)
    if not finished and call.fresh and is_main():
        print("leave out --fresh then: it would start over", file=sys.stderr)
    return finished


def read_flags(config: Any, words: list[str], program: str) -> tuple[Call, Any]:
    """The call's own flags and the config's, flat, in one help page."""
    import tyro

    flat = tyro.conf.OmitArgPrefixes
    both = make_dataclass("Flags", [("call", flat[Call]), ("config", flat[type(config)])])
    both.__doc__ = f"{(type(config).__doc__ or '').strip()}"
    flags = parse(both, words, program, default=both(Call(), config))
    flags.config.preset = config.preset
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
