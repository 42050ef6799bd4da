"""The verbs of translation besides training, and what its records claim. Imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from daybreak.engine.claim import Claim, Target
from daybreak.engine.errors import UserError
from daybreak.systems.translation.config import PRESETS

LOOPS = {"train": PRESETS}
FLOOR = "the translation of the most similar training sentence"


def multi30k(
    text: str, preset: str, goal: float, floor: float, anchor: tuple[str, float], headline: bool = False, **flags: Any
) -> Claim:
    """A claim of lower-cased BLEU on Multi30k's test2016 after 40 minutes, with the other figures beside it."""
    others = {f"{name}_bleu{case}": Target("BLEU") for name in ("test2017", "mscoco") for case in ("_lc", "")}
    metrics = {
        "test2016_bleu_lc": Target("BLEU", goal, (FLOOR, floor), anchor),
        "test2016_bleu": Target("BLEU"),
        **others,
        "training_seconds": Target("s", 2_400.0, better="lower"),
        "training_cpu_seconds": Target("CPU s", better="lower"),
    }
    return Claim(text, preset, metrics, headline, flags)


CLAIMS = {
    "multi30k-de-en-rnn": multi30k(
        "a recurrent network translates Multi30k from one vector a sentence, after 40 minutes on two cores",
        "rnn", 22.0, 10.4, ("a tutorial's GRU, other tokenisation", 20.6), attention="none", steps=2_106,
    ),
    "multi30k-de-en-attention": multi30k(
        "the same network with attention, after 40 minutes on two cores",
        "rnn", 31.0, 10.4, ("a tutorial's GRU with attention, other tokenisation", 28.3),
    ),
    "multi30k-de-en-transformer": multi30k(
        "a Transformer translates Multi30k from German into English after 40 minutes on two cores",
        "transformer", 36.0, 10.4, ("a tutorial's Transformer, other tokenisation", 36.5), headline=True,
    ),
    "multi30k-en-de-transformer": multi30k(
        "a Transformer translates Multi30k from English into German after 40 minutes on two cores",
        "transformer", 36.0, 8.4, ("Transformer-Tiny, text only, Wu et al. 2021", 41.0), source="en", target="de",
    ),
    "numbers": Claim(
        "numbers in words, which it has never seen, are translated after two minutes on two cores",
        "numbers",
        {
            "test_exact": Target("%", 95.0, ("any one number", 0.0)),
            "training_seconds": Target("s", 120.0, better="lower"),
        },
    ),
}  # fmt: skip


@dataclass
class Evaluate:
    """Translate the test sets: BLEU as sacrebleu signs it, cased and lower-cased, and exact matches."""

    beam: int = 5
    """Hypotheses that are followed."""
    length_penalty: float = 1.0
    """0 prefers short translations, 1 compares log probabilities per token."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.translation.evaluate import evaluate

        return evaluate(run, self.beam, self.length_penalty)


@dataclass
class Translate:
    """Translate a sentence, a file, or what comes through a pipe, line by line."""

    run: Positional[Path]
    """Run directory."""
    sentence: Positional[tuple[str, ...]] = ()
    """Sentences; without any, the lines of --file or of the standard input."""
    file: Path | None = None
    """Text file, a sentence a line."""
    out: Path | None = None
    """File to write the translations to, a line each; default: the standard output."""
    beam: int = 5
    """Hypotheses that are followed; 1 is greedy and fastest."""
    length_penalty: float = 1.0
    """0 prefers short translations, 1 compares log probabilities per token."""
    int8: bool = False
    """Multiply in 8-bit integers: faster on a CPU, and a little less exact."""

    def __call__(self) -> None:
        """One line a sentence, in order."""
        if self.sentence and self.file:
            raise UserError("both sentences and --file are given: leave one of them out")
        if self.out and not self.file:
            raise UserError("--out needs --file: give the file to translate")
        from daybreak.systems.translation import lines
        from daybreak.systems.translation.predict import load

        translator = load(self.run, int8=self.int8)
        if self.file:
            lines.translate_file(translator, self.file, self.out, self.beam, self.length_penalty)
        elif self.sentence:
            lines.show(lines.translate(translator, self.sentence, self.beam, self.length_penalty))
        else:
            lines.translate_input(translator, self.beam, self.length_penalty)


@dataclass
class Attention:
    """Show where a translator looks: a page with every map and an animation, and a picture."""

    run: Positional[Path]
    """Run directory."""
    sentence: Positional[str]
    """Sentence to translate."""
    translation: str | None = None
    """Look at this translation instead of the network's own."""
    out: Path = Path("attention.html")
    """Page to write; the picture goes beside it as PNG."""

    def __call__(self) -> None:
        """Print the translation and the files written."""
        from daybreak.systems.translation.attention_page import check_name, write
        from daybreak.systems.translation.look import look
        from daybreak.systems.translation.predict import load

        check_name(self.out)
        seen = look(load(self.run), self.sentence, self.translation)
        print("".join(seen.target[:-1]).strip())
        for path in write(seen, self.out):
            print(path, file=sys.stderr)


@dataclass
class Lengths:
    """Compare networks by the length of the sentences: BLEU on all test sentences, as a plot."""

    runs: Positional[tuple[Path, ...]]
    """Evaluated runs of one data set, or records of them, as of a network without attention and of one with it."""
    out: Path = Path("lengths.png")
    """Picture to write."""

    def __call__(self) -> None:
        """A line for each run, a column for each group of sentences."""
        if not self.runs:
            raise UserError(
                "daybreak translation lengths needs run directories, as in: lengths runs/rnn runs/transformer"
            )
        from daybreak.systems.translation.lengths import compare

        print("\n".join(compare(self.runs, self.out)))
        print(self.out, file=sys.stderr)


@dataclass
class Export:
    """Write a trained Transformer as ONNX files, and check that onnxruntime computes the same."""

    run: Positional[Path]
    """Run directory."""
    out: Path | None = None
    """Folder to write to; default: onnx in the run directory."""

    def __call__(self) -> None:
        """Print the files and the largest difference of a logit."""
        from daybreak.systems.translation.export import export

        exported = export(self.run, self.out or self.run / "onnx")
        for path in exported.files:
            print(path)
        print(f"onnxruntime's logits differ from torch's by at most {exported.difference:.2g}")


VERBS: dict[str, Any] = {
    "evaluate": Evaluate,
    "translate": Translate,
    "attention": Attention,
    "lengths": Lengths,
    "export": Export,
}
