#!/usr/bin/python3
"""Both engines on all cores, for hours: campaign HOURS SUBJECT

Each variant of the subject gets its share of HOURS (which may be a fraction), in rounds. In a round AFL++ has half of the
cores (a main instance, the others each with a power schedule of its own) and libFuzzer the rest, in fork mode; AFL++ reads
what libFuzzer finds while it runs, libFuzzer what AFL++ found when its next round begins. Promises that were seen broken
are passed over from the next round on, so that others can be found behind them.

What is found lies in BUILD/fuzz/campaign/VARIANT/: corpus, afl, crashes, samples.csv, edges.svg, rate.svg; the summary is
summary.json beside them. Killed at any moment and started again with the same words, it goes on where it was.

Exit status: 0 nothing is broken, 1 something is, 2 it could not run.
"""

import argparse
import csv
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import recipes
from recipes import ASAN_OPTIONS, FUZZ, INPUT_BYTES_MAX, MARK, die, end_leftovers, judge_sanitized, run_apart

FOLDER = FUZZ / "campaign"
SCHEDULES = ("explore", "coe", "rare", "exploit", "lin", "quad", "seek")  # of the secondaries; the main one has `fast`
ROUND_SECONDS, ROUND_SECONDS_MIN, ROUNDS_MIN = 600, 60, 3
SAMPLE_SECONDS = 2
QUICK_INPUTS = 500  # are judged within a second or so: nobody need be told
RATE_SECONDS = 150  # how long what an engine said is of now
COUNT_SECONDS, COUNT_SECONDS_EACH = 60, 0.01  # for all inputs, once; a program takes a millisecond
TAIL_BYTES = 65536  # of a log: what its engine said last
REPORTS = "reports.txt"  # what the engines' programs say of their ends
NO_PROMISES = ("crash", "hang", "sanitizer", "not again")  # what is no promise's, among the violations
INTERRUPTED = 72  # libFuzzer's status when it was told to end
JOB_GAVE_UP = (70, 71, 77)  # of a job of it that found a hang, too much memory, something broken


# ---- what is kept ----


