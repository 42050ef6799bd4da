"""What a linear layer says of the pieces of a row, whatever stands beside it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from daybreak.systems.language.export import Table
from daybreak.systems.language.model.bag import BUCKETS, GAIN, Bag
from daybreak.systems.language.model.rows import Rows, rows_of

VOCABULARY = 50


def rows(*tokens: list[int]) -> Rows:
    return rows_of([np.array(each) for each in tokens], [np.zeros(len(each)) for each in tokens])


@pytest.fixture
def bag() -> Bag:
    """One that has learned something."""
    torch.manual_seed(0)
    bag = Bag(VOCABULARY, 3)
    nn.init.normal_(bag.pieces.weight)
    nn.init.normal_(bag.pairs.weight)
    return bag


def test_a_bag_begins_by_saying_nothing() -> None:
    assert not Bag(VOCABULARY, 3)(rows([1, 2, 3])).any()


@torch.no_grad()
def test_a_bag_is_the_sum_of_its_pieces_and_of_neighbours(bag: Bag) -> None:
    texts = [[1, 5, 7, 5], [2], [9, 9]]
    alone, pairs = bag.pieces.weight, bag.pairs.weight
    expected = [
        sum(alone[piece] for piece in text)
        + sum(pairs[(one * 8_191 + two * 131) % BUCKETS] for one, two in itertools.pairwise(text))
        for text in texts
    ]
    torch.testing.assert_close(bag(rows(*texts)), GAIN * torch.stack(expected))


@torch.no_grad()
def test_a_bag_does_not_see_the_padding_of_a_table(bag: Bag) -> None:
    texts = [[1, 5, 7, 5], [2], [9, 9]]
    tokens = torch.tensor([text + [0] * (4 - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (4 - len(text)) for text in texts])
    torch.testing.assert_close(bag(Table(tokens, torch.zeros_like(tokens), mask)), bag(rows(*texts)))


@torch.no_grad()
def test_a_bag_hears_the_order_of_words(bag: Bag) -> None:
    one, other = bag(rows([1, 5, 7], [1, 7, 5]))
    assert (one - other).abs().max() > 0.1
