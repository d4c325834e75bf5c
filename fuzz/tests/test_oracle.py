"""The oracle on subjects of which it is known what is wrong with them, or that nothing is."""

import ctypes
import json
import os
import pathlib
import resource
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
CORPUS = pathlib.Path(os.environ["STRONGROOM_SOURCE"]) / "corpus" / "allocator"
FUZZ = BUILD / "fuzz" / "strongroom-fuzz"
DEFECTS = json.loads((BUILD / "defects" / "index.json").read_text())

# What runs freely between threads never repeats, so the target leaves it out (fuzz/README.md).
LEFT_OUT = {"storm"}
# Of a subject that neither tells of misuse nor refuses: what it is known to break (docs/decisions.md).
KNOWN = {"libsodium": "honest-lock,locked"}


def fuzz(subject, *arguments, variant="", **environment):
    env = dict(os.environ, STRONGROOM_SUBJECT=str(subject), STRONGROOM_VARIANT=variant, **environment)
    return subprocess.run([FUZZ, *arguments], env=env, capture_output=True, text=True, timeout=120)


def broken(done):
    """The violations that a run printed, as dicts."""
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line[line.index("{") :]) for line in done.stderr.splitlines() if '{"promise"' in line]


def variants(subject):
    return fuzz(subject, "--variants").stdout.split()


def good_subjects():
    """Those that keep what they claim, and all that core asks."""
    paths = [BUILD / "controls" / "correct.so", BUILD / "subjects" / "ref-alloc.so"]
    return [(path, name) for path in paths for name in variants(path)]


def counts(done):
    return {tuple(line.split()[:-1]): int(line.split()[-1]) for line in done.stdout.splitlines()}


@pytest.mark.parametrize("subject, variant", good_subjects(), ids=lambda value: getattr(value, "stem", value))
def test_good_subjects_break_nothing_with_any_program_of_the_corpus(subject, variant):
    done = fuzz(subject, CORPUS, variant=variant)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def has_secret_memory():
    """Does this kernel give memory of memfd_secret? Where it does not, nobody who claims `unreadable` opens."""
    return ctypes.CDLL(None, use_errno=True).syscall(447, 0) >= 0


def test_every_operation_and_every_check_happens_in_the_seed_run():
    total = {}
    for subject, variant in good_subjects():
        for key, count in counts(fuzz(subject, "--counts", CORPUS / "seeds", variant=variant)).items():
            total[key] = total.get(key, 0) + count
    operations = {key[1] for key in total if key[0] == "operation"}
    done = {key[1] for key, count in total.items() if key[0] == "operation" and key[2] != "skipped" and count > 0}
    assert operations - done == LEFT_OUT
    never = {key[1] for key, count in total.items() if key[0] == "check" and count == 0}
    assert never == (set() if has_secret_memory() else {"unreadable"})
    assert total["operation", "alloc", "refused"] > 0
    assert total["operation", "misuse", "died"] > 0


@pytest.mark.parametrize("defect", [defect for defect in DEFECTS if defect["fuzz"] == "yes"], ids=lambda defect: defect["id"])
def test_the_seeds_find_a_known_bad_subject(defect):
    done = fuzz(BUILD / "defects" / f"{defect['id']}.so", CORPUS / "seeds")
    assert broken(done), done.stderr  # whichever promise: the lists in its head are the verifier's


def test_a_leaking_subject_is_seen_leaking_once_its_locks_are_let_pass():
    control = BUILD / "controls" / "leaking.so"
    assert {v["promise"] for v in broken(fuzz(control, CORPUS / "seeds"))} >= {"locked", "honest-lock"}
    ignored = "locked,honest-lock,neighbour,alignment,sizes,unreadable"
    found = {v["promise"] for v in broken(fuzz(control, CORPUS / "seeds", STRONGROOM_IGNORE=ignored))}
    assert found >= {"zero-on-free", "fresh"}
    assert not found & set(ignored.split(","))


def test_a_violation_names_promise_operation_and_place_but_no_secret(tmp_path):
    program = tmp_path / "program.txt"
    program.write_text("strongroom program 1\nopen\nstorm 32 4 2\nalloc s0 40\nfill s0\nfree s0\n")
    (seen,) = broken(fuzz(BUILD / "defects" / "wipe-sizeof-pointer.so", program))
    assert seen["promise"] in ("zero-on-free", "all-zero")
    assert seen["operation"] == 4  # as in the input: the storm, which was left out, counts
    assert seen["subject"] == "wipe-sizeof-pointer"


def test_without_the_oracle_only_the_model_judges():
    bad = BUILD / "defects" / "wipe-sizeof-pointer.so"
    assert fuzz(bad, CORPUS / "seeds", STRONGROOM_ORACLE="off").returncode == 0


