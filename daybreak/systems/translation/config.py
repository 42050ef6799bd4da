"""What a translation run needs to know, and its presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets
from daybreak.engine.errors import UserError


@dataclass(kw_only=True)
class Config(RunConfig):
    """Train a translator from sentences and their translations: a network, and how it learns."""

    system: ClassVar[str] = "translation"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_loss", "min")

    limits: ClassVar[dict[str, tuple[float, float]]] = RunConfig.limits | {
        "pairs": (10, math.inf),
        "held_out": (1, math.inf),
        "vocab_size": (300, 100_000),
        "longest": (8, 2_000),
        "hidden_size": (8, 4_096),
        "num_layers": (1, 24),
        "num_heads": (1, 64),
        "ff_size": (8, 16_384),
        "dropout": (0, 0.9),
        "attention_dropout": (0, 0.9),
        "tokens": (64, math.inf),
        "strata": (1, 64),
        "lr": (0, 1),
        "warmup_steps": (0, math.inf),
        "label_smoothing": (0, 0.9),
        "weight_decay": (0, 10),
        "clip": (0, math.inf),
        "average": (1, 1_000),
        "eval_every": (1, math.inf),
    }

    data: Literal["numbers", "multi30k", "files"] = "numbers"
    """Pairs of sentences: numbers in words, Multi30k under DAYBREAK_DATA, or two files of your own."""
    source: str = "de"
    """Language to translate from: de or en for numbers and multi30k; for files, what you call it."""
    target: str = "en"
    """Language to translate into."""
    source_file: str = ""
    """With --data files: a sentence a line, in the language to translate from."""
    target_file: str = ""
    """With --data files: its translation in the same line."""
    pairs: int = 6_000
    """With --data numbers: how many numbers to train on."""
    held_out: int = 300
    """With --data numbers or files: pairs held out for validation, and as many again for testing."""
    vocab_size: int = 400
    """Subword tokens to learn, for both languages together or for each."""
    shared_vocab: bool = True
    """One vocabulary, and one table of embeddings, for both languages."""
    longest: int = 250
    """Tokens of the longest sentence to train on; pairs with a longer one are left out."""

    model: Literal["rnn", "transformer"] = "transformer"
    """The network: recurrent encoder and decoder, or the Transformer."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Of the rnn: its cell."""
    attention: Literal["none", "bahdanau", "dot", "general", "concat"] = "bahdanau"
    """Of the rnn: how the decoder looks back (the last three are Luong's); none squeezes the sentence into a vector."""
    norm: Literal["pre", "post"] = "pre"
    """Of the Transformer: layer norm before each part of a layer, or after it as in the paper."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """Of the Transformer: how it is told the place of a token."""
    hidden_size: int = 128
    """Width of the network."""
    num_layers: int = 2
    """Layers of the encoder, and of the decoder."""
    num_heads: int = 4
    """Of the Transformer: attention heads a layer."""
    ff_size: int = 256
    """Of the Transformer: inner width of the feed-forward parts."""
    tie: bool = True
    """The output layer is the table of target embeddings."""
    dropout: float = 0.1
    """Share of activations set to zero while training."""
    attention_dropout: float = 0.0
    """Of the Transformer: share of attention weights set to zero while training."""

    tokens: int = 4_096
    """Tokens of a step, source and target, padding included."""
    strata: int = 1
    """Batches that a step consists of, from short sentences to long ones: one of a single length teaches less."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW; or Muon for matrices, and that for the rest."""
    lr: float = 2e-3
    """Peak learning rate."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises."""
    schedule: Literal["inverse-sqrt", "cosine"] = "cosine"
    """Fall of the learning rate after its peak: with the root of the steps, as in the paper, or to zero as a cosine."""
    label_smoothing: float = 0.1
    """Probability mass moved from the true token to all tokens."""
    weight_decay: float = 0.0
    """Decay of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    average: int = 1
    """Average the weights of this many last validations."""
    eval_every: int = 100
    """Steps between two validations."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        if self.source == self.target:
            raise UserError(f"--source and --target are both {self.source!r}: give two languages")
        if self.data == "files" and not (self.source_file and self.target_file):
            raise UserError("--data files needs --source-file and --target-file, a sentence a line in each")
        if self.data != "files" and {self.source, self.target} != {"de", "en"}:
            raise UserError(f"--data {self.data} is German and English: give --source de --target en, or the reverse")
        if self.model == "transformer" and self.hidden_size % (2 * self.num_heads):
            raise UserError(
                f"--hidden-size {self.hidden_size} is no multiple of twice --num-heads {self.num_heads}: "
                "give one that is"
            )
        if self.tokens < 2 * self.longest * self.strata:
            raise UserError(
                f"--tokens {self.tokens} in {self.strata} strata cannot hold pairs of --longest {self.longest} tokens "
                f"each: give at least {2 * self.longest * self.strata}"
            )


@preset
def tiny() -> Config:
    """German numbers in words into English, by a small Transformer: seconds on a laptop, no network needed."""
    return Config(
        longest=60, hidden_size=96, ff_size=192, tokens=768, lr=3e-3,
        steps=300, eval_every=100, save_every=100, log_every=25,
    )  # fmt: skip


@preset
def numbers() -> Config:
    """The same for two minutes: nearly all numbers that it has never seen are right."""
    return Config(pairs=12_000, longest=60, tokens=2_048, steps=1_000, eval_every=100)


@preset
def rnn() -> Config:
    """Multi30k by a recurrent network; --attention none squeezes each sentence into one vector."""
    return Config(
        data="multi30k", model="rnn", attention="general", vocab_size=6_000, hidden_size=512, num_layers=1,
        dropout=0.3, strata=4, lr=8e-3, warmup_steps=100, steps=2_340, eval_every=234, average=3,
    )  # fmt: skip


@preset
def transformer() -> Config:
    """Multi30k by a Transformer."""
    return Config(
        data="multi30k", vocab_size=6_000, hidden_size=256, num_layers=3, num_heads=4, ff_size=1_024, dropout=0.2,
        strata=4, optimizer="muon", lr=4e-3, warmup_steps=100, steps=2_106, eval_every=234, average=3,
    )  # fmt: skip


PRESETS = presets(tiny, numbers, rnn, transformer)
