"""The words that BERT has to guess: 15 % of them, drawn anew every time (Devlin et al. 2018, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.wordpiece import Special

MASKED, RANDOM = 0.8, 0.1
"""Shares of the chosen word pieces that become [MASK], and any other word piece; the others stay as they are."""


@dataclass(frozen=True)
class Masking:
    """How to mask the rows of one vocabulary."""

    special: Special
    begins: np.ndarray
    """(vocabulary,) bool: whether a word piece begins a word."""
    rate: float
    whole_words: bool

    def choose(self, rows: Rows, random: np.random.Generator) -> np.ndarray:
        """(M,) places to guess, at least one; never [CLS] or [SEP]."""
        tokens = rows.tokens.numpy()
        text = ~np.isin(tokens, [self.special.cls, self.special.sep, self.special.pad])
        leads = np.arange(len(tokens))  # the place whose draw each goes by
        if self.whole_words:
            leads = np.maximum.accumulate(np.where(self.begins[tokens] | ~text, leads, 0))
        drawn = (random.random(len(tokens)) < self.rate)[leads] & text
        if not drawn.any():
            drawn = (leads == leads[random.choice(np.flatnonzero(text))]) & text
        return np.flatnonzero(drawn)

    def mask(self, rows: Rows, random: np.random.Generator) -> Guess:
        """Hide the chosen word pieces of the rows, which stay as they are; a copy is changed."""
        places = self.choose(rows, random)
        tokens = rows.tokens.numpy().copy()
        answers = tokens[places]
        draw = random.random(len(places))
        tokens[places[draw < MASKED]] = self.special.mask
        others = places[(draw >= MASKED) & (draw < MASKED + RANDOM)]
        tokens[others] = random.integers(len(self.begins), size=len(others))
        hidden = replace(rows, tokens=torch.from_numpy(tokens))
        return Guess(hidden, torch.from_numpy(places), torch.from_numpy(answers))


@dataclass
class Guess:
    """A batch with holes."""

    rows: Rows
    places: Tensor
    """(M,) which word pieces of the batch to guess."""
    answers: Tensor
    """(M,) what stood there."""


def begins_words(tokenizer: Tokenizer) -> np.ndarray:
    """(vocabulary,) bool: whether each word piece begins a word; those that go on with one are written ##so."""
    vocabulary = tokenizer.get_vocab()
    begins = np.ones(len(vocabulary), bool)
    begins[[number for piece, number in vocabulary.items() if piece.startswith("##")]] = False
    return begins
