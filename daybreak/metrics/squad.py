"""SQuAD's exact match and F1 of answers (Rajpurkar et al. 2016), with unanswerable questions (Rajpurkar et al. 2018).

What is compared is lower case, without ASCII punctuation and the articles a, an, the.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class AnswerScores:
    """Means over the questions, in percent."""

    exact_match: float
    f1: float


def answer_scores(predicted: Sequence[str], answers: Sequence[Sequence[str]]) -> AnswerScores:
    """Exact match and F1 of as many predicted answers as questions, each as near as it comes to one of the right ones.

    Args:
        predicted: the answer to each question; empty text says that there is none.
        answers: the right ones to each question; none where it cannot be answered (SQuAD 2).

    Raises ValueError when there are no questions, or not as many of one as of the other.

    """
    if not answers or len(predicted) != len(answers):
        raise ValueError(f"{len(predicted)} answers cannot be compared with those to {len(answers)} questions")
    pairs = list(zip(predicted, answers, strict=True))
    exact = sum(exact_match(text, right) for text, right in pairs)
    return AnswerScores(100.0 * exact / len(pairs), 100.0 * sum(f1(text, right) for text, right in pairs) / len(pairs))


def exact_match(predicted: str, answers: Sequence[str]) -> bool:
    """Whether an answer is one of the right ones, as :func:`normalized`; without any, whether it is empty."""
    words = normalized(predicted)
    return any(words == normalized(answer) for answer in answers or [""])


def f1(predicted: str, answers: Sequence[str]) -> float:
    """Largest F1 (0 to 1) of an answer's words and those of one of the right ones; without any, 1 for an empty one."""
    words = normalized(predicted)
    return max(_f1(words, normalized(answer)) for answer in answers or [""])


def normalized(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation and articles."""
    return ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split()


def _f1(words: list[str], answer: list[str]) -> float:
    if not words or not answer:
        return float(words == answer)
    common = (Counter(words) & Counter(answer)).total()
    return 2 * common / (len(words) + len(answer))
