"""Fine-tuning as a whole: what it begins with and keeps, that it goes on where it was stopped, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import WEIGHTS, log_series
from daybreak.systems.language import datasets
from daybreak.systems.language.config import FinetuneConfig
from daybreak.systems.language.finetune import SETTLED, SETTLED_PIECES, Best, beginning, finetune, to_settle
from daybreak.systems.language.predict import load_for
from daybreak.systems.language.tasks.task import Item
from daybreak.systems.language.uses import Classifier

MakeRun = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path, make_run: MakeRun) -> FinetuneConfig:
    """Forty sentences, good or bad, and eight steps."""
    lines = [f"it is {word} {number}\t{word}\n" for number in range(20) for word in ("good", "bad")]
    (tmp_path / "mine.tsv").write_text("text\tlabel\n" + "".join(lines))
    return FinetuneConfig(
        data="files", task="classify", train_file=str(tmp_path / "mine.tsv"), pretrained=str(make_run("pretrain")),
        out=str(tmp_path / "run"), length=24, stride=8, tokens=64, lr=1e-2, warmup_steps=2, steps=8, eval_every=2,
        save_every=2, log_every=1, precision="fp32", device="cpu",
    )  # fmt: skip


def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    config: FinetuneConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = replace(config, out=str(tmp_path / "whole")), replace(config, out=str(tmp_path / "stopped"))
    finetune(whole)
    offer, offered = Best.offer, []

    def fail_at_the_third(best: Best, *args: Any) -> None:
        offered.append(args)
        if len(offered) == 3:
            raise RuntimeError("the power is gone")
        offer(best, *args)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power"):
        patch.setattr(Best, "offer", fail_at_the_third)
        finetune(stopped)
    finetune(stopped)
    ours, theirs = (load_file(Path(each.out) / WEIGHTS) for each in (whole, stopped))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    for number in ("loss", "val_score"):
        assert log_series(Path(whole.out), number) == log_series(Path(stopped.out), number)


def test_the_weights_of_the_best_validation_are_kept(config: FinetuneConfig) -> None:
    model = load_for(Classifier, finetune(config))
    val = datasets.load(config).val
    _, scores = log_series(Path(config.out), "val_score")
    assert len(scores) == 4 and model.task.scores(val, model.tell(val))["accuracy"] == pytest.approx(max(scores))


def test_best_keeps_what_was_better_and_no_equal() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    best = Best(net)
    for weight, score in ((1.0, 50.0), (2.0, 40.0), (3.0, 60.0), (4.0, 60.0)):
        torch.nn.init.constant_(net.weight, weight)
        best.offer(net, score)
    other = Best(torch.nn.Linear(1, 1, bias=False))
    other.load_state_dict(best.state_dict())
    assert best.net.weight.item() == other.net.weight.item() == 3.0 and other.score == 60.0  # type: ignore[operator]


def test_from_scratch_takes_all_but_the_weights(config: FinetuneConfig) -> None:
    pretrained = beginning(config, [])
    weights = load_file(Path(config.pretrained) / WEIGHTS)
    assert all(torch.equal(each, weights[f"bert.{name}"]) for name, each in pretrained.bert(0.0).state_dict().items())
    scratch = beginning(replace(config, from_scratch=True), [])
    assert scratch.weights is None and scratch.reader.shape == pretrained.reader.shape
    assert scratch.reader.tokenizer.get_vocab() == pretrained.reader.tokenizer.get_vocab()


def test_without_a_pretrained_encoder_word_pieces_are_learned_from_the_examples(config: FinetuneConfig) -> None:
    start = beginning(replace(config, pretrained="", vocabulary=300), datasets.load(config).train)
    assert start.weights is None and {"good", "bad"} <= start.reader.tokenizer.get_vocab().keys()
    assert (
        start.reader.shape.vocabulary == start.reader.tokenizer.get_vocab_size() and start.reader.shape.num_layers == 2
    )


def test_what_cannot_begin_is_refused_in_a_sentence(config: FinetuneConfig, tmp_path: Path) -> None:
    paragraphs = [
        {"context": f"{name} " * 100, "qas": [
            {"id": name, "question": "who?", "answers": [{"text": name, "answer_start": 0}]}]}
        for name in ("Ada", "Bob")
    ]  # fmt: skip
    (tmp_path / "long.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    long = replace(config, task="answer", train_file=str(tmp_path / "long.json"), out=str(tmp_path / "long"))
    with pytest.raises(UserError, match=r"has \d+ word pieces in all its rows: give --tokens \d+ or more"):
        finetune(long)
    with pytest.raises(UserError, match="reads rows of 64 word pieces: give a --length of no more"):
        finetune(replace(config, length=65, tokens=100, out=str(tmp_path / "wide")))
    with pytest.raises(UserError, match="nowhere is no run directory"):
        finetune(replace(config, pretrained=str(tmp_path / "nowhere"), out=str(tmp_path / "none")))


def test_the_encoder_learns_at_a_rate_of_its_own_or_not_at_all(config: FinetuneConfig) -> None:
    before = beginning(config, []).bert(0.0).state_dict()
    moved: dict[float, float] = {}
    for rate in (0.0, 0.1, 1.0):
        changed = replace(config, encoder_lr=rate, weight_decay=0.0, steps=1, warmup_steps=1, out=f"{config.out}{rate}")
        after = load_for(Classifier, finetune(replace(changed, eval_every=1, save_every=1))).net
        moved[rate] = max((after.bert.state_dict()[name] - each).abs().max().item() for name, each in before.items())
        assert after.head.bias.abs().max().item() == pytest.approx(1e-2, rel=0.05)  # Adam's first step
    assert moved[0.0] == 0.0 and moved[0.1] == pytest.approx(1e-3, rel=0.05) == moved[1.0] / 10


@pytest.mark.parametrize(
    ("length", "count"),
    [(4, SETTLED), (64, SETTLED_PIECES // 64), (SETTLED_PIECES // 2, 2), (SETTLED_PIECES + 1, 1)],
)
def test_a_network_begins_with_examples_that_fit_into_memory_at_once(length: int, count: int) -> None:
    row = np.zeros(length, np.int32)
    items = [Item((row,), (row,), 1) for _ in range(SETTLED + 1)]
    assert to_settle(items) == items[:count]
