#!/usr/bin/python3
"""What the recipes around fuzzing run: see `recipes.py --help`.

Names of allocators come from the command line only: a subject is a shared object, or the name of one in the build, or
of one of its variants. Where its sources are in the tree it is compiled for coverage too (fuzz/engines).
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("STRONGROOM_FUZZ_BUILD", ROOT / "build"))  # tests have one per compiler
FUZZ = BUILD / "fuzz"
CORPUS = ROOT / "corpus" / "allocator"
PROGRAM = FUZZ / "strongroom-fuzz"
FOLDERS = ("subjects", "controls", "defects")
HEADER_BYTES = RECORD_BYTES = 8
INPUT_BYTES_MAX = 776  # a header and 96 records: as many as the mutator makes
MINIMISED_BYTES_MAX = 96 * 1024
# The engines' own handlers would take signals that are the subject's to cause and ours to judge.
ASAN_OPTIONS = "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:allocator_may_return_null=1"


def die(text):
    print(f"fuzz: {text}", file=sys.stderr)
    sys.exit(2)


# ---- subjects ----


class Variant:
    """One variant of a subject: where its shared object is, and what it is called."""

    def __init__(self, path, name):
        self.path = path
        self.name = name

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


def variants_of(path):
    done = subprocess.run([PROGRAM, "--variants"], env={**os.environ, "STRONGROOM_SUBJECT": str(path)}, capture_output=True, text=True)
    return [Variant(path, name) for name in done.stdout.split()]


def built_variants(folders=FOLDERS):
    return [variant for folder in folders for path in sorted((BUILD / folder).glob("*.so")) for variant in variants_of(path)]


def find_variants(subject):
    """The variants that a name or path stands for; never none."""
    if "/" in subject or subject.endswith(".so"):
        found = variants_of(pathlib.Path(subject).resolve())
    else:
        paths = [BUILD / folder / f"{subject}.so" for folder in FOLDERS]
        found = [variant for path in paths if path.exists() for variant in variants_of(path)]
        found = found or [variant for variant in built_variants() if variant.name == subject]
    return found or die(f"{subject}: is no shared object of a subject, and none in the build has that name")


def build_engine(engine, variants):
    """Makes the engine's program, and the subjects that can be compiled for it."""
    stems = {variant.path.stem for variant in variants if (ROOT / variant.path.stem).is_dir()}
    done = subprocess.run([ROOT / "fuzz" / "engines", BUILD, engine, *(f"subject:{stem}" for stem in sorted(stems))])
    if done.returncode != 0:
        sys.exit(2)


