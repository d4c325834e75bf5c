"""Surroundings that take something away: each verdict is the usual one, or says why it cannot be had; nothing hangs.

What this machine cannot produce is a counted skip. Yama's mode 3 cannot be left again without a reboot, so that what
it takes away (ptrace and the calls that need it) is taken away by a filter instead.
"""

import json
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
FILTER = BUILD / "suite" / "tests" / "under_filter"
SUBJECTS = ["ref-alloc", "malloc-mlock"]
NO_CAPABILITIES = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
# What Docker's default profile refuses to a container without capabilities, of what anybody here may think of.
DOCKER = (
    "process_vm_readv,process_vm_writev,kcmp,userfaultfd,unshare,setns,mount,umount2,pivot_root,swapon,swapoff,bpf,"
    "perf_event_open,add_key,keyctl,request_key,move_pages,mbind,set_mempolicy,open_by_handle_at,lookup_dcookie"
)
YAMA = "ptrace,process_vm_readv,process_vm_writev,process_madvise,pidfd_getfd,kcmp"
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def asked(*subjects):
    return ["compare", *(subjects or SUBJECTS), "--quick", "--json", "-"]


def in_namespace(change):
    """In mounts of its own, changed by a command of the shell."""
    return ["unshare", "--mount", "sh", "-c", f'{change} && exec "$@"', "sh"]


def judge(home, before=(), words=None, **more):
    return subprocess.run(
        [*before, home / "strongroom", *(words or asked())], capture_output=True, text=True, timeout=200, cwd="/", **more
    )


def read(done):
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-500:]}"
    return {(s["name"], v["promise"]): v for s in json.loads(done.stdout)["subjects"] for v in s["verdicts"]}


@pytest.fixture(scope="module")
def usual():
    return read(judge(BUILD))


def check(usual, seen, unseen=()):
    """Every verdict is the usual one, but those of `unseen` promises, which nobody could have judged here."""
    assert usual.keys() == seen.keys()
    for (name, promise), record in seen.items():
        summary = record["evidence"]["summary"]
        if promise in unseen and record["verdict"] == "not observable here":
            assert summary, (name, promise)
        else:
            assert record["verdict"] == usual[name, promise]["verdict"], (name, promise, summary)
    for promise in unseen:
        assert any(v["verdict"] == "not observable here" for (_, p), v in seen.items() if p == promise), promise


def can(before):
    return subprocess.run([*before, "true"], capture_output=True).returncode == 0


def test_limit_of_64_kib(usual):
    check(usual, read(judge(BUILD, ["prlimit", "--memlock=65536:65536"])))


def test_no_limit(usual):
    before = ["prlimit", "--memlock=unlimited:unlimited"]
    if not can(before):
        pytest.skip("the limit on locked memory cannot be raised here: needs CAP_SYS_RESOURCE")
    check(usual, read(judge(BUILD, before)))


def test_limit_of_nothing():
    seen = read(judge(BUILD, ["prlimit", "--memlock=0:0"]))
    for key, record in seen.items():
        if record["verdict"] != "not offered":
            assert record["verdict"] == "not observable here", key
            assert "RLIMIT_MEMLOCK" in record["evidence"]["summary"]
    words = ["verify", "ref-alloc-guarded", "--only", "locked"]
    assert judge(BUILD, ["prlimit", "--memlock=0:0"], words).returncode == 3


def test_addresses_that_are_not_random(usual):
    before = ["setarch", "--addr-no-randomize"]
    if not can(before):
        pytest.skip("personality(2) is refused here")
    check(usual, read(judge(BUILD, before)))


@root
def test_root_without_capabilities(usual):
    check(usual, read(judge(BUILD, NO_CAPABILITIES)), {"own-limit"})


@root
@pytest.mark.parametrize("calls", [DOCKER, YAMA], ids=["docker", "yama"])
def test_calls_refused_to_a_container(usual, calls):
    check(usual, read(judge(BUILD, [*NO_CAPABILITIES, FILTER, "refuse", calls])), {"own-limit"})


@root
def test_another_listener_is_there_already(usual):
    check(usual, read(judge(BUILD, [FILTER, "listener"])), {"fault-hygiene", "honest-lock", "unreadable"})


def test_seccomp_refused_altogether(usual):
    check(usual, read(judge(BUILD, [FILTER, "refuse", "seccomp"])), {"fault-hygiene", "honest-lock", "unreadable"})


@root
def test_core_files_go_to_a_program(usual, tmp_path):
    (tmp_path / "pattern").write_text("|/usr/bin/collector %p\n")
    before = in_namespace(f"mount --bind {tmp_path}/pattern /proc/sys/kernel/core_pattern")
    if not can(before):
        pytest.skip("nothing can be mounted here")
    seen = read(judge(BUILD, before))
    check(usual, seen)
    assert seen["ref-alloc-guarded", "no-dump"]["evidence"]["details"]["witness"] == "dd flag"


@root
def test_no_proc():
    before = in_namespace("mount -t tmpfs none /proc")
    if not can(before):
        pytest.skip("nothing can be mounted here")
    done = judge(BUILD, before)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("strongroom: ") and "/proc" in done.stderr and done.stderr.count("\n") == 1


@root
def test_processes_of_others_are_hidden(usual, plain_home):
    before = [*in_namespace("mount -o remount,hidepid=2 /proc || mount -t proc -o hidepid=2 proc /proc")]
    if not can(before):
        pytest.skip("nothing can be mounted here")
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    check(usual, read(judge(plain_home, [*before, *as_user])), {"own-limit"})


@root
def test_a_thousand_processes(usual, plain_home):
    as_user = ["prlimit", "--nproc=1000:1000", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    check(usual, read(judge(plain_home, as_user)), {"own-limit"})
