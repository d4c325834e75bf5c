#!/usr/bin/python3
"""What the recipes around fuzzing run: see `./dev fuzz --help`.

Names of allocators come from the command line only: a subject is a shared object, or the name of one in the build, or
of one of its variants. Where its sources are in the tree it is compiled for coverage too (fuzz/engines).
"""

import argparse
import collections
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import words  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("STRONGROOM_FUZZ_BUILD", ROOT / "build"))  # tests have one per compiler
FUZZ = BUILD / "fuzz"
CORPUS = ROOT / "corpus" / "allocator"
PROGRAM = FUZZ / "strongroom-fuzz"
FOLDERS = ("subjects", "controls", "defects")
MARK = "STRONGROOM_CAMPAIGN"  # in the environment of what is to be ended with all that it starts: its folder
INPUT_BYTES_MAX = 776  # a header and 96 records: as many as the mutator makes
MINIMISED_BYTES_MAX = 96 * 1024
HANG_SECONDS = 60  # a program takes milliseconds
USE_SECONDS = 20  # all committed programs together take one
ENGINE_SECONDS_MORE = 60  # than an engine was given: by then it has ended, or what it runs does not
PATIENCE_SECONDS = 2  # until one is told what is being waited for
PROGRESS_SECONDS = 60
CHECK_SECONDS = 300  # all committed programs under an engine's program
MERGE_SECONDS = 3600
AFL_START_SECONDS = 600  # to try what it begins with, of which no time is counted
FUZZ_SECONDS = 60
PR_SET_PDEATHSIG = 1
DEFAULT_SUBJECT = os.environ.get("STRONGROOM_DEFAULT_SUBJECT")  # of a recipe: names come from outside
# The engines' own handlers would take signals that are the subject's to cause and ours to judge.
ASAN_OPTIONS = "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:allocator_may_return_null=1"

AFL_SETTINGS = {
    "AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_TRY_AFFINITY": "1", "AFL_NO_UI": "1",
    "AFL_AUTORESUME": "1", "AFL_CUSTOM_MUTATOR_LIBRARY": str(FUZZ / "mutator.so"), "AFL_FAST_CAL": "1",
}


def complain(text):
    """Says why something could not be done, in a line; the status to end with."""
    print(f"fuzz: {text}", file=sys.stderr)
    return 2


def die(text):
    sys.exit(complain(text))


@contextlib.contextmanager
def patiently(text):
    """Says what is being done where it takes long."""
    timer = threading.Timer(PATIENCE_SECONDS, lambda: print(text, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Show:
    """How far something is: a line that is kept up to date on a terminal; elsewhere a line a minute, the first at once if asked."""

    def __init__(self, at_once=False):
        self.live = sys.stdout.isatty()
        self.last = -PROGRESS_SECONDS if at_once else time.monotonic()

    def status(self, *parts):
        """The first parts, as many as there is room for."""
        if self.live:
            print(f"\r\033[K{fitting(parts, shutil.get_terminal_size().columns - 1)}", end="", flush=True)
        elif time.monotonic() - self.last > PROGRESS_SECONDS:
            self.last = time.monotonic()
            print("; ".join(parts), flush=True)

    def doing(self, text):
        """What may take longer than one waits without a word."""
        if self.live:
            self.status(text)
        else:
            print(text, flush=True)

    def line(self, text):
        self.clear()
        print(text, flush=True)

    def clear(self):
        if self.live:
            print("\r\033[K", end="", flush=True)


def fitting(parts, columns):
    text = parts[0][:columns]
    for part in parts[1:]:
        if len(text) + len(part) + 2 > columns:
            break
        text += f"; {part}"
    return text


prctl = ctypes.CDLL(None).prctl  # looked up here: a child that has just been forked should not


def die_with_parent():
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def marked(folder):
    """The processes that bear this folder's mark."""
    wanted = f"{MARK}={folder}".encode()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                yield int(entry.name)
        except OSError:  # it ended, or is another's
            pass


def end_leftovers(folder):
    """Ends them, also those that began meanwhile. AFL++ leaves some behind, in sessions of their own, that end with nobody."""
    for _ in range(1000):
        if not (pids := [*marked(folder)]):
            break
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def run_bounded(command, environment, seconds, folder=None):
    """Like subprocess.run, all output kept; what takes longer is ended with all that it started, and its returncode is None."""
    with subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=seconds)
            return subprocess.CompletedProcess(command, process.returncode, out, err)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, None, "", "")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ending(done):
    """How it ended, in words."""
    if done.returncode is None:
        return "did not end"
    return f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with status {done.returncode}"


