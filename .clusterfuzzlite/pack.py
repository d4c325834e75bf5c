"""Writes what goes beside a target: pack.py SEEDS TARGET makes TARGET_seed_corpus.zip, TARGET.dict, TARGET.options."""

import pathlib
import sys
import zipfile

RECORD_BYTES = 8
ENTRIES_MAX = 400
# 776 bytes: a header and 96 operations, as many as the mutator makes. Leaks of an allocator's own mappings are looked for
# by the target, and LeakSanitizer cannot run where the target was started under ptrace.
OPTIONS = "[libfuzzer]\nmax_len = 776\ntimeout = 25\n\n[asan]\ndetect_leaks = 0\n"


def escaped(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def main(seeds, target):
    inputs = sorted(pathlib.Path(seeds).iterdir())
    with zipfile.ZipFile(f"{target}_seed_corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in inputs:
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())  # without times: the same each time
    records = {}
    for path in inputs:
        data = path.read_bytes()
        for at in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            records[data[at : at + RECORD_BYTES]] = records.get(data[at : at + RECORD_BYTES], 0) + 1
    common = sorted(records, key=lambda record: (-records[record], record))[:ENTRIES_MAX]
    pathlib.Path(f"{target}.dict").write_text("".join(f'"{escaped(record)}"\n' for record in common))
    pathlib.Path(f"{target}.options").write_text(OPTIONS)


main(*sys.argv[1:])