def test_programs_do_not_depend_on_those_before_them(tmp_path):
    """The same seed first and last, alone and among others, with the instance thrown away in between."""
    for subject, variant in good_subjects():
        seeds = sorted((CORPUS / "seeds").glob("*.txt"))
        alone = [broken(fuzz(subject, seed, variant=variant)) for seed in seeds[:3]]
        assert alone == [[], [], []]
        twice = fuzz(subject, *seeds, *reversed(seeds), variant=variant)
        assert twice.returncode == 0, twice.stderr


def test_what_cannot_be_fuzzed_is_one_line_and_status_2(tmp_path):
    for environment in ({"STRONGROOM_SUBJECT": "/nowhere.so"}, {"STRONGROOM_SUBJECT": str(BUILD / "subjects" / "ref-alloc.so")}):
        env = {**os.environ, "STRONGROOM_VARIANT": "nobody", **environment}
        done = subprocess.run([FUZZ, CORPUS / "seeds"], env=env, capture_output=True, text=True)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


ONE = "strongroom program 1\nopen\nalloc s0 32\nfill s0\nfree s0\nbaton\nalloc s1 32\nfill s1\nfree s1\nclose\n"
THREE = "strongroom program 1\nopen\nbaton\n" + "".join(f"alloc s{i} 32\nfill s{i}\nfree s{i}\n" for i in range(3)) + "close\n"


@pytest.mark.parametrize("defect", ["lock-not-a-threads-second", "wipe-not-a-threads-third"])
def test_what_a_thread_keeps_for_itself_begins_anew_with_each_program(defect, tmp_path):
    paths = [tmp_path / str(i) for i in range(6)]
    for path in paths:
        path.write_text(ONE if path != paths[-1] else THREE)
    subject = BUILD / "defects" / f"{defect}.so"
    assert broken(fuzz(subject, *paths[:-1])) == []
    assert broken(fuzz(subject, paths[0], paths[-1]))


def test_no_program_raises_its_limit(tmp_path):
    needed = 1100 * os.sysconf("SC_PAGESIZE")  # for that allocator to show what is wrong with it
    if 0 <= resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] < needed:
        pytest.skip(f"RLIMIT_MEMLOCK cannot be raised to {needed} bytes here by anybody")
    path = tmp_path / "many"
    path.write_text("strongroom program 1\nlimit 2000*page\nopen\n" + "crowd 32 64\n" * 20 + "crowd-look\nclose\n")
    assert broken(fuzz(BUILD / "defects" / "scale-unlocked-past-a-thousand.so", path)) == []


def test_locks_that_a_limit_forbids_are_refused_at_the_start():
    command = ["sh", "-c", 'ulimit -l 16; exec "$0" "$1"', FUZZ, CORPUS / "seeds"]
    env = {**os.environ, "STRONGROOM_SUBJECT": str(BUILD / "controls" / "correct.so")}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "limit on locked memory" in done.stderr


def test_programs_change_their_form_and_stay_the_same(tmp_path):
    seed = CORPUS / "seeds" / "basic.txt"
    fuzz("", "--assemble", tmp_path, seed)
    text = fuzz("", "--print", tmp_path / "basic").stdout
    assert text == fuzz("", "--print", seed).stdout
    assert "alloc s0 32\n" in text
    assert "int main" in fuzz("./x.so", "--c", seed).stdout


def test_the_dictionary_has_every_operation_in_its_own_form(tmp_path):
    lines = fuzz("", "--dictionary").stdout.splitlines()
    entries = [re.fullmatch(r'(\w+)="((?:\\x[0-9a-f]{2})+)"', line) for line in lines]
    assert all(entries)
    assert len({entry[1] for entry in entries}) == len(entries)
    pieces = [bytes.fromhex(entry[2].replace("\\x", "")) for entry in entries]
    records = [piece for piece in pieces if len(piece) == 8]
    program = tmp_path / "program"
    program.write_bytes(b"SRP\x01\0\0\0\0" + b"".join(records))
    operations = fuzz("", "--print", program).stdout.splitlines()[1:]
    assert len(operations) == len(records)
    subject, variant = good_subjects()[0]
    known = {key[1] for key in counts(fuzz(subject, "--counts", program, variant=variant)) if key[0] == "operation"}
    assert {line.split()[0] for line in operations} == known  # none is left out
    assert sorted(set(operations)) == sorted(operations)  # and each is there once
    assert {len(piece) for piece in pieces} == {5, 8}


def test_the_corpus_stays_within_its_size():
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 256 * 1024
    assert len(files) <= 800
