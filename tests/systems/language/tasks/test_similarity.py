"""Similarity of pairs, read together and apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trials import ALIKE, overfit, settled, tell, untrained

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.finetune import settle
from daybreak.systems.language.model.pool import mean, weighted_mean
from daybreak.systems.language.tasks.similarity import SIMILARITY, BiEncoder
from daybreak.systems.language.tasks.task import collate


@pytest.mark.parametrize("encoder", ["cross", "bi"])
def test_similarities_are_learned(encoder: str, reader: Reader) -> None:
    config = settled(encoder=encoder)
    trained = overfit(SIMILARITY, ALIKE, reader, config, enough=1e-3)
    told = tell(SIMILARITY, trained, ALIKE, reader, config)
    assert trained.loss < 0.01
    assert told == pytest.approx([each.label for each in ALIKE], abs=0.5)
    assert SIMILARITY.scores(ALIKE, told)["pearson"] > 98


def test_two_sentences_are_as_alike_in_either_order_for_the_bi_encoder(reader: Reader) -> None:
    config = settled(encoder="bi")
    trained = untrained(SIMILARITY, ALIKE, reader, config)
    one, other = (
        tell(SIMILARITY, trained, pairs, reader, config)
        for pairs in (ALIKE, [Pair(str(each.second), each.first) for each in ALIKE])
    )
    assert one == pytest.approx(other, abs=1e-4)
    assert one[0] == pytest.approx(5.0, abs=1e-4)  # a sentence and itself


@torch.no_grad()
def test_a_bi_encoder_begins_with_the_line_that_suits_its_cosines_best(reader: Reader) -> None:
    config = settled(encoder="bi")
    trained = untrained(SIMILARITY, ALIKE, reader, config)
    items = SIMILARITY.items(ALIKE, reader, trained.labels, config)
    settle(trained.net, items)
    assert trained.net.training and isinstance(trained.net, BiEncoder)
    batch = collate(items)
    cosines, told = trained.net.cosines(batch.rows), trained.net(batch.rows, batch.places)
    slope, shift = np.polyfit(cosines.numpy(), batch.targets.numpy(), 1)
    assert told.numpy() == pytest.approx(slope * cosines.numpy() + shift, abs=1e-3)


@torch.no_grad()
def test_word_pieces_count_alike_at_first_and_then_by_their_weights(reader: Reader) -> None:
    config = settled(encoder="bi")
    trained = untrained(SIMILARITY, ALIKE, reader, config)
    assert isinstance(trained.net, BiEncoder)
    rows = collate(SIMILARITY.items(ALIKE, reader, trained.labels, config)).rows
    last = trained.net.bert(rows)
    torch.testing.assert_close(trained.net.means(rows)[1], mean(last, rows))
    chosen = torch.where(rows.positions == 1, 1.0, 1e-9)  # the first word of each
    torch.testing.assert_close(weighted_mean(last, chosen, rows), last[rows.positions == 1], rtol=0, atol=1e-5)
