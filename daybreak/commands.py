"""The commands that belong to no system. Each is a dataclass of arguments whose call does the work; no torch here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from daybreak.engine import chapter, rundir
from daybreak.engine.errors import UserError, unknown
from daybreak.engine.files import disk_errors
from daybreak.systems import SYSTEMS
from daybreak.tables import cell, table

CHAPTER_SECONDS = 300
"""A chapter takes at most 20 s on an idle machine; one that hangs is given up after this long."""


@dataclass
class List:
    """The systems, one line each, with their best measured number."""

    def __call__(self) -> None:
        """Print the table."""
        best = Path(__file__).parent / "systems" / "best.json"
        numbers: dict[str, Any] = rundir.read_json(best) if best.exists() else {}
        table(
            ["system", "status", "what it does", "best measured"],
            [[name, entry.status, entry.about, numbers.get(name, "-")] for name, entry in SYSTEMS.items()],
        )


@dataclass
class Data:
    """Data sets: what is there (list), how to get what is not (prepare NAME), and in which folder (where)."""

    do: Positional[Literal["list", "prepare", "where"]] = "list"
    """What to do."""
    name: Positional[str] = ""
    """The data set to prepare."""

    def __call__(self) -> None:
        """Do it."""
        from daybreak.data import where

        if self.do == "where":
            print(where.root())
        elif self.do == "prepare":
            self._prepare()
        else:
            table(
                ["data set", "there", "download", "licence", "what"],
                [
                    [
                        s.name,
                        "yes" if s.is_there(where.root()) else "no",
                        f"{s.size / 1e6:.0f} MB" if s.size else "by hand" if s.by_hand else "bundled",
                        s.licence,
                        s.what,
                    ]
                    for s in where.catalogue()
                ],
            )
            for s in where.catalogue():
                if s.by_hand and not s.is_there(where.root()):
                    print(s.advice(where.root()))

    def _prepare(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        from daybreak.data import where

        if not self.name:
            names = ", ".join(s.name for s in where.catalogue() if s.files)
            raise UserError(f"daybreak data prepare needs the name of a data set: there are {names}")
        if not where.find(self.name).files:
            print(f"{self.name} comes with a dependency of daybreak: there is nothing to prepare")
            return
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task(self.name, total=None)
            place = where.prepare(
                self.name, where.root(), lambda done, all: bar.update(task, completed=done, total=all)
            )
        print(f"{self.name} is in {place}")


@dataclass
class Demo:
    """Every system for at most 20 s, on data that needs no network; the chapters become one page."""

    only: tuple[str, ...] = ()
    """Only these systems."""
    out: Path = Path("runs/demo")
    """Folder of the page and the chapters."""

    def __call__(self) -> None:
        """Run the chapters, each in a process of its own, and write the page. Raises UserError if one failed."""
        from daybreak.report.demo import demo_page

        for name in self.only:
            if name not in SYSTEMS:
                raise UserError(unknown("system", name, SYSTEMS))
        names = list(self.only or SYSTEMS)
        for name in names:
            self._chapter(name)
        print(f"report: {demo_page([self.out / name for name in names], self.out)}")
        failed = [name for name in names if chapter.read(self.out / name).error]
        if failed:
            raise UserError(f"{len(failed)} of {len(names)} chapters failed ({', '.join(failed)}): the page says why")

    def _chapter(self, name: str) -> None:
        folder = self.out / name
        with disk_errors(folder):
            if folder.exists() and not (folder / chapter.FILE).exists() and any(folder.iterdir()):
                raise UserError(f"{folder} holds something else than a chapter of the demo: give another --out")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        chapter.write(chapter.Chapter(name, name, error="interrupted"), folder)  # until it says otherwise
        print(f"{name} ...", end=" ", flush=True)
        started = time.monotonic()
        code = "import sys; from daybreak.commands import tell_chapter; tell_chapter(*sys.argv[1:])"
        try:
            done = subprocess.run(
                [sys.executable, "-c", code, name, str(folder)],
                capture_output=True, text=True, timeout=CHAPTER_SECONDS, check=False,
            )  # fmt: skip
            error = done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            error = f"not done after {CHAPTER_SECONDS} s"
        if error:
            told = chapter.Chapter(name, name, error=error, seconds=time.monotonic() - started)
            chapter.write(told, folder)
        print(f"{'failed' if error else 'done'} in {time.monotonic() - started:.1f} s")


def tell_chapter(system: str, folder: str) -> None:
    """Run one system's chapter in this process and write what it tells into ``folder``."""
    from importlib import import_module

    told = import_module(f"{SYSTEMS[system].module}.demo").chapter(Path(folder))
    chapter.write(told, Path(folder))


