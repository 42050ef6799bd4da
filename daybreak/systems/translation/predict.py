"""A trained translator, opened from its run directory alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, overload

import torch
from tokenizers import Tokenizer
from torch import Tensor

from daybreak.data.buckets import in_order
from daybreak.data.text import read_tokenizer
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import ASSETS, config_of
from daybreak.engine.weights import load_weights
from daybreak.nn.int8 import Int8Linear, in_int8
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.data import Vocabulary, encode, padded
from daybreak.systems.translation.decode import Hypothesis, beam_search
from daybreak.systems.translation.model import Network, network

logger = logging.getLogger("daybreak")
SOURCE_TOKENS, TARGET_TOKENS = "source.json", "target.json"
TOKENS = 2_048
"""Tokens of source sentences that are decoded together, padding included."""
WIDEST = 100
"""Beam: a wider one finds no better translations, and takes minutes a sentence."""
Progress = Callable[[int], None]


class Translator:
    """``translate`` sentences."""

    def __init__(self, config: Config, model: Network, vocabulary: Vocabulary, device: Device) -> None:
        self.config, self.model, self.vocabulary, self.device = config, model, vocabulary, device

    @overload  # a str is a sequence of strings, too
    def translate(self, sentences: str, *, beam: int = 5, length_penalty: float = 1.0) -> str: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def translate(
        self,
        sentences: Sequence[str],
        *,
        beam: int = 5,
        length_penalty: float = 1.0,
        tokens: int = TOKENS,
        progress: Progress | None = None,
    ) -> list[str]: ...
    def translate(
        self,
        sentences: str | Sequence[str],
        *,
        beam: int = 5,
        length_penalty: float = 1.0,
        tokens: int = TOKENS,
        progress: Progress | None = None,
    ) -> str | list[str]:
        """Translate a sentence, or many. An empty one stays empty; one that is too long is translated in pieces.

        Args:
            sentences: one text or several, a sentence each.
            beam: hypotheses that are followed; 1 is greedy search.
            length_penalty: 0 prefers short translations, 1 compares log probabilities per token.
            tokens: of sentences decoded together; how many they are changes no translation.
            progress: called with the number of pieces done, each time that some are.

        Raises:
            UserError: ``beam`` or ``tokens`` is below 1, ``beam`` above 100, or ``length_penalty`` not from 0 to 10.

        """
        if isinstance(sentences, str):
            return self.translate([sentences], beam=beam, length_penalty=length_penalty)[0]
        if beam < 1 or tokens < 1:
            raise UserError(f"a beam of {beam} and batches of {tokens} tokens cannot be: both are at least 1")
        if beam > WIDEST:
            raise UserError(f"--beam {beam} cannot be: give from 1 to {WIDEST}, of which 5 to 10 do best")
        if not 0 <= length_penalty <= 10:  # nor is NaN
            raise UserError(f"--length-penalty {length_penalty:g} cannot be: give from 0 to 10")
        parts = [pieces(self.vocabulary.source, sentence, self.config.longest) for sentence in sentences]
        if long := sum(len(of) > 1 for of in parts):
            logger.warning("translated %d sentences of over %d tokens in pieces", long, self.config.longest)
        flat = encode(self.vocabulary.source, [piece for of in parts for piece in of])
        found = self.search(flat, beam=beam, length_penalty=length_penalty, tokens=tokens, progress=progress)
        texts = iter(self.vocabulary.target.decode_batch([best[0].tokens for best in found]))
        return [" ".join(" ".join(next(texts).split()) for _ in of) for of in parts]  # a line stays a line

    @torch.no_grad()
    def search(
        self,
        sources: list[Tensor],
        *,
        beam: int,
        length_penalty: float,
        tokens: int = TOKENS,
        progress: Progress | None = None,
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each tokenised sentence, in batches of sentences of like length."""
        found: list[list[Hypothesis]] = [[] for _ in sources]
        if not sources:
            return found
        lengths = torch.tensor([[len(source)] for source in sources])
        training = self.model.training
        self.model.eval()
        for rows in in_order(lengths, tokens):
            batch = self.device.place(padded([sources[i] for i in rows.tolist()]))
            with self.device.autocast():
                best = beam_search(
                    self.model, batch, self._limits(lengths[rows, 0]), beam=beam, length_penalty=length_penalty
                )
            for row, hypotheses in zip(rows.tolist(), best, strict=True):
                found[row] = hypotheses
            if progress:
                progress(len(rows))
        self.model.train(training)
        return found

    def _limits(self, lengths: Tensor) -> Tensor:
        """Most tokens of a translation by the tokens of the source (B,): what no sentence should need."""
        limits = 2 * lengths + 20
        return limits.clamp(max=self.config.longest + 1) if self.config.positions == "learned" else limits


def load(run_dir: Path, device: Literal["auto", "cpu", "cuda", "mps"] = "auto", *, int8: bool = False) -> Translator:
    """Open a run directory, to compute in 8-bit integers if so wished.

    Raises UserError when its training is unfinished, its files are damaged, or 8 bits are asked of a GPU.
    """
    config = config_of(Config, run_dir)
    assets = Path(run_dir) / ASSETS
    vocabulary = Vocabulary(read_tokenizer(assets / SOURCE_TOKENS), read_tokenizer(assets / TARGET_TOKENS))
    model = network(config, *vocabulary.sizes)
    load_weights(model, run_dir)
    place = Device.pick(RunConfig(device=device, precision="fp32"))  # in bf16 the batch would decide a near tie
    if int8:
        if place.torch.type != "cpu":
            raise UserError(f"--int8 is for a CPU, not for {place.name}: leave it out")
        model.output = model.output or Int8Linear(model.target_embedding.weight, None)
        in_int8(model)
    return Translator(config, place.wrap(model).eval(), vocabulary, place)


SENTENCE_END = re.compile(r"[.!?…]['\")\]»“”]*(?=\s)|[。！？]['\")\]»“”」』）]*")
WORD_END = re.compile(r"\S(?=\s)")


def pieces(tokenizer: Tokenizer, sentence: str, longest: int) -> list[str]:
    """Halve a text of over ``longest`` tokens, and its halves, until each has at most so many, or is one character.

    The pieces join to the text, but for pieces of white space alone, which are left out.
    """
    if not sentence.strip():
        return []
    if len(sentence) == 1 or len(encode(tokenizer, [sentence])[0]) - 1 <= longest:  # the end is no part of it
        return [sentence]
    cut = _best_cut(sentence)
    return [*pieces(tokenizer, sentence[:cut], longest), *pieces(tokenizer, sentence[cut:], longest)]


def _best_cut(text: str) -> int:
    """The place next to the middle, but not near an end, after a sentence; else after a word; else the middle."""
    middle, edge = len(text) // 2, max(1, len(text) // 4)
    for kind in (SENTENCE_END, WORD_END):
        if ends := [found.end() for found in kind.finditer(text, edge, len(text) - edge)]:
            return min(ends, key=lambda end: abs(end - middle))
    return middle
