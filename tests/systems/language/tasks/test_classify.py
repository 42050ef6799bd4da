"""Classes of sentences and pairs: that they can be learned, labels nobody has seen, and what is too long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import PAIRS, SENTENCES, overfit, settled, tell, untrained

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Pair
from daybreak.systems.language.tasks.classify import CLASSIFY, Class
from daybreak.systems.language.tasks.task import pair_rows, shortened
from daybreak.systems.language.wordpiece import encode


@pytest.mark.parametrize(
    ("examples", "parts"),
    [(SENTENCES, {"bag"}), (SENTENCES, set()), (PAIRS, {"compare"}), (PAIRS, set())],
    ids=["sentences", "sentences by [CLS]", "pairs", "pairs by [CLS]"],
)
def test_classes_are_learned(examples: list[Pair], parts: set[str], reader: Reader) -> None:
    config = settled(bag="bag" in parts, compare="compare" in parts)
    trained = overfit(CLASSIFY, examples, reader, config)
    assert {name for name in ("bag", "compare") if getattr(trained.net, name) is not None} == parts
    told = tell(CLASSIFY, trained, examples, reader, config)
    assert trained.loss < 0.1
    assert [each.label for each in told] == [each.label for each in examples]
    for each in told:
        assert each.probability == max(each.others.values()) > 0.8 and set(each.others) == set(trained.labels)
        assert sum(each.others.values()) == pytest.approx(1, abs=1e-5)
    assert CLASSIFY.scores(examples, told)["accuracy"] == 100


def test_labels_that_were_not_seen_have_no_target_and_are_never_told(reader: Reader) -> None:
    trained = untrained(CLASSIFY, SENTENCES, reader, settled())
    unheard = [Pair("a fine film", label="odd"), Pair("the plot is dull", label="bad"), Pair("so so")]
    targets = [item.target for item in CLASSIFY.items(unheard, reader, trained.labels, settled())]
    assert trained.labels == ("bad", "good", "neither")
    assert targets[0] is None and targets[1] is not None and targets[1].tolist() == [0] and targets[2] is None
    told = tell(CLASSIFY, trained, unheard, reader, settled())
    assert {each.label for each in told} <= set(trained.labels)
    assert CLASSIFY.scores(unheard[:1], told[:1])["accuracy"] == 0


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=30), st.lists(st.integers(), max_size=30), st.integers(5, 40))
def test_a_pair_loses_its_ends_the_longer_one_first(first: list[int], second: list[int], room: int) -> None:
    one, two = shortened(first, second, room)
    assert one == first[: len(one)] and two == second[: len(two)]
    assert len(one) + len(two) == min(room, len(first) + len(second))
    for kept, whole, other in ((one, first, two), (two, second, one)):
        if len(kept) < len(whole):
            assert len(kept) >= len(other) - (room % 2)


def test_sentences_and_pairs_are_cut_to_the_length_of_a_row(reader: Reader) -> None:
    long, short = "the cat sat on the mat . " * 9, "who sat ?"
    ids = {text: encode(reader.tokenizer, [text])[0].ids for text in (long, short)}
    special = reader.special
    cls, sep = [special.cls], [special.sep]
    rows = pair_rows(reader, [long, long, short, long, short], [None, short, long, long, None], 16)
    expected = [
        cls + ids[long][:14] + sep,
        cls + ids[long][:10] + sep + ids[short] + sep,
        cls + ids[short] + sep + ids[long][:10] + sep,
        cls + ids[long][:6] + sep + ids[long][:7] + sep,
        cls + ids[short] + sep,
    ]
    for (tokens, segments), row in zip(rows, expected, strict=True):
        assert tokens.tolist() == row
        second = row.index(special.sep) + 1
        assert segments.tolist() == [False] * second + [True] * (len(row) - second)


def test_each_kind_of_classes_has_its_official_metrics() -> None:
    def scores(examples: list[Pair], told: str) -> dict[str, float]:
        return CLASSIFY.scores(examples, [Class(each, 1.0, {}) for each in told.split()])

    sentences = [Pair(text, None, label) for text, label in zip("abcd", ("no", "no", "yes", "yes"), strict=True)]
    pairs = [Pair(each.first, "b", each.label) for each in sentences]
    assert scores(sentences, "no no yes yes") == {"accuracy": 100, "matthews": pytest.approx(100)}
    assert scores(sentences, "no no no no") == {"accuracy": 50, "matthews": 0}
    assert scores(pairs, "no no no yes") == {"accuracy": 75, "f1": pytest.approx(200 / 3)}
    assert scores(pairs, "yes yes yes yes") == {"accuracy": 50, "f1": pytest.approx(200 / 3)}
    assert scores([*pairs, Pair("e", "f", "maybe")], "no no yes yes yes") == {
        "accuracy": 80, "macro_f1": pytest.approx((100 + 80 + 0) / 3)
    }  # fmt: skip
