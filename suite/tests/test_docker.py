"""Inside a container, under Docker's default profile and without capabilities: the usual verdicts. Nightly: see meson.build.

The engine is one of our own, in a session of its own, with its files in a temporary folder and no network; the image is
debootstrap's smallest, kept in the build directory. Where an engine cannot be had, that is a counted skip.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from test_surroundings import BUILD, SUBJECTS, asked, check, judge, read  # noqa: E402

LIBRARIES = "libseccomp2,libjansson4,libcap-ng0"
LIMIT = "65536:65536"


def lacking():
    """What is not there to run an engine with; None: nothing."""
    if os.geteuid() != 0:
        return "root"
    return next((name for name in ("dockerd", "docker", "debootstrap") if shutil.which(name) is None), None)


def base():
    """A tar of a Debian system with what the program needs; made once."""
    tar = BUILD / "docker" / "base.tar"
    if not tar.exists():
        tar.parent.mkdir(exist_ok=True)
        tree = tar.parent / f"base.{os.getpid()}"
        made = ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", tree]
        subprocess.run(made, check=True, capture_output=True, timeout=600)
        part = tar.with_suffix(".part")
        subprocess.run(["tar", "-C", tree, "--one-file-system", "-cf", part, "."], check=True, timeout=300)
        part.rename(tar)
        shutil.rmtree(tree)
    return tar


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """Runs `docker WORDS` against an engine of our own that knows the image `base`."""
    if lacking():
        pytest.skip(f"no container engine: {lacking()} is missing (Debian: docker.io, debootstrap)")
    folder = tmp_path_factory.mktemp("engine")
    socket = f"unix://{folder}/socket"
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host={socket}"]
    with (folder / "log").open("w", encoding="utf-8") as log:
        engine = subprocess.Popen(
            ["dockerd", *places, "--iptables=false", "--bridge=none"], stdout=log, stderr=log, start_new_session=True
        )

    def run(*words, **more):
        return subprocess.run(["docker", "--host", socket, *words], capture_output=True, text=True, timeout=300, **more)

    try:
        for _ in range(300):
            if run("info").returncode == 0 or engine.poll() is not None:
                break
            time.sleep(0.1)
        if run("info").returncode != 0:
            pytest.skip(f"dockerd does not come up here: {(folder / 'log').read_text()[-300:]}")
        with base().open("rb") as tar:
            assert run("import", "-", "base", stdin=tar).returncode == 0
        yield run
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(timeout=60)


@pytest.mark.parametrize("user", ["0", "65534"])
def test_default_profile_without_capabilities(docker, plain_home, user):
    usual = read(judge(BUILD))
    inside = ["--rm", "--network=none", "--cap-drop=ALL", f"--ulimit=memlock={LIMIT}", f"--user={user}"]
    words = asked(*(f"/strongroom/subjects/{name}.so" for name in SUBJECTS))
    done = docker("run", *inside, f"--volume={plain_home}:/strongroom:ro", "base", "/strongroom/strongroom", *words)
    check(usual, read(done), {"own-limit"})
