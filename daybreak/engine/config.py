"""The flat fields that every training run has. Imports no torch, so that ``--help`` answers at once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import os
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, cast

from daybreak.engine.errors import UserError


@dataclass(kw_only=True)
class RunConfig:
    """What a run needs to know whatever it trains. A system's ``Config`` adds its own flat fields."""

    system: ClassVar[str] = ""
    """Name of the system that the config belongs to."""
    loop: ClassVar[str] = "train"
    """Name of the function that runs the config; a system with two loops has two config classes."""
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("loss", "min")
    """The logged number that tells whether training works, and which way is better."""
    may_change: ClassVar[frozenset[str]] = frozenset(
        {"out", "minutes", "log_every", "save_every", "price_per_hour", "steps"}
    )
    """Fields that a resumed run may have changed. Steps may not fall below those already done."""
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "seed": (0, 2**32 - 1),
        "steps": (1, math.inf),
        "log_every": (1, math.inf),
        "save_every": (1, math.inf),
        "minutes": (0, math.inf),
        "price_per_hour": (0, math.inf),
    }
    """Smallest and largest value of every field that is a number; a system adds its own."""
    preset = ""  # no field and so no flag: the preset that the config began as, set by the function `preset` below

    out: str = ""
    """Run directory; default runs/<system>-<preset>-seed<seed>. An unfinished run there is resumed."""
    seed: int = 0
    """Seed of the weights, the data order and all noise."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto takes the best there is."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the forward pass; auto takes bf16 where a short test finds it faster."""
    steps: int = 1_000
    """Optimiser steps in all."""
    log_every: int = 50
    """Steps between two lines of log.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints; one is always written at a stop and at the end."""
    minutes: float = math.inf
    """Wall-clock budget of this call: then it stops cleanly, to be resumed by the same command."""
    price_per_hour: float = 0.0
    """What the machine costs in dollars an hour; the result then states the cost of training."""

    @property
    def folder(self) -> str:
        """The run directory as text: ``out``, or its default."""
        return os.path.expanduser(self.out) or f"runs/{self.system}-{self.preset or 'custom'}-seed{self.seed}"

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field; a name that is none is a typo, and would otherwise change nothing in silence."""
        if not hasattr(type(self), name):
            near = difflib.get_close_matches(name, [f.name for f in dataclasses.fields(self)], n=1)
            raise AttributeError(f"{type(self).__name__} has no field {name!r}" + (f": {near[0]!r}?" if near else ""))
        super().__setattr__(name, value)

    def check(self) -> None:
        """Raise UserError naming the first field whose value has another type, or is outside of its limits."""
        self.out = os.fspath(self.out)  # a Path is as good
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _fits(hints[field.name], value):
                wanted = str(field.type).removeprefix("Literal")
                raise UserError(f"--{field.name.replace('_', '-')} {value!r} cannot be: give {wanted}")
        for name, (low, high) in self.limits.items():
            value = getattr(self, name)
            if not low <= value <= high:  # nor is NaN
                span = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
                raise UserError(f"--{name.replace('_', '-')} {value} cannot be: give {span}")


C = TypeVar("C", bound=RunConfig)


def preset(make: Callable[[], C]) -> Callable[[], C]:
    """Mark a function without arguments as a preset: its name (``_`` as ``-``) goes into the config."""

    @functools.wraps(make)
    def named() -> C:
        config = make()
        config.preset = preset_name(make)
        return config

    return named


def preset_name(make: Callable[[], RunConfig]) -> str:
    """``cifar10_94`` -> ``cifar10-94``."""
    return make.__name__.replace("_", "-")


def presets(*makes: Callable[[], C]) -> dict[str, Callable[[], C]]:
    """The table of a loop's presets by name; the first one is the default."""
    return {preset_name(make): make for make in makes}


def to_json(config: RunConfig) -> dict[str, Any]:
    """The config as plain JSON values; infinities become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return [plain(item) for item in cast(tuple[Any, ...], value)] if isinstance(value, tuple) else value

    return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_json(cls: type[C], values: dict[str, Any]) -> C:
    """Undo :func:`to_json`; missing fields take their default.

    Raises UserError naming a field that is unknown, of another type or outside of its limits.
    """
    hints = typing.get_type_hints(cls)
    names = {f.name for f in dataclasses.fields(cls)}
    for name in values:
        if name not in names:
            raise UserError(f"{cls.__module__}.{cls.__name__} has no field {name!r}: another version wrote it")
    config = cls(**{name: _typed(hints[name], value) for name, value in values.items()})
    config.check()
    return config


def _typed(hint: Any, value: Any) -> Any:
    """JSON has no infinity and no tuple: give them back where the field's type says so."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) not in options:
        return math.inf
    if isinstance(value, list) and any(typing.get_origin(option) is tuple for option in options):
        return tuple(cast(list[Any], value))
    return cast(Any, value)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a field's type; an int is good as a float, and a bool as neither."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in options
    if origin in (typing.Union, types.UnionType):
        return any(_fits(option, value) for option in options)
    if hint is Any:
        return True
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else origin or hint)


def changed_fields(old: dict[str, Any], new: RunConfig) -> list[str]:
    """Fields of a stored config that differ from ``new`` and may not: what forbids a resume."""
    now = to_json(new)
    return [k for k in {**old, **now} if old.get(k, ...) != now.get(k, ...) and k not in new.may_change]
