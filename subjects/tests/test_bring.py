"""docs/bring-your-allocator.md does what it says: its code is compiled by its commands, verified, and answered as shown."""

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
PAGE = (SOURCE / "docs" / "bring-your-allocator.md").read_text(encoding="utf-8")


def blocks(language):
    return [code for other, code in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if other == language]


def sources():
    """name -> code: of each block of code, its name as the block of commands behind it has it first."""
    named, code = {}, None
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        if language == "sh":
            for name in re.findall(r"\S+\.(?:c|cc|rs|go|py)\b", text)[: code is not None]:
                named[name] = code
        code = text if language in ("c", "cpp", "rust", "go", "python") else None
    return named


def commands(source):
    """The lines of the one sh block that compiles that source file, as words."""
    block = next(block for block in blocks("sh") if source in block.split())
    return [shlex.split(line) for line in block.splitlines()]


def build(source, language, where, *beside):
    """Follows the page to the letter, in a folder that has contract/ and build/ as the root of the project has."""
    for name in (source, *beside):
        (where / name).write_text(sources()[name], encoding="utf-8")
    (where / "contract").symlink_to(SOURCE / "contract")
    (where / "build").symlink_to(BUILD)
    compile_command, verify_command = commands(source)
    if not shutil.which(compile_command[0]):
        pytest.skip(f"{compile_command[0]} is not installed")
    strict = ["-Wall", "-Wextra"] if language in ("c", "cpp") else ["-D", "warnings"] if language == "rust" else []
    environment = os.environ | {"GOFLAGS": "-buildvcs=false", "GO111MODULE": "off"}
    done = subprocess.run([*compile_command, *strict], cwd=where, env=environment, capture_output=True, text=True)
    if "invalid" in done.stderr or "undefined: max" in done.stderr:
        pytest.skip(f"this {compile_command[0]} is older than the page asks for: {done.stderr.splitlines()[-1]}")
    assert (done.returncode, done.stderr) == (0, "")
    return verify_command


