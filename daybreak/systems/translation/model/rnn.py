"""The recurrent encoder-decoder: one vector for a sentence, or attention to all of its words.

Sutskever et al. 2014 and Cho et al. 2014 without attention, Bahdanau et al. 2015 and Luong et al. 2015 with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from daybreak.data.text import PAD
from daybreak.nn.dropout import Dropout
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.model.attention import Attention
from daybreak.systems.translation.model.network import Network

Hidden = tuple[Tensor, ...]  # of the cell: one of (layers, B, D), or two of them for an LSTM


@dataclass
class Memory:
    """An encoded sentence."""

    words: Tensor  # (B, S, D)
    keys: Tensor  # (B, S, D): what attention compares with
    mask: Tensor  # (B, S): True at words
    summary: Tensor  # (B, D): the sentence as one vector

    def keep(self, sentences: Tensor) -> Memory:
        """These sentences alone."""
        return Memory(*(tensor[sentences] for tensor in (self.words, self.keys, self.mask, self.summary)))


@dataclass
class Decoding:
    """What the decoder remembers between two words of B sentences with K hypotheses each."""

    memory: Memory
    hidden: Hidden  # (layers, B * K, D) each
    beam: int

    def follow(self, parents: Tensor) -> None:
        """Hypothesis k of sentence b goes on from ``parents[b, k]``."""
        first = torch.arange(len(parents), device=parents.device)[:, None] * self.beam
        rows = (first + parents).flatten()
        self.hidden = tuple(tensor[:, rows] for tensor in self.hidden)

    def keep(self, sentences: Tensor) -> None:
        """Forget all sentences but these."""
        self.memory = self.memory.keep(sentences)
        self.hidden = tuple(
            tensor.unflatten(1, (-1, self.beam))[:, sentences].flatten(1, 2).contiguous() for tensor in self.hidden
        )


class Recurrent(Network):
    """A bidirectional encoder, and a decoder whose context is the sentence's vector or what attention finds."""

    def __init__(self, config: Config, source_size: int, target_size: int) -> None:
        super().__init__(config, source_size, target_size)
        width, layers = config.hidden_size, config.num_layers
        cell = nn.LSTM if config.cell == "lstm" else nn.GRU
        between = config.dropout if layers > 1 else 0.0
        self.encoder = cell(width, width // 2, layers, batch_first=True, dropout=between, bidirectional=True)
        context = width if config.attention in ("none", "bahdanau") else 0  # Luong's comes after the cell
        self.decoder = cell(width + context, width, layers, batch_first=True, dropout=between)
        self.bridges = nn.ModuleList([nn.Linear(width, width) for _ in range(2 if config.cell == "lstm" else 1)])
        self.kind = config.attention
        self.attention = None if config.attention == "none" else Attention(config.attention, width)
        self.readout = nn.Linear(3 * width, width)
        self.dropout = Dropout(config.dropout)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Source (B, S) and target_in (B, T) -> features (B, T, D)."""
        features, _ = self.look(source, target_in)
        return features

    def look(self, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor | None]:
        """As :meth:`forward`, and where the decoder looked: (B, T, S), or None without attention."""
        memory, hidden = self.encode(source)
        words = self.dropout(self.target_embedding(target_in))
        if self.kind != "bahdanau":
            features, _, weights = self._decode(words, memory, hidden)
            return features, weights
        features, looks = [], []
        for word in words.split(1, 1):  # what is looked at depends on the state before
            feature, hidden, look = self._decode(word, memory, hidden)
            features.append(feature)
            looks.append(look)
        return torch.cat(features, 1), torch.cat(looks, 1)

    def encode(self, source: Tensor) -> tuple[Memory, Hidden]:
        """Source (B, S) -> its memory, and the decoder's first state."""
        mask = source != PAD
        words = self.dropout(self.source_embedding(source))
        packed = pack_padded_sequence(words, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        packed, last = self.encoder(packed)
        states, _ = pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])  # (B, S, D)
        last = last if isinstance(last, tuple) else (last,)
        both = [tensor.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2) for tensor in last]  # (layers, B, D)
        hidden = tuple(torch.tanh(bridge(tensor)) for bridge, tensor in zip(self.bridges, both, strict=True))
        keys = self.attention.keys(states) if self.attention else states
        return Memory(states, keys, mask, both[0][-1]), hidden

    def _decode(self, words: Tensor, memory: Memory, hidden: Hidden) -> tuple[Tensor, Hidden, Tensor | None]:
        """Features, state and weights after embedded words (B, N, D).

        They are N words one after the other where ``hidden`` has B rows; where it has B * N, one of each hypothesis.
        """
        weights = context = None
        if self.kind == "none":
            context = memory.summary[:, None].expand(-1, words.shape[1], -1)
        elif self.kind == "bahdanau":
            context, weights = self._look(hidden[0][-1].view(len(words), -1, words.shape[2]), memory)
        inputs = words if context is None else torch.cat([words, context], 2)
        rows = inputs.reshape(hidden[0].shape[1], -1, inputs.shape[2])
        states, last = self.decoder(rows, hidden if isinstance(self.decoder, nn.LSTM) else hidden[0])
        states = states.reshape(words.shape)
        if context is None:
            context, weights = self._look(states, memory)
        features = torch.tanh(self.readout(torch.cat([states, context, words], 2)))
        return self.dropout(features), last if isinstance(last, tuple) else (last,), weights

    def _look(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        assert self.attention is not None
        return self.attention(query, memory.keys, memory.words, memory.mask)

    def start(self, source: Tensor, beam: int) -> Decoding:
        """Encode source (B, S)."""
        memory, hidden = self.encode(source)
        return Decoding(memory, tuple(tensor.repeat_interleave(beam, 1) for tensor in hidden), beam)

    def step(self, tokens: Tensor, state: Decoding) -> Tensor:
        """The last token of each hypothesis (B, K) -> features (B, K, D) of the next."""
        features, state.hidden, _ = self._decode(self.target_embedding(tokens), state.memory, state.hidden)
        return features
