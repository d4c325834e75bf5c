"""A sample under each kind of tool, and that the runs fail where they must: no real locks, no runtime, no report file."""

import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
RUN = SOURCE / "sanitizers" / "run"

sys.path.insert(0, str(SOURCE / "sanitizers"))
import reports  # noqa: E402
import tools  # noqa: E402


def needs(name, compiler):
    missing = tools.TOOLS[name].missing(compiler)
    if missing:
        pytest.skip(f"{missing[0]} is not here: Debian's {missing[1]} has it")


def sanitize(*words, environment=None, timeout=600):
    return subprocess.run([sys.executable, RUN, *words, "--build", BUILD], capture_output=True, text=True, timeout=timeout,
                          env=os.environ | (environment or {}))


@pytest.mark.parametrize("name, compiler", [("asan", "gcc"), ("memcheck", "gcc")])
def test_a_sample_is_clean_and_each_known_mistake_is_reported(name, compiler):
    needs(name, compiler)
    done = sanitize(name, "--cc", compiler, "--sample")
    assert done.returncode == 0, done.stdout + done.stderr
    for promise in tools.NAMED[:3 if name == "asan" else 2]:
        variants = 3 if name == "asan" else 1  # a case takes most of a second under Valgrind: the rest is nightly
        assert f"ok   named: {promise}: {variants} variants" in done.stdout
    for flaw in tools.TOOLS[name].flaws:
        assert f"ok   flaw {flaw} is reported" in done.stdout


@pytest.mark.parametrize("name", ["asan", "memcheck"])
@pytest.mark.parametrize("subject", ["ref-alloc", "stranger"])
def test_without_real_locks_nothing_is_looked_at(name, subject, tmp_path):
    needs(name, "gcc")
    if subject == "stranger":
        subject = str(shutil.copy(BUILD / "controls" / "correct.so", tmp_path / "stranger.so"))
    done = sanitize(name, subject, "--cc", "gcc", "--sample", "--case", "sanitizers/case-without-locks")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "locks are not real here: mlock() says 0 and VmLck does not rise" in done.stderr
    assert " ok " not in done.stdout


def test_a_tool_that_is_unknown_or_not_here_is_one_line(tmp_path):
    done = sanitize("valgrind")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "unknown tool 'valgrind': asan, lsan, msan" in done.stderr
    done = sanitize("memcheck", environment={"PATH": str(tmp_path)})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "install Debian's valgrind" in done.stderr
    done = sanitize("msan", "--cc", "gcc")
    assert (done.returncode, done.stderr) == (2, "sanitize: msan is not to be had with gcc: --cc clang\n")


def test_msan_takes_nothing_that_was_not_compiled_for_it(tmp_path):
    needs("msan", "clang")
    session = load_run().Session(tools.TOOLS["msan"], "clang", type("Asked", (), {"build": BUILD, "case": None}))
    with pytest.raises(load_run().CannotLook, match="needs all code to be compiled for it"):
        load_run().subject_of(session, str(BUILD / "controls" / "correct.so"))


def load_run():
    if "sanitizers_run" not in sys.modules:
        loader = importlib.machinery.SourceFileLoader("sanitizers_run", str(RUN))
        spec = importlib.util.spec_from_loader("sanitizers_run", loader)
        sys.modules["sanitizers_run"] = importlib.util.module_from_spec(spec)
        loader.exec_module(sys.modules["sanitizers_run"])
    return sys.modules["sanitizers_run"]


@pytest.fixture
def session():
    asked = type("Asked", (), {"build": BUILD, "case": None, "defects": "none", "sample": False, "promises": ()})
    return load_run().Session(tools.TOOLS["memcheck"], "gcc", asked)


def failures(session):
    return [line for step in session.steps for line in step["wrong"]]


def test_a_process_without_a_report_file_and_a_step_without_tests_fail(session):
    nothing = reports.Reading(1, [], {}, "")
    session.step("a step", 2, [], nothing, 2)
    assert failures(session) == ["2 processes ran and 1 left a report file"]
    session.step("another", 0, [])
    assert failures(session)[1:] == ["nothing ran"]


def test_suppressions_that_are_unknown_or_unused_fail(session):
    names = list(session.tool.suppressions())
    session.suppressed = {name: 1 for name in names}
    session.suppressions(whole=True)
    assert failures(session) == []
    session.suppressed = {name: 1 for name in names[1:]} | {"somebody-elses": 3}
    session.suppressions(whole=True)
    assert [line.split(": ", 1)[-1] for line in failures(session)] == ["somebody-elses", f"nothing needs {names[0]}: take it out"]


def test_a_suppression_that_no_readme_explains_is_told_of(session, tmp_path):
    folder = tmp_path / "memcheck"
    shutil.copytree(session.tool.folder, folder)
    with open(folder / "memcheck.supp", "a", encoding="utf-8") as file:
        file.write("{\n   brand-new\n   Memcheck:Cond\n   fun:main\n}\n")
    session.tool = type("Tool", (tools.Tool,), {"folder": folder})("memcheck")
    session.suppressions(whole=False)
    assert len(failures(session)) == 1
    assert "README.md does not say why there is brand-new" in failures(session)[0]


def test_reports_are_read_from_each_tools_own_form(tmp_path):
    (tmp_path / "a").write_text("==7==ERROR: AddressSanitizer: use-after-poison on address 0x1\n    #0 0x5 in overrun ../x/flaws.c:60\n")
    (tmp_path / "b").write_text("==7==WARNING: MemorySanitizer: use-of-uninitialized-value\n    #0 0x5 in f /x/flaws.c:67:9\n")
    (tmp_path / "c").write_text("WARNING: ThreadSanitizer: data race (pid=7)\n  Write of size 1\n    #0 writer /x/flaws.c:112 (flaws+0x1)\n")
    (tmp_path / "d").write_text("../x/flaws.c:126:19: runtime error: signed integer overflow: 1 + 2\n    #0 0x5 in arithmetic ../x/flaws.c:126\n")
    # Killed before it was whole:
    (tmp_path / "e").write_text("<?xml version='1.0'?>\n<valgrindoutput>\n<error><kind>InvalidWrite</kind><what>Invalid write</what><stack><frame>"
                                "<fn>overrun</fn><file>flaws.c</file><line>60</line></frame></stack></error>\n<error><kind>Inv")
    reading = reports.read(tmp_path)
    assert reading.processes == 5
    assert [(r.kind, r.frames[0][2]) for r in reading.reports] == [
        ("use-after-poison", 60), ("use-of-uninitialized-value", 67), ("data race", 112), ("signed integer overflow", 126), ("InvalidWrite", 60)]
