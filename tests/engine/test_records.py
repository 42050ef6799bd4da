"""Configs, strict JSON, the log, the environment, seeds and placing of batches."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from daybreak.engine import rundir, seed
from daybreak.engine.config import RunConfig, changed_fields, from_json, preset, presets, to_json
from daybreak.engine.device import Device, unwrap
from daybreak.engine.errors import UserError

# ----------------------------------------------------------------------------- configs


@dataclass(kw_only=True)
class Config(RunConfig):
    widths: tuple[int, ...] = (64, 128)
    crop: tuple[float, float] | None = None
    limit: float | None = None
    kind: Literal["a", "b"] = "a"


configs = st.builds(
    Config,
    out=st.text(),
    seed=st.integers(0, 2**32 - 1),
    minutes=st.floats(min_value=0, allow_nan=False),
    widths=st.lists(st.integers(), max_size=4).map(tuple),
    crop=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    limit=st.none() | st.floats(0, 1),
    kind=st.sampled_from(["a", "b"]),
)


@given(configs)
def test_a_config_survives_json(config: Config) -> None:
    stored = json.loads(json.dumps(to_json(config), allow_nan=False))
    assert from_json(Config, stored) == config
    assert changed_fields(stored, config) == []


def test_fields_of_tuples_of_tuples_do_not_count_as_changed() -> None:
    config = Config(widths=((1, 2), (3, 4)))  # type: ignore[arg-type]
    assert changed_fields(json.loads(json.dumps(to_json(config))), config) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", "3"), ("seed", True), ("steps", 2.5), ("kind", "c"), ("crop", 3.0), ("out", 5), ("minutes", "long")],
)
def test_a_value_of_another_type_is_refused_by_name(field: str, value: Any) -> None:
    config = Config()
    setattr(config, field, value)
    with pytest.raises((UserError, TypeError), match=field if field != "out" else "str"):
        config.check()


def test_a_mistyped_field_is_an_error_and_a_path_is_as_good_as_text() -> None:
    config = Config()
    with pytest.raises(AttributeError, match="'steps'"):
        config.stesp = 3  # type: ignore[attr-defined]
    config.out = Path("~/runs/x")  # type: ignore[assignment]
    config.check()
    assert config.folder == str(Path.home() / "runs" / "x")


@pytest.mark.parametrize("name", ["colour", "system", "may_change"])
def test_a_field_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"Config has no field '{name}'"):
        from_json(Config, {"seed": 1, name: "x"})


def test_missing_fields_take_their_default() -> None:
    assert from_json(Config, {"seed": 3}) == Config(seed=3)


def test_changed_fields_are_named_in_order() -> None:
    stored = to_json(Config())
    assert changed_fields(stored, Config(steps=2000, minutes=1.0, out="elsewhere", log_every=1, save_every=1)) == []
    assert changed_fields(stored, Config(steps=999)) == []  # the checkpoint decides whether these are enough
    assert changed_fields(stored, Config(seed=1, kind="b")) == ["seed", "kind"]
    assert changed_fields({**stored, "gone": 1}, Config()) == ["gone"]
    assert changed_fields({k: v for k, v in stored.items() if k != "crop"}, Config()) == ["crop"]


def test_a_preset_knows_its_name_and_a_plain_config_has_none() -> None:
    @preset
    def cifar10_94() -> Config:
        """94 percent."""
        return Config(steps=7)

    assert (cifar10_94().preset, cifar10_94().steps, cifar10_94.__doc__) == ("cifar10-94", 7, "94 percent.")
    assert list(presets(cifar10_94)) == ["cifar10-94"]
    assert cifar10_94().folder == "runs/-cifar10-94-seed0" and Config().folder == "runs/-custom-seed0"
    assert Config(out="x").folder == "x"
    assert "preset" not in {f.name for f in fields(Config)}


# ----------------------------------------------------------------------------- JSON and the log


def test_json_is_strict(tmp_path: Path) -> None:
    rundir.write_json(tmp_path / "x.json", {"a": math.inf, 1: [math.nan, (1.5, -math.inf)], "b": {"c": None}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "1": [None, [1.5, None]], "b": {"c": None}}


def test_the_log_is_cut_at_the_step_of_the_checkpoint(tmp_path: Path) -> None:
    log = rundir.Log(tmp_path, 0)
    for step in (5, 10, 15):
        log.write({"step": step, "loss": 1 / step, "odd": math.nan})
    log.close()
    with (tmp_path / rundir.LOG).open("a") as file:
        file.write('[1]\n{"loss": 3}\n{"step": "x"}\n\n{"step": 20, "lo')
    log = rundir.Log(tmp_path, 10)
    log.write({"step": 11, "loss": 0.0})
    log.close()
    assert rundir.read_log(tmp_path) == [
        {"step": 5, "loss": 0.2, "odd": None}, {"step": 10, "loss": 0.1, "odd": None}, {"step": 11, "loss": 0.0},
    ]  # fmt: skip
    assert rundir.log_series(tmp_path, "loss") == ([5, 10, 11], [0.2, 0.1, 0.0])
    assert rundir.log_series(tmp_path, "odd") == ([], [])
    assert len((tmp_path / rundir.LOG).read_text().splitlines()) == 3


def test_a_line_is_on_the_disk_when_written(tmp_path: Path) -> None:
    log = rundir.Log(tmp_path, 0)
    log.write({"step": 1})
    assert rundir.read_log(tmp_path) == [{"step": 1}]
    log.close()


def test_an_edited_log_has_another_digest(tmp_path: Path) -> None:
    empty = rundir.log_digest(tmp_path)
    (tmp_path / rundir.LOG).write_text('{"step": 1, "loss": 0.5}\n')
    honest = rundir.log_digest(tmp_path)
    (tmp_path / rundir.LOG).write_text('{"step": 1, "loss": 0.4}\n')
    assert len({empty, honest, rundir.log_digest(tmp_path)}) == 3


def test_the_environment_says_what_differs(tmp_path: Path) -> None:
    now = rundir.environment("cpu", "fp32", 2, 1)
    assert {"daybreak", "commit", "torch", "python", "device", "threads", "processor", "cores"} <= set(now)
    assert rundir.write_environment(tmp_path, now) == []
    assert rundir.write_environment(tmp_path, now) == []
    assert len(rundir.read_sessions(tmp_path)) == 1
    assert rundir.write_environment(tmp_path, {**now, "threads": 4}) == ["threads was 2, is 4"]
    assert [session["threads"] for session in rundir.read_sessions(tmp_path)] == [2, 4]


def test_a_checkout_tells_its_commit_and_a_plain_folder_none(tmp_path: Path) -> None:
    assert rundir.commit_of(tmp_path) == (None, None)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    commit, dirty = rundir.commit_of(tmp_path)
    assert commit and len(commit) == 40 and dirty is False
    (tmp_path / "notes").touch()
    assert rundir.commit_of(tmp_path) == (commit, False)  # no figure hangs on it
    (tmp_path / "daybreak").mkdir()
    (tmp_path / "daybreak" / "new.py").touch()
    assert rundir.commit_of(tmp_path) == (commit, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_the_lock_goes_with_its_process_though_forked_workers_live_on(tmp_path: Path) -> None:
    killed = f"""
