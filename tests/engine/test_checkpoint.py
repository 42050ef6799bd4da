"""Checkpoints hold what parts give them, refuse what they cannot hold, and know when their bytes are not their own."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import Faults, full_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor, nn

from daybreak.engine import checkpoint
from daybreak.engine.checkpoint import flatten, unflatten
from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.engine.optim import EMA


def round_trip(tree: Any) -> Any:
    """A tree as a checkpoint gives it back: through bytes."""
    tensors, structure = flatten(tree)
    return unflatten(json.loads(json.dumps(structure, allow_nan=False)), parse_tensors(pack_tensors(tensors)))


def same(a: Any, b: Any) -> bool:
    """Equal in values, types, order of keys, and of tensors in every bit and in memory layout."""
    if isinstance(a, Tensor):
        bits = a.dtype == b.dtype and a.shape == b.shape and same_bits(a, b)
        return bits and a.is_contiguous() == b.is_contiguous() and strides(a) == strides(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(*pair) for pair in zip(a.items(), b.items(), strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(*pair) for pair in zip(a, b, strict=True))
    return a == b or (a != a and b != b)


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.contiguous().flatten().view(torch.uint8).equal(b.contiguous().flatten().view(torch.uint8))


def strides(tensor: Tensor) -> list[int]:
    """Strides of the dimensions that have more than one place; the others' say nothing."""
    return [s for s, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1] if tensor.numel() else []


# ----------------------------------------------------------------------------- trees

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Dense tensors of up to four dimensions, empty ones too, of all dtypes, their dimensions in any memory order."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    order = draw(st.permutations(range(len(shape))))
    raw = torch.arange(math.prod(shape) * dtype.itemsize) % (2 if dtype is torch.bool else 251)
    value = raw.to(torch.uint8).view(dtype).reshape([shape[d] for d in order])
    return value.permute(sorted(range(len(order)), key=order.__getitem__))


keys = st.one_of(st.text(max_size=4), st.integers(), st.sampled_from(["$tensor", "$dict", "$", "a/b"]))
keys = st.one_of(keys, st.tuples(keys, st.booleans()))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), tensors())
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(trees)
def test_trees_survive(tree: Any) -> None:
    assert same(round_trip(tree), tree)


@pytest.mark.parametrize(
    "tree",
    [
        {1: torch.zeros(2), "1": torch.ones(2)},
        {"a/b": torch.zeros(2), "a": {"b": torch.ones(2)}},
        {(1, "x"): [torch.zeros(2)], "$tuple": (1,), True: None},
        {"$float": "$float", "inf": [math.inf, -math.inf, math.nan, -0.0]},
        [[], (), {}, [()], ((),)],
    ],
)
def test_keys_that_look_alike_do_not_clash(tree: Any) -> None:
    assert same(round_trip(tree), tree)


def test_numpy_floats_come_back_as_floats() -> None:
    import numpy as np

    assert same(round_trip([np.float64(1.5), np.float64("inf")]), [1.5, math.inf])


def test_channels_last_comes_back_as_channels_last() -> None:
    for shape in [(2, 3, 4, 5), (2, 3, 1, 1), (1, 3, 4, 4)]:
        image = torch.rand(shape).to(memory_format=torch.channels_last)
        assert round_trip(image).stride() == image.stride()
        assert round_trip(image).is_contiguous(memory_format=torch.channels_last)


def test_tied_tensors_are_stored_once_and_stay_tied() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    tensors, _ = flatten(model.state_dict())
    assert len(tensors) == 1
    restored = round_trip(model.state_dict())
    restored["embed.weight"][0, 0] = 7.0
    assert restored["head.weight"][0, 0] == 7.0


