"""Downloads from a server that misbehaves in every way we could think of, on this machine's loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daybreak.data import fetch
from daybreak.data.fetch import download
from daybreak.engine.errors import UserError

CONTENT = bytes(range(256)) * 4_000  # about 1 MB
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MAX = len(CONTENT)

Behaviour = Callable[[http.server.BaseHTTPRequestHandler, int], None]


class Server:
    """Answers request ``n`` (from 0) with ``behaviours[n]``, the last one from then on."""

    def __init__(self) -> None:
        self.behaviours: list[Behaviour] = []
        self.ranges: list[str | None] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                n = len(outer.ranges)
                outer.ranges.append(self.headers["Range"])
                outer.behaviours[min(n, len(outer.behaviours) - 1)](self, n)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/set.bin"

    def close(self) -> None:
        self.httpd.shutdown()
        self.thread.join()
        self.httpd.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(fetch, "BACKOFF", 0.001)
    running = Server()
    yield running
    running.close()


def answer(handler: http.server.BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Send ``body``; a header given as "" is left out."""
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
        handler.wfile.write(body)


def good(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    """A server that honours Range."""
    wanted = handler.headers["Range"]
    if wanted is None:
        return answer(handler, CONTENT)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        return answer(handler, b"", 416, Content_Range=f"bytes */{len(CONTENT)}")
    return answer(handler, CONTENT[start:], 206, Content_Range=f"bytes {start}-{MAX - 1}/{MAX}")


def no_range(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT)


def whole_that_says_part(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT, 200, Content_Range=f"bytes {MAX // 3}-{MAX - 1}/{MAX}")


def closes_early(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT[: MAX // 3], Content_Length=str(MAX))


def resets(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def answers_nothing(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def wrong_range(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT[7:], 206, Content_Range=f"bytes 7-{MAX - 1}/{MAX}")


def status(code: int) -> Behaviour:
    return lambda handler, n: answer(handler, b"sorry", code)


def redirect(to: str) -> Behaviour:
    return lambda handler, n: answer(handler, b"", 302, Location=to)


def slow_start(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    time.sleep(0.15)
    answer(handler, CONTENT)


def other_file(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT[:-1] + b"?")


def larger_and_says_so(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT + b"more")


def larger_without_a_length(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT * 20, Content_Length="")


def larger_than_announced(handler: http.server.BaseHTTPRequestHandler, n: int) -> None:
    answer(handler, CONTENT + b"more", Content_Length=str(MAX))


def get(server: Server, path: Path, **options: int) -> Path:
    return download(server.url, path, DIGEST, max_bytes=options.pop("max_bytes", MAX), **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    "behaviours",
    [
        [good],
        [no_range],
        [slow_start],
        [larger_than_announced],
        [closes_early, good],
        [closes_early, no_range],
        [closes_early, whole_that_says_part],
        [closes_early, wrong_range, good],
        [closes_early, status(416), good],
        [resets, answers_nothing, status(503), good],
        [status(500), status(429), good],
    ],
)
def test_a_download_ends_whole_under_its_name_alone(
    server: Server, tmp_path: Path, behaviours: list[Behaviour]
) -> None:
    server.behaviours = behaviours
    path = get(server, tmp_path / "new" / "set.bin")
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["set.bin"]
    assert len(server.ranges) == len(behaviours)


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.behaviours = [closes_early, good]
    seen: list[tuple[int, int | None]] = []
    download(server.url, tmp_path / "x", DIGEST, max_bytes=MAX, progress=lambda done, total: seen.append((done, total)))
    assert server.ranges == [None, f"bytes={MAX // 3}-"]
    assert seen[-1] == (MAX, MAX)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.behaviours = [closes_early]
    with pytest.raises(UserError, match="go on where it stopped"):
        get(server, tmp_path / "x", attempts=1)
    assert names(tmp_path) == ["x.part"]
    server.behaviours = [good]
    assert get(server, tmp_path / "x").read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={MAX // 3}-"


@pytest.mark.parametrize("left", [b"?" * 1_000, CONTENT + b"more", b"?" * MAX])
def test_a_partial_file_of_something_else_is_begun_again(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "x.part").write_bytes(left)
    server.behaviours = [good]
    assert get(server, tmp_path / "x", max_bytes=2 * MAX).read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    (tmp_path / "y.part").write_bytes(CONTENT)  # whole, but stopped before it was renamed
    server.behaviours = [status(500)]
    assert get(server, tmp_path / "x") == tmp_path / "x"
    assert get(server, tmp_path / "y").read_bytes() == CONTENT
    assert server.ranges == []


def test_a_file_of_the_name_with_other_content_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    server.behaviours = [good]
    assert get(server, tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("behaviours", "words", "requests"),
    [
        ([other_file], "is not the file that daybreak knows", 1),
        ([status(404)], "answers 404 Not Found: it cannot be downloaded from there", 1),
        ([larger_and_says_so], f"announces {MAX + 4} bytes where at most {MAX} are expected", 1),
        ([larger_without_a_length], f"sends more than the {MAX} bytes", 1),
        (
            [redirect("http://example.invalid/set.bin")],
            "leads to http://example.invalid/set.bin, which is not https",
            1,
        ),
        ([redirect("ftp://127.0.0.1/set.bin")], "leads to ftp:.*, which is not https", 1),
        ([redirect("file:///etc/hostname")], "answers 302", 1),
        ([redirect("http://[::1/set.bin")], "could not download", 4),
        ([redirect("/set.bin")], "answers 302", None),
        ([status(500)], "could not download .*: the server answers 500 Internal Server Error; run the same", 4),
        ([answers_nothing], "could not download .*: Remote end closed connection", 4),
        ([resets], "could not download", 4),
    ],
)
def test_what_cannot_be_had_is_one_sentence_and_leaves_nothing(server, tmp_path, behaviours, words, requests) -> None:
    server.behaviours = behaviours
    with pytest.raises(UserError, match=words) as caught:
        get(server, tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    assert names(tmp_path) == []
    assert requests in (None, len(server.ranges))


def test_a_redirect_on_loopback_is_followed(server: Server, tmp_path: Path) -> None:
    server.behaviours = [redirect("/elsewhere.bin"), good]
    assert get(server, tmp_path / "x").read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up(server: Server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.05)
    released = threading.Event()
    server.behaviours = [lambda handler, n: released.wait(5) and None]
    with pytest.raises(UserError, match="timed out"):
        get(server, tmp_path / "x", attempts=2)
    released.set()
    assert len(server.ranges) == 2


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(fetch, "BACKOFF", 0.001)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(UserError, match=f"could not download {url}: .*refused"):
            download(url, tmp_path / "x", DIGEST, max_bytes=MAX)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://example.com/x", "file:///etc/hostname", "x", "http://127.0.0.1.evil.org/x"]
)
def test_only_https_leaves_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="is not an https address"):
        download(url, tmp_path / "x", DIGEST, max_bytes=MAX)
    assert names(tmp_path) == []


def test_an_md5_is_checked_too_and_another_kind_is_a_bug(server: Server, tmp_path: Path) -> None:
    server.behaviours = [good]
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert download(server.url, tmp_path / "x", f"md5:{md5}", max_bytes=MAX).exists()
    with pytest.raises(UserError, match="is not the file that daybreak knows"):
        download(server.url, tmp_path / "y", f"md5:{md5[::-1]}", max_bytes=MAX)
    with pytest.raises(ValueError, match="a digest is"):
        download(server.url, tmp_path / "z", md5, max_bytes=MAX)


@pytest.mark.skipif(os.name == "nt", reason="files are not locked there")
def test_two_processes_do_not_write_one_download(server: Server, tmp_path: Path) -> None:
    import fcntl

    server.behaviours = [good]
    with (tmp_path / "x.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another process is downloading .*x\.part: wait for it"):
            get(server, tmp_path / "x")
    assert names(tmp_path) == ["x.part"]


@pytest.mark.skipif(os.name == "nt", reason="no limit on the size of files there")
def test_a_full_disk_names_the_file_and_keeps_no_half_of_it(server: Server, tmp_path: Path) -> None:
    import resource

    server.behaviours = [good]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX // 2, hard))
    try:
        with pytest.raises(UserError, match=r"x\.part could not be written"):
            get(server, tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["x.part"]
    assert get(server, tmp_path / "x").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"x could not be written"):
        get(server, tmp_path / "file" / "x")
