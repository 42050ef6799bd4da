"""One of several options."""

from __future__ import annotations

import pytest
from trials import CHOICES, overfit, settled, tell

from daybreak.systems.language.assets import Reader
from daybreak.systems.language.examples import Choice
from daybreak.systems.language.tasks.choose import CHOOSE
from daybreak.systems.language.wordpiece import encode


def test_choices_are_learned_among_any_number_of_options(reader: Reader) -> None:
    trained = overfit(CHOOSE, CHOICES, reader, settled())
    told = tell(CHOOSE, trained, CHOICES, reader, settled())
    assert trained.loss < 0.1
    assert [each.number for each in told] == [each.label for each in CHOICES]
    for each, example in zip(told, CHOICES, strict=True):
        assert each.option == example.options[each.number]
        assert len(each.probabilities) == len(example.options) and sum(each.probabilities) == pytest.approx(1, abs=1e-5)
    assert CHOOSE.scores(CHOICES, told) == {"accuracy": 100}


def test_options_stay_whole_where_the_context_is_too_long(reader: Reader) -> None:
    example = Choice("the cat sat on the mat . " * 9, "who sat ?", ("the man", "the cat"), 1)
    (item,) = CHOOSE.items([example], reader, (), settled(length=16))
    for tokens, option in zip(item.tokens, example.options, strict=True):
        end = [*encode(reader.tokenizer, [f"who sat ? {option}"])[0].ids, reader.special.sep]
        assert len(tokens) == 16 and tokens[-len(end) :].tolist() == end