@dataclass
class Doctor:
    """Versions, device, disk, and a five-second self-test."""

    def __call__(self) -> None:
        """Print what was found. Raises UserError when the self-test fails."""
        for name in ("daybreak", "torch", "torchvision", "numpy", "safetensors", "tyro"):
            print(f"{name:<14}{installed(name)}")
        print(f"{'python':<14}{platform.python_version()} on {platform.platform()}")
        print(f"{'processor':<14}{rundir.processor()}, {rundir.cores()} cores")
        free = shutil.disk_usage(Path.cwd()).free / 2**30
        print(f"{'disk':<14}{free:.0f} GiB free here{'' if free > 5 else ': little for training'}")
        self._device()
        self._self_test()

    def _device(self) -> None:
        import torch

        from daybreak.data import where
        from daybreak.engine.config import RunConfig
        from daybreak.engine.device import Device

        device = Device.pick(RunConfig())
        print(f"{'device':<14}{device.name}, {device.precision}, {torch.get_num_threads()} threads")
        there = [s.name for s in where.catalogue() if s.is_there(where.root())]
        print(f"{'data':<14}{where.root()}: {', '.join(there) or 'none yet'}")

    def _self_test(self) -> None:
        import tempfile

        from daybreak.systems import dawnbench

        print(f"{'self-test':<14}training on digits, a few seconds ...", flush=True)
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            config = dawnbench.tiny()
            config.out, config.steps = f"{folder}/run", 60
            accuracy = dawnbench.evaluate(dawnbench.train(config))["test_accuracy"]
        verdict = f"{accuracy:.1f} % on digits after {config.steps} steps in {time.monotonic() - started:.1f} s"
        if accuracy < 60.0:
            raise UserError(f"the self-test failed ({verdict}): training does not work on this machine")
        print(f"{'self-test':<14}{verdict}: training works")


def installed(name: str) -> str:
    """Version of a package, or that it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@dataclass
class Compare:
    """One table of finished runs; refuses a run whose figures cannot be trusted."""

    runs: Positional[tuple[Path, ...]]
    """Run directories, or folders of seed_* runs; whatever else is among them is left out."""

    def __call__(self) -> None:
        """Print the table."""
        from daybreak.report.compare import compare, find_runs

        if not self.runs:
            raise UserError("daybreak compare needs run directories, as in: daybreak compare runs/*")
        runs, others = find_runs(self.runs)
        if not runs:
            raise UserError(f"there is no run directory in {', '.join(map(str, others))}: give folders that hold a run")
        if others:
            print(f"daybreak: left out, being no runs: {', '.join(map(str, others))}", file=sys.stderr)
        rows = compare(runs)
        names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
        header = ["run", "system", "preset", "seed", "steps", "seconds", "cost"]
        table(
            [*header, *names],
            [[cell(row[k]) for k in header] + [cell(row["metrics"].get(n)) for n in names] for row in rows],
        )


@dataclass
class Report:
    """A run directory as one self-contained page."""

    run: Positional[Path]
    """Run directory."""

    def __call__(self) -> None:
        """Write ``report.html`` into it."""
        from daybreak.report.page import page

        print(page(self.run))


@dataclass
class New:
    """A new system from the template: ten files that pass the conformance suite. For a checkout of daybreak."""

    name: Positional[Annotated[str, arg(metavar="NAME")]]
    """Name of the system: lower-case letters and digits."""

    def __call__(self) -> None:
        """Copy the template and add its line to the registry."""
        from daybreak.new import new_system

        folder = new_system(self.name, Path(__file__).resolve().parents[1])
        print(f"{folder} is there and registered; next: {os.path.relpath(folder / 'README.md')}, then")
        print(f"  daybreak {self.name} train tiny\n  python3 dev.py test -- tests/test_conformance.py -k {self.name}")
