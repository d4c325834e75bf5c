"""What the recipes do: names of subjects, triage; the engines themselves, where clang has them."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
FIXTURES = BUILD / "suite" / "tests"
RECIPES = SOURCE / "fuzz" / "recipes.py"
os.environ["STRONGROOM_FUZZ_BUILD"] = str(BUILD)
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "fuzz"))
import recipes  # noqa: E402
import targets  # noqa: E402


PROGRAM = """strongroom program 1
open
alloc s1 3
alloc s0 40
fill s1
fill s0
check s0
free s0
free s1
close
"""


def recipe(*arguments, timeout=120):
    env = {**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD)}
    return subprocess.run([sys.executable, RECIPES, *arguments], env=env, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def crash(tmp_path):
    path = tmp_path / "crash"
    path.write_text(PROGRAM)
    return path


def test_triage_leaves_what_is_needed_and_writes_c_that_shows_it(crash):
    done = recipe("triage", crash, "wipe-sizeof-pointer")
    assert done.returncode == 1, done.stderr
    assert "breaks zero-on-free" in done.stdout
    assert "program 1\nopen\nalloc s0 40\nfill s0\nfree s0\n\n" in done.stdout
    assert "control-correct      breaks nothing" in done.stdout
    binary = crash.with_suffix(".bin")
    subprocess.run(["cc", "-w", "-o", binary, f"{crash}.c", "-ldl", "-lpthread"], check=True)
    bad = subprocess.run([binary], capture_output=True, text=True)
    assert "40 of 40 bytes of s0 still there" in bad.stdout
    good = subprocess.run([binary, BUILD / "controls" / "correct.so"], capture_output=True, text=True)
    assert "BAD" not in good.stdout


def test_triage_says_so_when_nothing_is_broken(crash):
    done = recipe("triage", crash, "control-correct")
    assert done.returncode == 0
    assert "breaks nothing" in done.stdout
    assert not pathlib.Path(f"{crash}.c").exists()


def test_unknown_subjects_and_several_variants_are_one_line(crash):
    for subject in ("nobody", "ref-alloc"):
        done = recipe("triage", crash, subject)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("fixture, promise", [("exit_alloc", "crash"), ("close_all", "locked"), ("crash_alloc", "sizes")])
def test_apart_a_subject_cannot_hide_what_it_breaks(fixture, promise, crash):
    seen = recipes.run_apart(recipes.Variant(FIXTURES / f"{fixture}.so", fixture.replace("_", "-")), [crash])
    assert [what["promise"] for what in seen.values()] == [promise]


def test_a_run_that_did_not_come_to_its_end_says_nothing(crash):
    with pytest.raises(SystemExit) as ended:
        recipes.run_apart(recipes.Variant(FIXTURES / "exit_load.so", "exit-load"), [crash])
    assert ended.value.code == 2
    assert recipes.counts(recipes.Variant(FIXTURES / "exit_alloc.so", "exit-alloc"), crash) == {}


def test_a_subject_that_gives_no_memory_is_not_tested():
    for command in (["libfuzzer"], ["afl"]):
        done = recipe(*command, FIXTURES / "stingy.so", "1")
        assert done.returncode == 2 and "stingy: gave no memory" in done.stderr, done.stderr


def test_an_engine_that_did_not_run_has_no_numbers_of_the_run_before(tmp_path, monkeypatch):
    (tmp_path / "work" / "default").mkdir(parents=True)
    (tmp_path / "work" / "default" / "fuzzer_stats").write_text("execs_done : 1000\n")
    (tmp_path / "afl-fuzz").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "afl-fuzz").chmod(0o755)
    (tmp_path / "seeds").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SystemExit) as ended:
        recipes.run_afl(recipes.Variant(BUILD / "controls" / "correct.so", "control-correct"), 1, work=tmp_path / "work", seeds=tmp_path / "seeds")
    assert ended.value.code == 2


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
def test_libfuzzer_finds_what_is_wrong_and_keeps_the_input(tmp_path):
    made = subprocess.run([SOURCE / "fuzz" / "engines", tmp_path, "libfuzzer"], capture_output=True, text=True)
    if made.returncode != 0 and "libclang_rt.fuzzer" in made.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    assert made.returncode == 0, made.stderr
    env = {**os.environ, "STRONGROOM_SUBJECT": str(BUILD / "defects" / "resize-leaves-tail.so"), "ASAN_OPTIONS": "detect_leaks=0:handle_abort=0"}
    command = [tmp_path / "fuzz" / "libfuzzer", "-seed=1", "-runs=200000", "-max_total_time=60", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace")
    assert '"subject": "resize-leaves-tail"' in done.stderr, done.stderr[-800:]
    assert list(tmp_path.glob("crash-*"))


@pytest.mark.skipif(not (shutil.which("clang") and shutil.which("afl-showmap")), reason="needs both engines")
def test_every_committed_input_runs_well_on_good_subjects_under_both_engines():
    done = recipe("corpus-check", "correct", "ref-alloc", timeout=280)
    if done.returncode == 2 and "libclang_rt.fuzzer" in done.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 300
    bad = recipe("corpus-check", "wipe-sizeof-pointer")
    assert bad.returncode == 1
    assert "wipe-sizeof-pointer apart: " in bad.stdout
    leaving = recipe("corpus-check", FIXTURES / "exit_alloc.so")
    assert leaving.returncode == 1
    for engine in ("libfuzzer", "afl"):
        assert f"wipe-sizeof-pointer under {engine}: " in bad.stdout
        assert f"exit-alloc under {engine}: " in leaving.stdout
        for path, found in (("defects/wipe-sizeof-pointer", True), ("controls/correct", False)):
            (variant,) = recipes.variants_of(BUILD / f"{path}.so")
            assert (targets.seconds_by_inputs(engine, variant) is not None) == found
    assert not [path for path in pathlib.Path("/proc").glob("[0-9]*/exe") if os.path.realpath(path) == str(BUILD / "fuzz" / "afl")]
