from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from daybreak.draw import Bars, bars
from daybreak.engine.errors import UserError


def test_bars_are_drawn_group_below_group(tmp_path: Path) -> None:
    one = bars([Bars("a [MASK] of $5", {"##s": 0.5, "_cup": 0.25, "東": 0.0})], tmp_path / "one.png")
    two = bars([Bars("first", {"a": 0.5}), Bars("x" * 300, {"b\n": 1.0, "": 0.5})], tmp_path / "two.png")
    with Image.open(one) as short, Image.open(two) as tall:
        assert tall.width == short.width and tall.height > short.height
        assert (42, 111, 201) in {colour for _, colour in short.convert("RGB").getcolors(2**24) or []}  # COLOURS[0]


def test_a_longer_bar_is_longer(tmp_path: Path) -> None:
    def blue(share: float) -> int:
        with Image.open(bars([Bars("", {"a": share, "b": 1.0})], tmp_path / "x.png")) as picture:
            counts = {colour: count for count, colour in picture.convert("RGB").getcolors(2**24) or []}
        return counts[42, 111, 201]

    least, half, whole = map(blue, (0.0, 0.5, 1.0))
    assert half - least == pytest.approx(whole - half, rel=0.05)


@pytest.mark.parametrize("groups", [[], [Bars("a", {})]])
def test_nothing_to_draw_is_refused(tmp_path: Path, groups: list[Bars]) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        bars(groups, tmp_path / "x.png")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(UserError, match="shares are 0 to 1"):
        bars([Bars("a", {"b": 0.5, "c": share})], tmp_path / "x.png")
