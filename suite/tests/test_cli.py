"""What can be typed wrong, and subjects that cannot be used: one exact line, exit 2, before anything is judged."""

import json
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
FIXTURES = BUILD / "suite" / "tests"


def strongroom(*words, **more):
    return subprocess.run([BUILD / "strongroom", *words], capture_output=True, text=True, timeout=120, **more)


def wrong(line, *words, **more):
    done = strongroom(*words, **more)
    assert (done.returncode, done.stderr, done.stdout) == (2, f"strongroom: {line}\n", "")


@pytest.mark.parametrize("command", ["verify", "compare"])
@pytest.mark.parametrize(
    "fixture, line",
    [
        ("no_symbol", "does not export strongroom_subjects"),
        ("other_abi", "does not serve contract version 1"),
        ("no_alloc", "variant 'no-alloc': required entry 'alloc' is missing"),
        ("absent_claim", "variant 'absent-claim': claims 'zero-on-resize', which needs the entry 'resize'"),
        ("odd_name", "variant 0: name 'Odd Name?' is not [a-z0-9-], 1 to 63 characters"),
    ],
)
def test_subject_that_cannot_be_used(command, fixture, line):
    path = FIXTURES / f"{fixture}.so"
    wrong(f"{path}: {line}", command, path)
    wrong(f"{path}: {line}", command, "malloc-mlock", path, "--only", "locked")  # and the others are not judged


def test_file_that_is_missing(tmp_path):
    path = tmp_path / "none.so"
    wrong(f"{path}: No such file or directory", "verify", path)
    wrong("none.so: No such file or directory", "verify", "none.so", cwd=tmp_path)
    wrong(f"{path}: No such file or directory", "compare", path)
    wrong(f"{path}: No such file or directory", "replay", path, "malloc-mlock")


def test_file_that_is_no_shared_object(tmp_path):
    text, empty, cut = tmp_path / "text.so", tmp_path / "empty.so", tmp_path / "cut.so"
    text.write_text("exit 0\n")
    empty.write_bytes(b"")
    cut.write_bytes((FIXTURES / "no_symbol.so").read_bytes()[:1000])
    for path in (text, empty, cut, tmp_path / "..", BUILD / "strongroom-case"):
        done = strongroom("verify", path)
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.startswith(f"strongroom: {path}: not a shared object: ") or (
            path.is_dir() and done.stderr == f"strongroom: {path}: Is a directory\n"
        )
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "compare"])
def test_pipe_is_not_waited_for(command, tmp_path):
    path = tmp_path / "pipe.so"
    os.mkfifo(path)
    wrong(f"{path}: not a shared object: a pipe", command, path)


def test_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "closed.so"
    path.write_bytes((FIXTURES / "no_symbol.so").read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads every file")
    wrong(f"{path}: Permission denied", "verify", path)


def test_unknown_names():
    wrong("unknown subject 'malloc-mlok'; did you mean 'malloc-mlock'?", "verify", "malloc-mlok")
    wrong("unknown subject 'qqq'; `strongroom list` shows them, or give a path", "verify", "qqq")
    wrong("unknown subject 'qqq'; `strongroom list` shows them, or give a path", "compare", "malloc-mlock", "qqq")
    wrong("verify: unknown promise 'lockd'; did you mean 'locked'?", "verify", "malloc-mlock", "--only", "lockd")
    wrong("verify: unknown option '--onyl'; did you mean '--only'?", "verify", "malloc-mlock", "--onyl", "locked")
    wrong("no chosen promise has a case 'no such'", "verify", "malloc-mlock", "--case", "no such")


def test_json_that_cannot_be_written_is_found_out_first(tmp_path):
    path = tmp_path / "no" / "such.json"
    wrong(f"cannot write '{path}': No such file or directory", "verify", "malloc-mlock", "--json", path)


def test_program_that_is_none(tmp_path):
    program = tmp_path / "program"
    program.write_text("strongroom program 1\nopen\nfrobnicate s0\n")
    done = strongroom("replay", program, "malloc-mlock")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"strongroom: {program}: line 3: ") and "frobnicate" in done.stderr
    program.write_text("strongroom program 1\nopen\n")
    done = strongroom("replay", program, "ref-alloc")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"strongroom: 'ref-alloc' stands for \d+ variants; name one of them by --variant: ref-alloc-", done.stderr)


