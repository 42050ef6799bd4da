"""WordPiece: vocabularies learned, read and written, and texts in pieces, as the public implementation has them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from daybreak.data.text import read_lines
from daybreak.engine.errors import UserError
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.formats import choices, pairs, questions, tags
from daybreak.systems.language.wordpiece import (
    SPECIAL,
    Special,
    encode,
    encode_words,
    learn_wordpiece,
    read_wordpiece,
    special_tokens,
    write_vocabulary,
)

LINES = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps.",
    "Quickly, the foxes jumped; a dog's sleep is quick!",
    "In 1912 the brownest fox was unaffable - unaffordable, unaffected.",
    "Ünaffable cafés, naïve façades: the cafés of the naïve.",
    "中文字 and 中国 are in Chinese; мир и мир are not.",
] * 3
TOKENIZER = learn_wordpiece(LINES, 300)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NASTY = [
    *("", " ", "\t\n", "the quick brown fox", "  The  QUICK\tbrown\nfox  ", "don't stop-it, now!!", "a.b.c 3,000.5"),
    *("Ünaffable naïve façades", "cafe\u0301 cafés", "e\u0301\u0301\u0301", "\u0301", "a\u0301 \u0301 b"),
    *("İstanbul ǅ ß ﬁ", "soft\u00adhyphen"),
    *("中文字and中国", "中 文", "日本語テキスト", "한국어", "\U00020000\U0002a6df", "мир", "العربية", "ก็ า"),
    *("🙂", "🙂👩‍👩‍👧x", "the🙂fox", "👍🏽", "\ufe0f", "a\u200db", "a\u200bb"),
    *("nul\0nul", "\0", "\x01\x7f\x85", "a\u202eb\u202c", "\u200f\u200e", "\ufeffthe", "\ufffd", "the\ufffdfox"),
    *("a\u00a0b", "a\u2003b", "a\u2028b\u2029c", "\u3000", "[unused1]", "##the", "the##fox", "#", "<s>", "~`^$"),
    *("x" * 100, "x" * 101, "the" * 5_000, "\u00e9" * 101, "-" * 300, "a" * 100_000),
]  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_bytes(write_vocabulary(TOKENIZER))
    return path


def peer(vocabulary: Path, lowercase: bool = True) -> Any:
    """The public implementation with the same vocabulary."""
    fast = pytest.importorskip("transformers").BertTokenizerFast
    return fast.from_pretrained(str(vocabulary.parent), do_lower_case=lowercase)


# ----------------------------------------------------------------------------- as the public implementation


def assert_same(ours: Tokenizer, theirs: Any, texts: Sequence[str]) -> None:
    given = theirs(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    for text, mine, ids, offsets in zip(
        texts, encode(ours, texts), given["input_ids"], given["offset_mapping"], strict=True
    ):
        assert (mine.ids, mine.offsets) == (ids, [tuple(pair) for pair in offsets]), text[:100]


def assert_same_words(ours: Tokenizer, theirs: Any, sentences: Sequence[Sequence[str]]) -> None:
    for words in sentences:
        given = theirs(list(words), is_split_into_words=True, add_special_tokens=False)
        there = list(zip(given.word_ids(), given["input_ids"], strict=True))
        silent = set(range(len(words))) - set(given.word_ids())  # the public one has no piece for them
        mine = encode_words(ours, words)
        pieces = list(zip(mine.words, mine.ids, strict=True))
        assert [piece for piece in pieces if piece[0] not in silent] == there, words
        assert [piece for piece in pieces if piece[0] in silent] == [
            (n, special_tokens(ours).unk) for n in sorted(silent)
        ]


@pytest.mark.parametrize("lowercase", [True, False])
def test_pieces_and_offsets_are_those_of_the_public_implementation(vocabulary: Path, lowercase: bool) -> None:
    ours, theirs = read_wordpiece(vocabulary, lowercase), peer(vocabulary, lowercase)
    assert theirs.is_fast
    assert_same(ours, theirs, [*LINES, *NASTY])
    assert_same_words(ours, theirs, [line.split() for line in LINES] + [NASTY, [], [""], ["the", "\0", "fox"]])


def both(some: Iterable[Pair]) -> Iterator[str]:
    return (text for pair in some for text in (pair.first, pair.second) if text)


def texts_of(root: Path) -> Iterator[str]:
    found = (line for line in read_lines(root / "en_ewt-ud-train.conllu") if line.startswith("# text = "))
    return (line.removeprefix("# text = ") for line in found)


def contexts(root: Path) -> Iterator[str]:
    files = ("xquad.en.json", "xquad.de.json", "squadshifts_reddit.json", "squadshifts_new_wiki.json")
    asked = (question for file in files for question in questions.read_squad(root / file))
    return iter(dict.fromkeys(question.context for question in asked))


REAL: dict[str, tuple[str, Callable[[Path], Iterable[str]]]] = {
    "novels": ("lm", lambda root: read_lines(root / "novels_valid.txt")),
    "wikitext2": ("lm", lambda root: read_lines(root / "wikitext2_valid.raw.txt")),
    "speeches": ("lm", lambda root: read_lines(root / "us_speeches.txt")),
    "sst2": ("glue/SST-2", lambda root: both(pairs.read_sst2(root / "train.tsv"))),
    "cola": ("glue/CoLA", lambda root: both(pairs.read_cola(root / "train.tsv"))),
    "mrpc": ("glue/MRPC", lambda root: both(pairs.read_mrpc(root / "msr_paraphrase_train.txt"))),
    "stsb": ("glue/STS-B", lambda root: both(pairs.read_stsb(root / "train.tsv"))),
    "sick": ("sick", lambda root: both(pairs.read_sick(root / "SICK_train.txt"))),
    "dream": ("dream", lambda root: dict.fromkeys(each.context for each in choices.read_dream(root / "train.json"))),
    "multi30k": ("multi30k", lambda root: read_lines(root / "train.en")),
    "ewt": ("UD_English-EWT", texts_of),
    "conll2003": ("conll2003", lambda root: (" ".join(each.words) for each in tags.read_columns(root / "eng.train"))),
    "wnut17": ("wnut17", lambda root: (" ".join(each.words) for each in tags.read_columns(root / "wnut17train.conll"))),
    "squad": ("squad", contexts),
}


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "read"), REAL.values(), ids=REAL.keys())
def test_five_thousand_real_lines_have_the_same_pieces(
    folder: str, read: Callable[[Path], Iterable[str]], real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    lines = list(itertools.islice(read(real_data(folder) / folder), 5_000))
    assert len(lines) > 2_000
    ours = learn_wordpiece(lines, 4_000)
    (tmp_path / "vocab.txt").write_bytes(write_vocabulary(ours))
    theirs = peer(tmp_path / "vocab.txt")
    assert_same(ours, theirs, lines)
    assert_same_words(ours, theirs, [line.split() for line in lines[:1_000]])
    unknown = special_tokens(ours).unk
    known = [number != unknown for each in encode(ours, lines) for number in each.ids]
    assert sum(known) / len(known) > 0.999


# ----------------------------------------------------------------------------- as the paper says


def greedy(word: str, vocabulary: dict[str, int]) -> list[str]:
    """Longest match first, the paper's algorithm: [UNK] where something is left that no piece begins."""
    pieces: list[str] = []
    at = 0
    while at < len(word):
        prefix = "##" if at else ""
        end = next((end for end in range(len(word), at, -1) if prefix + word[at:end] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        pieces.append(prefix + word[at:end])
        at = end
    return pieces


@settings(max_examples=100, deadline=None)
@given(st.text("theuicknbrowfxa,.! é中", max_size=40))
@example("unaffable")
@example("thequickbrownfox,the")
def test_the_longest_piece_comes_first(text: str) -> None:
    numbers = TOKENIZER.get_vocab()
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    apart = "".join(f" {c} " if c in ",.!中" else c for c in bare)
    assert [TOKENIZER.id_to_token(i) for i in encode(TOKENIZER, [text])[0].ids] == [
        piece for word in apart.split() for piece in greedy(word, numbers)
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, max_size=5))
def test_offsets_are_in_the_text_as_it_was_given_and_in_order(texts: list[str]) -> None:
    for text, (ids, offsets) in zip(texts, encode(TOKENIZER, texts), strict=True):
        assert len(ids) == len(offsets)
        assert all(0 <= start < end <= len(text) for start, end in offsets)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(offsets))


