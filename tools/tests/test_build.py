"""tools/build, found, patched and test, on small trees: what they notice, what they say, how they end."""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])

MESON = """# A small project.
project('small', 'c')
found = find_program('tools/found')
executable('small', files('main.c') + files(run_command(found, 'parts', '.c', check: true).stdout().split()))
custom_target('found', command: [found, '--watch', meson.project_build_root(), '@OUTPUT@', '@DEPFILE@'],
  output: 'found.stamp', depfile: 'found.d', build_by_default: true)
test('small', find_program('true'))
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("build", "clean", "found", "patched", "test", "count-tests"):
        shutil.copy(SOURCE / "tools" / name, tmp_path / "tools")
    (tmp_path / "parts").mkdir()
    (tmp_path / "meson.build").write_text(MESON)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    return tmp_path


def run(tree, *command, **more):
    environment = {**os.environ, "CI": "", "CC": "gcc", **more}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def build(tree, **more):
    return run(tree, "tools/build", tree / "build", **more)


def strings(tree):
    return (tree / "build/small").read_bytes()


def test_first_build_is_two_lines_and_the_second_silent(tree):
    assert build(tree) == (0, "", "configuring build/\nbuilding build/\n")
    assert build(tree) == (0, "", "")


def test_files_that_come_and_go_are_noticed(tree):
    build(tree)
    (tree / "parts/one.c").write_text('const char *one = "found by its place";\n')
    assert build(tree) == (0, "", "building build/\n")
    assert b"found by its place" in strings(tree)
    (tree / "parts/one.c").unlink()
    assert build(tree)[0] == 0
    assert b"found by its place" not in strings(tree)
    assert build(tree) == (0, "", "")


def test_other_files_are_nobody_s_business(tree):
    build(tree)
    (tree / "parts/notes.txt").write_text("\n")
    assert build(tree)[0] == 0
    assert build(tree) == (0, "", "")


def test_plain_ninja_notices_too(tree):
    build(tree)
    (tree / "parts/one.c").write_text('const char *one = "found by its place";\n')
    status, stdout, _ = run(tree, "ninja", "-C", "build")
    assert status == 1
    assert "found: files were added or removed: run ninja again" in stdout
    assert run(tree, "ninja", "-C", "build")[0] == 0
    assert b"found by its place" in strings(tree)
    assert "no work to do" in run(tree, "ninja", "-C", "build")[1]


def test_found_lists_sorted_and_nothing(tree):
    environment = {"MESON_SOURCE_ROOT": str(tree), "MESON_SUBDIR": "", "MESON_BUILD_ROOT": str(tree / "b")}
    for name in ("b.c", "a.c", "B.c", "c.h"):
        (tree / "parts" / name).touch()
    assert run(tree, "tools/found", "parts", ".c", **environment)[1] == "parts/B.c\nparts/a.c\nparts/b.c\n"
    assert run(tree, "tools/found", "parts", ".patch", **environment) == (0, "", "")
    (tree / "parts/a b.c").touch()
    status, _, stderr = run(tree, "tools/found", "parts", ".c", **environment)
    assert (status, stderr) == (1, "found: a file name in /parts has a blank in it: rename it\n")


def test_compile_error_is_shown_and_ends_with_2(tree):
    (tree / "main.c").write_text("int main(void) { return nothing; }\n")
    status, stdout, stderr = build(tree)
    assert status == 2
    assert "main.c:1:25: error: " in stdout + stderr
    assert stderr.endswith("build: could not compile build/: see above\n")


def test_configure_error_is_shown_and_ends_with_2(tree):
    (tree / "meson.build").write_text("project('small', 'c')\ndependency('nowhere-to-be-found')\n")
    status, _, stderr = build(tree)
    assert status == 2
    assert 'Dependency "nowhere-to-be-found" not found' in stderr
    (tree / "meson.build").write_text(MESON)
    assert build(tree)[0] == 0
    (tree / "meson.build").write_text("project('small', 'c')\ndependency('nowhere-to-be-found')\n")
    assert build(tree)[0] == 2


def test_warnings_are_errors_in_ci(tree):
    (tree / "main.c").write_text("static int unused;\nint main(void) { return 0; }\n")
    assert build(tree)[0] == 0
    shutil.rmtree(tree / "build")
    assert build(tree, CI="true")[0] == 2


def test_clean_keeps_what_dev_installed(tree):
    build(tree)
    (tree / "build/tools").mkdir()
    (tree / "build/tools/just").touch()
    assert run(tree, "tools/clean", tree / "build") == (0, "", "")
    assert os.listdir(tree / "build") == ["tools"]
    assert build(tree)[0] == 0


def test_both_compilers_get_their_turn(tree):
    status, stdout, _ = run(tree, "tools/test", "gcc", "clang")
    assert (status, stdout.splitlines()[-1]) == (0, "2 passed, 0 failed")


def test_build_that_fails_with_one_compiler_fails_the_whole(tree):
    (tree / "main.c").write_text("#ifdef __clang__\n#error no clang\n#endif\nint main(void) { return 0; }\n")
    status, stdout, _ = run(tree, "tools/test", "gcc", "clang")
    assert (status, stdout.splitlines()[-1]) == (1, "1 passed, 1 failed")


def test_names_pick_tests_and_an_unknown_one_fails(tree):
    status, stdout, _ = run(tree, "tools/test", "gcc", "--", "small")
    assert (status, stdout.splitlines()[-1]) == (0, "1 passed, 0 failed")
    status, stdout, _ = run(tree, "tools/test", "gcc", "--", "no-such-test")
    assert (status, stdout.splitlines()[-1]) == (1, "0 passed, 1 failed")


PATCH = """Returns the wrong number.
--- a/good/main.c
+++ b/good/main.c
@@ -1,3 +1,3 @@
 int number(void);
 #include "number.h"
