"""Generated documents are those that would be generated now."""

import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
TOOL = SOURCE / "tools" / "promises"


def test_promises_are_as_the_sources_say():
    done = subprocess.run([TOOL, BUILD / "strongroom"], capture_output=True, text=True, check=True)
    assert (SOURCE / "docs" / "promises.md").read_text(encoding="utf-8") == done.stdout, "run `./dev docs`"
    for path in (SOURCE / "suite" / "promises").glob("*.c"):
        assert f"### {path.stem.replace('_', '-')}" in done.stdout


def test_the_tool_explains_itself():
    assert subprocess.run([TOOL, "--help"], capture_output=True, check=True).stdout.startswith(b"docs/promises.md")
    assert subprocess.run([TOOL], capture_output=True, check=False).returncode == 2