def test_offsets_find_the_words_again() -> None:
    text = "\0 Ünaffable, the\u200b CAFÉ\u0301s 🙂 中文"
    spelled = [text[start:end] for start, end in encode(TOKENIZER, [text])[0].offsets]
    assert "".join(spelled) == "Ünaffable,theCAFÉ\u0301s🙂中文"


def test_texts_do_not_depend_on_what_is_encoded_with_them() -> None:
    assert encode(TOKENIZER, NASTY[:60]) == [encode(TOKENIZER, [text])[0] for text in NASTY[:60]]
    assert encode(TOKENIZER, []) == []


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\0", "\u202e\u200f", "\ufeff", "\u0301"])
def test_a_text_without_a_word_has_no_pieces(text: str) -> None:
    assert encode(TOKENIZER, [text]) == [([], [])]


def test_a_megabyte_without_a_space_is_one_unknown_word() -> None:
    unknown = special_tokens(TOKENIZER).unk
    assert encode(TOKENIZER, ["a" * 2**20, "x" * 101]) == [([unknown], [(0, 2**20)]), ([unknown], [(0, 101)])]
    assert unknown not in encode(TOKENIZER, ["a" * 100])[0].ids


@pytest.mark.parametrize("token", SPECIAL)
def test_what_a_user_writes_never_becomes_a_special_token(vocabulary: Path, token: str) -> None:
    for lowercase in (True, False):
        tokenizer = read_wordpiece(vocabulary, lowercase)
        special = set(vars(special_tokens(tokenizer)).values()) - {special_tokens(tokenizer).unk}
        for text in (token, f"a {token} b", token.lower()):
            assert not special & set(encode(tokenizer, [text])[0].ids)
            assert not special & set(encode_words(tokenizer, text.split()).ids)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, max_size=8))
