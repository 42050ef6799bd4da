"""How a decoder looks back: additive and multiplicative scores, and the Transformer's heads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from daybreak.nn.attention import attention


class Attention(nn.Module):
    """One look of a recurrent decoder at the encoder's states.

    ``bahdanau`` and ``concat``: v tanh(W q + U k) (Bahdanau et al. 2015, appendix A; Luong et al. 2015, section 3.1);
    ``general``: q W k; ``dot``: q k (Luong).
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.of_query = nn.Linear(width, width, bias=kind != "general") if kind != "dot" else nn.Identity()
        if kind in ("bahdanau", "concat"):
            self.of_key = nn.Linear(width, width, bias=False)
            self.score = nn.Parameter(torch.empty(width).uniform_(-1, 1) / math.sqrt(width))

    def keys(self, memory: Tensor) -> Tensor:
        """Encoder states (B, S, D) -> what queries are compared with (B, S, D); once a sentence."""
        return self.of_key(memory) if self.kind in ("bahdanau", "concat") else memory

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder states (B, T, D) -> contexts (B, T, D) and weights (B, T, S); ``mask`` (B, S) is True at words."""
        query = self.of_query(query)
        if self.kind in ("bahdanau", "concat"):
            scores = torch.tanh(query[:, :, None] + keys[:, None]) @ self.score  # (B, T, S)
        else:
            scores = query @ keys.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        return weights @ memory, weights


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in several heads (Vaswani et al. 2017, section 3.2).

    The three input projections are one matrix, in the order queries, keys, values, as in torch.nn.MultiheadAttention.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Queries of x (B, T, D) look at memory (B, S, D), or x at itself, where mask (B, 1, 1 or T, S) is True."""
        if x is memory:
            query, key, value = self._split(self.project(x), 3)
        else:
            query, (key, value) = self.queries(x), self.keys_values(memory)
        return self.attend(query, key, value, mask, causal)

    def queries(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)."""
        return self._split(self._projected(x, slice(0, x.shape[-1])), 1)[0]

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) -> keys and values, (B, H, S, D / H) each."""
        key, value = self._split(self._projected(memory, slice(memory.shape[-1], None)), 2)
        return key, value

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """Heads (B, H, T, d) that look at (B, H, S, d) -> (B, T, D)."""
        p = self.dropout if self.training else 0.0
        looked = attention(query, key, value, mask, causal=causal, p=p)
        return self.out(looked.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, memory: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Where :meth:`forward` looks with the same arguments: (B, H, T, S), each row of sum 1."""
        query, (key, _) = self.queries(x), self.keys_values(memory)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        if causal:
            scores = scores + torch.full(scores.shape[2:], -torch.inf, device=x.device).triu(1)
        return scores.softmax(-1)

    def _projected(self, x: Tensor, part: slice) -> Tensor:
        """The outputs ``part`` of the three joint projections."""
        if isinstance(self.project, nn.Linear):
            return linear(x, self.project.weight[part], self.project.bias[part])
        return self.project(x)[..., part]  # in 8 bits the columns lie together

    def _split(self, joint: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, T, parts * D) -> as many of (B, H, T, d)."""
        return joint.unflatten(2, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
