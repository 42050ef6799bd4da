"""Verified downloads and safe unpacking: what arrives under its final name is whole, known, and inside its folder.

Imports no torch. Everything that comes over the network or out of an archive is taken for hostile.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import os
import stat
import struct
import sys
import tarfile
import tempfile
import time
import unicodedata
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, sync_folder

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be (None: the server does not say)."""

TIMEOUT = 30.0  # seconds that a server may stay silent
BACKOFF = 1.0  # seconds before the second attempt; doubles with each
_CHUNK = 1 << 18
_HEADER = 1024  # bytes of a tar that an entry's header and padding take
_LARGEST_READ = 1 << 20  # bytes that tarfile asks for at once
_LONGEST_NAME = 1024
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_RETRY_STATUS = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
_BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What a broken connection raises (trouble with the disk is a UserError by then); ValueError: a malformed redirect."""
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    OSError,  # gzip's own, and seeking to before the beginning
    *(ValueError, LookupError, ArithmeticError, RuntimeError),  # what tarfile and zipfile let slip on noise
)
_SLACK = 1 << 20  # bytes that headers and padding may take: a small tar of zeros is not a bomb


# ------------------------------------------------------------------------------- downloads


def download(
    url: str,
    path: Path,
    digest: str,
    *,
    max_bytes: int,
    progress: Progress | None = None,
    attempts: int = 4,
) -> Path:
    """Download ``url`` to ``path`` and check it against ``digest`` ("sha256:<hex>" or "md5:<hex>").

    The bytes go to ``<path>.part``, which a later attempt or call resumes, and get their name when they are whole.
    Broken connections and server errors are retried with growing pauses. Raises UserError for a URL (or a redirect
    to one) that is not https, for more than ``max_bytes``, a wrong digest, or when every attempt failed.
    """
    _check_url(url)
    part = path.with_name(f"{path.name}.part")
    with disk_errors(path):
        if path.exists() and _digest_of(path, digest) == digest:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(part) as file:
        _fill(url, file, digest, max_bytes, progress, attempts)
    with disk_errors(path):
        os.replace(part, path)
        sync_folder(path.parent)
    return path


def _fill(url: str, file: IO[bytes], digest: str, max_bytes: int, progress: Progress | None, attempts: int) -> None:
    why = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        if file.tell() and _digest(file, digest) == digest:
            return  # whole: an earlier call was stopped before it could rename it
        why = _attempt(url, file, digest, max_bytes, progress)
        if not why:
            return
    raise UserError(f"could not download {url}: {why}; run the same command again to go on where it stopped")


def _attempt(url: str, file: IO[bytes], digest: str, max_bytes: int, progress: Progress | None) -> str:
    """Fill ``file`` with the rest of the download. Returns why it is worth another attempt, "" when it is whole."""
    start = file.tell()
    try:
        _fetch(url, file, max_bytes, progress)
    except urllib.error.HTTPError as error:
        error.close()
        says = f"{error.code} {http.client.responses.get(error.code, '')}".strip()  # not in the server's own words
        if error.code == 416:  # the server has fewer bytes than we: ours are not the beginning of its file
            _rewind(file)
        if error.code not in _RETRY_STATUS:
            raise UserError(f"{url} answers {says}: it cannot be downloaded from there") from error
        return f"the server answers {says}"
    except _BROKEN as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__)
    if _digest(file, digest) == digest:
        return ""
    _rewind(file)
    if start:
        return "what an earlier attempt left does not fit the rest"
    raise UserError(f"{url} is not the file that daybreak knows (its digest is not {digest}): nothing was kept")


def _fetch(url: str, file: IO[bytes], max_bytes: int, progress: Progress | None) -> None:
    headers = {"User-Agent": "daybreak", "Accept-Encoding": "identity"}
    if file.tell():
        headers["Range"] = f"bytes={file.tell()}-"
    opener = urllib.request.build_opener(_OnlySafeRedirects())
    with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        if file.tell() and not _continues(answer, file.tell()):
            _rewind(file)
            if answer.status == 206:
                raise ConnectionError("the server sends another part of the file than the one asked for")
        rest = answer.length  # None when the server does not say
        total = None if rest is None else file.tell() + rest
        if total is not None and total > max_bytes:
            _rewind(file)
            raise UserError(f"{url} announces {total} bytes where at most {max_bytes} are expected: not downloaded")
        _copy(answer, file, max_bytes, total, progress, url)


def _continues(answer: http.client.HTTPResponse, start: int) -> bool:
    return answer.status == 206 and (answer.headers["Content-Range"] or "").startswith(f"bytes {start}-")


def _copy(
    answer: IO[bytes], file: IO[bytes], max_bytes: int, total: int | None, progress: Progress | None, url: str
) -> None:
    while block := answer.read(_CHUNK):
        if file.tell() + len(block) > max_bytes:
            _rewind(file)
            raise UserError(f"{url} sends more than the {max_bytes} bytes that are expected: nothing was kept")
        with disk_errors(Path(file.name)):
            file.write(block)
            file.flush()
        if progress is not None:
            progress(file.tell(), total)
    if total is not None and file.tell() < total:
        raise ConnectionError(f"the connection closed after {file.tell()} of {total} bytes")


class _OnlySafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(newurl).scheme != "https" and not (_is_loopback(req.full_url) and _is_loopback(newurl)):
            fp.close()
            raise UserError(f"{req.full_url} leads to {newurl}, which is not https: not downloaded")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_url(url: str) -> None:
    if urlsplit(url).scheme != "https" and not _is_loopback(url):
        raise UserError(f"{url} is not an https address: not downloaded")


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _digest(file: IO[bytes], kind_and_hex: str) -> str:
    kind = kind_and_hex.partition(":")[0]
    if kind not in ("sha256", "md5"):
        raise ValueError(f"a digest is sha256:... or md5:..., not {kind_and_hex!r}")
    file.seek(0)
    code = hashlib.new(kind, usedforsecurity=False)
    while block := file.read(_CHUNK):
        code.update(block)
    return f"{kind}:{code.hexdigest()}"  # and the file stands at its end again


def _digest_of(path: Path, kind_and_hex: str) -> str:
    with path.open("rb") as file:
        return _digest(file, kind_and_hex)


def _rewind(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


@contextmanager
def _exclusive(part: Path) -> Iterator[IO[bytes]]:
    """Open the partial file at its end; a second process that downloads it is refused. Left behind only with bytes."""
    with disk_errors(part):
        file = part.open("a+b")
    _lock(file)
    try:
        yield file
        os.fsync(file.fileno())
    finally:
        with disk_errors(part):
            empty = os.fstat(file.fileno()).st_size == 0
            file.close()
            if empty:
                part.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        return  # an open file cannot be renamed there, so a second process cannot pass off a half-written one
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UserError(f"another process is downloading {file.name}: wait for it") from error


# ------------------------------------------------------------------------------- archives


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_files: int, max_ratio: float) -> Path:
    """Unpack a tar, tar.gz or zip of plain files into the new folder ``folder``; all of it, or nothing.

    ``max_ratio``: bytes that come out for each byte of the archive. Raises UserError, and leaves nothing behind, for
    names that leave the folder or that Windows would read differently, links, devices, names that occur twice (also
    when only their case differs), more bytes or entries than allowed, a damaged archive, and a folder that exists.
    """
    if not archive.is_file():
        raise UserError(f"there is no archive {archive}")
    if folder.exists():
        raise UserError(f"{folder} exists already: move it away before {archive} is unpacked there")
    limit = min(max_bytes, int(max_ratio * archive.stat().st_size) + _SLACK)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()
            try:
                _unpack_all(_entries(archive, limit + _SLACK + _HEADER * max_files), whole, archive, limit, max_files)
            except _DAMAGED as error:
                if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                    raise  # the disk's trouble, not the archive's
                raise UserError(f"{archive} is damaged or no tar, tar.gz or zip ({error}): get it again") from error
            os.replace(whole, folder)
        sync_folder(folder.parent)
    return folder


@dataclass
class _Entry:
    name: str
    size: int
    open: Callable[[], IO[bytes]] | None  # None: a folder


def _unpack_all(entries: Iterator[_Entry], folder: Path, archive: Path, limit: int, max_files: int) -> None:
    taken: dict[str, tuple[str, bool]] = {}
    for count, entry in enumerate(entries, 1):
        limit -= entry.size
        if limit < 0 or entry.size < 0:
            raise UserError(f"{archive} claims to unpack to more bytes than are expected: refused")
        if count > max_files:
            raise UserError(f"{archive} has more than the {max_files} entries that are expected: refused")
        try:
            target = folder / _claim(entry.name, entry.open is None, taken)
        except ValueError as error:
            raise UserError(f"{archive} has an entry {entry.name[:80]!r}, {error}: refused") from error
        (target if entry.open is None else target.parent).mkdir(parents=True, exist_ok=True)
        if entry.open is not None:
            _write(entry.open, entry.size, target)


def _claim(name: str, is_folder: bool, taken: dict[str, tuple[str, bool]]) -> str:
    """Turn an entry's name into a relative path that no other entry has. Raises ValueError saying what is wrong."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise ValueError("which leads out of the folder")
    if "\\" in name or ":" in name or any(part[-1] in " ." for part in parts):
        raise ValueError("which Windows would read as another place")
    if not name.isprintable() or len(name) > _LONGEST_NAME or not (parts or is_folder):
        raise ValueError("which is not a name for a file")
    for depth in range(1, len(parts) + 1):
        path, last = "/".join(parts[:depth]), depth == len(parts)
        mine = (path, is_folder or not last)
        key = unicodedata.normalize("NFC", path).casefold()
        if taken.get(key, mine) != mine or (key in taken and last and not is_folder):
            raise ValueError(f"which takes the place of {taken[key][0]!r}")
        taken[key] = mine
    return "/".join(parts)


