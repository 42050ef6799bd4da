"""What a run directory keeps of an encoder beside its weights: the vocabulary, and the shape."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.engine.rundir import ASSETS, read_json, write_json
from daybreak.engine.strict import build, read_object
from daybreak.systems.language.shape import Shape
from daybreak.systems.language.wordpiece import Special, read_wordpiece, special_tokens, write_vocabulary

VOCABULARY, ENCODER, LEARNED = "vocab.txt", "encoder.json", "learned.json"


@dataclass(frozen=True)
class Reader:
    """How text is read."""

    tokenizer: Tokenizer
    lowercase: bool
    shape: Shape

    @functools.cached_property
    def special(self) -> Special:
        """Numbers of the special word pieces."""
        return special_tokens(self.tokenizer)


def write_reader(run_dir: Path, reader: Reader) -> None:
    """Into the assets of a run directory."""
    write_atomic(run_dir / ASSETS / VOCABULARY, write_vocabulary(reader.tokenizer))
    write_json(run_dir / ASSETS / ENCODER, {"lowercase": reader.lowercase, "shape": vars(reader.shape)})


def read_reader(run_dir: Path) -> Reader:
    """Undo :func:`write_reader`. Raises UserError naming a file that is missing or damaged."""
    path = run_dir / ASSETS / ENCODER
    values = read_json(path)
    try:
        shape, lowercase = Shape(**values["shape"]), bool(values["lowercase"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} does not describe an encoder ({error}): restore it, or train the run again") from error
    return Reader(read_wordpiece(run_dir / ASSETS / VOCABULARY, lowercase), lowercase, shape)


@dataclass(frozen=True)
class Learned:
    """What a fine-tuned encoder does."""

    task: str
    labels: list[str]
    """Names of its classes or tags, in the order of its outputs."""
    pairs: bool
    """Whether its examples were pairs of sentences."""


def write_learned(run_dir: Path, learned: Learned) -> None:
    """Into the assets of a run directory."""
    write_json(run_dir / ASSETS / LEARNED, vars(learned))


def read_learned(run_dir: Path) -> Learned:
    """Undo :func:`write_learned`. Raises UserError naming a file that is missing or damaged."""
    path = run_dir / ASSETS / LEARNED
    return build(Learned, read_object(path), str(path))