@example(["the", "\0", "", "quickest", "\u0301"])
@example([])
def test_every_word_has_a_piece_and_pieces_are_in_the_order_of_the_words(words: list[str]) -> None:
    encoded = encode_words(TOKENIZER, words)
    assert sorted(set(encoded.words)) == list(range(len(words)))
    assert encoded.words == sorted(encoded.words) and len(encoded.ids) == len(encoded.words)


def test_a_word_that_nothing_is_left_of_is_unknown() -> None:
    the, fox = (TOKENIZER.token_to_id(word) for word in ("the", "fox"))
    unknown = special_tokens(TOKENIZER).unk
    assert encode_words(TOKENIZER, ["the", "\u200e", "fox"]) == ([the, unknown, fox], [0, 1, 2])
    assert encode_words(TOKENIZER, ["the,fox"]).words == [0, 0, 0]


def test_half_of_a_character_is_refused() -> None:
    for call in (lambda: encode(TOKENIZER, ["a", "\ud800"]), lambda: encode_words(TOKENIZER, ["a", "\ud800"])):
        with pytest.raises(UserError, match="no Unicode text: give it in UTF-8"):
            call()


# ----------------------------------------------------------------------------- vocabularies


def test_special_tokens_come_first_in_a_vocabulary_that_is_learned() -> None:
    assert special_tokens(TOKENIZER) == Special(pad=0, unk=1, cls=2, sep=3, mask=4)
    assert write_vocabulary(TOKENIZER).decode().splitlines()[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.mark.parametrize("size", [20, 60, 120, 300])
def test_a_vocabulary_is_no_larger_than_asked_for_and_half_of_it_is_longer_than_a_character(size: int) -> None:
    pieces = write_vocabulary(learn_wordpiece(LINES, size)).decode().splitlines()
    assert len(pieces) == len(set(pieces)) <= size
    assert sum(len(piece.removeprefix("##")) == 1 for piece in pieces) <= size // 2


def test_frequent_words_become_pieces_and_case_and_accents_may_stay() -> None:
    assert {"the", "fox", "dog", "naive", "中", "国"} <= TOKENIZER.get_vocab().keys()
    assert not [piece for piece in TOKENIZER.get_vocab() if piece not in SPECIAL and piece != piece.lower()]
    assert "##," not in TOKENIZER.get_vocab() and "##中" not in TOKENIZER.get_vocab(), "they stand by themselves"
    cased = learn_wordpiece(LINES, 300, lowercase=False).get_vocab()
    assert {"The", "é"} <= {piece.removeprefix("##") for piece in cased}


def test_the_same_lines_give_the_same_vocabulary_in_every_process() -> None:
    code = (
        "import sys; from daybreak.systems.language.wordpiece import learn_wordpiece, write_vocabulary\n"
        f"sys.stdout.buffer.write(write_vocabulary(learn_wordpiece(iter({LINES!r}), 300)))"
    )
    for _ in range(2):  # the trainer's own order is another one in every process
        run = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=True)
        assert run.stdout == write_vocabulary(TOKENIZER)


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_vocabulary_that_is_written_is_the_one_that_is_read(tmp_path: Path, lowercase: bool) -> None:
    learned = learn_wordpiece(LINES, 300, lowercase)
    (tmp_path / "vocab.txt").write_bytes(write_vocabulary(learned))
    again = read_wordpiece(tmp_path / "vocab.txt", lowercase)
    assert write_vocabulary(again) == write_vocabulary(learned)
    assert encode(again, [*LINES, *NASTY]) == encode(learned, [*LINES, *NASTY])
    (tmp_path / "vocab.txt").write_bytes(write_vocabulary(learned).replace(b"\n", b"\r\n"))
    assert write_vocabulary(read_wordpiece(tmp_path / "vocab.txt")) == write_vocabulary(learned)