def test_tensors_that_only_overlap_are_kept_apart() -> None:
    long = torch.arange(6.0)
    tree = {"long": long, "start": long[:4], "end": long[2:], "square": long.view(2, 3), "row": long.expand(2, 6)[1]}
    restored = round_trip(tree)
    assert all(restored[name].equal(value) for name, value in tree.items())
    restored["start"][0] = 9.0
    assert restored["long"][0] == 0.0


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "object"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        (torch.eye(2).to_sparse(), "sparse"),
        (torch.ones(2, dtype=torch.complex64).conj(), "complex64"),
        (torch.empty(2, device="meta"), "tensor"),
        (torch.tensor([1 + 2j]).conj().imag, "tensor"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_named_with_its_place(value: Any, named: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=rf"cannot hold .*{named}.*\(at parts/games/3\)"):
        checkpoint.save(tmp_path, 1, {"parts": {"games": [0, 1, 2, value]}})
    assert list(tmp_path.iterdir()) == []


def test_moments_of_channels_last_weights_keep_their_strides() -> None:
    def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return model, torch.optim.AdamW(model.parameters())

    model, optimizer = trained()
    model(torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)).sum().backward()
    optimizer.step()
    other, resumed = trained()
    resumed.load_state_dict(round_trip(optimizer.state_dict()))
    before, after = optimizer.state[model.weight], resumed.state[other.weight]
    assert before["exp_avg"].is_contiguous(memory_format=torch.channels_last)
    for name in ("exp_avg", "exp_avg_sq"):
        assert after[name].stride() == before[name].stride() and after[name].equal(before[name])


# ----------------------------------------------------------------------------- folders

