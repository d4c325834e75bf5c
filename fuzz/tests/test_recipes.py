"""What the recipes do: names of subjects, triage; the engines themselves, where clang has them."""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
FIXTURES = BUILD / "suite" / "tests"
RECIPES = SOURCE / "fuzz" / "recipes.py"
os.environ["STRONGROOM_FUZZ_BUILD"] = str(BUILD)
sys.dont_write_bytecode = True
sys.path[:0] = [str(SOURCE / "fuzz"), str(pathlib.Path(__file__).parent)]
import campaign  # noqa: E402
import recipes  # noqa: E402
import targets  # noqa: E402
import test_unusual  # noqa: E402
import triage  # noqa: E402

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


# A subject with what FREE and BEGIN do, and with USABLE: compiled by a test, as a user's would be.
SUBJECT = """#include <stdint.h>
#include <string.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include "strongroom.h"
static int my_open(const struct secret_config *c, void **x) { *x = NULL; return 0; }
static void *my_alloc(void *c, size_t n)
{
    void *p = n > 100000 ? MAP_FAILED : mmap(NULL, n + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED || mlock(p, n + 1) != 0 ? NULL : p;
}
static void my_free(void *c, void *p, size_t n) { FREE; explicit_bzero(p, n); munmap(p, n + 1); }
static size_t slack(void *c, const void *p) { return 24; }
static const struct secret_alloc mine = {.size = sizeof mine, .name = "mine", .version = "1", .library = "mine", .usable = USABLE,
                                         .open = my_open, .alloc = my_alloc, .free = my_free};
const struct secret_alloc *const *strongroom_subjects(uint32_t abi)
{
    static const struct secret_alloc *const all[] = {&mine, NULL};
    return abi == STRONGROOM_ABI_MAJOR ? all : NULL;
}
__attribute__((constructor)) static void begin(void) { BEGIN; }
"""


