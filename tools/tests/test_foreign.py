"""tools/foreign, with package managers of our own making: what is built, what is skipped and why, what fails the build."""

import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])


@pytest.fixture
def place(tmp_path):
    for folder in ("bin", "out", "contract/crate", "contract/module"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "contract/crate/Cargo.toml").touch()
    (tmp_path / "contract/module/go.mod").touch()
    return tmp_path


def tool(place, name, script):
    (place / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (place / "bin" / name).chmod(0o755)


def foreign(place, *arguments):
    environment = {"PATH": f"{place / 'bin'}:/usr/bin:/bin", "HOME": str(place)}
    done = subprocess.run([SOURCE / "tools/foreign", *arguments], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def build(place, name):
    return foreign(place, name, place / "contract" / name, place / "out")


def made(place):
    return sorted(path.name for path in (place / "out").iterdir() if path.is_file())


CARGO = 'case $1 in fetch) {fetch} ;; build) {build} ;; esac'
MAKES = 'mkdir -p "$CARGO_TARGET_DIR/release"; : >"$CARGO_TARGET_DIR/release/libcrate_subject.so"'


def test_what_can_be_built_is(place):
    tool(place, "cargo", CARGO.format(fetch=":", build=MAKES))
    tool(place, "go", 'case "$1 $2" in "mod download") ;; *) : >"$4" ;; esac')
    assert build(place, "crate") == build(place, "module") == (0, "")
    assert made(place) == ["crate.built", "crate.so", "module.built", "module.so"]


@pytest.mark.parametrize("name, program", [("crate", "cargo"), ("module", "go")])
def test_registry_out_of_reach_is_a_skip_that_says_so(place, name, program):
    (place / "out" / f"{name}.so").touch()  # of a time when it was in reach
    tool(place, program, "echo 'error: no route to the registry' >&2; exit 101")
    status, said = build(place, name)
    assert status == 0 and f"subject {name}: {program} could not fetch" in said and "no route to the registry" in said
    assert made(place) == [f"{name}.skipped"]


def test_old_compiler_is_a_skip(place):
    say = "echo 'error: package `x` cannot be built because it requires rustc 1.85.0 or newer' >&2; exit 101"
    tool(place, "cargo", CARGO.format(fetch=":", build=say))
    status, said = build(place, "crate")
    assert status == 0 and "cargo is too old" in said and "rustc 1.85.0" in said
    assert made(place) == ["crate.skipped"]


def test_code_that_does_not_compile_fails_the_build(place):
    tool(place, "cargo", CARGO.format(fetch=":", build="echo 'error[E0425]: cannot find value' >&2; exit 101"))
    status, said = build(place, "crate")
    assert status == 1 and "E0425" in said
    assert made(place) == []


def test_what_was_skipped_is_listed_with_what_was_known_before(place):
    (place / "out" / "crate.skipped").write_text("crate: cargo could not fetch its crates: no route\n")
    listed = place / "skipped.txt"
    assert foreign(place, "--skipped", place / "out", listed, "other: libother-dev is not installed") == (0, "")
    assert listed.read_text().splitlines() == [
        "other: libother-dev is not installed",
        "crate: cargo could not fetch its crates: no route",
    ]
    assert foreign(place, "--skipped", place / "module", listed) == (0, "") and listed.read_text() == ""
