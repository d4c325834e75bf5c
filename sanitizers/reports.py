"""What the tools reported: their files, read as data. A report is (kind, frames, text); a frame is (function, file, line)."""

import collections
import pathlib
import re
import xml.etree.ElementTree as xml

Report = collections.namedtuple("Report", "kind frames text")
Reading = collections.namedtuple("Reading", "processes reports suppressed text")

# The head of a report of a sanitizer, and what kind it is.
HEADS = (
    re.compile(r"ERROR: (?:Address|Leak|Memory|Thread)Sanitizer:? (?P<kind>detected memory leaks|[\w-]+)"),
    re.compile(r"WARNING: (?:Memory|Thread)Sanitizer: (?P<kind>[\w -]+?)(?: \(|$)"),
    re.compile(r"runtime error: (?P<kind>[^:]+)"),
)
FRAME = re.compile(r"^\s+#\d+ (?:0x[0-9a-f]+ )?(?:in )?(?P<function>\S+)(?: (?P<file>[^\s:]+):(?P<line>\d+))?")
MATCHED = re.compile(r"^\s*(?P<count>\d+)\s+(?:\d+\s+)?(?P<name>\S+:\S+)$")


def _sanitizer(text):
    """Reports of one file of a sanitizer: from one head to the next."""
    found, current = [], None
    for line in text.splitlines():
        match = next((m for m in (head.search(line) for head in HEADS) if m), None)
        if match:
            current = Report(match["kind"].strip(), [], [line])
            found.append(current)
            place = re.match(r"(\S+?):(\d+):\d+: runtime error", line)
            if place:
                current.frames.append(("", place[1], int(place[2])))
        elif current is not None:
            current.text.append(line)
            frame = FRAME.match(line)
            if frame:
                current.frames.append((frame["function"], frame["file"] or "", int(frame["line"] or 0)))
    return [Report(r.kind, r.frames, "\n".join(r.text[:12])) for r in found]


def _valgrind(text):
    """Errors of one XML file of Valgrind, also of one whose process was killed before it was whole."""
    for part in re.findall(r"<error>.*?</error>", text, re.DOTALL):
        error = xml.fromstring(part)
        frames = [(f.findtext("fn") or "?", f.findtext("file") or "", int(f.findtext("line") or 0)) for f in error.iter("frame")]
        what = error.findtext("what") or error.findtext("xwhat/text") or ""
        text_of = what + "".join(f"\n    {fn} {file}:{line}" for fn, file, line in frames[:8])
        yield Report(error.findtext("kind"), frames, text_of)


def _suppressed(text):
    """name -> how often, of the suppressions that Valgrind says it used."""
    pairs = re.findall(r"<pair>\s*<count>(\d+)</count>\s*<name>(.*?)</name>", text, re.DOTALL)
    return collections.Counter({name: int(count) for count, name in pairs})


def read(folder, said=""):
    """All that a tool left in a folder, one file a process; `said` is what came on standard error instead."""
    reports, suppressed, texts = [], collections.Counter(), [said]
    paths = sorted(pathlib.Path(folder).iterdir())
    for path in paths:
        text = path.read_text(errors="replace")
        texts.append(text)
        if text.startswith("<?xml"):
            reports += _valgrind(text)
            suppressed += _suppressed(text)
        else:
            reports += _sanitizer(text)
            suppressed += collections.Counter({m["name"]: int(m["count"]) for m in map(MATCHED.match, text.splitlines()) if m})
    reports += _sanitizer(said)
    return Reading(len(paths), reports, suppressed, "\n".join(texts))
