"""Rows without padding: tables and back, and that a row's numbers are its own, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.systems.language.model.bert import Bert, attend_padded, attend_varlen
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.model.pool import mean
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.shape import Shape

SHAPE = Shape(vocabulary=40, hidden_size=24, num_layers=2, num_heads=3, inner_size=32, positions=20)
LENGTHS = (5, 20, 1, 9, 5)

lengths_of_rows = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def drawn(lengths: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Word pieces and segments of random rows."""
    random = np.random.default_rng(0)
    return [(random.integers(0, SHAPE.vocabulary, n).astype(np.int32), np.arange(n) > n // 2) for n in lengths]


def batch(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> Rows:
    tokens, segments = zip(*rows, strict=True)
    return rows_of(tokens, segments)


def bert() -> Bert:
    torch.manual_seed(0)
    net = Bert(SHAPE).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return net


@given(lengths_of_rows)
@settings(deadline=None)
def test_rows_lie_one_after_the_other(lengths: list[int]) -> None:
    made = drawn(lengths)
    rows = batch(made)
    assert len(rows) == len(lengths) and rows.longest == max(lengths)
    assert rows.starts.tolist() == np.cumsum([0, *lengths]).tolist()
    for number, (tokens, segments) in enumerate(made):
        place = slice(int(rows.starts[number]), int(rows.starts[number + 1]))
        assert rows.tokens[place].tolist() == tokens.tolist()
        assert rows.segments[place].tolist() == segments.astype(int).tolist()
        assert rows.positions[place].tolist() == list(range(lengths[number]))
    assert {each.dtype for each in (rows.tokens, rows.segments, rows.positions, rows.slots)} == {torch.int64}


@given(lengths_of_rows, st.sampled_from([(), (3,), (2, 3)]))
@settings(deadline=None)
def test_a_table_and_back_is_what_it_was(lengths: list[int], inner: tuple[int, ...]) -> None:
    rows = batch(drawn(lengths))
    values = torch.arange(1.0, 1 + sum(lengths) * int(np.prod(inner))).reshape(-1, *inner)
    table = rows.table(values)
    assert table.shape == (len(lengths), max(lengths), *inner)
    assert torch.equal(rows.flat(table), values)
    for row, length, expected in zip(table, lengths, values.split(lengths), strict=True):
        assert torch.equal(row[:length], expected) and not row[length:].any()


@given(lengths_of_rows)
@settings(deadline=None)
def test_the_mask_is_true_at_word_pieces_and_even_rows_have_none(lengths: list[int]) -> None:
    mask = batch(drawn(lengths)).mask()
    if len(set(lengths)) == 1:
        assert mask is None
    else:
        assert mask is not None
        assert mask.tolist() == [[place < length for place in range(max(lengths))] for length in lengths]


@torch.no_grad()
def test_a_row_alone_among_others_and_in_any_order_is_the_same() -> None:
    net, made = bert(), drawn(LENGTHS)
    together = batch(made)
    expected = [state.split(LENGTHS) for state in net.hidden_states(together)]
    for number, row in enumerate(made):
        for state, of_rows in zip(net.hidden_states(batch([row])), expected, strict=True):
            torch.testing.assert_close(state, of_rows[number], rtol=0, atol=1e-5)
    order = [3, 0, 4, 2, 1]
    shuffled = batch([made[i] for i in order])
    hidden = net(shuffled)
    for number, state in zip(order, hidden.split([LENGTHS[i] for i in order]), strict=True):
        torch.testing.assert_close(state, expected[-1][number], rtol=0, atol=1e-5)
    pooled = net.pool(net(together), together)
    torch.testing.assert_close(net.pool(hidden, shuffled), pooled[order], rtol=0, atol=1e-5)


def test_a_rows_gradients_are_its_own_too() -> None:
    """What stands in the table's padding reaches no weight."""
    net, made = bert(), drawn(LENGTHS)
    weights = dict(net.named_parameters())

    def gradients(rows: Rows) -> list[torch.Tensor]:
        return list(torch.autograd.grad(net.pool(net(rows), rows).square().sum(), list(weights.values())))

    together = gradients(batch(made))
    alone = [gradients(batch([row])) for row in made]
    for name, whole, *parts in zip(weights, together, *alone, strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).sum(0), rtol=1e-4, atol=1e-4, msg=name)


@torch.no_grad()
def test_every_word_piece_looks_at_all_of_its_row_and_at_no_other() -> None:
    net, made = bert(), drawn(LENGTHS)
    before = net(batch(made)).split(LENGTHS)
    tokens, segments = made[3]
    made[3] = np.append(tokens[:-1], (tokens[-1] + 1) % SHAPE.vocabulary), segments
    after = net(batch(made)).split(LENGTHS)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        moved = (old - new).abs().amax(1)
        assert (moved > 1e-3).all() if number == 3 else (moved < 1e-5).all()


@torch.no_grad()
def test_segments_and_places_change_what_a_word_piece_means() -> None:
    net, ((tokens, segments),) = bert(), drawn([9])
    said = net(batch([(tokens, segments)]))
    assert (said - net(batch([(tokens, ~segments)]))).abs().max() > 0.01
    flipped = net(batch([(tokens[::-1].copy(), segments)])).flip(0)
    assert (said - flipped).abs().max() > 0.01


@torch.no_grad()
def test_a_rows_vector_is_the_mean_of_its_word_pieces() -> None:
    made = drawn(LENGTHS)
    hidden = torch.randn(sum(LENGTHS), 6)
    expected = torch.stack([row.mean(0) for row in hidden.split(LENGTHS)])
    torch.testing.assert_close(mean(hidden, batch(made)), expected)
    of_bf16 = mean(hidden.bfloat16(), batch(made))
    assert of_bf16.dtype == torch.float32
    torch.testing.assert_close(of_bf16, expected, rtol=0, atol=0.02)


@torch.no_grad()
def test_only_the_masked_places_are_guessed() -> None:
    torch.manual_seed(0)
    net, rows = Pretraining(SHAPE).eval(), batch(drawn(LENGTHS))
    all_places, some = torch.arange(sum(LENGTHS)), torch.tensor([30, 2, 2])
    every, _ = net(rows, all_places)
    logits, follows = net(rows, some)
    assert logits.shape == (3, SHAPE.vocabulary) and follows.shape == (len(LENGTHS), 2)
    torch.testing.assert_close(logits, every[some], rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_attention_of_the_gpus_kernel_is_that_of_the_table() -> None:
    made = drawn(LENGTHS)
    rows = batch(made)
    rows = Rows(*(each.cuda() if isinstance(each, torch.Tensor) else each for each in vars(rows).values()))
    projected = torch.randn(sum(LENGTHS), 3, 2, 64, device="cuda", dtype=torch.bfloat16)
    exact = attend_padded(projected.float(), rows)
    torch.testing.assert_close(attend_varlen(projected, rows).float(), exact, rtol=0, atol=0.02)
