"""Beam search: against trying everything, greedy search, and itself on other batches."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from daybreak.data.text import END, PAD, START
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.decode import beam_search, best
from daybreak.systems.translation.model import Network, network

KINDS = ["transformer", "bahdanau", "none"]


def made(kind: str, size: int = 5, spread: float = 8.0) -> Network:
    torch.manual_seed(1)
    model = "transformer" if kind == "transformer" else "rnn"
    attention = "none" if model == "transformer" else kind
    config = Config(model=model, attention=attention, hidden_size=16, num_heads=2, ff_size=16, num_layers=1)  # type: ignore[arg-type]
    net = network(config, size, size).eval()
    with torch.no_grad():
        net.target_embedding.weight.mul_(spread)  # so that words are likely and unlikely
    return net


def source(lengths: tuple[int, ...] = (4, 2, 6), size: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(3, size, (len(lengths), max(lengths)), generator=generator)
    for row, length in zip(rows, lengths, strict=True):
        row[length - 1], row[length:] = END, PAD
    return rows


@torch.no_grad()
def log_probability(net: Network, sentence: Tensor, words: list[int]) -> float:
    """Of exactly these words, END among them where they have one, by a forward pass without any cache."""
    target_in = torch.tensor([[START, *words[:-1]]])
    chances = net.logits(net(sentence[sentence != PAD][None], target_in)).log_softmax(-1)[0]
    return sum(chances[t, word].item() for t, word in enumerate(words))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_wide_enough_finds_what_trying_everything_finds(kind: str, length_penalty: float) -> None:
    net, limit, vocabulary = made(kind), 4, range(5)
    for sentence in source():
        tried: dict[tuple[int, ...], float] = {}
        for length in range(1, limit + 1):
            for words in itertools.product(vocabulary, repeat=length):
                if END in words[:-1] or (words[-1] != END and length < limit):
                    continue  # goes on after its end, or stops without one
                tried[words] = log_probability(net, sentence, list(words)) / length**length_penalty
        expected = sorted(tried.items(), key=lambda item: -item[1])
        (found,) = beam_search(
            net, sentence[sentence != PAD][None], torch.tensor([limit]), beam=700, length_penalty=length_penalty
        )
        assert len(found) == len(tried)
        for (words, score), hypothesis in zip(expected[:50], found, strict=False):
            assert hypothesis.score == pytest.approx(score, abs=1e-4)
            if words[-1] == END:
                words = words[:-1]
            assert tuple(hypothesis.tokens) == words or score == pytest.approx(hypothesis.score, abs=1e-5)
        assert tuple(found[0].tokens) == tuple(w for w in expected[0][0] if w != END)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_beam_of_one_is_greedy_search(kind: str) -> None:
    net, sentences = made(kind, 40), source(size=40)
    found = beam_search(net, sentences, torch.tensor([12, 12, 12]), beam=1)
    for sentence, (hypothesis,) in zip(sentences, found, strict=True):
        words = [START]
        while len(words) <= 12 and words[-1] != END:
            features = net(sentence[sentence != PAD][None], torch.tensor([words]))
            words.append(int(net.logits(features)[0, -1].argmax()))
        assert hypothesis.tokens == [word for word in words[1:] if word != END]


@pytest.mark.parametrize("kind", KINDS)
def test_a_translation_does_not_depend_on_the_sentences_beside_it(kind: str) -> None:
    net = made(kind, 40)
    lengths = tuple(range(2, 14))
    sentences = source(lengths, 40)
    limits = torch.tensor([2 * n for n in lengths])
    together = beam_search(net, sentences, limits, beam=4)
    for row, length in enumerate(lengths):
        (alone,) = beam_search(net, sentences[row : row + 1, :length], limits[row : row + 1], beam=4)
        assert [h.tokens for h in alone] == [h.tokens for h in together[row]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[row]], abs=1e-4)
    assert len({len(h[0].tokens) for h in together}) > 2, "all end at once: nothing was removed from the batch"


def test_a_frozen_hypothesis_keeps_its_score_and_the_best_comes_first() -> None:
    net, sentences = made("transformer", 40), source(size=40)
    for sentence, found in zip(sentences, beam_search(net, sentences, torch.tensor([9, 9, 9]), beam=5), strict=True):
        assert 1 <= len(found) <= 5
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
        for hypothesis in found:
            assert END not in hypothesis.tokens and len(hypothesis.tokens) <= 9
            words = hypothesis.tokens if len(hypothesis.tokens) == 9 else [*hypothesis.tokens, END]
            assert hypothesis.score == pytest.approx(log_probability(net, sentence, words) / len(words), abs=1e-4)


class Coin:
    """Ends with a chance of 0.4 after each word, whatever was before."""

    def start(self, source: Tensor, beam: int) -> Coin:
        return self

    def step(self, tokens: Tensor, state: Coin) -> Tensor:
        return torch.tensor([1e-9, 1e-9, 0.4, 0.6, 1e-9]).log().expand(*tokens.shape, -1)

    def logits(self, features: Tensor) -> Tensor:
        return features

    def follow(self, parents: Tensor) -> None: ...
    def keep(self, sentences: Tensor) -> None: ...


def test_a_larger_length_penalty_prefers_longer_translations() -> None:
    lengths = []
    for length_penalty in (0.0, 1.0, 2.0):
        found = beam_search(Coin(), torch.ones(1, 3), torch.tensor([7]), beam=9, length_penalty=length_penalty)  # type: ignore[arg-type]
        lengths.append(len(found[0][0].tokens))
    assert lengths == [0, 7, 7]  # 0.4 is more than 0.6 * 0.4; the mean of 0.6, 0.6, ... is more than 0.4


class Patience(Coin):
    """Six sure words and then the end; after each word the end is unlikely, and all else more so."""

    def start(self, source: Tensor, beam: int) -> Patience:
        self.words = 0
        return self

    def step(self, tokens: Tensor, state: Coin) -> Tensor:
        self.words += 1
        end, word = (0.99, 0.01) if self.words > 6 else (0.01, 0.99)
        return torch.tensor([1e-9, 1e-9, end, word, 1e-9]).log().expand(*tokens.shape, -1)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_poor_hypotheses_that_end_early_do_not_end_the_search(length_penalty: float) -> None:
    ones, limit = torch.ones(1, 3), torch.tensor([20])
    (found,) = beam_search(Patience(), ones, limit, beam=3, length_penalty=length_penalty)  # type: ignore[arg-type]
    assert found[0].tokens == [3] * 6


@pytest.mark.parametrize(("beam", "size", "count"), [(1, 7, 2), (3, 50, 6), (5, 1000, 10), (5, 1037, 10), (2, 3, 20)])
def test_best_continuations_are_those_of_a_plain_top_k(beam: int, size: int, count: int) -> None:
    torch.manual_seed(0)
    scores, logits = torch.randn(4, beam), 3 * torch.randn(4, beam, size)
    values, parents, tokens = best(scores, logits, count)
    plain = (logits.log_softmax(-1) + scores[:, :, None]).flatten(1).topk(min(count, beam * size), 1)
    assert torch.allclose(values, plain.values)
    assert torch.equal(parents * size + tokens, plain.indices)
