"""Every recipe that a workflow names, run in its smallest form on a clone of what is committed. Nightly: minutes."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_ci import WORKFLOWS, commands  # noqa: E402

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
# Recipe: its arguments, the statuses that it may end with, what it must have said.
SMALL = {
    "bench": (["--rounds", "1", "--burst-ms", "1"], (0,), r"how many secrets of 32 B fit"),
    "ci-compare": ([], (0,), r"cases in "),
    "ci-verify": (["ref-alloc"], (0,), r"^exit 0: "),
    "corpus-check": ([], (0,), r"[1-9]\d* inputs, [1-9]\d* runs, 0 failed"),
    "coverage": ([], (0,), r"branches"),
    "elsewhere": (["musl"], (0,), r"\d+ passed, 0 failed"),
    "fuzz-targets": (["--seconds", "5", "--seeds", "1", "--every", "50", "--unaided-every", "3", "--rate-seconds", "2"], (0,), r"^(met|NOT) "),
    "kill-matrix": (["--without-unit-tests", "--from", "build/made-up.json"], (0, 1), r"^detector "),
    "mutants": (["--count", "3", "--until", "unit"], (0, 1), r"killed"),
    "oss-fuzz-check": ([], (0,), r"^[1-9]\d* passed, 0 failed"),
    "sanitize-all": (["--sample"], (0,), r"^helgrind +\d+ +\d+ +0 "),
    "suite-targets": (["--rounds", "1", "--repeats", "1"], (0,), r"verdicts that changed in 1 runs"),
}
RENAMED = {"fuzz-nightly": "fuzz-targets"}  # a recipe that is another one with a word added
TESTS = {"test", "test-nightly", "docker-test"}  # nothing but tests: who runs this runs them


def named():
    words = [command.split() for path in WORKFLOWS for command in commands(path)]
    recipes = {word[2] if word[1] == "nightly-step" else word[1] for word in words}
    return {RENAMED.get(recipe, recipe) for recipe in recipes}


def all_caught(folder):
    """What a run would say that catches each known-bad allocator by what must; in earnest it takes ten minutes."""
    defects = json.loads((folder / "build" / "defects" / "index.json").read_text())
    evidence = {"summary": "made up", "elapsed_ms": 1}
    return {"subjects": [
        {"name": defect["id"], "verdicts": [{"promise": promise, "verdict": "broken", "evidence": evidence} for promise in defect["must"]]}
        for defect in defects
    ]}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes") / "strongroom"
    subprocess.run(["git", "clone", "-q", SOURCE, folder], check=True)
    subprocess.run([folder / "dev", "build"], check=True, capture_output=True)
    (folder / "build" / "made-up.json").write_text(json.dumps(all_caught(folder)))
    return folder


def test_each_is_in_the_table():
    assert named() == SMALL.keys() | TESTS


@pytest.mark.parametrize("recipe", SMALL)
def test_runs(clone, recipe):
    arguments, statuses, said = SMALL[recipe]
    done = subprocess.run([clone / "dev", recipe, *arguments], cwd=clone, capture_output=True, text=True, timeout=900)
    assert done.returncode in statuses, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(said, done.stdout, re.MULTILINE), done.stdout[-2000:]
