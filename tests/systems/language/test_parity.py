"""BERT against the public implementation's own code, at random weights: what it computes, what it loses and learns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)

from daybreak.engine.device import Device
from daybreak.engine.optim import decay_groups
from daybreak.systems.language.masking import Guess
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.model.public import from_public_weights, to_public_weights, write_public
from daybreak.systems.language.model.rows import rows_of
from daybreak.systems.language.pretrain import mark
from daybreak.systems.language.shape import Shape, to_public
from daybreak.systems.language.tasks import answer, choose, classify, similarity, tag
from daybreak.systems.language.tasks.task import Batch, Item, Task, TaskNet, collate

SHAPE = Shape(vocabulary=53, hidden_size=36, num_layers=3, num_heads=3, inner_size=50, positions=24)
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
RAGGED, EVEN = (11, 0, 3, 24, 2), (9, 9, 9, 9)
"""Word pieces of each row; the row without any is all padding for the peer, and is not there for us."""
IGNORED = -100
"""The peer's label of what its loss does not count."""
CPU = Device(torch.device("cpu"), bf16=False)
P = TypeVar("P", bound=nn.Module)


# ----------------------------------------------------------------------------- the same rows for both


def drawn(lengths: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random word pieces, and segments that change halfway; piece 0 is padding and never drawn."""
    random = np.random.default_rng(0)
    tokens = [random.integers(1, SHAPE.vocabulary, length) for length in lengths]
    return tokens, [np.arange(length) >= (length + 1) // 2 for length in lengths]


def table(tokens: Sequence[np.ndarray], segments: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """What the peer takes: padded tables and a mask."""
    columns = {
        "input_ids": tokens,
        "token_type_ids": [each.astype(np.int64) for each in segments],
        "attention_mask": [np.ones(len(each), np.int64) for each in tokens],
    }
    return {
        name: pad_sequence([torch.from_numpy(each) for each in column], batch_first=True)
        for name, column in columns.items()
    }


def pieces_of(padded: Tensor, lengths: Sequence[int]) -> Tensor:
    """(B, T, ...) -> (N, ...): what stands at the word pieces of a padded table."""
    return torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])


def there(lengths: Sequence[int]) -> list[int]:
    """Numbers of the rows that have word pieces."""
    return [number for number, length in enumerate(lengths) if length]


# ----------------------------------------------------------------------------- the same weights for both


def peer(kind: type[P], **settings: Any) -> P:
    """The public model with weights that are all drawn, also those that begin as 0 or 1."""
    config = BertConfig(**to_public(SHAPE), **NO_DROPOUT, attn_implementation="eager", **settings)
    model = kind(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(std=weight.shape[-1] ** -0.5 if weight.dim() > 1 else 0.3, generator=generator)
            if name.endswith("LayerNorm.weight"):
                weight.add_(1)
    return model.eval()


def pretraining(theirs: BertForPreTraining) -> Pretraining:
    """Ours with the peer's weights."""
    ours = Pretraining(SHAPE)
    ours.load_state_dict(from_public_weights(theirs.state_dict(), SHAPE))
    return ours.eval()


def with_head(net: TaskNet, theirs: nn.Module, head: str) -> TaskNet:
    """Ours with the peer's weights; some of theirs have no pooler."""
    public = theirs.state_dict()
    weights = from_public_weights(public, SHAPE) | {
        f"head.{part}": public[f"{head}.{part}"] for part in ("weight", "bias")
    }
    assert net.state_dict().keys() - weights.keys() <= {"bert.pooler.weight", "bert.pooler.bias"}
    net.load_state_dict(net.state_dict() | weights)
    return net.eval()


# ----------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("lengths", [RAGGED, EVEN], ids=["ragged", "even"])
@torch.no_grad()
def test_hidden_states_of_every_layer_the_pooler_and_both_logits_are_the_peers(lengths: tuple[int, ...]) -> None:
    theirs = peer(BertForPreTraining)
    assert_same_outputs(pretraining(theirs), theirs, lengths)


@torch.no_grad()
def test_what_we_write_the_peer_opens_and_computes_the_same(tmp_path: Path) -> None:
    torch.manual_seed(2)
    ours = Pretraining(SHAPE).eval()
    for weight in ours.parameters():
        weight.add_(0.2 * torch.randn_like(weight))
    vocabulary = "\n".join(["[PAD]", *(f"piece{number}" for number in range(1, SHAPE.vocabulary))])
    write_public(tmp_path, SHAPE, ours.state_dict(), vocabulary.encode(), lowercase=True)
    theirs, info = BertForPreTraining.from_pretrained(
        tmp_path, attn_implementation="eager", local_files_only=True, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert_same_outputs(ours, theirs.eval(), RAGGED)


def assert_same_outputs(ours: Pretraining, theirs: BertForPreTraining, lengths: tuple[int, ...]) -> None:
    tokens, segments = drawn(lengths)
    inputs, real = table(tokens, segments), there(lengths)
    said = theirs(**inputs, output_hidden_states=True)
    pooled = theirs.bert(**inputs).pooler_output
    assert len(said.hidden_states) == SHAPE.num_layers + 1
    rows = rows_of([tokens[i] for i in real], [segments[i] for i in real])
    for mine, their in zip(ours.bert.hidden_states(rows), said.hidden_states, strict=True):
        assert_close(mine, pieces_of(their, lengths))
    assert_close(ours.bert.pool(ours.bert(rows), rows), pooled[real])
    places = torch.arange(0, len(rows.tokens), 3)
    logits, follows = ours(rows, places)
    assert_close(logits, pieces_of(said.prediction_logits, lengths)[places])
    assert_close(follows, said.seq_relationship_logits[real])


def assert_close(mine: Tensor, their: Tensor) -> None:
    assert mine.isfinite().all() and mine.std() > 0.1
    torch.testing.assert_close(mine, their, rtol=0, atol=1e-5)


def test_a_row_without_word_pieces_cannot_be_laid() -> None:
    tokens, segments = drawn(RAGGED)
    with pytest.raises(ValueError, match="row 1"):
        rows_of(tokens, segments)


# ----------------------------------------------------------------------------- losses, gradients and a step


@dataclass
class Twins:
    """Ours and the peer's with the same weights, and the loss of each on the same rows."""

    ours: nn.Module
    theirs: nn.Module
    our_loss: Callable[[], Tensor]
    their_loss: Callable[[], Tensor]
    head: str = ""
    """The peer's name of our ``head``."""
    shifts: frozenset[str] = frozenset()
    """Weights that shift all scores of a softmax alike, as the biases of keys do: their gradient is 0."""

    def named(self, of_ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of ours under the peer's names."""
        heads = {name: tensor for name, tensor in of_ours.items() if name.startswith("head.")}
        rest = to_public_weights({name: tensor for name, tensor in of_ours.items() if name not in heads})
        return rest | {re.sub("^head", self.head, name): tensor for name, tensor in heads.items()}

    def backward(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients of ours, under the peer's names, and of theirs; only of what the loss depends on."""
        self.our_loss().backward()
        self.their_loss().backward()
        return self.named(gradients(self.ours)), gradients(self.theirs)


def gradients(net: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None}


def twins_of_pretraining() -> Twins:
    theirs = peer(BertForPreTraining)
    ours = pretraining(theirs)
    tokens, segments = drawn(RAGGED)
    inputs, real = table(tokens, segments), there(RAGGED)
    rows = rows_of([tokens[i] for i in real], [segments[i] for i in real])
    places = torch.tensor([1, 4, 5, 12, 20, 38])
    follows = torch.tensor([True, False, False, True])
    guess = Guess(rows, places, torch.tensor([7, 7, 1, 52, 30, 2]))
    flat = torch.full_like(rows.tokens, IGNORED).index_copy(0, places, guess.answers)
    labels = pad_sequence(list(flat.split(RAGGED)), batch_first=True, padding_value=IGNORED)
    next_sentence = torch.full((len(RAGGED),), IGNORED).index_copy(0, torch.tensor(real), 1 - follows.long())

    def our_loss() -> Tensor:
        marks = mark(ours, guess, follows, CPU)
        return marks.loss + marks.follows_loss

    return Twins(
        ours, theirs, our_loss, lambda: theirs(**inputs, labels=labels, next_sentence_label=next_sentence).loss
    )


def twins(
    task: Task,
    net: TaskNet,
    theirs: nn.Module,
    head: str,
    items: list[Item],
    inputs: dict[str, Tensor],
    shifts: frozenset[str] = frozenset(),
) -> Twins:
    """Twins of a task, whose loss is what its table of functions says."""
    ours, batch = with_head(net, theirs, head), collate(items)
    return Twins(ours, theirs, lambda: loss_of(task, ours, batch), lambda: theirs(**inputs).loss, head, shifts)


def loss_of(task: Task, net: TaskNet, batch: Batch) -> Tensor:
    return task.loss(net, net(batch.rows, batch.places), batch)


def items_of(
    tokens: Sequence[np.ndarray], segments: Sequence[np.ndarray], targets: Sequence[Any], dtype: type
) -> list[Item]:
    """One row each, of those that have word pieces."""
    return [
        Item((row,), (segment,), 1, np.array([target], dtype))
        for row, segment, target in zip(tokens, segments, targets, strict=True)
        if len(row)
    ]


def twins_of_classify() -> Twins:
    tokens, segments = drawn(RAGGED)
    classes = [2, IGNORED, 0, 1, 1]
    theirs = peer(BertForSequenceClassification, num_labels=3)
    net = classify.Classifier(Bert(SHAPE), 3, 0.0)
    items = items_of(tokens, segments, classes, np.int64)
    inputs = table(tokens, segments) | {"labels": torch.tensor(classes)}
    return twins(classify.CLASSIFY, net, theirs, "classifier", items, inputs)


def twins_of_similarity() -> Twins:
    tokens, segments = drawn([length for length in RAGGED if length])
    values = [0.25, 0.0, 1.0, 0.7]
    theirs = peer(BertForSequenceClassification, num_labels=1)
    net = similarity.CrossEncoder(Bert(SHAPE), 1, 0.0)
    items = items_of(tokens, segments, values, np.float32)
    inputs = table(tokens, segments) | {"labels": torch.tensor(values)}
    return twins(similarity.SIMILARITY, net, theirs, "classifier", items, inputs)


def twins_of_choose() -> Twins:
    tokens, segments = drawn([7, 12, 3, 5, 20, 9])
    right = [2, 0]
    theirs = peer(BertForMultipleChoice)
    net = choose.Chooser(Bert(SHAPE), 1, 0.0)
    items = [
        Item(tuple(tokens[first : first + 3]), tuple(segments[first : first + 3]), 3, np.array([target]))
        for first, target in zip((0, 3), right, strict=True)
    ]
    inputs = {name: each.unflatten(0, (2, 3)) for name, each in table(tokens, segments).items()}
    inputs |= {"labels": torch.tensor(right)}
    return twins(choose.CHOOSE, net, theirs, "classifier", items, inputs, frozenset({"classifier.bias"}))


def twins_of_tag() -> Twins:
    """Every second word piece begins a word."""
    tokens, segments = drawn(RAGGED)
    places = [np.arange(1, length, 2) for length in RAGGED]
    tags = [each * 3 % 4 for each in places]
    theirs = peer(BertForTokenClassification, num_labels=4)
    net = tag.Tagger(Bert(SHAPE), 4, 0.0)
    items = [
        Item((row,), (segment,), len(place), target, place)
        for row, segment, place, target in zip(tokens, segments, places, tags, strict=True)
        if len(row)
    ]
    inputs = table(tokens, segments)
    labels = torch.full_like(inputs["input_ids"], IGNORED)
    for row, place, target in zip(labels, places, tags, strict=True):
        row[place] = torch.from_numpy(target)
    return twins(tag.TAG, net, theirs, "classifier", items, inputs | {"labels": labels})


def twins_of_answer() -> Twins:
    """Rows are equally long: the peer's loss lets answers begin in the padding."""
    tokens, segments = drawn(EVEN)
    starts, ends = [5, 0, 8, 6], [7, 0, 8, 8]
    theirs = peer(BertForQuestionAnswering)
    net = answer.Answerer(Bert(SHAPE), 2, 0.0)
    targets = np.stack([starts, ends], 1)
    items = [  # the first has two windows
        Item(tuple(tokens[first:end]), tuple(segments[first:end]), 9 * (end - first), targets[first:end].ravel())
        for first, end in ((0, 2), (2, 3), (3, 4))
    ]
    inputs = table(tokens, segments) | {
        "start_positions": torch.tensor(starts),
        "end_positions": torch.tensor(ends),
    }
    shifts = frozenset({"qa_outputs.bias", "bert.encoder.layer.2.output.LayerNorm.bias"})
    return twins(answer.ANSWER, net, theirs, "qa_outputs", items, inputs, shifts)


ALL = [
    twins_of_pretraining, twins_of_classify, twins_of_similarity, twins_of_choose, twins_of_tag, twins_of_answer,
]  # fmt: skip
each_use = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__.removeprefix("twins_of_"))


@each_use
def test_losses_and_gradients_of_every_weight_are_the_peers(make: Callable[[], Twins]) -> None:
    both = make()
    with torch.no_grad():
        assert both.our_loss().item() == pytest.approx(both.their_loss().item(), abs=1e-5)
    mine, theirs = both.backward()
    assert mine.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            mine[name], gradient, rtol=1e-4, atol=1e-5, msg=lambda text, at=name: f"{at}: {text}"
        )
    vanishing = {name for name, gradient in theirs.items() if gradient.abs().max() < 1e-3}  # say nothing
    assert vanishing <= {f"bert.encoder.layer.{i}.attention.self.key.bias" for i in range(3)} | both.shifts


def test_an_answers_scores_are_the_peers_in_rows_of_any_length() -> None:
    both = twins_of_answer()
    tokens, segments = drawn(RAGGED)
    real = there(RAGGED)
    rows = rows_of([tokens[i] for i in real], [segments[i] for i in real])
    with torch.no_grad():
        scores = both.ours(rows, torch.empty(0))
        said = both.theirs(**table(tokens, segments))
    assert_close(scores, pieces_of(torch.stack([said.start_logits, said.end_logits], -1), RAGGED))


def test_weights_after_a_step_of_adamw_are_the_peers() -> None:
    """In fp64: a gradient of 0 but for rounding would move a weight by as much as any other."""
    both = twins_of_pretraining()
    for net in (both.ours, both.theirs):
        net.double()
    before = {name: weight.detach().clone() for name, weight in both.theirs.named_parameters()}
    both.backward()
    for net in (both.ours, both.theirs):
        torch.optim.AdamW(decay_groups(net, 0.01), lr=1e-2, betas=(0.9, 0.98), fused=True).step()
    mine, theirs = both.named(dict(both.ours.named_parameters())), dict(both.theirs.named_parameters())
    assert mine.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(mine[name], weight, rtol=0, atol=1e-6, msg=lambda text, at=name: f"{at}: {text}")
        assert not torch.equal(weight, before[name]) or name.endswith("key.bias"), name
