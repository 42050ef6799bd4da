"""Files that are whole or not there: written under a temporary name, synced to disk, renamed. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from daybreak.engine.errors import UserError


def write_atomic(path: Path, content: bytes) -> None:
    """Replace ``path`` as a whole: a reader sees the old content or the new one, also after a crash."""
    temporary = path.with_name(f".tmp_{path.name}_{os.getpid()}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_synced(temporary, content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_synced(path: Path, content: bytes) -> str:
    """Write, flush to the disk, and return the SHA-256."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


@contextmanager
def disk_errors(path: Path) -> Generator[None]:
    """Turn the disk's refusal into one sentence that names ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}): free space or choose another place"
        ) from error


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders that a killed process left in ``folder``."""
    for stale in folder.glob(".tmp_*"):
        if stale.is_dir():
            shutil.rmtree(stale, ignore_errors=True)
        else:
            stale.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable (a no-op where folders cannot be opened, as on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
