"""Lines of text as other tools count them, and vocabularies in which every text can be spelled and nothing is magic."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from daybreak.data.text import (
    END,
    PAD,
    SPECIAL,
    START,
    decode_lines,
    learn_bpe,
    read_lines,
    read_parallel,
    read_tokenizer,
    save_tokenizer,
)
from daybreak.engine.errors import UserError

CORPUS = ["ein Mann geht <pad> nach Hause </s>", "a man is going home <s>", "zwei Männer </s> gehen </s>"] * 20
BPE = learn_bpe(CORPUS, 320)


def write(folder: Path, content: bytes, name: str = "text") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


# ----------------------------------------------------------------------------- lines


@pytest.mark.parametrize(("content", "lines"), [
    (b"", []),
    (b"\n", [""]),
    (b"one\ntwo\n", ["one", "two"]),
    (b"one\ntwo", ["one", "two"]),
    (b"one\r\ntwo\r\n", ["one", "two"]),
    (b"one\n\ntwo\n\n", ["one", "", "two", ""]),
    (b"\xef\xbb\xbfone\ntwo\n", ["one", "two"]),
    (b"\xef\xbb\xbf", []),
    (b"one\n\xef\xbb\xbftwo", ["one", "\ufefftwo"]),
    (b"a\rb\n", ["a\rb"]),
    (b"a\0b\n", ["a\0b"]),
    ("a\u2028b\x0bc\x85d\x0ce\x1cf\n".encode(), ["a\u2028b\x0bc\x85d\x0ce\x1cf"]),
])  # fmt: skip
def test_only_a_newline_ends_a_line(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert read_lines(write(tmp_path, content)) == lines


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))))
def test_lines_that_are_written_are_the_lines_that_are_read(lines: list[str]) -> None:
    if lines:
        lines[0] = lines[0].removeprefix("\ufeff")  # there it is the mark of an encoding
    for end in ("\n", "\r\n"):
        assert decode_lines("".join(line + end for line in lines).encode(), "text") == lines


@pytest.mark.parametrize(("content", "named"), [
    (b"one\nf\xfcnf\n", r"line 2: byte 2 \(0xfc\)"),
    (b"\xff\xfeo\0", r"line 1: byte 1 \(0xff\)"),
    ("one\nzwölf".encode()[:-3], r"line 2: byte 3 \(0xc3\)"),
    (b"\xed\xa0\x80", r"line 1: byte 1 \(0xed\)"),
    ("ä\r\nöö ".encode() + b"\x80\r\n", r"line 2: byte 6 \(0x80\)"),
])  # fmt: skip
def test_the_first_byte_that_is_not_utf8_is_named(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=f"text, {named} is not UTF-8: convert the file"):
        read_lines(write(tmp_path, content))


@settings(deadline=None)
@given(st.binary(max_size=30))
def test_any_bytes_are_lines_or_a_mistake_in_one_sentence(content: bytes) -> None:
    try:
        lines = decode_lines(content, "text")
    except UserError as mistake:
        assert str(mistake).startswith("text, line ") and "\n" not in str(mistake)
    else:
        assert len(lines) == content.count(b"\n") + (
            not content.endswith(b"\n") and content not in (b"", b"\xef\xbb\xbf")
        )


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.txt cannot be read \(No such file"):
        read_lines(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match=f"{tmp_path.name} cannot be read"):
        read_lines(tmp_path)


def test_parallel_files_are_read_side_by_side(tmp_path: Path) -> None:
    source, target = write(tmp_path, b"eins\nzwei", "a.de"), write(tmp_path, b"one\r\ntwo\r\n", "a.en")
    assert read_parallel(source, target) == (["eins", "zwei"], ["one", "two"])


def test_the_line_without_a_partner_is_named(tmp_path: Path) -> None:
    long, short = write(tmp_path, b"1\n2\n3\n", "long"), write(tmp_path, b"1\n2\n", "short")
    for source, target, counts in ((long, short, "long has 3 lines .*short 2"), (short, long, "short has 2 .*long 3")):
        with pytest.raises(UserError, match=f"{counts}: line 3 of .*long has no partner in .*short$"):
            read_parallel(source, target)


# ----------------------------------------------------------------------------- tokens


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example("🙂👩‍👩‍👧 中文。 العربية ก็ e\u0301 \u200b")
@example("\0\x01\x7f\x85\u2028\u2029\ufeff\ufffd\U0010ffff")
@example("  a \t b\n\n  ")
@example("<pad><s></s> </s>")
def test_any_text_survives_its_tokens_but_for_leading_space(text: str) -> None:
    (encoding,) = BPE.encode_batch_fast([text])
    back = BPE.decode(encoding.ids)
    assert back == (text if text.startswith(" ") or not text else f" {text}")
    assert not {PAD, START, END} & set(encoding.ids)


@pytest.mark.parametrize("special", SPECIAL)
def test_what_a_user_writes_never_becomes_a_special_token(tmp_path: Path, special: str) -> None:
    (tmp_path / "bpe.json").write_bytes(save_tokenizer(BPE))
    for tokenizer in (BPE, read_tokenizer(tmp_path / "bpe.json")):
        for text in (special, f"a{special}b", f"{special} {special}"):
            assert not {PAD, START, END} & set(tokenizer.encode(text).ids)
            assert tokenizer.decode_batch([tokenizer.encode(text).ids]) == [f" {text}"]


def test_every_vocabulary_begins_with_the_special_tokens() -> None:
    for tokenizer in (BPE, learn_bpe(["x"], 300), learn_bpe(["мир", "世界"], 300)):
        assert [tokenizer.token_to_id(token) for token in SPECIAL] == [PAD, START, END] == [0, 1, 2]
        assert tokenizer.decode([START, *tokenizer.encode("x").ids, END, PAD]) == " x"


def test_a_vocabulary_is_no_larger_than_asked_for_and_shortens_its_text() -> None:
    assert learn_bpe(CORPUS, 300).get_vocab_size() == 300 < BPE.get_vocab_size() <= 320
    assert len(BPE.encode("ein Mann geht nach Hause").ids) < len("ein Mann geht nach Hause") // 2
    assert BPE.encode("Mann").ids == BPE.encode("ein Mann").ids[-len(BPE.encode("Mann").ids) :]


def test_the_same_text_gives_the_same_vocabulary_in_every_process() -> None:
    code = (
        "import sys; from daybreak.data.text import learn_bpe, save_tokenizer\n"
        f"sys.stdout.buffer.write(save_tokenizer(learn_bpe({CORPUS!r}, 320)))"
    )
    run = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=True)
    assert run.stdout == save_tokenizer(BPE)


def test_a_vocabulary_that_is_saved_is_the_one_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "bpe.json").write_bytes(save_tokenizer(BPE))
    again = read_tokenizer(tmp_path / "bpe.json")
    assert save_tokenizer(again) == save_tokenizer(BPE)
    assert [again.encode(line).ids for line in CORPUS] == [BPE.encode(line).ids for line in CORPUS]


SAVED = save_tokenizer(BPE)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, SAVED[:-40], SAVED.replace(b"BPE", b"???")),
        SAVED.replace(b'"merges"', b'"purges"'),
        SAVED.replace(b'"zwei"\n', b'"drei"\n'),
        SAVED.replace(b'"pad": ', b'"pod": '),
        SAVED.replace(b'"q": ', b'"qq": '),
        SAVED.replace(b": 17,", b": 18,"),
        SAVED.replace(b": 17,", b": 17.0,"),
        SAVED.replace(b'"vocab": {', b'"vocab": ['),
        SAVED.replace(b'"vocab": {', b'"vocab": {"\\ud800": %d,' % BPE.get_vocab_size()),
    ],
)
def test_a_damaged_vocabulary_gets_one_sentence(tmp_path: Path, content: bytes) -> None:
    assert content != SAVED
    path = write(tmp_path, content, "source.json")
    with pytest.raises(UserError, match=r"source\.json is no tokenizer .*train the run again") as mistake:
        read_tokenizer(path)
    assert "\n" not in str(mistake.value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SAVED) - 1), st.binary(min_size=1, max_size=4))
def test_a_vocabulary_with_wrong_bytes_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at, wrong) -> None:
    path = write(tmp_path_factory.getbasetemp(), SAVED[:at] + wrong + SAVED[at + len(wrong) :], "wrong.json")
    try:
        assert read_tokenizer(path).encode("ein Mann").ids
    except UserError as mistake:
        assert "wrong.json is" in str(mistake)


def test_a_vocabulary_of_another_kind_is_refused(tmp_path: Path) -> None:
    foreign = Tokenizer(models.WordLevel({"a": 0, "<pad>": 1}, unk_token="a"))
    with pytest.raises(UserError, match="is no tokenizer"):
        read_tokenizer(write(tmp_path, foreign.to_str().encode(), "foreign.json"))
    moved = json.loads(save_tokenizer(BPE))
    moved["added_tokens"] = []
    moved["model"]["vocab"]["<s>"], moved["model"]["vocab"]["</s>"] = END, START
    with pytest.raises(UserError, match="is no tokenizer of daybreak's"):
        read_tokenizer(write(tmp_path, json.dumps(moved).encode(), "moved.json"))


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.json cannot be read .*train the run again"):
        read_tokenizer(tmp_path / "gone.json")
