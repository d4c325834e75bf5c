"""The known-bad allocators as things that are built: heads that are whole, objects that differ, patches that fit."""

import collections
import ctypes
import functools
import importlib.util
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
COMPILE = json.loads(os.environ["DEFECT_COMPILE"])  # compiler and flags that the defects were built with
FILES = json.loads(os.environ["DEFECT_FILES"])  # base -> the files that a patch against it may change
HERE = SOURCE / "subjects" / "defects"
DEFECTS = json.loads((BUILD / "defects" / "index.json").read_text(encoding="utf-8"))
PATCHES = [defect for defect in DEFECTS if defect["file"].endswith(".patch")]
WRAPPERS = [defect for defect in DEFECTS if defect["file"].endswith(".c")]

spec = importlib.util.spec_from_file_location("index", HERE / "index.py")
index = importlib.util.module_from_spec(spec)
spec.loader.exec_module(index)


def each(defects):
    return pytest.mark.parametrize("defect", defects, ids=[defect["id"] for defect in defects])


def known_promises():
    """The leaking control claims each promise that there is."""
    text = (SOURCE / "suite" / "controls" / "leaking.c").read_text(encoding="utf-8")
    return set(re.findall(r'"([a-z-]+)"', text.split("claims[] = {")[1].split("};")[0]))


class Table(ctypes.Structure):
    """The head of a struct secret_alloc."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_char_p),
        ("library", ctypes.c_char_p),
        ("claims", ctypes.POINTER(ctypes.c_char_p)),
    ]


def variants(path):
    """name -> claims of the variants that a subject exports."""
    subjects = ctypes.CDLL(str(path)).strongroom_subjects
    subjects.restype = ctypes.POINTER(ctypes.POINTER(Table))
    tables, found = subjects(1), {}
    for table in itertools.takewhile(bool, map(tables.__getitem__, itertools.count())):
        claims = map(table[0].claims.__getitem__, itertools.count()) if table[0].claims else []
        found[table[0].name.decode()] = list(itertools.takewhile(bool, claims))
    return found


def base_object(base):
    """Where the good allocator of that name was built."""
    if base == "control-correct":
        return BUILD / "controls" / "correct.so"
    return BUILD / "subjects" / (re.sub(r"^(ref-alloc)-.*", r"\1", base) + ".so")


def test_there_are_enough_and_each_file_is_one():
    skipped = (BUILD / "subjects" / "skipped.txt").read_text(encoding="utf-8")
    files = {path.name for pattern in ("*.patch", "*.c") for path in HERE.glob(pattern)}
    listed = {defect["file"] for defect in DEFECTS}
    assert listed <= files
    for name in files - listed:
        assert f"{index.read_head(HERE / name)['base'].split('-')[0]}" in skipped, f"{name} was not built"
    assert len(files) >= 80


def test_each_promise_has_two_defects_at_least():
    counts = collections.Counter(promise for defect in DEFECTS for promise in defect["must"])
    assert {promise for promise in known_promises() if counts[promise] < 2} == set()


@each(DEFECTS)
def test_the_head_names_promises_that_exist(defect):
    unknown = set(defect["must"] + defect["may"]) - known_promises()
    assert not unknown, f"{defect['file']}: no such promise: {unknown}"


@each(DEFECTS)
def test_the_object_exports_one_variant_of_that_name_with_the_claims_of_its_base(defect):
    bases = variants(base_object(defect["base"]))
    assert variants(BUILD / "defects" / f"{defect['id']}.so") == {defect["id"]: bases[defect["base"]]}


# ---- a defect that changes nothing would be caught by nobody ----


def patched_tree(tree, defect):
    """A copy of the base's files in tree, with the patch applied if there is one; the files that it changed."""
    for file in FILES[defect["base"].split("-")[0]]:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / file, tree / file)
    with (HERE / defect["file"]).open(encoding="utf-8") as patch:
        done = subprocess.run(
            ["patch", "-p1", "--fuzz=0", "--batch"], cwd=tree, stdin=patch, capture_output=True, text=True, check=True
        )
    return re.findall(r"^patching file '?([^'\n]+)'?$", done.stdout, re.MULTILINE)


