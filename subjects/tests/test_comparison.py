"""docs/comparison.md was made from a run, and says what is expected; its tool makes the same page of the same run."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
PAGE = (SOURCE / "docs" / "comparison.md").read_text(encoding="utf-8")
EXPECTED = {path.stem: json.loads(path.read_text()) for path in sorted((SOURCE / "subjects" / "expected").glob("*.json"))}
MARKS = {"+": "holds", "**broken**": "broken", "": "not offered", "?": "not observable here"}


def rows():
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def verdicts():
    """(subject, promise) -> verdict, of all tables of the page"""
    seen, names = {}, []
    for promise, *cells in rows():
        if promise == "promise":
            names = cells
        elif promise == "subject":
            names = []
        elif not re.match(r"[-*]", promise):
            seen.update({(name, promise): MARKS[cell] for name, cell in zip(names, cells)})
    return seen


@pytest.mark.parametrize("name", EXPECTED)
def test_page_says_what_is_expected(name):
    of_it = {promise: verdict for (subject, promise), verdict in verdicts().items() if subject == name}
    assert of_it == EXPECTED[name]["verdicts"]


def test_each_subject_has_a_version_and_a_cost():
    names = {subject for subject, _ in verdicts()}
    for columns in (2, 4):
        assert names == {row[0] for row in rows() if len(row) == columns and row[0] in names}


def test_tool_says_what_it_wants():
    done = subprocess.run([SOURCE / "tools" / "comparison", "build", "page.md", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Writes docs/comparison.md")


@pytest.mark.parametrize("text", (None, "", "no JSON", "[]", "{}"))
def test_tool_refuses_what_is_no_result(text, tmp_path):
    result, page = tmp_path / "result.json", tmp_path / "page.md"
    if text is not None:
        result.write_text(text)
    for arguments in ([tmp_path, page, result], []):
        done = subprocess.run([SOURCE / "tools" / "comparison", *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("comparison: ") and done.stderr.count("\n") == 1
    assert not page.exists()


def test_tool_writes_what_the_result_says():
    loader = importlib.machinery.SourceFileLoader("comparison", str(SOURCE / "tools" / "comparison"))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("comparison", loader))
    loader.exec_module(tool)
    cells = [("locked", "core", "broken"), ("fork", "hardening", "not offered"), ("scale", "extra", "holds")]
    subject = {"name": "one", "verdicts": [dict(zip(("promise", "level", "verdict"), cell)) for cell in cells]}
    assert list(tool.table([subject]))[2:] == [
        "| *core* | |",
        "| locked | **broken** |",
        "| *hardening* | |",
        "| fork |  |",
        "| *extra* | |",
        "| scale | + |",
    ]
