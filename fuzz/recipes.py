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
import shlex
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
INPUT_BYTES_MAX = 776  # a header and 96 records: as many as the mutator makes
MINIMISED_BYTES_MAX = 96 * 1024
HANG_SECONDS = 60  # a program takes milliseconds
DEFAULT_SUBJECT = os.environ.get("STRONGROOM_DEFAULT_SUBJECT")  # of a recipe: names come from outside
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


def run_bounded(command, environment, seconds):
    """Like subprocess.run, all output kept; what takes longer is ended with all that it started, and its returncode is None."""
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True) as process:
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
    if done.returncode != (1 if seen else 0) or not re.search(r"programs \d+\n\Z", done.stdout):  # after what a subject prints
        said = done.stderr.strip().splitlines() or ["it could not be looked at"]
        why = [line for line in said if line.startswith("fuzz: ")] or said  # the target's own reason, if it had one
        die(f"{variant.name}: {why[-1].removeprefix('fuzz: ')}")
    return seen


def all_broken(variant, folder, **more):
    """The inputs in a folder that break something."""
    return list(run_apart(variant, [folder], **more))


def counts(variant, folder, seconds):
    """(operation, outcome) -> how often, of the programs in a folder; nothing where they do not come to their end."""
    done = run_bounded([PROGRAM, "--counts", folder], variant.environment(STRONGROOM_FORK="always"), seconds)
    rows = re.findall(r"^operation (\S+) (\S+) (\d+)$", done.stdout, re.MULTILINE)
    ended = re.search(r"programs \d+\n\Z", done.stdout)
    return {(name, outcome): int(count) for name, outcome, count in rows} if ended else {}


def demand_use(variant):
    """An allocator that never gives memory breaks nothing, but nothing was tested."""
    seen = counts(variant, inputs(FUZZ / "seeds"), HANG_SECONDS)
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
    return next((path for path in new["crashes"] + new["hangs"] if path in new["crashes"] or run_apart(variant, [path])), None)


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
            print(f"  broken: {found}\n  $ {triage_words(found, variant)}")
            status = 1
    return status


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
    for folder in options.folders:
        if not os.path.isdir(folder):
            die(f"{folder}: is no folder")
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
    done = subprocess.run(on_inputs(engine, folder, scratch), cwd=scratch.parent, env=variant.environment(engine, ASAN_OPTIONS=ASAN_OPTIONS), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
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


def add_subject(parser):
    """Not needed where a recipe has one by default."""
    parser.add_argument("subject", nargs="?" if DEFAULT_SUBJECT else None, default=DEFAULT_SUBJECT, help="a name, or the path of a shared object")


def run_main(main):
    """Ends with main's status; or as if killed by SIGPIPE, as programs are, where nobody reads what it says any more."""
    try:
        status = main()
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)


def main():
    parser = words.Parser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (("libfuzzer", "fuzz with libFuzzer and AddressSanitizer"), ("afl", "fuzz with AFL++")):
        engine = commands.add_parser(name, help=about, description=about)
        add_subject(engine)
        engine.add_argument("seconds", nargs="?", type=whole_seconds, default=60, help="in all, over its variants")
        engine.set_defaults(run=fuzz)
    small = commands.add_parser("corpus-minimise", help="make the committed corpus anew, from it and what fuzzing left in the build")
    add_subject(small)
    small.set_defaults(run=corpus_minimise, folders=[])
    others = commands.add_parser("corpus-merge", help="make the committed corpus anew, from it and what is in folders")
    others.add_argument("folders", nargs="+", metavar="folder", help="where inputs are")
    others.add_argument("--subject", required=not DEFAULT_SUBJECT, default=DEFAULT_SUBJECT, help="whose behaviour is covered")
    others.set_defaults(run=corpus_minimise)
    check = commands.add_parser("corpus-check", help="every committed input on every variant, under both engines")
    check.add_argument("subjects", nargs="+", metavar="subject")
    check.set_defaults(run=corpus_check)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    run_main(main)
