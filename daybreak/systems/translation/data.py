"""Sentence pairs: which ones a config trains on, validates on and is tested on, and how they become batches."""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from daybreak.data import text, where
from daybreak.data.text import END, PAD, START, learn_bpe
from daybreak.data.toy import numbers
from daybreak.engine.errors import UserError
from daybreak.systems.translation.config import Config

logger = logging.getLogger("daybreak")
SPLIT_SEED = 0  # of a user's files: the held-out pairs are the same ones in every run
MULTI30K_TESTS = {"test2016": "test_2016_flickr", "test2017": "test_2017_flickr", "mscoco": "test_2017_mscoco"}


@dataclass(frozen=True)
class Corpus:
    """Sentences, and their translations at the same places."""

    source: list[str]
    target: list[str]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def digest(self) -> str:
        """SHA-256 of all sentences, as "sha256:<hex>"; what a record calls its data."""
        lines = "\n".join([*self.source, *self.target])
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Corpus:
        """Pairs of a sentence and its translation, as a corpus."""
        return cls([source for source, _ in pairs], [target for _, target in pairs])


# ----------------------------------------------------------------------------- which sentences


def train_and_val(config: Config) -> tuple[Corpus, Corpus]:
    """What to train on, and what to choose by. Pairs with an empty side are left out, and counted aloud."""
    if config.data == "numbers":
        values = short_ones_again(numbers.numbers("train", config.pairs))
        return _spelled(config, values), _spelled(config, numbers.numbers("val", config.held_out))
    if config.data == "multi30k":
        return _multi30k(config, "train"), _multi30k(config, "val")
    train, val, _ = _files(config)
    return train, val


def tests(config: Config) -> dict[str, Corpus]:
    """The test sets by name: pairs that no decision may depend on."""
    if config.data == "numbers":
        return {"test": _spelled(config, numbers.numbers("test", config.held_out))}
    if config.data == "multi30k":
        return {name: _multi30k(config, split) for name, split in MULTI30K_TESTS.items()}
    return {"test": _files(config)[2]}


def short_ones_again(values: list[int]) -> list[int]:
    """The numbers, the few short ones as often as makes them a quarter of the long: seen once, they are not learned."""
    by_digits: dict[int, list[int]] = {}
    for value in values:
        by_digits.setdefault(len(str(value)), []).append(value)
    least = max(map(len, by_digits.values())) // 4
    repeated = [itertools.islice(itertools.cycle(group), max(len(group), least)) for group in by_digits.values()]
    return [value for group in repeated for value in group]


def _spelled(config: Config, values: list[int]) -> Corpus:
    return Corpus(numbers.spelled(config.source, values), numbers.spelled(config.target, values))


def _multi30k(config: Config, split: str) -> Corpus:
    folder = where.prepare("multi30k", where.root())  # says what to put where, if it is not there
    return _filled(*text.read_parallel(folder / f"{split}.{config.source}", folder / f"{split}.{config.target}"))


def _files(config: Config) -> tuple[Corpus, Corpus, Corpus]:
    """To train on, for validation and for testing; what is held out is not among the rest a second time."""
    whole = _filled(*text.read_parallel(config.source_file, config.target_file))
    pairs = list(zip(whole.source, whole.target, strict=True))
    different = list(dict.fromkeys(pairs))
    n = config.held_out
    if len(different) <= 2 * n:
        raise UserError(
            f"{config.source_file} has {len(different):,} different pairs, and --held-out {n} for validation and as "
            "many for testing leave none to train on: give more pairs or a smaller --held-out"
        )
    order = np.random.RandomState(SPLIT_SEED).permutation(len(different))
    val, test = ([different[i] for i in sorted(part)] for part in (order[:n], order[n : 2 * n]))
    held_out = {*val, *test}
    return Corpus.of([pair for pair in pairs if pair not in held_out]), Corpus.of(val), Corpus.of(test)


def _filled(source: list[str], target: list[str]) -> Corpus:
    pairs = [pair for pair in zip(source, target, strict=True) if pair[0].strip() and pair[1].strip()]
    if empty := len(source) - len(pairs):
        logger.warning("left out %d of %d pairs, in which a sentence is empty", empty, len(source))
    return Corpus.of(pairs)


# ----------------------------------------------------------------------------- tokens


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizers of both languages; one and the same where the vocabulary is shared."""

    source: Tokenizer
    target: Tokenizer

    @property
    def sizes(self) -> tuple[int, int]:
        """Tokens of the source vocabulary and of the target's."""
        return self.source.get_vocab_size(), self.target.get_vocab_size()

    def encode(self, corpus: Corpus) -> Pairs:
        """Sentences into token numbers."""
        return Pairs(encode(self.source, corpus.source), encode(self.target, corpus.target))


def learn_vocabulary(corpus: Corpus, config: Config) -> Vocabulary:
    """Learn the subwords of the training sentences."""
    if config.shared_vocab:
        shared = learn_bpe([*corpus.source, *corpus.target], config.vocab_size)
        return Vocabulary(shared, shared)
    return Vocabulary(learn_bpe(corpus.source, config.vocab_size), learn_bpe(corpus.target, config.vocab_size))


def encode(tokenizer: Tokenizer, sentences: Sequence[str]) -> list[Tensor]:
    """Token numbers of each sentence, its end marked: int64 (length + 1,).

    Raises UserError for what Python makes of bytes that are not UTF-8 on a command line.
    """
    try:
        encodings = tokenizer.encode_batch_fast(list(sentences))
    except TypeError as error:
        raise UserError("a sentence has characters that are no Unicode text: give it in UTF-8") from error
    return [torch.tensor([*encoding.ids, END]) for encoding in encodings]


@dataclass(frozen=True)
class Batch:
    """Sentences side by side, the shorter ones filled up with PAD."""

    source: Tensor  # (B, S)
    target_in: Tensor  # (B, T): START and the words
    target_out: Tensor  # (B, T): the words and END


@dataclass(frozen=True)
class Pairs:
    """Tokens of sentences and of their translations."""

    source: list[Tensor]
    target: list[Tensor]

    def __len__(self) -> int:
        return len(self.source)

    @functools.cached_property  # a training step asks for it
    def lengths(self) -> Tensor:
        """(N, 2) int64: tokens of each source and target."""
        of_each = [[len(s), len(t)] for s, t in zip(self.source, self.target, strict=True)]
        return torch.tensor(of_each, dtype=torch.int64).view(-1, 2)

    def up_to(self, longest: int) -> Pairs:
        """The pairs whose sentences have at most so many tokens; what is left out is counted aloud."""
        rows = (self.lengths <= longest).all(1).nonzero().flatten().tolist()
        if over := len(self) - len(rows):
            logger.warning("left out %d of %d pairs, in which a sentence has over %d tokens", over, len(self), longest)
        return Pairs([self.source[i] for i in rows], [self.target[i] for i in rows])

    def batch(self, rows: Tensor) -> Batch:
        """The pairs at ``rows`` (B,)."""
        chosen = rows.tolist()
        target = [self.target[i] for i in chosen]
        begun = [torch.cat([torch.tensor([START]), words[:-1]]) for words in target]
        return Batch(padded([self.source[i] for i in chosen]), padded(begun), padded(target))


def padded(sentences: list[Tensor]) -> Tensor:
    """(B, longest), filled up with PAD."""
    return pad_sequence(sentences, batch_first=True, padding_value=PAD)
