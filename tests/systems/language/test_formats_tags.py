"""Words and their tags: CoNLL-2003 in IOB1, WNUT 2017, other columns, and CoNLL-U."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.formats.tags import read_columns, read_conllu, to_iob2

SENTENCES = [
    Tagged(("Ada", "Byron", "of", "London", "wrote", '"notes"', "."), ("B-PER", "I-PER", "O", "B-LOC", "O", "O", "O")),
    Tagged(("Oslo", "Paris", "-", "news"), ("B-LOC", "B-LOC", "O", "O")),
    Tagged(("EU", "Ada"), ("B-ORG", "B-PER")),
    Tagged(("naïve",), ("O",)),
] * 4  # fmt: skip
CONLL = """-DOCSTART- -X- O O

Ada NNP I-NP I-PER
Byron NNP I-NP I-PER
of IN I-PP O
London NNP I-NP I-LOC
wrote VBD I-VP O
"notes" NNS I-NP O
. . O O

Oslo NNP I-NP I-LOC
Paris NNP B-NP B-LOC
- : O O
news NN I-NP O

EU NNP I-NP I-ORG
Ada NNP I-NP I-PER

naïve JJ I-NP O

"""


def write(folder: Path, content: str | bytes, name: str = "file.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ----------------------------------------------------------------------------- columns


@pytest.mark.parametrize(("begin", "end"), [("", "\n"), ("\ufeff", "\r\n"), ("", " \n")])
def test_conll2003_becomes_iob2_without_its_document_marks(tmp_path: Path, begin: str, end: str) -> None:
    content = begin + (CONLL * 4).replace("\n", end)
    assert len(content.splitlines()) > 50
    assert read_columns(write(tmp_path, content)) == SENTENCES
    assert read_columns(write(tmp_path, content.rstrip())) == SENTENCES


def test_wnut17_is_read_from_its_two_columns(tmp_path: Path) -> None:
    written = "\t\n".join("".join(f"{w}\t{t}\n" for w, t in zip(s.words, s.tags or (), strict=True)) for s in SENTENCES)
    assert len(written.splitlines()) > 50
    assert read_columns(write(tmp_path, written)) == SENTENCES


def test_other_tags_stay_as_they_are(tmp_path: Path) -> None:
    read = read_columns(write(tmp_path, "I PRON I-NP x\nI-beam NOUN y I-x\n"))
    assert read == [Tagged(("I", "I-beam"), ("x", "I-x"))]


def test_words_keep_the_strange_spaces_of_tweets(tmp_path: Path) -> None:
    content = "a\u00a0b\tO\n\u2028\tO\n: )\tB-x\n#\tO\n"
    assert read_columns(write(tmp_path, content)) == [
        Tagged(("a\u00a0b", "\u2028", ": )", "#"), ("O", "O", "B-x", "O"))
    ]


@pytest.mark.parametrize(("content", "told"), [
    ("Ada I-PER\nwrote\n", "line 2: 'wrote' has no tag"),
    ("Ada\tI-PER\n\n\tO\n", "line 3: 'O' has no tag"),
    (b"Ada O\n\xff O\n", "line 2: byte 1 .* is not UTF-8"),
])  # fmt: skip
def test_a_line_without_a_tag_is_named(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(UserError, match=rf"file\.txt, {told}"):
        read_columns(write(tmp_path, content))


def test_files_without_sentences_have_none(tmp_path: Path) -> None:
    for content in ("", "\n\n", "-DOCSTART- -X- -X- O\n\n", " \n\t\n"):
        assert read_columns(write(tmp_path, content)) == []


WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r \ufeff"), min_size=1, max_size=8)
ENTITIES = st.lists(
    st.lists(st.tuples(WORD, st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])), min_size=1), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(ENTITIES, st.sampled_from(["\t", " ", " x "]))
@example([[("-DOCSTART", "O"), ("\x85", "B-X")]], " ")
def test_columns_that_are_written_are_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]], between: str
) -> None:
    content = "\n".join("".join(f"{word}{between}{tag}\n" for word, tag in sentence) for sentence in sentences)
    read = read_columns(write(tmp_path_factory.getbasetemp(), content))
    kept = [s for s in ([pair for pair in sentence if pair[0] != "-DOCSTART-"] for sentence in sentences) if s]
    assert [each.words for each in read] == [tuple(word for word, _ in sentence) for sentence in kept]
    assert [each.tags for each in read] == [tuple(to_iob2(tag for _, tag in sentence)) for sentence in kept]


def entities(tags: list[str], opens: Callable[[str, str], bool]) -> list[tuple[str, int, int]]:
    """(type, first word, one after the last), where ``opens(tag, before)`` says that a new one begins."""
    found: list[tuple[str, int, int]] = []
    for at, (tag, before) in enumerate(zip(tags, ["O", *tags], strict=False)):
        if tag == "O":
            continue
        if opens(tag, before):
            found.append((tag[2:], at, at + 1))
        else:
            found[-1] = (found[-1][0], found[-1][1], at + 1)
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12))
def test_iob2_has_the_entities_of_iob1_and_says_it_once(tags: list[str]) -> None:
    made = list(to_iob2(tags))
    before = entities(tags, lambda tag, last: tag[0] == "B" or last[1:] != tag[1:])
    assert entities(made, lambda tag, _: tag[0] == "B") == before
    assert list(to_iob2(made)) == made


# ----------------------------------------------------------------------------- CoNLL-U

CONLLU = """# newdoc id = invented
# sent_id = invented-1
# text = Don't go to St. Ives, go 1.5 miles.
1-2	Don't	_	_	_	_	_	_	_	_
1	Do	do	AUX	VB	Mood=Imp	3	aux	_	_
2	n't	not	PART	RB	_	3	advmod	_	_
3	go	go	VERB	VB	Mood=Imp	0	root	_	_
4	to	to	ADP	IN	_	5	case	_	_
5	St. Ives	St. Ives	PROPN	NNP	_	3	obl	_	SpaceAfter=No
6	,	,	PUNCT	,	_	3	punct	_	_
6.1	go	go	VERB	VB	_	_	_	3:conj	_
7	#	#	SYM	NN	_	3	dep	_	_

