from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from daybreak.draw import Heads, alignment, heads
from daybreak.draw.lettering import family, legible
from daybreak.engine.errors import UserError

TOKENS = [" Ein", " Hut", ",", " orange", "farb", "en", "⏎"]
ODD = [
    "$x$",
    r" $\frac$",
    "",
    " ",
    "\n",
    "\x00",
    "\u200b",
    "😀",
    "東京",
    " مرحبا",
    "नि",
    "_a",
    "<b>",
    "x" * 500,
    "\ud800",
]


def spread(rows, columns):
    return np.full((rows, columns), 1 / columns)


def size(path):
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_a_map_is_darkest_where_the_network_looks(tmp_path):
    path = alignment(np.eye(7)[::-1], TOKENS, TOKENS, tmp_path / "a.png", title="back to front")
    with Image.open(path) as picture:
        colours = np.asarray(picture.convert("RGB"), dtype=float)
    blue = np.argwhere((colours[..., 2] - colours[..., 0] > 100) & (colours[..., 0] < 40))
    blue = blue[blue[:, 1] < colours.shape[1] * 0.8]  # the scale stands on the right
    assert np.corrcoef(blue[:, 0], blue[:, 1])[0, 1] < -0.8  # from the lower left to the upper right


def test_a_small_weight_is_told_from_none(tmp_path):
    none, little = (alignment([[1 - w, w]], ["a"], ["b", "c"], tmp_path / f"{w}.png") for w in (0.0, 0.02))
    assert none.read_bytes() != little.read_bytes()


@pytest.mark.parametrize("token", ODD)
def test_any_token_is_drawn_without_a_warning(tmp_path, token):
    alignment(spread(2, 2), [token, "b"], ["a", token], tmp_path / "a.png", title=token)
    heads([Heads(token, [token], ["a", token], [[spread(1, 2)]])], tmp_path / "h.png", title=token)


def test_a_glyph_that_no_font_has_would_have_warned(tmp_path, monkeypatch):
    monkeypatch.setattr("daybreak.draw.attention.legible", lambda text, **_: text)
    with pytest.warns(UserWarning, match="Glyph"):
        alignment([[1.0]], ["\U000f0000"], ["a"], tmp_path / "a.png")


def test_labels_are_never_empty_and_say_what_is_not_seen():
    assert [legible(token) for token in ("", " ", "\n", "\u200b", " Hut", "a\tb")] == ["◌", "␣", "␣", "␣", "Hut", "a b"]
    assert legible("\x00") == "□" and legible("\U000f0000") == "□"
    assert legible("x" * 30) == "x" * 19 + "…"
    assert family()[0] == "DejaVu Sans"


def test_the_tokens_of_one_word_are_tied(tmp_path):
    one = alignment(spread(1, 2), ["a"], [" ab", "cd"], tmp_path / "one.png").read_bytes()
    two = alignment(spread(1, 2), ["a"], [" ab", " cd"], tmp_path / "two.png").read_bytes()
    mark = alignment(spread(1, 2), ["a"], [" ab", "."], tmp_path / "mark.png").read_bytes()
    spaced = alignment(spread(1, 2), ["a"], [" ab", " ."], tmp_path / "spaced.png").read_bytes()
    assert one != two and mark == spaced


def test_sixty_tokens_and_one_have_room(tmp_path):
    labels = [f" token{i}" for i in range(60)]
    width, height = size(alignment(spread(60, 60), labels, labels, tmp_path / "many.png"))
    assert width > 60 * 20 and height > 60 * 20
    size(alignment([[1.0]], ["a"], ["b"], tmp_path / "one.png", title="a title that is wider than the map below it"))


def test_a_picture_is_as_wide_as_its_longest_label(tmp_path):
    short, long = (size(alignment([[1.0]], [token], ["b"], tmp_path / "x.png"))[0] for token in ("i", "W" * 20))
    assert long - short > 300


def test_a_sheet_has_a_map_for_every_head_of_every_layer(tmp_path):
    def tall(layers, count):
        group = Heads("looks", TOKENS, TOKENS, [[spread(7, 7)] * count] * layers)
        return np.array(size(heads([group], tmp_path / "h.png")))

    assert (tall(3, 4) - tall(2, 4))[1] == (tall(2, 4) - tall(1, 4))[1] > 100
    assert (tall(3, 4) - tall(3, 3))[0] == (tall(3, 3) - tall(3, 2))[0] > 100


def test_a_sheet_of_long_texts_drops_the_labels_and_not_the_maps(tmp_path):
    labels = ["W" * 20] * 60
    width, _ = size(heads([Heads("looks", labels, labels, [[np.eye(60)]])], tmp_path / "h.png"))
    assert width < 60 * 20


def test_the_same_maps_give_the_same_bytes(tmp_path):
    first, second = (alignment(np.eye(7), TOKENS, TOKENS, tmp_path / f"{name}.png") for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("weights", [[[1.0]], np.ones((3, 2)) / 2, [], np.ones(2)])
def test_weights_that_do_not_fit_the_tokens_are_refused(tmp_path, weights):
    with pytest.raises(UserError, match="2 x 3 tokens"):
        alignment(weights, ["a", "b"], ["c", "d", "e"], tmp_path / "a.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_attention_of_a_diverged_network_is_refused_and_nothing_written(tmp_path, bad):
    with pytest.raises(UserError, match="diverged"):
        alignment([[bad, 0.5]], ["a"], ["b", "c"], tmp_path / "a.png")
    with pytest.raises(UserError, match="diverged"):
        heads([Heads("looks", ["a"], ["b", "c"], [[[[bad, 0.5]]]])], tmp_path / "h.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("groups", [[], [Heads("t", ["a"], ["b"], [])], [Heads("t", ["a"], ["b"], [[]])]])
def test_a_sheet_without_maps_is_refused(tmp_path, groups):
    with pytest.raises(UserError, match="no attention map"):
        heads(groups, tmp_path / "h.png")
