"""What is trained on, chosen by and tested on: no example is in two parts, and the parts are always the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.config import DataName, FinetuneConfig, TaskName
from daybreak.systems.language.datasets import (
    DATASETS,
    Splits,
    apart,
    as_given,
    corpus,
    hold_out,
    key,
    load,
    own,
    together,
)
from daybreak.systems.language.examples import Choice, Pair, Question, Span, Tagged

PUBLIC = sorted(set(DATASETS) - {"code-words"})


def assert_apart(splits: Splits[Any]) -> None:
    """No example of a part says what one of a later part says."""
    tested = {key(example) for part in splits.test.values() for example in part}
    chosen = {key(example) for example in splits.val}
    trained = {key(example) for example in splits.train}
    assert trained and chosen and tested
    assert not trained & chosen and not trained & tested and not chosen & tested


# ----------------------------------------------------------------------------- splitting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20)), st.integers(0, 30))
def test_what_belongs_together_is_held_out_together(values: list[int], count: int) -> None:
    examples = [Question(f"{i}?", f"{value}") for i, value in enumerate(values)]
    rest, held = hold_out(examples, count)
    assert len(held) == min(count, len(values))
    assert not {each.context for each in rest} & {each.context for each in held}
    assert all(part == sorted(part, key=examples.index) for part in (rest, held)), "they stay in order"
    largest = max(Counter(values).values(), default=0)
    assert len(values) - len(rest) < count + max(largest, 1)
    assert hold_out(examples, count) == (rest, held)


def test_held_out_examples_come_from_all_over() -> None:
    examples = [Pair(str(i)) for i in range(100)]
    held = [int(pair.first) for pair in hold_out(examples, 20)[1]]
    assert min(held) < 20 and max(held) > 80 and held != list(range(held[0], held[0] + 20))


def test_examples_are_compared_by_what_they_say() -> None:
    assert key(Pair("A Café .", label="x")) == key(Pair("a cafe", label="y")) == ("acafe",)
    assert key(Pair("a", "b")) != key(Pair("ab")) and key(Pair("!")) != key(Pair("?"))
    assert key(Tagged(("The", "dog"), ("X", "Y"))) == ("thedog",)
    assert key(Choice("c", "q", ("x", "y"), 1)) == key(Choice("C", "q?", ("x", "y"), 0))
    assert key(Question("Who?", "c", (Span("c", 0),), "1")) == key(Question("who", "c", (), "2"))


def test_what_says_the_same_and_what_is_asked_about_one_context_belongs_together() -> None:
    assert together(Pair("A.")) == together(Pair("a")) != together(Pair("b"))
    assert together(Question("a", "c")) == together(Question("b", "c")) != together(Question("a", "d"))
    assert together(Choice("c", "a", ("x", "y"))) == together(Choice("c", "b", ("x", "y")))
    assert together(Choice("", "a", ("x", "y"))) != together(Choice("", "b", ("x", "y"))), "they have none"


def test_what_is_left_out_is_counted_aloud(caplog: pytest.LogCaptureFixture) -> None:
    some = [Pair(text) for text in ("a", "B .", "c", "b")]
    assert apart(some, [Pair("b")], "mine") == [Pair("a"), Pair("c")]
    assert "mine: left out 2 of 4 examples, which are held out as well" in caplog.text
    caplog.clear()
    assert apart(some, [Pair("d")], "mine") == some and not caplog.text


def test_an_example_of_a_later_part_is_in_no_earlier_one() -> None:
    a, b, c, d = (Pair(text) for text in "abcd")
    splits = as_given("x", [a, b, c, d], [b, c, c], {"t": [c]})
    assert (splits.train, splits.val, splits.test) == ([a, d], [b], {"t": [c]})


def test_a_digest_tells_examples_apart() -> None:
    a, b = Pair("a", None, "x"), Pair("b", None, "x")
    parts = [Splits([a], [b], {}), Splits([b], [a], {}), Splits([a], [], {"t": [b]}), Splits([a], [], {"u": [b]})]
    assert len({splits.digest for splits in parts}) == 4
    assert Splits([a], [b], {}).digest == parts[0].digest and re.fullmatch("sha256:[0-9a-f]{64}", parts[0].digest)
    assert Splits([Pair("\ud800")], [b], {}).digest


# ----------------------------------------------------------------------------- a user's files


def write(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


SQUAD = json.dumps(
    {"data": [{"paragraphs": [{"context": "Ada", "qas": [
        {"id": "NAME", "question": "Who is NAME?", "answers": [{"text": "Ada", "answer_start": 0}]}]}]}]}
)  # fmt: skip
FILES: list[tuple[str, str, str, Any]] = [
    ("classify", "NAME.tsv", "text\tlabel\nit is NAME\tgood\n", Pair("it is a", None, "good")),
    ("classify", "NAME.csv", "first,second,label\nit,NAME,yes\n", Pair("it", "a", "yes")),
    ("similarity", "NAME.jsonl", '{"first": "it", "second": "NAME", "score": 1}', Pair("it", "a", 1.0)),
    ("choose", "NAME.jsonl", '{"question": "NAME", "options": ["x", "y"], "label": 1}', Choice("", "a", ("x", "y"), 1)),
    ("choose", "NAME.json", '[[["W: NAME."], [{"question": "q", "choice": ["x", "y"], "answer": "x"}], "1"]]',
     Choice("W: a.", "q", ("x", "y"), 0)),
    ("choose", "NAME.csv", "sent1,sent2,ending0,ending1,ending2,ending3,label\nNAME,q,v,w,x,y,3\n",
     Choice("a", "q", ("v", "w", "x", "y"), 3)),
    ("tag", "NAME.txt", "NAME I-X\n", Tagged(("a",), ("B-X",))),
    ("tag", "NAME.conllu", "1\tNAME\t_\tNOUN\t_\t_\t_\t_\t_\t_\n", Tagged(("a",), ("NOUN",))),
    ("answer", "NAME.json", SQUAD, Question("Who is a?", "Ada", (Span("Ada", 0),), "a")),
]  # fmt: skip


@pytest.mark.parametrize(("task", "name", "content", "first"), FILES)
def test_own_files_are_read_for_their_task(tmp_path: Path, task: Any, name: str, content: str, first: Any) -> None:
    files = [write(tmp_path, name.replace("NAME", n), content.replace("NAME", n)) for n in "abc"]
    splits = own(task, *files)
    assert splits.train == [first] and len(splits.val) == len(splits.test["test"]) == 1
    assert_apart(splits)
    assert own(task, *files[:2]).test == {}
    assert own(task, *files).digest == splits.digest != own(task, files[1], files[0], files[2]).digest


def test_without_a_file_to_choose_by_a_tenth_of_the_examples_is_held_out(tmp_path: Path) -> None:
    rows = "".join(f"sentence {i}\tx\n" for i in range(50)) + "A test.\tx\n"
    train = write(tmp_path, "train.tsv", "text\tlabel\n" + rows)
    test = write(tmp_path, "test.tsv", "text\tlabel\na test\tx\n")
    config = FinetuneConfig(data="files", task="classify", train_file=str(train), test_file=str(test))
    splits = load(config)
    assert_apart(splits)
    assert (splits.task, len(splits.train), len(splits.val), len(splits.test["test"])) == ("classify", 45, 5, 1)
    assert load(config).digest == splits.digest == own("classify", train, None, test).digest
    one = write(tmp_path, "one.tsv", "text\tlabel\nalone\tx\n")
    with pytest.raises(UserError, match=r"one\.tsv has no example that is not held out"):
        own("classify", one)


def test_whole_paragraphs_are_held_out_of_own_questions(tmp_path: Path) -> None:
    contexts = [{"context": f"Ada {n}", "qas": [
        {"id": f"{n}{i}", "question": f"Who {i}?", "answers": []} for i in "abcd"]} for n in range(10)]  # fmt: skip
    train = write(tmp_path, "train.json", json.dumps({"data": [{"paragraphs": contexts}]}))
    splits = own("answer", train)
    assert len(splits.val) == 4 and len({question.context for question in splits.val}) == 1
    assert not {question.context for question in splits.train} & {question.context for question in splits.val}


def test_a_config_names_a_data_set_or_files() -> None:
    assert (load(FinetuneConfig()).task, load(FinetuneConfig()).digest) == ("tag", DATASETS["code-words"].read().digest)
    assert {*DATASETS, "files"} == set(get_args(DataName))
    assert {data_set.task for data_set in DATASETS.values()} == set(get_args(TaskName))


@pytest.mark.parametrize(("task", "content", "name", "told"), [
    ("classify", "text\tlabel\n", "a.tsv", r"a\.tsv has no examples"),
    ("classify", "text\na\n", "a.tsv", r"a\.tsv has no label for each example"),
    ("similarity", "text\tlabel\na\tgood\n", "a.tsv", r"a\.tsv, line 2: label 'good' is no number"),
    ("choose", '{"question": "q", "options": ["x", "y"]}', "a.jsonl", r"a\.jsonl has no label for each example"),
    ("choose", "x", "a.txt", r"a\.txt is none of \.jsonl, \.json, \.csv"),
    ("tag", "\n", "a.txt", r"a\.txt has no examples"),
    ("answer", '{"data": []}', "a.json", r"a\.json has no examples"),
])  # fmt: skip
def test_own_files_without_what_the_task_needs_are_refused(
    tmp_path: Path, task: Any, content: str, name: str, told: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(UserError, match=told):
        own(task, path, path)


def test_own_examples_that_are_held_out_are_not_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write(tmp_path, "train.tsv", "text\tlabel\na\tx\nb\tx\nc\tx\n")
    val, test = (write(tmp_path, f"{n}.tsv", f"text\tlabel\n{n}\tx\n") for n in "bc")
    assert [pair.first for pair in own("classify", train, val, test).train] == ["a"]
    assert f"{train}: left out 2 of 3" in caplog.text
    with pytest.raises(UserError, match=r"b\.tsv has no example that is not held out as well: give different files"):
        own("classify", train, val, val)
    with pytest.raises(UserError, match=r"train\.tsv has no example that is not held out"):
        own("classify", train, train)


# ----------------------------------------------------------------------------- the public sets


@pytest.mark.parametrize("name", PUBLIC)
def test_a_missing_set_is_told_with_the_place_where_it_goes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    with pytest.raises(UserError, match=rf"is missing; daybreak does not download \S+: put .* into {tmp_path}"):
        DATASETS[name].read()


def test_sst2_leaves_out_phrases_that_are_tested_and_does_without_the_second_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    folder, whole = tmp_path / "glue" / "SST-2", tmp_path / "glue" / "SST-2-sentences"
    folder.mkdir(parents=True)
    sentences = "".join(f"the film number {i} is one of the best \t{i % 2}\n" for i in range(800))
    phrases = "".join(f"number {i} is one\t{i % 2}\n" for i in range(800)) + "a test .\t1\na second test\t0\n"
    write(folder, "train.tsv", f"sentence\tlabel\n{sentences}{phrases}number 7 is - one\t1\n")
    write(folder, "dev.tsv", "sentence\tlabel\nA test \t1\n")
    splits = DATASETS["sst2"].read()
    assert_apart(splits)
    assert len(splits.val) == 700 and all("film" in each.first for each in splits.val)
    trained = "|" + "|".join(each.first for each in splits.train)
    left = [
        {number for number in range(800) if f"{begin}number {number} is" in trained} for begin in ("the film ", "|")
    ]
    assert left[0] == left[1] and len(left[0]) == 100
    assert set(splits.test) == {"glue_dev"} and "sst2-sentences is not there" in caplog.text
    assert re.search(r"left out 70[01] of 1603 phrases, which share a sentence", caplog.text)
    assert "sst2: left out 1 of " in caplog.text
    whole.mkdir()
    write(whole, "test.tsv", "a - second test\t0\n")
    splits = DATASETS["sst2"].read()
    assert_apart(splits)
    assert {name: len(part) for name, part in splits.test.items()} == {"glue_dev": 1, "sentences_test": 1}
    assert "sst2: left out 2 of " in caplog.text


def test_swags_validation_file_is_chosen_by_and_tested_on_by_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    (tmp_path / "swag").mkdir()
    header = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n"
    for name, numbers in (("train.csv", range(50, 80)), ("val.csv", range(50))):
        rows = "".join(f"{i},v,1,p,scene {i // 2},He {i},gold,a,b,c,d,{i % 4}\n" for i in numbers)
        write(tmp_path / "swag", name, header + rows)
    splits = DATASETS["swag"].read()
    assert_apart(splits)
    assert (len(splits.train), len(splits.val)) == (30, 24) and len(splits.test["test"]) in (25, 26)
    scenes = [{choice.context for choice in part} for part in (splits.val, splits.test["test"])]
    assert not scenes[0] & scenes[1]


def test_squad_is_chosen_by_whole_paragraphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    (tmp_path / "squad").mkdir()

    def squad(first: int, last: int) -> str:
        paragraphs = [
            {"context": f"context {n}", "qas": [
                {"id": f"{n}-{i}", "question": f"Which {i}?", "answers": [{"text": "context", "answer_start": 0}]}
                for i in range(5)]}
            for n in range(first, last)
        ]  # fmt: skip
        return json.dumps({"data": [{"paragraphs": paragraphs}]})

    for name, numbers in (("train-v1.1.json", (0, 300)), ("dev-v1.1.json", (295, 310))):
        write(tmp_path / "squad", name, squad(*numbers))
    splits = DATASETS["squad1"].read()
    assert_apart(splits)
    assert (len(splits.train), len(splits.val), len(splits.test["dev"])) == (475, 1_000, 75)
    assert not {question.context for question in splits.train} & {question.context for question in splits.val}
    with pytest.raises(UserError, match=r"train-v2\.0\.json is missing; daybreak does not download squad2"):
        DATASETS["squad2"].read()


def test_code_words_are_split_by_topic_the_same_way_in_every_process() -> None:
    splits = DATASETS["code-words"].read()
    assert DATASETS["code-words"].task == "tag"
    assert_apart(splits)
    whole = len(splits.train) + len(splits.val) + len(splits.test["test"])
    assert len(splits.train) > 0.75 * whole and min(len(splits.val), len(splits.test["test"])) > 0.07 * whole
    code = (
        "from daybreak.systems.language.datasets import DATASETS, corpus\n"
        "print(DATASETS['code-words'].read().digest, corpus('pydoc').digest)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [splits.digest, corpus("pydoc").digest]


SIZES = {
    "sst2": (59_307, 700, {"glue_dev": 872, "sentences_test": 1_821}),
    "cola": (7_932, 600, {"glue_dev": 1_043}),
    "mrpc": (3_669, 400, {"test": 1_725}),
    "sick": (4_440, 495, {"test": 4_927}),
    "stsb": (5_734, 1_498, {"test": 1_379}),
    "sick-relatedness": (4_440, 495, {"test": 4_927}),
    "dream": (6_116, 2_040, {"test": 2_041}),
    "conll2003": (13_435, 3_185, {"testb": 3_453}),
    "wnut17": (3_394, 1_008, {"test": 1_287}),
    "ewt": (12_035, 1_896, {"test": 2_077}),
    "squad": (26_626, 1_000, {"xquad_en": 1_190}),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SIZES)
def test_the_real_sets_are_split_the_same_way_every_time(name: str, real_data: Callable[[str], Path]) -> None:
    folders = {"sick-relatedness": "sick", "ewt": "UD_English-EWT", "sst2": "glue/SST-2-sentences", "cola": "glue/CoLA"}
    folders |= {"mrpc": "glue/MRPC", "stsb": "glue/STS-B"}
    real_data(folders.get(name, name))
    splits = DATASETS[name].read()
    assert (len(splits.train), len(splits.val), {n: len(part) for n, part in splits.test.items()}) == SIZES[name]
    assert_apart(splits)
    assert DATASETS[name].read().digest == splits.digest


# ----------------------------------------------------------------------------- text


def test_pythons_reference_holds_out_the_topics_of_code_words() -> None:
    text, splits = corpus("pydoc"), DATASETS["code-words"].read()
    assert len(text.train) > 20 and len(text.held_out) > 10
    trained, held_out = ({"".join(s.split()) for d in part for s in d} for part in (text.train, text.held_out))
    tested = {"".join(each.words) for each in splits.test["test"]}
    assert tested <= held_out and len(tested & trained) < 0.05 * len(tested), "a few short sentences are everywhere"
    assert corpus("pydoc").digest == text.digest


def test_the_end_of_each_own_file_is_held_out(tmp_path: Path) -> None:
    files = [
        write(tmp_path, f"{n}.txt", "".join(f"Sentence {i} of {n}.\n\n" for i in range(n))) for n in (19, 40, 0, 100)
    ]
    text = corpus("files", [str(file) for file in files])
    assert [len(document) for document in text.train] == [19, 38, 95]
    assert text.held_out == [[f"Sentence {i} of {n}." for i in range(a, n)] for n, a in ((40, 38), (100, 95))]
    assert text.digest == corpus("files", files).digest != corpus("files", files[1:]).digest


def test_own_files_that_are_too_short_or_missing_are_refused(tmp_path: Path) -> None:
    short = write(tmp_path, "short.txt", "One. Two. Three.")
    with pytest.raises(UserError, match=r"short\.txt: no file has the 20 sentences of which one is held out"):
        corpus("files", [short])
    with pytest.raises(UserError, match=r"gone\.txt cannot be read"):
        corpus("files", [short, tmp_path / "gone.txt"])


def test_missing_novels_are_told_with_the_place_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"novels_train\.txt is missing; daybreak does not download lm: put .* into"):
        corpus("lm")


def test_novels_speeches_and_reviews_are_one_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYBREAK_DATA", str(tmp_path))
    (tmp_path / "lm").mkdir()
    for name in ("novels_train", "novels_valid", "us_speeches"):
        write(tmp_path / "lm", f"{name}.txt", f"\fone\nThe first of {name}. It ends.\n\n\ftwo\nThe second.\n")
    write(tmp_path / "lm", "movie_reviews.jsonl", '{"text": "a review . \\nit ends . \\n"}\n')
    text = corpus("lm")
    assert text.train[0] == ["The first of novels_train.", "It ends."] and text.train[-1] == ["a review .", "it ends ."]
    assert len(text.train) == 5 and text.held_out == [["The first of novels_valid.", "It ends."], ["The second."]]