def test_special_tokens_are_where_the_public_vocabularies_have_them(tmp_path: Path) -> None:
    tokens = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##re"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(tokens), encoding="utf-8")
    tokenizer = read_wordpiece(path)
    assert special_tokens(tokenizer) == Special(pad=0, unk=100, cls=101, sep=102, mask=103)
    assert encode(tokenizer, ["There THE, mask"])[0].ids == [104, 105, 104, 100, 100]
    assert encode_words(tokenizer, ["\0"]).ids == [100]


@pytest.mark.parametrize(("content", "told"), [
    (b"", r"has no \[PAD\]"),
    (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n", r"has no \[MASK\]"),
    (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\nthe\n", "line 8, is 'the' a second time"),
    (b"[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n[MASK]\n", "line 3, is empty"),
    (b"[PAD]\n[UNK]\n[CLS]\n\xff\n", "line 4: byte 1 .* is not UTF-8"),
])  # fmt: skip
def test_a_vocabulary_with_a_mistake_is_refused_in_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"vocab.txt,? ?{told}") as mistake:
        read_wordpiece(path)
    assert "\n" not in str(mistake.value)


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.txt cannot be read"):
        read_wordpiece(tmp_path / "gone.txt")


def test_a_vocabulary_without_special_tokens_is_refused_when_they_are_asked_for() -> None:
    with pytest.raises(UserError, match=r"has no \[PAD\]"):
        special_tokens(Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")))
