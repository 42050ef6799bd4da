"""The demo's chapter: BERT reads Python's reference, and learns from examples which of its words are code."""

from __future__ import annotations

import time
from pathlib import Path

from daybreak import draw
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.engine.rundir import log_series
from daybreak.systems.language.config import code_tiny, tiny
from daybreak.systems.language.evaluate import evaluate
from daybreak.systems.language.examples import Tagged
from daybreak.systems.language.finetune import finetune
from daybreak.systems.language.predict import load_for
from daybreak.systems.language.pretrain import pretrain
from daybreak.systems.language.uses import Tagger
from daybreak.systems.language.words import words_of

SENTENCE = "The len function raises a TypeError if its argument is None."


def chapter(folder: Path) -> Chapter:
    """Pretrain ``tiny`` and fine-tune ``code-tiny`` in ``folder``, and test both on topics that neither has seen."""
    started = time.monotonic()
    reading, learning = tiny(), code_tiny()
    reading.out, learning.out = str(folder / "reading"), str(folder / "run")
    learning.pretrained = str(pretrain(reading))
    masked = evaluate(learning.pretrained)
    run = finetune(learning)
    tags = evaluate(run)
    steps, scores = log_series(run, "val_f1")
    lines = {"BERT": (steps, scores), "code words of other topics": (steps, [tags["test_floor_f1"]] * len(steps))}
    draw.curves(lines, folder / "f1.png", y_label="F1, percent", y_span=(0, 50))
    shares = code_shares(load_for(Tagger, run), SENTENCE)
    draw.bars([draw.Bars(SENTENCE, shares)], folder / "sentence.png")
    return Chapter(
        system="language",
        title="Language: a small BERT learns to tell code from prose",
        text=(
            "Two layers of BERT read Python's own reference, of which some words are hidden and have to be guessed. "
            "In seconds they learn little more than which words are frequent; a real pretraining takes an hour. Then "
            "they are fine-tuned on sentences in which the reference sets some words as code, and tested on topics "
            "that they have never seen. The floor is the list of all code words of the other topics."
        ),
        numbers=[
            Number("code found in unseen topics, F1", tags["test_f1"], "%", tags["test_floor_f1"], 25.0),
            Number("sentences tested", tags["test_examples"]),
            Number(
                "hidden word pieces guessed", masked["held_out_masked_accuracy"], "%", masked["copy_accuracy"],
                note="a tenth is not hidden, which the floor makes use of, and this network does not yet",
            ),
        ],
        pictures=[
            Picture("sentence.png", "How sure it is that each word of a sentence is code"),
            Picture("f1.png", "F1 on held-out topics while learning, and that of looking words up"),
        ],
        commands=[
            "daybreak language pretrain tiny",
            "daybreak language finetune code-tiny --pretrained runs/language-tiny-seed0",
            f'daybreak language tag runs/language-code-tiny-seed0 "{SENTENCE}"',
        ],
        seconds=time.monotonic() - started,
    )  # fmt: skip


def code_shares(tagger: Tagger, text: str) -> dict[str, float]:
    """The probability of each word of a text to be code, by the words, of which none may come twice."""
    words = tuple(word.text for word in words_of(text))
    (scores,), _ = tagger.outputs([Tagged(words)])
    prose = scores.softmax(-1)[:, tagger.labels.index("O")]
    return dict(zip(words, (1 - prose).tolist(), strict=True))