def compiled(tree, file, output):
    """The bytes of the object that file in tree compiles to; neither names of places nor of variants are in it."""
    flags = [flag for flag in COMPILE if flag != "-shared" and not flag.startswith(("-Wl,", "-g"))]
    more = ['-DDEFECT_NAME="x"', "-DDEFECT_PLACEMENT=guarded"] if file == "subjects/ref-alloc.c" else []
    subprocess.run([*flags, *more, "-w", "-g0", "-I.", "-c", file, "-o", output], cwd=tree, check=True)
    return output.read_bytes()


@functools.cache
def compiled_base(file, output):
    return compiled(SOURCE, file, output)


@each(PATCHES)
def test_the_object_differs_from_that_of_its_base(defect, tmp_path, tmp_path_factory):
    changed = patched_tree(tmp_path, defect)
    assert changed, "the patch changes nothing"
    if any(file.endswith(".h") for file in changed):
        changed = [file for file in FILES[defect["base"].split("-")[0]] if file.endswith(".c")]
    output = tmp_path_factory.getbasetemp() / "base.o"
    assert any(compiled(tmp_path, file, tmp_path / "bad.o") != compiled_base(file, output) for file in changed)


@each(WRAPPERS)
def test_a_wrapper_replaces_an_entry(defect):
    text = (HERE / defect["file"]).read_text(encoding="utf-8")
    assert re.search(r"^\s+table->\w+ = \w+;", text, re.MULTILINE)


# ---- what is wrong with a defect is said in one line ----


def build_patch(tmp_path, text):
    patch = tmp_path / "stale.patch"
    patch.write_text(text, encoding="utf-8")
    return subprocess.run(
        [SOURCE / "tools" / "patched", tmp_path / "stale.so", tmp_path / "work", SOURCE, patch, *FILES["control"], "--"]
        + COMPILE + ['-DCONTROL_NAME="stale"'],
        capture_output=True, text=True,
    )


def test_a_patch_that_fits_is_built_and_one_that_only_nearly_fits_is_not(tmp_path):
    text = (HERE / "fork-not-wiped.patch").read_text(encoding="utf-8")
    assert build_patch(tmp_path, text).returncode == 0
    context = [line for line in text.splitlines() if line.startswith(" ") and len(line) > 9]
    stale = build_patch(tmp_path, text.replace(context[0], context[0] + " /* older */"))
    assert stale.returncode != 0
    last = stale.stderr.splitlines()[-1]
    assert "stale.patch" in last and "apply" in last


HEAD = dict(id="x", what="w", models="-", base="control-correct", must="locked", may="-", fuzz="yes", trigger="open", shows="BAD")


def test_a_head_of_either_kind_is_read(tmp_path):
    lines = [f"{key}: {value}" for key, value in HEAD.items()]
    (tmp_path / "x.patch").write_text("\n".join(lines) + "\n\n--- a/f\n+++ b/f\n", encoding="utf-8")
    (tmp_path / "x.c").write_text("/*\n * " + "\n * ".join(lines) + "\n */\n#include <x.h>\n", encoding="utf-8")
    assert index.read_head(tmp_path / "x.patch") == index.read_head(tmp_path / "x.c") == HEAD | {
        "must": ["locked"], "may": []
    }


@pytest.mark.parametrize(
    "change, words",
    [({key: None}, f"lacks '{key}'") for key in HEAD]
    + [
        ({"id": "y"}, "id is 'y'"),
        ({"must": "-"}, "'must' names no promise"),
        ({"may": "locked fork"}, "'locked' is in both"),
        ({"fuzz": "no"}, "neither 'yes' nor 'no: KIND: REASON'"),
        ({"fuzz": "no: it is hard"}, "neither 'yes' nor 'no: KIND: REASON'"),
        ({"fuzz": "perhaps"}, "neither 'yes' nor 'no: KIND: REASON'"),
        ({"what": "w\nwhat: again"}, "'what' is there twice"),
    ],
)
def test_a_head_that_is_wrong_fails_with_one_line(change, words, tmp_path):
    path = tmp_path / "x.patch"
    head = {key: value for key, value in (HEAD | change).items() if value is not None}
    path.write_text("".join(f"{key}: {value}\n" for key, value in head.items()), encoding="utf-8")
    with pytest.raises(SystemExit, match=re.escape(words)) as failure:
        index.main(str(tmp_path / "out.json"), str(path))
    assert "\n" not in str(failure.value) and "x.patch" in str(failure.value)
