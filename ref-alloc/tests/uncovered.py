"""Holds the branches that no test takes against the list of those that none can: uncovered.py JSON SOURCE LIST

A line of the list is `file: text of the source line: reason`. Lines starting with # are comments.
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


def main(report_path, source, list_path):
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
    return unexplained == 0 and share <= 2


sys.exit(0 if main(*sys.argv[1:]) else 1)
