"""BERT's encoder (Devlin et al. 2018, section 3): a Transformer that looks both ways, over rows without padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from daybreak.nn.attention import attention
from daybreak.nn.dropout import Dropout
from daybreak.systems.language.model.offsets import look_beside
from daybreak.systems.language.model.rows import Rows
from daybreak.systems.language.shape import Shape

NORM_EPSILON = 1e-12


class Embeddings(nn.Module):
    """A word piece, its place in the row and its sentence, added up."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.hidden_size)
        self.positions = nn.Embedding(shape.positions, shape.hidden_size)
        self.segments = nn.Embedding(shape.segments, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, NORM_EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, rows: Rows) -> Tensor:
        """(N, D)."""
        places = self.positions(rows.positions) + self.segments(rows.segments)
        return self.dropout(self.norm(self.tokens(rows.tokens) + places))


class Attention(nn.Module):
    """Every word piece looks at all those of its row."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.num_heads
        self.project = nn.Linear(shape.hidden_size, 3 * shape.hidden_size)  # queries, keys and values
        self.out = nn.Linear(shape.hidden_size, shape.hidden_size)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(N, D) -> (N, D)."""
        projected = self.project(x).unflatten(-1, (3, self.heads, -1))  # (N, 3, H, d)
        attend = attend_varlen if can_varlen(projected) else attend_padded
        return self.out(attend(projected, rows).flatten(-2))


def attend_padded(projected: Tensor, rows: Rows) -> Tensor:
    """Attention within rows, in a padded table: (N, 3, H, d) -> (N, H, d). Only this step sees padding."""
    query, key, value = rows.table(projected).permute(2, 0, 3, 1, 4)  # (B, H, T, d)
    mask = rows.mask()
    seen = attention(query, key, value, mask[:, None, None] if mask is not None else None)
    return rows.flat(seen.transpose(1, 2))


def attend_varlen(projected: Tensor, rows: Rows) -> Tensor:
    """The same on a GPU, by a kernel that knows where rows begin."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = projected.unbind(1)
    return varlen_attn(query, key, value, rows.starts, rows.starts, rows.longest, rows.longest)  # pyright: ignore[reportReturnType]


def can_varlen(projected: Tensor) -> bool:
    """Whether the GPU's kernel takes these numbers: it is made for 16 bits."""
    return projected.is_cuda and projected.dtype in (torch.bfloat16, torch.float16)


class Layer(nn.Module):
    """Attention, then two matrices with a GELU between; each added to its input and normalised."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.attention_norm = nn.LayerNorm(shape.hidden_size, NORM_EPSILON)
        self.inner = nn.Linear(shape.hidden_size, shape.inner_size)
        self.outer = nn.Linear(shape.inner_size, shape.hidden_size)
        self.norm = nn.LayerNorm(shape.hidden_size, NORM_EPSILON)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(N, D) -> (N, D)."""
        x = self.attention_norm(self.dropout.beside(x, self.attention(x, rows)))
        return self.norm(self.dropout.beside(x, self.outer(gelu(self.inner(x)))))


class Bert(nn.Module):
    """The encoder and its pooler."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = Embeddings(shape, dropout)
        layers = [Layer(shape, dropout) for _ in range(shape.num_layers)]
        self.layers = nn.ModuleList(layers)
        self.pooler = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.apply(initialise)
        look_beside(self.embeddings.positions, [layer.attention.project for layer in layers], shape.num_heads)

    def forward(self, rows: Rows) -> Tensor:
        """Last hidden states (N, D)."""
        return self.hidden_states(rows)[-1]

    def hidden_states(self, rows: Rows) -> list[Tensor]:
        """(N, D) after the embeddings, and after each layer."""
        states = [self.embeddings(rows)]
        for layer in self.layers:
            states.append(layer(states[-1], rows))
        return states

    def pool(self, hidden: Tensor, rows: Rows) -> Tensor:
        """(N, D) -> (B, D): what stands for a row is made of its first word piece, [CLS]."""
        return torch.tanh(self.pooler(hidden[rows.starts[:-1]]))


def initialise(module: nn.Module) -> None:
    """BERT's first weights: normal with 0.02, biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
