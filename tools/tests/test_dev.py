"""./dev on machines that it has not seen: a PATH of our own, with a made-up apt-get, npm, id and sudo on it."""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
PLAIN = "basename cat chmod cp cut dirname env grep head id mkdir mktemp mv ls readlink rm seq sed sh sort tail touch".split()
BUILD = "gcc g++ meson ninja-build pkg-config patch"
COMMANDS = "gcc g++ meson ninja pkg-config patch".split()
JUST = """#!/bin/sh
case $1,$3,$4 in
    --version,*) echo "just 1.57.0"; exit ;;
    *,--show,nosuch) exit 1 ;;
    *,--show,*) exit 0 ;;
esac
printf "[%s]" "$@"
echo
"""


class Machine:
    """A tree with nothing but dev in it, and a folder of programs."""

    def __init__(self, path):
        self.tree = path / "tree"
        self.bin = path / "bin"
        self.log = path / "log"
        self.tree.mkdir()
        self.bin.mkdir()
        shutil.copy(SOURCE / "dev", self.tree)
        for name in PLAIN:
            (self.bin / name).symlink_to(shutil.which(name, path="/usr/bin:/bin"))

    def program(self, name, script="exit 0"):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def equip(self):
        for name in COMMANDS:
            self.program(name)

    def apt(self, install="", update=""):
        """An apt-get that notes its calls, and an apt-cache that knows no just."""
        case = f"case \" $* \" in *' install '*) {install or ':'} ;; *' update '*) {update or ':'} ;; esac"
        self.program("apt-get", f'echo "$*" >>"{self.log}"\n{case}')
        self.program("apt-cache", "exit 0")

    def dev(self, *arguments, program="./dev"):
        environment = {"PATH": str(self.bin), "HOME": str(self.tree)}
        return subprocess.run([program, *arguments], cwd=self.tree, env=environment, capture_output=True, text=True)

    @property
    def installs_commands(self):
        return "; ".join(f"printf '#!/bin/sh' >{self.bin}/{name}; chmod 755 {self.bin}/{name}" for name in COMMANDS)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_packages_of_a_recipe_are_said_and_nothing_is_touched(machine):
    """For images: whether they are there or not."""
    done = machine.dev("--packages", "lint")
    packages = done.stdout.split()
    assert (done.returncode, done.stderr) == (0, "")
    assert packages == sorted(set(packages)) and {"gcc", "shellcheck", "yamllint"} <= set(packages) and "afl++" not in packages
    assert not machine.log.exists() and [path.name for path in machine.tree.iterdir()] == ["dev"]


def test_nothing_missing_is_silent_and_verbatim(machine):
    machine.equip()
    machine.program("just", JUST)
    done = machine.dev("verify", "./a b.so", "--only", "$x", "")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"[--justfile][{machine.tree}/justfile][verify][./a b.so][--only][$x][]\n"


def test_unknown_recipe_is_2(machine):
    machine.equip()
    machine.program("just", JUST)
    done = machine.dev("nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dev: unknown recipe 'nosuch'; ./dev alone lists those there are\n"


def test_through_a_link_it_works_in_its_own_tree(machine, tmp_path):
    machine.equip()
    machine.program("just", JUST)
    (machine.tree / "link").symlink_to("dev")
    (tmp_path / "far away").symlink_to(machine.tree / "link")
    done = machine.dev("list", program=tmp_path / "far away")
    assert done.stdout == f"[--justfile][{machine.tree}/justfile][list]\n"


def test_bare_dev_needs_only_just(machine):
    machine.program("just", JUST)
    done = machine.dev()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"[--justfile][{machine.tree}/justfile]\n", "")


def test_status_of_the_recipe_is_passed_on(machine):
    machine.program("just", JUST + "exit 3\n")
    assert machine.dev("clean").returncode == 3


def test_help(machine):
    done = machine.dev("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ./dev ")


def test_without_apt_all_is_named_in_one_line(machine):
    done = machine.dev("compare")
    expected = f"dev: missing (by their Debian names): {BUILD} just. There is no apt here: install them, then run this again\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_recipes_need_different_things(machine):
    assert "clang" not in machine.dev("verify").stderr
    assert " clang clang-format shellcheck " in machine.dev("test").stderr


