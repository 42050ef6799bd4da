from __future__ import annotations

import pytest

from daybreak.engine.errors import UserError
from daybreak.report.records import rows as made
from daybreak.report.records.rows import Rows


def never() -> dict[str, float]:
    raise AssertionError("measured a second time")


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert Rows(path).get("steps", 1, lambda: {"accuracy": 75.5}) == {"accuracy": 75.5}
    again = Rows(path)
    assert again.get("steps", 1, never) == {"accuracy": 75.5}
    assert again.get("steps", 2, lambda: {"accuracy": 76.0}) == {"accuracy": 76.0}
    assert again.get("other", 1, lambda: {"accuracy": 1.0}) == {"accuracy": 1.0}
    assert len(path.read_text().splitlines()) == len(Rows(path).rows) == 3


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = Rows(None)
    assert rows.get("steps", 1, lambda: {"accuracy": 75.5}) == rows.get("steps", 1, never)
    assert not list(tmp_path.iterdir())


def test_rows_of_another_commit_and_other_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    Rows(path).get("steps", 1, lambda: {"accuracy": 75.5})
    monkeypatch.setattr(made, "commit_of", lambda _: ("b" * 40, False))
    with pytest.raises(UserError, match="has rows of commit"):
        Rows(path)
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="is no file of rows"):
        Rows(path)
