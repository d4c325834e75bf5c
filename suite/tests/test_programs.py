"""Subjects that are programs: judged as shared objects are, where they behave, and never believed where they do not."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
TESTS = BUILD / "suite" / "tests"
CALL = "without a call of strongroom_case() that found descriptor 3 open: see contract/strongroom_case.h"
AS_NOBODY = ", as user nobody" if os.geteuid() == 0 else ""


@pytest.fixture(scope="module")
def home():
    """Where any user can walk to."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-programs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def program(home):
    """The hostile one, under the name that says how."""

    def copy(name):
        shutil.copy(TESTS / "oddity", home / name)
        return home / name

    return copy


def text(home, name, lines, mode=0o755):
    (home / name).write_text(lines, encoding="utf-8")
    (home / name).chmod(mode)
    return home / name


def refused(strongroom, path, why, *words):
    run = strongroom("verify", path, "--only", "alignment", "--timeout", "1", *words)
    assert (run.status, run.out, run.err) == (2, "", f"strongroom: {path}: {why}\n")
    assert run.left_behind() == []


# ---- what is no subject ----

SILENT = {
    "exits": f"exited with status 0{AS_NOBODY}, {CALL}",
    "aborts": f"was killed by SIGABRT{AS_NOBODY}, {CALL}",
    "hangs": f"was still running when its time was up{AS_NOBODY}, {CALL}",
    "closes-all": f"exited with status 2{AS_NOBODY}, {CALL}",
    "in-a-child": "calls strongroom_case() in a child process: call it in the one that was started, or reach it by exec",
    "speaks-otherwise": "was built with the libstrongroom-case of another version: build it anew",
    "other-abi": "does not serve contract version 1",
}


@pytest.mark.parametrize("name", SILENT)
def test_program_that_does_not_come_to_us(strongroom, program, name):
    refused(strongroom, program(name), SILENT[name])


def test_programs_of_others(strongroom, home):
    refused(strongroom, "/bin/true", f"exited with status 0{AS_NOBODY}, {CALL}")
    script = text(home, "script", "#!/bin/sh\nexit 7\n")
    refused(strongroom, script, f"exited with status 7{AS_NOBODY}, {CALL}")


def test_files_that_are_no_programs(strongroom, home):
    missing = text(home, "missing", "#!/nowhere/interpreter -x\n")
    refused(strongroom, missing, "its interpreter '/nowhere/interpreter' cannot be executed: No such file or directory")
    closed = text(home, "closed", "#!/bin/sh\n", 0o644)
    refused(strongroom, closed, "a program that may not be executed: chmod +x")
    foreign = home / "foreign"
    foreign.write_bytes((TESTS / "oddity").read_bytes()[:18] + b"\xff\xff" + (TESTS / "oddity").read_bytes()[20:])
    foreign.chmod(0o755)
    refused(strongroom, foreign, "cannot be executed: Exec format error")
    cut = home / "cut"
    cut.write_bytes((TESTS / "oddity").read_bytes()[:2000])
    cut.chmod(0o755)
    run = strongroom("verify", cut)
    assert run.status == 2 and run.err.startswith(f"strongroom: {cut}: cut short, 2000 bytes where its headers need ")
    plain = text(home, "plain", "hello\n")
    run = strongroom("verify", plain)
    assert run.status == 2 and run.err.startswith(f"strongroom: {plain}: not a shared object: ")
    assert run.err.count("\n") == 1


