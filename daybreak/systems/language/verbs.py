"""The verbs of language besides its two trainings. Imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from daybreak.engine.errors import UserError
from daybreak.systems.language import show, texts
from daybreak.systems.language.claims import CLAIMS
from daybreak.systems.language.config import FINETUNE, PRETRAIN, DataName, FinetuneConfig

__all__ = ["CLAIMS", "LOOPS", "VERBS"]

LOOPS: dict[str, Any] = {"pretrain": PRETRAIN, "finetune": FINETUNE}


@dataclass
class Evaluate:
    """Test a run: what it was trained for, on examples that training never saw, beside the floor that is to beat."""

    def __call__(self, run: Path) -> dict[str, float]:
        """The numbers of one run directory."""
        from daybreak.systems.language.evaluate import evaluate

        return evaluate(run)


@dataclass
class OfTexts:
    """What all verbs have that read texts."""

    run: Positional[Path]
    """Run directory; bert-mini is an encoder that daybreak brings."""
    texts: Positional[tuple[str, ...]] = ()
    """Texts; without any, the lines of --file or of the standard input."""
    file: Path | None = None
    """Text file, a text a line."""
    json: bool = False
    """Print lines of JSON."""
    int8: bool = False
    """Multiply in 8-bit integers: faster on a CPU, and a little less exact."""


@dataclass
class Fill(OfTexts):
    """Guess what stands at each [MASK] of a text."""

    count: int = 5
    """Guesses to show of each."""

    def __call__(self) -> None:
        """The text with the best guesses in it, then the others."""
        given = texts.given(self.texts, self.file, "type a sentence with a [MASK] in it")
        from daybreak.systems.language.fill import MaskedLM
        from daybreak.systems.language.predict import load_for
        from daybreak.systems.language.wordpiece import MASK

        model = load_for(MaskedLM, self.run, int8=self.int8)
        for some in given:
            for text, holes in zip(some, model.fill(some, self.count), strict=True):
                if self.json:
                    show.as_json({"text": text, "masks": [[vars(piece) for piece in hole] for hole in holes]})
                else:
                    show.out(show.filled(text, holes, MASK))


@dataclass
class Embed(OfTexts):
    """Vectors of texts or of their words: into a file, or what is near what."""

    out: Path | None = None
    """File to write: .npy, or .tsv with the texts, or the words and where they stand."""
    word: str | None = None
    """Show this word's nearest neighbours in context: which words of the other texts are used like it."""
    layer: int = -1
    """0 for the embeddings, 1 and up for the layers, -1 for the last."""
    pooling: Literal["mean", "cls", "words"] = "mean"
    """Mean of all word pieces, [CLS] alone, or a vector for each word."""
    count: int = 5
    """Neighbours to show."""

    def __call__(self) -> None:
        """Neighbours where there are several texts, and no --out."""
        if self.word and self.out:
            raise UserError("both --word and --out are given: leave one of them out")
        given = texts.given(self.texts, self.file, "type sentences")
        from daybreak.systems.language import vectors
        from daybreak.systems.language.predict import load

        model = load(self.run, int8=self.int8)
        all_texts = [text for some in given for text in some]
        if self.out:
            vectors.write(model, all_texts, self.out, self.layer, self.pooling)
            print(self.out, file=sys.stderr)
        elif self.word:
            vectors.show_word(model, all_texts, self.word, self.layer, self.count, as_json=self.json)
        elif self.json:
            vectors.show_numbers(model, all_texts, self.layer, self.pooling)
        elif self.pooling == "words":
            raise UserError("--pooling words needs --out FILE, --json, or --word WORD: give one of them")
        else:
            vectors.show_texts(model, all_texts, self.layer, self.count, self.pooling)


@dataclass
class Classify(OfTexts):
    """Say which class sentences belong to."""

    all: bool = False
    """Show the probabilities of all classes."""

    def __call__(self) -> None:
        """The class of each."""
        given = texts.given(self.texts, self.file, "type a sentence")
        _classify(self, given)


