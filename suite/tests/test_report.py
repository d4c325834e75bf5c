"""The command line, the reports and the exit statuses, on made-up results (fake_run.c): every verdict on demand."""

import fcntl
import json
import os
import pathlib
import pty
import resource
import select
import signal
import stat
import struct
import subprocess
import termios

import jsonschema
import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
FAKE = BUILD / "suite" / "tests" / "strongroom-fake"
PLAIN = {"PATH": os.environ["PATH"], "TERM": "xterm"}


def strongroom(*words, env=None, **more):
    return subprocess.run(
        [FAKE, *words], env=PLAIN | (env or {}), capture_output=True, text=True, timeout=60, **more
    )


def wrong(line, *words, **more):
    """The command is refused: exit 2, exactly this line on stderr, and nothing on stdout."""
    done = strongroom(*words, **more)
    assert (done.returncode, done.stderr, done.stdout) == (2, f"strongroom: {line}\n", "")


# ---- what is typed wrong ----


@pytest.mark.parametrize(
    "line, words",
    [
        ("name a command: verify, compare, list, explain or replay; --help says more", []),
        ("unknown command 'verfy'; did you mean 'verify'?", ["verfy", "good"]),
        ("unknown command 'frobnicate'; --help shows those there are", ["frobnicate"]),
        ("unknown option '--frobnicate'; --help shows those there are", ["--frobnicate"]),
        ("verify: unknown option '--jbos'; did you mean '--jobs'?", ["verify", "good", "--jbos", "2"]),
        ("verify: unknown option '--jbos'; did you mean '--jobs'?", ["verify", "good", "--jbos=2"]),
        ("verify: unknown option '-x'; --help shows those there are", ["verify", "-x", "good"]),
        ("verify: unknown option '--qqqq'; --help shows those there are", ["verify", "good", "--qqqq"]),
        ("verify: option '--jobs' needs a value", ["verify", "good", "--jobs"]),
        ("verify: option '--verbose' takes no value", ["verify", "good", "--verbose=yes"]),
        ("compare: unknown option '--allow-unobserved'; --help shows those there are",
         ["compare", "--allow-unobserved", "fork"]),
        ("verify: unknown promise 'zero-on-fre'; did you mean 'zero-on-free'?",
         ["verify", "good", "--only", "locked,zero-on-fre"]),
        ("verify: unknown promise 'qqq'; 'strongroom list' names them", ["verify", "good", "--allow-unobserved", "qqq"]),
        ("verify: unknown promise ''; 'strongroom list' names them", ["verify", "good", "--only", "locked,"]),
        ("verify: unknown promise ''; 'strongroom list' names them", ["verify", "good", "--only", ""]),
        ("verify: --jobs: '0' is not a number from 1 to 1024", ["verify", "good", "--jobs", "0"]),
        ("verify: --jobs: '-1' is not a number from 1 to 1024", ["verify", "good", "--jobs", "-1"]),
        ("verify: --jobs: '2x' is not a number from 1 to 1024", ["verify", "good", "--jobs", "2x"]),
        ("verify: --jobs: '99999999999999999999' is not a number from 1 to 1024",
         ["verify", "good", "--jobs", "99999999999999999999"]),
        ("verify: --timeout: '0' is not a number of seconds from 0.1 to 86400", ["verify", "good", "--timeout", "0"]),
        ("verify: --timeout: 'nan' is not a number of seconds from 0.1 to 86400", ["verify", "good", "--timeout", "nan"]),
        ("verify: --timeout: '1e9' is not a number of seconds from 0.1 to 86400", ["verify", "good", "--timeout", "1e9"]),
        ("verify: --seed: '-5' is not a whole number below 2^64", ["verify", "good", "--seed", "-5"]),
        ("verify: --seed: '18446744073709551616' is not a whole number below 2^64",
         ["verify", "good", "--seed", "18446744073709551616"]),
        ("verify: --json: the name of the file is empty", ["verify", "good", "--json", ""]),
        ("verify: --sarif: the name of the file is empty", ["verify", "good", "--sarif", ""]),
        ("verify: --json and --junit cannot both go to stdout: give one of them a file",
         ["verify", "good", "--json", "-", "--junit", "-"]),
        ("verify: name a subject, or the path of a .so or a program; 'strongroom list' shows what was found here", ["verify"]),
        ("unknown subject 'goood'; did you mean 'good'?", ["verify", "goood"]),
        ("unknown subject 'no?such'", ["compare", "no\nsuch"]),
        ("list: takes no subject: 'good'", ["list", "good"]),
        ("explain: name a promise, or --all; 'strongroom list' names them", ["explain"]),
        ("unknown promise 'lock'; did you mean 'locked'?", ["explain", "fork", "lock"]),
        ("replay: takes a program and a subject: strongroom replay PROGRAM SUBJECT", ["replay", "one"]),
    ],
)
def test_wrong(line, words):
    wrong(line, *words)


