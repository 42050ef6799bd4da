"""The demo's chapter: numbers in German words into English, and where the decoder looked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from daybreak import draw
from daybreak.data.toy.numbers import numbers, spelled
from daybreak.engine.chapter import Chapter, Number, Picture
from daybreak.metrics.bleu import exact_match
from daybreak.systems.translation.config import tiny
from daybreak.systems.translation.data import Corpus, tests
from daybreak.systems.translation.look import look
from daybreak.systems.translation.predict import load
from daybreak.systems.translation.train import train

SHOWN = 54_321


def chapter(folder: Path) -> Chapter:
    """Train the ``tiny`` preset in ``folder`` and let it translate numbers that it has never seen."""
    started = time.monotonic()
    config = tiny()
    config.out = str(folder / "run")
    translator = load(train(config))
    corpus = tests(config)["test"]
    translated = translator.translate(corpus.source)
    digits, right = exact_by_digits(corpus, translated)
    draw.curves(
        {"test": (digits, right)}, folder / "by_length.png", x_label="digits", y_label="percent right", y_span=(0, 100)
    )
    seen = look(translator, spelled("de", [SHOWN])[0])
    draw.alignment(seen.alignment, seen.target, seen.source, folder / "attention.png")
    return Chapter(
        system="translation",
        title="Translation: where a Transformer looks",
        text=(
            "A small Transformer learns to translate German numbers in words into English from 6,000 examples, and is "
            "tested on numbers that it has never seen, from one digit to six. German says the units before the tens "
            "(einundzwanzig is twenty-one), so while it writes the tens it has to look further on, and then back."
        ),
        numbers=[
            Number("numbers translated without a mistake", exact_match(translated, corpus.target), "%", 0.0, 80.0),
            Number("numbers tested", len(corpus)),
        ],
        pictures=[
            Picture("attention.png", f"Where the decoder looks (across) for each piece of {SHOWN:,} (down)"),
            Picture("by_length.png", "Unseen numbers translated without a mistake, by their digits"),
        ],
        commands=[
            "daybreak translation train numbers",
            "daybreak translation translate runs/translation-numbers-seed0 siebenundzwanzig",
            "daybreak translation attention runs/translation-numbers-seed0 siebenundzwanzig",
        ],
        seconds=time.monotonic() - started,
    )


def exact_by_digits(corpus: Corpus, translated: Sequence[str]) -> tuple[list[float], list[float]]:
    """Digits, and the percentage of test numbers of so many digits that are right."""
    values = numbers("test", len(corpus))
    digits = sorted({len(str(value)) for value in values})
    rows = [[i for i, value in enumerate(values) if len(str(value)) == d] for d in digits]
    right = [exact_match([translated[i] for i in of], [corpus.target[i] for i in of]) for of in rows]
    return [float(d) for d in digits], right
