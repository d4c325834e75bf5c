"""How the bars of fuzzing are worked out, from made-up times."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
os.environ["STRONGROOM_FUZZ_BUILD"] = os.environ["STRONGROOM_BUILD"]
sys.path.insert(0, str(SOURCE / "fuzz"))
sys.dont_write_bytecode = True
import lines  # noqa: E402
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
    monkeypatch.setattr(targets, "seconds_by_inputs", lambda engine, variant: None)
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
    monkeypatch.setattr(targets, "seconds_by_inputs", lambda engine, variant: 0.3)
    monkeypatch.setattr(targets, "seconds_to_find", None)
    assert targets.survival(targets.Kept(tmp_path / "kept", fresh=True), "x", "a", None, OPTIONS) == targets.ByInputs([0.3])


def test_an_engine_by_itself_is_reported_with_what_it_did_not_find(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "defect_variant", lambda name: name)
    monkeypatch.setattr(targets, "seconds_to_find", lambda engine, variant, seconds, seed, unaided: {"a": 4.0, "c": 60}[variant] if unaided else None)
    options = argparse.Namespace(**vars(OPTIONS), unaided_every=2)
    times = targets.unaided(targets.Kept(tmp_path / "kept", fresh=True), "x", ["a", "b", "c"], options)
    told = targets.unaided_row("x", times, options)
    assert told["measured"] == "1 of 2" and "not: c" in told["how"] and "mean 32.0 s" in told["how"]


LCOV = """SF:{folder}/a.c
FN:2,a.c:reached
FN:6,never
DA:1,0
DA:2,3
DA:3,0
DA:4,3
DA:6,0
DA:7,0
DA:8,0
DA:9,0
end_of_record
SF:/elsewhere/b.c
DA:1,0
"""
SOURCE_OF_A = """#define MACRO 1
void reached(void) {
    return;
    go_on();

void never(void)
{
    return;
    return;
"""


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "a.c").write_text(SOURCE_OF_A)
    return lines.Lines(LCOV.format(folder=tmp_path), tmp_path)


def test_a_line_is_reached_or_has_a_reason(counted):
    can, missed, stale = lines.judge(counted, {("a.c", "never", "*"): "why", ("a.c", "-", "#define MACRO 1"): "why"})
    assert can == [("a.c", 2), ("a.c", 3), ("a.c", 4)] and missed == [("a.c", 3)] and not stale


def test_a_reason_for_what_is_reached_or_gone_is_stale(counted):
    for entry in (("a.c", "reached", "*"), ("a.c", "reached", "go_on();"), ("a.c", "gone", "*"), ("b.c", "-", "*")):
        assert lines.judge(counted, {entry: "why"})[2] == [entry]


def test_a_reason_is_for_one_line(counted):
    assert lines.judge(counted, {("a.c", "never", "return;"): "why"})[2]
    can, missed, stale = lines.judge(counted, {("a.c", "never", "return; @2"): "why", ("a.c", "reached", "return;"): "why"})
    assert not stale and ("a.c", 9) not in can and ("a.c", 8) in missed
    assert lines.judge(counted, {("a.c", "never", "return; @3"): "why"})[2]


@pytest.mark.skipif(not (shutil.which("clang") and shutil.which(lines.COV)), reason="needs clang and llvm-cov")
def test_every_line_of_an_allocator_with_sources_is_reached_or_has_a_reason():
    done = subprocess.run([sys.executable, SOURCE / "fuzz" / "lines.py", "ref-alloc"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
