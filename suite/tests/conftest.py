"""What the end-to-end tests share: the program run whole, its JSON, and the same as a plain user."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import uuid

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
NOBODY = 65534
MARK = "STRONGROOM_TEST_MARK"


class Run:
    """One run that ended: its status, what it wrote, and its JSON where it was asked for."""

    def __init__(self, words, home=BUILD, user=None, env=None, timeout=240, before=()):
        self.mark = str(uuid.uuid4())
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        done = subprocess.run(
            [*as_user, *before, home / "strongroom", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {MARK: self.mark} | (env or {}),
            cwd="/",
            start_new_session=True,  # a subject that kills its parent's group kills nothing of ours
        )
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def verdicts(self):
        """(subject, promise) -> verdict record"""
        return {(s["name"], v["promise"]): v for s in self.json["subjects"] for v in s["verdicts"]}

    def named(self, subject):
        """promise -> verdict, of one subject"""
        return {promise: v["verdict"] for (name, promise), v in self.verdicts.items() if name == subject}

    def left_behind(self):
        """Processes of this run that still live; given a moment to go."""
        for _ in range(50):
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.is_ours(pid)]
            if not left:
                return []
            time.sleep(0.1)
        return left

    def is_ours(self, pid):
        try:
            return self.mark.encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False


@pytest.fixture(scope="session")
def strongroom():
    return lambda *words, **more: Run(words, **more)


@pytest.fixture(scope="session")
def plain_home():
    """A copy of the program that any user can read and that lies on a path any user can walk."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-"))
    home.chmod(0o755)
    for name in ("strongroom", "strongroom-case"):
        shutil.copy(BUILD / name, home)
    for folder in ("subjects", "controls"):
        (home / folder).mkdir()
        for so in sorted((BUILD / folder).glob("*.so")):
            shutil.copy(so, home / folder)
    (home / "fixtures").mkdir()
    for so in sorted((BUILD / "suite" / "tests").glob("*.so")):
        shutil.copy(so, home / "fixtures")
    for path in home.rglob("*"):
        path.chmod(0o755)
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def plainly(plain_home):
    """Runs the program as a plain user: as nobody where the tests run as root, else as who runs them."""
    user = NOBODY if os.geteuid() == 0 else None
    return lambda *words, **more: Run(words, home=plain_home, user=user, **more)
