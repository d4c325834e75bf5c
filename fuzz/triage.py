#!/usr/bin/python3
"""From a crash to a small C program: triage FILE SUBJECT|PATH.so [--variant NAME] [--keep NAME]

Takes out every operation that is not needed, names the broken promise, prints the program, writes it as C beside the file,
compiles and runs that, and runs the program on every other subject of the build.

Exit status: 0 nothing is broken, 1 something is, 2 it could not run or nothing can be said, 130 it was stopped.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import recipes
from recipes import ASAN_OPTIONS, FUZZ, HANG_SECONDS, MARK, PROGRAM, ROOT, chosen_variants, complain, die, end_leftovers, input_name, judge, judge_sanitized, patiently, run_bounded

HEADER_BYTES = RECORD_BYTES = 8
OPERATIONS_MAX = 127  # of a program that are looked at (ADMIT_OPERATIONS_MAX of admit.h, less one)
HANG_SECONDS_SHORT = 5  # while a hang is made smaller
NO_OPERATION = (None, "crash", "hang", "sanitizer")  # what comes without the operation that it happened in


def judge_hang(variant, path):
    """The same where only a hang matters, with less patience."""
    done = run_bounded([PROGRAM, "--apart", path], variant.environment(STRONGROOM_FORK="always", **{MARK: str(path)}), HANG_SECONDS_SHORT)
    end_leftovers(path)  # what runs apart is in a group of its own
    return {"promise": "hang", "text": f"it ran for more than {HANG_SECONDS_SHORT} s"} if done.returncode is None else None


def records_of(path, folder):
    """The operations of a program in either form, as bytes."""
    copy, made = folder / "program.txt", folder / "program"  # under a name that the assembler can make one of
    shutil.copyfile(path, copy)
    done = subprocess.run([PROGRAM, "--assemble", folder, copy], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        print(done.stderr.strip().replace(str(copy), str(path)), file=sys.stderr)
        sys.exit(2)
    data = made.read_bytes()
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


class Triage:
    """A program that breaks something on a variant, being made small; folder is for what is needed meanwhile."""

    def __init__(self, variant, folder, records):
        self.variant, self.folder, self.records = variant, folder, records
        self.candidate = folder / "candidate"
        self.judge = judge
        with patiently("looking at it, for 20 s at most"):
            self.violation = self.seen(records)
        if self.violation is None and (violation := judge_sanitized(variant, self.candidate)):
            self.judge, self.violation = judge_sanitized, violation

    def seen(self, records):
        self.candidate.write_bytes(b"SRP\x01\0\0\0\0" + b"".join(records))
        return self.judge(self.variant, self.candidate)

    def breaks(self, records):
        return (self.seen(records) or {}).get("promise") == self.violation["promise"]

    def decides(self, records):
        """Whether it breaks that by an operation of its own, not by the target's teardown, which begins with `heal` too."""
        seen = self.seen([*records, *self.assembled("heal")]) or {}
        known = seen.get("promise") not in NO_OPERATION
        return known and seen.get("promise") == self.violation["promise"] and seen["operation"] < len(records)

    def assembled(self, *lines):
        path = self.folder / "lines"
        path.write_text("\n".join(["strongroom program 1", *lines, ""]))
        return records_of(path, self.folder)

    def with_teardown(self, records):
        """With what the target does at the end of a program as operations of its own: one piece of it, then all."""
        frees = [f"free {slot}" for slot in sorted(set(re.findall(r" (s\d+)", self.converted(records, "--print"))))]
        rest = ["heal", "crowd-free last"]
        for end in (["close"], frees, rest[1:], [*rest, "close"], [*rest, *frees]):
            yield [*records, *self.assembled(*end)]

    def minimise(self):
        """The smallest programs that break it, those that do so by themselves first."""
        if self.violation["promise"] == "hang":
            self.judge = judge_hang
        small = minimise(self.records, self.breaks)
        if not self.breaks(small):  # it does not break it every time
            return [self.records]
        if self.decides(small):
            return [small]
        longer = [records for records in self.with_teardown(small) if self.breaks(records)]
        for records in longer:
            if self.decides(records):
                return [minimise(records, self.decides), small]
        return [small, *longer]  # no one said which operation it was

    def converted(self, records, form):
        self.candidate.write_bytes(b"SRP\x01\0\0\0\0" + b"".join(records))
        return subprocess.run([PROGRAM, form, self.candidate], env=self.variant.environment(), capture_output=True, text=True, check=True).stdout


def shows(code, folder, sanitized):
    """Whether a C program says by itself that something is wrong, and its exit status; None where that cannot be tried."""
    if not shutil.which("cc"):
        return None, None
    (folder / "program.c").write_text(code)
    flags = ["-fsanitize=address"] if sanitized else []
    made = run_bounded(["cc", "-w", "-rdynamic", *flags, "-o", folder / "run", folder / "program.c", "-ldl", "-lpthread"], os.environ, HANG_SECONDS)
    if made.returncode != 0:
        return None, None
    done = run_bounded([folder / "run"], {**os.environ, "ASAN_OPTIONS": ASAN_OPTIONS}, HANG_SECONDS_SHORT)
    if sanitized:
        return "SUMMARY: AddressSanitizer" in done.stderr, done.returncode
    return done.returncode != 2 and ("BAD" in done.stdout or "the program ran to its end" not in done.stdout), done.returncode