import os, pathlib, time
from daybreak.engine.rundir import Lock
with Lock(pathlib.Path({str(tmp_path)!r})):
    worker = os.fork()
    if worker == 0:
        os.write(1, str(os.getpid()).encode())
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", killed], stdout=subprocess.PIPE)
    assert process.stdout
    worker = int(os.read(process.stdout.fileno(), 20))
    with pytest.raises(UserError), rundir.Lock(tmp_path):
        pytest.fail("locked twice")
    process.kill()
    process.wait()
    process.stdout.close()
    os.kill(worker, 0)  # it does live
    try:
        with rundir.Lock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


# ----------------------------------------------------------------------------- seeds


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(np.random.randn()), float(torch.rand(()))]


def test_generators_are_seeded_kept_and_given_back() -> None:
    seed.everything(3)
    first = draw()
    kept = seed.state()
    later = draw()
    seed.everything(3)
    assert draw() == first
    seed.everything(3, rank=1)
    assert not set(draw()) & set(first)
    seed.restore(kept)
    assert draw() == later
    seed.restore(kept)
    with seed.untouched():
        draw()
    assert draw() == later


# ----------------------------------------------------------------------------- devices


@dataclass(frozen=True)
class Batch:
    image: torch.Tensor
    label: torch.Tensor
    name: str


def test_a_batch_is_placed_with_all_its_tensors() -> None:
    device = Device(torch.device("meta"), bf16=False)
    image, label = torch.rand(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
    placed: Any = device.place({"a": [image, (label,)], "b": Batch(image, label, "x"), "c": 3})
    assert placed["a"][0].device.type == placed["a"][1][0].device.type == "meta"
    assert placed["a"][0].is_contiguous(memory_format=torch.channels_last)
    assert placed["b"].image.device.type == "meta" and placed["b"].name == "x" and placed["c"] == 3
    assert isinstance(placed["a"], list) and isinstance(placed["a"][1], tuple)


def test_weights_of_filters_are_channels_last_and_masks_of_integers_are_not() -> None:
    device = Device(torch.device("cpu"), bf16=False)
    assert device.wrap(nn.Conv2d(3, 4, 3)).weight.is_contiguous(memory_format=torch.channels_last)
    assert device.place(torch.zeros(2, 3, 4, 4, dtype=torch.int64)).is_contiguous()


def test_unwrap_finds_the_module_inside_a_compiled_one() -> None:
    model = nn.Linear(1, 1)
    compiled = torch.compile(model)
    assert unwrap(compiled) is model and unwrap(model) is model


@pytest.mark.parametrize(
    ("asked", "last", "bf16"),
    [("bf16", None, True), ("fp32", "bf16", False), ("auto", "bf16", True), ("auto", "fp32", False)],
)
def test_precision_is_that_asked_for_or_that_of_the_last_session(asked: Any, last: str | None, bf16: bool) -> None:
    device = Device.pick(RunConfig(device="cpu", precision=asked), last)
    assert device.bf16 == bf16 and device.precision == ("bf16" if bf16 else "fp32")
    with device.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if bf16 else torch.float32)
