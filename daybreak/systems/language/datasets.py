"""Which examples a task is trained on, chosen by and tested on, and which text an encoder is pretrained on."""

from __future__ import annotations

import functools
import hashlib
import logging
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from daybreak.data import where
from daybreak.engine.errors import UserError
from daybreak.systems.language.config import FinetuneConfig, TaskName
from daybreak.systems.language.examples import Choice, Example, Pair, Question, Tagged, text_of
from daybreak.systems.language.formats import choices, documents, pairs, pydoc, questions, tags
from daybreak.systems.language.formats.documents import Document
from daybreak.systems.language.phrases import hold_out_phrases

logger = logging.getLogger("daybreak")
SPLIT_SEED = 0  # what is held out is the same in every run
TOPICS = 0.1
"""Share of the sentences of Python's reference for validation, and likewise for testing."""
TENTH = 10
"""One of so many examples of a user's is held out to choose by, where no file is given."""
TAIL = 20
"""One of so many sentences of a user's text is held out: the last ones."""

SICK, SICK_TEST = ("SICK_train.txt", "SICK_trial.txt"), "SICK_test_annotated.txt"
SHIFTS = tuple(f"squadshifts_{part}.json" for part in ("new_wiki", "amazon_reviews", "reddit"))

E = TypeVar("E", Pair, Choice, Tagged, Question)


@dataclass(frozen=True)
class Splits(Generic[E]):
    """Examples of a task. What is in one part is in no other."""

    train: list[E]
    val: list[E]
    """To choose by."""
    test: dict[str, list[E]]
    """By name; no decision may depend on them."""

    @property
    def digest(self) -> str:
        """SHA-256 of all examples, as "sha256:<hex>"; what a record calls its data."""
        return _digest(map(repr, [self.train, self.val, self.test]))


@dataclass(frozen=True)
class Loaded(Splits[E]):
    """Examples, and what they are for."""

    task: TaskName


@dataclass(frozen=True)
class DataSet(Generic[E]):
    """A data set by its name: what it is for, and how to read it."""

    task: TaskName
    read: Callable[[], Splits[E]]
    """Raises UserError that says how to get files that are not there, or naming the place of a mistake in one."""


def load(config: FinetuneConfig) -> Loaded[Any]:
    """The examples that a config names. Raises UserError as :attr:`DataSet.read` and :func:`own`."""
    if config.task is None:
        data_set = DATASETS[config.data]
        task, splits = data_set.task, data_set.read()
    else:
        others = (Path(file) if file else None for file in (config.val_file, config.test_file))
        task, splits = config.task, own(config.task, Path(config.train_file), *others)
    return Loaded(splits.train, splits.val, splits.test, task)


def own(task: TaskName, train: Path, val: Path | None = None, test: Path | None = None) -> Splits[Any]:
    """A user's own files; without one to choose by, a tenth of the examples to train on is held out.

    They are ``.tsv``, ``.csv`` or ``.jsonl`` for classify and similarity; ``.jsonl``, DREAM's ``.json`` or SWAG's
    ``.csv`` for choose; columns or ``.conllu`` for tag; and SQuAD's JSON for answer. Examples of a file that are held
    out in a later one are left out, and counted aloud.

    Raises UserError for a file without examples, an example without a label, and where all examples are held out.
    """
    examples = _read_own(task, train)
    tests = {"test": _read_own(task, test)} if test else {}
    if val:
        splits = as_given(str(train), examples, _read_own(task, val), tests)
    else:
        splits = with_own_val(str(train), examples, tests, max(1, len(examples) // TENTH))
    for path, left in ((train, splits.train), (val or train, splits.val)):
        if not left:
            raise UserError(f"{path} has no example that is not held out as well: give different files")
    return splits


def as_given(name: str, train: Sequence[E], val: Sequence[E], test: dict[str, list[E]]) -> Splits[E]:
    """Examples as somebody else split them; what is in a later part as well is left out."""
    tested = [example for part in test.values() for example in part]
    chosen = apart(val, tested, f"{name}, validation")
    return Splits(apart(train, [*chosen, *tested], name), chosen, test)


def with_own_val(name: str, train: Sequence[E], test: dict[str, list[E]], count: int) -> Splits[E]:
    """Examples of which nobody set some apart to choose by: that is ``count`` of those to train on."""
    tested = [example for part in test.values() for example in part]
    rest, val = hold_out(apart(train, tested, name), count)
    return Splits(rest, val, test)


def hold_out(examples: Sequence[E], count: int) -> tuple[list[E], list[E]]:
    """Part examples into those to train on and ``count`` held-out ones.

    What belongs together is drawn together, the same every time; what is over of the last draw is in neither part.
    """
    groups = [together(example) for example in examples]
    sizes = dict.fromkeys(groups, 0)
    for each in groups:
        sizes[each] += 1
    names = list(sizes)
    drawn = [names[i] for i in np.random.RandomState(SPLIT_SEED).permutation(len(names))]
    before = np.cumsum([0, *(sizes[name] for name in drawn)])[:-1]
    held = {name for name, so_far in zip(drawn, before, strict=True) if so_far < count}
    rest = [example for example, each in zip(examples, groups, strict=True) if each not in held]
    return rest, [example for example, each in zip(examples, groups, strict=True) if each in held][:count]


def together(example: Example) -> Hashable:
    """What an example has in common with those it belongs to: its context, or all that it says."""
    return (isinstance(example, Choice | Question) and example.context) or key(example)


def apart(examples: Sequence[E], held_out: Iterable[E], name: str) -> list[E]:
    """The examples that say nothing that a held-out one says; what is left out is counted aloud."""
    known = {key(example) for example in held_out}
    rest = [example for example in examples if key(example) not in known]
    if left_out := len(examples) - len(rest):
        logger.warning("%s: left out %d of %d examples, which are held out as well", name, left_out, len(examples))
    return rest


def key(example: Example) -> tuple[str, ...]:
    """What an example says, whatever its case, accents, punctuation and spaces."""
    return tuple(map(_letters, text_of(example)))


@functools.lru_cache(maxsize=1_000)  # many questions have one context, and come after one another
def _letters(text: str) -> str:
    bare = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text.casefold())))
    return bare or text.strip()


