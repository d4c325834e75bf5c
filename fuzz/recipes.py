#!/usr/bin/python3
"""What the recipes around fuzzing run: see `recipes.py --help`.

Names of allocators come from the command line only: a subject is a shared object, or the name of one in the build, or
of one of its variants. Where its sources are in the tree it is compiled for coverage too (fuzz/engines).
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import words  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("STRONGROOM_FUZZ_BUILD", ROOT / "build"))  # tests have one per compiler
FUZZ = BUILD / "fuzz"
CORPUS = ROOT / "corpus" / "allocator"
PROGRAM = FUZZ / "strongroom-fuzz"
FOLDERS = ("subjects", "controls", "defects")
MARK = "STRONGROOM_CAMPAIGN"  # in the environment of what is to be ended with all that it starts: its folder
HEADER_BYTES = RECORD_BYTES = 8
INPUT_BYTES_MAX = 776  # a header and 96 records: as many as the mutator makes
MINIMISED_BYTES_MAX = 96 * 1024
# The engines' own handlers would take signals that are the subject's to cause and ours to judge.
ASAN_OPTIONS = "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:allocator_may_return_null=1"

AFL_SETTINGS = {
    "AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_TRY_AFFINITY": "1", "AFL_NO_UI": "1",
    "AFL_AUTORESUME": "1", "AFL_CUSTOM_MUTATOR_LIBRARY": str(FUZZ / "mutator.so"), "AFL_FAST_CAL": "1",
}


def die(text):
    print(f"fuzz: {text}", file=sys.stderr)
    sys.exit(2)


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


def write_dictionary():
    """What the language of programs has, for the mutations that an engine makes by itself."""
    done = subprocess.run([PROGRAM, "--dictionary"], capture_output=True, text=True, check=True)
    (FUZZ / "dictionary").write_text(done.stdout)
    return FUZZ / "dictionary"


# ---- engines ----


def run_libfuzzer(variant, seconds, seed=None, work=None, seeds=None, quiet=False):
    """Runs it; returns the input that broke something, or None, and what it printed last."""
    work = work or FUZZ / "work" / variant.name / "libfuzzer"
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    command = [FUZZ / "libfuzzer", f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=20", "-rss_limit_mb=4096", f"-dict={write_dictionary()}"]
    command += [f"-artifact_prefix={work}/", "-print_final_stats=1", work / "corpus", seeds or inputs(FUZZ / "seeds")]
    if seed is not None:
        command.insert(1, f"-seed={seed}")
    done = subprocess.run(command, env=variant.environment("libfuzzer", ASAN_OPTIONS=ASAN_OPTIONS), capture_output=True, text=True, errors="replace")
    lines = done.stderr.splitlines()
    for line in lines:
        if not quiet and ("DONE" in line or line.startswith(("{", "stat::", "SUMMARY"))):
            print(f"  {line}")
    for line in lines:
        if "Test unit written to " in line and "slow-unit-" not in line:  # a machine that is busy finds nothing
            return pathlib.Path(line.split("written to ", 1)[1]), done.stderr
    if done.returncode != 0 or not any(line.startswith("Done ") for line in lines):
        if broken := all_broken(variant, work / "corpus") or all_broken(variant, seeds or FUZZ / "seeds"):
            return broken[0], done.stderr  # such as ended the engine, too
        die(f"libFuzzer ended in the middle, with status {done.returncode}: {lines[-1] if lines else 'it said nothing'}")
    return None, done.stderr


def run_apart(variant, paths, **more):
    """What programs break, each run in a process of its own: path -> a dict with `promise` and `text`; `crash` and `hang` are
    such, too."""
    if not paths:
        return {}
    done = subprocess.run([PROGRAM, "--apart", *paths], env=variant.environment(**more), capture_output=True, text=True, errors="replace")
    seen = {}
    for line in done.stderr.splitlines():
        path, brace, rest = line.partition(": {")
        if brace and '"promise"' in rest:
            seen[pathlib.Path(path)] = json.loads("{" + rest)
    if done.returncode != (1 if seen else 0) or not done.stdout.startswith("programs "):
        die(f"{variant.name}: {(done.stderr.strip().splitlines() or ['it could not be looked at'])[-1]}")
    return seen


def all_broken(variant, folder, **more):
    """The inputs in a folder that break something."""
    return list(run_apart(variant, [folder], **more))


def counts(variant, folder):
    """(operation, outcome) -> how often, of the programs in a folder; nothing where they do not come to their end."""
    done = subprocess.run([PROGRAM, "--counts", folder], env=variant.environment(STRONGROOM_FORK="always"), capture_output=True, text=True, errors="replace")
    rows = [line.split() for line in done.stdout.splitlines()]
    ended = rows and rows[-1][0] == "programs"
    return {(row[1], row[2]): int(row[3]) for row in rows if row[0] == "operation"} if ended else {}


def demand_use(variant):
    """An allocator that never gives memory breaks nothing, but nothing was tested."""
    seen = counts(variant, inputs(FUZZ / "seeds"))
    if seen and not any(seen[name, "ok"] for name in ("alloc", "alloc-aligned", "crowd")):
        die(f"{variant.name}: gave no memory to any of the committed programs, so nothing can be tested")


def run_afl(variant, seconds, seed=None, work=None, seeds=None, quiet=False, until_crash=False):
    """The same for AFL++; what it printed is its fuzzer_stats."""
    work = work or FUZZ / "work" / variant.name / "afl"
    work.mkdir(parents=True, exist_ok=True)
    settings = dict(AFL_SETTINGS)
    if until_crash:
        settings["AFL_BENCH_UNTIL_CRASH"] = "1"
    seeds = seeds or inputs(FUZZ / "seeds")
    if broken := all_broken(variant, seeds):  # AFL++ does not start on inputs that crash
        if not quiet:
            print("  by a committed input, before the engine ran")
        return broken[0], ""
    command = ["afl-fuzz", "-V", str(seconds), "-m", "none", "-t", "2000", "-x", write_dictionary(), "-i", seeds, "-o", work]
    command += ["-s", str(seed)] if seed is not None else ["-c", FUZZ / "afl-cmplog"]
    stats = work / "default" / "fuzzer_stats"
    stats.unlink(missing_ok=True)  # of a run before
    started = time.time() - 0.1  # files have the time of the last tick
    end_leftovers(work)
    try:
        environment = variant.environment("afl", **settings, **{MARK: str(work)})
        done = subprocess.run([*command, "--", FUZZ / "afl"], env=environment, capture_output=True, text=True, errors="replace")
    finally:
        end_leftovers(work)
    if done.returncode != 0 or not stats.exists():
        die(f"AFL++ ended with status {done.returncode}: {done.stdout[-600:]}")
    text = stats.read_text()
    for line in text.splitlines():
        if not quiet and line.split()[0] in ("execs_done", "execs_per_sec", "stability", "edges_found", "saved_crashes"):
            print(f"  {line}")
    return first_broken(variant, work / "default", started), text


def first_broken(variant, folder, since):
    """The first crash that AFL++ found since then; or of what did not end in its time, the first that does not end at all."""
    new = {name: sorted(path for path in (folder / name).glob("id:*") if path.stat().st_mtime >= since) for name in ("crashes", "hangs")}
    return next((path for path in new["crashes"]), None) or next((path for path in new["hangs"] if run_apart(variant, [path])), None)


def on_inputs(engine, folder, scratch):
    """The words that run an engine's own program on each input in a folder, without a search."""
    if engine == "libfuzzer":
        return [FUZZ / "libfuzzer", "-runs=0", f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={scratch}-", folder]
    return ["afl-showmap", "-m", "none", "-t", "2000", "-i", folder, "-o", scratch, "--", FUZZ / "afl"]


def fuzz(options):
    engine = "libfuzzer" if options.command == "libfuzzer" else "afl"
    variants = find_variants(options.subject)
    for variant in variants:
        demand_use(variant)
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
            broken |= {path.name for path in all_broken(variant, name)}
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


def failures_on(variant, engine, folder, count, scratch):
    """What an engine's own program says of the inputs in a folder that it does not bear; nothing if it ran all of them well."""
    done = subprocess.run(on_inputs(engine, folder, scratch), env=variant.environment(engine, ASAN_OPTIONS=ASAN_OPTIONS), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    lines = (done.stdout + done.stderr).splitlines()
    failed = [line for line in lines if '{"promise"' in line] or [line for line in lines if line.startswith(("+++ Program ", "SUMMARY"))]
    ran = re.findall({"libfuzzer": r"^Done (\d+) runs", "afl": r"Processed (\d+) input files"}[engine], "\n".join(lines), re.MULTILINE)
    if done.returncode != 0 or not ran or int(ran[-1]) < count:
        failed = failed or [f"status {done.returncode}, not all were run: {lines[-1] if lines else 'it said nothing'}"]
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


def main():
    parser = words.Parser(description=__doc__.splitlines()[0])
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
    check.add_argument("subjects", nargs="+", metavar="subject")
    check.set_defaults(run=corpus_check)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