# ---- subjects ----


class Variant:
    """One variant of a subject: where its shared object is, what it is called, and the words of a command that mean it."""

    def __init__(self, path, name):
        self.path = path
        self.name = name
        self.words = [name]

    def engine_path(self, engine):
        """The object compiled for an engine where its sources are here, else the one that was built."""
        if self.path.parent.name == "subjects" and (ROOT / self.path.stem).is_dir():
            made = FUZZ / f"{self.path.stem}.{engine}.so"
            if made.exists():
                return made
        return self.path

    def environment(self, engine=None, **more):
        path = self.engine_path(engine) if engine else self.path
        return {**os.environ, "STRONGROOM_SUBJECT": str(path), "STRONGROOM_VARIANT": self.name, **more}


def asked_variants(path):
    """The names of the variants of a shared object; and why, where there are none."""
    with patiently(f"{path}: loading it"):
        done = run_bounded([PROGRAM, "--variants"], {**os.environ, "STRONGROOM_SUBJECT": str(path)}, HANG_SECONDS)
    said = done.stderr.strip().splitlines()
    return done.stdout.split(), said[-1] if said else f"the process that loaded it {ending(done)}"


def variants_of(path):
    return [Variant(path, name) for name in asked_variants(path)[0]]


def built_variants(folders=FOLDERS):
    return [variant for folder in folders for path in sorted((BUILD / folder).glob("*.so")) for variant in variants_of(path)]


def find_variants(subject):
    """The variants that a name or path stands for; never none."""
    if "/" in subject or subject.endswith(".so"):
        path = pathlib.Path(subject).resolve()
        names, why = asked_variants(path)
        found = [Variant(path, name) for name in names] or die(f"{subject}: is no shared object of a subject: {why}")
    else:
        paths = [path for folder in FOLDERS if (path := BUILD / folder / f"{subject}.so").exists()]
        found = [variant for path in paths for variant in variants_of(path)]
        found = found or [variant for variant in built_variants() if variant.name == subject]
    for variant in found:
        variant.words = [subject, *(["--variant", variant.name] if len(found) > 1 else [])]
    return found or die(f"{subject}: nothing in the build has that name, and it is no path of a shared object")


def chosen_variants(options):
    """Those of the subject that was named, or the one that was."""
    found = find_variants(options.subject)
    if not options.variant:
        return found
    names = ", ".join(variant.name for variant in found)
    return [variant for variant in found if variant.name == options.variant] or die(f"{options.subject}: has no variant {options.variant}, only {names}")


def triage_words(path, variant):
    """What to type for a file that breaks something of a variant."""
    return shlex.join(["./dev", "triage", str(path), *variant.words])


def build_engine(engine, variants):
    """Makes the engine's program, and the subjects that can be compiled for it."""
    stems = {variant.path.stem for variant in variants if (ROOT / variant.path.stem).is_dir()}
    done = subprocess.run([ROOT / "fuzz" / "engines", BUILD, engine, *(f"subject:{stem}" for stem in sorted(stems))])
    if done.returncode != 0:
        sys.exit(2)


def input_name(path):
    """What a committed input is called: up to the first dot, as the assembler does."""
    return path.name.partition(".")[0]