def _read_own(task: TaskName, path: Path) -> list[Any]:
    readers: dict[str, Callable[[Path], list[Any]]]
    if task == "choose":
        readers = {".jsonl": choices.read_own, ".json": choices.read_dream, ".csv": choices.read_swag}
        if path.suffix not in readers:
            raise UserError(f"{path} is none of {', '.join(readers)}: convert it, and name it so")
        examples = readers[path.suffix](path)
    elif task == "tag":
        examples = (tags.read_conllu if path.suffix == ".conllu" else tags.read_columns)(path)
    elif task == "answer":
        examples = questions.read_squad(path)
    else:
        examples = pairs.read_own(path, scores=task == "similarity")
    if not examples:
        raise UserError(f"{path} has no examples: give a file with some")
    if any(isinstance(example, Pair | Choice) and example.label is None for example in examples):
        raise UserError(f"{path} has no label for each example: add them")
    return examples


# ----------------------------------------------------------------------------- the public sets


def _folder(name: str) -> Path:
    return where.prepare(name, where.root())  # says what to put where, if it is not there


def _as_given(name: str, read: Callable[[Path], list[E]], train: str, val: str, **test: str) -> Callable[[], Splits[E]]:
    """Files as their makers split them."""

    def splits() -> Splits[E]:
        folder = _folder(name)
        tests = {which: read(folder / file) for which, file in test.items()}
        return as_given(name, read(folder / train), read(folder / val), tests)

    return splits


def _with_own_val(
    name: str,
    read: Callable[[Path], list[E]],
    train: Sequence[str],
    count: int,
    **test: str,
) -> Callable[[], Splits[E]]:
    """Files without any to choose by."""

    def splits() -> Splits[E]:
        folder = _folder(name)
        tests = {which: read(folder / file) for which, file in test.items()}
        return with_own_val(name, [example for file in train for example in read(folder / file)], tests, count)

    return splits


def _sst2() -> Splits[Pair]:
    test = {"glue_dev": pairs.read_sst2(_folder("sst2") / "dev.tsv")}
    if where.find("sst2-sentences").is_there(where.root()):
        test["sentences_test"] = pairs.read_sst2_sentences(_folder("sst2-sentences") / "test.tsv")
    else:
        logger.warning("sst2-sentences is not there: the test set is glue_dev alone")
    return as_given("sst2", *hold_out_phrases(pairs.read_sst2(_folder("sst2") / "train.tsv"), 700, SPLIT_SEED), test)