# ---- exit statuses, and what they are in words ----


@pytest.mark.parametrize(
    "status, words, last",
    [
        (0, ["good"], "6 of 6 core and claimed promises hold"),
        (1, ["bad"], "1 promise is broken"),
        (1, ["bad", "blind"], "1 promise is broken"),
        (2, ["faulty"], "the verifier itself failed on 1 promise"),
        (2, ["bad", "faulty"], "the verifier itself failed on 1 promise"),
        (3, ["blind", "--only", "fork"],
         "nothing is broken, but 1 core or claimed promise could not be observed here (--allow-unobserved fork accepts that)"),
        (3, ["blind", "--only", "fork,locked", "--allow-unobserved", "fork"],
         "nothing is broken, but 1 core or claimed promise could not be observed here (--allow-unobserved locked accepts that)"),
        (0, ["blind", "--only", "fork,zero-on-free", "--allow-unobserved", "fork"],
         "1 of 2 core and claimed promises hold, 1 not observable here, as allowed"),
        (0, ["bare"], "0 of 3 core and claimed promises hold, 3 not offered"),
        (0, ["bare", "--only", "fork"], "nothing that was asked for is core or claimed"),
    ],
)
def test_gate(status, words, last):
    done = strongroom("verify", *words)
    assert done.returncode == status, done.stderr
    text = " ".join(done.stdout[done.stdout.rindex("exit "):].split())
    assert text == f"exit {status}: {last}"
    assert done.stderr == ""


def test_compare_exits_0_whatever_was_found_and_2_on_an_error():
    assert strongroom("compare", "good", "bad", "blind").returncode == 0
    assert strongroom("compare", "good", "faulty").returncode == 2


def test_version_and_helps():
    version = next(line for line in (SOURCE / "meson.build").read_text().splitlines() if line.strip().startswith("version:"))
    assert strongroom("--version").stdout == f"strongroom {version.split(chr(39))[1]} (contract 1)\n"
    assert strongroom("--help").returncode == 0
    for command in ["verify", "compare", "list", "explain", "replay"]:
        done = strongroom(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: strongroom {command}")
        assert command in strongroom("--help").stdout
        assert all(len(line) <= 100 for line in done.stdout.splitlines())


# ---- text for people ----


def cells(text):
    """The table of `compare`, all its blocks: (promise, n-th subject) -> cell."""
    rows = {}
    for line in text.split("BROKEN  core")[0].splitlines():
        words = line.split()
        if line.startswith("  ") and words and words[0] in ("locked", "accounting", "zero-on-free", "fork"):
            rows.setdefault(words[0], []).extend(words[1:])
    return rows


def test_compare_has_each_verdict_in_its_cell_at_any_width():
    wide = strongroom("compare", env={"COLUMNS": "120"}).stdout
    narrow = strongroom("compare", env={"COLUMNS": "40"}).stdout
    assert cells(wide)["zero-on-free"] == ["holds", "BROKEN", "holds", "holds", "-", "holds", "holds", "holds"]
    assert cells(wide)["fork"] == ["holds", "-", "n/o", "ERROR", "-", "-", "holds", "holds"]
    assert cells(wide) == cells(narrow)
    table = narrow.split("BROKEN  core")[0]
    assert all(len(line) <= 40 for line in table.splitlines()[2:])


def test_compare_counts_the_five_apart_and_names_all():
    text = strongroom("compare").stdout
    totals = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line[:2] == "  " and len(line.split()) == 6}
    assert totals["good"] == ["6", "0", "0", "0", "0"]
    assert totals["blind"] == ["1", "0", "0", "5", "0"]
    assert totals["faulty"] == ["3", "0", "2", "0", "1"]
    assert "strongroom verify bad --only zero-on-free --case n=32 --seed 7\n" in text
    assert "2 skipped" in text and "memguard  needs a Go compiler: golang-go" in text
    assert "  fork: /proc/PID/mem of the case: Permission denied (blind)\n" in text


