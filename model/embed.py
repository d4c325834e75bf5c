"""Writes a text file as a C array of its lines, for emit.c: embed.py INPUT OUTPUT."""

import json
import sys

with open(sys.argv[1], encoding="ascii") as text, open(sys.argv[2], "w", encoding="ascii") as out:
    out.writelines(json.dumps(line.rstrip("\n")) + ",\n" for line in text)