def verify(verify_command, where, *more):
    assert verify_command[:2] == ["./dev", "verify"]
    done = subprocess.run(
        [BUILD / "strongroom", *verify_command[1:], *more, "--json", "out.json"], cwd=where, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (subject,) = json.loads((where / "out.json").read_text(encoding="utf-8"))["subjects"]
    return {verdict["promise"]: verdict["verdict"] for verdict in subject["verdicts"]}


def test_the_smallest_adapter_is_what_the_page_says(tmp_path):
    seen = verify(build("tiny.c", "c", tmp_path), tmp_path)
    (shown,) = blocks("text")
    pattern = r"^  (holds|broken|not offered|not observable here) +([a-z-]+)"
    rows = {promise: verdict for verdict, promise in re.findall(pattern, shown, re.MULTILINE)}
    assert len(rows) >= 10
    assert {promise: seen[promise] for promise in rows} == rows


def test_the_class_verifies(tmp_path):
    seen = verify(build("vault.cc", "cpp", tmp_path), tmp_path)
    assert seen["accounting"] == seen["all-zero"] == "holds"


def test_the_crate_verifies(tmp_path):
    seen = verify(build("crate.rs", "rust", tmp_path), tmp_path)
    assert seen["locked"] == seen["all-zero"] == seen["fresh"] == "holds"


def test_the_gopher_verifies(tmp_path):
    seen = verify(build("gopher.go", "go", tmp_path), tmp_path)
    assert seen["locked"] == seen["zero-on-free"] == "holds"


# ---- as a program ----

PROGRAMS = [
    ("tiny_main.c", "c", ["tiny.c"]),
    ("crate_main.rs", "rust", ["crate.rs"]),
    ("gopher_main.go", "go", ["gopher.go"]),
    ("snake.py", "python", []),
]


@pytest.mark.parametrize("source, language, beside", PROGRAMS, ids=[source for source, _, _ in PROGRAMS])
def test_the_program_verifies(tmp_path, source, language, beside):
    """double-free is the second thread's too: it hangs where the call was made too early for the language's run-time."""
    chosen = ["locked", "accounting", "zero-on-free", "double-free", "no-dump"]
    seen = verify(build(source, language, tmp_path, *beside), tmp_path, "--quick", "--only", ",".join(chosen))
    assert seen == dict.fromkeys(chosen[:-1], "holds") | {"no-dump": "not offered"}


# ---- a general malloc ----

PRELOADED = ["libjemalloc.so.2", "libmimalloc.so.2", "libtcmalloc_minimal.so.4"]


def library(name):
    found = sorted(pathlib.Path("/usr/lib").glob(f"*/{name}"))
    if not found:
        pytest.skip(f"{name} is not installed")
    return str(found[0])


def judge_malloc(**environment):
    words = ["verify", "malloc", "--quick", "--only", "locked,zero-on-free", "--json", "-"]
    done = subprocess.run([BUILD / "strongroom", *words], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    (subject,) = json.loads(done.stdout)["subjects"]
    seen = {verdict["promise"]: verdict["verdict"] for verdict in subject["verdicts"]}
    assert seen == {"locked": "broken", "zero-on-free": "broken"}
    return subject["version"]


def test_a_malloc_is_judged_by_its_path():
    path = library("libmimalloc.so.2")
    assert judge_malloc(STRONGROOM_MALLOC=path) == path


@pytest.mark.parametrize("name", PRELOADED)
def test_a_malloc_is_judged_when_preloaded(name):
    path = library(name)
    assert judge_malloc(LD_PRELOAD=path) == path


def test_a_malloc_that_cannot_be_loaded_is_refused():
    cases = [("/nowhere.so", "names-no-file"), (__file__, "cannot-be-loaded"), (library("libm.so.6"), "has-no-malloc")]
    for path, why in cases:
        done = subprocess.run(
            [BUILD / "strongroom", "verify", "malloc"],
            env=os.environ | {"STRONGROOM_MALLOC": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1


def test_the_table_names_each_optional_entry():
    header = (SOURCE / "contract" / "strongroom.h").read_text(encoding="utf-8")
    optional = header.split("- optional */")[1].split("};")[0]
    entries = set(re.findall(r"\(\*(\w+)\)", optional))
    assert entries and entries == set(re.findall(r"^\| `(\w+)` \|", PAGE.split("optional entries add")[1], re.MULTILINE))


def test_the_table_names_each_flag():
    header = (SOURCE / "contract" / "strongroom.h").read_text(encoding="utf-8")
    assert set(re.findall(r"#define (SECRET_ALLOC_\w+)", header)) <= set(re.findall(r"SECRET_ALLOC_\w+", PAGE))


def test_the_header_for_rust_has_the_same_fields_and_numbers():
    header = (SOURCE / "contract" / "strongroom.h").read_text(encoding="utf-8")
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    rust = (SOURCE / "contract" / "strongroom.rs").read_text(encoding="utf-8")
    for c_name, rust_name in [("secret_config", "Config"), ("secret_alloc", "Alloc")]:
        body = re.search(rf"struct {c_name} {{(.*?)}};", header, re.DOTALL)[1]
        fields = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            function = re.search(r"\(\*(\w+)\)", declaration)
            fields += [function[1]] if function else re.findall(r"(\w+)(?=,|$)", declaration)
        body = re.search(rf"pub struct {rust_name} {{(.*?)\n}}", rust, re.DOTALL)[1]
        assert fields == re.findall(r"pub (\w+):", body) and len(fields) >= 5
    numbers = dict(re.findall(r"#define (?:SECRET_ALLOC|STRONGROOM)_(\w+) (\d+)u", header))
    numbers |= {f"ACCESS_{name}": value for name, value in re.findall(r"SECRET_ACCESS_(\w+) = (\d+)", header)}
    assert numbers == dict(re.findall(r"pub const (\w+): (?:u32|c_int) = (\d+);", rust)) and len(numbers) == 9
