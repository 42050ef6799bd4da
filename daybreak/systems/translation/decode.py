"""Finding a good translation: beam search over many sentences at once (greedy search is a beam of one)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from daybreak.data.text import END, START
from daybreak.systems.translation.model import Network, State

BLOCK = 64
"""Logits whose largest is taken first, when the best of all are looked for."""


@dataclass(frozen=True)
class Hypothesis:
    """A translation: its tokens without START and END, and its log probability over the length penalty."""

    tokens: list[int]
    score: float


@torch.no_grad()
def beam_search(
    network: Network, source: Tensor, limits: Tensor, *, beam: int = 5, length_penalty: float = 1.0
) -> list[list[Hypothesis]]:
    """The best ``beam`` translations found of each sentence, the best first.

    A hypothesis that ends is frozen and takes no more part. A sentence is done, and removed from the batch, when
    ``beam`` hypotheses have ended whose scores none that goes on has now, or at its limit; so its translation does not
    depend on the others in the batch. Scores are log probabilities over (tokens, END included) ** ``length_penalty``.

    Args:
        network: in evaluation mode.
        source: (B, S), filled up with PAD.
        limits: (B,) most tokens of each translation, END included.
        beam: hypotheses kept at each step.
        length_penalty: 0 prefers short translations, 1 compares log probabilities per token.

    """
    search = _Search(source, limits, beam, length_penalty)
    state = network.start(source, beam)
    while len(search.alive):
        features = network.step(search.last, state)
        search.extend(network.logits(features).float(), state)
    return [sorted(found, key=lambda h: -h.score)[:beam] for found in search.found]


class _Search:
    """The hypotheses of the sentences that are not done."""

    def __init__(self, source: Tensor, limits: Tensor, beam: int, length_penalty: float) -> None:
        self.beam, self.length_penalty = beam, length_penalty
        self.found: list[list[Hypothesis]] = [[] for _ in source]
        self.alive = torch.arange(len(source))  # numbers of the sentences in the rows below
        self.limits = limits.cpu()
        self.last = torch.full((len(source), beam), START, device=source.device)  # (B, K)
        self.tokens = self.last[:, :, None][:, :, :0]  # (B, K, so far)
        self.scores = torch.zeros(len(source), beam, device=source.device)  # log probabilities (B, K)
        self.scores[:, 1:] = -torch.inf  # at first all hypotheses are the same one: only the first goes on

    def extend(self, logits: Tensor, state: State) -> None:
        """Go on by a token, given logits (B, K, V)."""
        scores, parents, tokens = best(self.scores, logits, 2 * self.beam)  # (B, 2K), the best first
        length = self.tokens.shape[2] + 1
        ends = tokens == END
        self._collect(scores, parents, tokens, ends, at_limit=self.limits == length)
        places = torch.arange(ends.shape[1], device=ends.device)
        going = (places + ends * len(places)).argsort(1)[:, : self.beam]  # the best that do not end
        parents, self.last = parents.gather(1, going), tokens.gather(1, going)
        self.scores = scores.gather(1, going).masked_fill(self.last == END, -torch.inf)  # too few words to go on with
        kept = self.tokens.gather(1, parents[:, :, None].expand(-1, -1, length - 1))
        self.tokens = torch.cat([kept, self.last[:, :, None]], 2)
        state.follow(parents)
        self._remove(state, length)

    def _collect(self, scores: Tensor, parents: Tensor, tokens: Tensor, ends: Tensor, at_limit: Tensor) -> None:
        """Freeze what ends among the best K; at its limit, all of a sentence's best K."""
        frozen = (ends | at_limit.to(ends.device)[:, None])[:, : self.beam] & scores[:, : self.beam].isfinite()
        rows, places = frozen.nonzero(as_tuple=True)
        length = self.tokens.shape[2] + 1
        chosen = (self.tokens[rows, parents[rows, places]], tokens[rows, places], scores[rows, places])
        for row, before, token, score in zip(rows.tolist(), *(tensor.tolist() for tensor in chosen), strict=True):
            words = before if token == END else [*before, token]
            self.found[self.alive[row]].append(Hypothesis(words, score / length**self.length_penalty))

    def _remove(self, state: State, length: int) -> None:
        """Drop the sentences that are done."""
        hopes = (self.scores.amax(1) / length**self.length_penalty).tolist()
        alive = zip(self.alive.tolist(), hopes, strict=True)
        done = torch.tensor([self._is_done(self.found[sentence], hope) for sentence, hope in alive])
        done |= self.limits <= length
        if not done.any():
            return
        rows = (~done).nonzero().flatten()
        self.alive, self.limits = self.alive[rows], self.limits[rows]
        rows = rows.to(self.last.device)
        self.last, self.tokens, self.scores = self.last[rows], self.tokens[rows], self.scores[rows]
        state.keep(rows)

    def _is_done(self, found: list[Hypothesis], hope: float) -> bool:
        """Whether the hypotheses that go on, the best of which has the score ``hope``, need not be followed."""
        return sum(hypothesis.score >= hope for hypothesis in found) >= self.beam


def best(scores: Tensor, logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` best continuations of K hypotheses: log probabilities, parents and tokens, (B, count) each.

    Args:
        scores: (B, K) log probabilities so far.
        logits: (B, K, V) of the next token.
        count: how many; fewer where there are not as many.

    """
    size = logits.shape[2]
    totals = (logits.log_softmax(-1) + scores[:, :, None]).flatten(1)  # (B, K * V)
    count = min(count, totals.shape[1])
    blocks = totals.shape[1] // BLOCK
    if blocks < 4 * count:
        values, places = totals.topk(count, 1)
    else:
        # the best are in the blocks of the largest maxima, or in the rest that fills no block
        whole = totals[:, : blocks * BLOCK].view(len(totals), blocks, BLOCK)
        chosen = whole.amax(2).topk(count, 1).indices  # (B, count)
        rest = torch.arange(blocks * BLOCK, totals.shape[1], device=totals.device)
        inside = (chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=totals.device)).flatten(1)
        inside = torch.cat([inside.sort(1).values, rest.expand(len(totals), -1)], 1)
        values, order = totals.gather(1, inside).topk(count, 1)
        places = inside.gather(1, order)
    return values, places // size, places % size