STATES = {step: {"step": step, "w": torch.full((3,), float(step)), "note": "x" * 50} for step in (1, 2, 3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 1 and 2."""
    for step in (1, 2):
        checkpoint.save(tmp_path / "checkpoints", step, STATES[step])
    return tmp_path / "checkpoints"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_are_kept(folder: Path) -> None:
    checkpoint.save(folder, 3, STATES[3])
    assert names(folder) == ["step_00000002", "step_00000003"]
    assert same(checkpoint.newest(folder), STATES[3])


def test_no_checkpoint_yet_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nowhere") is None


def test_what_a_killed_save_left_is_swept(folder: Path) -> None:
    (folder / ".tmp_step_00000003_99").mkdir()
    (folder / ".tmp_step_00000003_99" / "tensors.safetensors").write_bytes(b"half")
    checkpoint.save(folder, 3, STATES[3])
    assert names(folder) == ["step_00000002", "step_00000003"]


@pytest.mark.parametrize("still", [False, True], ids=["once", "from then on"])
def test_a_full_disk_at_any_operation_leaves_a_good_checkpoint(folder: Path, still: bool) -> None:
    refused = 0
    for at in range(40):
        shutil.rmtree(folder)
        for step in (1, 2):
            checkpoint.save(folder, step, STATES[step])
        try:
            with Faults(full_disk(at, still)) as faults:
                checkpoint.save(folder, 3, STATES[3])
        except UserError as error:
            refused += 1
            assert "step_00000003 could not be written (No space left on device)" in str(error)
            assert same(checkpoint.newest(folder), STATES[2]) or same(checkpoint.newest(folder), STATES[3])
        else:
            assert same(checkpoint.newest(folder), STATES[3])
        checkpoint.save(folder, 3, STATES[3])
        assert names(folder) == ["step_00000002", "step_00000003"]
    assert faults.count < 40 and refused > 12


DAMAGES = {
    "first byte": lambda content: flip(content, 0),
    "a byte in the middle": lambda content: flip(content, len(content) // 2),
    "last byte": lambda content: flip(content, len(content) - 1),
    "cut in half": lambda content: content[: len(content) // 2],
    "last byte cut": lambda content: content[:-1],
    "one byte more": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "missing": lambda content: None,
    "another kind of JSON": lambda content: b"[]",
    "deep JSON": lambda content: b"[" * 100_000,
}
FILES = [checkpoint.TENSORS, checkpoint.STATE, checkpoint.MANIFEST]


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def spoil(path: Path, damage: str) -> None:
    content = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    folder: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(folder / "step_00000002" / file, damage)
    assert same(checkpoint.newest(folder), STATES[1])
    assert "step_00000002" in caplog.text and "going back to the checkpoint before" in caplog.text
    spoil(folder / "step_00000001" / file, damage)
    with pytest.raises(UserError, match=r"every checkpoint in .* is damaged: start over with --fresh"):
        checkpoint.newest(folder)


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_anywhere_is_seen(folder: Path, file: str) -> None:
    path = folder / "step_00000002" / file
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(flip(content, at))
        with pytest.raises(checkpoint.Damaged, match="step_00000002"):
            checkpoint.load(folder / "step_00000002")
    path.write_bytes(content)
    assert same(checkpoint.load(folder / "step_00000002"), STATES[2])


def test_an_abandoned_newer_checkpoint_goes_when_the_run_passes_it(folder: Path) -> None:
    checkpoint.save(folder, 9, STATES[3])
    spoil(folder / "step_00000009" / checkpoint.STATE, "empty")
    assert same(checkpoint.newest(folder), STATES[2])
    checkpoint.save(folder, 3, STATES[3])
    assert names(folder) == ["step_00000002", "step_00000003"]


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file, and make the digests fit as an attacker would."""
    (folder / name).write_bytes(content)
    digests = {file: checkpoint._digest((folder / file).read_bytes()) for file in FILES[:2]}
    own = checkpoint._digest(checkpoint._json(digests))
    (folder / checkpoint.MANIFEST).write_bytes(checkpoint._json({"files": digests, "sha256": own}))


def test_a_newer_format_is_refused_with_one_sentence(folder: Path) -> None:
    newest = folder / "step_00000002"
    state = json.loads((newest / checkpoint.STATE).read_text())
    forge(newest, checkpoint.STATE, json.dumps(state).encode())
    assert same(checkpoint.newest(folder), STATES[2])  # the forgery itself is good
    forge(newest, checkpoint.STATE, json.dumps({**state, "format": 9}).encode())
    with pytest.raises(
        UserError, match=r"step_00000002 has checkpoint format 9, not 1: use the daybreak that wrote it"
    ):
        checkpoint.newest(folder)


def test_a_pickle_is_refused_and_nothing_in_it_runs(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    evil = f"cos\nsystem\n(Vtouch {canary}\ntR.".encode()
    subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.load(sys.stdin.buffer)"], input=evil, check=True)
    assert canary.exists()  # it would run
    canary.unlink()
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(3)}, buffer)
    newest = folder / "step_00000002"
    for content in (evil, buffer.getvalue()):
        forge(newest, checkpoint.TENSORS, content)
        with pytest.raises(checkpoint.Damaged, match=r"tensors\.safetensors is not a safetensors file"):
            checkpoint.load(newest)
    forge(newest, checkpoint.STATE, evil)
    with pytest.raises(checkpoint.Damaged, match=r"state\.json is not JSON"):
        checkpoint.load(newest)
    (folder / "step_00000003.pt").write_bytes(evil)
    (folder / "step_00000004").write_bytes(evil)
    assert same(checkpoint.newest(folder), STATES[1])
    assert not canary.exists()


# ----------------------------------------------------------------------------- giving parts their state


def test_the_first_key_that_does_not_fit_is_named(tmp_path: Path) -> None:
    def refused(part: Any, state: dict[str, Any]) -> str:
        with pytest.raises(UserError) as error:
            checkpoint.give_back("net", part, state, tmp_path)
        assert str(error.value).startswith(f"{tmp_path} does not fit") and "\n" not in str(error.value)
        assert str(error.value).endswith("give another --out, or start over with --fresh")
        return str(error.value)

    stored = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).state_dict()
    assert "net.1.weight is (1, 3), not (5, 3)" in refused(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5)), stored)
    assert "net.2.weight is only in the model" in refused(nn.Sequential(*map(nn.Linear, (2, 3, 1), (3, 1, 1))), stored)
    assert "net.1.weight is only in the checkpoint" in refused(nn.Sequential(nn.Linear(2, 3)), stored)
    one = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    two = torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))]} for _ in range(2)])
    assert "net (loaded state dict has a different number of parameter groups)" in refused(two, one.state_dict())
    ema = EMA(nn.Linear(2, 3))
    assert "size mismatch for weight" in refused(EMA(nn.Linear(2, 4)), ema.state_dict())
    assert "net ('module')" in refused(ema, {"updates": 1})


def test_all_is_on_the_disk_before_it_gets_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the rename must not find files whose content is still on its way."""
    order: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (order.append(name), real(*args)))
    checkpoint.save(folder, 3, STATES[3])
    assert order == ["fsync"] * 4 + ["replace", "fsync"]  # three files and their folder; the folder around it
    order.clear()
    write_atomic(folder / "file", b"x")
    assert order == ["fsync", "replace", "fsync"]


def test_a_disk_that_cannot_be_synced_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sync(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", no_sync)
    with pytest.raises(UserError, match="step_00000003 could not be written"):
        checkpoint.save(folder, 3, STATES[3])
    monkeypatch.undo()
    assert same(checkpoint.newest(folder), STATES[2])
