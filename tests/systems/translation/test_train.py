"""What is translation's own; what every system promises is in test_conformance.py."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from daybreak import cli
from daybreak.data.buckets import in_order
from daybreak.data.text import PAD
from daybreak.data.toy.numbers import numbers
from daybreak.engine import device
from daybreak.engine.claim import Curve
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.muon import adamw_or_muon
from daybreak.engine.optim import Schedule, warmup_inverse_sqrt
from daybreak.engine.rundir import log_series, read_config, read_json, read_sessions, write_json
from daybreak.report.records import Measurement, Record, write
from daybreak.systems.translation import data
from daybreak.systems.translation.config import Config, tiny
from daybreak.systems.translation.data import (
    Corpus,
    Vocabulary,
    encode,
    learn_vocabulary,
    padded,
    short_ones_again,
    train_and_val,
)
from daybreak.systems.translation.evaluate import by_length, nearest
from daybreak.systems.translation.look import END_MARK, look
from daybreak.systems.translation.model import Network, network
from daybreak.systems.translation.predict import Translator, load
from daybreak.systems.translation.train import learning_rate, loss_of, mean_loss, train

CPU = Device.pick(RunConfig(device="cpu", precision="fp32"))
KINDS = [("transformer", "none"), ("rnn", "none"), ("rnn", "bahdanau"), ("rnn", "general")]
PAIRS = Corpus(
    ["ein Hund schläft", "zwei Katzen", "ein Kind lacht", "die Katze und der Hund schlafen", "niemand"],
    ["a dog sleeps", "two cats", "a child laughs", "the cat and the dog sleep", "nobody"],
)


def small(model: str = "transformer", attention: str = "bahdanau") -> Config:
    return Config(
        model=model, attention=attention, hidden_size=32, num_heads=2, ff_size=64, dropout=0.0, vocab_size=300
    )  # type: ignore[arg-type]


def untrained(config: Config) -> tuple[Network, Vocabulary]:
    torch.manual_seed(0)
    vocabulary = learn_vocabulary(PAIRS, config)
    return network(config, *vocabulary.sizes), vocabulary


@pytest.mark.parametrize(("model", "attention", "muon"), [*((*kind, False) for kind in KINDS), (*KINDS[0], True)])
def test_five_sentences_can_be_learned_by_heart(model: str, attention: str, muon: bool) -> None:
    config = small(model, attention)
    config.optimizer, config.lr, config.warmup_steps, config.steps = "muon" if muon else "adamw", 1e-2, 0, 400
    net, vocabulary = untrained(config)
    pairs = vocabulary.encode(PAIRS)
    batch = pairs.batch(torch.arange(5))
    optimizer = adamw_or_muon(net, config.optimizer, config.weight_decay, CPU)
    schedule = Schedule(optimizer, lr=learning_rate(config))
    for _ in range(200):
        optimizer.zero_grad()
        (loss_of(net, batch, 0.0, CPU) / int(pairs.lengths[:, 1].sum())).backward()
        optimizer.step()
        schedule.step()
    translator = Translator(config, net, vocabulary, CPU)
    assert translator.translate(PAIRS.source) == PAIRS.target
    assert translator.translate(PAIRS.source, beam=1) == PAIRS.target
    assert translator.translate(PAIRS.source[3]) == PAIRS.target[3]
    assert mean_loss(net, pairs, config, CPU) < 0.1


def test_loss_is_torchs_over_all_places_but_padding() -> None:
    net, vocabulary = untrained(small())
    batch = vocabulary.encode(PAIRS).batch(torch.arange(5))
    logits = net.logits(net(batch.source, batch.target_in)).flatten(0, 1)
    labels = batch.target_out.flatten()
    expected = cross_entropy(logits, labels, ignore_index=PAD, reduction="sum", label_smoothing=0.1)
    assert torch.allclose(loss_of(net, batch, 0.1, CPU), expected)


def test_mean_loss_does_not_depend_on_the_batches() -> None:
    config = small()
    net, vocabulary = untrained(config)
    pairs = vocabulary.encode(PAIRS)
    alone = sum(loss_of(net, pairs.batch(torch.tensor([row])), 0.0, CPU).item() for row in range(5))
    assert len(in_order(pairs.lengths, config.tokens)) == 1
    assert mean_loss(net, pairs, config, CPU) == pytest.approx(alone / int(pairs.lengths[:, 1].sum()), abs=1e-5)
    assert net.training, "the network's mode was changed"


def test_a_step_of_two_strata_is_that_of_all_their_sentences_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / "whole", tmp_path / "strata"]
    for folder, tokens, strata in zip(folders, (10_000, 1_680), (1, 2), strict=True):
        config = small()
        config.out, config.device, config.precision = str(folder), "cpu", "fp32"
        config.pairs, config.held_out, config.longest, config.warmup_steps = 30, 10, 100, 0
        config.tokens, config.strata, config.steps, config.log_every, config.eval_every = tokens, strata, 1, 1, 2
        train(config)
    whole, parts = (log_series(folder, "tokens")[1] for folder in folders)
    assert whole == parts, "a step has other sentences"
    assert log_series(folders[0], "loss")[1] == pytest.approx(log_series(folders[1], "loss")[1], rel=1e-5)
    of_whole, of_parts = (load(folder).model.state_dict() for folder in folders)
    assert all(torch.allclose(of_whole[name], of_parts[name], atol=1e-4) for name in of_whole)


def test_translations_do_not_depend_on_how_many_are_made_at_once() -> None:
    config = small()
    translator = Translator(config, *untrained(config), CPU)
    sentences = [*PAIRS.source, "", "ein " * 30, "ß"]
    together, one_by_one = translator.translate(sentences), translator.translate(sentences, tokens=1)
    assert together == one_by_one == [translator.translate(sentence) for sentence in sentences]
    assert together[5] == ""
    assert translator.translate([]) == []


def test_a_line_of_ten_thousand_tokens_is_translated_in_pieces(caplog: pytest.LogCaptureFixture) -> None:
    config = small()
    config.longest = 50
    translator = Translator(config, *untrained(config), CPU)
    assert isinstance(translator.translate("ein Hund. " * 2_500, beam=1), str)
    assert "in pieces" in caplog.text


def test_impossible_beams_are_refused() -> None:
    config = small()
    translator = Translator(config, *untrained(config), CPU)
    with pytest.raises(UserError, match="beam of 0"):
        translator.translate(["ein"], beam=0)


@pytest.mark.parametrize(("model", "attention", "count"), [("transformer", "none", 24), ("rnn", "concat", 1)])
def test_all_maps_of_a_sentence_are_shown(model: str, attention: str, count: int) -> None:
    config = small(model, attention)
    config.num_layers, config.num_heads = 4, 2
    translator = Translator(config, *untrained(config), CPU)
    seen = look(translator, "ein Hund", "a dög 🙂")
    assert len(seen.maps) == count and seen.source[-1] == seen.target[-1] == END_MARK
    assert "".join(seen.source[:-1]).strip() == "ein Hund" and "".join(seen.target[:-1]).strip() == "a dög 🙂"
    sides = {"cross": (seen.target, seen.source), "encoder": (seen.source,) * 2, "decoder": (seen.target,) * 2}
    for each in seen.maps:
        rows, columns = sides[each.kind]
        assert torch.tensor(each.weights).shape == (len(rows), len(columns))
        assert torch.tensor(each.weights).sum(1).tolist() == pytest.approx([1.0] * len(rows), abs=1e-5)
    assert torch.tensor(seen.alignment).shape == (len(seen.target), len(seen.source))


def test_looking_leaves_the_network_as_it_was() -> None:
    config = small()
    translator = Translator(config, *untrained(config), CPU)
    before = translator.translate(PAIRS.source)
    look(translator, "ein Hund")
    assert all(not module._forward_pre_hooks for module in translator.model.modules())
    assert translator.translate(PAIRS.source) == before


@pytest.mark.parametrize(("sentence", "attention", "why"), [
    ("  ", "dot", "empty"), ("ein " * 300, "dot", "over 250"), ("ein", "none", "one vector"),
])  # fmt: skip
def test_what_cannot_be_looked_at_is_refused(sentence: str, attention: str, why: str) -> None:
    config = small("rnn", attention)
    with pytest.raises(UserError, match=why):
        look(Translator(config, *untrained(config), CPU), sentence)


def test_bleu_by_length_splits_the_sentences_evenly() -> None:
    source = [" ".join(["wort"] * n) for n in (9, 1, 5, 2, 8, 3, 4, 7, 6, 10, 12, 11)]
    target = [" ".join(["word"] * len(s.split())) for s in source]
    lengths, scores = by_length(Corpus(source, target), target)
    assert lengths == [1.5, 3.5, 5.5, 7.5, 9.5, 11.5]
    assert scores[-1] == pytest.approx(100.0)


def test_short_numbers_are_trained_on_often_enough_and_never_tested() -> None:
    train, val = train_and_val(tiny())
    counts = Counter(len(str(value)) for value in short_ones_again(numbers("train", 6_000)))
    assert len(train) == sum(counts.values()) and min(counts.values()) >= max(counts.values()) // 4
    test = data.tests(tiny())["test"]
    assert not set(train.source) & {*val.source, *test.source} and len(set(test.source)) == len(test) == 300


def test_floor_is_the_translation_of_the_most_similar_sentence() -> None:
    assert nearest(PAIRS, ["ein Kind weint", "die Katze", "xyz"])[:2] == ["a child laughs", "the cat and the dog sleep"]


def test_rate_rises_evenly_and_falls_with_the_root_of_the_steps() -> None:
    curve = warmup_inverse_sqrt(0.4, 10)
    rates = [curve(done) for done in range(200)]
    width, warmup = 512, 10  # the paper's formula, up to its constant
    formula = [width**-0.5 * min(step**-0.5, step * warmup**-1.5) for step in range(1, 201)]
    assert rates == pytest.approx([rate * 0.4 / formula[9] for rate in formula])


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    driver = Path(__file__).with_name("two_ranks.py")
    done = subprocess.run([sys.executable, str(driver), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = (log_series(tmp_path / name, "loss") for name in ("one", "two"))
    assert read_sessions(tmp_path / "two")[0]["world"] == 2
    assert len(set(one[1])) == 30 and two[1] == pytest.approx(one[1], rel=1e-4)


# ----------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(("flags", "named"), [
    (["--source", "de", "--target", "de"], "both 'de'"),
    (["--data", "files"], "--source-file"),
    (["--source", "fr"], "German and English"),
    (["--hidden-size", "100", "--num-heads", "3"], "--num-heads"),
    (["--tokens", "100"], "--longest"),
])  # fmt: skip
def test_settings_that_do_not_go_together_are_refused(
    flags: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["translation", "train", "tiny", *flags, "--print-config"]) == 2
    mistake = capsys.readouterr().err
    assert named in mistake and len(mistake.splitlines()) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on the user's own files."""
    folder = tmp_path_factory.mktemp("own")
    corpus, _ = train_and_val(tiny())
    (folder / "a.de").write_text("\n".join(corpus.source[-200:]) + "\n", encoding="utf-8")
    (folder / "a.en").write_text("\n".join(corpus.target[-200:]) + "\n", encoding="utf-8")
    files = ["--data", "files", "--source-file", str(folder / "a.de"), "--target-file", str(folder / "a.en")]
    small = ["--steps", "4", "--eval-every", "2", "--hidden-size", "16", "--held-out", "20", "--average", "2"]
    assert cli.main(["translation", "train", "tiny", *files, *small, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_a_file_of_the_users_is_translated_line_by_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_text("eins\n\nzwei\n", encoding="utf-8")
    assert (
        cli.main(["translation", "translate", str(run), "--file", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
        == 0
    )
    written = (tmp_path / "out").read_text(encoding="utf-8")
    assert written.count("\n") == 3 and written.splitlines()[1] == ""
    capsys.readouterr()
    assert cli.main(["translation", "translate", str(run), "--file", str(tmp_path / "in")]) == 0
    assert capsys.readouterr().out == written
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"eins\n\nzwei\n")))
    assert cli.main(["translation", "translate", str(run)]) == 0
    assert capsys.readouterr().out == written
    assert cli.main(["translation", "translate", str(run), "eins", "", "zwei"]) == 0
    assert capsys.readouterr().out == written


def test_in_8_bits_nearly_every_word_is_the_same(run: Path) -> None:
    sentences = train_and_val(tiny())[1].source
    whole, rounded = load(run, device="cpu"), load(run, device="cpu", int8=True)
    x = padded(encode(whole.vocabulary.source, sentences[:8]))
    target_in = x[:, :5]
    features = whole.model(x, target_in)
    assert torch.allclose(rounded.model(x, target_in), features, atol=0.05 * features.abs().max().item())
    assert len(rounded.translate(sentences[:5])) == 5


@pytest.mark.parametrize(("words", "named"), [
    (["eins", "--file", "x"], "--file"),
    (["--out", "x", "eins"], "--out"),
    (["--file", "nowhere.txt"], "nowhere.txt"),
    (["eins", "--beam", "0"], "beam"),
    (["eins", "--beam", "1000"], "--beam 1000"),
    (["eins", "--length-penalty", "-3"], "--length-penalty -3"),
    (["eins", "--length-penalty", "nan"], "--length-penalty nan"),
])  # fmt: skip
def test_translate_refuses_what_makes_no_sense(
    run: Path, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["translation", "translate", str(run), *words]) == 2
    mistake = capsys.readouterr().err
    assert named in mistake and len(mistake.splitlines()) == 1


@pytest.mark.parametrize(("verb", "words", "named"), [
    ("attention", ["eins", "--out", "look.png"], "look.png is no name for a page"),
    ("lengths", ["--out", "table.txt"], "table.txt is no name for a picture"),
])  # fmt: skip
def test_a_name_that_cannot_be_written_is_refused_before_the_work(
    verb: str, words: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["translation", verb, str(tmp_path / "no run"), *words]) == 2
    assert named in capsys.readouterr().err


def test_a_run_of_another_system_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, tmp_path / "run")
    stored = read_config(tmp_path / "run")
    write_json(tmp_path / "run" / "config.json", {**stored, "system": "language", "loop": "pretrain"})
    assert cli.main(["translation", "translate", str(tmp_path / "run"), "eins"]) == 2
    assert "is a run of language: give a run of translation" in capsys.readouterr().err


