"""The catalogue of data sets, and getting one from a server on this machine."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daybreak import cli
from daybreak.data import where
from daybreak.data.where import DataSet, Download
from daybreak.engine.errors import UserError

BY_HAND = (
    "multi30k", "sst2", "sst2-sentences", "cola", "mrpc", "stsb", "sick", "dream", "swag", "conll2003", "wnut17", "ewt",
    "squad", "squad1", "squad2", "lm",
)  # fmt: skip


def tar_gz(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return whole.getvalue()


SERVED = {
    "a.gz": gzip.compress(b"one", mtime=0),
    "b.gz": gzip.compress(b"two" * 1000, mtime=0),
    "whole.tar.gz": tar_gz({"inside/x": b"1", "inside/y": b"22", "inside/readme": b"?"}),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = SERVED.get(self.path.strip("/"), b"")
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DataSet]]:
    """Make a data set of served files the whole catalogue."""
    monkeypatch.setenv("NO_PROXY", "*")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def make(*names: str, files: tuple[str, ...], inside: str = "") -> DataSet:
        base = f"http://127.0.0.1:{httpd.server_address[1]}"
        downloads = tuple(
            Download(
                f"{base}/{n}", f"sha256:{hashlib.sha256(SERVED.get(n, b'')).hexdigest()}", len(SERVED.get(n, b"x"))
            )
            for n in names
        )
        made = DataSet("toy", "toys", "toys", "MIT", files, downloads, inside)
        monkeypatch.setattr(where, "_SETS", (made,))
        return made

    yield make
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_root_is_the_variable_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAYBREAK_DATA", "~/sets")
    assert where.root() == tmp_path / "sets"
    for unset in (lambda: monkeypatch.setenv("DAYBREAK_DATA", ""), lambda: monkeypatch.delenv("DAYBREAK_DATA")):
        unset()
        assert where.root() == tmp_path / ".cache" / "daybreak" / "data"


def test_every_entry_says_what_it_is_and_is_safe_to_get() -> None:
    listed = where.catalogue()
    by_hand = [
        "multi30k",
        "sst2",
        "sst2-sentences",
        "cola",
        "mrpc",
        "stsb",
        "sick",
        "dream",
        "swag",
        "conll2003",
        "wnut17",
    ]
    by_hand += ["ewt", "squad", "squad1", "squad2", "lm"]
    assert [s.name for s in listed] == ["digits", "mnist", "fashion-mnist", "emnist-letters", "cifar10", *BY_HAND]
    folders = [s.folder for s in listed if s.name not in ("squad1", "squad2")]  # which lie beside squad's files
    assert len(set(folders)) == len(folders)
    files = [f"{s.folder}/{name}" for s in listed for name in s.files]
    assert len(set(files)) == len(files)
    for data_set in listed:
        assert data_set.what and data_set.licence
        assert bool(data_set.files) == bool(data_set.downloads or data_set.by_hand) == bool(data_set.folder)
        assert data_set.by_hand == (data_set.name in BY_HAND)
        for download in data_set.downloads:
            assert download.url.startswith("https://")
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", download.digest)
            assert download.size > 1_000


def test_a_set_is_there_when_all_its_files_are_zipped_or_not(tmp_path: Path) -> None:
    mnist = where.find("mnist")
    assert not mnist.is_there(tmp_path)
    (tmp_path / "mnist").mkdir()
    for name in mnist.files:
        assert not mnist.is_there(tmp_path)
        (tmp_path / "mnist" / name.removesuffix(".gz" if "t10k" in name else "")).write_bytes(b"")
    assert mnist.is_there(tmp_path)
    assert where.find("digits").is_there(tmp_path), "it comes with scikit-learn"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'cifar-10' is no data set \(did you mean 'cifar10'"):
        where.find("cifar-10")
    with pytest.raises(UserError, match=r"'zzz' is no data set \(there are digits, mnist,"):
        where.prepare("zzz", Path("nowhere"))


def test_prepare_gets_a_set_of_files(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    toy = sets("a.gz", "b.gz", files=("a.gz", "b.gz"))
    seen: list[tuple[int, int | None]] = []
    folder = where.prepare("toy", tmp_path, lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / "toys"
    assert {name: (folder / name).read_bytes() for name in names(folder)} == {n: SERVED[n] for n in toy.files}
    assert names(tmp_path) == ["toys"]
    assert seen[-1] == (toy.size, toy.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_prepare_unpacks_what_a_reader_needs_and_nothing_else(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    sets("whole.tar.gz", files=("x", "y"), inside="inside")
    folder = where.prepare("toy", tmp_path)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == {"x": b"1", "y": b"22"}
    assert names(tmp_path) == ["toys"]


def test_prepare_goes_on_after_a_failure(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    sets("a.gz", "missing.gz", files=("a.gz", "missing.gz"))
    with pytest.raises(UserError, match="answers 404"):
        where.prepare("toy", tmp_path)
    assert names(tmp_path) == [".toy.partial"], "no folder of the set's name before all of it is there"
    written = (tmp_path / ".toy.partial" / "a.gz").stat().st_mtime_ns
    sets("a.gz", "b.gz", files=("a.gz", "b.gz"))
    assert (where.prepare("toy", tmp_path) / "a.gz").stat().st_mtime_ns == written


def test_prepare_unpacks_again_what_was_left_half_unpacked(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    sets("whole.tar.gz", files=("x", "y"), inside="inside")
    (tmp_path / ".toy.partial" / "unpacked" / "inside").mkdir(parents=True)
    assert names(where.prepare("toy", tmp_path)) == ["x", "y"]


def test_prepare_leaves_a_set_that_is_there_alone(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    sets("missing.gz", files=("missing.gz",))
    (tmp_path / "toys").mkdir()
    with pytest.raises(UserError, match=r"toys is there, but without missing\.gz: move it away"):
        where.prepare("toy", tmp_path)
    (tmp_path / "toys" / "missing.gz").write_bytes(b"mine")
    assert where.prepare("toy", tmp_path) == tmp_path / "toys"
    assert (tmp_path / "toys" / "missing.gz").read_bytes() == b"mine"


def test_an_archive_without_the_promised_file_is_not_put_in_place(sets: Callable[..., DataSet], tmp_path: Path) -> None:
    sets("whole.tar.gz", files=("x", "z"), inside="inside")
    with pytest.raises(UserError, match="has no z in it"):
        where.prepare("toy", tmp_path)
    assert names(tmp_path) == [".toy.partial"]


def test_a_set_that_daybreak_cannot_download_is_told_with_the_place_where_it_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    place = tmp_path / "multi30k"
    advice = f"daybreak does not download multi30k: put train.de, train.en, val.de, .*test_2017_mscoco.en into {place}$"
    for _ in ("no folder", "an empty one"):
        assert cli.main(["data", "prepare", "multi30k"]) == 2
        told = capsys.readouterr().err
        assert re.search(f"train.de is missing; {advice}", told.strip()) and len(told.splitlines()) == 1
        listed = list_data(capsys)
        assert [line for line in listed if re.fullmatch(advice, line)]
        assert [line for line in listed if re.match("multi30k +no +by hand +for research", line)]
        place.mkdir(exist_ok=True)
    for name in where.find("multi30k").files:
        (place / name).write_text("a sentence")
    assert cli.main(["data", "prepare", "multi30k"]) == 0
    assert capsys.readouterr().out == f"multi30k is in {place}\n"
    listed = list_data(capsys)
    assert [line for line in listed if re.match("multi30k +yes +by hand", line)]
    assert not [line for line in listed if re.fullmatch(advice, line)]


def list_data(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert cli.main(["data", "list"]) == 0
    return capsys.readouterr().out.splitlines()


def test_what_comes_with_a_dependency_needs_no_preparing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "prepare", "digits"]) == 0
    assert "comes with a dependency" in capsys.readouterr().out
    assert where.prepare("digits", tmp_path) == tmp_path and names(tmp_path) == []


@pytest.mark.realdata
@pytest.mark.parametrize("name", [name for name in BY_HAND if name not in ("swag", "squad1", "squad2")])
def test_the_real_sets_are_found_as_they_lie_there(name: str, real_data: Callable[[str], Path]) -> None:
    data_set = where.find(name)
    assert data_set.missing(real_data(data_set.folder)) == []


def test_listing_data_sets_loads_neither_torch_nor_the_network() -> None:
    heavy = "{'torch', 'numpy', 'urllib.request'}"
    code = f"import sys, daybreak.data.where as w; w.catalogue(); print(*sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
