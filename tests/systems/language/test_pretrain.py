"""Pretraining as a whole, on a few sentences: what is learned and logged, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import WEIGHTS, log_series, read_log
from daybreak.systems.language.config import PretrainConfig
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.predict import load_for
from daybreak.systems.language.pretrain import expect_frequencies, pretrain
from daybreak.systems.language.shape import Shape


@pytest.fixture
def config(tmp_path: Path) -> PretrainConfig:
    """Two documents of a few sentences that come again and again."""
    for name, sentences in {
        "a": ("The cat sat on the mat.", "It was wet."),
        "b": ("Who wrote it?", "Ada did."),
    }.items():
        (tmp_path / name).write_text(" ".join(sentences * 40))
    return PretrainConfig(
        corpus="files", files=(str(tmp_path / "a"), str(tmp_path / "b")), out=str(tmp_path / "run"), size="tiny",
        vocabulary=300, length=16, tokens=128, held_out=20, lr=3e-3, warmup_steps=2, steps=30, eval_every=10,
        save_every=30, log_every=1, precision="fp32", device="cpu",
    )  # fmt: skip


@pytest.mark.parametrize("whole_words", [False, True])
def test_words_and_what_follows_are_learned(config: PretrainConfig, whole_words: bool) -> None:
    run = pretrain(replace(config, whole_words=whole_words))
    for number in ("loss", "val_masked_loss"):
        _, values = log_series(run, number)
        assert values[-1] < values[0], number
    assert {"follows_loss", "val_masked_accuracy", "val_follows_accuracy", "epoch"} <= read_log(run)[-1].keys()
    assert load_for(MaskedLM, run).fill("The [MASK] sat on the mat.")[0][0].probability > 1 / 300


def test_without_next_sentences_nothing_is_said_of_them(config: PretrainConfig) -> None:
    run = pretrain(replace(config, next_sentence=False, steps=10))
    assert not any("follows" in name for line in read_log(run) for name in line)
    assert "val_masked_accuracy" in read_log(run)[-1]


def test_the_seed_decides(config: PretrainConfig, tmp_path: Path) -> None:
    runs = [
        pretrain(replace(config, steps=3, eval_every=3, seed=seed, out=str(tmp_path / str(number))))
        for number, seed in enumerate((0, 0, 1))
    ]
    first, again, other = (load_file(run / WEIGHTS) for run in runs)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transform.weight"], other["transform.weight"])


def test_one_document_has_no_other_to_take_a_sentence_from(config: PretrainConfig) -> None:
    with pytest.raises(UserError, match="the text is one document: give two or more, or --no-next-sentence"):
        pretrain(replace(config, files=config.files[:1]))


def test_the_first_guess_is_the_most_frequent_word_pieces() -> None:
    net = Pretraining(Shape(6, 8, 1, 2, 16))
    expect_frequencies(net, np.array([5, 5, 5, 5, 5, 5, 5, 4, 4, 4]))
    assert torch.exp(net.bias).div(torch.exp(net.bias).sum()).tolist() == pytest.approx(
        [n / 16 for n in (1, 1, 1, 1, 4, 8)]
    )
