"""Holding out phrases, where the parts of a sentence are examples of their own, as in SST-2."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from daybreak.systems.language.examples import Pair

logger = logging.getLogger("daybreak")
LONG = 8
"""Words of the shortest phrase that is held out: shorter ones are said in many sentences, and tested by none."""

Words = tuple[str, ...]


def hold_out_phrases(examples: Sequence[Pair], count: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Part phrases into those to train on, and ``count`` held-out ones of eight words or more.

    What contains a held-out phrase, or is contained in one, is in neither part, and counted aloud: the phrases of one
    sentence lie within each other, and have mostly one label.
    """
    phrases = [tuple(re.findall(r"\w+", example.first.lower())) for example in examples]
    long = [number for number, phrase in enumerate(phrases) if len(phrase) >= LONG]
    held = set(np.random.RandomState(seed).permutation(long)[:count].tolist())
    is_shared = sharing([phrases[number] for number in held])
    rest = [
        example
        for number, (example, phrase) in enumerate(zip(examples, phrases, strict=True))
        if number not in held and not is_shared(phrase)
    ]
    if left_out := len(examples) - len(held) - len(rest):
        logger.warning("left out %d of %d phrases, which share a sentence with held-out ones", left_out, len(examples))
    return rest, [examples[number] for number in sorted(held)]


def sharing(held: Sequence[Words]) -> Callable[[Words], bool]:
    """Says of a phrase whether it stands within one of these, of ``LONG`` words or more each, or one within it."""
    within = {
        phrase[start:end] for phrase in held for end in range(1, len(phrase) + 1) for start in range(end)
    }  # one look a phrase, where comparing it with each that is held out would take an hour
    openings: defaultdict[Words, list[Words]] = defaultdict(list)
    for phrase in held:
        openings[phrase[:LONG]].append(phrase)

    def is_shared(words: Words) -> bool:
        return words in within or any(
            words[at : at + len(phrase)] == phrase
            for at in range(len(words) - LONG + 1)
            for phrase in openings.get(words[at : at + LONG], ())
        )

    return is_shared
