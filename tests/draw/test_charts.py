from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from daybreak.draw import confusion, curves
from daybreak.engine.errors import UserError

STEPS = np.arange(0, 500, 10)


def test_curves_are_drawn_as_png_and_svg(tmp_path):
    series = {"train": (STEPS, np.exp(-STEPS / 200)), "validation": (STEPS, np.exp(-STEPS / 250))}
    png = curves(series, tmp_path / "loss.png", y_label="loss (nats)")
    svg = curves(series, tmp_path / "loss.svg", y_label="loss (nats)")
    with Image.open(png) as picture:
        assert len(picture.convert("RGB").getcolors(2**24)) > 10
    assert svg.read_text().startswith("<?xml")


def test_a_curve_with_gaps_and_one_without_values_are_drawn(tmp_path):
    values = np.where(STEPS % 50 == 0, np.nan, 1.0)
    assert curves({"a": (STEPS, values), "b": (STEPS, values * np.inf)}, tmp_path / "gaps.png").exists()


def test_the_same_curves_give_the_same_bytes(tmp_path):
    series = {"train": (STEPS, STEPS * 2.0)}
    assert curves(series, tmp_path / "a.png").read_bytes() == curves(series, tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["$x", r"$\frac$", "_hidden", "a\nb", ""])
def test_names_are_drawn_as_they_are_and_not_as_mathematics(tmp_path, name):
    curves({name: (STEPS, STEPS), "other": (STEPS, STEPS)}, tmp_path / "c.png", x_label=name, y_label=name, title=name)
    confusion([[1, 0], [0, 1]], [name, "b"], tmp_path / "m.png", title=name)


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(tmp_path):
    first = curves({"a": (STEPS, STEPS), "_b": (STEPS, STEPS)}, tmp_path / "b.png").read_bytes()
    second = curves({"a": (STEPS, STEPS), "_c": (STEPS, STEPS)}, tmp_path / "c.png").read_bytes()
    assert first != second


def test_series_of_different_lengths_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="'train' has 50 values of x and 49 of y"):
        curves({"train": (STEPS, STEPS[1:])}, tmp_path / "x.png")


def test_no_series_and_a_wrong_ending_are_refused(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        curves({}, tmp_path / "x.png")
    with pytest.raises(UserError, match=r"end it with \.png or \.svg"):
        curves({"a": ([0], [1])}, tmp_path / "x.bmp")


def test_a_confusion_matrix_is_darkest_where_the_answers_are(tmp_path):
    path = confusion(np.diag([9, 9, 9]), ["a", "b", "c"], tmp_path / "m.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"), dtype=float)
    dark = np.argwhere(pixels < 100)
    assert np.corrcoef(dark[:, 0], dark[:, 1])[0, 1] > 0.8  # from the upper left to the lower right


def test_a_class_without_examples_and_a_hundred_classes_are_drawn(tmp_path):
    confusion([[3, 1], [0, 0]], ["seen", "unseen"], tmp_path / "two.png")
    confusion(np.eye(100), [str(i) for i in range(100)], tmp_path / "hundred.png")


@pytest.mark.parametrize("counts", [[[1, 2, 3], [4, 5, 6]], [[1]], [[1, -1], [0, 1]], []])
def test_counts_that_are_no_confusion_matrix_are_refused(tmp_path, counts):
    with pytest.raises(UserError, match="2 x 2 counts"):
        confusion(counts, ["a", "b"], tmp_path / "m.png")


def test_importing_draw_loads_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    script = (
        "import sys, daybreak.draw as draw\n"
        "assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules\n"
        f"draw.curves({{'a': ([0, 1], [1, 2])}}, {str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_y_axis_shows_its_span_and_whatever_is_outside(tmp_path):
    def ticks(top, span):
        text = curves({"a": ([0, 1], [70, top])}, tmp_path / "c.svg", y_span=span).read_text()
        return {int(label) for label in re.findall(r"<!-- (\d+) -->", text)}

    assert {0, 100} <= ticks(99, (0, 100)) and max(ticks(160, (0, 100))) > 100
    assert 20 not in ticks(99, None)
