"""Reads the heads of the known-bad allocators and writes them as one JSON list: index.py OUTPUT DEFECT...

A head is a run of `key: value` lines at the top of the file: bare in a .patch, inside the first comment in a .c.

    id      the file's name without its suffix; the name of the variant that the built object exports
    what    what is wrong, in one line
    models  the real bug that it is like ("project#number"), or -
    base    the good allocator that it was made from
    must    promises that have to be seen broken, at least one
    may     promises that may be seen broken too, or -
    fuzz    "yes", or why a fuzzer cannot find it, in a form that the trigger can be held against:
            "no: privileged: WHY"  only with CAP_IPC_LOCK, which no fuzzer has
            "no: unseen: WHY"      no operation of a program shows it
            "no: race: WHY"        it is met by threads that run freely
            "no: large: WHY"       more has to be locked than a fuzzer's programs may
    trigger a program that shows the wrong behaviour without the verifier: operations of model/program.h, with ; between
            them, or "probe ..." for what those cannot say (subjects/tests/probe.c)
    shows   a regular expression that what the trigger prints on the defect matches, and on the base does not
"""

import json
import pathlib
import re
import sys

KEYS = ("id", "what", "models", "base", "must", "may", "fuzz", "trigger", "shows")
LISTS = ("must", "may")
FUZZ = re.compile(r"yes|no: (privileged|unseen|race|large): \S.*")


class HeadError(ValueError):
    """A head that cannot be used; its text names the file and what is wrong."""


def read_head(path):
    """The head of one defect as a dict. Raises HeadError."""
    head = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if path.suffix == ".c":
            line = re.sub(r"^\s*/?\*+/?\s?", "", line)
        if line.startswith(("--- ", "#include")):
            break
        match = re.fullmatch(r"([a-z]+):\s+(\S.*?)\s*(\*/)?", line)
        if match and match[1] in KEYS:
            if match[1] in head:
                raise HeadError(f"{path.name}: '{match[1]}' is there twice")
            head[match[1]] = match[2]
    missing = [key for key in KEYS if key not in head]
    if missing:
        raise HeadError(f"{path.name}: the head lacks '{missing[0]}'")
    for key in LISTS:
        head[key] = [] if head[key] == "-" else head[key].split()
    check_head(path, head)
    return head


def check_head(path, head):
    """Raises HeadError where a complete head says something that it may not."""
    if head["id"] != path.stem:
        raise HeadError(f"{path.name}: id is '{head['id']}'")
    if not re.fullmatch(r"[a-z0-9-]{1,63}", head["id"]):
        raise HeadError(f"{path.name}: '{head['id']}' cannot be the name of a variant")
    if not head["must"]:
        raise HeadError(f"{path.name}: 'must' names no promise: a defect that nothing has to catch proves nothing")
    both = set(head["must"]) & set(head["may"])
    if both:
        raise HeadError(f"{path.name}: '{both.pop()}' is in both 'must' and 'may'")
    if not FUZZ.fullmatch(head["fuzz"]):
        raise HeadError(f"{path.name}: 'fuzz' is neither 'yes' nor 'no: KIND: REASON', KIND one of privileged, unseen, race, large")


def main(output, *paths):
    """Writes the index, or says which head is wrong."""
    try:
        heads = [dict(read_head(path), file=path.name) for path in map(pathlib.Path, paths)]
    except HeadError as error:
        sys.exit(f"index.py: {error}")
    heads.sort(key=lambda head: head["id"])
    pathlib.Path(output).write_text(json.dumps(heads, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
