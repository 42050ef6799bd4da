"""Text files, line by line, and subword vocabularies: what systems that read language share."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from daybreak.engine.errors import UserError

PAD, START, END = 0, 1, 2
"""Numbers of the tokens that fill a batch up, begin a sentence and end it, in every vocabulary made here."""
SPECIAL = ("<pad>", "<s>", "</s>")


def read_lines(path: str | Path) -> list[str]:
    r"""Lines of a UTF-8 file without their ends. Only \n and \r\n end a line, as in other tools that pair up lines.

    Raises UserError for a file that cannot be read, or with the number of the first line that is not UTF-8.
    """
    return decode_lines(_content(Path(path), "give a text file"), str(path))


def decode_lines(content: bytes, name: str) -> list[str]:
    """Lines of UTF-8 text, as :func:`read_lines`; ``name`` is what a mistake calls it."""
    raw = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    if not raw[-1]:
        raw.pop()  # the end of the last line, and no line after it
    lines: list[str] = []
    for number, line in enumerate(raw, 1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}, line {number}: byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8: "
                "convert the file, as with iconv -f latin1 -t utf-8"
            ) from None
    return lines


def read_parallel(source: str | Path, target: str | Path) -> tuple[list[str], list[str]]:
    """Two files whose lines are translations of each other.

    Raises UserError as :func:`read_lines`, and naming the first line that has no partner.
    """
    left, right = read_lines(source), read_lines(target)
    if len(left) != len(right):
        longer, shorter = (source, target) if len(left) > len(right) else (target, source)
        raise UserError(
            f"{source} has {len(left):,} lines and {target} {len(right):,}: line {min(len(left), len(right)) + 1} of "
            f"{longer} has no partner in {shorter}"
        )
    return left, right


def learn_bpe(lines: Iterable[str], size: int) -> Tokenizer:
    """Learn a byte-pair vocabulary of at most ``size`` tokens (Sennrich et al. 2016), over bytes (Radford et al. 2019).

    Every text has tokens, whatever its script, and decoding gives the text back but for leading space. No text has the
    tokens of SPECIAL: what looks like one is spelled like any other word.
    """
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer) -> bytes:
    """The tokenizer as the JSON that the ``tokenizers`` library reads."""
    return tokenizer.to_str(pretty=True).encode()


def read_tokenizer(path: Path) -> Tokenizer:
    """Undo :func:`save_tokenizer`. Raises UserError for a file that is missing or is no tokenizer of this module."""
    content = _content(path, "restore it, or train the run again")
    try:
        model = json.loads(content)["model"]
        vocabulary, merges = dict(model["vocab"]), [(left, right) for left, right in model["merges"]]
        "".join(vocabulary).encode()  # fails for half of a character, which JSON can hold
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is no tokenizer ({error!r}): restore it, or train the run again") from error
    if model.get("type") != "BPE" or not _is_bpe(vocabulary, merges):
        raise UserError(f"{path} is no tokenizer of daybreak's: restore it, or train the run again")
    tokenizer = _byte_level(models.BPE(vocabulary, merges))
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _byte_level(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # a word is the same one everywhere
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.encode_special_tokens = True  # a user's "</s>" is text like any other
    return tokenizer


def _is_bpe(vocabulary: dict[Any, Any], merges: list[tuple[Any, Any]]) -> bool:
    """Whether the library will take it: it says so of a mistake in a way that cannot be told from its own faults."""
    numbered = all(isinstance(token, str) and type(number) is int for token, number in vocabulary.items())
    if not numbered or sorted(vocabulary.values()) != list(range(len(vocabulary))):
        return False
    if [vocabulary.get(token) for token in SPECIAL] != [PAD, START, END]:
        return False
    if not set(pre_tokenizers.ByteLevel.alphabet()) <= vocabulary.keys():
        return False
    known = all(isinstance(left, str) and isinstance(right, str) for left, right in merges)
    return known and all({left, right, left + right} <= vocabulary.keys() for left, right in merges)


def _content(path: Path, advice: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): {advice}") from error
