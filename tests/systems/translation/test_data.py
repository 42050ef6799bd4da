"""From files to batches: nothing of a user's text is lost, doubled, or read as something else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybreak.data.text import END, PAD, START, learn_bpe
from daybreak.engine.errors import UserError
from daybreak.systems.translation import data
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
