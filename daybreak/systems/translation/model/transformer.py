"""The Transformer (Vaswani et al. 2017), with layer norm after each part as in the paper, or before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from daybreak.data.text import PAD
from daybreak.nn.dropout import Dropout
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.model.attention import MultiHeadAttention
from daybreak.systems.translation.model.network import Network

KeysValues = tuple[Tensor, Tensor]  # (B, H, length, d) each


class FeedForward(nn.Sequential):
    """Two matrices with a ReLU between (section 3.3)."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        layers = nn.Linear(width, inner), nn.Linear(inner, width)
        super().__init__(layers[0], nn.ReLU(), Dropout(dropout), layers[1])
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class Residual(nn.Module):
    """x + part(norm(x)), or norm(x + part(x)) as in the paper."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dropout = Dropout(config.dropout)
        self.before = config.norm == "pre"

    def forward(self, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply ``part`` beside x (B, T, D)."""
        if self.before:
            return self.dropout.beside(x, part(self.norm(x)))
        return self.norm(self.dropout.beside(x, part(x)))


class EncoderLayer(nn.Module):
    """Words look at each other, then each is thought over."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config.hidden_size, config.num_heads, config.attention_dropout)
        self.feed_forward = FeedForward(config.hidden_size, config.ff_size, config.dropout)
        self.residuals = nn.ModuleList([Residual(config) for _ in range(2)])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, S, D); mask (B, 1, 1, S) is True at words."""
        x = self.residuals[0](x, lambda x: self.attention(x, x, mask))
        return self.residuals[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Words look at the earlier ones, then at the source, then each is thought over."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config.hidden_size, config.num_heads, config.attention_dropout)
        self.cross = MultiHeadAttention(config.hidden_size, config.num_heads, config.attention_dropout)
        self.feed_forward = FeedForward(config.hidden_size, config.ff_size, config.dropout)
        self.residuals = nn.ModuleList([Residual(config) for _ in range(3)])

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) -> (B, T, D), looking at memory (B, S, D) where mask (B, 1, 1, S) is True."""
        x = self.residuals[0](x, lambda x: self.attention(x, x, causal=True))
        x = self.residuals[1](x, lambda x: self.cross(x, memory, mask))
        return self.residuals[2](x, self.feed_forward)

    def step(self, x: Tensor, cache: Cache, seen: Tensor, memory: KeysValues, mask: Tensor | None) -> Tensor:
        """One word of each of K hypotheses, (B, K, D); earlier ones are in the cache, where ``seen`` is True."""
        x = self.residuals[0](x, lambda x: self._look_back(x, cache, seen))
        x = self.residuals[1](x, lambda x: self.cross.attend(self.cross.queries(x), *memory, mask))
        return self.residuals[2](x, self.feed_forward)

    def _look_back(self, x: Tensor, cache: Cache, seen: Tensor) -> Tensor:
        query, key, value = self.attention._split(self.attention.project(x), 3)
        return self.attention.attend(query, *cache.add(key, value), seen)


class Cache:
    """Keys and values of all words of all hypotheses of B sentences, in the order in which they were made.

    They never move: which words belong to a hypothesis is the business of a mask (:class:`Decoding`). So a step of a
    beam copies no keys, however often hypotheses are dropped for others.
    """

    def __init__(self) -> None:
        self.store: Tensor | None = None  # (2, B, H, room, d): keys and values
        self.length = 0

    def add(self, key: Tensor, value: Tensor) -> KeysValues:
        """Append (B, H, K, d) each; returns all so far, (B, H, length, d) each."""
        new = self.length + key.shape[2]
        if self.store is None or new > self.store.shape[3]:
            room = key.new_empty(2, *key.shape[:2], max(2 * new, 64), key.shape[3])
            if self.store is not None:
                room[:, :, :, : self.length] = self.store[:, :, :, : self.length]
            self.store = room
        self.store[0, :, :, self.length : new] = key
        self.store[1, :, :, self.length : new] = value
        self.length = new
        return self.store[0, :, :, :new], self.store[1, :, :, :new]

    def keep(self, sentences: Tensor) -> None:
        """Forget all sentences but these (B',)."""
        self.store = None if self.store is None else self.store[:, sentences]


@dataclass
class Decoding:
    """What the Transformer remembers between two words of B sentences with K hypotheses each."""

    memory: list[KeysValues]  # a layer: of the source, (B, H, S, d) each
    mask: Tensor | None  # (B, 1, 1, S): True at words of the source
    caches: list[Cache]  # a layer
    seen: Tensor  # (B, 1, K, words so far): True at a hypothesis's own words
    place: int = 0

    def follow(self, parents: Tensor) -> None:
        """Hypothesis k of sentence b goes on from ``parents[b, k]``."""
        self.seen = self.seen.gather(2, parents[:, None, :, None].expand(-1, -1, -1, self.seen.shape[3]))

    def keep(self, sentences: Tensor) -> None:
        """Forget all sentences but these."""
        self.memory = [(key[sentences], value[sentences]) for key, value in self.memory]
        self.mask = None if self.mask is None else self.mask[sentences]
        self.seen = self.seen[sentences]
        for cache in self.caches:
            cache.keep(sentences)


class Transformer(Network):
    """Encoder and decoder of equal depth."""

    def __init__(self, config: Config, source_size: int, target_size: int) -> None:
        super().__init__(config, source_size, target_size)
        width = config.hidden_size
        self.encoder: Any = nn.ModuleList([EncoderLayer(config) for _ in range(config.num_layers)])
        self.decoder: Any = nn.ModuleList([DecoderLayer(config) for _ in range(config.num_layers)])
        # a sum of normed parts is not normed itself
        self.encoder_norm, self.decoder_norm = (
            nn.LayerNorm(width) if config.norm == "pre" else nn.Identity() for _ in range(2)
        )
        self.dropout = Dropout(config.dropout)
        self.learned = nn.Embedding(config.longest + 1, width) if config.positions == "learned" else None
        if self.learned:
            nn.init.normal_(self.learned.weight, std=width**-0.5)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Source (B, S) and target_in (B, T) -> features (B, T, D)."""
        memory, mask = self.encode(source)
        x = self.dropout(self.embed(self.target_embedding, target_in))
        for layer in self.decoder:
            x = layer(x, memory, mask)
        return self.decoder_norm(x)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """Source (B, S) -> memory (B, S, D), and a mask (B, 1, 1, S), or None where no word is padding."""
        words = source != PAD
        mask = None if bool(words.all()) else words[:, None, None]
        x = self.dropout(self.embed(self.source_embedding, source))
        for layer in self.encoder:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def embed(self, table: nn.Embedding, tokens: Tensor, first: int = 0) -> Tensor:
        """Tokens (B, T) at places ``first``, ``first + 1``, ... -> (B, T, D) (sections 3.4 and 3.5)."""
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        width = table.weight.shape[1]
        place = self.learned(places) if self.learned else sinusoids(places, width)
        return table(tokens) * math.sqrt(width) + place

    def start(self, source: Tensor, beam: int) -> Decoding:
        """Encode source (B, S)."""
        memory, mask = self.encode(source)
        seen = torch.empty(len(source), 1, beam, 0, dtype=torch.bool, device=source.device)
        keys_values = [layer.cross.keys_values(memory) for layer in self.decoder]
        return Decoding(keys_values, mask, [Cache() for _ in self.decoder], seen)

    def step(self, tokens: Tensor, state: Decoding) -> Tensor:
        """The last token of each hypothesis (B, K) -> features (B, K, D) of the next."""
        beam = tokens.shape[1]
        itself = torch.eye(beam, dtype=torch.bool, device=tokens.device).expand(len(tokens), 1, -1, -1)
        state.seen = torch.cat([state.seen, itself], 3)
        x = self.embed(self.target_embedding, tokens.flatten()[:, None], state.place).view(*tokens.shape, -1)
        state.place += 1
        for layer, cache, memory in zip(self.decoder, state.caches, state.memory, strict=True):
            x = layer.step(x, cache, state.seen, memory, state.mask)
        return self.decoder_norm(x)


def sinusoids(places: Tensor, width: int) -> Tensor:
    """(T,) -> (T, width): sines and cosines of wavelengths from 2 pi to 20,000 pi (section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(10_000.0) / width))
    angles = places[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