def inputs(folder):
    """All that is committed, as bytes, in folder; nothing else stays there where it is one of the build's."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = sorted(CORPUS.rglob("*.txt"))
    made = [path for path in sorted((CORPUS / "minimised").glob("*")) if path.suffix != ".txt" and not path.name.startswith(".")]
    names = [input_name(path) for path in texts] + [path.name for path in made]
    if twice := {name for name in names if names.count(name) > 1}:
        die(f"{CORPUS}: two inputs have the name {min(twice)}, up to the first dot: rename one")
    subprocess.run([PROGRAM, "--assemble", folder, *texts], check=True)
    for path in made:
        shutil.copy(path, folder)
    # Afterwards, one by one: an engine that began with this folder may still read it.
    if BUILD.resolve() in folder.resolve().parents:
        for path in folder.iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)
    return folder


def write_dictionary():
    """What the language of programs has, for the mutations that an engine makes by itself."""
    done = subprocess.run([PROGRAM, "--dictionary"], capture_output=True, text=True, check=True)
    (FUZZ / "dictionary").write_text(done.stdout)
    return FUZZ / "dictionary"


# ---- engines ----


class Run(typing.NamedTuple):
    """What became of an engine's run."""

    found: pathlib.Path | None = None  # the input that broke something
    doubt: str | None = None  # why nothing can be said, where nothing was found
    said: tuple[str, ...] = ()  # lines of libFuzzer's that matter
    stats: str = ""  # AFL++'s fuzzer_stats
    stopped: bool = False  # from the keyboard


def run_engine(command, environment, seconds, log, progress=lambda: ""):
    """Runs an engine for so long and a while; its status, None: it did not end. Nothing that it started is left, whatever happens.
    Progress is shown where there is any."""
    show, until = Show(), time.monotonic() + seconds + ENGINE_SECONDS_MORE
    end_leftovers(log.parent)
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment | {MARK: str(log.parent)}, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent, start_new_session=True)
    pidfd = os.pidfd_open(process.pid)
    try:
        while not select.select([pidfd], [], [], 1)[0] and time.monotonic() < until:
            if text := progress():
                show.status(text)
        return process.poll()
    finally:
        show.clear()
        os.close(pidfd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        end_leftovers(log.parent)


def tail(path, size_bytes=4096):
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - size_bytes))
        return file.read().decode(errors="replace")


def per_second(rate):
    return f" {rate:,.0f} in a second," if rate >= 1 else ""  # engines say 0 in the first one


def libfuzzer_numbers(text):
    """How far it is, of what it printed."""
    found = re.findall(r"^#(\d+)\s+\S+\s+(?:cov: (\d+) )?ft: (\d+) .*?exec/s: (\d+)", text, re.MULTILINE)
    if not found:
        return ""
    programs, edges, features, rate = found[-1]
    return f"{int(programs):,} programs,{per_second(float(rate))} {f'{edges} edges' if edges else f'{features} features'}"  # of a black box no edges