def test_claims_that_nobody_knows_are_said():
    heading = "Not judged: 1 claim of a promise that this version does not know\n"
    assert heading + "  loud: unheard-of\n" in strongroom("verify", "good", "loud").stdout
    assert heading + "\n" in strongroom("compare").stdout
    assert "Not judged" not in strongroom("verify", "good").stdout


def test_text_has_no_trailing_space_and_no_control_character():
    for words in (["compare", "--verbose"], ["verify", "good", "bad", "loud", "--verbose"], ["list"], ["explain", "--all"]):
        done = strongroom(*words)
        assert all(line == line.rstrip() for line in done.stdout.splitlines()), done.stdout
        assert all(character == "\n" or ord(character) >= 32 for character in done.stdout)
    loud = strongroom("verify", "loud").stdout.splitlines()
    assert "?[2J one?line" in "\n".join(loud) and any(line.startswith("loud 1??[31m") for line in loud)


def test_verbose_says_what_was_swept_counted_and_controlled():
    quiet, loud = strongroom("verify", "good").stdout, strongroom("verify", "good", "--verbose").stdout
    for said in ("3 sizes swept", "page-1=4095", "40 cases: 38 kept, 0 broken, 2 refused, 0 unseen",
                 "seen to fail: 32 bytes left", "seen to pass: nothing left"):
        assert said in loud and said not in quiet
    assert "Controls\n" in strongroom("compare", "--verbose").stdout


# ---- on a terminal ----


