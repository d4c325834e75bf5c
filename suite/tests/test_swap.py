"""A real swap file: what reaches it, that a blind look is found out, and that it is gone afterwards, however the run ends."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
DEFECTS = json.loads((BUILD / "defects" / "index.json").read_text(encoding="utf-8"))


def areas():
    return pathlib.Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]


def possible(folder):
    """Why no swap file can be had here, as the program says it; None: it can."""
    if areas():
        return "another swap area is active"
    done = subprocess.run(
        [BUILD / "strongroom", "verify", "malloc-mlock", "--only", "no-swap", "--allow-swap"],
        env=os.environ | {"TMPDIR": str(folder)}, capture_output=True, text=True, timeout=120,
    )
    return next((line for line in done.stdout.splitlines() if "not observable here  no-swap" in line), None)


@pytest.fixture(scope="module")
def swap_env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swap")
    why = possible(folder)
    if why is not None:
        pytest.skip(f"no swap file can be had here: {why.strip()}")
    yield {"TMPDIR": str(folder)}
    assert list(folder.iterdir()) == [] and areas() == []


def test_nothing_of_the_reference_is_swapped(strongroom, swap_env):
    run = strongroom("verify", "ref-alloc", "--only", "no-swap", "--allow-swap", "--json", "-", env=swap_env)
    assert run.status == 0 and {v["verdict"] for v in run.verdicts.values()} == {"holds"}
    for record in run.verdicts.values():
        assert record["controls"]["positive"]["broken"] == record["controls"]["positive"]["cases"] > 0


@pytest.mark.parametrize("name", [defect["id"] for defect in DEFECTS if "no-swap" in defect["must"]])
def test_what_is_known_to_be_swapped_is_found_there(strongroom, swap_env, name):
    defect = BUILD / "defects" / f"{name}.so"
    run = strongroom("verify", defect, "--only", "no-swap", "--allow-swap", "--json", "-", env=swap_env)
    assert run.status == 1 and run.named(name) == {"no-swap": "broken"}


def test_what_was_freed_unwiped_and_unlocked_is_found_there(strongroom, swap_env):
    run = strongroom("verify", "malloc-mlock", "--only", "no-swap", "--allow-swap", "--json", "-", env=swap_env)
    record = run.verdicts["malloc-mlock", "no-swap"]
    assert record["verdict"] == "not offered" and "secret bytes on the swap device" in record["evidence"]["summary"]


def test_a_blind_look_is_found_out(strongroom, swap_env):
    run = strongroom(
        "verify", "ref-alloc-guarded", "--only", "no-swap", "--allow-swap", "--json", "-",
        env=swap_env | {"STRONGROOM_BLIND": "swap"},
    )
    assert run.status == 2 and run.named("ref-alloc-guarded") == {"no-swap": "error"}


def test_without_leave_the_host_is_left_alone(strongroom):
    run = strongroom("verify", "ref-alloc-guarded", "--only", "no-swap", "--json", "-")
    record = run.verdicts["ref-alloc-guarded", "no-swap"]
    assert run.status == 0 and record["verdict"] == "not observable here"
    assert "--allow-swap" in record["evidence"]["summary"]


def test_leave_that_is_of_no_use_fails_the_gate(strongroom, tmp_path):
    run = strongroom(
        "verify", "ref-alloc-guarded", "--only", "no-swap", "--allow-swap", "--json", "-",
        env={"TMPDIR": str(tmp_path / "none")},
    )
    assert run.status == 3 and run.named("ref-alloc-guarded") == {"no-swap": "not observable here"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_file_is_gone_however_it_ends(swap_env, number):
    with subprocess.Popen(
        [BUILD / "strongroom", "verify", "ref-alloc", "--only", "no-swap", "--allow-swap"],
        env=os.environ | swap_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as running:
        for _ in range(200):
            if areas() or running.poll() is not None:
                break
            time.sleep(0.02)
        assert areas() != [] and running.poll() is None
        os.killpg(running.pid, number)
        running.wait(timeout=30)
    for _ in range(200):
        if not areas() and not any(pathlib.Path(swap_env["TMPDIR"]).iterdir()):
            return
        time.sleep(0.05)
    assert False, "the swap file is still there"
