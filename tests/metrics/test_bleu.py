"""BLEU is what sacrebleu's own command prints for the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daybreak.metrics.bleu import bleu, exact_match

TRANSLATIONS = [
    "A man in an orange hat staring at something.",
    "A Boston Terrier is running on lush green grass in front of a white fence .",
    "a girl breaks a stick with a kick",
    "",
    "Fünf Leute – in winter jackets, 3.5 m apart & “helmets” 中文",
]
REFERENCES = [
    "A man in an orange hat starring at something.",
    "A Boston Terrier is running on lush green grass in front of a white fence.",
    "A girl in karate uniform breaking a stick with a front kick.",
    "Nobody.",
    "Five people – in winter jackets, 3.5 m apart & “helmets” 中文",
]


@pytest.mark.parametrize("flags", [[], ["-lc"]])
def test_bleu_and_its_signature_are_those_of_sacrebleus_command(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "out").write_text("".join(f"{line}\n" for line in TRANSLATIONS), encoding="utf-8")
    (tmp_path / "ref").write_text("".join(f"{line}\n" for line in REFERENCES), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "ref"), "-i", str(tmp_path / "out"), "-w", "6", *flags]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    score, signature = bleu(TRANSLATIONS, REFERENCES, lowercase=bool(flags))
    assert round(score, 6) == told["score"] and 10 < score < 90
    assert signature == told["signature"] and ("case:lc" if flags else "case:mixed") in signature


def test_bleu_of_the_references_themselves_is_100_and_of_other_words_0(caplog: pytest.LogCaptureFixture) -> None:
    assert bleu(REFERENCES, REFERENCES)[0] == pytest.approx(100.0)
    assert bleu(["x y z"] * 5, REFERENCES)[0] == 0.0
    assert bleu(["a b c d ."] * 200, ["a b c d ."] * 200)[0] == pytest.approx(100.0)
    assert not caplog.text, "sacrebleu warns of what looks tokenised"


def test_case_counts_unless_it_is_lowered() -> None:
    upper = [line.upper() for line in REFERENCES]
    assert bleu(upper, REFERENCES)[0] < bleu(upper, REFERENCES, lowercase=True)[0] == pytest.approx(100.0)


def test_exact_match_is_to_the_letter() -> None:
    assert exact_match(["one", "Two", "three ", "four"], ["one", "two", "three", "four"]) == 50.0
    assert exact_match([""], [""]) == 100.0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="0 translations cannot be compared with 0"):
        bleu([], [])
    with pytest.raises(ValueError, match="1 translations cannot be compared with 2"):
        bleu(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="no translations"):
        exact_match([], [])
    with pytest.raises(ValueError, match="argument 2 is longer"):
        exact_match(["a"], ["a", "b"])
