"""Words compared with those of the other sentence, and vectors that begin whitened."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from daybreak.systems.language.model.compare import Compare
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.model.whiten import NORM, centre, whiten

WIDTH = 16


def batch(*sentences: tuple[int, int]) -> Rows:
    """Rows of a first and a second sentence of these lengths."""
    segments = [np.arange(one + two) >= one for one, two in sentences]
    return rows_of([np.arange(len(each)) for each in segments], segments)


@torch.no_grad()
def test_a_comparison_does_not_depend_on_the_other_rows() -> None:
    torch.manual_seed(0)
    compare, lengths = Compare(WIDTH), [(3, 2), (1, 4), (4, 0), (2, 2), (1, 0)]
    states = torch.randn(sum(map(sum, lengths)), WIDTH)
    together = compare(states, batch(*lengths))
    assert together.shape == (5, 2 * WIDTH) and together.isfinite().all()
    alone = [compare(of, batch(each)) for of, each in zip(states.split([*map(sum, lengths)]), lengths, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)
    assert not together[2, WIDTH:].any() and together[2, :WIDTH].any()  # a row without a second sentence


@torch.no_grad()
def test_a_comparison_sees_the_other_sentences_words_in_any_order_and_none_of_its_own() -> None:
    torch.manual_seed(0)
    compare, rows = Compare(WIDTH), batch((3, 3))
    states = torch.randn(6, WIDTH)
    same = compare(states, rows)
    torch.testing.assert_close(compare(states[[2, 0, 1, 5, 3, 4]], rows), same, rtol=0, atol=1e-5)
    swapped = compare(states[[3, 4, 5, 0, 1, 2]], rows)
    torch.testing.assert_close(swapped, same.roll(WIDTH, 1), rtol=0, atol=1e-5)
    assert (compare(states[[0, 1, 2, 0, 1, 2]], rows) - same).abs().max() > 0.01


@torch.no_grad()
def test_whitened_vectors_have_no_mean_and_one_spread_in_all_directions() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(4_000, WIDTH) @ torch.randn(WIDTH, WIDTH) + 10
    whiten(layer := nn.Linear(WIDTH, WIDTH), vectors)
    found = layer(vectors)
    assert found.mean(0).abs().max() < 1e-2
    covariance = found.T @ found / len(found) * WIDTH / NORM**2
    off = covariance - covariance.diag().diag()
    assert off.abs().max() < 1e-2 and covariance.diag().min() > 0.5 and covariance.diag().max() < 1.01


@torch.no_grad()
def test_centred_vectors_have_no_mean_and_are_as_alike_as_they_were_about_it() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(4_000, WIDTH) @ torch.randn(WIDTH, WIDTH) + 10
    centre(layer := nn.Linear(WIDTH, WIDTH), vectors)
    found = layer(vectors)
    assert found.mean(0).abs().max() < 1e-3 and found.norm(dim=1).mean().item() == pytest.approx(NORM, rel=1e-3)
    expected = torch.cosine_similarity((vectors - vectors.mean(0))[:9], (vectors - vectors.mean(0))[9:18])
    torch.testing.assert_close(torch.cosine_similarity(found[:9], found[9:18]), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("begin", [whiten, centre])
@pytest.mark.parametrize("count", [1, 3])
def test_few_vectors_are_taken_without_numbers_beyond_all_bounds(count: int, begin: Callable[..., None]) -> None:
    begin(layer := nn.Linear(WIDTH, WIDTH), torch.ones(count, WIDTH))
    assert layer.weight.isfinite().all() and layer.bias.isfinite().all()
    assert layer(torch.ones(WIDTH)).abs().max() < 1e-3
