#!/usr/bin/python3
"""Which lines of an allocator the committed inputs reach: lines.py SUBJECT

For a subject whose library is in this tree (subjects/X.c over X/). What fuzzing cannot reach is listed with its reason in
X/tests/unfuzzed.txt, a line each: `file | function | source line, or * for all of them | reason`. The function is - for what
stands before the first one of a file; a line whose text is there more than once ends in @ and which of them is meant. Every
other line has to be reached, or it fails; so does an entry that is reached, no longer there, or means more than one line.
Lines with a brace alone are not counted.

Exit status: 0 every line is reached or listed, 1 not so, 2 it could not run, 130 it was stopped.
"""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile

import recipes
from recipes import FUZZ, PROGRAM, ROOT, inputs, variants_of

# Counters are kept in the file itself (%c): a child that was forked and ends by _exit counts too.
COMPILE = ["clang", "-std=c17", "-D_GNU_SOURCE", "-g", "-O1", "-fPIC", "-shared", "-I.", "-fprofile-instr-generate", "-fcoverage-mapping",
           "-mllvm", "-runtime-counter-relocation"]
PROFDATA, COV = "llvm-profdata-14", "llvm-cov-14"


class Lines:
    """counts: (file, line) -> how often it ran; text and function: of each of these."""

    def __init__(self, lcov, folder):
        self.counts, self.text, self.function = {}, {}, {}
        starts, file, texts = collections.defaultdict(dict), None, []
        for line in lcov.splitlines():
            kind, _, rest = line.partition(":")
            if kind == "SF":
                path = pathlib.Path(rest)
                file = path.name if path.parent == folder else None
                texts = path.read_text(encoding="utf-8").splitlines() if file else []
            elif file and kind == "FN":
                number, name = rest.split(",")
                starts[file][int(number)] = name.rpartition(":")[2]
            elif file and kind == "DA":
                number, count = map(int, rest.split(",")[:2])
                text = texts[number - 1].strip()
                if text.strip("{}") != "":
                    self.counts[file, number], self.text[file, number] = count, text
        for file, number in self.counts:
            before = [start for start in starts[file] if start <= number]
            self.function[file, number] = starts[file][max(before)] if before else "-"

    def missed(self):
        return {place for place, count in self.counts.items() if count == 0}

    def of(self, entry):
        """What an entry of the list means."""
        file, function, what = entry
        inside = sorted(place for place in self.counts if (place[0], self.function[place]) == (file, function))
        text, at, which = what.rpartition(" @")
        if not at or not which.isdigit():
            return {place for place in inside if what in ("*", self.text[place])}
        alike = [place for place in inside if self.text[place] == text]
        return set(alike[int(which) - 1 : int(which)])


def measure(stem):
    """Runs every committed input on every variant; programs may fork."""
    with tempfile.TemporaryDirectory(dir=FUZZ) as name:
        folder = pathlib.Path(name)
        made = folder / "covered.so"
        sources = [f"subjects/{stem}.c", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / stem).glob("*.c"))]
        subprocess.run([*COMPILE, *sources, "-o", made, "-lpthread"], cwd=ROOT, check=True)
        files = inputs(folder / "inputs")
        os.environ["LLVM_PROFILE_FILE"] = str(folder / "listing.profraw")  # it would else lie where we stand
        profiles = []
        for variant in variants_of(made):
            profiles.append(folder / f"{variant.name}.profraw")
            environment = variant.environment(LLVM_PROFILE_FILE=f"{profiles[-1]}%c", STRONGROOM_FORK="always")
            done = subprocess.run([PROGRAM, files], env=environment, capture_output=True, text=True, errors="replace")
            if done.returncode != 0:
                recipes.die(f"{variant.name}: a committed input ended with status {done.returncode}: {done.stderr[-300:]}")
        subprocess.run([PROFDATA, "merge", *profiles, "-o", folder / "all"], check=True)
        done = subprocess.run([COV, "export", "-format=lcov", f"-instr-profile={folder / 'all'}", made], capture_output=True, text=True, check=True)
    return Lines(done.stdout, ROOT / stem)


def read_list(path):
    """(file, function, source line or *) -> reason"""
    entries = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
        if line and not line.startswith("#"):
            *entry, reason = line.split(" | ")
            if len(entry) != 3:
                recipes.die(f"{path.name}:{number}: is not `file | function | source line, or * | reason`")
            entries[tuple(entry)] = reason
    return entries


def judge(lines, entries):
    """Places that can be reached, those of them that were not, entries that are stale; each sorted."""
    missed, excused, stale = lines.missed(), set(), []
    for entry in entries:
        places = lines.of(entry)
        if places and places <= missed and (entry[2] == "*" or len(places) == 1):
            excused |= places
        else:
            stale.append(entry)
    return sorted(lines.counts.keys() - excused), sorted(missed - excused), sorted(stale)


def lines_covered(subject):
    """Lines reached, how many can be, how many there are, places that are not reached, entries of the list that are stale."""
    stem = recipes.find_variants(subject)[0].path.stem
    lines = measure(stem)
    can, missed, stale = judge(lines, read_list(ROOT / stem / "tests" / "unfuzzed.txt"))
    return len(can) - len(missed), len(can), len(lines.counts), [f"{file}:{number}: {lines.function[file, number]}: {lines.text[file, number]}" for file, number in missed], [" | ".join(entry) for entry in stale]


def main():
    parser = recipes.words.Parser(prog="./dev fuzz-lines", description=__doc__, formatter_class=recipes.argparse.RawDescriptionHelpFormatter)
    recipes.add_subject(parser)
    subject = parser.parse_args().subject
    if not (ROOT / recipes.find_variants(subject)[0].path.stem).is_dir():
        recipes.die(f"{subject}: the sources of its library are not here")
    reached, can, of, missed, stale = lines_covered(subject)
    for place in missed:
        print(f"not reached: {place}")
    for entry in stale:
        print(f"listed as not reached, yet reached or not there: {entry}")
    print(f"{reached} of {can} lines that fuzzing can reach ({100 * reached / can:.1f} %); {of - can} more cannot be, each with its reason")
    return 1 if missed or stale else 0


if __name__ == "__main__":
    recipes.run_main(main)
