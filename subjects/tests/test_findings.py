"""docs/findings/ says what is: each page's program, built and run by the page's steps, prints what the page shows.

A page is about one version of one library: where that is not here, or another, it is skipped.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
PAGES = sorted(path for path in (SOURCE / "docs" / "findings").glob("*.md") if path.stem != "README")
ROWS = {"subject", "seen with", "program", "status"}
SECTIONS = ["Steps", "What is documented", "Consequence", "What a user can do", "Upstream"]


def row(page, name):
    return re.search(rf"^\| {name} \| (.*) \|$", page, re.MULTILINE)[1]


def block(page, language):
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return text


def versions():
    """Name of each subject that is here -> version of its library."""
    done = subprocess.run([BUILD / "strongroom", "list", "--json", "-"], capture_output=True, text=True, check=True)
    return {subject["name"]: subject["version"] for subject in json.loads(done.stdout)["subjects"]}


def bound_by_limits(command):
    """Root is bound by no limit of locked memory while it has CAP_IPC_LOCK."""
    return ["setpriv", "--bounding-set", "-ipc_lock", *command] if os.geteuid() == 0 else command


def run(command, where, **environment):
    done = subprocess.run(
        command, cwd=where, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def follow(steps, where, subject_library):
    """The steps of a page, by which its program is built and run; what that prints."""
    first, second = [shlex.split(line) for line in steps.splitlines()]
    if first[0] != "cd":
        (where / "docs").symlink_to(SOURCE / "docs")
        run([*first, "-Wall", "-Wextra"], where)
        return run(bound_by_limits(second), where)
    folder = SOURCE / first[1]
    if second[0] == "cargo":
        target = BUILD / "subjects" / f"{subject_library}.foreign" / "target"
        return run(bound_by_limits([*second[:2], "--offline", *second[2:]]), folder, CARGO_TARGET_DIR=str(target))
    return run(bound_by_limits(second), folder, GOPROXY="off", GOTOOLCHAIN="local", GOFLAGS="-buildvcs=false")


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_program_prints_what_the_page_shows(path, tmp_path):
    page = path.read_text(encoding="utf-8")
    subject, seen_with = row(page, "subject"), row(page, "seen with")
    here = versions().get(subject)
    if here != seen_with:
        pytest.skip(f"{subject} is {here or 'not here'}, and this was seen with {seen_with}")
    steps = block(page, "sh")
    tool = shlex.split(steps.splitlines()[1])[0] if steps.startswith("cd ") else shlex.split(steps)[0]
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    library = steps.splitlines()[0].rsplit("/", 1)[1] if steps.startswith("cd ") else subject
    assert follow(steps, tmp_path, library) == block(page, "text")


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_page_says_all_that_a_page_says(path):
    page = path.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([a-z ]+) \| ", page, re.MULTILINE)) == ROWS
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    program = re.search(r"\]\((.*)\)", row(page, "program"))[1]
    assert (path.parent / program).is_file() and program in block(page, "sh") or path.stem in block(page, "sh")


def test_each_program_has_its_page_and_each_page_its_line_in_the_index():
    programs = {path.stem for path in (SOURCE / "docs" / "findings").iterdir() if path.suffix != ".md"}
    pages = {path.stem for path in PAGES}
    index = (SOURCE / "docs" / "findings" / "README.md").read_text(encoding="utf-8")
    assert programs == pages == set(re.findall(r"\]\(([\w-]+)\.md\)", index))