def on_terminal(*words, env=None, columns=90):
    """All that the program writes to a terminal of that many columns."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    child = subprocess.Popen([FAKE, *words], env=PLAIN | (env or {}), stdin=side, stdout=side, stderr=side)
    os.close(side)
    seen = b""
    while select.select([main], [], [], 30)[0]:
        try:
            piece = os.read(main, 65536)
        except OSError:  # EIO: the last writer has gone
            break
        if not piece:
            break
        seen += piece
    os.close(main)
    child.wait(30)
    return seen.decode()


def test_colour_on_a_terminal_only():
    assert "\033[1;31mBROKEN" in on_terminal("compare")
    assert "\033[" not in strongroom("compare").stdout
    assert "\033[1;31m" not in on_terminal("compare", env={"NO_COLOR": "1"})
    assert "\033[" not in on_terminal("compare", env={"TERM": "dumb"})
    assert "\033[1;31mBROKEN" in on_terminal("compare", env={"NO_COLOR": ""})


def test_width_of_the_terminal_and_columns_before_it():
    assert max(len(line) for line in on_terminal("list", env={"NO_COLOR": "1"}, columns=60).splitlines()) <= 60
    assert max(len(line) for line in on_terminal("list", env={"NO_COLOR": "1", "COLUMNS": "80"}, columns=60).splitlines()) > 60


def test_progress_is_rewritten_and_erased():
    seen = on_terminal("verify", "good", env={"FAKE_SLOW": "1"})
    before, after = seen.split("Linux", 1)
    assert "\r\033[Krunning 3 of 10: good locked" in before
    assert before.rsplit("running", 1)[1].endswith("\r\033[K\033[2m")
    assert "running" not in after


def test_progress_without_a_terminal_is_rare_and_plain():
    assert strongroom("verify", "good", env={"FAKE_SLOW": "1"}).stderr == ""
    lines = strongroom("verify", "good", env={"FAKE_SLOW": "4"}).stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("running ")


# ---- JSON ----


def schema():
    return json.loads((SOURCE / "docs" / "strongroom-result-1.schema.json").read_text())


def test_schema_is_strict_and_the_result_follows_it(tmp_path):
    path = tmp_path / "result.json"
    done = strongroom("compare", "--json", path)
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    result = json.loads(path.read_text())
    validator.validate(result)
    assert done.stdout.startswith("Linux ")
    result["subjects"][0]["verdicts"][0]["more"] = 1
    assert not validator.is_valid(result)


def test_json_holds_what_the_table_says(tmp_path):
    result = json.loads(strongroom("verify", "bad", "blind", "--json", "-", "--seed", str(2**64 - 1)).stdout)
    bad, blind = result["subjects"]
    verdicts = {one["promise"]: one for one in bad["verdicts"]}
    assert verdicts["zero-on-free"]["verdict"] == "broken" and verdicts["zero-on-free"]["claimed"]
    assert verdicts["zero-on-free"]["repeat"].startswith("strongroom verify bad")
    assert verdicts["locked"]["controls"]["positive"]["summary"] == "32 bytes left, as they should be"
    assert blind["summary"] == {"holds": 1, "broken": 0, "not offered": 0, "not observable here": 5, "error": 0}
    assert result["host"]["memlock_soft_bytes"] == 8 << 20 and result["host"]["memlock_hard_bytes"] is None
    assert result["sizes"][1] == {"size": "page-1", "bytes": 4095}
    assert result["seed"] == str(2**64 - 1)
    assert result["skipped"][0]["name"] == "memguard"


def test_json_to_stdout_sends_the_text_to_stderr():
    done = strongroom("verify", "bad", "--json", "-")
    assert json.loads(done.stdout)["schema"] == "strongroom-result/1"
    assert done.stderr.endswith("exit 1: 1 promise is broken\n")
    assert done.returncode == 1
    listed = strongroom("list", "--json", "-")
    assert json.loads(listed.stdout)["subjects"][0]["offers"][:4] == ["open", "alloc", "free", "close"]


def test_json_replaces_the_file_whole(tmp_path):
    path, link = tmp_path / "result.json", tmp_path / "link.json"
    path.write_text("old")
    link.symlink_to(path)
    assert strongroom("verify", "good", "--json", link).returncode == 0
    assert link.is_symlink() and json.loads(path.read_text())["cases"] == 1234
    assert sorted(tmp_path.iterdir()) == [link, path]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_json_to_what_is_no_file_leaves_it_one(tmp_path):
    pipe = tmp_path / "pipe"  # not a device: a program that replaced it would have replaced /dev/null
    os.mkfifo(pipe)
    with subprocess.Popen(["timeout", "20", "cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        assert strongroom("verify", "good", "--json", pipe).returncode == 0
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert json.loads(reader.stdout.read())["schema"] == "strongroom-result/1"


def no_room():
    """Files may not grow; writing says so instead of ending the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_json_that_does_not_fit_leaves_what_was_there(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    done = strongroom("verify", "good", "--json", path, preexec_fn=no_room)
    assert (done.returncode, done.stderr) == (2, f"strongroom: cannot write '{path}': File too large\n")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_json_that_cannot_be_written_is_found_out_first(tmp_path):
    slow = {"FAKE_SLOW": "30"}
    missing = tmp_path / "no" / "result.json"
    wrong(f"cannot write '{missing}': No such file or directory", "verify", "good", "--json", missing, env=slow)
    wrong(f"cannot write '{tmp_path}': Is a directory", "verify", "good", "--json", tmp_path, env=slow)
    wrong("cannot write '/proc/none.json': No such file or directory", "compare", "--json", "/proc/none.json", env=slow)


def test_a_full_disk_is_no_success():
    with open("/dev/full", "w") as full:
        done = subprocess.run([FAKE, "list"], env=PLAIN, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "strongroom: cannot write to stdout\n")