"""
WORDS = Tagged(("Do", "n't", "go", "to", "St. Ives", ",", "#"), ("AUX", "PART", "VERB", "ADP", "PROPN", "PUNCT", "SYM"))


@pytest.mark.parametrize(("begin", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_conllu_has_syntactic_words_and_their_parts_of_speech(tmp_path: Path, begin: str, end: str) -> None:
    content = begin + (CONLLU * 6).replace("\n", end)
    assert len(content.splitlines()) > 50
    assert read_conllu(write(tmp_path, content)) == [WORDS] * 6
    assert read_conllu(write(tmp_path, content.rstrip())) == [WORDS] * 6


@pytest.mark.parametrize(("line", "told"), [
    ("8\tx\tx\tNOUN", "this is no CoNLL-U"), ("x\t" * 9 + "_", "this is no CoNLL-U"),
    ("8 x x NOUN NN _ 0 root _ _", "this is no CoNLL-U"), ("8-\t" + "x\t" * 8 + "_", "this is no CoNLL-U"),
    ("8\tx\tx\t_\tNN\t_\t0\troot\t_\t_", "there is no tag"), ("8\t\tx\tNOUN\tNN\t_\t0\troot\t_\t_", "there is no word"),
])  # fmt: skip
def test_a_line_that_is_no_conllu_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(UserError, match=rf"file\.txt, line 15: {told}"):
        read_conllu(write(tmp_path, CONLLU + "# text = x\n" + line + "\n\n"))


CELLS = st.lists(st.lists(st.tuples(WORD, st.sampled_from(["NOUN", "X"])), min_size=1), max_size=4)


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_conllu_that_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, sentences: list) -> None:  # type: ignore[type-arg]
    sentences = [[(word.strip() or "_", tag) for word, tag in sentence] for sentence in sentences]
    lines = [
        f"{number}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_" if word else ""
        for sentence in sentences
        for number, (word, tag) in enumerate([*sentence, ("", "")], 1)
    ]
    read = read_conllu(write(tmp_path_factory.getbasetemp(), "\n".join(lines)))
    assert [list(zip(each.words, each.tags or (), strict=True)) for each in read] == sentences


# ----------------------------------------------------------------------------- the real files


@pytest.mark.realdata
def test_the_real_conll2003_has_the_published_counts(real_data: Callable[[str], Path]) -> None:
    folder = real_data("conll2003") / "conll2003"
    counts = {
        "eng.train": (14_041, 203_621, 23_499),
        "eng.testa": (3_250, 51_362, 5_942),
        "eng.testb": (3_453, 46_435, 5_648),
    }
    for name, published in counts.items():  # sentences, words and entities: Tjong Kim Sang and De Meulder 2003
        read = read_columns(folder / name)
        begun = Counter(tag[0] for sentence in read for tag in sentence.tags or ())["B"]
        assert (len(read), sum(len(sentence.words) for sentence in read), begun) == published
        assert {tag[2:] for sentence in read for tag in sentence.tags or ()} == {"", "PER", "LOC", "ORG", "MISC"}


@pytest.mark.realdata
def test_the_real_wnut17_has_the_published_counts(real_data: Callable[[str], Path]) -> None:
    folder = real_data("wnut17") / "wnut17"
    counts = {"wnut17train.conll": 3_394, "emerging.dev.conll": 1_009, "emerging.test.annotated": 1_287}
    read = {name: read_columns(folder / name) for name in counts}
    assert {name: len(sentences) for name, sentences in read.items()} == counts
    types = {tag[2:] for sentences in read.values() for sentence in sentences for tag in sentence.tags or ()}
    assert types == {"", "person", "location", "corporation", "product", "creative-work", "group"}


@pytest.mark.realdata
def test_the_real_ewt_has_the_published_counts(real_data: Callable[[str], Path]) -> None:
    folder = real_data("UD_English-EWT") / "UD_English-EWT"
    counts = {"train": (12_544, 204_577), "dev": (2_001, 25_147), "test": (2_077, 25_094)}
    for part, published in counts.items():
        read = read_conllu(folder / f"en_ewt-ud-{part}.conllu")
        assert (len(read), sum(len(sentence.words) for sentence in read)) == published
        assert len({tag for sentence in read for tag in sentence.tags or ()}) == 17
