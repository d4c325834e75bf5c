"""The verifier on each known-bad allocator: caught by every promise that must, and by none that may not.

Two looks. Every promise judges all of them, and what they were made from, by a few sizes (--quick): what a promise outside
of both lists breaks there is a false alarm. Then each promise judges in full those that it must catch. What the base itself
is seen to break says nothing about its defect, and does not count. Every promise on every defect in full takes a quarter of
an hour, and is `just kill-matrix`.

In the build that sets DEFECTS_CHOSEN to `one-per-promise` the fewest are judged of which each promise must catch one: see
docs/decisions.md.
"""

import functools
import json
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
ALL_DEFECTS = json.loads((BUILD / "defects" / "index.json").read_text(encoding="utf-8"))
UNASKED = {"no-swap"}  # changes the host: suite/tests/test_swap.py


def one_per_promise(defects):
    """Of each promise that must catch some, one; those first that satisfy most promises that have none yet."""
    chosen, missing = [], {promise for defect in defects for promise in defect["must"]} - UNASKED
    while missing:
        best = max(defects, key=lambda defect: len(missing & set(defect["must"])))
        chosen.append(best)
        missing -= set(best["must"])
    return chosen


DEFECTS = one_per_promise(ALL_DEFECTS) if os.environ["DEFECTS_CHOSEN"] == "one-per-promise" else ALL_DEFECTS


def base_path(base):
    if base == "control-correct":
        return "controls/correct.so"
    return "subjects/" + re.sub(r"^(ref-alloc)-.*", r"\1", base) + ".so"


def judge(defects, *words):
    """Name of a subject -> promise -> the whole verdict, for these defects and their bases."""
    paths = sorted({base_path(defect["base"]) for defect in defects})
    paths += [f"defects/{defect['id']}.so" for defect in defects]
    done = subprocess.run(
        [BUILD / "strongroom", "verify", *paths, *words, "--json", "-"], cwd=BUILD, capture_output=True, text=True
    )
    assert done.returncode == 1, f"exit {done.returncode}: {done.stderr}"
    return {
        subject["name"]: {verdict["promise"]: verdict for verdict in subject["verdicts"]}
        for subject in json.loads(done.stdout)["subjects"]
    }


@functools.cache
def verdicts():
    """Name of a subject -> promise -> the whole verdict: in full where it must be caught, by a few sizes elsewhere."""
    found = judge(DEFECTS, "--quick")
    for promise in sorted({promise for defect in DEFECTS for promise in defect["must"]} - UNASKED):
        due = [defect for defect in DEFECTS if promise in defect["must"]]
        for name, seen in judge(due, "--only", promise).items():
            found[name] |= seen
    return found


def broken(name):
    return {promise for promise, verdict in verdicts()[name].items() if verdict["verdict"] == "broken"}


def evidence(name, promises):
    return "; ".join(f"{promise}: {verdicts()[name][promise]['evidence']['summary']}" for promise in sorted(promises))


def test_each_promise_is_among_those_that_must_catch_one():
    known = {promise for verdict in verdicts().values() for promise in verdict}
    assert len(known) >= 28
    assert known - UNASKED <= {promise for defect in DEFECTS for promise in defect["must"]}


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect["id"] for defect in DEFECTS])
def test_a_defect_is_caught_by_what_must_and_by_nothing_that_may_not(defect):
    seen = verdicts()[defect["id"]]
    failed = {promise for promise, verdict in seen.items() if verdict["verdict"] == "error"}
    assert not failed, evidence(defect["id"], failed)
    caught = broken(defect["id"]) - broken(defect["base"])
    false_alarms = caught - set(defect["must"]) - set(defect["may"])
    assert not false_alarms, evidence(defect["id"], false_alarms)
    blind = {promise for promise in seen if seen[promise]["verdict"] == "not observable here"}
    due = set(defect["must"]) & set(seen) - blind
    missed = due - caught
    assert not missed, f"not caught, though: {defect['what']}: {evidence(defect['id'], missed)}"
    if not due:
        pytest.skip(f"nobody looks for {', '.join(defect['must'])} here yet")


@pytest.mark.parametrize("base", sorted({defect["base"] for defect in DEFECTS if defect["file"].endswith(".patch")}))
def test_what_the_defects_are_made_from_has_nothing_wrong(base):
    assert not broken(base), evidence(base, broken(base))


def test_one_defect_alone_fails_the_gate():
    done = subprocess.run(
        [BUILD / "strongroom", "verify", "defects/guard-after-missing.so", "--only", "guard-after"],
        cwd=BUILD, capture_output=True, text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"broken +guard-after", done.stdout, re.IGNORECASE)
