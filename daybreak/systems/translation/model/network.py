"""What every translator is: something that encodes a sentence and then yields a word at a time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.functional import linear

from daybreak.systems.translation.config import Config


class State(Protocol):
    """What decoding remembers of B sentences with K hypotheses each."""

    def follow(self, parents: Tensor) -> None:
        """Hypothesis k of sentence b goes on from ``parents[b, k]``: int64 (B, K)."""
        ...

    def keep(self, sentences: Tensor) -> None:
        """Forget all sentences but these: int64 (B',)."""
        ...


class Network(nn.Module):
    """Embeddings of both languages, and the output layer; subclasses add encoder and decoder."""

    def __init__(self, config: Config, source_size: int, target_size: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.target_embedding = nn.Embedding(target_size, width)
        self.source_embedding = self.target_embedding if config.shared_vocab else nn.Embedding(source_size, width)
        self.output: nn.Module | None = None if config.tie else nn.Linear(width, target_size, bias=False)
        for table in (self.source_embedding, self.target_embedding):
            nn.init.normal_(table.weight, std=width**-0.5)

    def logits(self, features: Tensor) -> Tensor:
        """(..., D) -> (..., V) over the target vocabulary."""
        return linear(features, self.target_embedding.weight) if self.output is None else self.output(features)

    @abstractmethod
    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Source (B, S) and target_in (B, T), filled up with PAD -> features (B, T, D) of each next word."""

    @abstractmethod
    def start(self, source: Tensor, beam: int) -> State:
        """Encode source (B, S), to decode ``beam`` hypotheses of each sentence."""

    @abstractmethod
    def step(self, tokens: Tensor, state: Any) -> Tensor:
        """The last token of each hypothesis (B, K) -> features (B, K, D) of the next; ``state`` moves on."""