def afl_numbers(folder):
    """The same of AFL++'s plot_data."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        row = tail(folder / "plot_data").splitlines()[-1].split(", ")
        return f"{int(row[11]):,} programs,{per_second(float(row[10]))} {int(row[12])} edges"
    return ""


def said_by_libfuzzer(log):
    """The lines of its log that matter, and the last."""
    kept, last = [], ""
    with log.open(errors="replace") as file:
        for line in file:
            last = line.strip() or last
            if re.match(r"#\d+|Done |SUMMARY|fuzz: |\{\"promise\"", line) or "Test unit written to " in line:
                kept.append(line.strip())
    return (*kept, last or "it said nothing")


def run_libfuzzer(variant, seconds, seed=None, work=None, seeds=None, quiet=False):
    """Searches for so long, or until something is broken."""
    work = work or FUZZ / "work" / variant.name / "libfuzzer"
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    seeds = seeds or inputs(FUZZ / "seeds")
    command = [FUZZ / "libfuzzer", f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=4096", f"-dict={write_dictionary()}"]
    command += [f"-artifact_prefix={work}/", work / "corpus", seeds]
    if seed is not None:
        command.insert(1, f"-seed={seed}")
    log = work / "libfuzzer.log"
    status = run_engine(command, variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), seconds, log, lambda: "" if quiet else indented(libfuzzer_numbers(tail(log))))
    said = said_by_libfuzzer(log)
    if not quiet and (numbers := libfuzzer_numbers("\n".join(said))):
        print(indented(numbers), flush=True)
    for line in said:
        if "Test unit written to " in line and "slow-unit-" not in line:  # a machine that is busy finds nothing
            return judged_artifact(variant, pathlib.Path(line.split("written to ", 1)[1]), said)
    if status == 0 and any(line.startswith("Done ") for line in said):
        return Run(said=said)
    for folder in (work / "corpus", seeds):  # what ended the engine, too
        if broken := run_apart(variant, [folder], first=True):
            return Run(*broken, said=said)
    if status is None:
        return Run(said=said, doubt=libfuzzer_hung(said, log))
    die(f"{variant.name}: libFuzzer ended in the middle, with status {status}: {own_words(said)}")


def libfuzzer_hung(said, log):
    """Its own alarm ends what does not end, but where signals are blocked; its time it heeds once it has run what it began with."""
    if any(re.match(r"#\d+\s+INITED", line) for line in said):
        return (f"a program hangs, with signals blocked: the engine was to end {ENGINE_SECONDS_MORE} s ago. "
                f"Which program is not known; fuzz-afl ends such ones from outside, and keeps them ({log})")
    return f"{ENGINE_SECONDS_MORE} s after its time the engine still ran what it began with: a program hangs with signals blocked, or all are slow and need more seconds ({log})"


def judged_artifact(variant, path, said):
    """What libFuzzer keeps for the time or the memory that it took may come of all the programs before it."""
    if not path.name.startswith(("oom-", "timeout-")) or run_apart(variant, [path], STRONGROOM_FORK="always"):
        return Run(path, said=said)
    what = "it grew to 4 GiB" if path.name.startswith("oom-") else "a program did not end within 20 s"
    return Run(said=said, doubt=f"{what} after many programs in one process; alone the last of them is in order, and nothing was found until then ({path})")


def indented(text):
    return f"  {text}" if text else ""


def own_words(lines):
    """Why the target says that it could not go on; else the last that was said."""
    lines = [line for line in lines if line.strip()] or ["it said nothing"]
    return ([line for line in lines if line.startswith("fuzz: ")] or lines)[-1].removeprefix("fuzz: ").strip()


def run_apart(variant, paths, first=False, **more):
    """What programs break, each run in a process of its own: path -> a dict with `promise` and `text`; `crash` and `hang` are
    such, too. first: none is run after one that breaks something, for where one hangs, many do."""
    if not paths:
        return {}
    seen, said = {}, collections.deque(maxlen=1000)
    command = [PROGRAM, "--apart", *paths]
    with tempfile.TemporaryFile("w+", errors="replace") as out, subprocess.Popen(command, env=variant.environment(**more), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=die_with_parent) as process:
        try:
            for line in process.stderr:
                said.append(line)
                path, broken, rest = line.rpartition(': {"promise": ')
                if broken:
                    at = max(0, *(path.rfind(str(each)) for each in paths))  # a subject may print what is no line
                    with contextlib.suppress(ValueError):
                        seen[pathlib.Path(path[at:])] = json.loads('{"promise": ' + rest)
                if first and seen:
                    return seen
        finally:
            if first and seen:
                process.kill()  # what it runs dies with it
        process.wait()
        out.seek(0)
        if process.returncode != (1 if seen else 0) or not re.search(r"programs \d+\n\Z", out.read()):  # after what a subject prints
            die(f"{variant.name}: {own_words(said)}")
    return seen


def all_broken(variant, folder, **more):
    """The inputs in a folder that break something."""
    return list(run_apart(variant, [folder], **more))


def run_counts(variant, folder, seconds):
    """(operation, outcome) -> how often, of the programs in a folder, and how that ended; None where they did not come to their end."""
    done = run_bounded([PROGRAM, "--counts", folder], variant.environment(STRONGROOM_FORK="always"), seconds)
    rows = re.findall(r"^operation (\S+) (\S+) (\d+)$", done.stdout, re.MULTILINE)
    ended = re.search(r"programs \d+\n\Z", done.stdout)
    return ({(name, outcome): int(count) for name, outcome, count in rows} if ended else None), done


def counts(variant, folder, seconds):
    """The same; nothing where they do not come to their end."""
    return run_counts(variant, folder, seconds)[0] or {}


def demand_use(variant):
    """An allocator that never gives memory breaks nothing, but nothing was tested. False: the committed programs do not come
    to their end."""
    with patiently(f"{variant.name}: looking at the committed programs"):
        seen, done = run_counts(variant, inputs(FUZZ / "seeds"), USE_SECONDS)
    none = done.returncode == 2 and done.stderr.endswith(": it gives none\n")  # the target gave up
    if none or seen and not any(seen[name, "ok"] for name in ("alloc", "alloc-aligned", "crowd")):
        die(f"{variant.name}: gave no memory to any of the committed programs, so nothing can be tested")
    if done.returncode is None:
        print(f"{variant.name}: the committed programs do not end within {USE_SECONDS} s", flush=True)
    return seen is not None


def run_afl(variant, seconds, seed=None, work=None, seeds=None, quiet=False, until_crash=False):
    """The same with AFL++."""
    work = work or FUZZ / "work" / variant.name / "afl"
    work.mkdir(parents=True, exist_ok=True)
    settings = dict(AFL_SETTINGS)
    if until_crash:
        settings["AFL_BENCH_UNTIL_CRASH"] = "1"
    seeds = seeds or inputs(FUZZ / "seeds")
    with patiently(f"  looking for a committed input that breaks {variant.name}: the engine does not start on such ones"):
        broken = run_apart(variant, [seeds], first=True)
    if broken:
        if not quiet:
            print("  by a committed input, before the engine ran")
        return Run(*broken)
    command = ["afl-fuzz", "-V", str(seconds), "-m", "none", "-t", "2000", "-x", write_dictionary(), "-i", seeds, "-o", work]
    command += ["-s", str(seed)] if seed is not None else ["-c", FUZZ / "afl-cmplog"]
    stats, log, stopped = work / "default" / "fuzzer_stats", work / "afl.log", False
    stats.unlink(missing_ok=True)  # of a run before
    started = time.time() - 0.1  # files have the time of the last tick
    try:
        progress = lambda: "" if quiet else indented(afl_numbers(work / "default"))  # noqa: E731
        status = run_engine([*command, "--", FUZZ / "afl"], variant.environment("afl", **settings), seconds + AFL_START_SECONDS, log, progress)
    except KeyboardInterrupt:
        status, stopped = 0, True
    if not stopped and (status != 0 or not stats.exists()):
        die(f"{variant.name}: AFL++ {'did not end' if status is None else f'ended with status {status}'}: {afl_reason(log)}")
    text = stats.read_text() if stats.exists() else ""
    if not quiet and (numbers := afl_numbers(work / "default")):
        stability = re.search(r"^stability\s*: (\S+)", text, re.MULTILINE)
        print(indented(numbers) + (f", stability {stability[1]}" if stability else ""), flush=True)
    new = {name: sorted(path for path in (work / "default" / name).glob("id:*") if path.stat().st_mtime >= started) for name in ("crashes", "hangs")}
    crashes = [path for path in new["crashes"] if not was_killed(path)]
    if crashes or stopped:
        return Run(next(iter(crashes), None), stats=text, stopped=stopped)
    return judged_hangs(variant, [path for path in new["crashes"] if was_killed(path)] + new["hangs"], text)


def was_killed(path):
    """Does AFL++ call a crash what was killed from outside: by hand, or for want of memory? A program that kills itself does so
    alone, too."""
    return ",sig:09," in path.name


def afl_reason(log):
    """Why it did not run: its last word on that, without colours."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log.read_text(errors="replace")).splitlines()
    aborted = [line.partition("PROGRAM ABORT : ")[2] for line in lines if "PROGRAM ABORT : " in line]
    return f"{aborted[-1] if aborted else own_words(lines)} ({log})"


