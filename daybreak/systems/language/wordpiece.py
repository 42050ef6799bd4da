"""WordPiece, BERT's subwords (Wu et al. 2016, section 4.1; Devlin et al. 2018): learned, read, written and used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from daybreak.data.text import read_lines
from daybreak.engine.errors import UserError

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
INSIDE = "##"
"""Begins a piece that goes on with a word."""
LONGEST_WORD = 100
"""Characters; a longer word is [UNK], as in the public models."""


@dataclass(frozen=True)
class Special:
    """Numbers of the special tokens, which differ from vocabulary to vocabulary."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


class Encoded(NamedTuple):
    """A text in word pieces, none of them special but [UNK]."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    """First character of each piece in the text as it was given, and the one after its last."""


class EncodedWords(NamedTuple):
    """Words in word pieces."""

    ids: list[int]
    words: list[int]
    """Which word each piece is of."""


# ----------------------------------------------------------------------------- vocabularies


def learn_wordpiece(lines: Iterable[str], size: int, lowercase: bool = True) -> Tokenizer:
    """Learn a vocabulary of at most ``size`` pieces, the same one from the same lines in every process.

    The special tokens are 0 to 4. At most half of the vocabulary is single characters, the most frequent ones.
    """
    lines = list(lines)
    tokenizer = _tokenizer({UNK: 0}, lowercase)
    alone, inside = _alphabet(tokenizer, lines, size // 4)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        # The trainer numbers single pieces by the order of a hash table, and breaks ties by their numbers: so that
        # they are the same every time, they are numbered here.
        special_tokens=[*SPECIAL, *(INSIDE + character for character in inside)],
        initial_alphabet=alone,
        limit_alphabet=len(alone),
        continuing_subword_prefix=INSIDE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return _tokenizer(tokenizer.get_vocab(), lowercase)


def read_wordpiece(path: str | Path, lowercase: bool = True) -> Tokenizer:
    """Read a ``vocab.txt`` of BERT's: a piece a line, numbered from 0.

    Raises UserError naming the file, and the line where there is one, for a file that is missing, not UTF-8, has an
    empty line, a piece twice, or lacks a special token.
    """
    numbers: dict[str, int] = {}
    for number, piece in enumerate(read_lines(path)):
        if not piece or piece in numbers:
            what = f"{piece!r} a second time" if piece else "empty"
            raise UserError(f"{path}, line {number + 1}, is {what}: give the vocab.txt of a BERT, unchanged")
        numbers[piece] = number
    if missing := [token for token in SPECIAL if token not in numbers]:
        raise UserError(f"{path} has no {missing[0]}: give the vocab.txt of a BERT")
    return _tokenizer(numbers, lowercase)


def write_vocabulary(tokenizer: Tokenizer) -> bytes:
    """The vocabulary as a ``vocab.txt``. Undo with :func:`read_wordpiece`."""
    numbers = tokenizer.get_vocab()
    return "".join(f"{piece}\n" for piece in sorted(numbers, key=numbers.__getitem__)).encode()


def special_tokens(tokenizer: Tokenizer) -> Special:
    """Numbers of the special tokens. Raises UserError naming one that the vocabulary has not."""
    return Special(*(_number(tokenizer, token) for token in SPECIAL))


def _number(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise UserError(f"the vocabulary has no {token}: give one of a BERT")
    return number


def _tokenizer(numbers: dict[str, int], lowercase: bool) -> Tokenizer:
    """No text becomes a special token: they are only in the vocabulary, and "[MASK]" is three words like "(MASK)"."""
    model = models.WordPiece(
        numbers, unk_token=UNK, max_input_chars_per_word=LONGEST_WORD, continuing_subword_prefix=INSIDE
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _alphabet(tokenizer: Tokenizer, lines: Sequence[str], size: int) -> tuple[list[str], list[str]]:
    """The ``size`` most frequent characters in the order of their code points, and those that can go on with a word."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    found: Counter[str] = Counter()
    inside: set[str] = set()
    for character, count in counts.items():
        first, *others = _words(tokenizer, f"a{character}")  # one word, or more where the character stands by itself
        inside.update(first[1:])
        found.update(dict.fromkeys("".join([first[1:], *others]), count))
    frequent = sorted(sorted(found, key=lambda character: (-found[character], character))[:size])
    return frequent, [character for character in frequent if character in inside]


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    normalizer, pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    assert normalizer is not None and pre_tokenizer is not None  # _tokenizer gave it both
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))]


# ----------------------------------------------------------------------------- texts


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoded]:
    """Texts in word pieces; a text without a word, such as an empty one, has none.

    Raises UserError for what Python makes of bytes that are not UTF-8 on a command line.
    """
    try:
        encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    except TypeError as error:
        raise UserError("a text has characters that are no Unicode text: give it in UTF-8") from error
    return [Encoded(each.ids, each.offsets) for each in encodings]


def encode_words(tokenizer: Tokenizer, words: Sequence[str]) -> EncodedWords:
    """A sentence's words in word pieces, at least one for each: a word without any, such as a mark, is [UNK].

    Raises UserError as :func:`encode`.
    """
    try:
        encoding = tokenizer.encode(list(words), is_pretokenized=True, add_special_tokens=False)
    except TypeError as error:
        raise UserError("a word has characters that are no Unicode text: give it in UTF-8") from error
    pieces: list[list[int]] = [[] for _ in words]
    for number, word in zip(encoding.ids, encoding.word_ids, strict=True):
        if word is not None:  # as it is for special tokens alone
            pieces[word].append(number)
    unknown = _number(tokenizer, UNK)
    filled = [of_word or [unknown] for of_word in pieces]
    return EncodedWords(
        [number for of_word in filled for number in of_word],
        [word for word, of_word in enumerate(filled) for _ in of_word],
    )