@dataclass
class ClassifyPair(OfTexts):
    """Say which class a pair of sentences belongs to: whether one follows from the other, or says the same."""

    all: bool = False
    """Show the probabilities of all classes."""

    def __call__(self) -> None:
        """The class of each."""
        _classify(self, texts.given_pairs(self.texts, self.file))


def _classify(verb: Classify | ClassifyPair, given: Any) -> None:
    from daybreak.systems.language.predict import load_for
    from daybreak.systems.language.uses import Classifier

    model = load_for(Classifier, verb.run, int8=verb.int8)
    for some in given:
        for text, found in zip(some, model.classify(some), strict=True):
            if verb.json:
                show.as_json({"text": text, **vars(found)})
            else:
                show.out(show.classified(text, found, verb.all))


@dataclass
class Similarity(OfTexts):
    """Say how alike two sentences are, or find those most like one."""

    among: Path | None = None
    """Search these for what is most like the text: a text file, a sentence a line."""
    count: int = 10
    """Sentences to show of --among."""

    def __call__(self) -> None:
        """A number for each pair; or a list for each text."""
        if self.among:
            given: Any = texts.given(self.texts, self.file, "type a sentence")
            among = [text for some in texts.given((), self.among, "") for text in some]
        else:
            given, among = texts.given_pairs(self.texts, self.file), []
        from daybreak.systems.language import uses
        from daybreak.systems.language.predict import load_for

        model = load_for(uses.Similarity, self.run, int8=self.int8)
        for some in given:
            if self.among:
                self._search(model, some, among)
                continue
            for (first, second), value in zip(some, model.similarity(some), strict=True):
                if self.json:
                    show.as_json({"first": first, "second": second, "similarity": value})
                else:
                    show.out(show.alike(first, second, value))

    def _search(self, model: Any, some: list[str], among: list[str]) -> None:
        for text in some:
            found = model.search(text, among, self.count)
            if self.json:
                show.as_json({"text": text, "found": [vars(match) for match in found]})
            else:
                show.out(show.matches(found))


@dataclass
class Choose:
    """Choose one of several options: the answer to a question about a context, or what goes on with it."""

    run: Positional[Path]
    """Run directory."""
    options: Positional[tuple[str, ...]] = ()
    """Options; or --file."""
    question: str = ""
    """What is asked; or how each of the options begins."""
    context: Path | None = None
    """Text file; without it or --text, there is no context."""
    text: str | None = None
    """The context itself."""
    file: Path | None = None
    """JSON lines with context, question and options."""
    json: bool = False
    """Print lines of JSON."""
    int8: bool = False
    """Multiply in 8-bit integers: faster on a CPU, and a little less exact."""

    def __call__(self) -> None:
        """All options with their probabilities."""
        if bool(self.options) == bool(self.file):
            raise UserError("give the options as arguments, or --file with JSON lines of context, question and options")
        from daybreak.systems.language.examples import Choice
        from daybreak.systems.language.formats.choices import read_own

        if self.file:
            asked = read_own(self.file)
        else:
            context = texts.whole(self.context, self.text) if self.context or self.text is not None else ""
            question, *options = texts.checked([self.question, *self.options])
            asked = [Choice(context, question, tuple(options))]
        from daybreak.systems.language.predict import load_for
        from daybreak.systems.language.uses import Chooser

        model = load_for(Chooser, self.run, int8=self.int8)
        columns = [[getattr(each, name) for each in asked] for name in ("context", "question", "options")]
        for each, found in zip(asked, model.choose(*columns), strict=True):
            if self.json:
                show.as_json({"question": each.question, "options": each.options, **vars(found)})
            else:
                show.out(show.chosen(each.question, each.options, found))


