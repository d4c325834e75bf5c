"""What a result is of: the commit, and a digest of the known-bad allocators and of what they were made from, which a column of
the kill matrix bears."""

import hashlib
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACES = ("subjects/defects/*.patch", "subjects/defects/*.c", "subjects/*.c", "suite/controls/*.[ch]", "ref-alloc/*.[ch]")


def digest():
    total = hashlib.sha256()
    for path in sorted(path for place in PLACES for path in ROOT.glob(place)):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def commit(root=ROOT):
    done = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
