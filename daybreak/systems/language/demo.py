"""The demo's chapter: a BERT that has read novels guesses words of Python's reference; another learns what is code."""

from __future__ import annotations

import time
from pathlib import Path

from daybreak import draw
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.engine.rundir import log_series
from daybreak.systems.language import datasets, neighbours
from daybreak.systems.language.config import BROUGHT, code_tiny, tiny
from daybreak.systems.language.evaluate import evaluate, floors_of, most_frequent
from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.finetune import finetune
from daybreak.systems.language.predict import load_for
from daybreak.systems.language.pretrain import pairs_of, quiz_of
from daybreak.systems.language.uses import Tagger
from daybreak.systems.language.words import words_of

HOLES = (
    "She opened the [MASK] and went out.", "He did not [MASK] a word.", "It is not [MASK] to change the value.",
    "This is the same [MASK] as above.",
)  # fmt: skip
WORDS = ("man", "red", "quickly", "children")
SENTENCE = "The len function raises a TypeError if its argument is None."
ROWS = 60
"""Rows of the reference in which words are guessed."""


def chapter(folder: Path) -> Chapter:
    """Ask ``bert-mini`` about text that it has not read, and fine-tune ``code-tiny`` in ``folder``."""
    started = time.monotonic()
    bert = load_for(MaskedLM, Path(BROUGHT))
    prose = datasets.corpus("pydoc")
    guessed, least = masked_accuracy(bert, prose)
    draw.bars(filled(bert), folder / "holes.png")
    draw.bars(near(bert), folder / "near.png")
    learning = code_tiny()
    learning.out, learning.steps = str(folder / "run"), 150
    run = finetune(learning)
    tags = evaluate(run)
    draw.bars([draw.Bars(SENTENCE, code_shares(load_for(Tagger, run), SENTENCE))], folder / "sentence.png")
    steps, scores = log_series(run, "val_f1")
    lines = {"BERT": (steps, scores), "looking words up": (steps, [tags["test_floor_f1"]] * len(steps))}
    draw.curves(lines, folder / "f1.png", y_label="F1, percent", y_span=(0, 50))
    return Chapter(
        system="language",
        title="Language: a BERT guesses hidden words, and another learns to tell code from prose",
        text=(
            "BERT-mini, which daybreak brings, has read novels, speeches and film reviews for an hour. Here words of "
            "Python's own reference are hidden from it, which it has never seen. Then two new layers of BERT learn "
            "from examples which words the reference sets as code, and are tested on topics that they have not seen. "
            "The floor of that is the list of all code words of the other topics."
        ),
        numbers=[
            Number("hidden word pieces guessed, by BERT-mini", guessed, "%", least, 20.0),
            Number("code found in unseen topics, F1", tags["test_f1"], "%", tags["test_floor_f1"], 25.0),
            Number("sentences tested", tags["test_examples"]),
        ],
        pictures=[
            Picture("holes.png", "What BERT-mini thinks stands at each [MASK]"),
            Picture("near.png", "The words whose vectors are nearest to those of four, by cosine in percent"),
            Picture("sentence.png", "How sure the small BERT is that each word of a sentence is code"),
            Picture("f1.png", "F1 on held-out topics while learning, and that of looking words up"),
        ],
        commands=[
            f'daybreak language fill {BROUGHT} "{HOLES[0]}"',
            "daybreak language finetune code-tiny",
            f'daybreak language tag runs/language-code-tiny-seed0 "{SENTENCE}"',
        ],
        seconds=time.monotonic() - started,
    )  # fmt: skip


def masked_accuracy(bert: MaskedLM, prose: datasets.Corpus) -> tuple[float, float]:
    """Percent of hidden word pieces of held-out prose that are guessed, and that can be without reading the context."""
    config = tiny()
    quiz = quiz_of(pairs_of(prose.held_out, bert.reader, config), bert.reader, config.tokens, ROWS)
    floors = floors_of(quiz.guesses, most_frequent(prose.train, bert.reader), bert.reader.special.mask)
    return quiz.ask(bert.net, bert.device, follows=False)["masked_accuracy"], floors["copy_accuracy"]


def filled(bert: MaskedLM) -> list[draw.Bars]:
    """The likeliest word pieces of each hole."""
    return [
        draw.Bars(text, {piece.text: piece.probability for piece in hole})
        for text, (hole,) in zip(HOLES, bert.fill(HOLES, 3), strict=True)
    ]


def near(bert: MaskedLM) -> list[draw.Bars]:
    """The words whose vectors are nearest to those of some."""
    vocabulary = bert.reader.tokenizer.get_vocab()
    numbers = [number for name, number in vocabulary.items() if name.isalpha()]
    names = {number: name for name, number in vocabulary.items()}
    vectors = neighbours.centred(bert.bert.embeddings.tokens.weight.detach()[numbers])
    found: list[draw.Bars] = []
    for word in WORDS:
        best = (vectors @ vectors[numbers.index(vocabulary[word])]).topk(5)
        shares = {names[numbers[place]]: value for value, place in zip(*map(list, best), strict=True)}
        found.append(draw.Bars(word, {name: float(value) for name, value in shares.items() if name != word}))
    return found


def code_shares(tagger: Tagger, text: str) -> dict[str, float]:
    """The probability of each word of a text to be code, by the words, of which none may come twice."""
    words = tuple(word.text for word in words_of(text))
    (scores,), _ = tagger.outputs([Tagged(words)])
    prose = scores.softmax(-1)[:, tagger.labels.index("O")]
    return dict(zip(words, (1 - prose).tolist(), strict=True))
