"""From files to batches and back to lines: nothing of a user's text is lost, doubled, or read as something else."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybreak.data.text import END, PAD, START, learn_bpe
from daybreak.engine.errors import UserError
from daybreak.systems.translation import data, lines
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.data import Corpus, Pairs, encode, learn_vocabulary, train_and_val
from daybreak.systems.translation.predict import pieces

DE = ["ein Hund schläft", "zwei Katzen", "ein Kind lacht. Es ist müde!"]
EN = ["a dog sleeps", "two cats", "a child laughs. It is tired!"]
BPE = learn_bpe([*DE, *EN], 320)


def own_files(folder: Path, source: Sequence[str], target: Sequence[str], **changes: object) -> Config:
    """A config for two files of these lines."""
    (folder / "a.de").write_text("".join(f"{line}\n" for line in source), encoding="utf-8")
    (folder / "a.en").write_text("".join(f"{line}\n" for line in target), encoding="utf-8")
    files = {"source_file": str(folder / "a.de"), "target_file": str(folder / "a.en")}
    return Config(**{"data": "files", "held_out": 5, **files, **changes})  # type: ignore[arg-type]


def of(corpus: Corpus) -> list[tuple[str, str]]:
    return list(zip(corpus.source, corpus.target, strict=True))


# ----------------------------------------------------------------------------- which sentences


def test_pairs_with_an_empty_side_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = ["", " \t", "x", "y", *(f"eins {i}" for i in range(20))]
    target = ["a", "b", "", "\u2003", *(f"one {i}" for i in range(20))]
    config = own_files(tmp_path, source, target)
    train, val = train_and_val(config)
    assert sorted([*of(train), *of(val), *of(data.tests(config)["test"])]) == sorted(
        zip(source[4:], target[4:], strict=True)
    )
    assert "left out 4 of 24 pairs, in which a sentence is empty" in caplog.text
    caplog.clear()
    train_and_val(own_files(tmp_path, source[4:], target[4:]))
    assert not caplog.text


def test_the_split_of_a_users_files_is_the_same_for_every_seed_and_disjoint(tmp_path: Path) -> None:
    source, target = [f"{i} eins" for i in range(50)], [f"{i} one" for i in range(50)]
    splits = []
    for seed in (0, 1):
        config = own_files(tmp_path, source, target, seed=seed, held_out=10)
        splits.append([of(part) for part in (*train_and_val(config), data.tests(config)["test"])])
    assert splits[0] == splits[1]
    train, val, test = splits[0]
    assert (len(train), len(val), len(test)) == (30, 10, 10)
    assert sorted(train + val + test) == sorted(zip(source, target, strict=True))
    assert val != sorted(zip(source, target, strict=True))[:10], "they come from all over the file"


def test_what_is_held_out_is_not_trained_on_where_the_file_says_it_twice(tmp_path: Path) -> None:
    numbers = [i // 3 for i in range(90)]  # every pair three times
    config = own_files(tmp_path, [f"{i} eins" for i in numbers], [f"{i} one" for i in numbers], held_out=10)
    train, val = train_and_val(config)
    held_out = [*of(val), *of(data.tests(config)["test"])]
    assert len(held_out) == len(set(held_out)) == 20
    assert len(train) == 30 and not set(of(train)) & set(held_out)


def test_files_too_small_for_a_split_are_refused(tmp_path: Path) -> None:
    for count, refused in ((10, True), (11, False)):
        config = own_files(tmp_path, [f"{i} eins" for i in range(count)], [f"{i} one" for i in range(count)])
        if refused:
            with pytest.raises(
                UserError, match=r"a\.de has 10 different pairs, and --held-out 5 .* smaller --held-out"
            ):
                train_and_val(config)
        else:
            assert [len(part) for part in train_and_val(config)] == [1, 5]


def test_files_of_different_length_and_missing_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 3 of .*a\.de has no partner in .*a\.en"):
        train_and_val(own_files(tmp_path, DE, EN[:2]))
    with pytest.raises(UserError, match=r"nowhere\.en cannot be read"):
        train_and_val(own_files(tmp_path, DE, EN, target_file="nowhere.en"))


def test_missing_multi30k_is_told_with_the_place_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    config = Config(data="multi30k")
    for read in (train_and_val, data.tests):
        with pytest.raises(UserError, match=r"train\.de is missing; .* put train\.de, .* into .*multi30k$"):
            read(config)


def test_multi30k_is_read_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    (tmp_path / "multi30k").mkdir()
    for part in ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco"):
        for language in ("de", "en"):
            (tmp_path / "multi30k" / f"{part}.{language}").write_text(f"{part} {language}\n")
    config = Config(data="multi30k", source="en", target="de")
    assert [of(part) for part in train_and_val(config)] == [[("train en", "train de")], [("val en", "val de")]]
    assert {name: of(part) for name, part in data.tests(config).items()} == {
        "test2016": [("test_2016_flickr en", "test_2016_flickr de")],
        "test2017": [("test_2017_flickr en", "test_2017_flickr de")],
        "mscoco": [("test_2017_mscoco en", "test_2017_mscoco de")],
    }


@pytest.mark.realdata
def test_multi30k_has_its_published_number_of_pairs(
    real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(real_data("multi30k")))
    config = Config(data="multi30k")
    assert [len(part) for part in train_and_val(config)] == [29_000, 1_014]
    assert {name: len(part) for name, part in data.tests(config).items()} == {
        "test2016": 1_000, "test2017": 1_000, "mscoco": 461,
    }  # fmt: skip
    assert not caplog.text


def test_numbers_are_spelled_in_the_languages_asked_for() -> None:
    config = Config(source="en", target="de", pairs=50, held_out=20)
    train, val = train_and_val(config)
    test = data.tests(config)["test"]
    assert (len(train), len(val), len(test)) == (50, 20, 20)
    assert not set(train.source) & set(val.source) and not {*train.source, *val.source} & set(test.source)
    assert not any("hundert" in sentence for sentence in train.source)
    assert any("hundert" in sentence for sentence in train.target)


# ----------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("shared", [True, False])
def test_languages_share_a_vocabulary_or_have_their_own(shared: bool) -> None:
    vocabulary = learn_vocabulary(Corpus(DE * 9, EN * 9), Config(shared_vocab=shared, vocab_size=320))
    assert (vocabulary.source is vocabulary.target) == shared
    own, foreign = (tokenizer.encode("sleeps").ids for tokenizer in (vocabulary.target, vocabulary.source))
    assert len(own) <= 2 and (own == foreign) == shared
    assert vocabulary.sizes == (vocabulary.source.get_vocab_size(), vocabulary.target.get_vocab_size())
    pairs = vocabulary.encode(Corpus(DE, EN))
    for tokenizer, sentences, encoded in (
        (vocabulary.source, DE, pairs.source),
        (vocabulary.target, EN, pairs.target),
    ):
        assert [tokenizer.decode(tokens.tolist()).strip() for tokens in encoded] == sentences
        assert all(tokens[-1] == END and tokens.dtype == torch.int64 for tokens in encoded)


def test_a_batch_has_starts_ends_and_padding_in_their_places() -> None:
    pairs = Pairs(
        [torch.tensor([7, 8, END]), torch.tensor([9, END])], [torch.tensor([5, END]), torch.tensor([4, 6, END])]
    )
    batch = pairs.batch(torch.tensor([1, 0]))
    assert batch.source.tolist() == [[9, END, PAD], [7, 8, END]]
    assert batch.target_in.tolist() == [[START, 4, 6], [START, 5, PAD]]
    assert batch.target_out.tolist() == [[4, 6, END], [5, END, PAD]]
    assert pairs.lengths.tolist() == [[3, 2], [2, 3]] and pairs.lengths.dtype == torch.int64


def test_pairs_with_a_long_sentence_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    long, short = torch.tensor([5, 5, 5, END]), torch.tensor([5, 5, END])
    pairs = Pairs([short, long, short, short], [short, short, long, short])
    kept = pairs.up_to(3)
    assert kept.lengths.tolist() == [[3, 3], [3, 3]]
    assert "left out 2 of 4 pairs, in which a sentence has over 3 tokens" in caplog.text
    caplog.clear()
    assert len(pairs.up_to(4)) == 4 and not caplog.text
    nothing = pairs.up_to(2)
    assert nothing.lengths.shape == (0, 2) and nothing.lengths.dtype == torch.int64


def test_what_is_no_unicode_gets_a_sentence() -> None:
    typed = os.fsdecode("für".encode("latin1")) if sys.platform != "win32" else "f\udcfcr"
    for broken in (typed, "\ud800\ud800"):
        with pytest.raises(UserError, match="give it in UTF-8"):
            encode(BPE, [broken])
        with pytest.raises(UserError, match="give it in UTF-8"):
            pieces(BPE, broken, 10)


# ----------------------------------------------------------------------------- pieces of a long text


def count(text: str) -> int:
    return len(BPE.encode(text).ids)


texts = st.text(
    st.sampled_from("ab .!?。\n\t\u3000é中🙂\u0301\"')") | st.characters(exclude_categories=["Cs"]), max_size=120
)


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(5, 40))
@example(" " * 50 + "a" + "\u3000" * 50, 5)
@example("🙂" * 50, 5)
@example("é。", 5)
def test_pieces_join_to_the_text_and_each_fits(text: str, longest: int) -> None:
    found = pieces(BPE, text, longest)
    assert all(piece.strip() and count(piece) <= longest for piece in found)
    place = 0
    for piece in found:
        at = text.index(piece, place)
        assert not text[place:at].strip(), "only white space is left out"
        place = at + len(piece)
    assert not text[place:].strip()
    if text.strip() and count(text) <= longest:
        assert found == [text]


def test_a_single_character_is_a_piece_though_it_has_more_tokens() -> None:
    assert count("🙂") == 5
    assert pieces(BPE, "🙂🙂", 4) == ["🙂", "🙂"]


@pytest.mark.parametrize(("line", "after"), [
    ("Ein Hund schläft. Zwei Katzen lachen! " * 800, ".!"),
    ("ein Kind lacht und " * 1_800, "tdn"),
    ("\u200bنص" * 3_000, None),
    ("我喜欢猫。你喜欢狗吗？" * 500, "。？"),
    ("x" * 20_000, None),
    ("🙂" * 3_000, None),
])  # fmt: skip
def test_a_line_of_ten_thousand_tokens_is_cut_where_one_may_breathe(line: str, after: str | None) -> None:
    assert count(line) >= 10_000
    found = pieces(BPE, line, 250)
    assert "".join(found) == line or not line.removeprefix("".join(found)).strip()
    lengths = [count(piece) for piece in found]
    assert max(lengths) <= 250 and min(lengths) > 40, "all fit, and none is a crumb"
    if after:
        assert {piece.rstrip()[-1] for piece in found} <= set(after)


@pytest.mark.parametrize(("text", "found"), [
    ("Er wiegt 3.5 kg. Sie auch.", ["Er wiegt 3.5 kg.", " Sie auch."]),
    ('Er rief: "Halt!" Sie blieb stehen', ['Er rief: "Halt!"', " Sie blieb stehen"]),
    ("ein Hund und zwei Katzen", ["ein Hund und", " zwei Katzen"]),
    ("Ja. Ein Hund und zwei Katzen", ["Ja. Ein Hund", " und zwei Katzen"]),
    ("aaaaaaaaaaaaaaaaaaaaaaaa", ["aaaaaaaaaaaa"] * 2),
    (" \n ", []),
    ("", []),
])  # fmt: skip
def test_a_text_is_cut_after_a_sentence_else_a_word_else_in_the_middle(text: str, found: list[str]) -> None:
    assert pieces(BPE, text, count(text) - 1 if text.strip() else 5) == found


# ----------------------------------------------------------------------------- many lines


class Upper:
    """Translates into capitals; a line is told as two pieces, an empty one as none; fails where it is asked to."""

    def __init__(self, fail_at: str = "\0") -> None:
        self.fail_at = fail_at
        self.calls: list[int] = []

    def translate(
        self, sentences: Sequence[str], *, beam: int, length_penalty: float, progress: Callable[[int], None]
    ) -> list[str]:
        assert (beam, length_penalty) == (3, 0.5)
        self.calls.append(len(sentences))
        if self.fail_at in sentences:
            raise RuntimeError("out of memory")
        for sentence in sentences:
            if sentence:
                progress(2)
        return [sentence.upper() for sentence in sentences]


def translate_file(file: Path, out: Path | None = None, translator: Upper | None = None) -> None:
    lines.translate_file(translator or Upper(), file, out, 3, 0.5)  # type: ignore[arg-type]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, bool], None]:
    """Make these bytes the standard input, of a pipe or of a terminal."""

    def make(content: bytes, terminal: bool) -> None:
        stdin = io.TextIOWrapper(io.BytesIO(content))
        stdin.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stdin)

    return make


CONTENT = "eins\n\n  \nä\u2028b\x0bc\r\nlast".encode()
UPPER = "EINS\n\n  \nÄ\u2028B\x0bC\nLAST\n"


def test_a_file_is_printed_with_as_many_lines_as_it_has(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    translate_file(tmp_path / "in")
    assert capfdbinary.readouterr().out == UPPER.encode()
    translate_file(tmp_path / "in", tmp_path / "new" / "out")
    assert (tmp_path / "new" / "out").read_bytes() == UPPER.encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    assert capfdbinary.readouterr().out == b""


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_an_empty_translation(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in").write_bytes(content)
    translate_file(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


def test_a_long_file_keeps_its_order_and_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 3)
    (tmp_path / "in").write_text("".join(f"x{i}\n" for i in range(8)))
    upper = Upper()
    translate_file(tmp_path / "in", tmp_path / "in", upper)
    assert (tmp_path / "in").read_text() == "".join(f"X{i}\n" for i in range(8)), "--out may be the file itself"
    assert upper.calls == [3, 3, 2]


def test_out_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 2)
    (tmp_path / "in").write_text("1\n2\n3\n4\n")
    with pytest.raises(RuntimeError, match="out of memory"):
        translate_file(tmp_path / "in", tmp_path / "out", Upper(fail_at="3"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    (tmp_path / "out").write_text("older")
    with pytest.raises(RuntimeError):
        translate_file(tmp_path / "in", tmp_path / "out", Upper(fail_at="4"))
    assert (tmp_path / "out").read_text() == "older"


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, dir: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "in").write_text("eins\n")
    for out, told in ((tmp_path, "is a folder: give --out a file"), (tmp_path / "in" / "out", "could not be written")):
        upper = Upper()
        with pytest.raises(UserError, match=told):
            translate_file(tmp_path / "in", out, upper)
        assert upper.calls == []
    assert (tmp_path / "in").read_text() == "eins\n"
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"out could not be written \(Permission denied\)"):
        translate_file(tmp_path / "in", tmp_path / "out", upper)
    assert upper.calls == []


def test_a_pipe_is_translated_line_by_line(
    typed: Callable[[bytes, bool], None], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    typed(CONTENT, False)
    lines.translate_input(Upper(), 3, 0.5)  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == UPPER.encode()
    typed(b"eins\nf\xfcnf\n", False)
    with pytest.raises(UserError, match="standard input, line 2: byte 2"):
        lines.translate_input(Upper(), 3, 0.5)  # type: ignore[arg-type]
    assert capfdbinary.readouterr().out == b""


def test_at_a_terminal_each_line_is_translated_when_it_is_typed(
    typed: Callable[[bytes, bool], None], capfd: pytest.CaptureFixture[str]
) -> None:
    typed("eins\n\nfünf\n".encode(), True)
    upper = Upper()
    lines.translate_input(upper, 3, 0.5)  # type: ignore[arg-type]
    told = capfd.readouterr()
    assert told.out == "EINS\n\nFÜNF\n" and "Ctrl-D" in told.err
    assert upper.calls == [1, 1, 1], "and nothing of the line's end is in them"
    typed(b"f\xfcnf\n", True)
    with pytest.raises(UserError, match="standard input, line 1: byte 2"):
        lines.translate_input(upper, 3, 0.5)  # type: ignore[arg-type]


def test_progress_counts_lines_and_ends_at_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "AT_ONCE", 4)
    seen: list[tuple[str, int, bool]] = []

    class Bar:
        def __init__(self, title: str, done: int, total: int, show: bool, unit: str) -> None:
            seen.append((unit, total, show))

        def update(self, done: int) -> None:
            seen.append(("update", done, True))

        def close(self, done: int) -> None:
            seen.append(("close", done, True))

    monkeypatch.setattr(lines, "Progress", Bar)
    assert len(list(lines.translate(Upper(), [*"abcd", "", ""], 3, 0.5, bar=True))) == 6  # type: ignore[arg-type]
    counts = [done for what, done, _ in seen if what == "update"]
    assert seen[0] == ("lines", 6, True) and seen[-1] == ("close", 6, True)
    assert counts == sorted(counts) == [2, 4, 4, 4]


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A terminal to write to, and what arrives there."""
    import pty

    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := os.read(ours, 65_536):
                shown.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield theirs, shown
    finally:
        os.close(theirs)
        thread.join()
        os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_bar_at_the_terminal_does_not_catch_what_is_printed_into_a_pipe(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    monkeypatch.setenv("TERM", "xterm")
    with (
        terminal() as (descriptor, shown),
        open(descriptor, "w", closefd=False) as stderr,
        contextlib.redirect_stderr(stderr),
    ):
        translate_file(tmp_path / "in")
    assert b"translating" in b"".join(shown)
    assert capfdbinary.readouterr().out == UPPER.encode()
