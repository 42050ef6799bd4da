"""From the scores of a context's tokens to answers: windows over what is too long, and the best spans of all of them.

As Devlin et al. 2018 (section 4.2) and their run_squad do it, but that probabilities are over all spans and not over
those that are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from daybreak.engine.errors import UserError

SEPARATORS = 3
"""Tokens of a window besides question and context: [CLS] question [SEP] context [SEP]."""


@dataclass(frozen=True)
class Window:
    """What the network says of the T tokens of one window of a context, [CLS] first."""

    start: Tensor
    """(T,) log probability that the answer starts here; at [CLS]: that there is none."""
    end: Tensor
    """(T,) log probability that it ends here."""
    in_context: Tensor
    """(T,) True at the context's tokens."""
    is_widest: Tensor
    """(T,) True at the context's tokens that :func:`widest` gives to this window: an answer starts only at these."""
    offsets: Sequence[tuple[int, int]]
    """First character, in the whole context, and the one after the last of each of the T; only the context's count."""


@dataclass(frozen=True)
class Answer:
    """A piece of the context; empty text says that the context has no answer."""

    text: str
    start: int
    """Position of its first character."""
    end: int
    """Position after its last character."""
    score: float
    """Log probability of start and end in their window; less the threshold where there is no answer."""
    probability: float
    """Of this span among all that are possible, and no answer."""


def windows(question_length: int, context_length: int, longest: int, stride: int) -> list[tuple[int, int]]:
    """First token and the one after the last of the pieces of a context that are read one at a time with the question.

    They cover every token, and begin ``stride`` tokens apart, or as many as fit in where that are fewer. An empty
    context is one empty piece.

    Args:
        question_length: tokens.
        context_length: tokens.
        longest: most tokens of question, piece and SEPARATORS together.
        stride: one or more.

    Raises UserError for a question that leaves no room.

    """
    room = longest - question_length - SEPARATORS
    if room < 1:
        raise UserError(
            f"a question of {question_length} tokens leaves no room for its context among {longest}: shorten it"
        )
    if stride < 1:
        raise ValueError(f"windows {stride} tokens apart never reach the end")
    last = max(context_length - room, 0)  # where a window that starts there or later reaches the end
    step = min(stride, room)
    starts = range(0, last + step, step)
    return [(first, min(first + room, context_length)) for first in starts]


def widest(pieces: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """For each of the pieces of :func:`windows`, which of its tokens it shows in the widest context of all pieces.

    How wide is the number of tokens before or after it, whichever is less, and a hundredth of the piece's length as in
    run_squad; ties go to the first. Every token is so in just one piece.
    """
    size = max(end for _, end in pieces)
    best, owner = np.full(size, -1.0), np.zeros(size, np.int64)
    for number, (first, end) in enumerate(pieces):
        place = np.arange(end - first)
        width = np.minimum(place, place[::-1]) + 0.01 * len(place)
        wider = width > best[first:end]
        best[first:end][wider], owner[first:end][wider] = width[wider], number
    return [owner[first:end] == number for number, (first, end) in enumerate(pieces)]


def best_spans(
    seen: Sequence[Window], context: str, *, count: int = 20, longest: int = 30, threshold: float | None = None
) -> list[Answer]:
    """The most probable answers from the windows of one question, the best first, no text twice.

    Args:
        seen: all windows of the context.
        context: the whole of it, which the offsets count in; answers are cut from it.
        count: most answers; fewer where there are not as many, and none where no window has a token of the context.
        longest: most tokens of an answer.
        threshold: None where every question has an answer. Else no answer is among those to choose from, its score that
            of :func:`no_answer_score` less this (SQuAD 2).

    """
    rows = torch.cat([_span_scores(window, longest) for window in seen])  # (R, longest), one row for each start
    starts = [(window, token) for window in seen for token in range(len(window.start))]
    none = [] if threshold is None else [no_answer_score(seen) - threshold]
    scores = torch.cat([rows.flatten(), rows.new_tensor(none)])
    total = scores.logsumexp(0).item()
    found: dict[str, Answer] = {}
    for score, place in zip(*(column.numpy() for column in scores.sort(descending=True, stable=True)), strict=True):
        if len(found) == count or score == -np.inf:
            break
        if place == rows.numel():
            start = end = 0
        else:
            window, token = starts[place // longest]
            start, end = window.offsets[token][0], window.offsets[token + place % longest][1]
        answer = Answer(context[start:end], start, end, float(score), float(np.exp(score - total)))
        found.setdefault(answer.text, answer)
    return list(found.values())


def no_answer_score(seen: Sequence[Window]) -> float:
    """Log probability that the context has no answer: the least of the windows', each of which sees but a part."""
    return min(float(window.start[0]) + float(window.end[0]) for window in seen)


def _span_scores(window: Window, longest: int) -> Tensor:
    """Log probabilities (T, longest) of the spans that start at a token and have 1, 2, ... of them; -inf: none."""
    start = window.start.float().masked_fill(~(window.in_context & window.is_widest), -torch.inf)
    end = window.end.float().masked_fill(~window.in_context, -torch.inf)
    ends = pad(end, (0, longest - 1), value=-torch.inf).unfold(0, longest, 1)  # (T, longest)
    return start[:, None] + ends
