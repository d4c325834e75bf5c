#!/usr/bin/python3
"""Fuzzing against its bars; goes on where it was killed: targets SUBJECT

Speed under each engine and without the oracle, stability, lines that the committed inputs cover, and how fast each engine
finds each known-bad allocator that a fuzzer can find: with all committed inputs, and unaided, without those that break it
by themselves. Writes BUILD/targets/fuzz.json, and for the kill matrix
BUILD/detectors/libfuzzer.json and afl.json (of a sample, with `-sample` in their names).

Exit status: 0 measured, and each line and known-bad allocator is found, 1 not so, 2 it could not run, 130 it was stopped.
Speed is told, not judged.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import recipes
from lines import lines_covered
from recipes import ASAN_OPTIONS, BUILD, FUZZ, build_engine, find_variants, inputs, run_afl, run_libfuzzer, variants_of, words

import judged  # of tools/, which recipes made known

ENGINES = ("libfuzzer", "afl")
SAMPLE = {"seeds": 2, "every": 4, "seconds": 20, "unaided_every": 16}


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
        run = run_afl(variant, seconds, seed=1, work=pathlib.Path(name), quiet=True)
        if run.stopped:
            raise KeyboardInterrupt
        values = dict(line.split(":", 1) for line in run.stats.splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in values.items()}
        return int(values["execs_done"]) / (cpu_seconds() - before), float(values["stability"].rstrip("%"))


def row(name, measured, unit, bar, met, how):
    return {"name": name, "measured": measured, "unit": unit, "bar": bar, "met": met, "how": how}


class Kept:
    """What was measured, kept in a file after each step, so that a run that was killed goes on where it was: with the same
    sources only."""

    def __init__(self, path, fresh, of=""):
        self.path = path
        self.values = {} if fresh or not path.exists() else json.loads(path.read_text())
        if self.values.get("of") != of:
            self.values = {"of": of}

    def get(self, key, measure):
        if key not in self.values:
            self.values[key] = measure()
            print(f"{key}: {str(self.values[key])[:100]}", flush=True)
            beside = self.path.with_name(self.path.name + ".new")
            beside.write_text(json.dumps(self.values, indent=1))
            beside.replace(self.path)
        return self.values[key]


# ---- survival ----


def seconds_to_find(engine, variant, seconds, seed, unaided=False):
    """How long the engine takes to find any violation; `seconds`: it did not."""
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        folder = pathlib.Path(name)
        seeds = inputs(folder / "seeds")
        if unaided:
            for path in recipes.all_broken(variant, seeds):
                path.unlink()
        run = run_libfuzzer if engine == "libfuzzer" else run_afl
        more = {} if engine == "libfuzzer" else {"until_crash": True}
        start = time.monotonic()
        done = run(variant, seconds, seed=seed, work=folder / "work", seeds=seeds, quiet=True, **more)
        if done.stopped:
            raise KeyboardInterrupt
        return round(min(time.monotonic() - start, seconds), 2) if done.found else seconds


def seconds_by_inputs(engine, variant):
    """How long the engine's own program takes until a committed input breaks something, which is the same for every seed;
    None: none does."""
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        folder = pathlib.Path(name)
        files = inputs(folder / "seeds")
        command = recipes.on_inputs(engine, files, folder / "out")
        start = time.monotonic()
        environment = variant.environment(engine, ASAN_OPTIONS=ASAN_OPTIONS, **{recipes.MARK: str(folder)})
        with subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            try:
                # AFL++ keeps what its target says to itself.
                broken = any('{"promise"' in line or line.startswith("+++ Program killed by signal") for line in process.stdout)
            finally:
                recipes.end_leftovers(folder)
        return round(time.monotonic() - start, 2) if broken else None


class ByInputs(list):
    """The one time of what the committed inputs break by themselves."""


def survival(kept, engine, name, variant, options):
    """The times of one allocator under one engine, a seed each, `options.seconds` where it survived."""
    by_inputs = kept.get(f"{engine} {name}: the inputs", lambda: seconds_by_inputs(engine, variant))
    if by_inputs is not None:
        return ByInputs([min(by_inputs, options.seconds)])
    return [
        min(kept.get(f"{engine} {name} {seed} of {options.seconds} s", lambda: seconds_to_find(engine, variant, options.seconds, seed)), options.seconds)
        for seed in range(1, options.seeds + 1)
    ]


def unaided(kept, engine, names, options):
    """What the engine does by itself: one seed, without the inputs that break the allocator already."""
    return {
        name: kept.get(f"{engine} {name} unaided, of {options.seconds} s", lambda: seconds_to_find(engine, defect_variant(name), options.seconds, seed=1, unaided=True))
        for name in names[:: options.unaided_every]
    }


def mean(values):
    return sum(values) / len(values)


def half_interval(means):
    """Half of the interval at 95 % of a mean over allocators: seeds of one are no independent tries."""
    middle = mean(means)
    return 1.96 * (sum((x - middle) ** 2 for x in means) / max(1, len(means) - 1)) ** 0.5 / len(means) ** 0.5


def detector(times, good, options):
    """A column of the kill matrix. Caught: in nine of ten seeds."""
    return {
        "of": judged.digest(),
        "defects": {name: {"caught": is_found(each, options), "seconds": round(mean(each), 2), "survival": f"{mean(each):.1f} s of {options.seconds}, {'by the inputs' if isinstance(each, ByInputs) else f'{len(each)} seeds'}"} for name, each in times.items()},
        "good": {name: {"caught": min(each) < options.seconds} for name, each in good.items()},
    }


def is_found(times, options):
    return sum(t < options.seconds for t in times) >= 0.9 * len(times)


def found_rows(times, good, engine, options):
    means = [mean(each) for each in times.values()]
    by_inputs = sum(isinstance(each, ByInputs) for each in times.values())
    every = sorted(t for each in times.values() for t in (each * options.seeds if isinstance(each, ByInputs) else each))
    missed = [f"{name} ({sum(t < options.seconds for t in each)} of {len(each)})" for name, each in times.items() if not is_found(each, options)]
    found, alarms = len(times) - len(missed), [name for name, each in good.items() if min(each) < options.seconds]
    how = f"{len(times)} known-bad allocators, {options.seconds} s each by the clock; {by_inputs} by the committed inputs, which are run first and the same for every seed, {len(times) - by_inputs} with {options.seeds} seeds"
    return [
        row(f"{engine}: found in 9 of 10 seeds", found, "allocators", str(len(times)), not missed, how + (f"; not: {', '.join(missed)}" if missed else "")),
        row(f"{engine}: median time to find", every[len(every) // 2], "s", "< 5", every[len(every) // 2] < 5, how),
        row(f"{engine}: restricted mean survival time", f"{mean(means):.2f} +/- {half_interval(means):.2f}", "s", "reported", True, f"restricted to {options.seconds} s; {how}"),
        row(f"{engine}: false alarms", len(alarms), "good allocators", "0", not alarms, f"{len(good)} of them, {options.seconds} s each: {', '.join(alarms or good)}"),
    ]


def findable(options):
    index = json.loads((BUILD / "defects" / "index.json").read_text())
    return [defect["id"] for defect in index if defect["fuzz"] == "yes"][:: options.every]


def unaided_row(engine, times, options):
    found = [seconds for seconds in times.values() if seconds < options.seconds]
    missed = [name for name, seconds in times.items() if seconds >= options.seconds]
    how = f"one seed, {options.seconds} s each by the clock, without the inputs that break the allocator by themselves; mean {mean([*times.values()]):.1f} s"
    return row(f"{engine}: found unaided", f"{len(found)} of {len(times)}", "allocators", "reported", True, how + (f"; not: {', '.join(missed)}" if missed else ""))


def defect_variant(name):
    return variants_of(BUILD / "defects" / f"{name}.so")[0]


def measure_survival(kept, good_variants, options):
    rows = []
    (BUILD / "detectors").mkdir(exist_ok=True)
    for engine in ENGINES:
        times = {name: survival(kept, engine, name, defect_variant(name), options) for name in findable(options)}
        good = {variant.name: [survival(kept, engine, variant.name, variant, argparse.Namespace(**{**vars(options), "seeds": 1}))[0]] for variant in good_variants}
        name = engine if options.every == 1 else f"{engine}-sample"
        (BUILD / "detectors" / f"{name}.json").write_text(json.dumps(detector(times, good, options), indent=1) + "\n")
        rows += [*found_rows(times, good, engine, options), unaided_row(engine, unaided(kept, engine, [*times], options), options)]
    return rows


# ---- all of it ----


def measure_speed(kept, variants, options):
    packed = next((v for v in variants if v.name == options.rate_variant), variants[0])
    on = kept.get(f"rate libfuzzer {options.rate_seconds} s", lambda: rate_of_libfuzzer(packed, options.rate_seconds, "on"))
    off = kept.get(f"rate libfuzzer {options.rate_seconds} s without oracle", lambda: rate_of_libfuzzer(packed, options.rate_seconds, "off"))
    afl, stability = kept.get(f"rate afl {options.rate_seconds} s", lambda: rate_of_afl(packed, options.rate_seconds))
    how = f"{packed.name}, {options.rate_seconds} s from the committed inputs, per second of processor time"
    return [
        row("libFuzzer and ASan", round(on), "programs/s", "20000", on >= 20000, how + ", at most 32 operations"),
        row("with the oracle, of without", round(100 * on / off, 1), "%", "50", on >= 0.5 * off, how),
        row("AFL++", round(afl), "programs/s", "8000", afl >= 8000, how + ", afl-fuzz included"),
        row("AFL++ stability", stability, "%", "95", stability >= 95, how),
    ]


def measure_lines(kept, options):
    reached, can, of, missed, stale = kept.get("lines", lambda: lines_covered(options.subject))
    how = f"{reached} of {can}; {of - can} more cannot be reached, each with its reason in {options.subject}/tests/unfuzzed.txt"
    more = "".join(f"; {what}: {', '.join(which)}" for what, which in (("not reached", missed), ("stale", stale)) if which)
    return row("lines covered by the committed inputs", round(100 * reached / can, 1), "% of those that fuzzing can reach", ">= 95, the others each with a reason", not missed and not stale, how + more)


def targets(options):
    variants = find_variants(options.subject)
    for engine in ENGINES:
        build_engine(engine, variants)
    kept = Kept(FUZZ / "targets-kept.json", options.fresh, judged.commit())
    speed = measure_speed(kept, variants, options)
    found = [measure_lines(kept, options), *measure_survival(kept, variants + variants_of(BUILD / "controls" / "correct.so"), options)]
    rows = speed + found
    (BUILD / "targets").mkdir(exist_ok=True)
    (BUILD / "targets" / "fuzz.json").write_text(json.dumps(rows, indent=1) + "\n")
    for entry in rows:
        print(f"{'met ' if entry['met'] else 'NOT '} {entry['name']}: {entry['measured']} {entry['unit']} (bar {entry['bar']})")
    kept.path.unlink()
    return 0 if all(entry["met"] for entry in found) else 1


def main():
    parser = words.Parser(prog="./dev fuzz-targets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject")
    parser.add_argument("--rate-variant", help="whose programs are counted by the second; else the first")
    parser.add_argument("--rate-seconds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=60, help="for each known-bad allocator, engine and seed")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth known-bad allocator only")
    parser.add_argument("--unaided-every", type=int, default=1, metavar="N", help="take every Nth of these only where the inputs do not help")
    parser.add_argument("--sample", action="store_true", help="; ".join(f"--{name.replace('_', '-')} {value}" for name, value in SAMPLE.items()))
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    options = parser.parse_args()
    if options.sample:
        vars(options).update(SAMPLE)
    return targets(options)


if __name__ == "__main__":
    recipes.run_main(main)
