"""A second look at each subject, by a program that shares nothing with the verifier: at every size up to 9000 bytes, is
amiss what is expected to be, and nothing else?"""

import fnmatch
import json
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
EXPECTED = {path.stem: json.loads(path.read_text()) for path in sorted((SOURCE / "subjects" / "expected").glob("*.json"))}
SHOWS = {"unlocked": "locked", "misaligned": "alignment", "stale": "fresh", "changed": "neighbour"}
NEVER_CHANGED = {"neighbour"}  # broken by locks that are lost, which the sweep does not look for


def subjects():
    """Name -> what `list` says of it."""
    done = subprocess.run([BUILD / "strongroom", "list", "--json", "-"], capture_output=True, text=True, check=True)
    return {subject["name"]: subject for subject in json.loads(done.stdout)["subjects"]}


def sweep(path, name):
    """What is amiss -> (at how many sizes, the first, the last); root is bound by no limit while it has CAP_IPC_LOCK."""
    bound = ["setpriv", "--bounding-set", "-ipc_lock"] if os.geteuid() == 0 else []
    command = [*bound, BUILD / "subjects" / "probe" / "sweep", path, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {kind for kind, *_ in lines} == {*SHOWS, "refused"}
    return {kind: tuple(map(int, numbers)) for kind, *numbers in lines if numbers[0] != "0"}


@pytest.mark.parametrize("name", EXPECTED)
def test_sizes_are_as_expected(name):
    here = subjects().get(name)
    if here is None or not any(fnmatch.fnmatch(here["version"], version) for version in EXPECTED[name]["versions"]):
        pytest.skip(f"{name} is {here['version'] if here else 'not here'}")
    amiss = sweep(here["path"], name)
    assert amiss.pop("refused", (1, 0, 0)) == (1, 0, 0)  # nothing but nothing is refused
    verdicts, reasons = EXPECTED[name]["verdicts"], EXPECTED[name]["reasons"]
    broken = {promise for promise in SHOWS.values() if verdicts[promise] == "broken"} - NEVER_CHANGED
    broken -= {promise for promise in broken if reasons[promise].get("only") == "resize"}  # which the sweep does not do
    due = {kind for kind, promise in SHOWS.items() if promise in broken}
    assert set(amiss) == due, amiss


def test_the_sweep_sees_what_is_amiss():
    """The controls of the verifier serve here too: one leaks, one is correct."""
    amiss = sweep(BUILD / "controls" / "leaking.so", "control-leaking")
    assert {"unlocked", "stale"} <= set(amiss)
    assert sweep(BUILD / "controls" / "correct.so", "control-correct") == {}
