"""The command line of language, verb by verb: what is printed, for people and for programs, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daybreak import cli
from daybreak.systems.language import texts
from daybreak.systems.language.predict import load
from daybreak.systems.language.verbs import CLAIMS, LOOPS

MakeRun = Callable[..., Path]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``say("fill", run, "the [MASK]")`` -> what the command prints."""

    def run(*words: str | Path) -> str:
        assert cli.main(["language", *map(str, words)]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The sentence that refuses a command."""

    def run(*words: str | Path) -> str:
        assert cli.main(["language", *map(str, words)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and len(told.err.splitlines()) == 1
        return told.err

    return run


Say = Callable[..., str]


def of_json(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def pipe(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


# ----------------------------------------------------------------------------- what is printed


def test_texts_come_from_arguments_files_and_pipes_alike(
    make_run: MakeRun, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, sentences = make_run("classify"), ["it is good", "", "the bank"]
    (tmp_path / "in").write_text("".join(f"{each}\n" for each in sentences))
    monkeypatch.setattr(texts, "AT_ONCE", 2)
    printed = say("classify", run, *sentences)
    assert printed.splitlines()[0].endswith("it is good") and printed.count("\n") == 3
    assert say("classify", run, "--file", tmp_path / "in") == printed
    pipe(monkeypatch, (tmp_path / "in").read_text())
    assert say("classify", run) == printed


def test_json_says_all_that_was_found(make_run: MakeRun, say: Say) -> None:
    found = of_json(say("classify", make_run("classify"), "it is good", "bad", "--json"))
    assert [each["text"] for each in found] == ["it is good", "bad"]
    assert all(each["others"][each["label"]] == each["probability"] for each in found)
    (filled,) = of_json(say("fill", make_run("pretrain"), "[MASK] [MASK]", "--json", "--count", "2"))
    assert [len(hole) for hole in filled["masks"]] == [2, 2] and filled["masks"][0][0]["probability"] > 0
    (tagged,) = of_json(say("tag", make_run("tag"), "Ada sat.", "--json"))
    assert [(word["text"], word["start"]) for word in tagged["words"]] == [("Ada", 0), ("sat", 4), (".", 7)]
    (alike,) = of_json(say("similarity", make_run("similarity"), "a cat", "a mat", "--json"))
    assert (alike["first"], alike["second"]) == ("a cat", "a mat") and isinstance(alike["similarity"], float)
    (chosen,) = of_json(say("choose", make_run("choose"), "a", "b", "--question", "who", "--json"))
    assert chosen["option"] == chosen["options"][chosen["number"]]
    (told,) = of_json(say("answer", make_run("answer"), "who", "--text", "by Ada", "--json", "--count", "2"))
    assert len(told["answers"]) == 2 and told["answers"][0]["text"] in "by Ada"
    (embedded,) = of_json(say("embed", make_run("pretrain", "other"), "the bank", "--json"))
    assert len(embedded["vector"]) == 32
    words = of_json(say("embed", make_run("pretrain", "third"), "the bank", "wet", "--json", "--pooling", "words"))
    assert [(each["text"], each["word"]) for each in words] == [(0, "the"), (0, "bank"), (1, "wet")]


def test_what_fills_a_hole_stands_in_the_text(make_run: MakeRun, say: Say) -> None:
    run = make_run("pretrain")
    lines = say("fill", run, "the [MASK] was wet", "--count", "3").splitlines()
    best = load(run).fill("the [MASK] was wet", 3)[0]  # type: ignore[union-attr]
    assert len(lines) == 4 and lines[0].startswith("the") and lines[0].endswith(" was wet")
    assert [line.split()[0] for line in lines[1:]] == [piece.text for piece in best]
    assert f"{best[0].probability:.1%}" in lines[1]


def test_a_piece_that_goes_on_with_a_word_is_joined_to_it() -> None:
    from daybreak.systems.language.fill import Piece
    from daybreak.systems.language.show import filled

    assert filled("two bank [MASK] are", [[Piece("##s", 0.5)]], "[MASK]")[0].plain == "two banks are"


def test_pairs_are_parted_by_a_tab(make_run: MakeRun, tmp_path: Path, say: Say, refuse: Say) -> None:
    pairs, alike = make_run("classify", pairs=True), make_run("similarity")
    (tmp_path / "in").write_text("a cat\ta mat\nthe bank\t\n")
    one, two = say("classify-pair", pairs, "--file", tmp_path / "in", "--all").splitlines()[::3]
    assert one.endswith("a cat | a mat") and "the bank" in two
    assert say("classify-pair", pairs, "a cat", "a mat").splitlines()[0] == one
    assert say("similarity", alike, "--file", tmp_path / "in").startswith(say("similarity", alike, "a cat", "a mat"))
    (tmp_path / "in").write_text("a cat\ta mat\nthe bank\n")
    assert "in, line 2 has 0 tabs" in refuse("similarity", alike, "--file", tmp_path / "in")
    assert "3 texts are no pair" in refuse("similarity", alike, "a", "b", "c")


def test_a_search_prints_the_most_similar_first(make_run: MakeRun, tmp_path: Path, say: Say) -> None:
    (tmp_path / "among").write_text("a cat\nthe river was wet\nthe bank\n")
    run = make_run("similarity", encoder="bi")
    lines = say("similarity", run, "the bank", "--among", tmp_path / "among", "--count", "2").splitlines()
    assert len(lines) == 2 and lines[0].split(maxsplit=1)[1] == "the bank"
    (found,) = of_json(say("similarity", run, "x", "--among", tmp_path / "among", "--json"))
    assert sorted(each["number"] for each in found["found"]) == [0, 1, 2]


def test_names_are_in_brackets_and_other_tags_behind_their_words() -> None:
    from daybreak.systems.language.show import tagged
    from daybreak.systems.language.uses import TaggedText
    from daybreak.systems.language.words import words_of

    text = "Ada  Lovelace sat."
    names = TaggedText(text, tuple(words_of(text)), ("B-PER", "I-PER", "O", "O"))
    assert [line.plain for line in tagged(names, True)] == ["[Ada  Lovelace PER] sat."]
    words = TaggedText(text, tuple(words_of(text)), ("NOUN", "NOUN", "VERB", "PUNCT"))
    assert [line.plain for line in tagged(words, False)] == ["Ada/NOUN  Lovelace/NOUN sat/VERB./PUNCT"]


def test_options_come_with_their_probabilities(make_run: MakeRun, tmp_path: Path, say: Say) -> None:
    run = make_run("choose")
    (tmp_path / "context").write_text("the notes were written by Ada\n")
    lines = say("choose", run, "Ada", "nobody", "--question", "who?", "--context", tmp_path / "context").splitlines()
    assert lines[0] == "who?" and sum(">" in line for line in lines) == 1 and lines[1].endswith("Ada")
    values = {"context": "the notes were written by Ada", "question": "who?", "options": ["Ada", "nobody"]}
    (tmp_path / "asked.jsonl").write_text(json.dumps(values) + "\n")
    assert say("choose", run, "--file", tmp_path / "asked.jsonl").splitlines() == lines


def test_answers_stand_in_their_context(
    make_run: MakeRun, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, context = make_run("answer"), "the notes were written by Ada\nin London"
    (tmp_path / "context").write_text(context)
    printed = say("answer", run, "who?", "where?", "--context", tmp_path / "context")
    lines = printed.splitlines()
    assert lines[0] == "who?" and lines[2] == "where?" and lines[1].endswith("the notes were written by Ada in London")
    assert say("answer", run, "who?", "where?", "--text", context) == printed
    pipe(monkeypatch, context)
    assert say("answer", run, "who?", "where?") == printed
    assert "(no answer)" in say("answer", run, "who?", "--text", "")


def test_vectors_are_written_whole_with_what_they_are_of(make_run: MakeRun, tmp_path: Path, say: Say) -> None:
    run, sentences = make_run("pretrain"), ["the bank was wet", "she took\tthe money"]
    say("embed", run, *sentences, "--out", tmp_path / "v.npy", "--layer", "1", "--pooling", "cls")
    expected = load(run).embed(sentences, layer=1, pooling="cls").numpy()
    assert np.array_equal(np.load(tmp_path / "v.npy"), expected)
    say("embed", run, *sentences, "--out", tmp_path / "v.tsv", "--layer", "1", "--pooling", "cls")
    header, *rows = [line.split("\t") for line in (tmp_path / "v.tsv").read_text().splitlines()]
    assert header[:2] == ["text", "0"] and [row[0] for row in rows] == [sentences[0], "she took the money"]
    assert np.array([row[1:] for row in rows], float) == pytest.approx(expected, rel=1e-4)
    say("embed", run, *sentences, "--out", tmp_path / "w.tsv", "--pooling", "words")
    header, *rows = [line.split("\t") for line in (tmp_path / "w.tsv").read_text().splitlines()]
    assert header[:4] == ["text", "start", "end", "word"] and rows[4][:4] == ["1", "0", "3", "she"] and len(rows) == 8
    say("embed", run, "--file", tmp_path / "v.tsv", "--out", tmp_path / "w.npy", "--pooling", "words")
    assert np.load(tmp_path / "w.npy").shape[1] == 32


def test_neighbours_of_a_word_and_of_texts_are_printed(make_run: MakeRun, say: Say) -> None:
    run = make_run("pretrain")
    sentences = ["the bank was wet", "money in the Bank", "a cat sat"]
    lines = say("embed", run, *sentences, "--word", "bank", "--count", "2").splitlines()
    assert [line for line in lines if not line.startswith(" ")] == sentences[:2] and len(lines) == 6
    found = of_json(say("embed", run, *sentences, "--word", "bank", "--json"))
    assert [(each["text"], each["start"]) for each in found] == [(0, 4), (1, 13)]
    assert all(near["text"] != each["text"] for each in found for near in each["neighbours"])
    assert [line for line in say("embed", run, *sentences).splitlines() if not line.startswith(" ")] == sentences
    assert "32 numbers" in say("embed", run, "the bank")


# ----------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["fill", "RUN", "the [MASK]", "--file", "x"], "both texts and --file"),
        (["fill", "RUN", "--file", "nowhere.txt"], "nowhere.txt"),
        (["fill", "RUN", "the bank"], "[MASK]"),
        (["fill", "RUN", "[MASK]", "--count", "0"], "count of 0"),
        (["embed", "RUN", "a", "--out", "x.txt"], "x.txt is neither .npy nor .tsv"),
        (["embed", "RUN", "a", "--out", "x.npy", "--word", "a"], "both --word and --out"),
        (["embed", "RUN", "a", "c", "--word", "b"], "'b' is a word of none"),
        (["embed", "RUN", "a", "--word", "a"], "give two texts or more"),
        (["embed", "RUN", "a", "--layer", "7"], "no layer 7"),
        (["embed", "RUN", "a", "--pooling", "words"], "--out FILE, --json, or --word"),
        (["classify", "RUN", "a"], "is a pretrained encoder: use daybreak language fill"),
        (["classify-pair", "RUN", "a", "b"], "use daybreak language fill"),
        (["similarity", "RUN", "a", "b"], "use daybreak language fill"),
        (["choose", "RUN", "a", "b"], "use daybreak language fill"),
        (["choose", "RUN"], "give the options as arguments"),
        (["choose", "RUN", "a", "--context", "x", "--text", "y"], "both --context and --text"),
        (["tag", "RUN", "a"], "use daybreak language fill"),
        (["answer", "RUN", "who", "--text", "a"], "use daybreak language fill"),
        (["answer", "RUN", "--text", "a"], "there is no question"),
        (["answer", "RUN", "who", "--context", "nowhere.txt"], "nowhere.txt"),
        (["floors", "files"], "daybreak language evaluate"),
        (["fill", "nowhere", "[MASK]"], "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    make_run: MakeRun, refuse: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run("pretrain", "RUN")
    assert named in refuse(*words)


def test_arguments_that_are_not_utf8_are_refused(make_run: MakeRun, refuse: Say) -> None:
    for verb in ("classify", "tag", "similarity", "choose", "answer"):
        words = ["who", "--text", "a\udcff"] if verb == "answer" else ["a\udcff", "b"]
        assert r"'a\udcff' is not UTF-8" in refuse(verb, make_run(verb), *words)


def test_one_kind_of_sentences_is_not_taken_for_the_other(make_run: MakeRun, refuse: Say) -> None:
    assert "give two" in refuse("classify", make_run("classify", "of pairs", pairs=True), "a")
    assert "give one" in refuse("classify-pair", make_run("classify"), "a", "b")


def test_at_a_terminal_a_context_is_asked_for(make_run: MakeRun, refuse: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert "give --context FILE or --text TEXT" in refuse("answer", make_run("answer"), "who")


def test_at_a_terminal_each_line_is_answered_when_it_is_typed(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, "it is good\nbad\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert cli.main(["language", "classify", str(make_run("classify"))]) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 2 and told.err == "type a sentence (Ctrl-D ends)\n"


# ----------------------------------------------------------------------------- claims


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claims_runs_can_be_trained_as_it_says(name: str) -> None:
    claim = CLAIMS[name]
    (make,) = (presets[claim.preset] for presets in LOOPS.values() if claim.preset in presets)
    config: Any = make()
    assert set(claim.flags) <= {field.name for field in dataclasses.fields(config)}
    dataclasses.replace(config, **claim.flags).check()
    first, *_ = claim.metrics.values()
    assert (first.target is None) == name.endswith("-from-scratch") and first.floor is not None


def test_every_task_has_a_twin_that_was_not_pretrained() -> None:
    tasks = {name for name in CLAIMS if name != "pretrain-mini" and not name.endswith("-from-scratch")}
    assert len(tasks) == 9
    for name in tasks:
        pretrained, twin = CLAIMS[name], CLAIMS[f"{name}-from-scratch"]
        assert twin.flags == {**pretrained.flags, "from_scratch": True} and set(twin.metrics) == set(pretrained.metrics)
    assert sum(claim.headline for claim in CLAIMS.values()) == 1
