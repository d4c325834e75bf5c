"""Each rule of tools/lint is seen failing, with its exact message, on a small tree that is otherwise clean."""

import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])

HEADER = "/* {0}: a header for the test. */\nint {0}(void);\n"

CLEAN = {
    "contract/strongroom.h": HEADER.format("contract"),
    "model/program.h": HEADER.format("program"),
    "model/tests/test_program.c": '/* Tests what libsodium does. */\n#include "model/program.h"\n',
    "suite/result.h": HEADER.format("result"),
    "suite/main.c": "/* The main program of this test. */\n#include <stdio.h>\n\n"
    '#include "contract/strongroom.h"\n#include "model/program.h"\n#include "result.h"\n',
    "suite/controls/correct.c": '/* A control for the test. */\n#include "contract/strongroom.h"\n',
    "ref-alloc/ref_alloc.h": HEADER.format("ref_alloc"),
    "ref-alloc/os.c": "/* All of the system calls. */\nlong unlocked(void)\n{\n    return syscall(1);\n}\n",
    "ref-alloc/pool.c": '/* Asks os.c, never mlock() itself. */\n#include "ref_alloc.h"\n',
    "subjects/libsodium.c": '/* Adapter of one library. */\n#include "contract/strongroom.h"\n'
    "#include <ref_alloc.h>\n#include <sodium.h>\n",
    "fuzz/target.c": '/* The target of the test. */\n#include "model/program.h"\n',
    "subjects/defects/forgets.patch": "Forgets to wipe what it frees.\n--- a/x\n+++ b/x\n",
    "run.sh": "#!/bin/sh\n# Does nothing at all.\necho hello\n",
    "README.md": "# A tree\n",
    "ci.yml": "# Does nothing at all.\nname: nothing\n",
}


@pytest.fixture
def tree(tmp_path):
    for path, text in CLEAN.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for name in (".clang-format", ".yamllint"):
        (tmp_path / name).write_bytes((SOURCE / name).read_bytes())
    return tmp_path


