"""Tagging a sentence as a whole: a linear-chain conditional random field (Lafferty et al. 2001) on a network's scores.

The score of a row of tags is the sum of each word's score of its tag and of every transition from a tag to the next,
START before the first and END after the last included (Lample et al. 2016, section 2.2); its probability is the softmax
over all rows of tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FORBIDDEN = -1e4
"""Added to the score of a transition that must not be: far below any sum of scores, and finite in every precision."""


class CRF(nn.Module):
    """Transitions between L tags. All scores are 0 at first: each word's tag is a softmax of its own.

    The sums run in fp32 (in fp64 where the transitions are), whatever autocast says and the emissions come in.

    Args:
        num_tags: L.
        penalties: (L, L) from one tag to the next, and (L,) of the first: what :func:`iob2_penalties` gives. Rows of
            tags that it forbids are never decoded, and have no part in a sentence's probability.

    """

    def __init__(self, num_tags: int, penalties: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))  # from, to
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        between, first = penalties or (torch.zeros(num_tags, num_tags), torch.zeros(num_tags))
        self.between: Tensor
        self.first: Tensor
        self.register_buffer("between", between, persistent=False)  # the tags' names say it: no weight
        self.register_buffer("first", first, persistent=False)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Log probability (B,) of the tags of each sentence; 0 for one without words.

        Args:
            emissions: (B, T, L) scores of each word's tags.
            tags: (B, T) numbers of tags; what stands where the mask is False is not looked at.
            mask: (B, T) True at the words. The others are skipped, wherever they stand: padding, and the pieces of a
                word after its first.

        """
        emissions, mask, order = self._to_the_front(emissions, mask)
        tags = tags.gather(1, order).masked_fill(~mask, 0)
        likelihood = self._score(emissions, tags, mask) - self._log_partition(emissions, mask)
        return likelihood.masked_fill(~mask[:, 0], 0.0)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor) -> list[list[int]]:
        """The most probable tags of each sentence's words (Viterbi 1967); arguments as of :meth:`log_likelihood`."""
        emissions, mask, _ = self._to_the_front(emissions, mask)
        transitions, start, end = self._scores(emissions.dtype)
        best = start + emissions[:, 0]  # (B, L) of the best row of tags that ends in each
        stay = torch.arange(len(start), device=emissions.device)
        befores: list[Tensor] = []
        for step in range(1, emissions.shape[1]):
            totals, before = (best[:, :, None] + transitions).max(1)  # (B, L)
            goes_on = mask[:, step, None]
            best = torch.where(goes_on, totals + emissions[:, step], best)
            befores.append(torch.where(goes_on, before, stay))
        path = [(best + end).argmax(1)]
        for before in reversed(befores):
            path.append(before.gather(1, path[-1][:, None])[:, 0])
        rows = torch.stack(path[::-1], 1).tolist()
        return [row[:length] for row, length in zip(rows, mask.sum(1).tolist(), strict=True)]

    def _to_the_front(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Emissions and mask with the words of each sentence first, in order; zeros behind; and that order (B, T)."""
        mask = mask.bool()
        order = (~mask).byte().argsort(dim=1, stable=True)
        mask = mask.gather(1, order)
        dtype = torch.promote_types(self.transitions.dtype, torch.float32)
        emissions = emissions.gather(1, order[:, :, None].expand_as(emissions)).to(dtype)
        return emissions.masked_fill(~mask[:, :, None], 0.0), mask, order

    def _scores(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        return (self.transitions + self.between).to(dtype), (self.start + self.first).to(dtype), self.end.to(dtype)

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Score (B,) of the given tags."""
        transitions, start, end = self._scores(emissions.dtype)
        words = emissions.gather(2, tags[:, :, None])[:, :, 0].sum(1)  # those behind the last are 0
        steps = (transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
        last = tags.gather(1, (mask.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        return words + steps + start[tags[:, 0]] + end[last]

    def _log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Log of the sum (B,) of the exponentials of all rows' scores: the forward algorithm."""
        transitions, start, end = self._scores(emissions.dtype)
        sums = start + emissions[:, 0]  # (B, L) over the rows of tags that end in each
        for step in range(1, emissions.shape[1]):
            longer = (sums[:, :, None] + transitions).logsumexp(1) + emissions[:, step]
            sums = torch.where(mask[:, step, None], longer, sums)
        return (sums + end).logsumexp(1)


def iob2_penalties(tags: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Penalties of :class:`CRF` under which an I of a type follows only a B or an I of that type (strict IOB2)."""
    into = [[_may_follow(before, tag) for tag in tags] for before in tags]
    first = [_may_follow("O", tag) for tag in tags]
    return _penalty(into), _penalty(first)


def _may_follow(before: str, tag: str) -> bool:
    prefix, _, kind = tag.partition("-")
    return prefix != "I" or before in (f"B-{kind}", f"I-{kind}")


def _penalty(allowed: list[list[bool]] | list[bool]) -> Tensor:
    return torch.where(torch.tensor(allowed), 0.0, FORBIDDEN)