def test_a_line_that_is_not_utf8_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latin1").write_bytes("eins\nfünf\n".encode("latin1"))
    assert cli.main(["translation", "translate", str(run), "--file", str(tmp_path / "latin1")]) == 2
    assert "line 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluation_writes_signatures_and_sentences_to_read(run: Path) -> None:
    from daybreak.systems.translation import evaluate

    numbers = evaluate(run)
    assert {"test_bleu", "test_bleu_lc", "test_floor_bleu_lc", "test_exact"} <= set(numbers)
    points = read_json(run / "curves.json")["bleu_lc_by_words"]
    assert len(points["x"]) == len(points["y"]) == 6
    assert "case:lc" in (run / "sacrebleu.json").read_text() and "case:mixed" in (run / "sacrebleu.json").read_text()
    lines = (run / "samples" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "source\ttranslation\treference" and len(lines) == 21
    assert (run / "samples" / "test_by_length.png").exists()


def test_a_translator_computes_in_fp32_where_training_took_bf16(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_bf16_speed", lambda: 2.0)
    assert Device.pick(RunConfig(device="cpu")).precision == "bf16" and load(run).device.precision == "fp32"


def test_the_loss_is_summed_in_fp32_where_the_network_is_in_bf16() -> None:
    net, vocabulary = untrained(small())
    batch = vocabulary.encode(PAIRS).batch(torch.arange(5))
    rounded, exact = (loss_of(net, batch, 0.1, dataclasses.replace(CPU, bf16=bf16)) for bf16 in (True, False))
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=1e-3) and rounded.item() != exact.item()


def test_lengths_draws_what_evaluation_left_in_runs_and_records(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, other = shutil.copytree(run, tmp_path / "new"), shutil.copytree(run, tmp_path / "other")
    (new / "curves.json").unlink(missing_ok=True)
    curve = {"x": [1.5, 3.0], "y": [40.0, 20.0]}
    write_json(run / "curves.json", {"bleu_lc_by_words": curve})
    write_json(other / "curves.json", {"bleu_lc_by_words": {**curve, "x": [1.5, 4.0]}})
    record = Record(
        "translation", "two", "a claim", ["a command"], "all", [Measurement("test_bleu", "BLEU", [1.0, 2.0])],
        seeds=[0, 1], environment={"device": "cpu", "cores": 1},
        curves=[Curve("bleu_lc_by_words", [curve["x"]] * 2, [[50.0, 30.0], [60.0, 50.0]])],
    )  # fmt: skip
    words = ["translation", "lengths", "--out", str(tmp_path / "lengths.png")]
    assert cli.main([*words, str(run), str(write(record, tmp_path)), str(run)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["words", "1.5", "3.0"] and lines[1][-2:] == ["40.0", "20.0"]
    assert lines[2] == ["two", "55.0", "40.0"] and lines[3][-3:] == [f"({run})", "40.0", "20.0"]
    assert (tmp_path / "lengths.png").exists()
    write_json(broken := tmp_path / "broken.json", {"curves": [{"name": "bleu_lc_by_words"}]})
    for wrong, why in ((new, "was not evaluated"), (other, "on other sentences"), (broken, "lacks the key 'x'")):
        assert cli.main([*words, str(run), str(wrong)]) == 2
        assert why in capsys.readouterr().err