def lint(tree, *options):
    done = subprocess.run([SOURCE / "tools/lint", *options, tree], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_clean_tree_is_clean(tree):
    assert lint(tree) == (0, [], f"lint: {len(CLEAN) + 2} files, 0 findings\n")


INCLUDES = [
    ("contract/strongroom.h", "model/program.h", "contract/ may not include model/, only contract"),
    ("model/program.h", "suite/result.h", "model/ may not include suite/, only contract, model"),
    ("model/tests/test_program.c", "suite/result.h", "model/ may not include suite/, only contract, model"),
    ("ref-alloc/pool.c", "contract/strongroom.h", "ref-alloc/ may not include contract/, only ref-alloc"),
    ("subjects/libsodium.c", "model/program.h", "subjects/ may not include model/, only contract, ref-alloc, subjects"),
    ("suite/controls/correct.c", "model/program.h", "suite/controls/ may not include model/, only contract, suite/controls"),
    ("fuzz/target.c", "suite/result.h", "fuzz/ may not include suite/, only contract, fuzz, model"),
]


@pytest.mark.parametrize("file, include, why", INCLUDES)
@pytest.mark.parametrize("marks", ['""', "<>"])
def test_include_against_the_arrows(tree, file, include, why, marks):
    lines = CLEAN[file].splitlines(keepends=True)
    lines.insert(1, f"#include {marks[0]}{include}{marks[1]}\n")
    (tree / file).write_text("".join(lines))
    status, findings, _ = lint(tree)
    assert (status, findings[:1]) == (1, [f"{file}:2: dependency: {why}: remove {include}"])


def test_include_by_search_path(tree):
    """A -I flag does not hide where a header is."""
    (tree / "suite/main.c").write_text("/* The main program. */\n#include <ref_alloc.h>\n")
    expected = "suite/main.c:2: dependency: suite/ may not include ref-alloc/, only contract, model, suite: remove ref_alloc.h"
    assert lint(tree)[1][0] == expected


def test_include_of_nothing(tree):
    (tree / "suite/main.c").write_text('/* The main program. */\n#include "stdio.h"\n')
    assert lint(tree)[:2] == (1, ['suite/main.c:2: dependency: "stdio.h" is no file of this tree: write <stdio.h>'])


def test_include_of_what_the_build_makes(tree):
    (tree / "suite/main.c").write_text('/* The main program. */\n#include "made.inc"\n')
    (tree / "suite/meson.build").write_text("# The build of suite.\ncustom_target('made', output: 'made.inc')\n")
    assert lint(tree)[:2] == (0, [])


def test_include_of_a_library_that_a_test_has_a_stand_in_for(tree):
    (tree / "ref-alloc/tests").mkdir()
    (tree / "ref-alloc/tests/cmocka.h").write_text(HEADER.format("cmocka"))
    (tree / "model/tests/test_program.c").write_text("/* Tests of programs. */\n#include <cmocka.h>\n")
    assert lint(tree)[:2] == (0, [])


NAMES = {
    "libsodium": "libsodium",
    "sodium_malloc": "sodium_",
    "OpenSSL": "OpenSSL",
    "libgcrypt": "gcrypt",
    "Botan": "Botan",
    "wolfssl": "wolfssl",
    "memguard": "memguard",
    "memsec": "memsec",
    "ref-alloc": "ref-alloc",
    "ref_alloc_new": "ref_alloc",
}


@pytest.mark.parametrize("file", ["suite/main.c", "model/program.h", "fuzz/target.c", "suite/controls/correct.c"])
def test_allocator_named_by_its_judge(tree, file):
    (tree / file).write_text("".join(f"/* Is careful about {name}. */\n" for name in NAMES))
    folder = os.path.dirname(file)
    expected = [
        f"{file}:{number}: nameless: {folder}/ knows no allocator by name: take out {short}"
        for number, short in enumerate(NAMES.values(), 1)
    ]
    assert lint(tree)[:2] == (1, expected)


@pytest.mark.parametrize("name", ["syscall", "mmap", "mlock2", "getrandom"])
def test_system_call_outside_os_file(tree, name):
    (tree / "ref-alloc/pool.c").write_text(f"/* Asks nobody at all. */\nlong quota(void)\n{{\n    return {name}(1);\n}}\n")
    expected = f"ref-alloc/pool.c:4: os: {name}() belongs in ref-alloc/os.c: call what that file offers"
    assert lint(tree)[:2] == (1, [expected])


def test_shell_script(tree):
    (tree / "run.sh").write_text("#!/bin/sh\n# Does nothing at all.\necho $1\n")
    expected = "run.sh:3: shell: Double quote to prevent globbing and word splitting. [SC2086]"
    assert lint(tree)[:2] == (1, [expected])


def test_shell_script_without_suffix(tree):
    (tree / "run").write_text("#!/usr/bin/env bash\n# Does nothing at all.\necho $1\n")
    assert lint(tree)[0] == 1


def test_style_and_format(tree):
    (tree / "suite/main.c").write_text("/* The main program. */\nint main(void) { return 0; }\n")
    assert lint(tree)[:2] == (1, ["suite/main.c:2: style: run `just format`"])
    assert lint(tree, "--format")[0] == 0
    assert lint(tree)[:2] == (0, [])


def test_yaml(tree):
    (tree / "ci.yml").write_text("# Does nothing at all.\nname:   nothing\n")
    assert lint(tree)[:2] == (1, ["ci.yml:2: yaml: too many spaces after colon (colons)"])


@pytest.mark.parametrize("place", ["/home/ann/", "/root/"])
def test_path_of_one_machine(tree, place):
    (tree / "README.md").write_text(f"# A tree\nSee {place}main.\n")
    expected = f"README.md:2: machine: {place} is a place on one machine: write it relative to the tree"
    assert lint(tree)[:2] == (1, [expected])


def test_path_of_this_tree(tree):
    (tree / "README.md").write_text(f"# A tree\nSee {tree}/suite.\n")
    expected = f"README.md:2: machine: {tree} is a place on one machine: write it relative to the tree"
    assert lint(tree)[:2] == (1, [expected])


def test_package_source(tree):
    (tree / "README.md").write_text("# A tree\nFrom https://registry.example.org/x it comes.\n")
    expected = "README.md:2: machine: https://registry names a package source: leave that to the user's settings"
    assert lint(tree)[:2] == (1, [expected])


@pytest.mark.parametrize(
    "file, text",
    [
        ("suite/main.c", "int main(void);\n"),
        ("suite/main.c", "/* SPDX-License-Identifier: MIT */\nint main(void);\n"),
        ("run.sh", "#!/bin/sh\necho hello\n"),
        ("suite/meson.build", "x = 1\n"),
        ("tool.py", "import os\n"),
        ("subjects/defects/forgets.patch", "--- a/x\n+++ b/x\n"),
    ],
)
def test_file_that_does_not_say_what_it_is_for(tree, file, text):
    (tree / file).write_text(text)
    expected = f"{file}:1: head: say first, in a comment of one line or more, what this file is for"
    assert lint(tree)[:2] == (1, [expected])


def test_files_that_git_ignores_are_not_judged(tree):
    subprocess.run(["git", "init", "-q", tree], check=True)
    (tree / ".gitignore").write_text("# What is built.\n/build/\n")
    (tree / "build").mkdir()
    (tree / "build/x.c").write_text("int  x;\n")
    assert lint(tree)[:2] == (0, [])


def test_missing_tool_is_named(tree):
    environment = {**os.environ, "PATH": ""}
    done = subprocess.run([SOURCE / "tools/lint", tree], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (2, "lint: shellcheck is not installed: `./dev lint` installs it\n")
