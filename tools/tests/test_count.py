"""tools/count-tests counts cases, shows what failed, and is never green when nothing ran; tools/targets beside it."""

import json
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])


def entry(name, stdout="", result="OK", status=0):
    return {"name": name, "stdout": stdout, "stderr": "", "result": result, "returncode": status, "command": ["./" + name]}


def count(tmp_path, *entries, options=()):
    logs = tmp_path / "meson-logs"
    logs.mkdir(exist_ok=True)
    (logs / "testlog.json").write_text("".join(json.dumps(one) + "\n" for one in entries))
    done = subprocess.run([SOURCE / "tools/count-tests", *options, tmp_path], capture_output=True, text=True)
    return done.returncode, done.stdout


def last(outcome):
    return outcome[0], outcome[1].splitlines()[-1]


def test_tap_cases_are_counted_one_by_one(tmp_path):
    outcome = count(tmp_path, entry("a", "1..3\nok 1 - x\nok 2 - y\nok 3 - z\n"), entry("b"))
    assert last(outcome) == (0, "4 passed, 0 failed")


def test_plan_may_come_last(tmp_path):
    assert last(count(tmp_path, entry("a", "TAP version 13\nok 1 - x\n1..1\n"))) == (0, "1 passed, 0 failed")


def test_skips_are_counted_apart(tmp_path):
    outcome = count(tmp_path, entry("a", "1..2\nok 1 - x\nok 2 - y # SKIP no swap here\n"))
    assert last(outcome) == (0, "1 passed, 0 failed, 1 skipped")


def test_failed_case_is_named_and_shown(tmp_path):
    stdout = "1..2\nok 1 - x\nnot ok 2 - grows\n# 1 != 2\n"
    outcome = count(tmp_path, entry("a", stdout, "ERROR", 1))
    assert last(outcome) == (1, "1 passed, 1 failed")
    assert f"FAILED a ({tmp_path}): grows\n" in outcome[1]
    assert "  # 1 != 2\n" in outcome[1]


def test_cases_that_never_ran_failed(tmp_path):
    outcome = count(tmp_path, entry("a", "1..3\nok 1 - x\n", "ERROR", 3))
    assert last(outcome) == (1, "1 passed, 2 failed")


def test_program_that_fails_after_its_cases_failed(tmp_path):
    outcome = count(tmp_path, entry("a", "1..1\nok 1 - x\n", "ERROR", 23))
    assert last(outcome) == (1, "1 passed, 1 failed")
    assert "error, exit status 23" in outcome[1]


def test_timeout_failed(tmp_path):
    assert last(count(tmp_path, entry("a", "", "TIMEOUT", -15), entry("b"))) == (1, "1 passed, 1 failed")


def test_nothing_ran_is_no_success(tmp_path):
    assert last(count(tmp_path)) == (1, "0 passed, 0 failed")


def test_only_skips_are_no_success(tmp_path):
    assert last(count(tmp_path, entry("a", "", "SKIP", 77))) == (1, "0 passed, 0 failed, 1 skipped")


def test_build_that_failed_counts(tmp_path):
    assert last(count(tmp_path, entry("a"), options=["--also-failed", "1"])) == (1, "1 passed, 1 failed")


def targets(path):
    done = subprocess.run(["/usr/bin/python3", SOURCE / "tools/targets", path], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_targets_without_any(tmp_path):
    assert targets(tmp_path / "none") == (0, "no targets were measured yet: build/targets/ has no results\n", "")


def test_targets_as_one_table(tmp_path):
    one = {"name": "alloc", "measured": 41.5, "unit": "ns", "bar": 50, "met": True, "how": "bench"}
    (tmp_path / "speed.json").write_text(json.dumps([one, {**one, "name": "free", "measured": 60, "met": False}]))
    (tmp_path / "kill.json").write_text(json.dumps([{**one, "name": "defects", "unit": "%", "measured": 100}]))
    assert targets(tmp_path) == (
        0,
        "target  name     measured  unit  bar  met  how\n"
        "kill    defects  100       %     50   yes  bench\n"
        "speed   alloc    41.5      ns    50   yes  bench\n"
        "speed   free     60        ns    50   NO   bench\n",
        "",
    )


def test_targets_that_are_none(tmp_path):
    (tmp_path / "speed.json").write_text('{"name": 1}')
    status, _, stderr = targets(tmp_path)
    assert status == 2
    assert stderr.startswith(f"{tmp_path}/speed.json: not a list of {{name, measured, unit, bar, met, how}}: ")
