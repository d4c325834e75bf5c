"""Holds the branches that no test takes against the list of those that none can:
uncovered.py JSON SOURCE LIST [TARGETS.json]

A line of the list is `file | text of the source line | reason`. Lines starting with # are comments.
"""

import json
import pathlib
import sys


def read_list(path):
    """(file, text of the line) -> reason"""
    entries = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            file, text, reason = line.split(" | ")
            entries[file, text.strip()] = reason
    return entries


def missed(report, source):
    """(file, number, text, branches missed) of each line with a branch that was never taken"""
    for file in report["files"]:
        path = pathlib.Path(source) / file["file"]
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in file["lines"]:
            if line.get("gcovr/noncode"):
                continue
            count = sum(branch["count"] == 0 for branch in line["branches"])
            if count or (line["count"] == 0 and not line["branches"]):
                yield path.name, line["line_number"], lines[line["line_number"] - 1].strip(), count


def write_target(path, share, unexplained):
    """The two bars, where `just targets` looks for them."""
    how = "gcovr --branches over ref-alloc/tests; each one is in tests/unreachable.txt with its reason"
    bars = [
        {"name": "ref-alloc: branches that no test can take", "measured": round(share, 2), "unit": "%", "bar": "<= 2",
         "met": share <= 2, "how": how},
        {"name": "ref-alloc: lines with a branch not taken and not explained", "measured": unexplained,
         "unit": "lines", "bar": "<= 0", "met": unexplained == 0, "how": how},
    ]
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(bars, indent=2) + "\n", encoding="utf-8")


def main(report_path, source, list_path, targets=None):
    report = json.loads(pathlib.Path(report_path).read_text(encoding="utf-8"))
    entries, used, unexplained = read_list(list_path), set(), 0
    total = sum(len(line["branches"]) for file in report["files"] for line in file["lines"])
    excused = 0
    for file, number, text, count in missed(report, source):
        reason = entries.get((file, text))
        if reason is None:
            unexplained += 1
            print(f"NOT TAKEN    {file}:{number}: {text}")
        else:
            used.add((file, text))
            excused += count
            print(f"unreachable  {file}:{number}: {text}: {reason}")
    for file, text in entries.keys() - used:
        print(f"listed as unreachable, yet taken: {file}: {text}")
    share = 100 * excused / total
    print(f"{total} branches; {excused} of them ({share:.1f} %) unreachable, with reasons; {unexplained} lines unexplained")
    if targets:
        write_target(targets, share, unexplained)
    return unexplained == 0 and share <= 2


sys.exit(0 if main(*sys.argv[1:]) else 1)
