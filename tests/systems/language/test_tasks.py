"""The five tasks: that each can be learned, how examples become rows and outputs answers, and what is odd or empty."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daybreak.engine.device import Device
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Span, Tagged
from daybreak.systems.language.finetune import outputs_of
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.crf import CRF
from daybreak.systems.language.shape import Shape
from daybreak.systems.language.tasks import answer, tag
from daybreak.systems.language.tasks.answer import ANSWER, Cut
from daybreak.systems.language.tasks.choose import CHOOSE
from daybreak.systems.language.tasks.classify import CLASSIFY
from daybreak.systems.language.tasks.similarity import SIMILARITY
from daybreak.systems.language.tasks.tag import TAG
from daybreak.systems.language.tasks.task import Item, Task, TaskNet, collate, pair_rows, shortened
from daybreak.systems.language.wordpiece import encode, encode_words, read_wordpiece

CPU = Device(torch.device("cpu"), bf16=False)


def question(text: str, context: str, *answers: str) -> Question:
    return Question(text, context, tuple(Span(each, context.index(each)) for each in answers))


SENTENCES = [
    Pair("a fine film", label="good"),
    Pair("the plot is dull", label="bad"),
    Pair("dull , dull , dull", label="bad"),
    Pair("a fine plot and a fine end", label="good"),
    Pair("so so", label="neither"),
]
PAIRS = [
    Pair("a man sleeps", "a man is awake", "contradicts"),
    Pair("a man sleeps", "someone sleeps", "follows"),
    Pair("the cat sat", "something sat", "follows"),
    Pair("the cat sat", "the cat is awake", "contradicts"),
]
ALIKE = [
    Pair("a man sleeps", "a man sleeps", 5.0),
    Pair("a man sleeps", "someone sleeps", 3.8),
    Pair("the cat sat", "a man sleeps", 0.4),
    Pair("the cat sat", "the plot is dull", 0.0),
]
CHOICES = [
    Choice("the cat sat on the mat", "who sat ?", ("the man", "the cat"), 1),
    Choice("the man sleeps", "what does he do ?", ("he sleeps", "he sat", "he is awake", "he ate"), 0),
    Choice("the man ate and sleeps", "what did he do first ?", ("he sleeps", "he sat", "he ate"), 2),
]
ENTITIES = [
    Tagged(("Ann", "Lee", "of", "Rome", "sleeps"), ("B-PER", "I-PER", "O", "B-LOC", "O")),
    Tagged(("Rome", "is", "dull"), ("B-LOC", "O", "O")),
    Tagged(("the", "cat", "of", "Ann", "sat"), ("O", "O", "O", "B-PER", "O")),
]
WORDS = [
    Tagged(("the", "cat", "sat"), ("DET", "NOUN", "VERB")),
    Tagged(("Ann", "sleeps"), ("PROPN", "VERB")),
]
CONTEXT = (
    "the cat of Ann Lee sat on the mat and ate . the man is awake and the film is dull . he did so in Rome , where "
    "someone sleeps on the end of a mat and is so fine"
)
QUESTIONS = [
    question("who sat ?", CONTEXT, "the cat", "the cat of Ann Lee"),
    question("where ?", CONTEXT, "Rome"),
    question("who sleeps ?", CONTEXT, "someone"),
    question("what is dull ?", "the film is dull", "the film"),
]
UNANSWERABLE = [*QUESTIONS, question("who is he ?", CONTEXT)]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
KNOWN = [
    *",.?", "and", "ann", "ate", "awake", "cat", "dull", "end", "film", "fine", "he", "is", "lee", "man", "mat", "of",
    "on", "plot", "rome", "sat", "sleeps", "so", "someone", "something", "the", "what", "where", "who",
]  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Reads the words above as one piece each, and all others by their letters."""
    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *KNOWN]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in pieces))
    shape = Shape(len(pieces), hidden_size=32, num_layers=2, num_heads=2, inner_size=64, positions=64)
    return Reader(read_wordpiece(path, True), True, shape)


def settled(**changes: Any) -> FinetuneConfig:
    return FinetuneConfig(**({"length": 28, "stride": 6, "dropout": 0.0} | changes))


