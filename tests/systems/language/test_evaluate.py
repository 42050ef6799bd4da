"""What evaluation reckons: metrics on held-out text and test examples, the floors beside them, and what is shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from daybreak.engine.errors import UserError
from daybreak.metrics.agreement import accuracy
from daybreak.systems.language import datasets
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.evaluate import evaluate, floors_of, guessed, table
from daybreak.systems.language.examples import Choice, Pair, Question, Span, Tagged
from daybreak.systems.language.export import export_public
from daybreak.systems.language.floors import floor
from daybreak.systems.language.masking import Guess
from daybreak.systems.language.model.rows import rows_of
from daybreak.systems.language.model.spans import Answer
from daybreak.systems.language.predict import load
from daybreak.systems.language.tasks.choose import Chosen
from daybreak.systems.language.tasks.classify import Class
from daybreak.systems.language.uses import Classifier
from daybreak.systems.language.wordpiece import encode

MakeRun = Callable[..., Path]


@pytest.fixture
def texts(tmp_path: Path) -> tuple[str, ...]:
    """Two documents of a user's."""
    subjects, verbs = (
        ("the bank", "the river", "a cat", "Ada", "the money"),
        ("was wet.", "sat on the mat.", "is good."),
    )
    for name in "ab":
        lines = [f"{subject.capitalize()} {verb}" for subject in subjects for verb in verbs for _ in range(4)]
        (tmp_path / name).write_text(" ".join(lines))
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_masked_words_are_counted_beside_the_most_frequent_one(
    make_run: MakeRun, texts: tuple[str, ...], reader: Reader
) -> None:
    run = make_run("pretrain", corpus="files", files=texts)
    numbers = evaluate(run)
    assert evaluate(run) == numbers and 0 <= numbers["held_out_masked_accuracy"] <= 100
    assert numbers["held_out_rows"] > 1 and numbers["masked_pieces"] >= numbers["held_out_rows"]
    corpus = datasets.corpus("files", texts)
    counts: Counter[int] = Counter()
    for document in corpus.train:
        for each in encode(reader.tokenizer, list(document)):
            counts.update(each.ids)
    best, _ = counts.most_common(1)[0]
    name = reader.tokenizer.id_to_token(best)
    rows = [line.split("\t") for line in (run / "samples" / "masked.tsv").read_text().splitlines()]
    assert rows[0] == ["text", "truth", "guess"] and 1 < len(rows) <= 21
    truths = [piece for _, truth, _ in rows[1:] for piece in truth.split()]
    if numbers["held_out_rows"] <= 20:  # then all of them are shown
        assert numbers["unigram_accuracy"] == pytest.approx(100 * truths.count(name) / len(truths))
        guesses = [piece for _, _, guess in rows[1:] for piece in guess.split()]
        assert numbers["held_out_masked_accuracy"] == pytest.approx(accuracy(truths, guesses))
    else:
        pytest.fail("the fixture has more rows than are shown")


def test_floors_repeat_what_stands_there_and_guess_the_most_frequent_piece_at_a_mask() -> None:
    rows = rows_of([[2, 4, 7, 9, 3], [2, 4, 4, 3]], [[0] * 5, [0] * 4])  # type: ignore[list-item]
    hidden = Guess(rows, torch.tensor([1, 2, 3, 6, 7]), torch.tensor([8, 7, 5, 5, 8]))
    floors = floors_of([hidden, hidden], frequent=8, mask=4)
    assert floors == pytest.approx({"unigram_accuracy": 40, "copy_accuracy": 60})


def test_whether_sentences_follow_is_told_of_pairs_alone(make_run: MakeRun, texts: tuple[str, ...]) -> None:
    pairs = evaluate(make_run("pretrain", "pairs", corpus="files", files=texts))
    alone = evaluate(make_run("pretrain", "alone", corpus="files", files=texts, next_sentence=False))
    assert set(pairs) - set(alone) == {"held_out_follows_accuracy", "held_out_follows_majority"}
    assert pairs["held_out_follows_majority"] >= 50


