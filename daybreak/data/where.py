"""Where data sets lie, which there are, and how to get one that is not there. Imports no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daybreak.engine.errors import UserError, unknown
from daybreak.engine.files import disk_errors


@dataclass(frozen=True)
class Download:
    """One public file, and how to know it."""

    url: str
    digest: str
    """ "sha256:<hex>" or "md5:<hex>"."""
    size: int
    """Bytes."""

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class DataSet:
    """One data set that a reader of daybreak opens."""

    name: str
    what: str
    """One line: what it shows, how many of it."""
    folder: str
    """Its folder in the data root; "" for one that comes with a dependency."""
    licence: str
    files: tuple[str, ...] = ()
    """What a reader needs in that folder."""
    downloads: tuple[Download, ...] = ()
    """None where it comes with a dependency, or where a person has to get it: :attr:`by_hand`."""
    inside: str = ""
    """Folder within the archive, where the download is one; "" where the downloads are the files themselves."""

    @property
    def size(self) -> int:
        """Bytes to download; 0 where there is nothing to get."""
        return sum(download.size for download in self.downloads)

    @property
    def by_hand(self) -> bool:
        """Whether a person has to get it: daybreak knows no address of it."""
        return bool(self.files) and not self.downloads

    def advice(self, root: Path) -> str:
        """Where to put the files of a data set that is got by hand."""
        return f"daybreak does not download {self.name}: put {', '.join(self.files)} into {root / self.folder}"

    def missing(self, root: Path) -> list[str]:
        """Files that a reader needs and that are not there; an idx file may lie there unzipped."""
        place = root / self.folder
        return [n for n in self.files if not (place / n).exists() and not (place / n.removesuffix(".gz")).exists()]

    def is_there(self, root: Path) -> bool:
        """Whether all files are there. What is in them is the reader's to check."""
        return not self.missing(root)


def root() -> Path:
    """Folder of all data sets: ``$DAYBREAK_DATA``, or ~/.cache/daybreak/data."""
    return Path(os.environ.get("DAYBREAK_DATA") or "~/.cache/daybreak/data").expanduser()


def catalogue() -> tuple[DataSet, ...]:
    """All data sets, in the order in which to list them."""
    return _SETS


def find(name: str) -> DataSet:
    """The data set of that name. Raises UserError with the nearest one for an unknown name."""
    names = [data_set.name for data_set in catalogue()]
    if name not in names:
        raise UserError(unknown("data set", name, names))
    return catalogue()[names.index(name)]


def prepare(name: str, root: Path, progress: Callable[[int, int | None], None] | None = None) -> Path:
    """Download, verify and unpack a data set into its folder under ``root``; returns the folder.

    Nothing happens where it is there already, or comes with a dependency. A call that was stopped is resumed by the
    next.
    ``progress(bytes there, bytes in all)`` counts over all files of the set.
    Raises UserError for an unknown name, a set that a person has to get, a folder that is there but not complete, and
    what :func:`download` raises.
    """
    data_set = find(name)
    target = root / data_set.folder
    missing = data_set.missing(root)
    if not missing:
        return target
    if data_set.by_hand:
        raise UserError(f"{missing[0]} is missing; {data_set.advice(root)}")
    if target.exists():
        raise UserError(f"{target} is there, but without {missing[0]}: move it away, then run this again")
    partial = root / f".{data_set.name}.partial"  # kept when a download fails, for the next call to go on
    _download_all(data_set, partial, progress)
    whole = _unpacked(data_set, partial) if data_set.inside else partial
    if absent := [name for name in data_set.files if not (whole / name).exists()]:
        raise UserError(f"{data_set.downloads[0].url} has no {absent[0]} in it: please report this")
    with disk_errors(target):
        for extra in set(os.listdir(whole)) - set(data_set.files):
            (whole / extra).unlink()
        os.replace(whole, target)
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _download_all(data_set: DataSet, partial: Path, progress: Callable[[int, int | None], None] | None) -> None:
    from daybreak.data.fetch import download  # urllib and ssl take their time, and `data list` does without

    before = 0
    for part in data_set.downloads:

        def report(done: int, _: int | None, before: int = before) -> None:
            if progress is not None:
                progress(before + done, data_set.size)

        download(part.url, partial / part.name, part.digest, max_bytes=part.size, progress=report)
        before += part.size


