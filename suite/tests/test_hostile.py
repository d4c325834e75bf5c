"""Subjects that mean harm, or behave as if: the run ends, says what happened, judges the others as ever, leaves nothing."""

import os
import pathlib

import pytest

FIXTURES = pathlib.Path(os.environ["STRONGROOM_BUILD"]) / "suite" / "tests"
ASKED = ["--only", "neighbour,guard-after", "--timeout", "1"]
OTHER = "malloc-mlock"

# What a subject does -> what its verdict on a core promise says
HOSTILE = {
    "crash_load": "was killed by SIGABRT in `loading`",
    "exit_load": "exited with status 0 in `loading`",
    "hang_load": "hung in `loading`, also alone with three times the time",
    "crash_alloc": "died by SIGSEGV in `alloc s0 ",
    "exit_alloc": "exited with status 0 in `alloc s0 ",
    "hang_alloc": "hung in `alloc s0 ",
    "spin": "hung in `alloc s0 ",
    "close_all": "closed descriptors that are not its own in `alloc s0 ",
    "kill_group": "sent a signal outside of its case: kill to ",
}


@pytest.fixture(scope="module")
def alone(strongroom):
    """What is said of the other subject when nothing hostile runs beside it."""
    run = strongroom("compare", OTHER, *ASKED, "--json", "-")
    assert run.status == 0
    return run.named(OTHER)


def judged(run, fixture, said, alone):
    name = pathlib.Path(fixture).stem
    name = name if name.endswith("_load") else name.replace("_", "-")
    assert run.status == 0, run.err
    of_it = run.verdicts[name, "neighbour"]
    assert of_it["verdict"] == "broken" and said in of_it["evidence"]["summary"]
    assert run.named(name)["guard-after"] == "not offered"
    assert run.named(OTHER) == alone
    assert run.left_behind() == []


@pytest.mark.parametrize("fixture", HOSTILE)
def test_hostile(strongroom, alone, fixture):
    run = strongroom("compare", FIXTURES / f"{fixture}.so", OTHER, *ASKED, "--json", "-")
    judged(run, fixture, HOSTILE[fixture], alone)


def test_verify_says_what_happened(strongroom):
    run = strongroom("verify", FIXTURES / "crash_alloc.so", *ASKED)
    assert run.status == 1
    text = " ".join(run.out.split())
    assert "BROKEN neighbour" in text and "died by SIGSEGV in `alloc s0 " in text
    assert text.endswith("exit 1: 1 promise is broken")


@pytest.mark.parametrize("fixture", ["kill_group", "close_all", "exit_alloc"])
def test_hostile_to_a_supervisor_of_the_same_user(plainly, plain_home, alone, fixture):
    run = plainly("compare", plain_home / "fixtures" / f"{fixture}.so", OTHER, *ASKED, "--json", "-")
    judged(run, fixture, HOSTILE[fixture], alone)


def test_child_that_runs_away_is_ended(strongroom, alone):
    run = strongroom("compare", FIXTURES / "runaway.so", OTHER, *ASKED, "--json", "-")
    assert run.status == 0, run.err
    assert run.named(OTHER) == alone
    assert run.left_behind() == []


def test_what_was_locked_before_the_limit_is_not_held_against_it(strongroom):
    run = strongroom("verify", FIXTURES / "locked_at_load.so", "--only", "accounting,locked", "--json", "-")
    assert run.named("locked-at-load") == {"accounting": "not observable here", "locked": "holds"}


def test_what_a_subject_prints_is_not_ours(strongroom):
    run = strongroom("verify", FIXTURES / "loud.so", *ASKED, "--json", "-")
    assert run.json["subjects"][0]["version"] == "\033[31m?"  # as JSON's escapes, and valid
    assert "not yours" not in run.out + run.err and "noise" not in run.out + run.err
    assert "\033" not in run.out + run.err
