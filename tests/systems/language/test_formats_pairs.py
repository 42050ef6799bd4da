"""GLUE's files, SICK's and a user's own: every cell arrives as it was written, every mistake with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.formats import pairs

SENTENCES = [
    f'{subject} {verb} {what}{end}'
    for subject in ("the film", "a 'quiet\" story", "nobody 's aunt")
    for verb in ("is", "was n't", "\"seems\"")
    for what in ("good", "so-so , really", "naïve - 日本")
    for end in (" .", "")
]  # fmt: skip


@dataclass
class Format:
    """A public format, as its makers write it."""

    read: Callable[[Path], list[Pair]]
    header: str
    line: str
    labels: dict[str, str | float]

    def written(self, i: int, label: str = "") -> str:
        a, b = SENTENCES[i], SENTENCES[-1 - i]
        return self.line.format(i=i, a=a, b=b, label=label or list(self.labels)[i % len(self.labels)])

    def expected(self, i: int) -> Pair:
        second = SENTENCES[-1 - i] if "{b}" in self.line else None
        return Pair(SENTENCES[i], second, list(self.labels.values())[i % len(self.labels)])


SENTIMENT: dict[str, str | float] = {"0": "negative", "1": "positive"}
SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
STSB = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
FORMATS = {
    "SST-2": Format(pairs.read_sst2, "sentence\tlabel\n", "{a} \t{label}", SENTIMENT),
    "SST-2 sentences": Format(pairs.read_sst2_sentences, "", "{a}\t{label}", SENTIMENT),
    "CoLA": Format(pairs.read_cola, "", "gj04\t{label}\t*\t{a}", {"0": "unacceptable", "1": "acceptable"}),
    "MRPC": Format(
        pairs.read_mrpc, "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n", "{label}\t7{i}\t8{i}\t{a}\t{b}",
        {"0": "different", "1": "paraphrase"},
    ),
    "STS-B": Format(
        pairs.read_stsb, STSB, "{i}\tmain-captions\tMSRvid\t2012test\t000{i}\tnone\tnone\t{a}\t{b}\t{label}",
        {"5.000": 5.0, "0.000": 0.0, "3.800": 3.8},
    ),
    "STS-B in four columns": Format(
        pairs.read_stsb, "index\tsentence1\tsentence2\tscore\n", "{i}\t{a}\t{b}\t{label}", {"5.000": 5.0, "2.5": 2.5}
    ),
    "SICK": Format(
        pairs.read_sick, SICK, "{i}\t{a}\t{b}\t3.6\t{label}",
        {"NEUTRAL": "neutral", "ENTAILMENT": "entailment", "CONTRADICTION": "contradiction"},
    ),
    "SICK's relatedness": Format(
        pairs.read_sick_relatedness, SICK, "{i}\t{a}\t{b}\t{label}\tNEUTRAL", {"3": 3.0, "4.9": 4.9, "3.665": 3.665}
    ),
}  # fmt: skip


def write(folder: Path, content: str | bytes, name: str = "file.tsv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize(("begin", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_a_public_file_is_read_as_it_is(tmp_path: Path, form: Format, begin: str, end: str) -> None:
    lines = "\n".join(form.written(i) for i in range(len(SENTENCES)))
    content = begin + (form.header + lines + "\n").replace("\n", end)
    expected = [form.expected(i) for i in range(len(SENTENCES))]
    assert len(expected) == 54
    assert form.read(write(tmp_path, content)) == expected
    assert form.read(write(tmp_path, content + end)) == expected, "blank lines are none"
    assert form.read(write(tmp_path, content.removesuffix(end))) == expected


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS.keys())
def test_a_line_with_too_few_columns_or_a_label_that_is_none_is_named(tmp_path: Path, form: Format) -> None:
    number = 2 + bool(form.header)
    begin = form.header + form.written(0) + "\n"
    with pytest.raises(UserError, match=rf"file\.tsv, line {number} has .* columns, and not"):
        form.read(write(tmp_path, begin + form.written(1).partition("\t")[0] + "\n"))
    for wrong in ("maybe", "nan", "-inf"):
        with pytest.raises(UserError, match=rf"file\.tsv, line {number}: .*'{wrong}' is (none of|no number)"):
            form.read(write(tmp_path, begin + form.written(1, wrong) + "\n"))


CELL = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5))
def test_what_is_written_into_own_files_is_read_from_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    expected = [Pair(*row) for row in rows]
    tsv = "".join("\t".join(row) + "\n" for row in [("sentence1", "sentence2", "label"), *rows])
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("first", "second", "label"), *rows])
    jsonl = "".join(json.dumps({"text": a, "second": b, "label": c}) + "\n" for a, b, c in rows)
    for name, content in (("own.tsv", tsv), ("own.csv", table.getvalue()), ("own.jsonl", jsonl)):
        assert pairs.read_own(write(folder, content, name)) == expected, name


@pytest.mark.parametrize(("name", "content", "expected"), [
    ("a.tsv", 'text\tlabel\nsay "yes"\tgood\n\n', [Pair('say "yes"', None, "good")]),
    ("a.tsv", "label\ttext\n 1 \t a b \n", [Pair("a b", None, "1")]),
    ("a.tsv", "sentence\nalone\n", [Pair("alone")]),
    ("a.tsv", "first\tsecond\na\t\n", [Pair("a", "")]),
    ("a.csv", 'text,label\n"a, ""b""\nc",x\n', [Pair('a, "b"\nc', None, "x")]),
    ("a.csv", "\ufefftext,label\r\na,x\r\n", [Pair("a", None, "x")]),
    ("a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b"}\n', [Pair("a", None, "1"), Pair("b")]),
    ("a.jsonl", '{"text": "a", "label": false}\n', [Pair("a", None, "False")]),
    ("a.tsv", "", []), ("a.csv", "", []), ("a.jsonl", "", []), ("a.csv", "text,label\n", []),
])  # fmt: skip
def test_own_files_may_have_these_columns(tmp_path: Path, name: str, content: str, expected: list[Pair]) -> None:
    assert pairs.read_own(write(tmp_path, content, name)) == expected


def test_own_similarities_are_numbers(tmp_path: Path) -> None:
    for name, content in (
        ("a.tsv", "first\tsecond\tscore\na\tb\t2.5\n"), ("a.csv", "first,second,label\na,b, 2.5\n"),
        ("a.jsonl", '{"first": "a", "second": "b", "score": 2.5}'),
    ):  # fmt: skip
        assert pairs.read_own(write(tmp_path, content, name), scores=True) == [Pair("a", "b", 2.5)]


@pytest.mark.parametrize(("name", "content", "scores", "told"), [
    ("a.txt", "text\na\n", False, r"a\.txt is none of \.tsv, \.csv, \.jsonl"),
    ("a.tsv", "phrase\tlabel\na\tb\n", False, "line 2: there is no column text or sentence or sentence1 or first"),
    ("a.tsv", "text\tlabel\na\tx\nb\t\n", False, "line 3: the label is empty"),
    ("a.tsv", "text\tlabel\na\tx\ty\n", False, r"line 2 has 3 columns, and not 2 \(text, label\)"),
    ("a.tsv", b"text\tlabel\na\tx\n\xff\ty\n", False, "line 3: byte 1 .* not UTF-8"),
    ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', False, "line 4: unexpected end of data: mend this line, or its quotes"),
    ("a.csv", "text,label\na\n", False, "line 2 has 1 columns"),
    ("a.csv", "text,label\n" + "a" * 200_000 + ",x\n", False, "line 2: field larger than field limit"),
    ("a.jsonl", '{"text": "a"}\n{"text": "b"\n', False, "line 2: this is no JSON"),
    ("a.jsonl", '["a"]\n', False, "line 1 is not a JSON object"),
    ("a.jsonl", '{"text": 5}\n', False, "line 1: there is no 'text' that is a text"),
    ("a.jsonl", '{"text": "a", "label": null}\n', False, "line 1: there is no 'label' that is a text"),
    ("a.jsonl", "[" * 100_000 + "\n", False, "line 1: this JSON cannot be read"),
    ("a.jsonl", '{"first": "a", "second": "b", "score": true}\n', True, "line 1: score True is no number"),
    ("a.jsonl", '{"first": "a", "second": "b", "score": 1' + "0" * 400 + "}\n", True, "line 1: score 10+ is no number"),
    ("a.tsv", "first\tsecond\tscore\na\tb\tinf\n", True, "line 2: score 'inf' is no number"),
    ("a.tsv", "first\tsecond\tlabel\na\tb\tsome\n", True, "line 2: label 'some' is no number"),
])  # fmt: skip
def test_a_mistake_in_an_own_file_is_told_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, scores: bool, told: str
) -> None:
    with pytest.raises(UserError, match=told) as mistake:
        pairs.read_own(write(tmp_path, content, name), scores=scores)
    assert name in str(mistake.value) and "\n" not in str(mistake.value)


def test_a_megabyte_without_a_space_is_a_sentence(tmp_path: Path) -> None:
    (pair,) = pairs.read_own(write(tmp_path, "text\tlabel\n" + "a" * 2**20 + "\tx\n"))
    assert len(pair.first) == 2**20


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.tsv cannot be read"):
        pairs.read_own(tmp_path / "gone.tsv")


def share(examples: Sequence[Pair], label: str) -> float:
    return sum(example.label == label for example in examples) / len(examples)


@pytest.mark.realdata
def test_the_real_files_have_the_published_counts(real_data: Callable[[str], Path]) -> None:
    glue = real_data("glue") / "glue"
    counts = {
        (pairs.read_sst2, "SST-2"): {"train.tsv": 67_349, "dev.tsv": 872},
        (pairs.read_sst2_sentences, "SST-2-sentences"): {"train.tsv": 6_920, "dev.tsv": 872, "test.tsv": 1_821},
        (pairs.read_cola, "CoLA"): {"train.tsv": 8_551, "dev.tsv": 1_043},
        (pairs.read_mrpc, "MRPC"): {"msr_paraphrase_train.txt": 4_076, "msr_paraphrase_test.txt": 1_725},
        (pairs.read_stsb, "STS-B"): {"train.tsv": 5_749, "dev.tsv": 1_500, "test.tsv": 1_379},
    }
    for (read, folder), files in counts.items():
        assert {file: len(read(glue / folder / file)) for file in files} == files
    assert share(pairs.read_mrpc(glue / "MRPC" / "msr_paraphrase_test.txt"), "paraphrase") == pytest.approx(
        0.665, abs=5e-4
    )
    scores = [pair.label for pair in pairs.read_stsb(glue / "STS-B" / "train.tsv")]
    assert all(isinstance(score, float) for score in scores) and (min(scores), max(scores)) == (0.0, 5.0)  # type: ignore[type-var]


@pytest.mark.realdata
def test_the_real_sick_has_the_published_counts(real_data: Callable[[str], Path]) -> None:
    sick = real_data("sick") / "sick"
    counts = {"SICK_train.txt": 4_500, "SICK_trial.txt": 500, "SICK_test_annotated.txt": 4_927}
    for read in (pairs.read_sick, pairs.read_sick_relatedness):
        assert {file: len(read(sick / file)) for file in counts} == counts
    scores = [pair.label for pair in pairs.read_sick_relatedness(sick / "SICK_test_annotated.txt")]
    assert (min(scores), max(scores)) == (1.0, 5.0)  # type: ignore[type-var]
    assert {pair.label for pair in pairs.read_sick(sick / "SICK_train.txt")} == {
        "neutral",
        "entailment",
        "contradiction",
    }