def test_list_shows_what_is_here():
    done = strongroom("list")
    assert done.returncode == 0 and done.stderr == ""
    for name in ("ref-alloc-guarded", "ref-alloc-packed", "malloc-mlock", "locked", "zero-on-free"):
        assert f"\n  {name} " in done.stdout


def test_paths_are_as_seen_from_here(tmp_path):
    assert " subjects/malloc-mlock.so\n" in strongroom("list", cwd=BUILD).stdout
    assert f" {BUILD}/subjects/malloc-mlock.so\n" in strongroom("list", cwd=tmp_path).stdout


def test_explain_says_all_four_things_of_each_promise():
    done = strongroom("explain", "--all")
    assert done.returncode == 0 and done.stderr == ""
    headings = ["how it is observed", "what breaks it in practice", "what it needs"]
    counts = {done.stdout.count(f"\n  {heading}\n") for heading in headings}
    assert len(counts) == 1 and counts.pop() >= 10
    assert strongroom("explain", "locked").stdout in done.stdout


def test_replay_prints_a_program_as_text(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"SRP\1\0\0\0\0" + b"\1" + b"\0" * 7 + b"\6\2\0\0\x20\0\0\0")
    done = strongroom("replay", "--print", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "strongroom program 1\nopen\nalloc s2 32\n"


@pytest.mark.parametrize("subject", ["ref-alloc", BUILD / "subjects" / "ref-alloc.so"])
def test_replay_takes_one_variant_of_several(tmp_path, subject):
    program = tmp_path / "program"
    program.write_text("open\nalloc s0 8\nalloc s1 8\n")
    named = strongroom("replay", program, subject)
    names = re.fullmatch(rf"strongroom: '{subject}' stands for (\d+) variants; name one of them by --variant: (.*)\n", named.stderr)
    variants = names[2].split(", ")
    assert named.returncode == 2 and len(variants) == int(names[1]) > 1
    locked = {}
    for name in variants:
        done = strongroom("replay", program, subject, "--variant", name)
        assert (done.returncode, done.stderr) == (0, "")
        locked[name] = re.findall(r"VmLck (\d+)", done.stdout)
        assert locked[name] == re.findall(r"VmLck (\d+)", strongroom("replay", program, name).stdout)
    assert locked["ref-alloc-packed"] != locked["ref-alloc-guarded"]  # it is the one named that ran
    wrong(f"'{subject}' has no variant 'ref-alloc-packd', only {names[2]}", "replay", program, subject, "--variant", "ref-alloc-packd")
    wrong("replay: option '--variant' needs a value", "replay", program, subject, "--variant")
    wrong("'malloc-mlock' has no variant 'malloc', only malloc-mlock", "replay", program, "malloc-mlock", "--variant", "malloc")
    assert strongroom("replay", program, FIXTURES / "crash_load.so", "--variant", "any").stderr == ""


def test_any_bytes_are_a_program(tmp_path):
    program = tmp_path / "program"
    operations = b"\1" + b"\0" * 7 + b"\6\2\0\0\x20\0\0\0"
    for written, lines in ((operations, "open\nalloc s2 32\n"), (operations[:-1], "open\n"), (b"\0", ""), (b"", "")):
        program.write_bytes(written)  # as an engine leaves them: without a header, or cut
        done = strongroom("replay", "--print", program)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "strongroom program 1\n" + lines
    program.write_bytes(b"\xff" * 16)
    assert len(strongroom("replay", "--print", program).stdout.splitlines()) == 3
    program.write_bytes(operations)
    done = strongroom("replay", program, "malloc-mlock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alloc s2 32" in done.stdout


@pytest.mark.parametrize("written, line", [
    ("strongrom program 1\nopen\n", "line 1: 'strongrom' is not an operation"),
    ("strongrom program 1\n# caf\u00e9\nopen\n", "line 1: 'strongrom' is not an operation"),
    ("#include <stdio.h>\nint\tmain(void)\r\n{\f}\n", "line 2: 'int' is not an operation"),
    ("strongroom programme 1\nopen\n", "line 1: the header is not 'strongroom program 1'"),
    ("strongroom program 1\nop\0en\n", "a program's text, with a zero byte in it"),
    ("strongroom program 1\n\1\n", "line 2: '?' is not an operation"),
])
def test_what_somebody_typed_does_not_pass_for_bytes(tmp_path, written, line):
    program = tmp_path / "program"
    program.write_text(written, encoding="utf-8", newline="")
    wrong(f"{program}: {line}", "replay", "--print", program)
    wrong(f"{program}: {line}", "replay", program, "malloc-mlock")
    wrong(f"{tmp_path}: Is a directory", "replay", "--print", tmp_path)


def test_replay_tells_each_operation(tmp_path):
    program = tmp_path / "program"
    program.write_text("strongroom program 1\nopen\nalloc s0 32\nfill s0\ncheck s0\nfree s0\n")
    done = strongroom("replay", program, "malloc-mlock")
    assert done.returncode == 0, done.stdout + done.stderr
    for operation in ("open", "alloc s0 32", "fill s0", "check s0", "free s0"):
        assert operation in done.stdout


def verdicts_of(done):
    return {v["promise"]: v["verdict"] for v in json.loads(done.stdout)["subjects"][0]["verdicts"]}


def test_slow_promises_can_be_skipped():
    listed = json.loads(strongroom("list", "--json", "-").stdout)["promises"]
    slow = {promise["id"] for promise in listed if promise["slow"]}
    assert {"scale", "threads"} <= slow
    for words in (["--skip", "slow,fork"], ["--quick", "--skip", "fork"]):
        seen = set(verdicts_of(strongroom("verify", "malloc-mlock", "--json", "-", *words)))
        assert seen == {promise["id"] for promise in listed} - slow - {"fork"}
    assert set(verdicts_of(strongroom("verify", "malloc-mlock", "--json", "-", "--quick", "--only", "scale"))) == {"scale"}
    wrong("verify: unknown promise 'slwo'; 'strongroom list' names them", "verify", "malloc-mlock", "--skip", "slwo")
    wrong("every promise is skipped: nothing is left to judge", "verify", "malloc-mlock", "--only", "fork", "--skip", "fork")


def test_a_quick_run_breaks_what_a_whole_one_breaks():
    quick = verdicts_of(strongroom("verify", "malloc-mlock", "--json", "-", "--quick"))
    whole = verdicts_of(strongroom("verify", "malloc-mlock", "--json", "-", "--skip", "slow"))
    broken = {promise for promise, verdict in whole.items() if verdict == "broken"}
    assert len(broken) >= 4
    assert broken == {promise for promise, verdict in quick.items() if verdict == "broken"}


def test_a_broken_case_becomes_a_program(tmp_path):
    source, program = tmp_path / "case.c", tmp_path / "case"
    done = strongroom("verify", "malloc-mlock", "--only", "zero-on-free", "--case", "n=257", "--c", source)
    assert done.returncode == 1
    subprocess.run(["cc", "-rdynamic", "-o", program, source, "-ldl", "-lpthread"], check=True)
    ran = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and "BAD: after free" in ran.stdout
    # A case that holds, when it is asked for by its label; nothing where nothing is broken.
    done = strongroom("verify", "malloc-mlock", "--only", "locked", "--case", "n=32", "--c", "-")
    assert done.returncode == 0 and "int main(" in done.stdout
    absent = tmp_path / "absent.c"
    done = strongroom("verify", "malloc-mlock", "--only", "locked", "--c", absent)
    assert done.returncode == 0 and not absent.exists() and "nothing is broken" in done.stderr
    wrong(f"cannot write '{tmp_path}': Is a directory", "verify", "malloc-mlock", "--only", "locked", "--c", tmp_path)
