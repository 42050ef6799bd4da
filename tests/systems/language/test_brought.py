"""The encoder that daybreak brings: it is the file that its card describes, and has learned what its record says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import BertForMaskedLM

from daybreak.engine.config import to_json
from daybreak.engine.device import Device
from daybreak.systems.language import datasets
from daybreak.systems.language.config import BROUGHT, FINETUNE, FinetuneConfig, mini
from daybreak.systems.language.encoders import BROUGHT_AT, open_encoder, place_of
from daybreak.systems.language.evaluate import floors_of, most_frequent
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.predict import load_for
from daybreak.systems.language.pretrain import pairs_of, quiz_of

MakeRun = Callable[..., Path]
RealData = Callable[[str], Path]


@pytest.fixture(scope="module")
def bert() -> MaskedLM:
    return load_for(MaskedLM, Path(BROUGHT))


def test_the_card_has_the_digest_of_the_weights_and_they_are_small() -> None:
    weights = BROUGHT_AT / "model.safetensors"
    card = (BROUGHT_AT / "README.md").read_text()
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    assert weights.stat().st_size < 12_000_000
    with safe_open(weights, "numpy") as stored:
        assert {stored.get_slice(name).get_dtype() for name in stored.keys()} == {"F16"}  # noqa: SIM118


def test_a_folder_of_the_same_name_comes_first(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / BROUGHT).mkdir()  # where exports of it are written, say
    assert place_of(BROUGHT) == BROUGHT_AT and place_of(f"./{BROUGHT}/onnx") == Path(BROUGHT, "onnx")
    (tmp_path / BROUGHT).rmdir()
    make_run("pretrain", BROUGHT)
    assert place_of(BROUGHT) == Path(BROUGHT) and open_encoder(Path(BROUGHT))[0].shape.hidden_size == 32


def test_all_presets_for_real_data_begin_with_it() -> None:
    begins = {name: to_json(make())["pretrained"] for name, make in FINETUNE.items()}
    assert begins == {"code-tiny": "", "sentences": BROUGHT, "tags": BROUGHT, "passages": BROUGHT}
    assert FinetuneConfig().pretrained == ""


def test_it_knows_common_words(bert: MaskedLM) -> None:
    texts = ["She opened the [MASK] and went out.", "He did not [MASK] a word.", "She looked at [MASK]."]
    door, verb, person = [[piece.text for piece in hole] for (hole,) in bert.fill(texts)]
    assert door[0] == "door" and "say" in verb and {"him", "her"} <= set(person)


def test_the_public_library_opens_it() -> None:
    theirs, info = BertForMaskedLM.from_pretrained(BROUGHT_AT, local_files_only=True, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"]
    assert theirs.config.hidden_size == 256 and theirs.config.num_hidden_layers == 4


@pytest.mark.realdata
def test_it_guesses_words_of_novels_that_it_has_not_read(bert: MaskedLM, real_data: RealData) -> None:
    real_data("lm")
    config = mini()
    corpus = datasets.corpus(config.corpus)
    quiz = quiz_of(pairs_of(corpus.held_out, bert.reader, config), bert.reader, config.tokens, 300)
    numbers = quiz.ask(bert.net, Device.pick(config), follows=True)
    floors = floors_of(quiz.guesses, most_frequent(corpus.held_out, bert.reader), bert.reader.special.mask)
    assert numbers["masked_accuracy"] > 33 > 2 * floors["copy_accuracy"] and numbers["follows_accuracy"] > 60
    (percent,) = re.findall(r"([\d.]+) % of masked", (BROUGHT_AT / "README.md").read_text())
    assert numbers["masked_accuracy"] == pytest.approx(float(percent), abs=3)
