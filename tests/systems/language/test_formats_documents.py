"""Running text: where sentences and paragraphs end, and the files that documents come in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.engine.errors import UserError
from daybreak.systems.language.formats.documents import (
    paragraphs,
    read_marked,
    read_reviews,
    read_text,
    read_wikitext,
)
from daybreak.systems.language.formats.sentences import sentences, spans


def write(folder: Path, content: str, name: str = "file.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


# ----------------------------------------------------------------------------- sentences


@pytest.mark.parametrize("parts", [
    ["It rained.", "We went home!", "Did you?", "Yes..."],
    ["Mr. Smith met Mrs. Jones and Dr. Brown.", "Prof. Lee, Capt. Hook and St. John came."],
    ["J. S. Bach wrote it.", "The U.S. Senate met at 5 p.m. on Monday.", "E. A. Poe did not."],
    ["See No. 5, p. 7 and Fig. 3.", "No.", "He came on Jan. 5.", "It was in Jan.", "She knew."],
    ["So did I.", "The end of chapter ten."],
    ['"Hold your noise!" cried a voice.', '"Keep still, or I will shout!"', "A man rose."],
    ["He said 'Yes.'", "Then (as he does.)", "He left [quickly.]", "“Who?”", "“I.”", "‘Quite.’"],
    ["\"I see.\"", "\"you do not,\" said he, e.g. never."],
    ["It costs 3.5 pounds.", "7 men paid.", "V2.0 is out, i.e. the new one."],
    ["Well . . . yes.", "No . . .", "I see."],
    ["Été.", "Élan vital.", "Öl.", "Über.", "Мир.", "Да."],
    ["(See below.)", "(Or above.)"],
    ["a"], ["."], ["no end"],
])  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts
    assert sentences("  " + "\n ".join(parts) + "\t") == parts


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_no_text_has_no_sentences(text: str) -> None:
    assert sentences(text) == []


@settings(max_examples=200, deadline=None)
@given(st.text("aA5.!? \"'()\n…", max_size=40))
def test_sentences_are_all_of_the_text_but_the_space_between_them(text: str) -> None:
    found = spans(text)
    ends = [0, *itertools.chain.from_iterable(found), len(text)]
    assert ends == sorted(ends)
    assert all(not text[end:start].strip() for end, start in zip(ends[::2], ends[1::2], strict=True))
    assert [text[start:end] for start, end in found] == [sentence.strip() for sentence in sentences(text)]
    assert all(sentences(text))


@pytest.mark.parametrize("text", ["x" * 2**20, "." * 2**20, '"' * 2**20, ". (" * 2**18, "A. " * 2**18, " " * 2**20])
def test_a_megabyte_of_anything_is_read_once(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


# ----------------------------------------------------------------------------- paragraphs


def test_blank_lines_part_paragraphs_and_lines_are_joined() -> None:
    lines = ["A line that is wrapped at", "about thirty characters,", "here.", "", ""]
    assert list(paragraphs([*lines, "  Another one  that goes ", "on and on for a built-", "in word."])) == [
        "A line that is wrapped at about thirty characters, here.",
        "Another one that goes on and on for a built-in word.",
    ]


def test_only_a_word_is_joined_at_its_hyphen() -> None:
    lines = ["He had what he had not -", "time, and he spent it --", "as one does, on well-", "known things."]
    assert list(paragraphs(lines)) == [
        "He had what he had not - time, and he spent it -- as one does, on well-known things."
    ]


def test_a_short_line_ends_a_paragraph_of_wrapped_text() -> None:
    lines = ["CHAPTER I", "My father's family name being Pirrip, and my Christian name Philip, my",
             "infant tongue could make of both names nothing longer or more explicit", "than Pip.",
             "I give Pirrip as my father's family name, on the authority of his tomb"]  # fmt: skip
    assert list(paragraphs(lines)) == ["CHAPTER I", " ".join(lines[1:4]), lines[4]]


def test_where_lines_are_long_each_is_a_paragraph() -> None:
    lines = ["long " * 30, "short", "", "long " * 40, "middling " * 9]
    assert list(paragraphs(lines)) == [" ".join(line.split()) for line in lines if line]
    assert list(paragraphs([])) == list(paragraphs(["", " "])) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab-. \t", max_size=150)))
def test_paragraphs_lose_no_letter(lines: list[str]) -> None:
    assert "".join("".join(paragraphs(lines)).split()) == "".join("".join(lines).split())


# ----------------------------------------------------------------------------- files


def test_a_plain_text_file_is_one_document(tmp_path: Path) -> None:
    content = "\ufeffA story of Mr. X.\r\n\r\nIt was night. He slept\r\nall day long.\r\n\r\n"
    assert read_text(write(tmp_path, content)) == ["A story of Mr. X.", "It was night.", "He slept all day long."]
    assert read_text(write(tmp_path, "")) == []


def test_novels_and_speeches_are_parted_by_form_feeds(tmp_path: Path) -> None:
    line = "This is a paragraph of a novel. It is a long one, as they are, and goes on, and on, and on, until it stops."
    novel = "CHAPTER I.\n" + f"{line}\n{line[:31]}\n" * 25
    content = f"\fAuthor_Title_1850.txt\n{novel}\fempty.txt\n\n\f1789-Speaker.txt\nFellow-Citizens:\n\nWe are here.\n"
    documents = read_marked(write(tmp_path, content))
    assert len(documents) == 2 and len(content.splitlines()) > 50
    assert documents[0][:4] == ["CHAPTER I.", line[:31], line[32:], line[:31]] and len(documents[0]) == 1 + 3 * 25
    assert documents[1] == ["Fellow-Citizens:", "We are here."]


WIKITEXT = """ \n = Invented lobster = \n \n It weighs 2 @.@ 5 kg , or 1 @,@ 000 g . It is well @-@ known . \n \n
 = = Life = = \n \n It lives . \n Its <unk> is " long " . \n \n = = = Food = = = \n \n = Other <unk> =
 \n It was . \n"""


def test_wikitexts_articles_have_no_headings_and_no_at_signs(tmp_path: Path) -> None:
    article = ["It weighs 2.5 kg , or 1,000 g .", "It is well-known .", "It lives .", 'Its <unk> is " long " .']
    assert read_wikitext(write(tmp_path, WIKITEXT * 3)) == [article, ["It was ."]] * 3


def test_reviews_have_a_sentence_a_line(tmp_path: Path) -> None:
    names = [f"cv{i:03}_1" for i in range(50)]
    texts = [f"the plot is {name} . \nso , what's the deal ? \n \n" for name in names]
    rows = [{"id": name, "fold": 3, "label": 0, "text": text} for name, text in zip(names, texts, strict=True)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    read = read_reviews(write(tmp_path, content))
    assert read == [[f"the plot is {name} .", "so , what's the deal ?"] for name in names]
    with pytest.raises(UserError, match=r"file\.txt, line 51: there is no column text"):
        read_reviews(write(tmp_path, content + '{"id": 5}\n'))


@pytest.mark.realdata
def test_the_real_texts_have_their_documents(real_data: Callable[[str], Path]) -> None:
    folder = real_data("lm") / "lm"
    read = {
        "novels_valid.txt": read_marked(folder / "novels_valid.txt"),
        "novels_test.txt": read_marked(folder / "novels_test.txt"),
        "us_speeches.txt": read_marked(folder / "us_speeches.txt"),
        "wikitext2_valid.raw.txt": read_wikitext(folder / "wikitext2_valid.raw.txt"),
        "wikitext2_test.raw.txt": read_wikitext(folder / "wikitext2_test.raw.txt"),
        "movie_reviews.jsonl": read_reviews(folder / "movie_reviews.jsonl"),
    }
    # WikiText-2 has 60 articles each; two lines of formulas in one look like titles
    assert [len(documents) for documents in read.values()] == [2, 2, 124, 60, 62, 2_000]
    words = {name: sum(len(s.split()) for document in documents for s in document) for name, documents in read.items()}
    assert words["novels_valid.txt"] == pytest.approx(359_082, rel=0.001)
    assert words["novels_test.txt"] == pytest.approx(367_021, rel=0.001)
    for documents in read.values():
        lengths = sorted(len(sentence) for document in documents for sentence in document)
        assert 60 < lengths[len(lengths) // 2] < 140 and lengths[len(lengths) * 99 // 100] < 600