def judged_hangs(variant, paths, stats):
    """What did not end in its time, on a busy machine or after others, may well end."""
    with patiently(f"  looking at {len(paths)} programs that did not end in their time"):
        broken = run_apart(variant, paths, first=True, STRONGROOM_FORK="always")
    if broken or not paths:
        return Run(next(iter(broken), None), stats=stats)
    return Run(stats=stats, doubt=f"{counted(len(paths), 'program')} did not end within 2 s in a process with others, and in time alone: "
               f"either the subject hangs now and then, or the machine was busy ({paths[0].parent})")


def on_inputs(engine, folder, scratch):
    """The words that run an engine's own program on each input in a folder, without a search."""
    if engine == "libfuzzer":
        return [FUZZ / "libfuzzer", "-runs=0", f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={scratch}-", folder]
    return ["afl-showmap", "-m", "none", "-t", "2000", "-i", folder, "-o", scratch, "--", FUZZ / "afl"]


def described(variant, path, said):
    """What a find breaks; where only the engine saw it, in its own words."""
    with patiently("  looking at what it found, alone"):
        if seen := judge(variant, path) or judge_sanitized(variant, path):
            return f"{seen['promise']}: {seen['text']}"
    for line in reversed(said):
        if line.startswith('{"promise"'):
            with contextlib.suppress(ValueError, KeyError):
                seen = json.loads(line)
                return f"{seen['promise']}: {seen['text']} (only after other programs: alone it breaks nothing)"
    return f"{next((line for line in said if line.startswith('SUMMARY')), 'it ended the process')} (only after other programs: alone it breaks nothing)"


def print_find(variant, path, said=()):
    print(f"  broken: {path}\n  {described(variant, path, said)}\n  $ {triage_words(path, variant)}", flush=True)


def fuzz_variant(engine, variant, seconds, usable):
    """The status for one variant."""
    print(f"{variant.name}: {seconds} s of {'libFuzzer' if engine == 'libfuzzer' else 'AFL++'}", flush=True)
    if not usable:
        with patiently("  looking for the one that does not"):
            broken = run_apart(variant, [FUZZ / "seeds"], first=True, STRONGROOM_FORK="always")
        if broken:
            print("  by a committed input, before the engine ran")
            print_find(variant, *broken)
            return 1
    run = (run_libfuzzer if engine == "libfuzzer" else run_afl)(variant, seconds)
    if run.found:
        print_find(variant, run.found, run.said)
    if run.stopped:
        raise KeyboardInterrupt
    return 1 if run.found else complain(f"{variant.name}: {run.doubt}") if run.doubt else 0


def fuzz(options):
    if options.seconds is None and DEFAULT_SUBJECT and options.subject.isdigit():  # seconds alone
        options.seconds, options.subject = int(options.subject) or die("0 is no whole number of seconds from 1 up"), DEFAULT_SUBJECT
    engine = "libfuzzer" if options.command == "fuzz" else "afl"
    variants = chosen_variants(options)
    usable = [demand_use(variant) for variant in variants]
    build_engine(engine, variants)
    seconds = max(1, (options.seconds or FUZZ_SECONDS) // len(variants))
    statuses = [fuzz_variant(engine, variant, seconds, each) for variant, each in zip(variants, usable)]
    return 1 if 1 in statuses else max(statuses)


# ---- what one input breaks ----


def judge(variant, path):
    """What a program breaks on a variant: a dict; None: nothing. Programs may fork."""
    return run_apart(variant, [path], STRONGROOM_FORK="always").get(pathlib.Path(path))


def judge_sanitized(variant, path):
    """What only AddressSanitizer sees, like judge; None also where its engine was not built."""
    if not (FUZZ / "libfuzzer").exists():
        return None
    done = run_bounded([FUZZ / "libfuzzer", path], variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), HANG_SECONDS)
    for line in done.stderr.splitlines():
        if line.startswith("SUMMARY: AddressSanitizer"):
            return {"promise": "sanitizer", "text": line}
    return None


# ---- corpus ----


def merge(folders, variants):
    """The smallest set of inputs from folders that covers what all of them do, within the budget of bytes: name -> bytes; how many
    there were before the budget; and the names of those that the engine did not get past, with the reason."""
    build_engine("libfuzzer", variants)
    names = {hashlib.sha1(path.read_bytes()).hexdigest(): path.name for folder in folders for path in folder.rglob("*") if path.is_file()}
    best, left = {}, {}
    for variant in variants:
        print(f"{variant.name}: looking for what does the same as another", flush=True)
        with tempfile.TemporaryDirectory(dir=FUZZ) as name:
            work = pathlib.Path(name)
            (work / "kept").mkdir()
            (work / "broken").mkdir()
            command = [FUZZ / "libfuzzer", "-merge=1", "-use_counters=0", "-timeout=20", f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={work / 'broken'}/", work / "kept", *folders]
            status = run_engine(command, variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), MERGE_SECONDS, work / "log")
            if status != 0:
                die(f"{variant.name}: libFuzzer could not merge: {own_words((work / 'log').read_text(errors='replace').splitlines())}")
            ended = [path for path in (work / "broken").iterdir() if not path.name.startswith("slow-unit-")]
            seen = run_apart(variant, ended)
            for path in ended:
                why = "it breaks something" if path in seen or path.name.startswith("crash-") else "the engine did not get past it, though alone it is in order"
                left[names.get(path.name.partition("-")[2], path.name)] = why
            for path in (work / "kept").iterdir():
                data = path.read_bytes()
                best[hashlib.sha1(data).hexdigest()[:16]] = data
    small = sorted(best.items(), key=lambda item: (len(item[1]), item[0]))
    kept, total = {}, 0
    for name, data in small:
        if total + len(data) <= MINIMISED_BYTES_MAX:
            kept[name] = data
            total += len(data)
    return kept, len(best), left


def broken_by(inputs_by_name, variants):
    """The names of inputs with which a variant breaks something: those belong to `triage`, not here."""
    broken = set()
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        for key, data in inputs_by_name.items():
            (pathlib.Path(name) / key).write_bytes(data)
        for variant in variants:
            broken |= {path.name for path in all_broken(variant, name)}
    return sorted(broken)


def counted(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


def corpus_minimise(options):
    for folder in options.folders:
        if not os.path.isdir(folder):
            die(f"{folder}: is no folder")
    folders = [pathlib.Path(folder).resolve() for folder in options.folders]
    if not folders:
        folders = sorted(FUZZ.glob("work/*/libfuzzer/corpus")) + sorted(FUZZ.glob("work/*/afl/*/queue"))
    variants = find_variants(options.subject)
    seeds = inputs(FUZZ / "seeds")
    committed, others = (sum(path.is_file() for folder in each for path in folder.rglob("*")) for each in ([seeds], folders))
    print(f"{counted(committed, 'committed input')}, {others} in {counted(len(folders), 'folder')}", flush=True)
    kept, covering, left = merge([seeds, *folders], variants)
    print("trying each that is left alone", flush=True)
    for name in broken_by(kept, variants):
        left[name] = "it breaks something"
        del kept[name]
    for name, why in sorted(left.items()):
        print(f"left out, for {why}: {name}")
    target = CORPUS / "minimised"
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        if not path.name.startswith("."):
            path.unlink()
    for name, data in kept.items():
        (target / name).write_bytes(data)
    too_many = f" (of {covering}: the others break something or are too many bytes)" if covering > len(kept) else ""
    print(f"{counted(len(kept), 'input')} kept, that do what all do{too_many}, {sum(map(len, kept.values()))} bytes, in {os.path.relpath(target, ROOT)}")
    return 0


def failures_on(variant, engine, folder, count, scratch):
    """What an engine's own program says of the inputs in a folder that it does not bear; nothing if it ran all of them well."""
    done = run_bounded(on_inputs(engine, folder, scratch), variant.environment(engine, ASAN_OPTIONS=ASAN_OPTIONS), CHECK_SECONDS, scratch.parent)
    lines = (done.stdout + done.stderr).splitlines()
    failed = [line for line in lines if '{"promise"' in line] or [line for line in lines if line.startswith("SUMMARY")] or killed_by_afl(lines, folder)
    ran = re.findall({"libfuzzer": r"^Done (\d+) runs", "afl": r"Processed (\d+) input files"}[engine], "\n".join(lines), re.MULTILINE)
    if done.returncode is None:
        return [*failed, f"it did not end within {CHECK_SECONDS} s"]
    if done.returncode != 0 or not ran or int(ran[-1]) < count:
        failed = failed or [f"status {done.returncode}, not all were run: {lines[-1] if lines else 'it said nothing'}"]
    return failed


def killed_by_afl(lines, folder):
    """What AFL++ says of programs that ended the process, behind the output of each; it goes by name."""
    names, failed, at = sorted(path.name for path in folder.iterdir()), [], 0
    known = sum("-- Program output begins --" in line for line in lines) == len(names)
    for line in lines:
        if "-- Program output begins --" in line:
            at += 1
        elif line.startswith("+++ Program "):
            failed.append(f"{names[at - 1]}: {line.strip('+ ')}" if known and at else line)
    return failed


def corpus_check(options):
    """Every committed input on every variant, apart and under both engines."""
    variants = [variant for subject in options.subjects for variant in find_variants(subject)]
    failures = runs = 0
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        folder = inputs(pathlib.Path(name) / "inputs")
        count = len(list(folder.iterdir()))
        for engine in ("libfuzzer", "afl"):
            build_engine(engine, variants)
        for variant in variants:
            demand_use(variant)
            print(f"{variant.name}: {count} inputs, apart and under both engines", flush=True)
            failed = {"apart": [f"{path.name}: {seen['promise']}: {seen['text']}" for path, seen in run_apart(variant, [folder]).items()]}
            for engine in ("libfuzzer", "afl"):
                failed[f"under {engine}"] = failures_on(variant, engine, folder, count, pathlib.Path(name) / engine)
            runs += count * len(failed)
            for how, lines in failed.items():
                failures += len(lines)
                for line in lines:
                    print(f"{variant.name} {how}: {line}")
    print(f"{count} inputs, {runs} runs, 0 failed" if failures == 0 else f"{count} inputs, {failures} runs failed")
    return 1 if failures else 0


def whole_seconds(text):
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of seconds from 1 up")
    return int(text)


def add_subject(parser):
    """Not needed where a recipe has one by default."""
    parser.add_argument("subject", nargs="?" if DEFAULT_SUBJECT else None, default=DEFAULT_SUBJECT, help="a name, or the path of a shared object" + (f"; {DEFAULT_SUBJECT} if not given" if DEFAULT_SUBJECT else ""))


def add_variant(parser):
    parser.add_argument("--variant", metavar="NAME", help="which of the subject's variants, where it has several")


def unexpected(error):
    """What went wrong that is nothing of a subject's, in a line."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    if isinstance(error, subprocess.CalledProcessError):
        return f"{os.path.basename(error.cmd[0])} ended with status {error.returncode}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {os.path.basename(place.filename)}:{place.lineno}, which is a mistake of ours: {' '.join(str(error).split())} (STRONGROOM_TRACEBACK=1 shows more)"


def run_main(main):
    """Ends with main's status: 2 where anything went wrong that is no find, 130 where it was stopped; or as if killed by SIGPIPE,
    as programs are, where nobody reads what it says any more."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda which, _: sys.exit(128 + which))  # what was started is ended on the way
    try:
        status = main()
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        complain("stopped")
        status = 128 + signal.SIGINT
    except Exception as error:  # an uncaught one would end with 1, which says that a subject is broken
        if os.environ.get("STRONGROOM_TRACEBACK"):
            traceback.print_exc()
        status = complain(unexpected(error))
    sys.exit(status)


STATUS = "Exit status: 0 nothing is broken, 1 something is, 2 it could not run or nothing can be said, 130 it was stopped."
STATUS_CORPUS = "Exit status: 0 it was made, 2 it could not be, 130 it was stopped."


def main():
    parser = words.Parser(prog="./dev", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, about, status):
        made = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=status)
        made.set_defaults(run=run)
        return made

    for name, about in (("fuzz", "look for broken promises with libFuzzer and AddressSanitizer"), ("fuzz-afl", "look for broken promises with AFL++")):
        engine = command(name, fuzz, about, STATUS)
        add_subject(engine)
        engine.add_argument("seconds", nargs="?", type=whole_seconds, help=f"in all, over its variants; {FUZZ_SECONDS} if not given")
        add_variant(engine)
    small = command("corpus-minimise", corpus_minimise, "make the committed corpus anew, from it and what fuzzing left in the build", STATUS_CORPUS)
    add_subject(small)
    small.set_defaults(folders=[])
    others = command("corpus-merge", corpus_minimise, "make the committed corpus anew, from it and what is in folders", STATUS_CORPUS)
    others.add_argument("folders", nargs="+", metavar="folder", help="where inputs are")
    others.add_argument("--subject", required=not DEFAULT_SUBJECT, default=DEFAULT_SUBJECT, help="whose behaviour is covered")
    check = command("corpus-check", corpus_check, "run every committed input on every variant, apart and under both engines", STATUS)
    defaults = (DEFAULT_SUBJECT or "").split()
    check.add_argument("subjects", nargs="*" if defaults else "+", default=defaults, metavar="subject", help="a name, or the path of a shared object" + (f"; {' and '.join(defaults)} if not given" if defaults else ""))
    options, unknown = parser.parse_known_args()
    if unknown:
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options.run(options)


if __name__ == "__main__":
    run_main(main)
