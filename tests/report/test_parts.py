from __future__ import annotations

from daybreak.report.records.parts import measure_parts, parts_arguments, parts_table


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


def test_flags_have_the_benchmark_s_seeds():
    given = parts_arguments("what it is", seeds=[0, 1]).parse_args([])
    assert given.seeds == [0, 1] and given.only is None and given.rows is None
