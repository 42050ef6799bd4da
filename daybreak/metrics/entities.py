"""Named entities: what counts is the whole entity, its words and its type, as in CoNLL-2003's evaluation.

Tags are strict IOB2, as seqeval's ``mode="strict", scheme=IOB2``: an entity is a B and the I of its type after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scores:
    """In percent; 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class EntityScores(Scores):
    """Of all entities together (micro-averaged), and of each type."""

    by_type: dict[str, Scores]


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Type, first word and the word after the last of every entity of a sentence, in order.

    An I that no B or I of its type stands before belongs to no entity. Raises ValueError for a tag that is none of O,
    B-type and I-type.
    """
    found: list[tuple[str, int, int]] = []
    begun: tuple[str, int] | None = None
    for place, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        if tag != "O" and not (prefix in ("B", "I") and kind):
            raise ValueError(f"{tag!r} is no tag of IOB2: give O, B-type or I-type")
        if begun is not None and not (prefix == "I" and kind == begun[0]):
            found.append((*begun, place))
            begun = None
        if prefix == "B":
            begun = kind, place
    if begun is not None:
        found.append((*begun, len(tags)))
    return found


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> EntityScores:
    """Precision, recall and F1 of the entities of sentences tagged in IOB2.

    Raises ValueError as :func:`entities`, when there are no sentences, and naming the first one that has not as many
    tags in both.
    """
    if not gold or len(gold) != len(predicted):
        raise ValueError(f"tags of {len(predicted)} sentences cannot be compared with those of {len(gold)}")
    in_gold, in_predicted, in_both = Counter[str](), Counter[str](), Counter[str]()
    for number, (right, told) in enumerate(zip(gold, predicted, strict=True), 1):
        if len(right) != len(told):
            raise ValueError(f"sentence {number} has {len(right)} words and {len(told)} predicted tags")
        wanted, given = entities(right), entities(told)
        in_gold.update(kind for kind, _, _ in wanted)
        in_predicted.update(kind for kind, _, _ in given)
        in_both.update(kind for kind, _, _ in set(wanted).intersection(given))
    kinds = sorted(in_gold | in_predicted)
    by_type = {kind: _scores(in_both[kind], in_predicted[kind], in_gold[kind]) for kind in kinds}
    overall = _scores(in_both.total(), in_predicted.total(), in_gold.total())
    return EntityScores(overall.precision, overall.recall, overall.f1, by_type)


def _scores(right: int, given: int, wanted: int) -> Scores:
    return Scores(_percent(right, given), _percent(right, wanted), _percent(2 * right, given + wanted))


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
