# pyright: strict, reportUnknownMemberType=false
"""Atomic, digest-checked checkpoints: folders of safetensors and JSON. No pickle anywhere.

A checkpoint is a folder ``step_00000500/`` with ``tensors.safetensors``, ``state.json`` (the same nested
structure the parts gave, tensors by name) and ``manifest.json`` (SHA-256 of the two). It is written under
a temporary name, synced to disk and renamed, so that a folder with the final name is whole; the last two
are kept, so that one damaged afterwards costs some steps and not the run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor, nn

from daybreak.engine.errors import UserError
from daybreak.engine.files import sweep, sync_folder, write_synced

logger = logging.getLogger("daybreak")

FORMAT = 1
KEEP = 2
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


class Damaged(Exception):
    """A checkpoint whose bytes are not those that were written; says which file."""


# ------------------------------------------------------------------------------- folders of checkpoints


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write ``state`` (nested dicts, lists, tuples, tensors, plain values) as ``folder/step_XXXXXXXX``.

    Raises UserError naming the path when the disk refuses; what was there before stays whole.
    """
    final = folder / f"step_{step:08d}"
    temporary = folder / f".tmp_{final.name}_{os.getpid()}"
    tensors, tree = flatten(state)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        if final.exists():  # the same step again, or a damaged one that the resume went past
            shutil.rmtree(final)
        temporary.mkdir()
        digests = {
            TENSORS: write_synced(temporary / TENSORS, pack_tensors(tensors)),
            STATE: write_synced(temporary / STATE, _json({"format": FORMAT, "step": step, "tree": tree})),
        }
        write_synced(temporary / MANIFEST, _json({"files": digests, "sha256": _digest(_json(digests))}))
        sync_folder(temporary)
        os.replace(temporary, final)
        sync_folder(folder)
        _prune(folder, final)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"checkpoint {final} could not be written ({error.strerror or error}); the one before it is intact: "
            "free space or choose another --out, and run again to resume"
        ) from error
    return final


def load(folder: Path) -> dict[str, Any]:
    """The state in one checkpoint folder, tensors on the CPU. Raises Damaged, or UserError for a newer format."""
    manifest = _parse(_read(folder / MANIFEST), folder / MANIFEST)
    try:
        digests = cast(dict[str, str], manifest["files"])
        if _digest(_json(digests)) != manifest["sha256"]:
            raise Damaged(f"{folder / MANIFEST} does not match its own digest")
        contents = {name: _checked(folder / name, digests[name]) for name in (TENSORS, STATE)}
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{folder / MANIFEST} is not a manifest") from error
    state = _parse(contents[STATE], folder / STATE)
    if state["format"] != FORMAT:
        raise UserError(
            f"{folder} has checkpoint format {state['format']}, not {FORMAT}: use the daybreak that wrote it"
        )
    try:
        tensors = parse_tensors(contents[TENSORS])
    except SafetensorError as error:
        raise Damaged(f"{folder / TENSORS} is not a safetensors file: {error}") from error
    return cast(dict[str, Any], unflatten(state["tree"], tensors))


def newest(folder: Path) -> dict[str, Any] | None:
    """State of the newest checkpoint that is whole; None where there is none yet. Damaged newer ones are told."""
    damaged: list[Path] = []
    for path in reversed(whole(folder)):
        try:
            state = load(path)
        except Damaged as damage:
            logger.warning("%s; going back to the checkpoint before", damage)
            damaged.append(path)
            continue
        return state
    if damaged:
        raise UserError(f"every checkpoint in {folder} is damaged: start over with --fresh")
    return None


def give_back(name: str, part: Any, state: dict[str, Any], folder: Path) -> None:
    """Give a part its state back. Raises UserError naming the first key that does not fit."""
    remedy = "give another --out, or start over with --fresh"
    if isinstance(part, nn.Module):
        mine = part.state_dict()
        for key in {**mine, **state}:
            if key not in mine or key not in state:
                raise UserError(
                    f"{folder} does not fit: {name}.{key} is only in the {'model' if key in mine else 'checkpoint'}; "
                    + remedy
                )
            if isinstance(mine[key], Tensor) and mine[key].shape != state[key].shape:
                raise UserError(
                    f"{folder} does not fit: {name}.{key} is {tuple(state[key].shape)}, not {tuple(mine[key].shape)}; "
                    + remedy
                )
    try:
        part.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:  # what torch raises for another optimizer or other shapes
        raise UserError(f"{folder} does not fit {name} ({' '.join(str(error).split())}); {remedy}") from error


