"""The same again: a seed gives the same cases in the same order, and a verdict does not depend on the day."""

import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
# A sample; all subjects and promises, twenty times and busy, is `suite/tests/repeat --busy` before a release.
SAMPLE = ["ref-alloc", "malloc-mlock", "--only", "neighbour,zero-on-free,guard-after"]


def diary_of(strongroom, seed):
    """What the subject was asked for, in order, by a run with this seed."""
    # Not in tmp_path: the case is another user's where it can be, and each pytest that starts bars others from there.
    with tempfile.TemporaryDirectory(prefix="strongroom-") as folder:
        path = pathlib.Path(folder, "diary")
        path.touch()
        path.chmod(0o666)
        path.parent.chmod(0o755)
        subject = BUILD / "suite" / "tests" / "diary.so"
        asked = ["verify", subject, "--only", "neighbour", "--jobs", "1", "--seed", seed]
        run = strongroom(*asked, env={"STRONGROOM_TEST_DIARY": str(path)})
        assert f"--seed {seed}\n" in run.out
        return path.read_text().split()


def test_same_seed_same_order(strongroom):
    first, again, other = (diary_of(strongroom, seed) for seed in (5, 5, 6))
    assert len(first) >= 24
    assert first == again
    assert first != other and sorted(first) == sorted(other)


def repeat(*words):
    return subprocess.run(
        [sys.executable, SOURCE / "suite" / "tests" / "repeat", "--program", BUILD / "strongroom", *words],
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_same_verdicts_each_time():
    done = repeat("--repeats", "3", "--", *SAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("3 runs of ") and done.stdout.endswith(": 0 changed\n")


def test_same_verdicts_while_every_core_is_busy():
    done = repeat("--repeats", "2", "--busy", "--", *SAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_verdict_that_changes_is_named(tmp_path):
    fickle = tmp_path / "strongroom"
    fickle.write_text(
        "#!/bin/sh\n"
        f"test -e {tmp_path}/second && verdict=holds || verdict=broken\n"
        f"touch {tmp_path}/second\n"
        'echo \'{"seed": "1", "subjects": [{"name": "s", "verdicts": [{"promise": "p", "verdict": "\'$verdict\'",\'\n'
        'echo \'"evidence": {"summary": "seen"}}]}]}\'\n'
    )
    fickle.chmod(0o755)
    done = repeat("--program", fickle, "--repeats", "3")
    assert done.returncode == 1
    assert done.stdout.startswith("s: p: 1 times broken, 2 times holds\n")
    assert done.stdout.endswith("3 runs of 1 verdicts: 1 changed\n")


def test_runs_that_were_kept_are_not_run_again(tmp_path):
    kept = tmp_path / "runs"
    counting = tmp_path / "strongroom"
    counting.write_text(
        "#!/bin/sh\n"
        f"echo run >>{tmp_path}/count\n"
        'echo \'{"seed": "1", "subjects": [{"name": "s", "verdicts": [{"promise": "p", "verdict": "holds", "evidence": {"summary": ""}}]}]}\'\n'
    )
    counting.chmod(0o755)
    assert repeat("--program", counting, "--repeats", "3", "--keep", kept).returncode == 0
    kept.write_text(kept.read_text()[:-5])  # as if killed while the third was written
    for _ in range(2):
        done = repeat("--program", counting, "--repeats", "4", "--keep", kept)
        assert done.stdout == "4 runs of 1 verdicts: 0 changed\n"
    assert len((tmp_path / "count").read_text().split()) == 3 + 2