def test_the_curve_is_drawn_where_there_is_one(make_run: MakeRun, texts: tuple[str, ...]) -> None:
    run = make_run("pretrain", corpus="files", files=texts)
    evaluate(run)
    assert not (run / "samples" / "masked_accuracy.png").exists()
    (run / "log.jsonl").write_text(
        "".join(json.dumps({"step": s, "val_masked_accuracy": s / 9}) + "\n" for s in (5, 9))
    )
    evaluate(run)
    assert (run / "samples" / "masked_accuracy.png").exists()
    assert json.loads((run / "curves.json").read_text()) == {
        "masked_accuracy_by_step": {"x": [5, 9], "y": [5 / 9, 1.0]}
    }


def test_holes_are_shown_as_holes_whatever_stands_in_them(make_run: MakeRun, reader: Reader) -> None:
    model = load(make_run("pretrain"))
    ids = [reader.special.cls, *encode(reader.tokenizer, ["the bank sat"])[0].ids, reader.special.sep]
    truth, ids[2] = ids[2], reader.special.unk
    rows = rows_of([ids, [*ids[:2], reader.special.sep]], [[0] * len(ids), [0] * 3])  # type: ignore[arg-type]
    guess = Guess(rows, torch.tensor([2]), torch.tensor([truth]))
    (text, right, best), (other, *nothing) = guessed(model, guess)  # type: ignore[arg-type]
    assert text.startswith("the [MASK] ") and text.endswith(" [SEP]") and "[UNK]" not in text
    assert right == reader.tokenizer.id_to_token(truth) and best and other == "the [SEP]" and nothing == ["", ""]


FILMS = [Pair(f"it is {word} {i}", label=word) for i in range(30) for word in ("good", "bad")]


def test_test_sets_are_scored_beside_their_floors_and_shown(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = {"a": FILMS[30:], "b": FILMS[:3]}
    monkeypatch.setattr(datasets, "load", lambda _: datasets.Loaded(FILMS[:20], FILMS[20:30], tests, "classify"))
    run = make_run("classify")
    numbers = evaluate(run)
    assert evaluate(run) == numbers
    model = load(run)
    assert isinstance(model, Classifier)
    told = [found.label for found in model.classify([film.first for film in FILMS[30:]])]
    assert numbers["a_accuracy"] == pytest.approx(accuracy([str(film.label) for film in FILMS[30:]], told))
    _, least = floor("classify", FILMS[:20], FILMS[30:])
    assert numbers["a_floor_accuracy"] == least["accuracy"] and numbers["a_floor_majority_accuracy"] == 50
    assert (numbers["a_examples"], numbers["b_examples"]) == (30, 3)
    lines = [line.split("\t") for line in (run / "samples" / "a.tsv").read_text().splitlines()]
    assert lines[0] == ["example", "truth", "prediction"] and len(lines) == 21
    assert lines[1] == [FILMS[30].first, FILMS[30].label, told[0]] and lines[-1][0] == FILMS[-1].first


def test_a_run_without_test_examples_is_told_how_to_get_some(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "load", lambda _: datasets.Loaded(FILMS[:20], FILMS[20:], {}, "classify"))
    with pytest.raises(UserError, match="--test-file"):
        evaluate(make_run("classify"))


def test_a_public_checkpoint_is_no_run_to_evaluate(make_run: MakeRun, tmp_path: Path) -> None:
    export_public(make_run("pretrain"), tmp_path / "public")
    with pytest.raises(UserError, match=r"public is a public checkpoint: finetune with --pretrained"):
        evaluate(tmp_path / "public")


def test_every_kind_of_example_is_one_line_of_the_table() -> None:
    told = {
        "a b | c d\tsame\tother": (Pair("a\tb", "c\nd", "same"), Class("other", 0.5, {})),
        "a | b\t2.5\t2.25": (Pair("a", "b", 2.5), 2.25),
        "who (x | y)\ty\tx": (Choice("long", "who", ("x", "y"), 1), Chosen("x", 0, (0.9, 0.1))),
        "a b\tO B-LOC\tO O": (Tagged(("a", "b"), ("O", "B-LOC")), ("O", "O")),
        "who\tAda\tA": (Question("who", "Ada", (Span("Ada", 0), Span("Ada", 0))), [Answer("A", 0, 1, 0.0, 0.5)]),
        "where\t\t": (Question("where", "a"), []),
    }
    lines = table(*zip(*told.values(), strict=True)).splitlines()
    assert lines == ["example\ttruth\tprediction", *told]