def inputs(folder):
    """All that is committed, as bytes, in folder."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = sorted(path for path in CORPUS.rglob("*.txt"))
    subprocess.run([PROGRAM, "--assemble", folder, *texts], check=True)
    for path in sorted((CORPUS / "minimised").glob("*")):
        if path.suffix != ".txt" and not path.name.startswith("."):
            shutil.copy(path, folder)
    return folder


# ---- engines ----


def run_libfuzzer(variant, seconds, seed=None, work=None, quiet=False):
    """Runs it; returns the input that broke something, or None, and what it printed last."""
    work = work or FUZZ / "work" / variant.name / "libfuzzer"
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    command = [FUZZ / "libfuzzer", f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=4096"]
    command += [f"-artifact_prefix={work}/", "-print_final_stats=1", work / "corpus", inputs(FUZZ / "seeds")]
    if seed is not None:
        command.insert(1, f"-seed={seed}")
    done = subprocess.run(command, env=variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), capture_output=True, text=True, errors="replace")
    lines = done.stderr.splitlines()
    for line in lines:
        if not quiet and ("DONE" in line or line.startswith(("{", "stat::", "SUMMARY"))):
            print(f"  {line}")
    for line in lines:
        if "Test unit written to " in line:
            return pathlib.Path(line.split("written to ", 1)[1]), done.stderr
    if done.returncode != 0:
        die(f"libFuzzer ended with status {done.returncode}: {lines[-1] if lines else 'it said nothing'}")
    return None, done.stderr


def first_broken(variant, folder):
    """AFL++ does not start on inputs that crash: those are looked for first. The first one, or None."""
    done = subprocess.run([PROGRAM, folder], env=variant.environment(), capture_output=True, text=True, errors="replace")
    for line in done.stderr.splitlines():
        if '{"promise"' in line:
            return pathlib.Path(line.split(": {", 1)[0])
    return None


def run_afl(variant, seconds, seed=None, work=None, quiet=False, until_crash=False):
    """The same for AFL++; what it printed is its fuzzer_stats."""
    work = work or FUZZ / "work" / variant.name / "afl"
    work.mkdir(parents=True, exist_ok=True)
    settings = {
        "AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_NO_AFFINITY": "1", "AFL_NO_UI": "1",
        "AFL_AUTORESUME": "1", "AFL_CUSTOM_MUTATOR_LIBRARY": str(FUZZ / "mutator.so"), "AFL_FAST_CAL": "1",
    }
    if until_crash:
        settings["AFL_BENCH_UNTIL_CRASH"] = "1"
    seeds = inputs(FUZZ / "seeds")
    if first := first_broken(variant, seeds):
        if not quiet:
            print("  by a committed input, before the engine ran")
        return first, ""
    command = ["afl-fuzz", "-V", str(seconds), "-m", "none", "-t", "2000", "-i", seeds, "-o", work]
    command += ["-s", str(seed)] if seed is not None else ["-c", FUZZ / "afl-cmplog"]
    done = subprocess.run([*command, "--", FUZZ / "afl"], env=variant.environment("afl", **settings), capture_output=True, text=True, errors="replace")
    stats = work / "default" / "fuzzer_stats"
    crashes = sorted((work / "default" / "crashes").glob("id:*")) if stats.exists() else []
    if not stats.exists():
        die(f"AFL++ could not start: {done.stdout[-600:]}")
    text = stats.read_text() if stats.exists() else ""
    for line in text.splitlines():
        if not quiet and line.split()[0] in ("execs_done", "execs_per_sec", "stability", "edges_found", "saved_crashes"):
            print(f"  {line}")
    return (crashes[0] if crashes else None), text


def fuzz(options):
    engine = "libfuzzer" if options.command == "libfuzzer" else "afl"
    variants = find_variants(options.subject)
    build_engine(engine, variants)
    seconds = max(1, options.seconds // len(variants))
    status = 0
    for variant in variants:
        print(f"{variant.name}: {seconds} s of {'libFuzzer' if engine == 'libfuzzer' else 'AFL++'}", flush=True)
        found, _ = (run_libfuzzer if engine == "libfuzzer" else run_afl)(variant, seconds)
        if found:
            print(f"  broken: {found}\n  $ just triage {found} {variant.name}")
            status = 1
    return status


# ---- triage ----


def judge(variant, path):
    """What a program breaks on a variant: a dict; None: nothing. Programs may fork."""
    done = subprocess.run([PROGRAM, path], env=variant.environment(STRONGROOM_FORK="always"), capture_output=True, text=True, errors="replace", timeout=60)
    for line in done.stderr.splitlines():
        if '{"promise"' in line:
            return json.loads(line[line.index("{") :])
    if done.returncode < 0:
        return {"promise": "crash", "operation": 0, "text": f"the process was killed by signal {-done.returncode}"}
    if done.returncode == 2:
        die(done.stderr.strip())
    return None


def records_of(path, folder):
    subprocess.run([PROGRAM, "--assemble", folder, path], check=True)
    (made,) = folder.iterdir()
    data = made.read_bytes()
    made.unlink()
    start = HEADER_BYTES if data[:3] == b"SRP" else 0
    return [data[i : i + RECORD_BYTES] for i in range(start, len(data) - RECORD_BYTES + 1, RECORD_BYTES)]


def minimise(records, breaks):
    """Takes out as many records as can go, in ever smaller stretches, while breaks() says yes."""
    step = max(1, len(records) // 2)
    while step:
        at = 0
        while at < len(records):
            fewer = records[:at] + records[at + step :]
            if breaks(fewer):
                records = fewer
            else:
                at += step
        step //= 2
    return records


def triage(options):
    if not os.access(options.file, os.R_OK) or not os.path.isfile(options.file):
        die(f"{options.file}: is no file that can be read")
    (variant, *others) = find_variants(options.subject)
    if others:
        die(f"{options.subject} has several variants: name one of {', '.join(v.name for v in [variant, *others])}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        candidate = folder.parent / f"{folder.name}.program"
        try:
            return triage_in(options, variant, folder, candidate)
        finally:
            candidate.unlink(missing_ok=True)


def triage_in(options, variant, folder, candidate):
    records = records_of(options.file, folder)

    def seen(some):
        candidate.write_bytes(b"SRP\x01\0\0\0\0" + b"".join(some))
        return judge(variant, candidate)

    first = seen(records)
    if first is None:
        print(f"{options.file}: {variant.name} breaks nothing with it")
        return 0
    records = minimise(records, lambda some: (seen(some) or {}).get("promise") == first["promise"])
    violation = seen(records)
    text = subprocess.run([PROGRAM, "--print", candidate], capture_output=True, text=True, check=True).stdout
    print(f"{variant.name} breaks {violation['promise']}: {violation['text']}\n\n{text}")
    path = pathlib.Path(f"{options.file}.c")
    code = subprocess.run([PROGRAM, "--c", candidate], env=variant.environment(), capture_output=True, text=True, check=True).stdout
    path.write_text(code)
    print(f"as C: {path}\n\nthe same program on others:")
    for other in built_variants(("controls", "subjects")):
        if other.name != variant.name:
            result = judge(other, candidate)
            print(f"  {other.name:20} {'breaks nothing' if result is None else result['promise'] + ': ' + result['text']}")
    if options.keep:
        kept = CORPUS / "regressions" / f"{options.keep}.txt"
        kept.parent.mkdir(exist_ok=True)
        head, _, rest = text.partition("\n")
        kept.write_text(f"{head}\n# Broke {violation['promise']} of {variant.name}.\n{rest}")
        print(f"\nkept: {kept.relative_to(ROOT)}")
    return 1


# ---- corpus ----


def merge(folders, subject):
    """The smallest set of inputs from folders that covers what all of them do, within the budget of bytes."""
    variants = find_variants(subject)
    build_engine("libfuzzer", variants)
    best = {}
    for variant in variants:
        with tempfile.TemporaryDirectory(dir=FUZZ) as name:
            command = [FUZZ / "libfuzzer", "-merge=1", "-use_counters=0", f"-max_len={INPUT_BYTES_MAX}", name, *folders]
            done = subprocess.run(command, env=variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), capture_output=True, text=True, errors="replace")
            if done.returncode != 0:
                die(f"libFuzzer could not merge: {done.stderr.splitlines()[-1]}")
            for path in pathlib.Path(name).iterdir():
                data = path.read_bytes()
                best[hashlib.sha1(data).hexdigest()[:16]] = data
    small = sorted(best.items(), key=lambda item: (len(item[1]), item[0]))
    kept, total = {}, 0
    for name, data in small:
        if total + len(data) <= MINIMISED_BYTES_MAX:
            kept[name] = data
            total += len(data)
    return kept, len(best)


def broken_by(inputs_by_name, variants):
    """The names of inputs with which a variant breaks something: those belong to `triage`, not here."""
    broken = set()
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        for key, data in inputs_by_name.items():
            (pathlib.Path(name) / key).write_bytes(data)
        for variant in variants:
            done = subprocess.run([PROGRAM, name], env=variant.environment(), capture_output=True, text=True, errors="replace")
            for line in done.stderr.splitlines():
                if '{"promise"' in line:
                    broken.add(pathlib.Path(line.split(": {", 1)[0]).name)
    return sorted(broken)


def corpus_minimise(options):
    folders = [inputs(FUZZ / "seeds"), *map(pathlib.Path, options.folders)]
    if not options.folders:
        folders += sorted(FUZZ.glob("work/*/libfuzzer/corpus")) + sorted(FUZZ.glob("work/*/afl/*/queue"))
    kept, of = merge(folders, options.subject)
    for name in broken_by(kept, find_variants(options.subject)):
        print(f"left out, for it breaks something: {name}")
        del kept[name]
    target = CORPUS / "minimised"
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        if not path.name.startswith("."):
            path.unlink()
    for name, data in kept.items():
        (target / name).write_bytes(data)
    print(f"{len(kept)} of {of} inputs kept, {sum(map(len, kept.values()))} bytes, in {target.relative_to(ROOT)}")
    return 0


def corpus_check(options):
    """Every committed input on every variant, under both engines."""
    variants = find_variants(options.subject)
    failures = runs = 0
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        files = sorted(inputs(pathlib.Path(name)).iterdir())
        for engine in ("libfuzzer", "afl"):
            build_engine(engine, variants)
            for variant in variants:
                if engine == "libfuzzer":
                    jobs = [([FUZZ / "libfuzzer", *files], None)]
                else:
                    jobs = [([FUZZ / "afl"], path) for path in files]
                for command, path in jobs:
                    stdin = path.open("rb") if path else subprocess.DEVNULL
                    done = subprocess.run(command, stdin=stdin, env=variant.environment(engine, **({"ASAN_OPTIONS": ASAN_OPTIONS} if engine == "libfuzzer" else {})), capture_output=True, text=True, errors="replace")
                    runs += 1 if path else len(files)
                    if done.returncode != 0:
                        failures += 1
                        lines = [line for line in done.stderr.splitlines() if line.startswith(("{", "Running"))]
                        print(f"{variant.name} under {engine}: {path or ''} {lines[-2:]}")
    print(f"{len(files)} inputs, {runs} runs, {failures} failed")
    return 1 if failures else 0


# ---- targets ----


def cpu_seconds():
    times = os.times()
    return times.children_user + times.children_system


def rate_of_libfuzzer(variant, seconds, oracle):
    """Programs per second of processor time, from the seeds, 32 operations at most."""
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        before = cpu_seconds()
        command = [FUZZ / "libfuzzer", f"-max_total_time={seconds}", "-max_len=264", "-seed=1", "-print_final_stats=1"]
        command += [f"-artifact_prefix={name}/", inputs(pathlib.Path(name) / "seeds")]
        environment = variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS, STRONGROOM_ORACLE=oracle)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
        count = int(done.stderr.split("number_of_executed_units:")[1].split()[0])
        return count / (cpu_seconds() - before)


def rate_of_afl(variant, seconds):
    """The same under AFL++ (afl-fuzz itself included), and the stability that it reports in percent."""
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        before = cpu_seconds()
        _, stats = run_afl(variant, seconds, seed=1, work=pathlib.Path(name), quiet=True)
        values = dict(line.split(":", 1) for line in stats.splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in values.items()}
        return int(values["execs_done"]) / (cpu_seconds() - before), float(values["stability"].rstrip("%"))


def seconds_to_find(engine, variant, seconds, seed, work):
    """How long the engine takes to find any violation, the committed inputs first; `seconds`: it did not."""
    start = time.monotonic()
    if first_broken(variant, inputs(FUZZ / "seeds")):
        return time.monotonic() - start
    if engine == "libfuzzer":
        found, _ = run_libfuzzer(variant, seconds, seed=seed, work=work, quiet=True)
    else:
        found, _ = run_afl(variant, seconds, seed=seed, work=work, quiet=True, until_crash=True)
    return min(time.monotonic() - start, seconds) if found else seconds


def lines_covered(subject):
    """Of the library of a subject whose sources are here: lines that the committed inputs reach, lines there are, the
    first that are not reached."""
    stem = find_variants(subject)[0].path.stem
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        folder = pathlib.Path(name)
        made = folder / "covered.so"
        sources = [f"subjects/{stem}.c", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / stem).glob("*.c"))]
        command = ["clang", "-std=c17", "-D_GNU_SOURCE", "-g", "-O1", "-fPIC", "-shared", "-fprofile-instr-generate", "-fcoverage-mapping", "-I."]
        subprocess.run([*command, *sources, "-o", made, "-lpthread"], cwd=ROOT, check=True)
        files = inputs(folder / "inputs")
        os.environ["LLVM_PROFILE_FILE"] = str(folder / "listing.profraw")  # it would else lie where we stand
        for variant in variants_of(made):
            environment = variant.environment(LLVM_PROFILE_FILE=str(folder / f"{variant.name}.profraw"), STRONGROOM_FORK="always")
            subprocess.run([PROGRAM, files], env=environment, capture_output=True)
        subprocess.run(["llvm-profdata-14", "merge", *folder.glob("*.profraw"), "-o", folder / "all"], check=True)
        done = subprocess.run(["llvm-cov-14", "export", "-format=lcov", f"-instr-profile={folder / 'all'}", made], capture_output=True, text=True, check=True)
    reached, missed, source = 0, [], ""
    for line in done.stdout.splitlines():
        if line.startswith("SF:"):
            source = line[3:]
        elif line.startswith("DA:") and f"/{stem}/" in source:
            number, count = line[3:].split(",")[:2]
            if int(count):
                reached += 1
            else:
                missed.append(f"{pathlib.Path(source).name}:{number}")
    return reached, reached + len(missed), missed


def row(name, measured, unit, bar, met, how):
    return {"name": name, "measured": measured, "unit": unit, "bar": bar, "met": met, "how": how}


class Kept:
    """What was measured, kept in a file after each step, so that a run that was killed goes on where it was."""

    def __init__(self, path, fresh):
        self.path = path
        self.values = {} if fresh or not path.exists() else json.loads(path.read_text())

    def get(self, key, measure):
        if key not in self.values:
            self.values[key] = measure()
            print(f"{key}: {str(self.values[key])[:100]}", flush=True)
            self.path.write_text(json.dumps(self.values, indent=1))
        return self.values[key]


def found_rows(kept, options, engine):
    """How many of the defects that a fuzzer can find this engine finds, and how fast."""
    defects = json.loads((BUILD / "defects" / "index.json").read_text())
    defects = [defect["id"] for defect in defects if defect["fuzz"] == "yes"][:: options.every]
    times, missed = [], []
    for defect in defects:
        (variant,) = variants_of(BUILD / "defects" / f"{defect}.so")
        for seed in range(1, options.seeds + 1):
            with tempfile.TemporaryDirectory(dir=FUZZ) as name:
                work = pathlib.Path(name) / "work"
                taken = kept.get(f"{engine} {defect} {seed}", lambda: round(seconds_to_find(engine, variant, options.seconds, seed, work), 2))
            times.append(taken)
            if taken >= options.seconds:
                missed.append(f"{defect}, seed {seed}")
    how = f"{len(defects)} defects x {options.seeds} seeds, {options.seconds} s each, the committed inputs first"
    found = len(times) - len(missed)
    median = sorted(times)[len(times) // 2]
    mean = sum(times) / len(times)
    spread = 1.96 * (sum((t - mean) ** 2 for t in times) / max(1, len(times) - 1)) ** 0.5 / len(times) ** 0.5
    return [
        row(f"{engine}: found", round(100 * found / len(times), 1), "% of runs", 90, found >= 0.9 * len(times), how + (f"; missed: {'; '.join(missed)}" if missed else "")),
        row(f"{engine}: median time to find", round(median, 2), "s", 5, median < 5, how),
        row(f"{engine}: restricted mean survival time", f"{mean:.2f} +/- {spread:.2f}", "s", "reported", True, how),
    ]


def targets(options):
    variants = find_variants(options.subject)
    for engine in ("libfuzzer", "afl"):
        build_engine(engine, variants)
    kept = Kept(FUZZ / "targets-kept.json", options.fresh)
    packed = next((v for v in variants if v.name == options.rate_variant), variants[0])
    on = kept.get("rate libfuzzer", lambda: rate_of_libfuzzer(packed, options.rate_seconds, "on"))
    off = kept.get("rate libfuzzer without oracle", lambda: rate_of_libfuzzer(packed, options.rate_seconds, "off"))
    afl, stability = kept.get("rate afl", lambda: rate_of_afl(packed, options.rate_seconds))
    reached, lines, missed = kept.get("lines", lambda: lines_covered(options.subject))
    how = f"{packed.name}, {options.rate_seconds} s from the committed inputs, per second of processor time"
    rows = [
        row("libFuzzer and ASan", round(on), "programs/s", 20000, on >= 20000, how + ", at most 32 operations"),
        row("with the oracle, of without", round(100 * on / off, 1), "%", 50, on >= 0.5 * off, how),
        row("AFL++", round(afl), "programs/s", 8000, afl >= 8000, how + ", afl-fuzz included"),
        row("AFL++ stability", stability, "%", 95, stability >= 95, how),
        row("lines covered by the committed inputs", round(100 * reached / lines, 1), "% of all lines", 95, reached >= 0.95 * lines, f"{reached} of {lines}; not reached: {' '.join(missed)}"),
    ]
    rows += found_rows(kept, options, "libfuzzer") + found_rows(kept, options, "afl")
    (BUILD / "targets").mkdir(exist_ok=True)
    (BUILD / "targets" / "fuzz.json").write_text(json.dumps(rows, indent=1) + "\n")
    for entry in rows:
        print(f"{'met ' if entry['met'] else 'NOT '} {entry['name']}: {entry['measured']} {entry['unit']} (bar {entry['bar']})")
    kept.path.unlink()
    return 0


def whole_seconds(text):
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of seconds from 1 up")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (("libfuzzer", "fuzz with libFuzzer and AddressSanitizer"), ("afl", "fuzz with AFL++")):
        engine = commands.add_parser(name, help=about, description=about)
        engine.add_argument("subject", help="a name, or the path of a shared object")
        engine.add_argument("seconds", nargs="?", type=whole_seconds, default=60, help="in all, over its variants")
        engine.set_defaults(run=fuzz)
    one = commands.add_parser("triage", help="from a crash to a small C program")
    one.add_argument("file")
    one.add_argument("subject", help="the variant that it breaks")
    one.add_argument("--keep", metavar="NAME", help="add the small program to the regressions")
    one.set_defaults(run=triage)
    small = commands.add_parser("corpus-minimise", help="make the committed corpus anew, from it and what was found")
    small.add_argument("subject")
    small.add_argument("folders", nargs="*", help="where inputs are; none: what fuzzing left in the build")
    small.set_defaults(run=corpus_minimise)
    check = commands.add_parser("corpus-check", help="every committed input on every variant, under both engines")
    check.add_argument("subject")
    check.set_defaults(run=corpus_check)
    bars = commands.add_parser("targets", help="measure against the bars; goes on where it was killed")
    bars.add_argument("subject")
    bars.add_argument("--rate-variant", help="whose programs are counted by the second; else the first")
    bars.add_argument("--rate-seconds", type=int, default=30)
    bars.add_argument("--seconds", type=int, default=60, help="for each defect")
    bars.add_argument("--seeds", type=int, default=10)
    bars.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth defect only")
    bars.add_argument("--fresh", action="store_true", help="forget what was measured before")
    bars.set_defaults(run=targets)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
