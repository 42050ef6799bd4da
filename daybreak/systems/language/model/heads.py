"""What stands on the encoder: the two tasks of pretraining, and the heads of the seven uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from daybreak.systems.language.model.bert import NORM_EPSILON, Bert, initialise
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.shape import Shape


class Pretraining(nn.Module):
    """Masked word pieces are guessed, and whether the second sentence followed the first (section 3.1)."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.bert = Bert(shape, dropout)
        self.transform = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, NORM_EPSILON)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        self.follows = nn.Linear(shape.hidden_size, 2)
        self.transform.apply(initialise)
        self.follows.apply(initialise)

    def forward(self, rows: Rows, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the masked places alone, (M, vocabulary), and of [does follow, does not], (B, 2).

        Args:
            rows: N word pieces.
            masked: (M,) which of the N are to be guessed. The output layer is most of the work: 15 % of the places
                are given logits, and not all.

        """
        hidden = self.bert(rows)
        return self.guess(hidden[masked]), self.follows(self.bert.pool(hidden, rows))

    def guess(self, hidden: Tensor) -> Tensor:
        """(M, D) -> (M, vocabulary)."""
        features = self.norm(gelu(self.transform(hidden)))
        return linear(features, self.bert.embeddings.tokens.weight, self.bias)
