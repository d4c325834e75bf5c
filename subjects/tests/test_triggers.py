"""Each known-bad allocator shows what is wrong with it, and its base does not, with nothing of the verifier at work.

A trigger is a program, compiled as the C that `strongroom` would print of it, or a probe. Programs that are alike are
compiled once.
"""

import functools
import json
import os
import pathlib
import re
import resource
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
CC = os.environ["CC"].split()
PROBE, EMIT_PROGRAM = os.environ["PROBE"], os.environ["EMIT_PROGRAM"]
DEFECTS = json.loads((BUILD / "defects" / "index.json").read_text(encoding="utf-8"))
LOCKED_BYTES = 8 << 20  # what a trigger may need; as much as the verifier gives
FUZZED_BYTES = 256 << 10  # what a program may lock under a fuzzer (fuzz/admit.h)
SECONDS = 60


def each(defects):
    return pytest.mark.parametrize("defect", defects, ids=[defect["id"] for defect in defects])


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A program's operations, with ; between them -> the executable."""
    folder = tmp_path_factory.mktemp("programs")

    @functools.cache
    def make(operations):
        number = len(list(folder.iterdir()))
        source, program = folder / f"{number}.c", folder / f"{number}"
        text = "strongroom program 1\n" + "\n".join(part.strip() for part in operations.split(";")) + "\n"
        with source.open("w", encoding="utf-8") as out:
            subprocess.run([EMIT_PROGRAM], input=text, stdout=out, text=True, check=True)
        words = [*CC, "-O0", "-w", "-rdynamic", "-o", program, source, "-ldl", "-lpthread"]
        subprocess.run(words, check=True)
        return program

    return make


def base_of(defect):
    """The good allocator that it is made from: path and variant."""
    base = defect["base"]
    if base == "control-correct":
        return BUILD / "controls" / "correct.so", base
    return BUILD / "subjects" / (re.sub(r"^(ref-alloc)-.*", r"\1", base) + ".so"), base


def limited(locked_bytes):
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (locked_bytes, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def shown(compiled, trigger, path, variant, locked_bytes=LOCKED_BYTES):
    """All that the trigger prints on one allocator; its death by a signal is told there too."""
    if trigger.startswith("probe "):
        words = [PROBE, *trigger.split()[1:], path, variant]
    else:
        words = [compiled(trigger), path, variant]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=SECONDS, preexec_fn=lambda: limited(locked_bytes))
    assert done.returncode != 2, done.stderr  # it could not run
    return done.stdout


def missing(trigger):
    """Why this machine cannot show it; None: it can."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard != resource.RLIM_INFINITY and hard < LOCKED_BYTES:
        return "RLIMIT_MEMLOCK is too low"
    if trigger.startswith("privileged") and os.geteuid() != 0:
        return "CAP_IPC_LOCK cannot be had"
    return None


@each(DEFECTS)
def test_the_trigger_shows_it_on_the_defect_and_not_on_its_base(defect, compiled):
    why = missing(defect["trigger"])
    if why is not None:
        pytest.skip(why)
    bad = shown(compiled, defect["trigger"], BUILD / "defects" / f"{defect['id']}.so", defect["id"])
    assert re.search(defect["shows"], bad), f"not shown: {defect['what']}:\n{bad}"
    good = shown(compiled, defect["trigger"], *base_of(defect))
    assert not re.search(defect["shows"], good), f"the base shows it as well:\n{good}"


# ---- what a fuzzer is not asked to find ----


def test_most_can_be_found_by_a_fuzzer():
    assert sum(defect["fuzz"] == "yes" for defect in DEFECTS) >= 0.6 * len(DEFECTS)


def test_what_a_fuzzer_shall_find_is_shown_by_a_program_without_privileges():
    for defect in DEFECTS:
        if defect["fuzz"] == "yes":
            assert not re.match(r"probe|privileged", defect["trigger"]), defect["id"]


@each([defect for defect in DEFECTS if defect["fuzz"].startswith("no: privileged")])
def test_without_the_privilege_it_does_not_show(defect, compiled):
    assert defect["trigger"].startswith("privileged; ")
    plain = defect["trigger"].removeprefix("privileged; ")
    why = missing(plain)
    if why is not None:
        pytest.skip(why)
    assert not re.search(defect["shows"], shown(compiled, plain, BUILD / "defects" / f"{defect['id']}.so", defect["id"]))


@each([defect for defect in DEFECTS if defect["fuzz"].startswith("no: large")])
def test_with_no_more_locked_than_under_a_fuzzer_it_does_not_show(defect, compiled):
    small = shown(compiled, defect["trigger"], BUILD / "defects" / f"{defect['id']}.so", defect["id"], FUZZED_BYTES)
    assert not re.search(defect["shows"], small)


@each([defect for defect in DEFECTS if defect["fuzz"].startswith(("no: unseen", "no: race"))])
def test_no_program_shows_it_but_by_threads(defect):
    if "unseen" in defect["fuzz"]:
        assert defect["trigger"].startswith("probe ")
    else:
        assert "storm " in defect["trigger"]