def kept_path(name):
    """Where a regression of that name goes; refused if an input has it."""
    if any(input_name(path) == name for path in recipes.CORPUS.rglob("*")):
        die(f"--keep {name}: an input has that name: give another")
    return recipes.CORPUS / "regressions" / f"{name}.txt"


def kept_already(records, folder):
    """The committed input that is this program, by its operations; None: none is."""
    for path in sorted(recipes.CORPUS.rglob("*.txt")):
        if records_of(path, folder) == records:
            return path
    return None


def claims_by_name():
    """What the subjects of the build claim; nothing where that is not known."""
    try:
        done = run_bounded([recipes.BUILD / "strongroom", "list", "--json", "-"], os.environ, HANG_SECONDS)
        return {subject["name"]: subject["claims"] for subject in json.loads(done.stdout)["subjects"]}
    except (OSError, ValueError, KeyError):  # an image may have the fuzzer without the verifier
        return {}


def print_others(variant, program, promise):
    """What the same program does on all others of the build, the good ones and the real ones."""
    print("\nthe same program on others:", flush=True)
    others = [other for other in recipes.built_variants(("controls", "subjects")) if other.name != variant.name]
    width = max((len(other.name) for other in others), default=0)
    claims = {} if promise in NO_OPERATION else claims_by_name()
    for other in others:
        result = judge(other, program)
        nothing = "breaks nothing" + ("" if promise in claims.get(other.name, [promise]) else f"; does not claim {promise}")
        print(f"  {other.name:{width}} {nothing if result is None else result['promise'] + ': ' + result['text']}", flush=True)


def triage(options):
    if not os.access(options.file, os.R_OK) or not os.path.isfile(options.file):
        die(f"{options.file}: is no file that can be read")
    kept = kept_path(options.keep) if options.keep else None
    found = chosen_variants(options)
    if len(found) > 1:
        die(f"{options.subject}: has several variants: add --variant and one of {', '.join(variant.name for variant in found)}")
    with tempfile.TemporaryDirectory() as name:
        return triage_in(options, found[0], pathlib.Path(name), kept)


def nothing_broken(options, variant, count):
    without = "" if (FUZZ / "libfuzzer").exists() else "; without AddressSanitizer, which ./dev fuzz builds"
    if count > OPERATIONS_MAX:
        return complain(f"{options.file}: of its {count} operations no more than {OPERATIONS_MAX} are looked at, and {variant.name} breaks nothing with those: take some out{without}")
    print(f"{options.file}: {variant.name} breaks nothing with it{without}")
    return 0


def triage_in(options, variant, folder, kept):
    case = Triage(variant, folder, records_of(options.file, folder))
    if case.violation is None:
        return nothing_broken(options, variant, len(case.records))
    sanitized = case.judge is judge_sanitized
    each = f", {HANG_SECONDS_SHORT} s for each try that hangs too" if case.violation["promise"] == "hang" else ""
    with patiently(f"it breaks {case.violation['promise']}: making it smaller{each}"):
        programs = case.minimise()
    shown = ended = None
    with patiently("compiling it as C, to see what it says by itself"):
        for records in programs:
            shown, ended = shows(case.converted(records, "--c"), folder, sanitized)
            if shown:
                break
        else:
            records = programs[0]
    if case.violation["promise"] == "hang":
        case.judge = judge  # with all its patience again
    with patiently("looking at what is left, for 20 s at most"):
        violation = case.seen(records)
    if not violation:
        records, violation = case.records, case.violation
    text, code = case.converted(records, "--print"), case.converted(records, "--c")
    path = pathlib.Path(f"{options.file}.c")
    # All is written before a word is said: who reads it may go away.
    path.write_text(code)
    already = kept and kept_already(records, folder)
    if kept and not already:
        head, _, rest = text.partition("\n")
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(f"{head}\n# Broke {violation['promise']} of {variant.name}.\n{rest}")
    print(f"{variant.name} breaks {violation['promise']}: {violation['text']}\n\n{text}\nas C: {path}")
    if not shown:
        print("it was not tried: there is no cc that compiles it" if shown is None else f"the C program {'runs, but does not notice it' if ended == 0 else 'says nothing of it'} ({'it did not end' if ended is None else f'exit {ended}'})")
    elif sanitized:
        print("it shows that when compiled with -fsanitize=address")
    if kept and not already:
        print(f"kept: {os.path.relpath(kept, ROOT)}")
    case.converted(records, "--print")  # makes it the candidate again
    print_others(variant, case.candidate, violation["promise"])
    return complain(f"--keep {options.keep}: not kept, for the same program is there: {os.path.relpath(already, ROOT)}") if already else 1


def regression_name(text):
    if not re.fullmatch("[a-z0-9-]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a name of a-z, 0-9 and - only")
    return text


def main():
    parser = recipes.words.Parser(prog="./dev triage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a program, as bytes or text")
    parser.add_argument("subject", help="what it breaks: the path of a shared object, or the name of a subject or variant of the build")
    recipes.add_variant(parser)
    parser.add_argument("--keep", metavar="NAME", type=regression_name, help="add the small program to the regressions")
    return triage(parser.parse_args())


if __name__ == "__main__":
    recipes.run_main(main)
