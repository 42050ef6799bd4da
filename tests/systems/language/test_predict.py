"""What can be asked of a run: its answers, that they do not depend on how many are asked for at once, and refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from daybreak.engine import device
from daybreak.engine.errors import UserError
from daybreak.systems import load as load_any
from daybreak.systems.language.assets import Reader
from daybreak.systems.language.embed import WordVectors, windowed, word_of_each_piece
from daybreak.systems.language.export import export_public
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.model.rows import rows_of
from daybreak.systems.language.neighbours import of_texts, of_word
from daybreak.systems.language.predict import load, load_for
from daybreak.systems.language.uses import Answerer, Chooser, Classifier, Similarity, TaggedText, Tagger
from daybreak.systems.language.wordpiece import Special, encode
from daybreak.systems.language.words import Word, words_of

MakeRun = Callable[..., Path]
LONG = " ".join(["the bank of the river was wet and Ada Lovelace sat by the water"] * 20)
ODD = ["", "   ", "\0", "\u202ebank\u202c", "x" * 100_000, "🙂 café 東京", "the\u200bbank", "[CLS] ##ank [SEP]"]


# ----------------------------------------------------------------------------- windows


@settings(deadline=None)
@given(st.lists(st.integers(10, 99), max_size=60), st.integers(8, 20))
def test_every_word_piece_is_taken_from_one_row_in_order(ids: list[int], longest: int) -> None:
    special = Special(0, 1, 2, 3, 4)
    cut = windowed(ids, special, longest)
    all_ids = np.concatenate(cut.rows)
    assert all_ids[cut.inner].tolist() == ids
    assert all(len(row) <= longest and row[0] == special.cls and row[-1] == special.sep for row in cut.rows)
    assert cut.taken.sum() == len(ids) + 2 * len(cut.rows)
    assert len(ids) + 2 > longest or len(cut.rows) == 1


def test_pieces_belong_to_the_word_that_they_share_characters_with() -> None:
    words = [Word("ab", 0, 2), Word("c", 4, 5), Word("de", 5, 7)]
    offsets = [(0, 1), (1, 2), (2, 3), (4, 6), (6, 7), (8, 9)]
    assert word_of_each_piece(words, offsets).tolist() == [0, 0, -1, 1, 2, -1]
    assert word_of_each_piece([], offsets).tolist() == [-1] * 6 and word_of_each_piece(words, []).tolist() == []


# ----------------------------------------------------------------------------- opening


@pytest.mark.parametrize("task", ["pretrain", "tag"])
@pytest.mark.parametrize(("named", "taken"), [("fp32", "fp32"), ("auto", "bf16")])
def test_a_run_is_opened_in_the_precision_of_its_training(
    task: str, named: str, taken: str, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "cpu_bf16_speed", lambda: 2.0)
    assert load(make_run(task, precision=named), device="cpu").device.precision == taken


# ----------------------------------------------------------------------------- embed


def test_vectors_are_the_networks_own(make_run: MakeRun, reader: Reader) -> None:
    model = load(make_run("pretrain"))
    ids = [reader.special.cls, *encode(reader.tokenizer, ["the bank was wet"])[0].ids, reader.special.sep]
    with torch.no_grad():
        states = model.bert.hidden_states(rows_of([np.array(ids)], [np.zeros(len(ids))]))
    for layer in (0, 1, 2):
        for number in (layer, layer - 3):
            assert torch.allclose(model.embed("the bank was wet", layer=number), states[layer].mean(0), atol=1e-5)
    assert torch.allclose(model.embed("the bank was wet", pooling="cls"), states[-1][0], atol=1e-5)
    read = model.embed("the bank was wet", pooling="words")
    assert [word.text for word in read.words] == ["the", "bank", "was", "wet"]
    begins = [place for place, i in enumerate(ids) if not (reader.tokenizer.id_to_token(i) or "").startswith("##")]
    parts = np.split(np.arange(len(ids)), begins[1:])[1:-1]
    expected = torch.stack([states[-1][part].mean(0) for part in parts])
    assert torch.allclose(read.vectors, expected, atol=1e-5)


def test_many_texts_have_the_vectors_that_each_has_alone(make_run: MakeRun) -> None:
    model = load(make_run("pretrain"))
    texts = ["the bank was wet", LONG, *ODD, "money"]
    for pooling in ("mean", "cls"):
        together = model.embed(texts, pooling=pooling)
        assert together.shape == (len(texts), 32) and together.isfinite().all()
        assert torch.allclose(together, torch.stack([model.embed(text, pooling=pooling) for text in texts]), atol=1e-5)
    for text, read in zip(texts, model.embed(texts, pooling="words"), strict=True):
        assert read.vectors.shape == (len(read.words), 32) and read.vectors.isfinite().all()
        assert torch.allclose(read.vectors, model.embed(text, pooling="words").vectors, atol=1e-5)
    assert model.embed([]).shape == (0, 32) and model.embed([], pooling="words") == []


def test_no_word_of_a_long_text_is_lost(make_run: MakeRun) -> None:
    model = load(make_run("pretrain"))
    read = model.embed(LONG, pooling="words")
    assert list(read.words) == words_of(LONG)
    assert not torch.allclose(read.vectors[0], read.vectors[-14], atol=1e-3), "the same word elsewhere is the same"


def test_embedding_leaves_the_networks_mode_as_it_was(make_run: MakeRun) -> None:
    model = load(make_run("pretrain"))
    for training in (True, False):
        model.bert.train(training)
        model.embed("bank")
        assert model.bert.training is training


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_refused(make_run: MakeRun, layer: int) -> None:
    with pytest.raises(UserError, match=f"no layer {layer}: .* to 2"):
        load(make_run("pretrain")).embed("bank", layer=layer)


def test_another_pooling_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match="no pooling 'max'"):
        load(make_run("pretrain")).embed(["bank"], pooling="max")  # type: ignore[call-overload]


def test_neighbours_are_the_nearest_of_other_texts() -> None:
    near, far = [1.0, 0.0], [-1.0, 0.1]
    read = [
        WordVectors((Word("bank", 0, 4), Word("wet", 5, 8)), torch.tensor([near, far])),
        WordVectors((Word("shore", 0, 5), Word("Bank", 6, 10)), torch.tensor([near, far])),
    ]
    first, second = of_word("bank", read, 1)
    assert (first.number, first.word.text, first.neighbours[0].word) == (0, "bank", Word("shore", 0, 5))
    assert (second.number, second.word.text, second.neighbours[0].word) == (1, "Bank", Word("wet", 5, 8))
    assert first.neighbours[0].cosine == pytest.approx(1.0) and len(of_word("bank", read, 9)[0].neighbours) == 2
    with pytest.raises(UserError, match="'river' is a word of none"):
        of_word("river", read, 1)
    texts = of_texts(torch.tensor([near, far, [0.9, 0.0]]), 5)
    assert [each.number for each in texts[0]] == [2, 1] and [each.number for each in texts[2]] == [0, 1]


# ----------------------------------------------------------------------------- fill


def test_every_hole_is_filled_with_the_networks_best(make_run: MakeRun, reader: Reader) -> None:
    model = load_for(MaskedLM, make_run("pretrain"))
    first, second = model.fill("the [MASK] was [MASK]", count=3)
    ids = [reader.special.cls, *encode(reader.tokenizer, ["the"])[0].ids, reader.special.mask]
    ids += [*encode(reader.tokenizer, ["was"])[0].ids, reader.special.mask, reader.special.sep]
    places = torch.tensor([place for place, token in enumerate(ids) if token == reader.special.mask])
    with torch.no_grad():
        logits, _ = model.net(rows_of([np.array(ids)], [np.zeros(len(ids))]), places)
    for pieces, expected in zip((first, second), logits.softmax(-1), strict=True):
        chances = [piece.probability for piece in pieces]
        assert chances == pytest.approx(expected.topk(3).values.tolist(), abs=1e-5)
        assert pieces[0].text == reader.tokenizer.id_to_token(int(expected.argmax()))


def test_holes_of_long_texts_and_of_many_are_filled_too(make_run: MakeRun) -> None:
    model = load_for(MaskedLM, make_run("pretrain"))
    texts = [f"{LONG} [MASK]", "[MASK]", f"[MASK][MASK] {LONG} [MASK] bank", "\0[MASK]\u202e"]
    together = model.fill(texts)
    assert [len(holes) for holes in together] == [1, 1, 3, 1]
    for text, holes in zip(texts, together, strict=True):
        for alone, hole in zip(model.fill(text), holes, strict=True):
            assert [piece.probability for piece in alone] == pytest.approx([p.probability for p in hole], abs=1e-5)
    assert model.fill([]) == []


def test_a_text_without_a_hole_and_a_count_below_one_are_refused(make_run: MakeRun) -> None:
    model = load_for(MaskedLM, make_run("pretrain"))
    with pytest.raises(UserError, match=r"'the bank' leaves nothing out: write \[MASK\]"):
        model.fill(["the [MASK]", "the bank"])
    with pytest.raises(UserError, match="count of 0"):
        model.fill("[MASK]", count=0)


# ----------------------------------------------------------------------------- the tasks


def test_sentences_are_classified_alone_as_among_others(make_run: MakeRun) -> None:
    model = load_for(Classifier, make_run("classify"))
    texts = ["it is good", LONG, *ODD]
    together = model.classify(texts)
    for text, found in zip(texts, together, strict=True):
        assert found.probability == pytest.approx(model.classify(text).probability, abs=1e-5)
        assert set(found.others) == {"bad", "good"} and sum(found.others.values()) == pytest.approx(1)
        assert found.probability == max(found.others.values()) == found.others[found.label]
    assert model.classify([]) == []


def test_pairs_are_for_a_classifier_of_pairs_and_single_sentences_for_the_other(make_run: MakeRun) -> None:
    of_pairs, of_sentences = (load_for(Classifier, make_run("classify", name, name == "p")) for name in "ps")
    assert of_pairs.classify(("a", "b")) == of_pairs.classify([("a", "b")])[0]
    assert of_pairs.classify(("a", "b")) != of_pairs.classify(("b", "a"))
    with pytest.raises(UserError, match="pairs of sentences: give two"):
        of_pairs.classify(["a", "b"])
    with pytest.raises(UserError, match="single sentences: give one"):
        of_sentences.classify(("a", "b"))


@pytest.mark.parametrize("encoder", ["cross", "bi"])
def test_a_search_finds_what_is_most_similar(make_run: MakeRun, encoder: str) -> None:
    model = load_for(Similarity, make_run("similarity", encoder=encoder))
    among = ["a cat sat on the mat", "who wrote the notes", "bank", "", LONG]
    values = model.similarity([("the bank", other) for other in among])
    assert values == pytest.approx([model.similarity(("the bank", other)) for other in among], rel=1e-5, abs=1e-4)
    found = model.search("the bank", among, count=3)
    assert [each.number for each in found] == sorted(range(5), key=lambda number: -values[number])[:3]
    assert [each.similarity for each in found] == pytest.approx(sorted(values, reverse=True)[:3], abs=1e-5)
    assert [each.text for each in found] == [among[each.number] for each in found]
    assert model.search("the bank", []) == [] and model.similarity([]) == []


def test_a_bi_encoder_compares_the_vectors_of_single_texts(make_run: MakeRun) -> None:
    model = load_for(Similarity, make_run("similarity", encoder="bi"))
    vectors = model.vectors(["the bank", "the river"])
    head = model.net.head
    scaled = head.weight.item() * cosine_similarity(*vectors, dim=0) + head.bias.item()
    assert model.similarity(("the bank", "the river")) == pytest.approx(5 * scaled.item(), abs=1e-4)
    with pytest.raises(UserError, match="--encoder bi"):
        load_for(Similarity, make_run("similarity", "cross")).vectors(["the bank"])


def test_an_option_is_chosen_alone_as_among_others(make_run: MakeRun) -> None:
    model = load_for(Chooser, make_run("choose"))
    contexts, questions, options = (
        ["", LONG, "the bank"],
        ["who", "", "what is it"],
        [["a", "b"], ["c"], ["d", "", "e"]],
    )
    for asked, found in zip(
        zip(contexts, questions, options, strict=True), model.choose(contexts, questions, options), strict=True
    ):
        alone = model.choose(*asked)
        assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        assert sum(found.probabilities) == pytest.approx(1) and found.option == asked[2][found.number]
        assert found.probabilities[found.number] == max(found.probabilities)
    with pytest.raises(UserError, match="question 2 has no options"):
        model.choose(["a", "b"], ["c", "d"], [["e"], []])


@pytest.mark.parametrize("crf", [False, True])
def test_every_word_of_a_text_has_a_tag(make_run: MakeRun, crf: bool) -> None:
    model = load_for(Tagger, make_run("tag", crf=crf))
    texts = ["Ada Lovelace doesn't live in London.", LONG, *ODD]
    for text, found in zip(texts, model.tag(texts), strict=True):
        assert list(found.words) == words_of(text) and len(found.tags) == len(found.words)
        assert set(found.tags) <= {"B-LOC", "B-PER", "I-LOC", "I-PER", "O"}
        assert found == model.tag(text)
    words = tuple(word.text for word in words_of(texts[0]))
    assert model.tag_words([words, ()]) == [model.tag(texts[0]).tags, ()]
    assert model.tag([]) == [] and model.marks_names


def test_names_are_cut_from_the_text_by_their_tags() -> None:
    text = "Ada  Lovelace in London"
    tagged = TaggedText(text, tuple(words_of(text)), ("B-PER", "I-PER", "O", "B-LOC"))
    assert [(each.kind, each.text, each.start, each.end) for each in tagged.entities] == [
        ("PER", "Ada  Lovelace", 0, 13), ("LOC", "London", 17, 23),
    ]  # fmt: skip
    assert TaggedText("a", tuple(words_of("a")), ("NOUN",)).entities == []


def test_answers_are_pieces_of_the_context(make_run: MakeRun) -> None:
    model = load_for(Answerer, make_run("answer"))
    questions = ["who wrote the notes", "", LONG]
    for question, answers in zip(questions, model.answers(questions, LONG, 4), strict=True):
        assert 1 <= len(answers) <= 4 and len({answer.text for answer in answers}) == len(answers)
        assert all(answer.text == LONG[answer.start : answer.end] != "" for answer in answers)
        assert [answer.probability for answer in answers] == sorted((a.probability for a in answers), reverse=True)
        best = model.answer(question, LONG)
        assert (best.text, best.start) == (answers[0].text, answers[0].start)
        assert best.probability == pytest.approx(answers[0].probability, abs=1e-5)
    contexts = ["the notes were written by Ada", "the river was wet"]
    found = model.answer(["who", "what"], contexts)
    assert all(answer.text in context for answer, context in zip(found, contexts, strict=True))


@pytest.mark.parametrize("context", ["", "  \n", "\0"])
def test_an_empty_context_has_no_answer(make_run: MakeRun, context: str) -> None:
    answer = load_for(Answerer, make_run("answer")).answer("who", context)
    assert (answer.text, answer.start, answer.end, answer.probability) == ("", 0, 0, 1.0)


def test_a_count_of_no_answers_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match="count of 0"):
        load_for(Answerer, make_run("answer")).answers(["who"], "Ada", 0)


def test_half_of_a_character_is_refused_in_a_sentence(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match="UTF-8"):
        load_for(Classifier, make_run("classify")).classify("\udcff")


# ----------------------------------------------------------------------------- opening


def test_a_run_opens_as_what_it_was_trained_for_and_no_other(make_run: MakeRun) -> None:
    kinds = {"classify": Classifier, "similarity": Similarity, "choose": Chooser, "tag": Tagger, "answer": Answerer}
    runs = {task: make_run(task) for task in kinds} | {"pretrain": make_run("pretrain")}
    for task, run in runs.items():
        model = load_any(run)
        assert type(model) is {**kinds, "pretrain": MaskedLM}[task]
        assert model.embed("bank").shape == (32,)
        other = Tagger if task != "tag" else Answerer
        with pytest.raises(UserError, match=f"{run} is {model.what}: use daybreak language {model.verb}$"):
            load_for(other, run)


def test_in_8_bits_the_vectors_are_nearly_the_same(make_run: MakeRun) -> None:
    for task in ("pretrain", "similarity"):
        run = make_run(task, **({"encoder": "bi"} if task == "similarity" else {}))
        whole, rounded = (load(run, device="cpu", int8=int8).embed([LONG, "the bank"]) for int8 in (False, True))
        assert cosine_similarity(whole, rounded).min() > 0.99 and not torch.equal(whole, rounded)


def test_a_public_checkpoint_opens_like_the_run_that_it_was_written_from(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("pretrain", length=64)
    export_public(run, tmp_path / "public")
    ours, theirs = load(run), load(tmp_path / "public")
    assert torch.equal(ours.embed(["the bank", LONG]), theirs.embed(["the bank", LONG]))
    assert ours.fill("the [MASK]") == theirs.fill("the [MASK]")  # type: ignore[union-attr]
    with pytest.raises(UserError, match="no pretrained encoder"):
        export_public(make_run("tag"), tmp_path / "tagger")


def test_a_checkpoint_without_the_layer_that_guesses_can_be_embedded_only(make_run: MakeRun, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "public"
    export_public(make_run("pretrain"), folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: each for name, each in weights.items() if "cls." not in name}, folder / "model.safetensors")
    model = load_for(MaskedLM, folder)
    assert model.embed("bank").shape == (32,)
    with pytest.raises(UserError, match="no layer that guesses"):
        model.fill("[MASK]")


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("config.json", {"system": "dawnbench"}, "dawnbench"),
        ("assets/learned.json", {"task": "sing"}, "'sing'"),
        ("assets/learned.json", {"labels": "good"}, "labels"),
        ("assets/encoder.json", {"shape": {}}, "encoder.json"),
    ],
)
def test_a_damaged_run_is_refused_in_a_sentence(
    make_run: MakeRun, file: str, change: dict[str, object], named: str
) -> None:
    run = make_run("classify")
    values = json.loads((run / file).read_text())
    (run / file).write_text(json.dumps({**values, **change}))
    with pytest.raises(UserError, match=named):
        load(run)


@pytest.mark.parametrize(
    "file", ["config.json", "assets/vocab.txt", "assets/encoder.json", "assets/learned.json", "weights.safetensors"]
)
def test_a_run_that_lacks_a_file_is_refused_naming_it(make_run: MakeRun, tmp_path: Path, file: str) -> None:
    run = make_run("tag")
    (run / file).unlink()
    with pytest.raises(UserError, match=Path(file).name):
        load(run)
    shutil.rmtree(run)
    with pytest.raises(UserError, match=r"config\.json is not there"):
        load(run)
