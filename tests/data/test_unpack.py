"""Archives that attack: every one is refused, and nothing is left behind, inside the target or outside."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from daybreak.data.fetch import unpack
from daybreak.engine.errors import UserError

MB = 1 << 20
Files = dict[str, bytes]
Make = Callable[[Path, Files], None]


def write_tar(path: Path, files: Files, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o7777
            archive.addfile(info, io.BytesIO(content))


def write_tar_gz(path: Path, files: Files) -> None:
    write_tar(path, files, "w:gz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def write_zip(path: Path, files: Files) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name  # as it is: the constructor would tidy it
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            archive.writestr(info, content)


def write_tar_member(path: Path, **fields: object) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("entry")
        for name, value in fields.items():
            setattr(info, name, value)
        archive.addfile(info)


FORMATS = pytest.mark.parametrize("make", [write_tar, write_tar_gz, write_zip])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which only the archive lies."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def extract(place: Path, max_bytes: int = 4 * MB, max_files: int = 100, max_ratio: float = 100) -> Path:
    return unpack(place / "archive", place / "out", max_bytes=max_bytes, max_files=max_files, max_ratio=max_ratio)


def is_refused(place: Path, words: str, **limits: int) -> None:
    outside = sorted(place.parent.rglob("*"))
    with pytest.raises(UserError, match=words) as caught:
        extract(place, **limits)
    assert "\n" not in str(caught.value)
    assert str(place / "archive") in str(caught.value)
    assert sorted(place.parent.rglob("*")) == outside


@FORMATS
def test_plain_files_come_out_as_they_went_in(place: Path, make: Make) -> None:
    files = {"a.txt": b"one", "./sub/b.bin": bytes(9_000), "sub/deeper/c": b"", "naïve name.txt": b"x"}
    make(place / "archive", files)
    out = extract(place)
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == {name.removeprefix("./"): content for name, content in files.items()}
    assert sorted(p.name for p in place.iterdir()) == ["archive", "out"]
    assert not any(path.stat().st_mode & 0o7022 for path in out.rglob("*")), "an archive does not set permissions"


def test_folders_of_an_archive_are_made(place: Path) -> None:
    (place / "tree" / "empty").mkdir(parents=True)
    with tarfile.open(place / "archive", "w:gz") as archive:
        archive.add(place / "tree", arcname=".")
    assert (extract(place) / "empty").is_dir()


@FORMATS
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil", "leads out of the folder"),
        ("a/../../evil", "leads out of the folder"),
        ("a/..", "leads out of the folder"),
        ("/tmp/evil", "leads out of the folder"),
        ("//host/evil", "leads out of the folder"),
        ("..\\evil", "Windows would read as another place"),
        ("a\\b", "Windows would read as another place"),
        ("C:evil", "Windows would read as another place"),
        ("C:/evil", "Windows would read as another place"),
        ("file:stream", "Windows would read as another place"),
        ("evil. ", "Windows would read as another place"),
        ("line\nbreak", "is not a name for a file"),
        ("right\u202eto left", "is not a name for a file"),
        (".", "is not a name for a file"),
        ("a/" * 600 + "b", "is not a name for a file"),
    ],
)
def test_names_that_are_not_plain_are_refused(place: Path, make: Make, name: str, words: str) -> None:
    make(place / "archive", {"first": b"ok", name: b"evil"})
    is_refused(place, words)


def test_a_nul_in_the_name_of_a_zip_entry_is_refused(place: Path) -> None:
    write_zip(place / "archive", {"good_evil": b"x"})
    content = (place / "archive").read_bytes().replace(b"good_evil", b"good\0evil")
    (place / "archive").write_bytes(content)
    is_refused(place, "is not a name for a file")


@FORMATS
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("read.me", "READ.me"),
        ("a/b", "a/B"),
        ("a/x", "A/y"),
        ("straße", "STRASSE"),
        ("é", "e\u0301"),
        ("a", "a/b"),
        ("a/b", "a"),
    ],
)
def test_names_that_take_each_others_place_are_refused(place: Path, make: Make, first: str, second: str) -> None:
    make(place / "archive", {first: b"1", second: b"2"})
    is_refused(place, "takes the place of")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates_are_refused(place: Path) -> None:
    with tarfile.open(place / "archive", "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("same"))
    is_refused(place, "takes the place of 'same'")
    with zipfile.ZipFile(place / "archive", "w") as archive:
        for _ in range(2):
            archive.writestr("same", b"")
    is_refused(place, "takes the place of 'same'")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("link", ["../../etc/hostname", "/etc/hostname", "archive"])
def test_links_and_devices_in_a_tar_are_refused(place: Path, kind: bytes, link: str) -> None:
    write_tar_member(place / "archive", type=kind, linkname=link)
    is_refused(place, "is a link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(place: Path, kind: int) -> None:
    info = zipfile.ZipInfo("entry")
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    with zipfile.ZipFile(place / "archive", "w") as archive:
        archive.writestr(info, "/etc/hostname")
    is_refused(place, "is a link or a device")


@FORMATS
def test_a_bomb_is_refused_by_its_ratio_and_by_its_bytes(place: Path, make: Make) -> None:
    make(place / "archive", {"zeros": bytes(12 * MB)})
    is_refused(place, "more bytes than are expected", max_bytes=11 * MB, max_ratio=10_000)
    if make is not write_tar:
        is_refused(place, "more bytes than are expected", max_bytes=100 * MB, max_ratio=20)
    assert (extract(place, max_bytes=12 * MB, max_ratio=10_000) / "zeros").stat().st_size == 12 * MB


@FORMATS
def test_many_small_files_together_are_counted(place: Path, make: Make) -> None:
    make(place / "archive", {str(i): bytes(MB) for i in range(5)})
    is_refused(place, "more bytes than are expected", max_bytes=4 * MB + 1, max_ratio=10_000)


@FORMATS
def test_too_many_entries_are_refused(place: Path, make: Make) -> None:
    make(place / "archive", {str(i): b"" for i in range(101)})
    is_refused(place, "more than the 100 entries", max_files=100)
    extract(place, max_files=101)


def test_a_tar_that_claims_four_gigabytes_is_refused(place: Path) -> None:
    member = tarfile.TarInfo("x")
    member.size = 2**32
    (place / "archive").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    is_refused(place, "more bytes than are expected")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [2**32, 2**21, -512, -1])
def test_a_tar_header_that_claims_an_absurd_size_is_refused(place: Path, kind: bytes, size: int) -> None:
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = kind
    header[124:136] = b"\x80" + size.to_bytes(11, "big") if size > 0 else (size % 256**12).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (place / "archive").write_bytes(bytes(header) + bytes(10_240))
    # newer Pythons see a negative size themselves
    is_refused(place, f"header that claims {size} bytes" if size > 0 else "header that claims -|damaged")


def test_a_tar_member_of_negative_size_does_not_loop(place: Path) -> None:
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-1024 % 256**12).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (place / "archive").write_bytes(bytes(header) + bytes(10_240))
    is_refused(place, "refused|damaged")


def test_endless_headers_of_a_tar_are_refused(place: Path) -> None:
    pax = tarfile.TarInfo("ü").tobuf(tarfile.PAX_FORMAT)[:1_024]  # without the file that it describes
    (place / "archive").write_bytes(gzip.compress(pax * 5_000))
    is_refused(place, "damaged .*recursion")


def test_a_sparse_file_is_refused(place: Path) -> None:
    write_tar_member(place / "archive", type=tarfile.GNUTYPE_SPARSE)
    is_refused(place, "is a link or a device|damaged")


def patched_zip(place: Path, offset: int, value: bytes, in_local: int | None = None) -> None:
    """A zip of one file of which some bytes of the central directory, and of the local header, are other ones."""
    write_zip(place / "archive", {"entry": bytes(1_000)})
    content = bytearray((place / "archive").read_bytes())
    start = content.index(b"PK\x01\x02") + offset
    content[start : start + len(value)] = value
    if in_local is not None:
        content[in_local : in_local + len(value)] = value
    (place / "archive").write_bytes(content)


def test_a_zip_that_lies_about_its_sizes_is_refused(place: Path) -> None:
    patched_zip(place, 24, struct.pack("<I", 2**32 - 2), in_local=22)  # claims 4 GB
    is_refused(place, "more bytes than are expected")
    patched_zip(place, 24, struct.pack("<I", 10), in_local=22)  # claims less than comes out
    is_refused(place, "damaged")
    patched_zip(place, 24, struct.pack("<I", 5_000), in_local=22)  # claims more than comes out
    is_refused(place, "damaged")


def test_an_encrypted_zip_and_an_unusual_compression_are_refused(place: Path) -> None:
    patched_zip(place, 8, b"\x01\x00", in_local=6)
    is_refused(place, "encrypted or compressed in a way")
    patched_zip(place, 10, b"\x0c\x00", in_local=8)
    is_refused(place, "encrypted or compressed in a way")


@FORMATS
def test_no_beginning_of_an_archive_passes_for_the_whole(place: Path, make: Make) -> None:
    rng = random.Random(0)
    make(place / "archive", {str(i): rng.randbytes(2_000) for i in range(3)})
    whole = (place / "archive").read_bytes()
    for part in (0, 1, 100, 600, len(whole) // 3, 4_500):
        (place / "archive").write_bytes(whole[:part])
        is_refused(place, "damaged or no tar, tar.gz or zip")


@FORMATS
def test_noise_in_an_archive_is_one_sentence_or_harmless(place: Path, make: Make) -> None:
    rng = random.Random(1)
    files = {f"folder/{i}": rng.randbytes(300) for i in range(3)}
    make(place / "archive", files)
    whole = (place / "archive").read_bytes()
    for _ in range(40):
        noisy = bytearray(whole)
        noisy[rng.randrange(len(noisy))] ^= rng.randrange(1, 256)
        (place / "archive").write_bytes(noisy)
        try:
            out = extract(place)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            found = sorted(path.read_bytes() for path in out.rglob("*") if path.is_file())
            assert found == sorted(files.values()) or make is write_tar, "zip and gzip have a checksum, tar has none"
            shutil.rmtree(out)
        assert [path.name for path in place.iterdir()] == ["archive"]


def test_what_is_no_archive_is_refused(place: Path) -> None:
    for content in (b"", b"PK", b"<html>404</html>" * 100, gzip.compress(b"text"), b"\x1f\x8bnonsense"):
        (place / "archive").write_bytes(content)
        is_refused(place, "damaged or no tar, tar.gz or zip")


def test_a_folder_that_exists_is_not_touched(place: Path) -> None:
    write_zip(place / "archive", {"a": b"1"})
    (place / "out").mkdir()
    (place / "out" / "mine").write_bytes(b"")
    is_refused(place, "exists already: move it away")


def test_a_missing_archive_is_named(place: Path) -> None:
    is_refused(place, "there is no archive")