def write(path, text):
    """Whole or not at all, whenever the process is killed or the disk is full."""
    beside = path.with_name(path.name + ".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read(path, is_whole, instead):
    """What was kept; None where nothing was, or, with a line that says what is done instead, where it is not what was written."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if is_whole(kept):
            return kept
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    print(f"fuzz: {path}: is not what a campaign wrote: {instead}", file=sys.stderr)
    return None


def digest(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        die(f"{path}: {error.strerror}")


def identity(variant):
    """Of the shared object as it is now, and as it was built for the engines: where each is, and what is in it."""
    return {str(path): digest(path) for path in (variant.path, *map(variant.engine_path, ("libfuzzer", "afl")))}


class State:
    """How far a campaign has come: seconds used by each variant, programs run, and on which shared object."""

    def __init__(self, path, asked):
        self.path = path
        self.values = {"asked": asked, "campaign": f"{time.time_ns()}-{os.getpid()}", "seconds": {}, "executions": {}, "subjects": {}}
        kept = read(path, self.is_whole, "the campaign begins anew; what was found is kept")
        if kept and kept["asked"] == asked and not kept.get("done"):
            self.values = kept
        self.save()

    @staticmethod
    def is_whole(values):
        counts = [count for each in values["executions"].values() for count in (each["afl"], each["libfuzzer"])]
        return all(isinstance(count, (int, float)) for count in [*counts, *values["seconds"].values()]) and isinstance(values["campaign"], str) and "asked" in values and isinstance(values["subjects"], dict)

    def save(self):
        write(self.path, json.dumps(self.values, indent=1) + "\n")

    def used(self, name):
        return self.values["seconds"].get(name, 0)

    def add(self, name, seconds):
        self.values["seconds"][name] = round(self.used(name) + seconds, 1)
        self.save()

    def begin(self, name, subject):
        """From nothing, on this shared object."""
        self.values["seconds"].pop(name, None)
        self.values["executions"].pop(name, None)
        self.values["subjects"][name] = subject
        self.save()


# ---- violations ----


def passing_over(promises):
    """What is to be in the environment, so that what is behind these is seen."""
    return {"STRONGROOM_IGNORE": promises} if promises else {}


def fnv1a(data):
    """As the target names its inputs (fuzz/admit.h)."""
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 % 2**32
    return value


class Violations:
    """Inputs that break something, told apart by promise; files are judged once. All of one campaign on one shared object: see
    judge_again."""

    def __init__(self, variant, work, tell=lambda text: None):
        self.variant = variant
        self.path = work / "violations.json"
        self.folder = work / "crashes"
        self.reports = work / REPORTS
        self.tell = tell
        self.folder.mkdir(parents=True, exist_ok=True)
        self.found = read(self.path, self.is_whole, f"what is in {self.folder} is judged again") or self.nothing([path.name for path in sorted(self.folder.iterdir())])

    @staticmethod
    def nothing(again=(), of=None):
        """Of: which campaign, shared object and verifier; again: the files that once broke something, of any."""
        return {"of": of or {}, "again": list(again), "judged": [], "promises": {}, "given_up": {"count": 0, "untried": 0}}

    @staticmethod
    def is_whole(found):
        for entry in found["promises"].values():
            if not (isinstance(entry["count"], int) and isinstance(entry["bytes"], int) and isinstance(entry["file"], str) and isinstance(entry["text"], str)):
                return False
        return all(isinstance(found[name], list) for name in ("judged", "again")) and isinstance(found["of"], dict) and all(isinstance(found["given_up"][name], int) for name in ("count", "untried"))

    def take(self, paths):
        """Copies files to where they stay, under the name of their contents; those that were not judged yet."""
        new = []
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError:  # of an engine that is at work
                continue
            kept = self.folder / hashlib.sha1(data).hexdigest()[:16]
            if kept.name not in self.found["judged"] and kept not in new:
                kept.write_bytes(data)
                new.append(kept)
        return new

    def judge(self, paths, slow=(), of_another=False):
        """What files break; they are gone from where they were then. The slow ones took an engine too long, or too much memory:
        a busy machine does that, too, so what counts is what breaks something here, and one that never ends is enough. So it is
        with all where the engines had another shared object."""
        new = self.take(paths)
        if len(new) + len(slow) > QUICK_INPUTS or slow:
            self.tell(f"{self.variant.name}: judging {len(new) + len(slow)} finds")
        seen = run_apart(self.variant, new, STRONGROOM_FORK="always", **passing_over(self.to_ignore()))
        seen |= run_apart(self.variant, [path for path in new if path not in seen], STRONGROOM_FORK="always")
        for path in new:
            if what := seen.get(path) or judge_sanitized(self.variant, path) or (None if of_another else self.not_again(path)):
                self.note(path, what)
            else:
                path.unlink()
        for path in self.take(slow):
            self.judge_slow(path)
        write(self.path, json.dumps(self.found, indent=1) + "\n")
        for path in [*paths, *slow]:
            path.unlink(missing_ok=True)

    def not_again(self, path):
        """What an engine's program said of an input; AFL++ itself shows nobody."""
        reports = self.reports.read_text(errors="replace").splitlines() if self.reports.exists() else []
        said = [line.split(" ", 1)[1] for line in reports if line.startswith(f"{fnv1a(path.read_bytes()):08x} ")]
        return {"promise": "not again", "text": f"an engine's program ended of it{': ' + said[-1] if said else ' without a word'}; a run alone does not"}

    def judge_slow(self, path):
        """What an engine gave up on: those that end alone are counted, and the first is kept to be looked at."""
        given_up, slow_name = self.found["given_up"], f"slow {path.name}"  # it may yet be seen to break something
        if slow_name not in self.found["judged"]:
            self.found["judged"].append(slow_name)
            tried = "hang" not in self.found["promises"]
            if tried and (what := run_apart(self.variant, [path], STRONGROOM_FORK="always")):
                self.note(path, what[path])
                return
            given_up["count" if tried else "untried"] += 1
            if tried:
                given_up.setdefault("file", str(path))
        if given_up.get("file") != str(path):
            path.unlink()

    def judge_again(self, of=None):
        """What is known is forgotten but for the inputs, which are tried on the shared object as it is now. Nothing is written yet:
        judge does that."""
        paths = [self.folder / pathlib.Path(name).name for name in [*(entry["file"] for entry in self.found["promises"].values()), *self.found["again"]]]
        paths = [path for path in dict.fromkeys(paths) if path.exists()]
        self.found = self.nothing([path.name for path in paths], of)
        if paths:
            self.tell(f"{self.variant.name}: trying again {len(paths)} inputs that broke something before")
        seen = run_apart(self.variant, paths, STRONGROOM_FORK="always")
        for path in paths:
            if what := seen.get(path) or judge_sanitized(self.variant, path):
                self.note(path, what)
        # What lies behind these, as long as there is more.
        paths, promises = [path for path in paths if path in seen], None
        while promises != self.promises():
            promises = self.promises()
            paths = [path for path in paths if seen[path]["promise"] not in NO_PROMISES]
            seen |= (behind := run_apart(self.variant, paths, STRONGROOM_FORK="always", **passing_over(self.to_ignore())))
            for path, what in behind.items():
                self.note(path, what)
            paths = list(behind)

    def note(self, path, seen):
        if path.name not in self.found["judged"]:
            self.found["judged"].append(path.name)
        size_bytes = path.stat().st_size
        entry = self.found["promises"].setdefault(seen["promise"], {"count": 0, "bytes": size_bytes + 1})
        entry["count"] += 1
        if size_bytes < entry["bytes"]:
            entry.update(bytes=size_bytes, file=str(path), text=seen["text"])

    def promises(self):
        return sorted(self.found["promises"])

    def to_ignore(self):
        return ",".join(promise for promise in self.promises() if promise not in NO_PROMISES)


# ---- engines ----


class Round:
    """One stretch of both engines on one variant."""

    def __init__(self, variant, work, seconds, cores, violations):
        self.variant, self.work, self.seconds = variant, work, seconds
        self.processes, self.logs = {}, {}
        self.ignore = violations.to_ignore()
        self.began = time.time() - 0.1  # files have the time of the last tick
        (work / REPORTS).unlink(missing_ok=True)
        afl_cores = max(1, cores // 2) if shutil.which("afl-fuzz") else 0
        self.start_libfuzzer(max(1, cores - afl_cores))
        for number in range(afl_cores):
            self.start_afl(number)

    def start(self, name, command, environment):
        (self.work / "logs").mkdir(exist_ok=True)
        self.logs[name] = self.work / "logs" / f"{name}.log"
        with self.logs[name].open("wb") as log:
            more = {MARK: str(FOLDER), "TMPDIR": str(self.work / "tmp"), "STRONGROOM_REPORT": str(self.work / REPORTS), **passing_over(self.ignore)}
            self.processes[name] = subprocess.Popen(command, env=environment | more, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=recipes.die_with_parent, start_new_session=True)

    def start_libfuzzer(self, jobs):
        command = [FUZZ / "libfuzzer", f"-fork={jobs}", "-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1", f"-max_total_time={self.seconds}"]
        command += [f"-max_len={INPUT_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=4096", f"-dict={FUZZ / 'dictionary'}"]
        command += [f"-artifact_prefix={self.work}/artifacts/", self.work / "corpus"]
        self.start("libfuzzer", command, self.variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS))

    def start_afl(self, number):
        output = self.work / "afl"
        name = f"afl-{number}"
        settings = recipes.AFL_SETTINGS | {"AFL_SYNC_TIME": "1"}
        command = ["afl-fuzz", "-V", str(self.seconds), "-m", "none", "-t", "2000", "-x", FUZZ / "dictionary", "-o", output]
        command += ["-i", self.work / "corpus"]
        if number == 0:
            # Without -d it would be at its first inputs for hours, flipping each bit.
            command += ["-M", name, "-d", "-F", self.work / "corpus", "-c", FUZZ / "afl-cmplog"]
        else:
            command += ["-S", name, "-p", SCHEDULES[(number - 1) % len(SCHEDULES)]]
        self.start(name, [*command, "--", FUZZ / "afl"], self.variant.environment("afl", **settings))

    def running(self):
        return [name for name, process in self.processes.items() if process.poll() is None]

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def failed(self, name):
        """Whether an engine could not run, or was ended by another. libFuzzer's fork mode ends with the status of its last job, which
        may just have found something: well, if it says so itself, and has run programs."""
        status = self.processes[name].returncode
        if name == "libfuzzer" and status in JOB_GAVE_UP and f"INFO: exiting: {status} time:" in recipes.tail(self.logs[name], TAIL_BYTES):
            return self.libfuzzer_numbers()[0] == 0
        return status not in (0, INTERRUPTED, -signal.SIGTERM)

    def failures(self):
        """The names of engines that failed, each with their last words."""
        for name in filter(self.failed, self.processes):
            status = self.processes[name].returncode
            lines = self.logs[name].read_text(errors="replace").splitlines()
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            yield name, f"{name} {how}: {lines[-1] if lines else 'it said nothing'} ({self.logs[name]})"

    # What they say while they run.

    def libfuzzer_numbers(self):
        """Executions of this round, and edges (None: it has not said), from its last line."""
        found = re.findall(r"^#(\d+): cov: (\d+)", recipes.tail(self.logs["libfuzzer"], TAIL_BYTES), re.MULTILINE)
        return (int(found[-1][0]), int(found[-1][1])) if found else (0, None)

    def afl_numbers(self):
        """Executions of each instance, those of the rounds before included; and edges, of this round only (None: not yet)."""
        executions, edges = {}, []
        for stats in self.work.glob("afl/*/fuzzer_stats"):
            values = dict(re.findall(r"^(\w+)\s*: (\S+)$", stats.read_text(errors="replace"), re.MULTILINE))
            executions[stats.parent.name] = int(values.get("execs_done", 0))
            if "edges_found" in values and stats.stat().st_mtime >= self.began:
                edges.append(int(values["edges_found"]))
        return executions, max(edges, default=None)


# ---- figures over time ----


class Rate:
    """Programs in a second, from counts that engines tell now and then only (AFL++ once a minute): of each over the time between
    its last two; an engine that says no more has none."""

    def __init__(self, counts, now):
        self.began = now
        self.last = {name: (count, now) for name, count in counts.items()}
        self.rates = {}

    def of(self, counts, now):
        """The sum; None where no count has changed, for then nothing is known."""
        changed = False
        for name, count in counts.items():
            old, since = self.last.get(name, (0, self.began))
            if count != old and now > since:
                self.rates[name] = (count - old if count > old else count) / (now - since)
                self.last[name] = (count, now)
                changed = True
        known = [rate for name, rate in self.rates.items() if now - self.last[name][1] < RATE_SECONDS]
        return sum(known) if changed else None


class Samples:
    """A table of figures over time; what is not known is left empty."""

    COLUMNS = ("seconds", "afl_per_second", "libfuzzer_per_second", "afl_edges", "libfuzzer_edges")

    def __init__(self, path):
        self.path = path
        if not path.exists():
            self.add(self.COLUMNS)
        elif not path.read_bytes().endswith(b"\n"):  # killed while it wrote
            self.add([])

    def add(self, values):
        with self.path.open("a") as file:
            file.write(",".join("" if value is None else str(value) for value in values) + "\n")

    def max(self, column):
        with self.path.open() as file:
            return max((int(row[column]) for row in csv.DictReader(file) if (row[column] or "").isdigit()), default=0)


# ---- corpora ----


def take_in(corpus, paths):
    """Inputs under the name of their contents; how many were new."""
    new = 0
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError:  # of an engine that is at work
            continue
        kept = corpus / hashlib.sha1(data).hexdigest()
        if data and not kept.exists():
            beside = corpus.parent / "input.new"
            beside.write_bytes(data)
            beside.replace(kept)
            new += 1
    return new


def prepare(variant, work, violations):
    """Everything that is known goes into the one corpus, also what jobs of libFuzzer had when they were killed; what
    breaks something does not, for AFL++ would not start on it."""
    for name in ("corpus", "tmp", "artifacts"):
        (work / name).mkdir(parents=True, exist_ok=True)
    corpus = work / "corpus"
    take_in(corpus, recipes.inputs(FUZZ / "seeds").iterdir())
    take_in(corpus, (path for path in work.glob("tmp/*/C*/*") if path.is_file()))
    take_in(corpus, work.glob("afl/*/queue/id:*"))
    shutil.rmtree(work / "tmp")
    (work / "tmp").mkdir()
    judge_finds(work, violations)  # of a round that was killed
    count = sum(1 for _ in corpus.iterdir())
    if count > QUICK_INPUTS:
        violations.tell(f"{variant.name}: judging the {count} inputs of the corpus")
    violations.judge(recipes.all_broken(variant, corpus, **passing_over(violations.to_ignore())))


def finds(work, *kinds):
    return [path for kind in kinds for path in work.glob(kind)]


def judge_finds(work, violations, of_another=False):
    """What the engines say that breaks something."""
    crashes = finds(work, "artifacts/crash-*", "afl/*/crashes/id:*")
    slow = finds(work, "artifacts/timeout-*", "artifacts/oom-*", "afl/*/hangs/id:*") + [path for path in crashes if recipes.was_killed(path)]
    violations.judge([path for path in crashes if path not in slow], slow, of_another)


# ---- showing ----


def short(count):
    """Of three digits or so: a line is short."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.{1 if count < 100 * size else 0}f} {unit}"
    return str(count)


def told(executions, edges):
    """What AFL++ and libFuzzer have done so far, as parts of a line."""
    afl, libfuzzer = (("-" if known is None else known) for known in edges)
    return f"AFL++ {short(executions['afl'])}, libFuzzer {short(executions['libfuzzer'])} programs", f"{afl} and {libfuzzer} edges"


def broken_of(promises, columns=40):
    """What is broken, in a part of a line."""
    if not promises:
        return "nothing broken"
    shown = [promise for number, promise in enumerate(promises) if not number or len(", ".join(promises[: number + 1])) <= columns]
    return f"broken: {', '.join(shown)}" + (f" and {len(promises) - len(shown)} more" if len(shown) < len(promises) else "")


def clock(seconds):
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


PLOTTED = ("edges.svg", "rate.svg")
PLOTS = """set terminal svg size 900,480 background 'white'
set datafile separator ','
set xlabel 'hours'
set key bottom right
set output 'edges.svg'
set ylabel 'edges'
plot 'samples.csv' skip 1 using ($1/3600):4 with steps title 'AFL++', '' skip 1 using ($1/3600):5 with steps title 'libFuzzer'
set output 'rate.svg'
set ylabel 'programs in a second'
set key top right
plot 'samples.csv' skip 1 using ($1/3600):2 with lines title 'AFL++', '' skip 1 using ($1/3600):3 with lines title 'libFuzzer'
"""


def operations_reached(variant, corpus, show):
    """The names of the operations that ran, and of those that did not; None where the programs did not come to their end."""
    count = sum(1 for _ in corpus.iterdir())
    seconds = COUNT_SECONDS + COUNT_SECONDS_EACH * count
    show.doing(f"{variant.name}: counting the operations of {count} inputs, for at most {seconds:.0f} s")
    counts = recipes.counts(variant, corpus, seconds)
    reached = {name for (name, outcome), number in counts.items() if outcome != "skipped" and number}
    return (sorted(reached), sorted({name for name, _ in counts} - reached)) if counts else (None, None)


def summary_of(variant, work, state, violations, show):
    reached, missed = operations_reached(variant, work / "corpus", show)
    samples = Samples(work / "samples.csv")
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot"], input=PLOTS, text=True, cwd=work, stderr=subprocess.DEVNULL)
    seconds = state.used(variant.name)
    executions = state.values["executions"].get(variant.name, {"afl": 0, "libfuzzer": 0})
    return {
        "variant": variant.name, "seconds": seconds, "executions": executions,
        "per_second": {name: round(count / seconds) if seconds else 0 for name, count in executions.items()},
        "edges": {"afl": samples.max("afl_edges"), "libfuzzer": samples.max("libfuzzer_edges")},
        "inputs": sum(1 for _ in (work / "corpus").iterdir()), "operations": reached, "operations_not_reached": missed,
        "violations": violations.found["promises"], "given_up": violations.found["given_up"], "folder": str(work),
    }


def print_summary(show, variant, entry):
    show.line(f"{entry['variant']}: {clock(entry['seconds'])}")
    for engine, name in (("AFL++", "afl"), ("libFuzzer", "libfuzzer")):
        show.line(f"  {engine}: {entry['executions'][name]:,} programs, {entry['per_second'][name]:,} in a second, {entry['edges'][name]} edges")
    missed = f", not {', '.join(entry['operations_not_reached'])}" if entry["operations_not_reached"] else ""
    reached = "operations not counted, for the programs did not end in time" if entry["operations"] is None else f"{len(entry['operations'])} operations reached{missed}"
    plots = [str(path) for name in PLOTTED if (path := pathlib.Path(entry["folder"]) / name).exists()]
    show.line(f"  {'plots: ' + ', '.join(plots) if plots else 'no plots, for there is no gnuplot'}; figures: {pathlib.Path(entry['folder']) / 'samples.csv'}")
    show.line(f"  {entry['inputs']} inputs in the corpus, {reached}; {entry['folder']}")
    given_up = entry["given_up"]
    if given_up["count"]:
        show.line(f"  {given_up['count']} programs took too long (or too much memory) under an engine, and do not alone: a busy machine, or state kept between programs; the first is {given_up['file']}")
    if given_up["untried"]:
        show.line(f"  {given_up['untried']} more took an engine too long, and were not tried alone: one hang is known")
    for promise, found in sorted(entry["violations"].items()):
        show.line(f"  broken: {promise}, by {found['count']} input{'' if found['count'] == 1 else 's'}: {found['text']}\n    $ {recipes.triage_words(found['file'], variant)}")


def waiting(work):
    """What is yet to be judged: engines are at work until the round ends."""
    count = len(finds(work, "artifacts/crash-*", "afl/*/crashes/id:*"))
    return [f"{count} finds to be judged"] if count else []


# ---- the campaign ----


class Progress:
    """Of a round: what its engines say, added to the figures of the campaign."""

    def __init__(self, name, work, state, round_):
        self.name, self.state, self.round = name, state, round_
        self.samples = Samples(work / "samples.csv")
        self.executions = state.values["executions"].setdefault(name, {"afl": 0, "libfuzzer": 0})
        self.before = dict(self.executions)
        self.last = time.monotonic()
        self.afl_at_start = round_.afl_numbers()[0]  # AFL++ counts on from the round before, where there was one
        self.afl_rate, self.libfuzzer_rate = Rate(self.afl_at_start, self.last), Rate({}, self.last)

    def sample(self):
        """How far the engines are, as parts of a line."""
        now = time.monotonic()
        (afl, afl_edges), (libfuzzer, libfuzzer_edges) = self.round.afl_numbers(), self.round.libfuzzer_numbers()
        # One that was killed may count from nothing.
        self.afl_at_start = {name: start if (start := self.afl_at_start.get(name, 0)) <= count else 0 for name, count in afl.items()}
        done = sum(count - self.afl_at_start[name] for name, count in afl.items())
        self.executions.update(afl=self.before["afl"] + done, libfuzzer=self.before["libfuzzer"] + libfuzzer)
        self.state.add(self.name, now - self.last)
        rates = [self.afl_rate.of(afl, now), self.libfuzzer_rate.of({"": libfuzzer}, now)]
        self.last = now
        self.samples.add([round(self.state.used(self.name)), *(None if rate is None else round(rate) for rate in rates), afl_edges, libfuzzer_edges])
        return told(self.executions, (afl_edges, libfuzzer_edges))


def run_round(variant, work, seconds, cores, subject, state, violations, show, total):
    round_ = Round(variant, work, seconds, cores, violations)
    started = time.monotonic()
    try:
        progress = Progress(variant.name, work, state, round_)
        while round_.running() and time.monotonic() - started < seconds + 5:
            time.sleep(SAMPLE_SECONDS)
            parts = progress.sample()
            show.status(broken_of(violations.promises()), f"{variant.name} {clock(state.used(variant.name))} of {clock(total)}", *parts, *waiting(work))
        round_.stop()
        progress.sample()  # AFL++ writes its numbers once a minute, and when it ends
    finally:
        round_.stop()
        end_leftovers(FOLDER)  # AFL++ may leave the server of -c behind, which holds its folder
    demand_unchanged(variant, subject)
    judge_finds(work, violations)
    failures = dict(round_.failures())
    for text in failures.values():
        show.line(text)
    if len(failures) == len(round_.processes):
        die(f"no engine is left: see {work / 'logs'}")


def round_seconds(total, left):
    """How long the next round is: engines need a while to start, so none is short, and none is left over."""
    seconds = max(ROUND_SECONDS_MIN, min(ROUND_SECONDS, total / ROUNDS_MIN))
    return max(1, round(left if left - seconds < ROUND_SECONDS_MIN else seconds))


def demand_unchanged(variant, subject):
    """A find is judged on what it was found with, or not at all."""
    if identity(variant) != subject:
        die(f"{variant.path} changed while the campaign ran: start it again")


def begin(variant, work, subject, state, show):
    """The violations of a variant. What is in its folder is of this campaign and this shared object, or begins anew: but for the
    corpus, and inputs that broke something before, which are tried again."""
    name, campaign_id = variant.name, state.values["campaign"]
    violations = Violations(variant, work, show.doing)
    now = {"campaign": campaign_id, "subject": subject, "verifier": digest(recipes.PROGRAM)}
    before = violations.found["of"]
    of_another = subject not in (before.get("subject", subject), None) or state.values["subjects"].get(name, subject) != subject
    anew = of_another or before.get("campaign", campaign_id) != campaign_id or not state.used(name)
    if anew:
        if state.used(name):
            why = f"{variant.path.name} is another one than before" if of_another else f"another campaign was at work in {work}"
            show.line(f"{name}: {why}: begins anew, the corpus is kept")
        state.begin(name, subject)
        for file in ("samples.csv", *PLOTTED):
            (work / file).unlink(missing_ok=True)
    elif state.used(name):
        show.line(f"going on: {name} {clock(state.used(name))}")
    if before != now:
        violations.judge_again(now)
        judge_finds(work, violations, of_another or not before)
    if anew:
        take_in(corpus_of(work), work.glob("afl/*/queue/id:*"))
        shutil.rmtree(work / "afl", ignore_errors=True)  # its count of programs, and edges
    return violations


def corpus_of(work):
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    return work / "corpus"


def run_variant(variant, total, cores, subject, state, show):
    work = FOLDER / variant.name
    work.mkdir(parents=True, exist_ok=True)
    recipes.demand_use(variant)
    violations = begin(variant, work, subject, state, show)
    while state.used(variant.name) < total:
        demand_unchanged(variant, subject)
        prepare(variant, work, violations)
        seconds = round_seconds(total, total - state.used(variant.name))
        run_round(variant, work, seconds, cores, subject, state, violations, show, total)
    prepare(variant, work, violations)
    entry = summary_of(variant, work, state, violations, show)
    demand_unchanged(variant, subject)
    print_summary(show, variant, entry)
    return entry


def campaign(hours, subject, cores):
    variants = recipes.find_variants(subject)
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = (FOLDER / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        die(f"another campaign is at work in {FOLDER}")
    end_leftovers(FOLDER)
    for engine in ("libfuzzer", "afl") if shutil.which("afl-fuzz") else ("libfuzzer",):
        recipes.build_engine(engine, variants)
    recipes.write_dictionary()
    state = State(FOLDER / f"{re.sub(r'[^A-Za-z0-9._-]', '_', subject)}.state.json", [hours, subject])
    show = recipes.Show(at_once=True)
    subjects = [identity(variant) for variant in variants]  # all now: one campaign is on one shared object
    entries = [run_variant(variant, hours * 3600 / len(variants), cores, subject, state, show) for variant, subject in zip(variants, subjects)]
    for variant, subject in zip(variants, subjects):
        demand_unchanged(variant, subject)
    write(FOLDER / "summary.json", json.dumps(entries, indent=1) + "\n")
    show.line(f"summary: {FOLDER / 'summary.json'}")
    state.values["done"] = True
    state.save()
    return 1 if any(entry["violations"] for entry in entries) else 0


def positive(text):
    value = float(text)
    if not 0 < value < 1e5:
        raise ValueError(text)
    return value


def cores(text):
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of cores from 1 up")
    return int(text)


def main():
    parser = recipes.words.Parser(prog="./dev campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hours", type=positive, help="in all, over its variants; a fraction is one, too")
    recipes.add_subject(parser)
    parser.add_argument("--cores", type=cores, default=len(os.sched_getaffinity(0)), help="how many; all that there are")
    options = parser.parse_intermixed_args()  # the subject, too, may come after --cores
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return campaign(options.hours, options.subject, options.cores)
    except KeyboardInterrupt:
        print("\nfuzz: stopped; the same words go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    recipes.run_main(main)
