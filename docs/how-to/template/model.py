"""The network."""

from __future__ import annotations

from torch import Tensor, nn


class Curve(nn.Module):
    """A function of one variable, as a perceptron with two hidden layers."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(1, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1) -> (B, 1)."""
        return self.layers(x)
