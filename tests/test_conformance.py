"""What every system promises. A new system is tested by being in SYSTEMS; nothing here names one."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import daybreak
from daybreak import cli
from daybreak.engine.config import RunConfig, from_json, to_json
from daybreak.engine.rundir import WEIGHTS, log_digest, log_series, read_config, read_json
from daybreak.systems import SYSTEMS, package, verbs

HEADINGS = [
    "What it does", "Try it", "Paper -> code", "Deviations", "Results", "Presets", "Limits and misuse", "Cite",
]  # fmt: skip
FLAT = (str, int, float, bool, type(None))

by_system = pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in SYSTEMS])


def configs(name: str) -> Iterator[tuple[str, RunConfig]]:
    for loop, presets in verbs(name)[0].items():
        for preset, make in presets.items():
            yield f"{loop} {preset}", make()


def first_loop(name: str) -> tuple[str, RunConfig]:
    """The loop that the driver trains by, and its preset tiny."""
    loop, presets = next(iter(verbs(name)[0].items()))
    return loop, presets["tiny"]()


def tiny_of(presets: dict[str, Any]) -> str:
    """The one preset of a loop that ends in tiny: "tiny" itself, or of a second loop "imagenet-tiny"."""
    (name,) = (preset for preset in presets if preset.split("-")[-1] == "tiny")
    return name


# ------------------------------------------------------------------------------- without training


@by_system
def test_config_is_flat_and_documented(name: str) -> None:
    for cls in {type(config) for _, config in configs(name)}:
        assert issubclass(cls, RunConfig) and cls.system == name
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            assert is_flat(hints[field.name]), f"{field.name} is not flat: {field.type}"
            assert field.name in documented(cls), f"{field.name} has no docstring: it is the flag's help"


def is_flat(hint: Any) -> bool:
    """Whether a field is one value, or a tuple of such."""
    if typing.get_origin(hint) is typing.Literal:
        return True
    if typing.get_origin(hint) in (tuple, typing.Union, types.UnionType):
        return all(is_flat(part) for part in typing.get_args(hint) if part is not ...)
    return hint in FLAT


@by_system
def test_every_number_has_limits_and_a_value_outside_is_refused_in_one_sentence(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for loop, presets in verbs(name)[0].items():
        for make in presets.values():
            make().check()
        tiny = tiny_of(presets)
        config = presets[tiny]()
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            low, _ = config.limits[field.name]
            flag = "--" + field.name.replace("_", "-")
            assert cli.main([name, loop, tiny, flag, str(int(low) - 1), "--print-config"]) == 2
            mistake = capsys.readouterr().err
            assert flag in mistake and len(mistake.splitlines()) == 1


def documented(cls: type) -> set[str]:
    """Fields followed by a docstring, over the class and its bases."""
    found: set[str] = set()
    for base in cls.__mro__[:-1]:
        (node,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(node, ast.ClassDef)
        for field, after in zip(node.body, node.body[1:], strict=False):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
                found.add(field.target.id)
    return found


@by_system
def test_presets_are_few_documented_and_survive_json(name: str) -> None:
    for loop, presets in verbs(name)[0].items():
        assert tiny_of(presets) and len(presets) <= 4, f"{name} {loop}: a preset tiny, and at most four"
        for preset, make in presets.items():
            config = make()
            assert make.__doc__ and config.preset == preset
            assert from_json(type(config), json.loads(json.dumps(to_json(config), allow_nan=False))) == config


@by_system
def test_readme_has_the_headings_in_order(name: str) -> None:
    text = (Path(package(name).__file__).parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS


@by_system
def test_mistakes_get_one_sentence_and_exit_code_2(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for loop, presets in verbs(name)[0].items():
        tiny = tiny_of(presets)
        assert cli.main([name, loop, tiny.replace("tiny", "tinny")]) == 2
        assert f"did you mean '{tiny}'" in capsys.readouterr().err
        with pytest.raises(SystemExit) as exit_:
            cli.main([name, loop, tiny, "--stepz", "3"])
        assert exit_.value.code == 2 and "--steps" in capsys.readouterr().err
        with pytest.raises(SystemExit) as exit_:
            cli.main([name, loop, tiny, "--steps", "many"])
        assert exit_.value.code == 2 and "many" in capsys.readouterr().err
    assert cli.main([name, "evaluate", str(tmp_path / "nowhere")]) == 2
    mistake = capsys.readouterr().err
    assert "nowhere" in mistake and len(mistake.strip().splitlines()) == 1
    assert cli.main([name, "evaluat"]) == 2 and "did you mean 'evaluate'" in capsys.readouterr().err


# ------------------------------------------------------------------------------- with one training


@dataclass
class Trained:
    """What the driver left: an undisturbed run of ``tiny``, and one that was killed and resumed."""

    whole: Path
    resumed: Path


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """Trainings by system, each done once for the whole suite."""
    return {}


@pytest.fixture
def trained(name: str, trainings: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    if name not in trainings:
        folder = tmp_path_factory.mktemp(name)
        driver = Path(__file__).parent / "train_and_kill.py"
        done = subprocess.run(
            [sys.executable, str(driver), name, str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        trainings[name] = Trained(folder / "whole", folder / "resumed")
    return trainings[name]


@by_system
def test_tiny_improves_the_number_it_watches(name: str, trained: Trained) -> None:
    number, better = first_loop(name)[1].watch
    _, values = log_series(trained.whole, number)
    assert len(values) >= 2, f"{number} is not logged"
    assert values[-1] > values[0] if better == "max" else values[-1] < values[0]


@by_system
def test_killed_and_resumed_run_ends_bit_for_bit_the_same(name: str, trained: Trained) -> None:
    assert (trained.resumed / "killed").exists(), "the kill came too late to prove anything"
    for file in (WEIGHTS,):
        assert (trained.resumed / file).read_bytes() == (trained.whole / file).read_bytes()
    number, _ = first_loop(name)[1].watch
    assert log_series(trained.resumed, number) == log_series(trained.whole, number)


@by_system
def test_run_directory_is_whole(name: str, trained: Trained) -> None:
    result = read_json(trained.whole / "result.json")
    assert result["seconds"] > 0 and result["cpu_seconds"] > 0 and result["log_sha256"] == log_digest(trained.whole)
    assert all(value is None or math.isfinite(value) for value in result["metrics"].values())
    assert read_config(trained.whole)["system"] == name
    assert read_json(trained.whole / "environment.json")["sessions"][0]["torch"]


@by_system
def test_moved_run_evaluates_to_finite_numbers_and_loads(name: str, trained: Trained, tmp_path: Path) -> None:
    moved = tmp_path / "moved elsewhere"
    shutil.copytree(trained.whole, moved)
    numbers: dict[str, Any] = package(name).evaluate(moved)
    assert numbers and all(isinstance(v, (int, float)) and math.isfinite(v) for v in numbers.values())
    assert numbers == package(name).evaluate(moved), "evaluating twice gives two results"
    assert type(daybreak.load(moved)).__module__.startswith(f"daybreak.systems.{name}")


@by_system
def test_commands_of_the_readme_run(
    name: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(package(name).__file__).parent / "README.md").read_text(encoding="utf-8")
    block = text.split("## Try it")[1].split("```")[1]  # the first one; longer commands may follow in others
    commands = re.findall(r"^daybreak (.+)$", block, re.M)
    loop, _ = first_loop(name)
    assert any(command.startswith(f"{name} {loop}") for command in commands)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.whole, tmp_path / "runs" / f"{name}-tiny-seed0")  # as trained by the first command
    for command in commands:
        words = shlex.split(command, comments=True)
        if words == [name, loop, "tiny"]:
            words.append("--print-config")  # it was run already, by the driver
        assert cli.main(words) == 0, command
        assert capsys.readouterr().out.strip(), f"{command} prints nothing"


@by_system
def test_finished_run_is_not_trained_again(name: str, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained.whole / WEIGHTS).read_bytes()
    assert cli.main([name, first_loop(name)[0], "tiny", "--out", str(trained.whole)]) == 2
    assert "--fresh" in capsys.readouterr().err
    assert (trained.whole / WEIGHTS).read_bytes() == before


@by_system
def test_demo_chapter_tells_a_story(name: str, tmp_path: Path) -> None:
    from daybreak.commands import Demo
    from daybreak.engine import chapter

    Demo(only=(name,), out=tmp_path)()
    told = chapter.read(tmp_path / name)
    assert not told.error and told.numbers and told.pictures and told.commands
    assert all(number.met in (True, None) for number in told.numbers), "a target of the demo was missed"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert told.title in page and "data:image/png" in page
