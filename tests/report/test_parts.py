from __future__ import annotations

import pytest

from daybreak.report.records.parts import measure_parts, parts_arguments, parts_record, parts_table


def numbers(name: str, seed: int) -> dict[str, float]:
    return {"accuracy": 80.0 + seed + len(name), "seconds": 10.0 * (seed + 1), "wall": 6.0}


def test_variants_are_measured_in_turns_and_stand_beside_the_recipe(tmp_path, capsys):
    kept = tmp_path / "rows.jsonl"
    results = measure_parts(["whole", "15 % (less)"], [0, 1], kept, numbers)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["0 whole", "0 15 % (less)", "1 whole", "1 15 % (less)"]
    assert results["whole"] == [numbers("whole", 0), numbers("whole", 1)]
    table = parts_table(results)
    assert [row.metric for row in table] == ["whole_accuracy", "whole_seconds", "15__less_accuracy", "15__less_seconds"]
    assert table[2].values == [91.0, 92.0]
    assert table[2].anchor is not None and table[2].anchor.value == 85.5
    assert table[3].better == "lower" and table[3].anchor is not None and table[3].anchor.value == 15.0


def test_a_second_call_measures_nothing_again(tmp_path):
    kept = tmp_path / "rows.jsonl"
    first = measure_parts(["whole"], [0], kept, numbers)
    assert measure_parts(["whole"], [0], kept, lambda *_: {}) == first


def test_a_record_says_how_it_was_made_and_how_long_it_took():
    results = measure_parts(["whole", "less"], [0, 1], None, numbers)
    made = parts_record("language", "parts", "what parts are worth", "parts_bench", results, [0, 1])
    assert made.commands == ["python3 dev.py bench parts_bench --seeds 0 1"]
    assert made.seconds == 24.0 and made.measurements == parts_table(results)


def test_flags_have_the_benchmark_s_seeds_and_refuse_a_variant_that_is_none(capsys):
    arguments = parts_arguments("what it is", ["whole", "less"], seeds=[0, 1])
    given = arguments.parse_args([])
    assert given.seeds == [0, 1] and given.only is None and given.rows is None
    with pytest.raises(SystemExit):
        arguments.parse_args(["--only", "lees"])
    assert "lees" in capsys.readouterr().err
