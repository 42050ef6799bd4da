"""Tags of words, each alone and as a sentence, in rows that are long enough and in several."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import ENTITIES, WORDS, overfit, settled, tell, untrained

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.model.crf import CRF
from daybreak.systems.language.tasks import tag
from daybreak.systems.language.tasks.tag import TAG
from daybreak.systems.language.tasks.task import Item, collate
from daybreak.systems.language.wordpiece import encode_words


@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
@pytest.mark.parametrize("examples", [ENTITIES, WORDS], ids=["entities", "words"])
def test_tags_are_learned(examples: list[Tagged], crf: bool, reader: Reader) -> None:
    config = settled(crf=crf)
    trained = overfit(TAG, examples, reader, config)
    told = tell(TAG, trained, examples, reader, config)
    assert trained.loss < 0.1
    assert told == [each.tags for each in examples]
    assert set(TAG.scores(examples, told).values()) == {100}
    assert isinstance(trained.net.crf, CRF) == crf


@torch.no_grad()
@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
def test_the_loss_of_tags_is_the_mean_over_all_words(crf: bool, reader: Reader) -> None:
    trained = untrained(TAG, ENTITIES, reader, config := settled(crf=crf))
    items = TAG.items(ENTITIES, reader, trained.labels, config)

    def loss(of: list[Item]) -> float:
        batch = collate(of)
        return TAG.loss(trained.net, trained.net(batch.rows, batch.places), batch).item()

    alone = [loss([item]) * item.outputs for item in items]
    assert loss(items) == pytest.approx(sum(alone) / sum(item.outputs for item in items), abs=1e-5)


def test_tags_that_were_not_seen_have_no_target(reader: Reader) -> None:
    labels = TAG.labels(ENTITIES[1:])
    assert labels == ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")  # I of what only began
    unheard = [Tagged(("Ann",), ("B-ORG",)), Tagged(("Ann",), ("B-PER",)), Tagged(("Ann",))]
    targets = [item.target for item in TAG.items(unheard, reader, labels, settled())]
    assert targets[0] is None and targets[1] is not None and targets[1].tolist() == [1] and targets[2] is None


def test_the_crf_never_tells_an_entity_that_goes_on_without_a_beginning(reader: Reader) -> None:
    trained = untrained(TAG, ENTITIES, reader, settled(crf=True))
    inside = trained.labels.index("I-PER")
    sure = torch.zeros(4, len(trained.labels)).index_fill(1, torch.tensor([inside]), 9.0)
    (told,) = TAG.tell(trained.net, [sure], [], ENTITIES[:1], trained.labels)
    assert told == ("B-PER", "I-PER", "I-PER", "I-PER")


@given(st.lists(st.integers(1, 14), max_size=20), st.integers(4, 12))
@settings(deadline=None)
def test_a_sentence_over_several_rows_keeps_its_words_and_their_places(sizes: list[int], room: int) -> None:
    words = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.empty(0, np.int64)
    pieces = (100 * words + within).astype(np.int32)  # says which piece of which word it is
    rows, places = tag.split_words(pieces, words, room)
    assert all(len(row) <= room for row in rows)
    kept = pieces[within < room]
    assert np.concatenate(rows).tolist() == kept.tolist()
    with_ends = np.concatenate([[-1, *row, -1] for row in rows])
    assert with_ends[places].tolist() == [100 * word for word in range(len(sizes))]
    assert all(row[0] % 100 == 0 for row in rows if len(row))
    assert len(rows) == 1 or all(
        len(one) + min(sizes[int(two[0]) // 100], room) > room for one, two in itertools.pairwise(rows)
    )


def test_a_long_sentence_is_tagged_over_several_rows(reader: Reader) -> None:
    words = ("Ann", "Lee", "zzz", "of", "Rome", "unheardof", "sleeps", "and", "xy", "sat", "q" * 30, "on", "mat")
    example = Tagged(words, tuple("O" if word.islower() else "B-PER" for word in words))
    config = settled(length=10)
    trained = untrained(TAG, [example], reader, config)
    (item,) = TAG.items([example], reader, trained.labels, config)
    assert len(item.tokens) > 3 and item.outputs == len(words) and item.places is not None
    firsts = [encode_words(reader.tokenizer, [word]).ids[0] for word in words]
    assert np.concatenate(item.tokens)[item.places].tolist() == firsts
    for row in item.tokens:
        assert len(row) <= 10 and row[0] == reader.special.cls and row[-1] == reader.special.sep
    fitted = overfit(TAG, [example, *ENTITIES], reader, config)
    assert tell(TAG, fitted, [example], reader, config) == [example.tags]


def test_a_sentence_without_words_does_not_disturb_training(reader: Reader) -> None:
    examples = [Tagged((), ()), *ENTITIES]
    for crf in (False, True):
        config = settled(crf=crf)
        trained = overfit(TAG, examples, reader, config)
        assert tell(TAG, trained, examples, reader, config) == [each.tags for each in examples]


def test_the_crf_looks_at_many_sentences_at_once_and_tags_each_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag, "AT_ONCE", 4)
    crf, looks = CRF(3), []
    torch.manual_seed(0)
    torch.nn.init.normal_(crf.transitions)
    sentences = [torch.randn(length, 3) for length in (5, 0, 1, 7, 5, 2, 0, 6, 1)]
    alone = [crf.decode(each[None], torch.ones(1, len(each)))[0] if len(each) else [] for each in sentences]
    decode = crf.decode
    monkeypatch.setattr(crf, "decode", lambda *table: looks.append(len(table[0])) or decode(*table))
    assert tag.decode(crf, sentences) == alone and looks == [4, 3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_scores_on_the_cpu_are_decoded_by_a_crf_on_the_gpu() -> None:
    sentences = [torch.randn(length, 3) for length in (5, 0, 2)]
    assert tag.decode(CRF(3).to("cuda"), sentences) == tag.decode(CRF(3), sentences)


@pytest.mark.parametrize(
    ("word", "way"),
    [("film", 0), ("42", 0), ("", 0), ("...", 0), ("Rome", 1), ("A", 1), ("3D", 1), ("'Tis", 1), ("USA", 2),
     ("U.S.", 2), ("iPhone", 3), ("McKee", 3), ("\u00c9cole", 1)],
)  # fmt: skip
def test_how_a_word_is_written(word: str, way: int) -> None:
    assert tag.way_to_write(word) == way


def test_a_name_is_told_from_a_word_that_is_written_otherwise(reader: Reader) -> None:
    names = [Tagged(("Bank", "sleeps"), ("B-PER", "O")), Tagged(("bank", "sleeps"), ("O", "O"))]
    config = settled()
    upper, lower = TAG.items(names, reader, TAG.labels(names), config)
    assert upper.tokens[0].tolist() == lower.tokens[0].tolist()
    assert upper.segments[0].tolist() == [0, *[1] * (len(upper.tokens[0]) - 3), 0, 0] and not lower.segments[0].any()
    assert tell(TAG, overfit(TAG, names, reader, config), names, reader, config) == [each.tags for each in names]