-int number(void) { return NUMBER; }
+int number(void) { return -NUMBER; }
"""


@pytest.fixture
def base(tree):
    (tree / "good").mkdir()
    (tree / "good/main.c").write_text('int number(void);\n#include "number.h"\nint number(void) { return NUMBER; }\n')
    (tree / "good/number.h").write_text("#define NUMBER 7\n")
    return tree


def patched(tree, text):
    (tree / "bad.patch").write_text(text)
    files = ("good/main.c", "good/number.h")
    command = ("tools/patched", "out.so", "work", tree, "bad.patch", *files, "--", "gcc", "-shared", "-fPIC")
    return run(tree, *command)


def number(tree):
    program = f"import ctypes; print(ctypes.CDLL('{tree}/out.so').number())"
    return run(tree, "/usr/bin/python3", "-c", program)[1].strip()


def test_patched_source(base):
    assert patched(base, PATCH) == (0, "", "")
    assert number(base) == "-7"
    assert "return NUMBER" in (base / "good/main.c").read_text()


def test_patched_header(base):
    text = "Another number.\n--- a/good/number.h\n+++ b/good/number.h\n@@ -1 +1 @@\n-#define NUMBER 7\n+#define NUMBER 8\n"
    assert patched(base, text) == (0, "", "")
    assert number(base) == "8"


def test_patch_that_does_not_fit(base):
    (base / "good/main.c").write_text("int number(void);\n\n#include <stdio.h>\nint number(void) { return 3; }\n")
    status, _, stderr = patched(base, PATCH)
    assert status == 1
    assert stderr.endswith("bad.patch: does not apply: make it anew against the files as they are now\n")
    assert not (base / "out.so").exists()


def test_patch_that_changes_nothing(base):
    status, _, stderr = patched(base, "Only words.\n")
    assert status == 1
    assert stderr.splitlines()[-1].startswith("bad.patch: ")


def test_patch_of_a_file_that_is_gone(base):
    (base / "good/number.h").unlink()
    assert patched(base, PATCH) == (1, "", "bad.patch: no such file to patch: good/number.h\n")
