"""Several machines, each in a network namespace of its own: what one finds reaches the others, and one that is lost and
comes back has lost nothing. Nightly: minutes, and needs root."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
HOSTS = ("a", "b", "c")
TOOLS = ("ip", "rsync", "afl-fuzz", "afl-clang-fast")
WAIT_S = 500  # seconds on a machine with nothing else to do


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True)


class Network:
    """A namespace for each host and one for the bridge between them; nothing of it is in the machine's own."""

    def __init__(self):
        self.mark = f"sr{os.getpid()}"
        self.made = []

    def space(self, name):
        return f"{self.mark}-{name}"

    def up(self):
        for name in ("hub", *HOSTS):
            ip("netns", "add", self.space(name))
            self.made.append(name)
        hub = self.space("hub")
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        for number, name in enumerate(HOSTS, 1):
            ip("-n", hub, "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", self.space(name))
            ip("-n", hub, "link", "set", f"to-{name}", "master", "bridge", "up")
            ip("-n", self.space(name), "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", self.space(name), "link", "set", "eth0", "up")
            ip("-n", self.space(name), "link", "set", "lo", "up")

    def kill(self, name):
        """All that runs in a namespace: AFL++'s targets have sessions of their own."""
        done = subprocess.run(["ip", "netns", "pids", self.space(name)], capture_output=True, text=True)
        for pid in map(int, done.stdout.split()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def down(self):
        for name in reversed(self.made):
            self.kill(name)
            subprocess.run(["ip", "netns", "delete", self.space(name)], capture_output=True)


class Host:
    """One machine: its campaign, an instance of AFL++, a daemon that lets others read, and the exchange."""

    def __init__(self, network, name, folder):
        self.network, self.name = network, name
        self.folder = folder / name
        (self.folder / "afl").mkdir(parents=True)
        self.address = f"10.77.0.{HOSTS.index(name) + 1}"
        self.processes = []
        # One folder up, so that the daemon serves the campaign as a module.
        (folder / f"{name}.conf").write_text(f"use chroot = no\npid file = {folder}/{name}.pid\n[campaign]\npath = {self.folder}\nread only = yes\nuid = 0\ngid = 0\n")
        self.config = folder / f"{name}.conf"

    def start(self, *command, **environment):
        log = (self.config.parent / f"{self.name}.log").open("a")
        command = ["ip", "netns", "exec", self.network.space(self.name), *map(str, command)]
        self.processes.append(subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True))

    def seeds(self):
        """The committed inputs without every third one, another third on each host: that is new to it when it comes."""
        folder = self.config.parent / f"{self.name}.seeds"
        folder.mkdir(exist_ok=True)
        texts = (SOURCE / "corpus/allocator").rglob("*.txt")
        subprocess.run([BUILD / "fuzz/strongroom-fuzz", "--assemble", folder, *texts], check=True)
        for path in (SOURCE / "corpus/allocator/minimised").glob("[!.]*"):
            shutil.copy(path, folder)
        for path in sorted(folder.iterdir())[HOSTS.index(self.name) :: len(HOSTS)]:
            path.unlink()
        return folder

    def run(self):
        pathlib.Path(f"{self.config.parent}/{self.name}.pid").unlink(missing_ok=True)
        self.start("rsync", "--daemon", "--no-detach", f"--config={self.config}", "--port=8730")
        worker = ["/usr/bin/python3", SOURCE / "docker/worker", "afl-main", "--host", self.name, "--subject", BUILD / "controls/correct.so", "--seeds", self.seeds()]
        self.start(*worker, CAMPAIGN=str(self.folder), AFL_SYNC_TIME="1")
        peers = [f"rsync://10.77.0.{HOSTS.index(name) + 1}:8730/campaign" for name in HOSTS if name != self.name]
        self.start(SOURCE / "docker/exchange", "--every", 5, self.folder, self.name, *peers)

    def lose(self):
        """All at once, as when the power goes."""
        ip("-n", self.network.space("hub"), "link", "set", f"to-{self.name}", "down")
        self.network.kill(self.name)
        for process in self.processes:
            process.wait()
        self.processes = []

    def come_back(self):
        ip("-n", self.network.space("hub"), "link", "set", f"to-{self.name}", "up")
        self.run()

    def queue(self, of):
        """What is here of the main instance of a host: name -> bytes."""
        return {path.name: path.read_bytes() for path in (self.folder / "afl" / f"main-{of}" / "queue").glob("id:*")}

    def imported_from(self, other):
        """Inputs that this host's own instance took into its queue because they were new to it."""
        return [name for name in self.queue(self.name) if f"sync:main-{other}" in name]

    def log(self):
        return (self.config.parent / f"{self.name}.log").read_text(errors="replace")[-1500:]


def wait_for(what, seen, hosts):
    end = time.monotonic() + WAIT_S
    while not seen():
        assert time.monotonic() < end, f"{what}: not within {WAIT_S} s\n" + "\n".join(host.log() for host in hosts)
        time.sleep(1)


@pytest.fixture
def hosts(tmp_path):
    missing = next((tool for tool in TOOLS if not shutil.which(tool)), "root" if os.geteuid() != 0 else None)
    if missing:
        pytest.skip(f"several machines: {missing} is missing (Debian: iproute2, rsync, afl++)")
    subprocess.run([SOURCE / "fuzz/engines", BUILD, "afl"], check=True)
    network = Network()
    hosts = []
    try:
        network.up()
        hosts += [Host(network, name, tmp_path) for name in HOSTS]
        yield hosts
    finally:
        network.down()
        for host in hosts:
            for process in host.processes:
                process.wait()


def test_a_finding_reaches_the_others_and_a_lost_host_loses_nothing(hosts):
    a, b, c = hosts
    for host in hosts:
        host.run()
    wait_for("b has what a found in its own queue, and a what c found", lambda: b.imported_from("a") and a.imported_from("c"), hosts)

    c.lose()
    had = c.queue("c")
    known_of_a = set(c.queue("a"))
    assert had
    wait_for("a goes on without c", lambda: len(a.queue("a")) > len(known_of_a) + 3, hosts)
    assert set(c.queue("a")) == known_of_a  # it is really away

    c.come_back()
    wait_for("c gets what it missed", lambda: set(c.queue("a")) > known_of_a, hosts)
    wait_for("all that c had found is with the others", lambda: all(set(had.values()) <= set(host.queue("c").values()) for host in (a, b)), hosts)
    wait_for("c goes on", lambda: len(c.queue("c")) > 0 and (c.folder / "afl/main-c/fuzzer_stats").exists(), hosts)
    assert set(had.values()) <= set(c.queue("c").values())