def made(task: Task, labels: tuple[str, ...], reader: Reader, config: FinetuneConfig) -> TaskNet:
    torch.manual_seed(0)
    return task.net(Bert(reader.shape, config.dropout), labels, config)


@dataclass
class Trained:
    """A network after training on one batch, and its last loss."""

    net: TaskNet
    labels: tuple[str, ...]
    loss: float


def overfit(
    task: Task, examples: Sequence[Example], reader: Reader, config: FinetuneConfig, enough: float = 0.03
) -> Trained:
    """Up to 300 steps on one batch; fewer where the loss is ``enough`` before."""
    labels = task.labels(examples)
    batch = collate(task.items(examples, reader, labels, config))
    net = made(task, labels, reader, config)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    value, steps = torch.inf, 0
    while value > enough and steps < 300:
        loss = task.loss(net, net(batch.rows, batch.places), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value, steps = loss.item(), steps + 1
    return Trained(net, labels, value)


def tell(
    task: Task, trained: Trained, examples: Sequence[Example], reader: Reader, config: FinetuneConfig
) -> list[Any]:
    items = task.items(examples, reader, trained.labels, config)
    return task.tell(trained.net, outputs_of(trained.net, items, CPU), items, examples, trained.labels)


def untrained(task: Task, examples: Sequence[Example], reader: Reader, config: FinetuneConfig) -> Trained:
    labels = task.labels(examples)
    return Trained(made(task, labels, reader, config), labels, torch.inf)


# ----------------------------------------------------------------------------- each can be learned


@pytest.mark.parametrize("examples", [SENTENCES, PAIRS], ids=["sentences", "pairs"])
def test_classes_are_learned(examples: list[Pair], reader: Reader) -> None:
    trained = overfit(CLASSIFY, examples, reader, settled())
    told = tell(CLASSIFY, trained, examples, reader, settled())
    assert trained.loss < 0.1
    assert [each.label for each in told] == [each.label for each in examples]
    for each in told:
        assert each.probability == max(each.others.values()) > 0.8 and set(each.others) == set(trained.labels)
        assert sum(each.others.values()) == pytest.approx(1, abs=1e-5)
    assert CLASSIFY.scores(examples, told)["accuracy"] == 100


@pytest.mark.parametrize("encoder", ["cross", "bi"])
def test_similarities_are_learned(encoder: str, reader: Reader) -> None:
    config = settled(encoder=encoder)
    trained = overfit(SIMILARITY, ALIKE, reader, config, enough=1e-3)
    told = tell(SIMILARITY, trained, ALIKE, reader, config)
    assert trained.loss < 0.01
    assert told == pytest.approx([each.label for each in ALIKE], abs=0.5)
    assert SIMILARITY.scores(ALIKE, told)["pearson"] > 98


def test_two_sentences_are_as_alike_in_either_order_for_the_bi_encoder(reader: Reader) -> None:
    config = settled(encoder="bi")
    trained = untrained(SIMILARITY, ALIKE, reader, config)
    one, other = (
        tell(SIMILARITY, trained, pairs, reader, config)
        for pairs in (ALIKE, [Pair(str(each.second), each.first) for each in ALIKE])
    )
    assert one == pytest.approx(other, abs=1e-4)
    assert one[0] == pytest.approx(5.0, abs=1e-4)  # a sentence and itself


def test_choices_are_learned_among_any_number_of_options(reader: Reader) -> None:
    trained = overfit(CHOOSE, CHOICES, reader, settled())
    told = tell(CHOOSE, trained, CHOICES, reader, settled())
    assert trained.loss < 0.1
    assert [each.number for each in told] == [each.label for each in CHOICES]
    for each, example in zip(told, CHOICES, strict=True):
        assert each.option == example.options[each.number]
        assert len(each.probabilities) == len(example.options) and sum(each.probabilities) == pytest.approx(1, abs=1e-5)
    assert CHOOSE.scores(CHOICES, told) == {"accuracy": 100}


@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
@pytest.mark.parametrize("examples", [ENTITIES, WORDS], ids=["entities", "words"])
def test_tags_are_learned(examples: list[Tagged], crf: bool, reader: Reader) -> None:
    config = settled(crf=crf)
    trained = overfit(TAG, examples, reader, config)
    told = tell(TAG, trained, examples, reader, config)
    assert trained.loss < 0.1
    assert told == [each.tags for each in examples]
    assert set(TAG.scores(examples, told).values()) == {100}
    assert isinstance(trained.net.crf, CRF) == crf


@pytest.mark.parametrize("examples", [QUESTIONS, UNANSWERABLE], ids=["answers", "some without"])
def test_answers_are_learned_from_contexts_longer_than_a_row(examples: list[Question], reader: Reader) -> None:
    config = settled()
    rows = [len(item.tokens) for item in ANSWER.items(examples, reader, (), config)]
    assert rows[0] > 3 and rows[3] == 1
    trained = overfit(ANSWER, examples, reader, config)
    told = tell(ANSWER, trained, examples, reader, config)
    assert trained.loss < 0.1
    for answers, example in zip(told, examples, strict=True):
        assert answers[0].text == (example.answers[0].text if example.answers else "")
        assert example.context[answers[0].start : answers[0].end] == answers[0].text
        assert answers[0].probability > 0.5 and len(answers) <= answer.BEST
    assert ANSWER.scores(examples, told) == {"f1": 100, "exact_match": 100}


# ----------------------------------------------------------------------------- outputs that say what is known


def perfect(task: Task, item: Item, labels: tuple[str, ...]) -> Tensor:
    """What a network would give that knows the target."""
    assert item.target is not None
    target = torch.from_numpy(item.target)
    if task is SIMILARITY:
        return target
    if task is ANSWER:
        places = target.unflatten(0, (-1, 2)) + torch.tensor([0, *map(len, item.tokens)])[:-1].cumsum(0)[:, None]
        return torch.zeros(item.outputs, 2).scatter(0, places, 50.0)
    if task is CHOOSE:
        return torch.zeros(item.outputs).index_fill(0, target, 50.0)
    return torch.zeros(item.outputs, len(labels)).scatter(1, target[:, None], 50.0)


def truths(task: Task, examples: Sequence[Any]) -> list[Any]:
    if task is TAG:
        return [each.tags for each in examples]
    if task is ANSWER:
        return [each.answers[0] if each.answers else Span("", 0) for each in examples]
    return [each.label for each in examples]


@pytest.mark.parametrize(
    ("task", "examples", "changes"),
    [
        (CLASSIFY, SENTENCES, {}),
        (SIMILARITY, ALIKE, {"encoder": "cross"}),
        (SIMILARITY, ALIKE, {"encoder": "bi"}),
        (CHOOSE, CHOICES, {}),
        (TAG, ENTITIES, {}),
        (TAG, ENTITIES, {"crf": True}),
        (ANSWER, QUESTIONS, {}),
        (ANSWER, UNANSWERABLE, {}),
    ],
    ids=["classify", "cross", "bi", "choose", "tag", "crf", "answer", "no answer"],
)
def test_a_target_is_told_as_the_label_that_it_was(
    task: Task, examples: list[Example], changes: dict[str, Any], reader: Reader
) -> None:
    config = settled(**changes)
    trained = untrained(task, examples, reader, config)
    items = task.items(examples, reader, trained.labels, config)
    outputs = [perfect(task, item, trained.labels) for item in items]
    told = task.tell(trained.net, outputs, items, examples, trained.labels)
    expected = truths(task, examples)
    if task is SIMILARITY:
        assert told == pytest.approx(expected, abs=1e-5)
    elif task is CLASSIFY:
        assert [each.label for each in told] == expected
    elif task is CHOOSE:
        assert [each.number for each in told] == expected
    elif task is ANSWER:
        assert [Span(each[0].text, each[0].start) for each in told] == expected
    else:
        assert told == expected


@torch.no_grad()
def test_a_perfect_network_loses_nothing_and_one_that_knows_nothing_as_much_as_chance(reader: Reader) -> None:
    windows = [len(row) for item in ANSWER.items(QUESTIONS, reader, (), settled()) for row in item.tokens]
    for task, examples, changes, chance in (
        (CLASSIFY, SENTENCES, {}, np.log(3)),
        (CHOOSE, CHOICES, {}, np.log([2, 4, 3]).mean()),
        (TAG, WORDS, {}, np.log(4)),
        (TAG, WORDS, {"crf": True}, np.log(4)),
        (ANSWER, QUESTIONS, {}, np.log(windows).mean()),
    ):
        config = settled(**changes)
        trained = untrained(task, examples, reader, config)
        items = task.items(examples, reader, trained.labels, config)
        outputs, batch = torch.cat([perfect(task, item, trained.labels) for item in items]), collate(items)
        assert task.loss(trained.net, outputs, batch) < 1e-6
        assert task.loss(trained.net, 0 * outputs, batch).item() == pytest.approx(chance)


# ----------------------------------------------------------------------------- batches


@pytest.mark.parametrize(
    ("task", "examples"),
    [(CLASSIFY, PAIRS), (SIMILARITY, ALIKE), (CHOOSE, CHOICES), (TAG, ENTITIES), (ANSWER, QUESTIONS)],
    ids=["classify", "similarity", "choose", "tag", "answer"],
)
def test_what_is_said_of_an_example_does_not_depend_on_the_others(
    task: Task, examples: list[Example], reader: Reader
) -> None:
    config = settled(encoder="bi", length=16)
    trained = untrained(task, examples, reader, config)
    items = task.items(examples, reader, trained.labels, config)
    together = outputs_of(trained.net, items, CPU)
    backwards = outputs_of(trained.net, items[::-1], CPU, tokens=40)[::-1]
    for item, one, other in zip(items, together, backwards, strict=True):
        (alone,) = outputs_of(trained.net, [item], CPU)
        assert len(alone) == item.outputs
        torch.testing.assert_close(one, alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(other, alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
def test_the_loss_of_tags_is_the_mean_over_all_words(crf: bool, reader: Reader) -> None:
    trained = untrained(TAG, ENTITIES, reader, config := settled(crf=crf))
    items = TAG.items(ENTITIES, reader, trained.labels, config)

    def loss(of: list[Item]) -> float:
        batch = collate(of)
        return TAG.loss(trained.net, trained.net(batch.rows, batch.places), batch).item()

    alone = [loss([item]) * item.outputs for item in items]
    assert loss(items) == pytest.approx(sum(alone) / sum(item.outputs for item in items), abs=1e-5)


# ----------------------------------------------------------------------------- labels


def test_labels_that_were_not_seen_have_no_target_and_are_never_told(reader: Reader) -> None:
    trained = untrained(CLASSIFY, SENTENCES, reader, settled())
    unheard = [Pair("a fine film", label="odd"), Pair("the plot is dull", label="bad"), Pair("so so")]
    targets = [item.target for item in CLASSIFY.items(unheard, reader, trained.labels, settled())]
    assert trained.labels == ("bad", "good", "neither")
    assert targets[0] is None and targets[1] is not None and targets[1].tolist() == [0] and targets[2] is None
    told = tell(CLASSIFY, trained, unheard, reader, settled())
    assert {each.label for each in told} <= set(trained.labels)
    assert CLASSIFY.scores(unheard[:1], told[:1])["accuracy"] == 0


def test_tags_that_were_not_seen_have_no_target(reader: Reader) -> None:
    labels = TAG.labels(ENTITIES[1:])
    assert labels == ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")  # I of what only began
    unheard = [Tagged(("Ann",), ("B-ORG",)), Tagged(("Ann",), ("B-PER",)), Tagged(("Ann",))]
    targets = [item.target for item in TAG.items(unheard, reader, labels, settled())]
    assert targets[0] is None and targets[1] is not None and targets[1].tolist() == [1] and targets[2] is None


def test_without_labels_all_tasks_still_tell(reader: Reader) -> None:
    for task, examples, bare in (
        (CLASSIFY, SENTENCES, Pair("a fine film")),
        (SIMILARITY, ALIKE, Pair("a fine film", "the plot")),
        (CHOOSE, CHOICES, Choice("the cat sat", "who ?", ("a cat", "a man"))),
        (TAG, ENTITIES, Tagged(("a", "fine", "film"))),
        (ANSWER, QUESTIONS, Question("who sat ?", "the cat sat")),
    ):
        assert len(tell(task, untrained(task, examples, reader, settled()), [bare], reader, settled())) == 1


def test_the_crf_never_tells_an_entity_that_goes_on_without_a_beginning(reader: Reader) -> None:
    trained = untrained(TAG, ENTITIES, reader, settled(crf=True))
    inside = trained.labels.index("I-PER")
    sure = torch.zeros(4, len(trained.labels)).index_fill(1, torch.tensor([inside]), 9.0)
    (told,) = TAG.tell(trained.net, [sure], [], ENTITIES[:1], trained.labels)
    assert told == ("B-PER", "I-PER", "I-PER", "I-PER")


# ----------------------------------------------------------------------------- what is too long


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


def test_options_stay_whole_where_the_context_is_too_long(reader: Reader) -> None:
    example = Choice("the cat sat on the mat . " * 9, "who sat ?", ("the man", "the cat"), 1)
    (item,) = CHOOSE.items([example], reader, (), settled(length=16))
    for tokens, option in zip(item.tokens, example.options, strict=True):
        end = [*encode(reader.tokenizer, [f"who sat ? {option}"])[0].ids, reader.special.sep]
        assert len(tokens) == 16 and tokens[-len(end) :].tolist() == end


@given(st.lists(st.integers(1, 14), max_size=20), st.integers(4, 12))
@settings(deadline=None)
def test_a_sentence_over_several_rows_keeps_its_words_and_their_places(sizes: list[int], room: int) -> None:
    words = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes]) if sizes else np.empty(0, np.int64)
    pieces = (100 * words + within).astype(np.int32)  # says which piece of which word it is
    rows, places = tag.split_words(pieces, words, room)
    assert all(len(row) <= room for row in rows)
    kept = pieces[within < room]
    assert np.concatenate(rows).tolist() == kept.tolist()
    with_ends = np.concatenate([[-1, *row, -1] for row in rows])
    assert with_ends[places].tolist() == [100 * word for word in range(len(sizes))]
    assert all(row[0] % 100 == 0 for row in rows if len(row))
    assert len(rows) == 1 or all(
        len(one) + min(sizes[int(two[0]) // 100], room) > room for one, two in itertools.pairwise(rows)
    )


def test_a_long_sentence_is_tagged_over_several_rows(reader: Reader) -> None:
    words = ("Ann", "Lee", "zzz", "of", "Rome", "unheardof", "sleeps", "and", "xy", "sat", "q" * 30, "on", "mat")
    example = Tagged(words, tuple("O" if word.islower() else "B-PER" for word in words))
    config = settled(length=10)
    trained = untrained(TAG, [example], reader, config)
    (item,) = TAG.items([example], reader, trained.labels, config)
    assert len(item.tokens) > 3 and item.outputs == len(words) and item.places is not None
    firsts = [encode_words(reader.tokenizer, [word]).ids[0] for word in words]
    assert np.concatenate(item.tokens)[item.places].tolist() == firsts
    for row in item.tokens:
        assert len(row) <= 10 and row[0] == reader.special.cls and row[-1] == reader.special.sep
    fitted = overfit(TAG, [example, *ENTITIES], reader, config)
    assert tell(TAG, fitted, [example], reader, config) == [example.tags]


# ----------------------------------------------------------------------------- answers by their characters


@st.composite
def contexts(draw: st.DrawFn) -> tuple[str, Span]:
    """A context with accents, capitals, other scripts and odd spaces, and an answer of whole words."""
    words = st.sampled_from(
        ["the", "Émile", "ZOLA", "naïve", "書", "it's", "co-op", "ﬁne", "I\u0307zmir", "cat", ".", "x1"]
    )
    chosen = draw(st.lists(st.tuples(words, st.sampled_from([" ", "  ", "\n", "\u00a0"])), min_size=1, max_size=40))
    begins = np.cumsum([0, *(len(word) + len(space) for word, space in chosen)])
    first = draw(st.integers(0, len(chosen) - 1))
    last = draw(st.integers(first, min(first + 2, len(chosen) - 1)))
    context = "".join(word + space for word, space in chosen)
    start, end = int(begins[first]), int(begins[last]) + len(chosen[last][0])
    return context, Span(context[start:end], start)


@given(contexts())
@settings(deadline=None, max_examples=100)
def test_the_target_of_an_answer_is_its_characters_in_every_row_that_has_it(
    reader: Reader, drawn: tuple[str, Span]
) -> None:
    context, span = drawn
    (item,) = ANSWER.items([Question("who ?", context, (span,))], reader, (), settled(length=40))
    cut: Cut = item.cut
    assert item.target is not None
    found = 0
    for tokens, (first, end), (begin, last) in zip(item.tokens, cut.pieces, item.target.reshape(-1, 2), strict=True):
        whole = cut.offsets[first][0] <= span.start and span.start + len(span.text) <= cut.offsets[end - 1][1]
        assert len(tokens) == cut.before + end - first + 1
        assert (begin > 0) == (last > 0) == whole
        if whole:
            found += 1
            start, stop = cut.offsets[first + begin - cut.before][0], cut.offsets[first + last - cut.before][1]
            assert context[start:stop] == span.text
    assert found or len(encode(reader.tokenizer, [span.text])[0].ids) > 20


@given(contexts())
@settings(deadline=None, max_examples=50)
def test_an_answer_is_told_by_the_characters_that_it_was_marked_by(reader: Reader, drawn: tuple[str, Span]) -> None:
    context, span = drawn
    examples = [Question("who ?", context, (span,))]
    items = ANSWER.items(examples, reader, (), settled(length=63, stride=10))
    net = made(ANSWER, (), reader, settled())
    ((best, *_),) = ANSWER.tell(net, [perfect(ANSWER, items[0], ())], items, examples, ())
    assert best.text == span.text and context[best.start : best.end] == span.text


def test_an_answer_within_a_word_is_the_pieces_that_have_it(reader: Reader) -> None:
    (item,) = ANSWER.items([Question("who ?", "the xyzzy sat", (Span("zz", 6),))], reader, (), settled())
    assert item.target is not None
    pieces = [reader.tokenizer.id_to_token(item.tokens[0][place]) for place in item.target]
    assert pieces == ["##z", "##z"] and item.target[1] == item.target[0] + 1


def test_a_question_longer_than_half_a_row_is_cut(reader: Reader) -> None:
    (item,) = ANSWER.items([question("who sat ? " * 20, CONTEXT, "Rome")], reader, (), settled(length=20))
    assert max(map(len, item.tokens)) == 20
    assert all(row.tolist().index(reader.special.sep) == 11 for row in item.tokens)


# ----------------------------------------------------------------------------- nothing at all


@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
def test_empty_texts_are_defined(crf: bool, reader: Reader) -> None:
    config = settled(crf=crf)
    odd = ("", " ", "\u200b", "\x00", "\u202e")
    for task, examples, empty in (
        (CLASSIFY, SENTENCES, [Pair(text) for text in odd]),
        (CLASSIFY, SENTENCES, [Pair(text, text) for text in odd]),
        (SIMILARITY, ALIKE, [Pair(text, text) for text in odd]),
        (CHOOSE, CHOICES, [Choice(text, text, (text, "the cat")) for text in odd]),
        (TAG, ENTITIES, [Tagged(()), Tagged(odd), Tagged(("the", "\u200b", "cat"))]),
    ):
        trained = untrained(task, examples, reader, config)
        told = tell(task, trained, empty, reader, config)
        outputs = outputs_of(trained.net, task.items(empty, reader, trained.labels, config), CPU)
        assert len(told) == len(empty) and all(each.isfinite().all() for each in outputs)
        if task is TAG:
            assert [len(each) for each in told] == [0, 5, 3]


@pytest.mark.parametrize("examples", [QUESTIONS, UNANSWERABLE], ids=["answers", "some without"])
def test_an_empty_context_has_no_answer(examples: list[Question], reader: Reader) -> None:
    trained = untrained(ANSWER, examples, reader, settled())
    told = tell(ANSWER, trained, [Question("who ?", ""), Question("", " "), Question("", "cat")], reader, settled())
    none = [""] if examples is UNANSWERABLE else []
    assert [[each.text for each in answers] for answers in told[:2]] == [none, none]
    assert "cat" in [each.text for each in told[2]]


def test_a_sentence_without_words_does_not_disturb_training(reader: Reader) -> None:
    examples = [Tagged((), ()), *ENTITIES]
    for crf in (False, True):
        config = settled(crf=crf)
        trained = overfit(TAG, examples, reader, config)
        assert tell(TAG, trained, examples, reader, config) == [each.tags for each in examples]
