"""Heads that begin by looking beside."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.offsets import OFFSETS, turn
from daybreak.systems.language.shape import Shape, shape_of

LENGTH = 128


def weights(bert: Bert) -> Tensor:
    """(H, T, T) of the first layer, for random words."""
    embeddings = bert.embeddings
    words = embeddings.tokens.weight[torch.randint(bert.shape.vocabulary, (LENGTH,))]
    x = embeddings.norm(words + embeddings.positions.weight[:LENGTH])
    query, key, _ = bert.layers[0].attention.project(x).unflatten(-1, (3, bert.shape.num_heads, -1)).permute(1, 2, 0, 3)
    return (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)


@pytest.mark.parametrize("size", ["tiny", "mini", "small"])
@torch.no_grad()
def test_heads_look_beside(size: str) -> None:
    torch.manual_seed(0)
    bert = Bert(shape_of(size, 500))  # pyright: ignore[reportArgumentType]
    for head, offset in enumerate(OFFSETS[0][: bert.shape.num_heads]):
        at = torch.arange(max(0, -offset), LENGTH - max(0, offset))
        seen = weights(bert)[head, at]
        assert (seen.argmax(-1) == at + offset).float().mean() > 0.6, offset
        assert seen[torch.arange(len(at)), at + offset].mean() > 0.5


@torch.no_grad()
def test_the_other_heads_begin_as_berts_do() -> None:
    bert = Bert(shape_of("base", 500))
    queries, keys, values = bert.layers[0].attention.project.weight.unflatten(0, (3, 12, -1))
    for weight in (
        queries[4:],
        keys[4:],
        values,
        bert.layers[2].attention.project.weight,
        bert.embeddings.tokens.weight,
    ):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_turn_is_a_step_along_the_waves() -> None:
    speeds, at = torch.tensor([2.0, 0.3]), 1.7
    here, there = (torch.cat([(t * speeds).sin(), (t * speeds).cos()]) for t in (at, at + 4))
    torch.testing.assert_close(turn(4 * speeds) @ here, there)


def test_heads_of_an_odd_width_will_do() -> None:
    assert Bert(Shape(50, 21, 3, 3, 40)).embeddings.positions.weight.isfinite().all()