def _write(open_source: Callable[[], IO[bytes]], size: int, target: Path) -> None:
    with open_source() as source, target.open("xb") as file:
        while block := source.read(_CHUNK):
            file.write(block)
        if file.tell() != size:
            raise EOFError(f"{target.name} ends after {file.tell()} of {size} bytes")


def _entries(archive: Path, limit: int) -> Iterator[_Entry]:
    with archive.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK":
        return _zip_entries(archive)
    return _tar_entries(archive, limit, compressed=magic == b"\x1f\x8b")


def _zip_entries(archive: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as whole:
        for info in whole.infolist():
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"{archive} has an entry {info.filename!r} that is a link or a device: refused")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UserError(f"{archive} is encrypted or compressed in a way that is not supported: refused")
            yield _Entry(info.orig_filename, info.file_size, None if info.is_dir() else partial(whole.open, info))


def _tar_entries(archive: Path, limit: int, compressed: bool) -> Iterator[_Entry]:
    with gzip.open(archive) if compressed else archive.open("rb") as file:
        bounded = _Bounded(file, archive, limit)
        with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as whole:
            for member in whole:
                if not (member.isdir() or member.isreg()) or member.issparse():
                    raise UserError(f"{archive} has an entry {member.name!r} that is a link or a device: refused")
                yield _Entry(member.name, member.size, None if member.isdir() else partial(_member, whole, member))
        while bounded.read(_CHUNK):  # gzip checks its CRC at its very end, which tarfile does not read
            pass


def _member(whole: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = whole.extractfile(member)
    assert file is not None  # it is None for links and folders, which are not asked for
    return file


class _Bounded:
    """A tar as tarfile reads it, up to ``limit`` bytes: its headers may ask for gigabytes, and go backwards."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, archive: Path, limit: int) -> None:
        self.file, self.archive, self.limit = file, archive, limit

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, offset: int) -> int:
        self._check(offset)
        return self.file.seek(offset)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise UserError(f"{self.archive} has a header that claims {size} bytes: refused")
        self._check(self.file.tell() + size)
        return self.file.read(size)

    def _check(self, offset: int) -> None:
        if offset > self.limit:
            raise UserError(f"{self.archive} unpacks to more bytes than are expected: refused")