def _swag() -> Splits[Choice]:
    folder = _folder("swag")
    held_out = choices.read_swag(folder / "val.csv")
    val, test = hold_out(held_out, len(held_out) // 2)
    return as_given("swag", choices.read_swag(folder / "train.csv"), val, {"test": test})


def _code_words() -> Splits[Tagged]:
    from pydoc_data.topics import topics

    tagged = pydoc.code_words(topics)
    train, val, test = ([sentence for name in part for sentence in tagged[name]] for part in _topics(tagged))
    return as_given("code-words", train, val, {"test": test})


def _topics(topics: Mapping[str, Sequence[Any]]) -> tuple[list[str], list[str], list[str]]:
    """Names of the topics to train on, for validation and for testing."""
    names = sorted(topics)
    room = [TOPICS * sum(map(len, topics.values()))] * 2
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for i in np.random.RandomState(SPLIT_SEED).permutation(len(names)):
        size = len(topics[names[i]])
        which = next((part for part in (0, 1) if size <= room[part]), 2)
        parts[which].append(names[i])
        if which < 2:
            room[which] -= size
    test, val, train = parts
    return train, val, test


DATASETS: dict[str, DataSet[Any]] = {
    "sst2": DataSet("classify", _sst2),
    "cola": DataSet("classify", _with_own_val("cola", pairs.read_cola, ["train.tsv"], 600, glue_dev="dev.tsv")),
    "mrpc": DataSet(
        "classify",
        _with_own_val("mrpc", pairs.read_mrpc, ["msr_paraphrase_train.txt"], 400, test="msr_paraphrase_test.txt"),
    ),
    "sick": DataSet("classify", _as_given("sick", pairs.read_sick, *SICK, test=SICK_TEST)),
    "stsb": DataSet("similarity", _as_given("stsb", pairs.read_stsb, "train.tsv", "dev.tsv", test="test.tsv")),
    "sick-relatedness": DataSet("similarity", _as_given("sick", pairs.read_sick_relatedness, *SICK, test=SICK_TEST)),
    "dream": DataSet("choose", _as_given("dream", choices.read_dream, "train.json", "dev.json", test="test.json")),
    "swag": DataSet("choose", _swag),
    "conll2003": DataSet("tag", _as_given("conll2003", tags.read_columns, "eng.train", "eng.testa", testb="eng.testb")),
    "wnut17": DataSet(
        "tag",
        _as_given(
            "wnut17", tags.read_columns, "wnut17train.conll", "emerging.dev.conll", test="emerging.test.annotated"
        ),
    ),
    "ewt": DataSet(
        "tag",
        _as_given(
            "ewt", tags.read_conllu, "en_ewt-ud-train.conllu", "en_ewt-ud-dev.conllu", test="en_ewt-ud-test.conllu"
        ),
    ),
    "code-words": DataSet("tag", _code_words),
    "squad": DataSet("answer", _with_own_val("squad", questions.read_squad, SHIFTS, 1_000, xquad_en="xquad.en.json")),
    "squad1": DataSet(
        "answer",
        _with_own_val("squad1", questions.read_squad, ["train-v1.1.json"], 1_000, dev="dev-v1.1.json"),
    ),
    "squad2": DataSet(
        "answer",
        _with_own_val("squad2", questions.read_squad, ["train-v2.0.json"], 1_000, dev="dev-v2.0.json"),
    ),
}


# ----------------------------------------------------------------------------- text


@dataclass(frozen=True)
class Corpus:
    """Text to pretrain on, and text to measure by."""

    train: list[Document]
    held_out: list[Document]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all sentences, as "sha256:<hex>"."""
        return _digest("\n".join(document) for part in (self.train, ["\f"], self.held_out) for document in part)


def corpus(name: str, files: Sequence[str | Path] = ()) -> Corpus:
    """Running text: "pydoc" (Python's reference), "lm" (novels, speeches, reviews), or a user's "files".

    Held out are the topics that code-words is chosen by and tested on, two novels, or the end of each file.
    Raises UserError that says how to get what is not there, and for files that are too short to hold something out.
    """
    if name == "pydoc":
        return _pydoc()
    if name == "lm":
        folder = _folder("lm")
        train = [
            *documents.read_marked(folder / "novels_train.txt"),
            *documents.read_marked(folder / "us_speeches.txt"),
            *documents.read_reviews(folder / "movie_reviews.jsonl"),
        ]
        return Corpus(train, documents.read_marked(folder / "novels_valid.txt"))
    return _files([Path(file) for file in files])


def _pydoc() -> Corpus:
    from pydoc_data.topics import topics

    prose = pydoc.read_topics(topics)
    train, val, test = _topics(prose)
    return Corpus([prose[name] for name in train], [prose[name] for name in [*val, *test]])


def _files(files: Sequence[Path]) -> Corpus:
    whole = [documents.read_text(file) for file in files]
    cuts = [len(document) - len(document) // TAIL for document in whole]
    held_out = [document[cut:] for document, cut in zip(whole, cuts, strict=True) if document[cut:]]
    if not held_out:
        raise UserError(
            f"{', '.join(map(str, files))}: no file has the {TAIL} sentences of which one is held out: give more text"
        )
    return Corpus([document[:cut] for document, cut in zip(whole, cuts, strict=True) if document], held_out)


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode(errors="backslashreplace") + b"\0")  # half of a character, which JSON can hold
    return f"sha256:{digest.hexdigest()}"