def _unpacked(data_set: DataSet, partial: Path) -> Path:
    from daybreak.data.fetch import unpack

    place = partial / "unpacked"
    with disk_errors(place):
        if place.exists():
            shutil.rmtree(place)
    unpack(partial / data_set.downloads[0].name, place, max_bytes=2**30, max_files=100, max_ratio=20)
    return place / data_set.inside


def _idx_names(images: str, *parts: str) -> tuple[str, ...]:
    return tuple(f"{images}{part}-{kind}-ubyte.gz" for part in parts for kind in ("images-idx3", "labels-idx1"))


def _downloads(base: str, *known: tuple[str, str, int]) -> tuple[Download, ...]:
    return tuple(Download(f"{base}/{name}", f"sha256:{digest}", size) for name, digest, size in known)


_MNIST_FILES = _idx_names("", "train", "t10k")

_SETS = (
    DataSet(
        name="digits",
        what="handwritten digits, 8x8 grey, 10 classes: 1,437 to train, 360 to test; comes with scikit-learn",
        folder="",
        licence="CC BY 4.0",
    ),
    DataSet(
        name="mnist",
        what="handwritten digits, 28x28 grey, 10 classes: 60,000 to train, 10,000 to test",
        folder="mnist",
        licence="CC BY-SA 3.0",
        files=_MNIST_FILES,
        downloads=_downloads(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            (_MNIST_FILES[0], "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
            (_MNIST_FILES[1], "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
            (_MNIST_FILES[2], "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
            (_MNIST_FILES[3], "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
        ),
    ),
    DataSet(
        name="fashion-mnist",
        what="clothes, 28x28 grey, 10 classes: 60,000 to train, 10,000 to test",
        folder="fashion-mnist",
        licence="MIT",
        files=_MNIST_FILES,
        downloads=_downloads(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            (_MNIST_FILES[0], "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            (_MNIST_FILES[1], "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            (_MNIST_FILES[2], "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            (_MNIST_FILES[3], "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
    ),
    DataSet(
        name="emnist-letters",
        what="handwritten letters, 28x28 grey, 26 classes: 124,800 to train, 20,800 to test",
        folder="emnist",
        licence="public domain (NIST)",
        files=_idx_names("emnist-letters-", "train", "test"),
        downloads=_downloads(
            "https://biometrics.nist.gov/cs_links/EMNIST",
            ("gzip.zip", "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", 561_753_746),
        ),
        inside="gzip",
    ),
    DataSet(
        name="cifar10",
        what="photographs, 32x32 colour, 10 classes: 50,000 to train, 10,000 to test",
        folder="cifar-10-batches-bin",
        licence="none stated; for research, cite Krizhevsky 2009",
        files=("batches.meta.txt", *(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
        downloads=_downloads(
            "https://www.cs.toronto.edu/~kriz",
            ("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170_052_171),
        ),
        inside="cifar-10-batches-bin",
    ),
    DataSet(
        name="multi30k",
        what="captions of photographs in German and English, task 1, raw: 29,000 pairs to train, 1,014 + 2,461 to test",
        folder="multi30k",
        licence="for research, cite Elliott et al. 2016",
        files=tuple(
            f"{part}.{language}"
            for part in ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
            for language in ("de", "en")
        ),
    ),
    DataSet(
        name="sst2",
        what="phrases of film reviews, positive or negative, as GLUE has them: 67,349 to train, 872 to test",
        folder="glue/SST-2",
        licence="for research, cite Socher et al. 2013",
        files=("train.tsv", "dev.tsv"),
    ),
    DataSet(
        name="sst2-sentences",
        what="whole sentences of film reviews, positive or negative (sentence<TAB>label): a second test of sst2, 1,821",
        folder="glue/SST-2-sentences",
        licence="for research, cite Socher et al. 2013",
        files=("test.tsv",),
    ),
    DataSet(
        name="cola",
        what="sentences, acceptable English or not, as GLUE has them: 8,551 to train, 1,043 to test",
        folder="glue/CoLA",
        licence="fair use, for research, cite Warstadt et al. 2018",
        files=("train.tsv", "dev.tsv"),
    ),
    DataSet(
        name="mrpc",
        what="pairs of sentences, paraphrases or not, as Microsoft distributes them: 4,076 to train, 1,725 to test",
        folder="glue/MRPC",
        licence="Microsoft shared source, for research",
        files=("msr_paraphrase_train.txt", "msr_paraphrase_test.txt"),
    ),
    DataSet(
        name="stsb",
        what="pairs of sentences and how similar they are, 0 to 5, by GLUE's columns: 5,749 to train, 1,379 to test",
        folder="glue/STS-B",
        licence="for research, cite Cer et al. 2017",
        files=("train.tsv", "dev.tsv", "test.tsv"),
    ),
    DataSet(
        name="sick",
        what="pairs of sentences, their relatedness and entailment: 4,500 to train, 4,927 to test",
        folder="sick",
        licence="CC BY-NC-SA 3.0",
        files=("SICK_train.txt", "SICK_trial.txt", "SICK_test_annotated.txt"),
    ),
    DataSet(
        name="dream",
        what="questions about dialogues, three options each: 6,116 to train, 2,041 to test",
        folder="dream",
        licence="non-commercial research",
        files=("train.json", "dev.json", "test.json"),
    ),
    DataSet(
        name="swag",
        what="how a scene goes on, four options each: 73,546 to train, 20,006 to test",
        folder="swag",
        licence="MIT",
        files=("train.csv", "val.csv"),
    ),
    DataSet(
        name="conll2003",
        what="news in words with named entities: 14,041 sentences to train, 3,453 to test",
        folder="conll2003",
        licence="research agreement (Reuters)",
        files=("eng.train", "eng.testa", "eng.testb"),
    ),
    DataSet(
        name="wnut17",
        what="messages in words with emerging entities: 3,394 to train, 1,287 to test",
        folder="wnut17",
        licence="CC BY 4.0",
        files=("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
    ),
    DataSet(
        name="ewt",
        what="web text in words with parts of speech (UD_English-EWT): 12,544 sentences to train, 2,077 to test",
        folder="UD_English-EWT",
        licence="CC BY-SA 4.0",
        files=tuple(f"en_ewt-ud-{part}.conllu" for part in ("train", "dev", "test")),
    ),
    DataSet(
        name="squad",
        what="questions whose answers are spans of a text, SQuADShifts and XQuAD: 27,626 to train, 1,190 to test",
        folder="squad",
        licence="CC BY 4.0 and CC BY-SA 4.0",
        files=(*(f"squadshifts_{part}.json" for part in ("new_wiki", "amazon_reviews", "reddit")), "xquad.en.json"),
    ),
    DataSet(
        name="squad1",
        what="questions whose answers are spans of a text, SQuAD 1.1: 87,599 to train, 10,570 to test",
        folder="squad",
        licence="CC BY-SA 4.0",
        files=("train-v1.1.json", "dev-v1.1.json"),
    ),
    DataSet(
        name="squad2",
        what="the same, and questions without an answer, SQuAD 2.0: 130,319 to train, 11,873 to test",
        folder="squad",
        licence="CC BY-SA 4.0",
        files=("train-v2.0.json", "dev-v2.0.json"),
    ),
    DataSet(
        name="lm",
        what="running text: 64 novels, 124 speeches and 2,000 film reviews to pretrain on, 2 novels held out",
        folder="lm",
        licence="public domain, CC BY 4.0 (film reviews)",
        files=("novels_train.txt", "novels_valid.txt", "us_speeches.txt", "movie_reviews.jsonl"),
    ),
)
