"""The kill matrix, of a made-up result: who catches what, what is missed, and what cries wolf."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "tools"))
import judged  # noqa: E402

PROMISES = ("locked", "fresh")


def subject(name, **verdicts):
    return {"name": name, "verdicts": [
        {"promise": promise, "verdict": verdicts.get(promise, "holds"), "evidence": {"summary": "seen", "elapsed_ms": 1500}}
        for promise in PROMISES
    ]}


def defect(name, must, **more):
    return {"id": name, "what": "w", "base": "control-correct", "must": must, "may": [], "fuzz": "yes", "file": f"{name}.patch"} | more


@pytest.fixture
def matrix(tmp_path):
    """Runs it on defects and subjects; returns exit status, kill-matrix.json, targets by name."""
    def run(defects, subjects, words=("--without-unit-tests",), **more):
        (tmp_path / "defects").mkdir()
        (tmp_path / "defects" / "index.json").write_text(json.dumps(defects))
        (tmp_path / "result.json").write_text(json.dumps({"subjects": subjects}))
        done = subprocess.run(
            [sys.executable, SOURCE / "tools" / "kill-matrix", "--build", tmp_path, "--from", tmp_path / "result.json", *words],
            capture_output=True, text=True, env={**os.environ, **more},
        )
        if done.returncode == 2:
            return 2, done.stderr, None
        rows = json.loads((tmp_path / "targets" / "kill-matrix.json").read_text())
        return done.returncode, json.loads((tmp_path / "kill-matrix.json").read_text()), {row["name"]: row for row in rows}
    return run


MANY = [defect(f"d{i}", ["locked"]) for i in range(79)]
ALL_CAUGHT = [subject(f"d{i}", locked="broken") for i in range(79)]


def test_all_is_well(matrix):
    more = [defect("e0", ["fresh"]), defect("e1", ["fresh"])]
    seen = [subject("e0", fresh="broken"), subject("e1", fresh="broken"), subject("control-correct")]
    status, found, bars = matrix(MANY + more, ALL_CAUGHT + seen)
    assert status == 0 and all(row["met"] for row in bars.values())
    column = {entry["detector"]: entry for entry in found["detectors"]}["fresh"]
    assert column["only_it"] == ["e0", "e1"] and column["false_alarms"] == []
    assert next(row for row in found["defects"] if row["id"] == "e0")["first_seconds"] == 1.5


def test_a_defect_that_nobody_catches_is_named(matrix):
    status, _, bars = matrix(MANY + [defect("e0", ["fresh"])], ALL_CAUGHT + [subject("e0"), subject("control-correct")])
    assert status == 1
    assert bars["caught by nobody"] | {"met": None} == bars["caught by nobody"] | {"measured": 1, "how": "e0", "met": None}
    assert not bars["caught by all that must"]["met"]


def test_a_catch_of_what_the_base_breaks_itself_is_none(matrix):
    seen = [subject("e0", fresh="broken"), subject("control-correct", fresh="broken")]
    _, found, bars = matrix(MANY + [defect("e0", ["fresh"])], ALL_CAUGHT + seen)
    assert bars["caught by nobody"]["how"] == "e0"
    assert bars["false alarms on good subjects"]["measured"] == 1


def test_what_is_documented_of_a_good_subject_is_no_false_alarm(matrix):
    seen = [subject("control-correct"), {"name": "libsodium", "verdicts": [
        {"promise": "accounting", "verdict": "broken", "evidence": {"summary": "s", "elapsed_ms": 1}}]}]
    _, _, bars = matrix(MANY, ALL_CAUGHT + seen)
    assert bars["false alarms on good subjects"]["met"]


def test_others_add_their_columns_by_place(matrix, tmp_path):
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors" / "fuzzer.json").write_text(json.dumps({"of": judged.digest(), "defects": {"e0": {"caught": True, "seconds": 3}, "gone": {"caught": True}}, "good": {}}))
    _, found, bars = matrix(MANY + [defect("e0", [])], ALL_CAUGHT + [subject("e0"), subject("control-correct")])
    assert next(row for row in found["defects"] if row["id"] == "e0")["caught_by"] == ["fuzzer"]
    assert bars["caught by nobody"]["met"]


def test_a_result_without_the_defects_is_of_no_use(matrix):
    status, error, _ = matrix(MANY, [subject("control-correct")])
    assert status == 2 and error.startswith("kill-matrix: not in the result: d0 ") and error.count("\n") == 1


def test_what_another_detector_left_is_a_column_with_its_survival_times(matrix, tmp_path):
    (tmp_path / "detectors").mkdir()
    cell = {"caught": True, "seconds": 0.5, "survival": "0.5 s of 60, 10 seeds"}
    column = {"of": judged.digest(), "defects": {"d0": cell, "e0": cell | {"caught": False}}, "good": {"control-correct": {"caught": False}}}
    (tmp_path / "detectors" / "an-engine.json").write_text(json.dumps(column))
    more = [defect("e0", ["fresh"]), defect("e1", ["fresh"])]
    seen = [subject("e0", fresh="broken"), subject("e1", fresh="broken"), subject("control-correct")]
    status, found, _ = matrix(MANY + more, ALL_CAUGHT + seen)
    assert status == 0
    entry = {entry["detector"]: entry for entry in found["detectors"]}["an-engine"]
    assert (entry["tried"], entry["caught"], entry["good_tried"], entry["false_alarms"]) == (2, 1, 1, [])
    first = next(row for row in found["defects"] if row["id"] == "d0")
    assert first["caught_by"] == ["an-engine", "locked"] and first["first_seconds"] == 0.5
    assert found["cells"]["an-engine"]["d0"]["survival"] == cell["survival"]


def test_a_column_about_other_allocators_is_left_out(matrix, tmp_path):
    (tmp_path / "detectors").mkdir()
    column = {"defects": {"e0": {"caught": True}}, "good": {"control-correct": {"caught": False}}}
    for name, more in (("old", {"of": "0123456789abcdef"}), ("unsaid", {})):
        (tmp_path / "detectors" / f"{name}.json").write_text(json.dumps(column | more))
    status, found, bars = matrix(MANY + [defect("e0", ["fresh"])], ALL_CAUGHT + [subject("e0"), subject("control-correct")])
    assert status == 1 and bars["caught by nobody"]["how"] == "e0"
    assert not {"old", "unsaid"} & {entry["detector"] for entry in found["detectors"]}


@pytest.mark.parametrize("verdict", ["error", "not observable here"])
def test_where_a_promise_that_must_catch_did_not_look_the_bar_is_not_met(matrix, verdict):
    seen = [subject("e0", fresh=verdict, locked="broken"), subject("control-correct")]
    status, _, bars = matrix(MANY + [defect("e0", ["fresh"], may=["locked"])], ALL_CAUGHT + seen)
    assert status == 1 and not bars["caught by all that must"]["met"]
    assert ("not looked for in: e0" in bars["caught by all that must"]["how"]) == (verdict != "error")


def test_an_error_is_no_catch_whoever_else_catches(matrix):
    seen = [subject("e0", fresh="error", locked="broken"), subject("control-correct")]
    _, _, bars = matrix(MANY + [defect("e0", ["fresh", "locked"])], ALL_CAUGHT + seen)
    assert not bars["caught by all that must"]["met"]


def test_an_error_on_a_good_subject_is_a_false_alarm(matrix):
    _, _, bars = matrix(MANY, ALL_CAUGHT + [subject("control-correct", fresh="error")])
    assert bars["false alarms on good subjects"]["measured"] == 1


def test_no_false_alarm_where_nobody_looked_is_no_bar_met(matrix):
    status, error, _ = matrix(MANY, ALL_CAUGHT)
    assert status == 2 and error == "kill-matrix: not in the result: control-correct\n"


def test_a_good_subject_on_which_nothing_was_observable_meets_no_bar(matrix):
    blind = subject("control-correct", **dict.fromkeys(PROMISES, "not observable here"))
    _, _, bars = matrix(MANY, ALL_CAUGHT + [blind])
    assert not bars["false alarms on good subjects"]["met"]


def test_unit_tests_that_fail_on_ref_alloc_itself_catch_nothing(matrix, tmp_path):
    pytest.importorskip("clang.cindex", reason="python3-clang-14 is not installed")
    (tmp_path / "controls").mkdir()
    for name in ("strongroom", "strongroom-case"):
        (tmp_path / name).touch()
    status, error, _ = matrix(MANY, [*ALL_CAUGHT, subject("control-correct")], words=(), CC="false")
    assert status == 2 and error == "kill-matrix: unit fails on ref-alloc as it is, so it can catch nothing: does not link\n"