def subject(folder, free="", begin="", usable="NULL"):
    source, path = folder / "mine.c", folder / "mine.so"
    source.write_text(SUBJECT)
    include = SOURCE / "contract"
    subprocess.run(["cc", "-w", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-I{include}", f"-DFREE={free}", f"-DBEGIN={begin}", f"-DUSABLE={usable}", "-o", path, source], check=True)
    return path


def one_line(done):
    return done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def recipe(name, *arguments, timeout=120):
    env = {**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD)}
    program = [SOURCE / "fuzz" / "triage.py"] if name == "triage" else [RECIPES, name]
    return subprocess.run([sys.executable, *program, *arguments], env=env, capture_output=True, text=True, timeout=timeout)


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
    assert re.search("^  control-correct +breaks nothing$", done.stdout, re.MULTILINE)
    binary = crash.with_suffix(".bin")
    subprocess.run(["cc", "-w", "-o", binary, f"{crash}.c", "-ldl", "-lpthread"], check=True)
    bad = subprocess.run([binary], capture_output=True, text=True)
    assert "40 of 40 bytes of s0 still there" in bad.stdout
    good = subprocess.run([binary, BUILD / "controls" / "correct.so"], capture_output=True, text=True)
    assert "BAD" not in good.stdout


def test_what_the_teardown_decides_is_an_operation_of_the_small_program(crash):
    crash.write_text(PROGRAM.replace("free s0\nfree s1\nclose\n", ""))
    done = recipe("triage", crash, "wipe-sizeof-pointer")
    assert done.returncode == 1, done.stderr
    assert re.search("program 1\nopen\nalloc s[01] [0-9]+\nfill s[01]\n(free s[01]|close)\n\n", done.stdout), done.stdout
    assert "the C program" not in done.stdout
    binary = crash.with_suffix(".bin")
    subprocess.run(["cc", "-w", "-o", binary, f"{crash}.c", "-ldl", "-lpthread"], check=True)
    assert "BAD" in subprocess.run([binary], capture_output=True, text=True).stdout


def test_a_c_program_that_shows_nothing_is_told_from_one_that_does(tmp_path):
    def shows(body):
        return triage.shows(f"int main(void) {{ {body} }}", tmp_path, False)[0]

    end = 'puts("the program ran to its end");'
    assert shows(f'puts("BAD: this"); {end} return 1;')
    assert shows("abort();")
    assert shows("exit(0);")
    assert shows(end) is False
    assert shows("return 2;") is False
    assert shows("no C") is None


@pytest.mark.parametrize("free, text", [
    ("_exit(0)", "crash: it ended the process with status 0"),
    ("close(2); munmap(p, n + 1); return", "zero-on-free: memory was given back with [0-9]+ words of secret 1.*"),
    ("raise(9)", "crash: the process was killed by signal 9"),
])
def test_ending_the_process_and_closing_files_hides_nothing(crash, tmp_path, free, text):
    crash.write_text(PROGRAM.replace("free s0\nfree s1\nclose\n", ""))
    done = recipe("triage", crash, subject(tmp_path, free))
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(f"^mine breaks {text}$", done.stdout, re.MULTILINE), done.stdout
    assert re.search("free s[01]\n\nas C", done.stdout)
    assert "the C program" not in done.stdout


@pytest.mark.parametrize("free, text", [
    ("munmap(p, n + 1); return", "memory was given back with 3 words of secret 1 in its 24 bytes"),
    ("return", "3 words of secret 1 are left in its 24 bytes"),
])
def test_what_is_left_where_nothing_was_asked_for_lies_in_the_bytes_that_are_named(crash, tmp_path, free, text):
    crash.write_text("strongroom program 1\nopen\nalloc s0 0\nfill s0 usable\nfree s0\n")
    (seen,) = recipes.run_apart(recipes.Variant(subject(tmp_path, free, usable="slack"), "mine"), [crash]).values()
    assert seen["promise"] == "zero-on-free" and seen["text"].startswith(text), seen["text"]


def test_what_hangs_is_broken_and_leaves_no_process(crash, tmp_path, monkeypatch):
    path = subject(tmp_path, "fork(); pause()")
    monkeypatch.setattr(triage, "HANG_SECONDS_SHORT", 2)
    assert triage.judge_hang(recipes.Variant(path, "mine"), crash) == {"promise": "hang", "text": "it ran for more than 2 s"}
    assert [*recipes.marked(crash)] == []


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
def test_what_only_addresssanitizer_sees_is_broken(crash, tmp_path):
    made = subprocess.run([SOURCE / "fuzz" / "engines", BUILD, "libfuzzer"], capture_output=True, text=True)
    if made.returncode != 0 and "libclang_rt.fuzzer" in made.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    path = subject(tmp_path, "volatile char *node = malloc(16); char b[64]; memcpy(b, (void *)node, 17 + (n & 7)); node[3] = b[3]; free((void *)node)")
    done = recipe("triage", crash, path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "mine breaks sanitizer: SUMMARY: AddressSanitizer: heap-buffer-overflow" in done.stdout
    assert "it shows that when compiled with -fsanitize=address" in done.stdout


def test_the_words_that_are_printed_are_words_that_work(crash, tmp_path):
    mine = subject(tmp_path)
    for given, name in ((str(mine), "mine"), ("control-correct", "control-correct"), ("ref-alloc", "ref-alloc-packed"), (str(BUILD / "subjects" / "ref-alloc.so"), "ref-alloc-packed")):
        (variant,) = [variant for variant in recipes.find_variants(given) if variant.name == name]
        command, *words = shlex.split(recipes.triage_words(crash, variant))
        assert command == "./dev"
        done = recipe(*words)
        assert done.returncode == 0, done.stderr
        assert f"{name} breaks nothing" in done.stdout
    assert one_line(recipe("triage", crash, mine, "--variant", "yours"))


def test_fuzz_prints_those_words(tmp_path, monkeypatch, capsys):
    path = subject(tmp_path, "munmap(p, n + 1); return")
    monkeypatch.setattr(recipes, "build_engine", lambda *_: None)
    monkeypatch.setattr(recipes, "run_libfuzzer", lambda *_: recipes.Run(tmp_path / "a crash"))
    (tmp_path / "a crash").write_text(PROGRAM)
    monkeypatch.setattr(sys, "argv", ["recipes.py", "fuzz", str(path), "1"])
    assert recipes.main() == 1
    said = capsys.readouterr().out
    assert f"  $ ./dev triage '{tmp_path}/a crash' {path}\n" in said
    assert "\n  zero-on-free: memory was given back with " in said


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    (folder / "seeds").mkdir(parents=True)
    (folder / "minimised").mkdir()
    (folder / "seeds" / "taken.txt").write_text(PROGRAM)
    monkeypatch.setattr(recipes, "CORPUS", folder)
    return folder


def keep(monkeypatch, crash, name):
    monkeypatch.setattr(sys, "argv", ["triage.py", str(crash), "wipe-sizeof-pointer", "--keep", name])
    return triage.main()


def test_regressions_are_kept_under_new_names_only(crash, corpus, monkeypatch, capsys):
    for name in ("taken", "../../out", "Upper", "a.b", ""):
        with pytest.raises(SystemExit) as ended:
            keep(monkeypatch, crash, name)
        assert ended.value.code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in corpus.rglob("*.txt")] == ["taken.txt"]
    assert keep(monkeypatch, crash, "one-more") == 1
    kept = corpus / "regressions" / "one-more.txt"
    assert kept.read_text().startswith("strongroom program 1\n# Broke zero-on-free of wipe-sizeof-pointer.\nopen\n")
    with pytest.raises(SystemExit):
        keep(monkeypatch, crash, "one-more")
    capsys.readouterr()
    assert keep(monkeypatch, crash, "another-name") == 2
    assert re.fullmatch("fuzz: --keep another-name: not kept, for the same program is there: .*/one-more.txt\n", capsys.readouterr().err)
    assert [path.name for path in kept.parent.iterdir()] == ["one-more.txt"]


def test_others_that_do_not_claim_a_promise_are_told_from_those_that_keep_it(crash, monkeypatch, capsys):
    crash.write_text("strongroom program 1\nopen\nclose\n")
    claims = {"ref-alloc-packed": ["guard-after"], "ref-alloc-guarded": []}
    monkeypatch.setattr(recipes, "built_variants", lambda folders: recipes.variants_of(BUILD / "subjects" / "ref-alloc.so"))
    assert set(triage.claims_by_name()) >= set(claims)
    monkeypatch.setattr(triage, "claims_by_name", lambda: claims)
    triage.print_others(recipes.Variant(BUILD / "controls" / "correct.so", "mine"), crash, "guard-after")
    said = capsys.readouterr().out
    assert "\n  ref-alloc-packed  breaks nothing\n" in said
    assert "\n  ref-alloc-guarded breaks nothing; does not claim guard-after\n" in said


def test_what_cannot_be_written_leaves_no_regression(crash, corpus, monkeypatch):
    pathlib.Path(f"{crash}.c").mkdir()
    with pytest.raises(IsADirectoryError):
        keep(monkeypatch, crash, "no-more")
    assert not (corpus / "regressions").exists()


def test_a_program_of_which_not_all_is_looked_at_is_not_in_order(crash):
    harmless = "".join(f"alloc s{i % 20} 40\n" if i % 2 == 0 else f"free s{(i - 1) % 20}\n" for i in range(140))
    crash.write_text(PROGRAM.replace("alloc s1 3\n", f"{harmless}alloc s1 3\n"))
    done = recipe("triage", crash, "wipe-sizeof-pointer")
    assert one_line(done) and done.stdout == ""
    assert "of its 149 operations no more than 127 are looked at, and wipe-sizeof-pointer breaks nothing with those" in done.stderr
    crash.write_text(PROGRAM.replace("close\n", f"close\n{harmless}"))
    assert recipe("triage", crash, "wipe-sizeof-pointer").returncode == 1


@pytest.mark.parametrize("printed", ['\".\"', '\"x: {\"'])
def test_what_a_subject_prints_before_a_line_does_not_hide_it(printed, crash, tmp_path):
    path = subject(tmp_path, f"write(2, {printed}, sizeof {printed} - 1); munmap(p, n + 1); return")
    assert recipes.judge(recipes.Variant(path, "mine"), crash)["promise"] == "zero-on-free"


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
def test_what_is_left_out_of_the_corpus_is_named_and_nothing_lies_about(corpus, crash, tmp_path, monkeypatch, capsys):
    made = subprocess.run([SOURCE / "fuzz" / "engines", BUILD, "libfuzzer"], capture_output=True, text=True)
    if made.returncode != 0 and "libclang_rt.fuzzer" in made.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    here, others = tmp_path / "here", tmp_path / "others"
    here.mkdir()
    others.mkdir()
    monkeypatch.chdir(here)
    (corpus / "seeds" / "taken.txt").write_text("strongroom program 1\nopen\nclose\n")
    subprocess.run([recipes.PROGRAM, "--assemble", others, crash], check=True)
    monkeypatch.setattr(sys, "argv", ["recipes.py", "corpus-merge", str(others), "--subject", "wipe-sizeof-pointer"])
    assert recipes.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("1 committed input, 1 in 1 folder\n")
    assert "left out, for it breaks something: crash\n1 input kept, that do what all do, " in said
    assert [*here.iterdir()] == [] and len([*(corpus / "minimised").iterdir()]) == 1


def test_a_regression_is_kept_when_nobody_reads_on(crash, corpus):
    code = f"import pathlib, recipes, triage; recipes.CORPUS = pathlib.Path({str(corpus)!r}); recipes.run_main(triage.main)"
    words = [sys.executable, "-B", "-c", code, crash, "wipe-sizeof-pointer", "--keep", "kept"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(SOURCE / "fuzz")}, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141
    assert (corpus / "regressions" / "kept.txt").exists()


def test_inputs_are_what_is_committed_and_nothing_else(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "BUILD", tmp_path / "build")
    (corpus / "minimised" / "0123").write_bytes(b"bytes")
    for folder, left in ((tmp_path / "build" / "seeds", []), (tmp_path / "elsewhere", ["crash.c"])):
        folder.mkdir(parents=True)
        (folder / "crash.c").write_text("int main")
        recipes.inputs(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["0123", *left, "taken"]
    (corpus / "seeds" / "taken.too.txt").write_text(PROGRAM)
    with pytest.raises(SystemExit):
        recipes.inputs(tmp_path / "build" / "seeds")
    assert "two inputs have the name taken" in capsys.readouterr().err


def test_what_is_no_program_is_one_line(crash):
    crash.write_text("strongroom program 1\nfrob s0\n")
    done = recipe("triage", crash, "control-correct")
    assert one_line(done), done.stderr
    assert f"{crash}: line 2: 'frob'" in done.stderr
    hidden = crash.with_name(".x")
    hidden.write_text(PROGRAM)
    assert "breaks zero-on-free" in recipe("triage", hidden, "wipe-sizeof-pointer").stdout


def test_wrong_words_are_one_line(tmp_path):
    for words in (["corpus-merge", "--subject", "correct"], ["corpus-merge", tmp_path / "gone", "--subject", "correct"],
                  ["fuzz", "correct", "5", "6"], ["fuzz-afl", "correct", "soon"], ["fuzz"], ["fuzz-afl", "ref-alloc", "1", "--variant", "none"], ["corpus-minimise", "correct", "x"]):
        done = recipe(*words)
        assert one_line(done), (words, done.stderr)
    assert "folder" in recipe("corpus-merge", "--subject", "correct").stderr  # and not all that fuzzing left


def test_the_justfile_hands_all_words_on():
    lines = [line for line in (SOURCE / "justfile").read_text().splitlines() if "/fuzz/" in line and ".py'" in line]
    assert len(lines) >= 9
    assert [line for line in lines if '"$@"' not in line] == []


@pytest.mark.parametrize("begin, why", [("abort()", "was killed by signal 6"), ("_exit(0)", "ended with status 0"), ("_exit(3)", "ended with status 3")])
def test_why_a_shared_object_is_none_of_a_subject_is_said(crash, tmp_path, begin, why):
    done = recipe("triage", crash, subject(tmp_path, begin=begin))
    assert one_line(done), done.stderr
    assert done.stderr.endswith(f"the process that loaded it {why}\n")


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


@pytest.mark.parametrize("fixture, promise", [("exit_alloc", "crash"), ("close_all", "locked"), ("crash_alloc", "sizes"), ("loud", "locked")])
def test_apart_a_subject_cannot_hide_what_it_breaks(fixture, promise, crash):
    seen = recipes.run_apart(recipes.Variant(FIXTURES / f"{fixture}.so", fixture.replace("_", "-")), [crash])
    assert [what["promise"] for what in seen.values()] == [promise]


@pytest.mark.parametrize("before", ["", "for (int file = 3; file < 100; file++) close(file);"])
def test_what_looks_at_memory_is_opened_again_when_a_subject_closes_it(before, crash, tmp_path):
    # The first is wiped and hidden, and so looked at through a file that is open from then on; the second is hidden only.
    hide = "if (freed++ == 0) explicit_bzero(p, n); mprotect(p, n + 1, PROT_NONE); return"
    path = subject(tmp_path, f"static int freed; {before} {hide}")
    crash.write_text(PROGRAM.replace("free s0\nfree s1\n", "free s1\nfree s0\n"))
    seen = recipes.run_apart(recipes.Variant(path, "mine"), [crash])
    assert [what["promise"] for what in seen.values()] == ["zero-on-free"]


def test_a_subject_that_takes_the_numbers_of_what_looks_at_memory_is_refused(crash, tmp_path, capsys):
    take = "if (freed == 1) for (int file = 3; file < 100; file++) dup2(2, file);"
    path = subject(tmp_path, f"static int freed; {take} explicit_bzero(p, n); if (freed++ == 0) mprotect(p, n + 1, PROT_NONE); return")
    with pytest.raises(SystemExit) as ended:
        recipes.run_apart(recipes.Variant(path, "mine"), [crash])
    assert ended.value.code == 2 and "mine: the subject closed files" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
def test_a_handler_of_a_subject_keeps_no_find_from_libfuzzer(crash, tmp_path):
    program = engine_program("libfuzzer")
    path = subject(tmp_path, "signal(SIGABRT, _exit); munmap(p, n + 1); return")
    (tmp_path / "inputs").mkdir()
    subprocess.run([recipes.PROGRAM, "--assemble", tmp_path / "inputs", crash], check=True)
    environment = recipes.Variant(path, "mine").environment(ASAN_OPTIONS=recipes.ASAN_OPTIONS, STRONGROOM_REPORT=str(tmp_path / "reports"))
    done = subprocess.run([program, "-runs=0", f"-artifact_prefix={tmp_path}/", tmp_path / "inputs"], env=environment, capture_output=True, text=True, errors="replace")
    assert "Test unit written to" in done.stderr, done.stderr[-800:]
    (crashed,) = tmp_path.glob("crash-*")  # and a file says which, and why
    assert re.match(f"{campaign.fnv1a(crashed.read_bytes()):08x} zero-on-free \\d+ memory was given back", (tmp_path / "reports").read_text())


def test_c_shows_a_few_bytes_in_a_row_that_are_left(crash, tmp_path):
    crash.write_text("strongroom program 1\nopen\nalloc s0 64\nfill s0\nfree s0\n")
    environment = recipes.Variant(FIXTURES / "last_word.so", "last-word").environment()
    code = subprocess.run([recipes.PROGRAM, "--c", crash], env=environment, capture_output=True, text=True, check=True).stdout
    (tmp_path / "left.c").write_text(code)
    subprocess.run(["cc", "-w", "-o", tmp_path / "left", tmp_path / "left.c", "-ldl", "-lpthread"], check=True)
    assert "BAD" in (said := subprocess.run([tmp_path / "left"], capture_output=True, text=True).stdout)
    assert "8 of 64 secret bytes are still there" in said


def test_a_run_that_did_not_come_to_its_end_says_nothing(crash):
    with pytest.raises(SystemExit) as ended:
        recipes.run_apart(recipes.Variant(FIXTURES / "exit_load.so", "exit-load"), [crash])
    assert ended.value.code == 2
    assert recipes.counts(recipes.Variant(FIXTURES / "exit_alloc.so", "exit-alloc"), crash, 60) == {}
    assert recipes.counts(recipes.Variant(FIXTURES / "hang_alloc.so", "hang-alloc"), crash, 1) == {}


def test_a_subject_that_gives_no_memory_is_not_tested():
    for command in (["fuzz"], ["fuzz-afl"]):
        done = recipe(*command, FIXTURES / "stingy.so", "1")
        assert done.returncode == 2 and "stingy: gave no memory" in done.stderr, done.stderr


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Makes an engine that says and does what a test wants, and runs it: libFuzzer or AFL++ on a subject of the build."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "seeds").mkdir()
    monkeypatch.setattr(recipes, "FUZZ", tmp_path / "bin")
    monkeypatch.setattr(recipes, "ENGINE_SECONDS_MORE", 0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def run(name, script, subject="controls/correct"):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\nwork={tmp_path / 'work'}\n{script}\n")
        path.chmod(0o755)
        (variant,) = recipes.variants_of(BUILD / f"{subject}.so")
        run = recipes.run_libfuzzer if name == "libfuzzer" else recipes.run_afl
        return run(variant, 1, work=tmp_path / "work", seeds=tmp_path / "seeds", quiet=True)

    return run


PRINT_PROGRAM = "printf '" + PROGRAM.replace("\n", "\\n") + "'"


@pytest.mark.parametrize("said, doubt", [("#7\tINITED ft: 1 corp: 1/1b exec/s: 1 rss: 1Mb", "a program hangs, with signals blocked"), ("INFO: Seed", "or all are slow")])
def test_an_engine_that_heeds_no_signal_is_ended_with_all_that_it_started(said, doubt, engine, tmp_path):
    run = engine("libfuzzer", f"trap '' TERM ALRM INT; echo '{said}' >&2; setsid sleep 60 & sleep 60")
    assert run.found is None and doubt in run.doubt
    assert [*recipes.marked(tmp_path / "work")] == []


@pytest.mark.parametrize("kind, says", [("oom", "it grew to 4 GiB"), ("timeout", "a program did not end within 20 s")])
def test_growth_and_a_busy_machine_are_no_finds(kind, says, engine, tmp_path):
    script = f"{PRINT_PROGRAM} >$work/{kind}-1; echo \"artifact; Test unit written to $work/{kind}-1\" >&2; exit 71"
    run = engine("libfuzzer", script)
    assert run.found is None and says in run.doubt
    run = engine("libfuzzer", script, "defects/wipe-sizeof-pointer")
    assert (run.found, run.doubt) == (tmp_path / "work" / f"{kind}-1", None)
    run = engine("libfuzzer", f"cp $work/{kind}-1 $work/crash-1; echo 'Test unit written to '$work/crash-1 >&2; exit 77")
    assert run.found == tmp_path / "work" / "crash-1"


def test_what_afl_keeps_for_its_time_is_a_find_where_it_does_not_end_alone(engine, tmp_path):
    script = f"mkdir -p $work/default/hangs; {PRINT_PROGRAM} >$work/default/hangs/id:000000; echo 'execs_done : 1' >$work/default/fuzzer_stats"
    run = engine("afl-fuzz", script)
    assert run.found is None and run.doubt.startswith("1 program did not end within 2 s in a process with others, and in time alone")
    assert engine("afl-fuzz", script, "defects/wipe-sizeof-pointer").found == tmp_path / "work" / "default" / "hangs" / "id:000000"
    killed = script.replace("default/hangs", "default/crashes").replace("id:000000", "id:000000,sig:09,src:1")
    shutil.rmtree(tmp_path / "work")
    run = engine("afl-fuzz", killed)
    assert run.found is None and run.doubt.startswith("1 program did not end")


def test_why_the_target_did_not_go_on_is_said_in_its_words(engine, capsys):
    for name, why in (("libfuzzer", "fuzz: no memory any more"), ("afl-fuzz", "\033[1;91m[-] PROGRAM ABORT : \033[0mno memory any more")):
        with pytest.raises(SystemExit) as ended:
            engine(name, f"printf '{why}\n' >&2; echo 'another line' >&2; exit 2")
        assert ended.value.code == 2
        assert re.fullmatch("fuzz: control-correct: .* status 2: no memory any more.*\n", capsys.readouterr().err)


def test_what_cannot_be_said_is_status_2_and_a_find_is_1(monkeypatch, capsys):
    monkeypatch.setattr(recipes, "demand_use", lambda variant: True)
    monkeypatch.setattr(recipes, "build_engine", lambda *_: None)
    monkeypatch.setattr(recipes, "described", lambda *_: "broken: this")
    runs = {"ref-alloc-packed": recipes.Run(doubt="it grew"), "ref-alloc-guarded": recipes.Run(), "ref-alloc-memfd": recipes.Run()}
    monkeypatch.setattr(recipes, "run_afl", lambda variant, seconds: runs[variant.name])
    monkeypatch.setattr(sys, "argv", ["recipes.py", "fuzz-afl", "ref-alloc"])
    assert recipes.main() == 2
    said = capsys.readouterr()
    assert said.err == "fuzz: ref-alloc-packed: it grew\n" and said.out.count(": 20 s of AFL++") == 3
    runs["ref-alloc-guarded"] = recipes.Run(pathlib.Path("found"))
    assert recipes.main() == 1
    assert "$ ./dev triage found ref-alloc --variant ref-alloc-guarded" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["recipes.py", "fuzz-afl", "ref-alloc", "7", "--variant", "ref-alloc-memfd"])
    assert recipes.main() == 0
    assert capsys.readouterr().out.endswith("ref-alloc-memfd: 7 s of AFL++\n")
    runs["ref-alloc-memfd"] = recipes.Run(pathlib.Path("found"), stopped=True)
    with pytest.raises(KeyboardInterrupt):
        recipes.main()
    assert "broken: found" in capsys.readouterr().out


def test_seconds_alone_are_those_of_the_default_subject(monkeypatch, capsys):
    monkeypatch.setattr(recipes, "demand_use", lambda variant: True)
    monkeypatch.setattr(recipes, "build_engine", lambda *_: None)
    monkeypatch.setattr(recipes, "DEFAULT_SUBJECT", "control-correct")
    monkeypatch.setattr(recipes, "run_libfuzzer", lambda *_: recipes.Run())
    monkeypatch.setattr(sys, "argv", ["recipes.py", "fuzz", "5"])
    assert recipes.main() == 0
    assert capsys.readouterr().out.endswith("control-correct: 5 s of libFuzzer\n")


def test_committed_programs_that_do_not_end_are_told_of_soon(monkeypatch, capsys):
    monkeypatch.setattr(recipes, "USE_SECONDS", 1)
    assert recipes.demand_use(recipes.Variant(FIXTURES / "hang_alloc.so", "hang-alloc")) is False
    assert capsys.readouterr().out.endswith("hang-alloc: the committed programs do not end within 1 s\n")  # a busy machine has a line before


@pytest.mark.parametrize("error, status, said", [
    (OSError(28, "No space left on device", "a/file"), 2, "fuzz: a/file: No space left on device"),
    (subprocess.CalledProcessError(3, ["/bin/tool"]), 2, "fuzz: tool ended with status 3"),
    (ZeroDivisionError("a\nb"), 2, r"fuzz: ZeroDivisionError in test_recipes.py:\d+, which is a mistake of ours: a b \(.*\)"),
    (KeyboardInterrupt(), 130, "fuzz: stopped"),
])
def test_what_goes_wrong_is_no_find(error, status, said, capsys, monkeypatch):
    monkeypatch.delenv("STRONGROOM_TRACEBACK", raising=False)

    def main():
        raise error

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(SystemExit) as ended:
        recipes.run_main(main)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert ended.value.code == status
    assert re.fullmatch(said + "\n", capsys.readouterr().err)


def test_a_recipe_that_is_ended_leaves_no_process():
    words = [sys.executable, "-B", RECIPES, "fuzz", FIXTURES / "hang_alloc.so", "1"]
    mark = f"TEST_OF_RECIPES={os.getpid()}"
    process = subprocess.Popen(words, env={**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD), "TEST_OF_RECIPES": str(os.getpid())}, stderr=subprocess.PIPE)

    def others():
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes().split(b"\0") and (entry / "exe").resolve() == BUILD / "fuzz" / "strongroom-fuzz":
                    yield (entry / "cmdline").read_bytes()

    until = time.monotonic() + 30
    while not any(b"--counts" in line for line in others()) and time.monotonic() < until:
        time.sleep(0.05)
    assert any(b"--counts" in line for line in others())
    process.terminate()
    assert process.wait(timeout=10) == 143
    assert process.stderr.read() == b""
    assert [*others()] == []


def test_help_names_the_recipe_and_tells_the_exit_status():
    for name, program in (("fuzz", RECIPES), ("fuzz-afl", RECIPES), ("corpus-check", RECIPES), ("corpus-merge", RECIPES), ("corpus-minimise", RECIPES), ("triage", "triage.py"), ("fuzz-targets", "targets.py"), ("fuzz-lines", "lines.py")):
        words = [SOURCE / "fuzz" / program, *([name] if program == RECIPES else [])]
        done = subprocess.run([sys.executable, "-B", *words, "--help"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"usage: ./dev {name} ") and "Exit status: 0 " in done.stdout
        wrong = subprocess.run([sys.executable, "-B", *words, "a", "1", "--wrong"], capture_output=True, text=True)
        assert one_line(wrong) and wrong.stderr.startswith(f"./dev {name}"), wrong.stderr


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


def engine_program(engine):
    """An engine's program, made where it is not yet."""
    made = subprocess.run([SOURCE / "fuzz" / "engines", BUILD, engine], capture_output=True, text=True)
    if made.returncode != 0 and "libclang_rt.fuzzer" in made.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    return recipes.FUZZ / engine


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
def test_where_the_engine_ends_the_process_the_subject_is_not_said_to(crash, tmp_path):
    program = engine_program("libfuzzer")
    (tmp_path / "inputs").mkdir()
    subprocess.run([recipes.PROGRAM, "--assemble", tmp_path / "inputs", crash], check=True)
    for fixture, artifact, says_crash in (("hang_alloc", "timeout-", False), ("exit_alloc", "crash-", True)):
        environment = recipes.Variant(FIXTURES / f"{fixture}.so", fixture.replace("_", "-")).environment(ASAN_OPTIONS=recipes.ASAN_OPTIONS)
        command = [program, "-runs=0", "-timeout=1", f"-artifact_prefix={tmp_path}/", tmp_path / "inputs"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=60)
        assert f"Test unit written to {tmp_path}/{artifact}" in done.stderr, done.stderr[-800:]
        assert ('{"promise": "crash"' in done.stderr) == says_crash


@pytest.mark.skipif(not shutil.which("afl-clang-fast"), reason="AFL++ is not installed")
def test_what_afl_compiled_is_refused_where_its_locks_would_not_survive_the_server(tmp_path):
    program = engine_program("afl")
    path = test_unusual.locked_arena(tmp_path, "afl-clang-fast")
    done = subprocess.run([program], env=recipes.Variant(path, "mine").environment(__AFL_DEFER_FORKSRV="1"), capture_output=True, text=True)
    assert one_line(done) and "which do not survive a fork" in done.stderr, done.stderr


@pytest.mark.skipif(not (shutil.which("clang") and shutil.which("afl-showmap")), reason="needs both engines")
def test_every_committed_input_runs_well_on_good_subjects_under_both_engines(tmp_path):
    done = recipe("corpus-check", "correct", "ref-alloc", timeout=280)
    if done.returncode == 2 and "libclang_rt.fuzzer" in done.stderr:
        pytest.skip("clang's libFuzzer (libclang-rt-14-dev) is not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1].split()[0]) > 300
    bad = recipe("corpus-check", "wipe-sizeof-pointer")
    assert bad.returncode == 1
    assert "wipe-sizeof-pointer apart: " in bad.stdout
    assert re.search("^wipe-sizeof-pointer under afl: basic: Program killed by signal 6$", bad.stdout, re.MULTILINE)
    arena = recipe("corpus-check", test_unusual.locked_arena(tmp_path))  # its locks do not survive a fork
    assert arena.returncode == 0, arena.stdout + arena.stderr
    leaving = recipe("corpus-check", FIXTURES / "exit_alloc.so")
    assert leaving.returncode == 1
    for engine in ("libfuzzer", "afl"):
        assert f"wipe-sizeof-pointer under {engine}: " in bad.stdout
        assert f"exit-alloc under {engine}: " in leaving.stdout
        for path, found in (("defects/wipe-sizeof-pointer", True), ("controls/correct", False)):
            (variant,) = recipes.variants_of(BUILD / f"{path}.so")
            assert (targets.seconds_by_inputs(engine, variant) is not None) == found
    assert not [path for path in pathlib.Path("/proc").glob("[0-9]*/exe") if os.path.realpath(path) == str(BUILD / "fuzz" / "afl")]
