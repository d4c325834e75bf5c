"""How the bars of fuzzing are worked out, from made-up times."""

import argparse
import json
import os
import pathlib
import sys

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
os.environ["STRONGROOM_FUZZ_BUILD"] = os.environ["STRONGROOM_BUILD"]
sys.path.insert(0, str(SOURCE / "fuzz"))
sys.dont_write_bytecode = True
import targets  # noqa: E402

OPTIONS = argparse.Namespace(seconds=60, seeds=10, every=1)


def rows(times, good=None):
    return {row["name"].partition(": ")[2]: row for row in targets.found_rows(times, good or {"fine": [60]}, "x", OPTIONS)}


def test_nine_of_ten_seeds_are_enough_and_eight_are_not():
    found = rows({"nine": [1.0] * 9 + [60], "eight": [1.0] * 8 + [60, 60]})
    assert found["found in 9 of 10 seeds"]["measured"] == 1
    assert not found["found in 9 of 10 seeds"]["met"]
    assert "eight (8 of 10)" in found["found in 9 of 10 seeds"]["how"]
    assert rows({"nine": [1.0] * 9 + [60]})["found in 9 of 10 seeds"]["met"]


def test_survival_is_restricted_and_its_interval_is_over_allocators():
    found = rows({"fast": [2.0] * 10, "never": [60] * 10})
    assert found["restricted mean survival time"]["measured"] == "31.00 +/- 56.84"  # 1.96 * sd(2, 60) / sqrt(2)
    assert found["median time to find"]["measured"] == 60
    assert targets.half_interval([3.0]) == 0


def test_what_is_found_in_a_good_allocator_is_a_false_alarm():
    assert rows({"a": [1.0]})["false alarms"]["met"]
    wolf = rows({"a": [1.0]}, {"fine": [60], "wolf": [3.5]})["false alarms"]
    assert wolf["measured"] == 1 and not wolf["met"] and "wolf" in wolf["how"]
    column = targets.detector({"a": [1.0, 3.0]}, {"wolf": [3.5]}, OPTIONS)
    assert column["defects"]["a"] == {"caught": True, "seconds": 2.0, "survival": "2.0 s of 60, 2 seeds"}
    assert column["good"] == {"wolf": {"caught": True}}


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, monkeypatch):
    runs = []

    def slow(engine, variant, seconds, seed):
        runs.append(seed)
        if len(runs) == 2:
            raise KeyboardInterrupt
        return 4.0

    monkeypatch.setattr(targets, "seconds_to_find", slow)
    monkeypatch.setattr(targets, "seconds_by_inputs", lambda variant: None)
    options = argparse.Namespace(**{**vars(OPTIONS), "seeds": 3})
    path = tmp_path / "kept.json"
    try:
        targets.survival(targets.Kept(path, fresh=False), "x", "a", None, options)
    except KeyboardInterrupt:
        (tmp_path / "kept.json.new").write_text("{")  # as if killed while it wrote
    assert targets.survival(targets.Kept(path, fresh=False), "x", "a", None, options) == [4.0, 4.0, 4.0]
    assert runs == [1, 2, 2, 3]
    assert json.loads(path.read_text())["x a 1 of 60 s"] == 4.0


def test_what_the_inputs_find_by_themselves_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "seconds_by_inputs", lambda variant: 0.3)
    monkeypatch.setattr(targets, "seconds_to_find", None)
    assert targets.survival(targets.Kept(tmp_path / "kept", fresh=True), "x", "a", None, OPTIONS) == [0.3] * 10