def whole(folder: Path) -> list[Path]:
    """Checkpoints under ``folder``, oldest first."""
    return sorted(path for path in folder.glob("step_????????") if path.is_dir())


def _prune(folder: Path, newest: Path) -> None:
    abandoned = [path for path in whole(folder) if path > newest]  # a resume went back before them
    for path in abandoned + whole(folder)[: -KEEP - len(abandoned)]:
        shutil.rmtree(path)


# ------------------------------------------------------------------------------- files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from error


def _checked(path: Path, digest: str) -> bytes:
    content = _read(path)
    if _digest(content) != digest:
        raise Damaged(f"{path} does not match its digest")
    return content


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is not JSON") from error
    if not isinstance(value, dict):
        raise Damaged(f"{path} is not a JSON object")
    return cast(dict[str, Any], value)


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, sort_keys=False, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------- trees of values
#
# JSON knows neither tensors, tuples, integer keys nor infinities: such a node becomes an object with one key that
# starts with "$". A dict whose own keys could be mistaken for one is written as a list of pairs.


def flatten(tree: Any) -> tuple[dict[str, Tensor], Any]:
    """Split a tree into its tensors, by name, and JSON that refers to them. A tied tensor is kept once.

    Tensors that merely overlap are kept each by itself.

    Raises TypeError naming the place of a value that a checkpoint cannot hold.
    """
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}
    storages: set[int] = set()

    def tensor(value: Tensor, path: str) -> dict[str, Any]:
        _refuse_exotic(value, path)
        value = value.detach()
        key = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), value.device)
        if key not in seen or not value.numel():
            while path in tensors:  # {1: a, "1": b}
                path += "'"
            seen[key] = path
            # safetensors holds row-major data: permute the dimensions into memory order, and note how
            packed = value.permute(memory_order(value)).contiguous().cpu()
            storage = packed.untyped_storage().data_ptr()
            tensors[path] = packed.clone() if storage in storages else packed  # safetensors refuses to share memory
            storages.add(storage)
        return {"$tensor": seen[key], "order": memory_order(value)}

    def node(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            return tensor(value, path)
        if isinstance(value, dict):
            items = cast(dict[Any, Any], value)
            if all(isinstance(key, str) and not key.startswith("$") for key in items):
                return {key: node(item, f"{path}/{key}") for key, item in items.items()}
            return {"$dict": [[node(key, path), node(item, f"{path}/{key}")] for key, item in items.items()]}
        if isinstance(value, (list, tuple)):
            members = [node(item, f"{path}/{i}") for i, item in enumerate(cast(list[Any], value))]
            return members if isinstance(value, list) else {"$tuple": members}
        return _scalar(value, path)

    structure = node(tree, "")
    return tensors, structure


def _scalar(value: Any, path: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(float(value))}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} (at {path.strip('/')})")


def _refuse_exotic(value: Tensor, path: str) -> None:
    if value.layout != torch.strided or value.is_meta or value.is_complex() or value.is_neg():
        raise TypeError(f"a checkpoint cannot hold a {value.layout} {value.dtype} tensor (at {path.strip('/')})")


def unflatten(structure: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo :func:`flatten`: same values, types, ties and memory layout."""
    restored: dict[str, Tensor] = {}

    def tensor(name: str, order: list[int]) -> Tensor:
        if name not in restored:
            inverse = sorted(range(len(order)), key=order.__getitem__)
            restored[name] = tensors[name].permute(inverse)
        return restored[name]

    def node(value: Any) -> Any:
        if isinstance(value, list):
            return [node(item) for item in cast(list[Any], value)]
        if not isinstance(value, dict):
            return value
        items = cast(dict[str, Any], value)
        if "$tensor" in items:
            return tensor(items["$tensor"], items["order"])
        if "$tuple" in items:
            return tuple(node(item) for item in items["$tuple"])
        if "$dict" in items:
            return {node(key): node(item) for key, item in items["$dict"]}
        if "$float" in items:
            return float(items["$float"])
        return {key: node(item) for key, item in items.items()}

    return node(structure)


def memory_order(value: Tensor) -> list[int]:
    """Dimensions from the slowest to the fastest in memory: [0, 2, 3, 1] for channels_last (B, C, H, W)."""
    return sorted(range(value.dim()), key=lambda d: (-value.stride(d), d))