@dataclass
class Tag(OfTexts):
    """Tag the words of sentences: names of people and places, or parts of speech."""

    def __call__(self) -> None:
        """Each sentence with its tags."""
        given = texts.given(self.texts, self.file, "type a sentence")
        from daybreak.systems.language.predict import load_for
        from daybreak.systems.language.uses import Tagger

        model = load_for(Tagger, self.run, int8=self.int8)
        for some in given:
            for found in model.tag(some):
                if self.json:
                    words = [{**vars(word), "tag": tag} for word, tag in zip(found.words, found.tags, strict=True)]
                    show.as_json({"text": found.text, "words": words, "entities": list(map(vars, found.entities))})
                else:
                    show.out(show.tagged(found, model.marks_names))


@dataclass
class Answer:
    """Answer questions about a text by a piece of it."""

    run: Positional[Path]
    """Run directory."""
    questions: Positional[tuple[str, ...]] = ()
    """Questions; without any, the lines of --file."""
    context: Path | None = None
    """Text file that has the answers; without it or --text, the standard input."""
    text: str | None = None
    """The text itself."""
    file: Path | None = None
    """Text file, a question a line."""
    count: int = 1
    """Answers to show of each question."""
    json: bool = False
    """Print lines of JSON."""
    int8: bool = False
    """Multiply in 8-bit integers: faster on a CPU, and a little less exact."""

    def __call__(self) -> None:
        """Each answer with its probability, and some of the text around it."""
        if not (self.questions or self.file):
            raise UserError("there is no question: give one, or --file with a question a line")
        questions = [question for some in texts.given(self.questions, self.file, "") for question in some]
        context = texts.whole(self.context, self.text)
        from daybreak.systems.language.predict import load_for
        from daybreak.systems.language.uses import Answerer

        model = load_for(Answerer, self.run, int8=self.int8)
        for question, answers in zip(questions, model.answers(questions, context, self.count), strict=True):
            if self.json:
                show.as_json({"question": question, "answers": list(map(vars, answers))})
            else:
                show.out(show.answered(question, context, answers))


@dataclass
class Export:
    """Write a trained network for other programs: as ONNX, checked in onnxruntime; or as a public checkpoint."""

    run: Positional[Path]
    """Run directory."""
    out: Path | None = None
    """Folder to write to; default: onnx or public in the run directory."""
    format: Literal["onnx", "public"] = "onnx"
    """public: config.json, vocab.txt and model.safetensors of a pretrained encoder, as the public libraries read it."""
    half: bool = False
    """With --format public: store numbers in 16 bits, in half the space."""

    def __call__(self) -> None:
        """Print the files, and for ONNX the largest difference of a number."""
        from daybreak.systems.language.export import export, export_public

        if self.half and self.format != "public":
            raise UserError("--half goes with --format public: leave it out, or give both")
        folder = self.out or self.run / self.format
        if self.format == "public":
            files = export_public(self.run, folder, half=self.half)
            print("\n".join(map(str, files)))
            return
        exported = export(self.run, folder)
        print("\n".join(map(str, exported.files)))
        print(f"onnxruntime's outputs differ from torch's by at most {exported.difference:.2g}")


@dataclass
class Floors:
    """Say what counting words reaches on the test sets of a data set: what a network has to beat."""

    data: Positional[DataName] = "code-words"
    """Data set."""
    json: bool = False
    """Print lines of JSON."""

    def __call__(self) -> None:
        """What is done without a network, and a line for each number."""
        if self.data == "files":
            raise UserError("the floors of your own files are printed by daybreak language evaluate, beside the run's")
        from daybreak.systems.language import datasets
        from daybreak.systems.language.floors import floor

        splits = datasets.load(FinetuneConfig(data=self.data))
        for name, examples in splits.test.items():
            what, numbers = floor(splits.task, splits.train, examples)
            if self.json:
                show.as_json({"test": name, "floor": what, **numbers})
            else:
                show.out(show.floors(name, what, numbers))


VERBS: dict[str, Any] = {
    "evaluate": Evaluate,
    "fill": Fill,
    "embed": Embed,
    "classify": Classify,
    "classify-pair": ClassifyPair,
    "similarity": Similarity,
    "choose": Choose,
    "tag": Tag,
    "answer": Answer,
    "export": Export,
    "floors": Floors,
}
