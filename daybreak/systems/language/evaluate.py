"""What a run was trained for, on examples that training never saw: official metrics, and answers to read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from daybreak import draw
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.rundir import CURVES, SAMPLES, config_of, log_series, write_json
from daybreak.systems.language import datasets
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.config import PretrainConfig
from daybreak.systems.language.encoders import is_public
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Tagged
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.floors import floor
from daybreak.systems.language.formats.documents import Document
from daybreak.systems.language.masking import Guess
from daybreak.systems.language.pairs import encode
from daybreak.systems.language.predict import load
from daybreak.systems.language.pretrain import pairs_of, quiz_of
from daybreak.systems.language.uses import Finetuned
from daybreak.systems.language.wordpiece import INSIDE, MASK

SHOWN = 20
"""Examples written down for a reader."""


def evaluate(run_dir: str | Path) -> dict[str, float]:
    """The numbers of a run of either loop, in percent, beside those of counting words.

    ``samples/`` gets answers to read. Test examples are read here and nowhere else. Raises UserError for a public
    checkpoint, of which nobody knows what it has not read.
    """
    folder = Path(run_dir)
    if is_public(folder):
        raise UserError(f"{folder} is a public checkpoint: finetune with --pretrained {folder}, and evaluate that run")
    model = load(folder)
    with disk_errors(folder / SAMPLES):  # before the work, which would be lost
        (folder / SAMPLES).mkdir(exist_ok=True)
    if isinstance(model, Finetuned):
        return of_task(model, folder)
    return of_pretraining(model, config_of(PretrainConfig, folder), folder)


# ----------------------------------------------------------------------------- fine-tuned


def of_task(model: Finetuned, folder: Path) -> dict[str, float]:
    """The task's official metrics on each test set, ``floor_...`` of the task's floor, and how many examples.

    Raises UserError for a run on files of the user's, of which none is for testing.
    """
    splits = datasets.load(model.config)
    if not splits.test:
        raise UserError(f"{folder} has no examples to test it on: train it with --test-file")
    numbers: dict[str, float] = {}
    for name, examples in splits.test.items():
        told = model.tell(examples)
        _, least = floor(model.learned.task, splits.train, examples)
        scores = model.task.scores(examples, told) | {f"floor_{metric}": value for metric, value in least.items()}
        numbers |= {f"{name}_{metric}": value for metric, value in {**scores, "examples": len(examples)}.items()}
        write_atomic(folder / SAMPLES / f"{name}.tsv", table(examples, told).encode())
    return numbers


def table(examples: Sequence[Example], told: Sequence[Any]) -> str:
    """Examples from all over a set with what is true and what was told, tab-separated under a header."""
    numbers = np.linspace(0, len(examples) - 1, min(SHOWN, len(examples))).astype(int)
    rows = [("example", "truth", "prediction"), *(_row(examples[i], told[i]) for i in numbers)]
    return "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)


def _row(example: Example, told: Any) -> tuple[str, str, str]:
    """An example, the truth, and what was told, each as a text."""
    match example:
        case Pair():
            text = example.first if example.second is None else f"{example.first} | {example.second}"
            return text, str(example.label), f"{told:.2f}" if isinstance(told, float) else told.label
        case Choice():
            true = "" if example.label is None else example.options[example.label]
            return f"{example.question} ({' | '.join(example.options)})", true, told.option
        case Tagged():
            return " ".join(example.words), " ".join(example.tags or ()), " ".join(told)
        case Question():
            answers = dict.fromkeys(answer.text for answer in example.answers)
            return example.question, " | ".join(answers), told[0].text if told else ""


# ----------------------------------------------------------------------------- pretrained


def of_pretraining(model: MaskedLM, config: PretrainConfig, folder: Path) -> dict[str, float]:
    """How well masked word pieces of all held-out rows are guessed, and whether the second sentence follows.

    The floors are ``unigram_accuracy`` and ``copy_accuracy``, as :func:`floors_of`, and ``held_out_follows_majority``.
    """
    corpus = datasets.corpus(config.corpus, config.files)
    reader, net = model.reader, model.net
    pairs = pairs_of(corpus.held_out, reader, config)
    quiz = quiz_of(pairs, reader, config.tokens, len(pairs))
    numbers = quiz.ask(net, model.device, follows=config.next_sentence)
    if config.next_sentence:
        numbers["follows_majority"] = 100 * max(pairs.follows.mean(), 1 - pairs.follows.mean())
    floors = floors_of(quiz.guesses, most_frequent(corpus.train, reader), reader.special.mask)
    few = quiz_of(pairs, reader, config.tokens, SHOWN)
    rows = [row for guess in few.guesses for row in guessed(model, guess)]
    lines = ["text\ttruth\tguess", *("\t".join(row) for row in rows)]
    write_atomic(folder / SAMPLES / "masked.tsv", "".join(f"{line}\n" for line in lines).encode())
    curve(folder, floors["copy_accuracy"])
    held_out = {f"held_out_{name}": value for name, value in numbers.items()}
    masked = sum(len(guess.places) for guess in quiz.guesses)
    return {**held_out, **floors, "held_out_rows": len(pairs), "masked_pieces": masked}


def floors_of(guesses: Sequence[Guess], frequent: int, mask: int) -> dict[str, float]:
    """Percent right without reading a word of the context.

    ``unigram_accuracy`` is that of one word piece, the most frequent, everywhere; ``copy_accuracy`` of that one at each
    [MASK], and elsewhere of what stands there, since a tenth of the chosen pieces are left as they were.
    """
    answers = torch.cat([guess.answers for guess in guesses])
    seen = torch.cat([guess.rows.tokens[guess.places] for guess in guesses])
    right = {"unigram_accuracy": answers == frequent, "copy_accuracy": answers == seen.where(seen != mask, frequent)}
    return {name: 100 * each.float().mean().item() for name, each in right.items()}


def most_frequent(documents: Sequence[Document], reader: Reader) -> int:
    """Number of the word piece that a text has most often."""
    return int(np.bincount(encode(documents, reader.tokenizer).pieces).argmax())


def curve(folder: Path, floor: float) -> None:
    """Draw the accuracy while learning, above its floor, and keep it for the record."""
    steps, values = log_series(folder, "val_masked_accuracy")
    if not steps:
        return
    write_json(folder / CURVES, {"masked_accuracy_by_step": {"x": steps, "y": values}})
    lines = {"BERT": (steps, values), "without reading the context": (steps, [floor] * len(steps))}
    path = folder / SAMPLES / "masked_accuracy.png"
    draw.curves(lines, path, y_label="percent of masked word pieces", y_span=(0, 10))
    write_atomic(path.with_suffix(".txt"), b"Held-out masked word pieces guessed right while learning\n")


@torch.no_grad()
def guessed(model: MaskedLM, guess: Guess) -> list[tuple[str, str, str]]:
    """Each row of a batch with holes: its text, what stood in them, and what the network thinks."""

    def names(tokens: Tensor) -> list[str]:
        return [model.reader.tokenizer.id_to_token(token) or "" for token in tokens.tolist()]

    with model.device.autocast():
        placed = model.device.place(guess)
        best = model.net(placed.rows, placed.places)[0].argmax(-1).cpu()
    tokens = names(guess.rows.tokens)
    for place in guess.places.tolist():
        tokens[place] = MASK
    found: list[tuple[str, str, str]] = []
    for start, end in pairwise(guess.rows.starts.tolist()):
        here = (guess.places >= start) & (guess.places < end)
        text = " ".join(tokens[start + 1 : end]).replace(f" {INSIDE}", "")
        found.append((text, " ".join(names(guess.answers[here])), " ".join(names(best[here]))))
    return found
