"""The conditional random field is what counting out all rows of tags gives."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daybreak.metrics.entities import entities
from daybreak.systems.language.model.crf import CRF, FORBIDDEN, iob2_penalties

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def random_crf(num_tags: int, seed: int = 0, **options: tuple[Tensor, Tensor]) -> CRF:
    torch.manual_seed(seed)
    crf = CRF(num_tags, **options)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def score(crf: CRF, emissions: Tensor, tags: tuple[int, ...]) -> Tensor:
    """By the definition, of one sentence (T, L)."""
    total = crf.start[tags[0]] + crf.first[tags[0]] + crf.end[tags[-1]]
    for before, tag in pairwise(tags):
        total = total + crf.transitions[before, tag] + crf.between[before, tag]
    return total + sum(emissions[place, tag] for place, tag in enumerate(tags))


def all_scores(crf: CRF, emissions: Tensor) -> dict[tuple[int, ...], Tensor]:
    length, num_tags = emissions.shape
    return {tags: score(crf, emissions, tags) for tags in product(range(num_tags), repeat=length)}


def full(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize(("length", "num_tags"), [(1, 1), (1, 3), (2, 3), (4, 3), (5, 2), (3, 5)])
def test_likelihood_and_best_tags_are_those_of_all_rows_of_tags(length: int, num_tags: int) -> None:
    crf = random_crf(num_tags).double()
    emissions = torch.randn(length, num_tags, dtype=torch.double)
    scores = all_scores(crf, emissions)
    total = torch.stack(list(scores.values())).logsumexp(0)
    for tags, value in scores.items():
        likelihood = crf.log_likelihood(emissions[None], torch.tensor([tags]), full(1, length))
        assert torch.allclose(likelihood, value - total)
    best = max(scores, key=lambda tags: scores[tags].item())
    assert crf.decode(emissions[None], full(1, length)) == [list(best)]


def test_gradients_are_those_of_differences() -> None:
    crf = random_crf(3).double()
    emissions = torch.randn(3, 4, 3, dtype=torch.double, requires_grad=True)
    tags, mask = torch.randint(3, (3, 4)), torch.arange(4) < torch.tensor([[4], [1], [3]])
    weights = [crf.transitions, crf.start, crf.end]
    assert torch.autograd.gradcheck(lambda *_: crf.log_likelihood(emissions, tags, mask), (emissions, *weights))


def test_one_step_towards_tags_makes_them_likelier() -> None:
    crf, emissions, tags = CRF(3), torch.zeros(1, 4, 3), torch.tensor([[0, 1, 2, 0]])
    before = crf.log_likelihood(emissions, tags, full(1, 4))
    (-before.sum()).backward()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter -= 0.1 * parameter.grad
    assert (crf.log_likelihood(emissions, tags, full(1, 4)) > before).all()


def test_sentences_of_different_lengths_are_as_one_by_one() -> None:
    crf = random_crf(4)
    lengths = [5, 1, 3, 0, 5]
    emissions, tags = torch.randn(5, 5, 4), torch.randint(4, (5, 5))
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    together = crf.log_likelihood(emissions, tags, mask)
    paths = crf.decode(emissions, mask)
    for row, length in enumerate(lengths):
        alone = emissions[row : row + 1, :length], tags[row : row + 1, :length]
        if length:
            assert torch.allclose(together[row], crf.log_likelihood(*alone, full(1, length))[0], atol=1e-5)
            assert crf.decode(alone[0], full(1, length)) == [paths[row]]
        else:
            assert together[row] == 0.0 and paths[row] == []


def test_nothing_is_seen_of_padding() -> None:
    crf = random_crf(3)
    emissions, tags = torch.randn(2, 4, 3), torch.randint(3, (2, 4))
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    soiled, wrong = emissions.clone(), tags.clone()
    soiled[0, 2:], wrong[0, 2:] = torch.nan, -100
    soiled.requires_grad_()
    likelihood = crf.log_likelihood(soiled, wrong, mask)
    assert torch.equal(likelihood, crf.log_likelihood(emissions, tags, mask))
    assert crf.decode(soiled, mask) == crf.decode(emissions, mask)
    likelihood.sum().backward()
    assert soiled.grad is not None and soiled.grad.isfinite().all() and (soiled.grad[0, 2:] == 0).all()


def test_words_may_stand_anywhere_in_a_row() -> None:
    crf = random_crf(3)
    words, tags = torch.randn(1, 3, 3), torch.tensor([[2, 0, 1]])
    places = torch.tensor([1, 2, 5])
    row, labels = torch.randn(1, 7, 3), torch.full((1, 7), -100)
    row[:, places], labels[:, places] = words, tags
    mask = torch.zeros(1, 7, dtype=torch.bool)
    mask[:, places] = True
    assert torch.allclose(crf.log_likelihood(row, labels, mask), crf.log_likelihood(words, tags, full(1, 3)))
    assert crf.decode(row, mask) == crf.decode(words, full(1, 3))


def test_at_first_every_word_is_a_softmax_of_its_own() -> None:
    crf = CRF(4)
    emissions, tags = torch.randn(2, 3, 4), torch.randint(4, (2, 3))
    expected = emissions.log_softmax(-1).gather(2, tags[..., None]).sum((1, 2))
    assert torch.allclose(crf.log_likelihood(emissions, tags, full(2, 3)), expected, atol=1e-6)
    assert crf.decode(emissions, full(2, 3)) == emissions.argmax(-1).tolist()


def test_sums_run_in_fp32_under_autocast_and_of_bf16() -> None:
    crf = random_crf(5)
    emissions, tags = torch.randn(2, 50, 5).bfloat16(), torch.randint(5, (2, 50))
    expected = crf.log_likelihood(emissions.float(), tags, full(2, 50))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(crf.log_likelihood(emissions, tags, full(2, 50)), expected)
    assert expected.dtype == torch.float32
    assert crf.bfloat16().log_likelihood(emissions, tags, full(2, 50)).dtype == torch.float32


# ----------------------------------------------------------------------------- IOB2


def test_only_an_i_after_a_b_or_an_i_of_its_type_is_allowed() -> None:
    between, first = iob2_penalties(TAGS)
    allowed = {(before, tag) for before, row in zip(TAGS, between, strict=True)
               for tag, penalty in zip(TAGS, row.tolist(), strict=True) if penalty == 0}  # fmt: skip
    outside = {(before, tag) for before in TAGS for tag in ("O", "B-PER", "B-LOC")}
    inside = {(f"{prefix}-{kind}", f"I-{kind}") for prefix in "BI" for kind in ("PER", "LOC")}
    assert allowed == outside | inside
    assert first.tolist() == [0, 0, FORBIDDEN, 0, FORBIDDEN]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0.1, 1.0, 100.0]))
def test_no_row_of_tags_that_is_decoded_breaks_iob2(seed: int, length: int, scale: float) -> None:
    crf = random_crf(len(TAGS), seed, penalties=iob2_penalties(TAGS))
    emissions = torch.randn(3, length, len(TAGS)) * scale
    for row in crf.decode(emissions, full(3, length)):
        tags = [TAGS[number] for number in row]
        in_entities = sum(end - first for _, first, end in entities(tags))
        assert in_entities == len(tags) - tags.count("O"), f"an I begins an entity: {tags}"


def test_best_allowed_tags_are_found_and_share_all_the_probability() -> None:
    crf = random_crf(len(TAGS), penalties=iob2_penalties(TAGS)).double()
    emissions = torch.randn(3, len(TAGS), dtype=torch.double)
    scores = {tags: value for tags, value in all_scores(crf, emissions).items() if value > FORBIDDEN / 2}
    assert len(scores) == 41, "of 125 rows"
    best = max(scores, key=lambda tags: scores[tags].item())
    assert crf.decode(emissions[None], full(1, 3)) == [list(best)]
    every = torch.tensor(list(scores))
    shares = crf.log_likelihood(emissions.expand(len(every), -1, -1), every, full(len(every), 3)).exp()
    assert shares.sum().item() == pytest.approx(1.0)


def test_penalties_are_no_weights() -> None:
    assert set(CRF(5, iob2_penalties(TAGS)).state_dict()) == {"transitions", "start", "end"}
