"""Python's own reference as prose, and its code words as a toy task of tagging."""

from __future__ import annotations

import re
from itertools import chain
from pydoc_data.topics import topics

from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.formats.pydoc import code_words, read_topics

TOPIC = """The "spam" statement
********************

   spam_stmt ::= "spam" target ("," target)*

The "spam" statement *binds* one **or more** names (see section built-
in names).  It is an error if the name is "None" [1]; use "x = spam()"
or "d["x"]".  "spam" is not a keyword.

* If the list has a trailing comma, "TypeError" is
  raised.

  * Otherwise nothing happens at all.

* names,

Overview
========

object.__spam__(self)

   Called by "spam()".  Note that the “quoted” word is not code.

   Changed in version 3.3: Added.

For example, this prints the answer:

   for x in range(10):
       print(x)  # It prints.

   >>> spam(1)
   Traceback (most recent call last):
     File "<stdin>", line 1, in <module>
   SpamError: No spam here. And none there.

+-------------+--------------+
| Option      | Meaning here |
|=============|==============|
| "'<'"       | To the left. |
+-------------+--------------+

Note:

  Only *some* of it.

-[ Footnotes ]-

[1] The name "None" is special in the
    reference of the language.
"""
PROSE = [
    "The spam statement binds one or more names (see section built-in names).",
    "It is an error if the name is None; use x = spam() or d[\"x\"].",
    "spam is not a keyword.",
    "If the list has a trailing comma, TypeError is raised.",
    "Otherwise nothing happens at all.",
    "Called by spam().",
    "Note that the “quoted” word is not code.",
    "Changed in version 3.3: Added.",
    "For example, this prints the answer:",
    "Only some of it.",
    "The name None is special in the reference of the language.",
]  # fmt: skip


def test_prose_remains_without_headings_code_tables_and_marks() -> None:
    assert read_topics({"spam": TOPIC}) == {"spam": PROSE}


def test_words_in_quotes_are_code() -> None:
    tagged = code_words({"spam": TOPIC})["spam"]
    spelled = "It is an error if the name is None ; use x = spam ( ) or d [ ' x ' ] ."
    words = spelled.replace("'", '"').split()
    code = ["B-CODE", "O", "O", "B-CODE", *["I-CODE"] * 4, "O", "B-CODE", *["I-CODE"] * 5, "O"]
    assert tagged[1] == Tagged(tuple(words), (*["O"] * 8, *code))
    assert tagged[2].words[0] == "spam" and tagged[2].tags == ("B-CODE", "O", "O", "O", "O", "O")
    assert set(tagged[6].tags or ()) == {"O"}, "curly quotes and stars are none"


def test_a_paragraph_that_several_topics_have_is_in_the_longest_alone() -> None:
    shared = "This paragraph is in both of the topics.\n\n"
    read = read_topics({"a": shared, "b": shared + "This one is in the longer topic.\n\n" + shared, "c": ""})
    assert read == {"b": ["This paragraph is in both of the topics.", "This one is in the longer topic."]}


def test_the_reference_of_this_python_is_mostly_prose() -> None:
    prose, tagged = read_topics(topics), code_words(topics)
    text = [sentence for document in prose.values() for sentence in document]
    assert len(prose) > 40 and sum(map(len, text)) > 200_000
    assert not [sentence for sentence in text if re.search(r">>>|::=|\*\*\*|====|----", sentence)]
    assert sum('"' in sentence or "*" in sentence for sentence in text) < 0.05 * len(text)
    assert sum(sentence[-1] in ".:!?)”" for sentence in text) > 0.98 * len(text)
    paragraph = "Assert statements are a convenient way to insert debugging assertions into a program:"
    assert paragraph in prose["assert"]
    assert {name: len(document) for name, document in prose.items()} == {name: len(x) for name, x in tagged.items()}
    for sentence, words in zip(text, chain.from_iterable(tagged.values()), strict=True):
        assert "".join(words.words) == "".join(sentence.split())
    tags = [tag for document in tagged.values() for each in document for tag in each.tags or ()]
    assert 0.05 < sum(tag != "O" for tag in tags) / len(tags) < 0.2
    assert all(before != "O" for tag, before in zip(tags[1:], tags, strict=False) if tag == "I-CODE")
    code = {
        word
        for document in tagged.values()
        for each in document
        for word, tag in zip(each.words, each.tags or (), strict=True)
        if tag == "B-CODE"
    }
    assert {"None", "TypeError", "__init__", "return", "if"} <= code
