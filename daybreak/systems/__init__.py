"""The systems, one folder each, with the same file names in each. This table is the whole registry."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from daybreak.engine.claim import Claim
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import read_config


@dataclass(frozen=True)
class System:
    """A line of the registry.

    ``status``: *verified* (meets published figures, recorded), *works* (trains, is measured, is used), *sketch*.
    """

    module: str
    about: str
    status: Literal["verified", "works", "sketch"]


SYSTEMS = {
    "translation": System("daybreak.systems.translation", "RNN encoder-decoder, attention, Transformer", "verified"),
    "language": System("daybreak.systems.language", "BERT and its seven uses", "works"),
    "dawnbench": System("daybreak.systems.dawnbench", "time and cost to accuracy on image classification", "verified"),
    "biggan": System("daybreak.systems.biggan", "class-conditional image synthesis", "works"),
}


def package(name: str) -> Any:
    """The system's package. It loads no torch until something that needs it is touched."""
    return import_module(SYSTEMS[name].module)


def verbs(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The system's loops (verb -> presets) and its other verbs (name -> dataclass of arguments)."""
    module = import_module(f"{SYSTEMS[name].module}.verbs")
    return module.LOOPS, module.VERBS


def claims(name: str) -> dict[str, Claim]:
    """What the system sets out to show, by the name of the record."""
    return import_module(f"{SYSTEMS[name].module}.verbs").CLAIMS


def load(run_dir: str | Path, device: str = "auto") -> Any:
    """Open a run directory of any system. Raises UserError when it is none, or of a system that is not here."""
    name = read_config(Path(run_dir))["system"]
    if name not in SYSTEMS:
        raise UserError(f"{run_dir} is a run of {name!r}, a system that this daybreak does not have")
    return package(name).load(Path(run_dir), device=device)


def export_lazily(package: str, **homes: str) -> None:
    """Let a system's package export functions of its torch-loading modules: ``export_lazily(__name__, train="train")``.

    ``homes`` maps a function to the module of the package it stands in. A module attribute of the same name, which
    Python sets when the submodule is imported, does not hide the function.
    """

    class Package(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in homes:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            return getattr(import_module(f"{package}.{homes[name]}"), name)

        def __setattr__(self, name: str, value: Any) -> None:
            if not (name in homes and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    sys.modules[package].__class__ = Package