def test_without_root_and_sudo_all_is_named_in_one_line(machine):
    machine.program("id", "echo 1000")
    machine.apt()
    done = machine.dev("compare")
    expected = (
        f"dev: missing: {BUILD}. You are not root and there is no sudo: "
        "have these packages installed, then run this again\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)
    assert not machine.log.exists()


def test_without_root_sudo_is_used(machine):
    machine.program("just", JUST)
    machine.program("id", "echo 1000")
    machine.program("sudo", f'echo sudo >>"{machine.log}"\nexec "$@"')
    machine.apt(machine.installs_commands)
    assert machine.dev("compare").returncode == 0
    assert machine.log.read_text().splitlines()[::2] == ["sudo", "sudo"]


def test_packages_are_installed_once_and_said_in_one_line(machine):
    machine.program("just", JUST)
    machine.apt(machine.installs_commands)
    done = machine.dev("list")
    assert (done.returncode, done.stderr) == (0, f"dev: installing Debian packages: {BUILD}\n")
    update, install = machine.log.read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(f" install --no-install-recommends {BUILD}")
    assert machine.dev("list").stderr == ""


def test_failing_install_shows_what_apt_said(machine):
    machine.program("just", JUST)
    machine.apt("echo 'E: no space'; exit 100")
    done = machine.dev("list")
    expected = (
        f"dev: installing Debian packages: {BUILD}\nE: no space\ndev: could not install: {BUILD} "
        "(apt's last lines are above)\n"
    )
    assert (done.returncode, done.stderr) == (2, expected)


def test_install_that_brings_nothing_is_not_repeated(machine):
    machine.program("just", JUST)
    machine.apt()
    done = machine.dev("list")
    assert done.returncode == 2
    assert f"dev: installed, but not where this looks for it: {BUILD}. Is PATH complete?" in done.stderr


def test_another_apt_is_waited_for(machine):
    machine.program("just", JUST)
    machine.program("sleep")
    busy = f"[ -e {machine.tree}/tried ] || {{ touch {machine.tree}/tried; echo 'E: Could not get lock x'; exit 100; }}"
    machine.apt(machine.installs_commands, update=busy)
    done = machine.dev("list")
    assert done.returncode == 0
    assert "dev: waiting for another package manager to finish\n" in done.stderr


def npm(machine):
    """An npm that brings a just, and notes that it was asked for nothing global."""
    target = 'while [ "$1" != --prefix ]; do shift; done; d=$2/node_modules/rust-just-linux-x64/bin; mkdir -p "$d"'
    machine.program("npm", f"{target}\ncat >\"$d/just\" <<'END'\n{JUST}END")


def test_just_from_npm_lands_in_build(machine):
    machine.equip()
    machine.apt()
    npm(machine)
    done = machine.dev("list")
    assert (done.returncode, done.stderr) == (0, "dev: installing just into build/tools: npm package rust-just\n")
    assert os.listdir(machine.tree / "build/tools") == ["just"]
    assert sorted(os.listdir(machine.tree)) == ["build", "dev"]
    assert machine.dev("list").stderr == ""


def test_just_from_npm_needs_no_root(machine):
    machine.equip()
    machine.apt()
    machine.program("id", "echo 1000")
    npm(machine)
    assert machine.dev("list").returncode == 0
    assert not machine.log.exists()


def test_just_from_the_distribution_comes_first(machine):
    machine.equip()
    machine.apt(f"cp {machine.tree}/just {machine.bin}/just")
    (machine.tree / "just").write_text(JUST)
    (machine.tree / "just").chmod(0o755)
    machine.program("apt-cache", "echo '  Candidate: 1.57.0-1'")
    npm(machine)
    done = machine.dev("list")
    assert (done.returncode, done.stderr) == (0, "dev: installing Debian packages: just\n")


def test_old_just_is_not_used(machine):
    machine.equip()
    machine.apt()
    machine.program("just", JUST.replace("1.57.0", "1.21.0"))
    npm(machine)
    assert "installing just into build/tools" in machine.dev("list").stderr


@pytest.mark.parametrize("version, good", [("1.31.9", False), ("1.32.0", True), ("2.0.0", True), ("0.99.0", False)])
def test_versions_of_just(machine, version, good):
    machine.program("just", JUST.replace("1.57.0", version))
    assert machine.dev().returncode == (0 if good else 2)


def test_from_another_folder(machine):
    machine.program("just", JUST)
    environment = {"PATH": str(machine.bin)}
    done = subprocess.run([machine.tree / "dev", "clean"], cwd="/", env=environment, capture_output=True, text=True)
    assert done.stdout == f"[--justfile][{machine.tree}/justfile][clean]\n"