def test_run_by_hand(program):
    done = subprocess.run([program("counts")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "this program is a subject of strongroom: `strongroom verify PATH-OF-IT` runs it\n"


# ---- what is hostile, or does badly ----

HOSTILE = {
    "exits-in-cases": "exited with status 0 in `loading`",
    "crash-alloc": "died by SIGABRT in `alloc s0 ",
    "exit-alloc": "exited with status 0 in `alloc s0 ",
    "hang-alloc": "hung in `alloc s0 ",
    "close-alloc": "closed descriptors that are not its own in `alloc s0 ",
}


def test_hostile(strongroom, program):
    """All beside each other: each is judged for itself."""
    paths = [program(name) for name in HOSTILE]
    run = strongroom("compare", *paths, "--only", "neighbour,guard-after", "--timeout", "1", "--json", "-")
    assert run.status == 0, run.err
    for name, said in HOSTILE.items():
        of_it = run.verdicts[name, "neighbour"]
        assert of_it["verdict"] == "broken" and said in of_it["evidence"]["summary"]
        assert run.named(name)["guard-after"] == "not offered"
    assert run.left_behind() == []


def test_what_a_program_prints_is_not_ours(strongroom, program):
    run = strongroom("verify", program("loud"), "--only", "alignment", "--json", "-")
    assert run.status == 0 and run.named("loud") == {"alignment": "holds"}
    assert "noise" not in run.out + run.err


def test_thread_that_was_there_before_the_call_is_watched(strongroom, program):
    run = strongroom("verify", program("helper"), "--only", "zero-on-free", "--json", "-")
    record = run.verdicts["helper", "zero-on-free"]
    assert record["verdict"] == "broken" and "munmap" in record["evidence"]["summary"], record["evidence"]["summary"]


def test_what_was_locked_before_the_call_counts(strongroom, program):
    words = ["--only", "accounting", "--quick", "--json", "-"]
    run = strongroom("compare", program("counts"), program("locks-before"), *words)
    assert run.named("counts") == {"accounting": "holds"}
    record = run.verdicts["locks-before", "accounting"]
    assert record["verdict"] == "broken" and "locked_bytes says" in record["evidence"]["summary"]


# ---- what behaves ----


@pytest.fixture(scope="module")
def controls(strongroom):
    """The three controls, as programs, judged by all promises."""
    if os.environ.get("CONTROLS_AS_PROGRAMS") == "none":
        pytest.skip("the controls are judged as programs by the build with gcc")
    run = strongroom("compare", *(TESTS / f"program-{name}" for name in ("correct", "leaking", "secretmem")), "--quick", "--json", "-")
    assert run.status == 0, run.err
    return run


def test_the_leaking_control_is_caught_as_a_program_too(controls):
    verdicts = controls.named("control-leaking")
    unseen = controls_unseen(controls)
    assert verdicts == {promise: "not observable here" if promise in unseen else "broken" for promise in verdicts}


def controls_unseen(controls):
    """What could not have been looked at in any subject: the shared controls were not looked at either."""
    return {
        promise
        for (_, promise), record in controls.verdicts.items()
        if record["controls"]["negative"]["cases"] == 0 and record["verdict"] == "not observable here"
    }


def test_the_correct_controls_pass_as_programs_too(controls):
    correct, secretmem = controls.named("control-correct"), controls.named("control-secretmem")
    passes = {promise for promise, verdict in correct.items() if verdict == "holds"}
    passes |= {promise for promise, verdict in secretmem.items() if verdict == "holds"}
    assert passes == set(correct) - controls_unseen(controls)
    if "unreadable" not in controls_unseen(controls):
        assert secretmem["unreadable"] == "holds"  # its memory was read by the hand, as fault-hygiene's locks were made


def test_one_case_alone_and_replay(strongroom, home):
    path = TESTS / "program-correct"
    run = strongroom("verify", path, "--only", "locked", "--case", "n=1", "--json", "-")
    assert run.status == 0 and run.named("control-correct") == {"locked": "holds"}
    run = strongroom("replay", text(home, "program.txt", "strongroom program 1\nopen\nalloc s0 32\nfill s0\nfree s0\n"), path)
    assert run.status == 0 and "free s0" in run.out, run.err


def test_script_that_ends_in_exec(strongroom, home):
    script = text(home, "by-exec", f"#!/bin/sh\nexec {home}/program-correct\n")
    shutil.copy(TESTS / "program-correct", home)
    run = strongroom("verify", script, "--only", "alignment", "--json", "-")
    assert run.status == 0 and run.named("control-correct") == {"alignment": "holds"}, run.err


def test_c_program_of_a_case_is_not_to_be_had(strongroom, tmp_path):
    path = tmp_path / "case.c"
    run = strongroom("verify", TESTS / "program-leaking", "--only", "zero-on-free", "--quick", "--c", path)
    assert run.status == 1 and not path.exists()
    assert f"strongroom: --c: {TESTS}/program-leaking is a program, which no other can load: '{path}' is not written\n" in run.err


def test_where_there_is_no_filter_nothing_stands_in_for_it(strongroom, program):
    """In strongroom-case the ledger does, so that the control is looked at; in somebody else's program nothing does."""
    words = ["--only", "zero-on-free", "--quick", "--json", "-"]
    paths = [TESTS / "program-correct", program("drops")]
    run = strongroom("verify", *paths, *words, before=[TESTS / "under_filter", "refuse", "seccomp"])
    seen = {name: run.named(name)["zero-on-free"] for name in ("control-correct", "drops")}
    assert (run.status, seen) == (3, dict.fromkeys(seen, "not observable here"))
    assert all("releases was not at work" in v["evidence"]["summary"] for v in run.verdicts.values())
    run = strongroom("compare", *paths, *words)
    assert {name: run.named(name)["zero-on-free"] for name in seen} == {"control-correct": "holds", "drops": "broken"}
