"""What a campaign keeps when it is killed; and, by night, a whole one that is killed with SIGKILL."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
os.environ["STRONGROOM_FUZZ_BUILD"] = str(BUILD)
sys.path.insert(0, str(SOURCE / "fuzz"))
sys.dont_write_bytecode = True
import campaign  # noqa: E402
import recipes  # noqa: E402

BAD = b"SRP\x01\0\0\0\0" + bytes.fromhex("0100000000000000 0600000028000000 0a00000000000000 0800000000000000".replace(" ", ""))


@pytest.fixture
def variant():
    return recipes.Variant(BUILD / "defects" / "wipe-sizeof-pointer.so", "wipe-sizeof-pointer")


def test_seconds_are_kept_for_the_same_words_only_and_until_they_are_over(tmp_path):
    path = tmp_path / "state.json"
    state = campaign.State(path, [1.5, "x"])
    state.add("one", 10)
    state.add("one", 2.5)
    (tmp_path / "state.json.new").write_text('{"asked": [1.5, "x"], "sec')  # killed while it wrote
    assert campaign.State(path, [1.5, "x"]).used("one") == 12.5
    again = campaign.State(path, [1.5, "x"])
    again.values["done"] = True
    again.save()
    assert campaign.State(path, [1.5, "x"]).used("one") == 0
    assert campaign.State(path, [2, "x"]).used("one") == 0


def test_rounds_add_up_to_the_hours_and_none_is_short():
    for total in (5, 72, 130, 200, 3600, 100000):
        left, rounds = total, []
        while left > 0:
            rounds.append(campaign.round_seconds(total, left))
            left -= rounds[-1]
        assert sum(rounds) == total
        assert min(rounds) >= min(total, 60)
        assert max(rounds) < 600 + 60 + 1


def test_what_engines_had_when_they_were_killed_is_taken_in(tmp_path, variant):
    job = tmp_path / "tmp" / "libFuzzerTemp.x.dir" / "C3"
    queue = tmp_path / "afl" / "afl-0" / "queue"
    job.mkdir(parents=True)
    queue.mkdir(parents=True)
    (job / "new").write_bytes(b"one input")
    (queue / "id:000007").write_bytes(b"another")
    (queue / "id:000008").write_bytes(b"one input")
    violations = campaign.Violations(variant, tmp_path)
    campaign.prepare(variant, tmp_path, violations)
    contents = [path.read_bytes() for path in (tmp_path / "corpus").iterdir()]
    assert contents.count(b"one input") == 1
    assert contents.count(b"another") == 1
    assert list((tmp_path / "tmp").iterdir()) == []
    # The seeds break a promise of this subject: they are put aside, and the promise is passed over from now on.
    assert "zero-on-free" in violations.promises()
    assert "zero-on-free" in violations.to_ignore()
    found = violations.found["promises"]["zero-on-free"]
    assert found["file"] not in [str(path) for path in (tmp_path / "corpus").iterdir()]
    assert pathlib.Path(found["file"]).stat().st_size == found["bytes"]


def test_a_violation_is_judged_once_and_its_smallest_input_is_shown(tmp_path, variant):
    (tmp_path / "small").write_bytes(BAD)
    (tmp_path / "large").write_bytes(BAD + bytes.fromhex("0600010028000000"))
    violations = campaign.Violations(variant, tmp_path)
    violations.judge([tmp_path / "large", tmp_path / "small", tmp_path / "gone"])
    violations.judge([tmp_path / "small"])
    kept = json.loads((tmp_path / "violations.json").read_text())
    assert {name: entry["count"] for name, entry in kept["promises"].items()} == {"zero-on-free": 2}
    assert kept["promises"]["zero-on-free"]["bytes"] == len(BAD)
    assert campaign.Violations(variant, tmp_path).promises() == ["zero-on-free"]


def test_what_engines_found_in_a_round_that_was_killed_is_judged(tmp_path):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "crash-1").write_bytes(BAD)
    correct = recipes.Variant(BUILD / "controls" / "correct.so", "control-correct")
    violations = campaign.Violations(correct, tmp_path)
    campaign.prepare(correct, tmp_path, violations)
    assert violations.promises() == ["not again"]  # the committed inputs break nothing of it
    assert list((tmp_path / "artifacts").iterdir()) == []


@pytest.mark.parametrize("data, said", [(BAD, "ended of it: locked 3 one page is not locked;"), (BAD + BAD[-8:], "without a word;")])
def test_what_an_engine_said_of_what_breaks_nothing_alone_is_told(data, said, tmp_path):
    (tmp_path / campaign.REPORTS).write_text(f"{campaign.fnv1a(b'x'):08x} sizes 1 of another\n{campaign.fnv1a(BAD):08x} locked 3 one page is not locked\n")
    violations = campaign.Violations(recipes.Variant(BUILD / "controls" / "correct.so", "control-correct"), tmp_path)
    (tmp_path / "crash").write_bytes(data)
    violations.judge([tmp_path / "crash"])
    assert said in violations.found["promises"]["not again"]["text"]


def test_what_lies_behind_a_known_violation_is_seen(tmp_path):
    leaking = recipes.Variant(BUILD / "controls" / "leaking.so", "control-leaking")
    violations = campaign.Violations(leaking, tmp_path)
    for data, promises in ((BAD, 1), (BAD + BAD[-8:], 2)):  # of the second, too, the first that is broken is the same
        (tmp_path / "find").write_bytes(data)
        violations.judge([tmp_path / "find"])
        assert len(violations.promises()) == promises


def slow(violations, *inputs):
    paths = [violations.folder.parent / f"slow-{number}" for number in range(len(inputs))]
    for path, data in zip(paths, inputs):
        path.write_bytes(data)
    violations.judge([], paths)
    return violations.found["given_up"]


def test_what_was_slow_breaks_nothing_where_it_ends_alone_but_is_told(tmp_path):
    violations = campaign.Violations(recipes.Variant(BUILD / "controls" / "correct.so", "control-correct"), tmp_path)
    slow(violations, BAD)
    given_up = slow(violations, BAD, BAD + BAD[-8:])
    assert violations.promises() == []
    assert (given_up["count"], given_up["untried"]) == (2, 0)
    assert json.loads((tmp_path / "violations.json").read_text())["given_up"] == given_up
    (kept,) = violations.folder.iterdir()
    assert str(kept) == given_up["file"] and kept.read_bytes() == BAD
    (tmp_path / "crash").write_bytes(BAD + BAD[-8:])
    violations.judge([tmp_path / "crash"])
    assert violations.promises() == ["not again"]


def test_what_afl_found_killed_was_slow(tmp_path):
    (tmp_path / "afl" / "afl-0" / "crashes").mkdir(parents=True)
    for name, data in (("id:000000,sig:09,src:000001", BAD), ("id:000001,sig:06,src:000001", BAD + BAD[-8:])):
        (tmp_path / "afl" / "afl-0" / "crashes" / name).write_bytes(data)
    violations = campaign.Violations(recipes.Variant(BUILD / "controls" / "correct.so", "control-correct"), tmp_path)
    campaign.judge_finds(tmp_path, violations)
    assert (violations.found["given_up"]["count"], violations.found["promises"]["not again"]["count"]) == (1, 1)


def test_what_was_slow_and_does_not_end_alone_is_a_hang(tmp_path):
    violations = campaign.Violations(recipes.Variant(BUILD / "suite" / "tests" / "hang_alloc.so", "hang-alloc"), tmp_path)
    assert slow(violations, BAD, BAD + BAD[-8:]) == {"count": 0, "untried": 1}
    assert violations.promises() == ["hang"] and violations.to_ignore() == ""


class Mine(recipes.Variant):
    """A shared object that may be replaced, whose variant is always called the same."""

    def __init__(self, path):
        super().__init__(path, "mine")

    def put(self, folder, name, inside):
        shutil.copy(BUILD / folder / f"{name}.so", self.path)
        self.inside = inside
        return self

    def put_good(self):
        return self.put("controls", "correct", "control-correct")

    def put_bad(self):
        return self.put("defects", "wipe-sizeof-pointer", "wipe-sizeof-pointer")

    def environment(self, engine=None, **more):
        return super().environment(engine, **more) | {"STRONGROOM_VARIANT": self.inside}


class Campaigns:
    """Campaigns in one folder, each by its words; begin() is what a campaign does first, also after a kill."""

    def __init__(self, folder):
        self.folder, self.work = folder, folder / "mine"
        self.work.mkdir()

    def begin(self, variant, words="x"):
        self.state = campaign.State(self.folder / f"{words}.state.json", [1, words])
        self.violations = campaign.begin(variant, self.work, campaign.identity(variant), self.state, recipes.Show(at_once=True))
        return self.violations

    def find(self, name, data=BAD, where="artifacts"):
        (self.work / where).mkdir(parents=True, exist_ok=True)
        (self.work / where / name).write_bytes(data)

    def counts(self):
        return {name: entry["count"] for name, entry in self.violations.found["promises"].items()}


@pytest.fixture
def campaigns(tmp_path):
    return Campaigns(tmp_path)


def test_what_was_found_on_another_shared_object_is_not_said_of_this_one(campaigns, tmp_path, capsys):
    mine = Mine(tmp_path / "mine.so")
    campaigns.begin(mine.put_bad())
    campaigns.find("crash-1")
    campaigns.find("crash-2", BAD + BAD[-8:])
    campaign.judge_finds(campaigns.work, campaigns.violations)
    campaigns.state.add("mine", 30)
    campaigns.find("crash-3", BAD + bytes(8))  # of a round that was killed
    assert campaigns.counts() == {"zero-on-free": 2}
    (campaigns.work / "samples.csv").write_text("of the bad one\n")
    campaigns.begin(mine.put_good())
    assert campaigns.counts() == {}
    assert campaigns.state.used("mine") == 0 and not (campaigns.work / "samples.csv").exists()
    assert "mine: mine.so is another one than before: begins anew, the corpus is kept\n" in capsys.readouterr().out
    campaigns.state.add("mine", 30)
    campaigns.begin(mine.put_bad())  # what broke it is known still
    assert campaigns.counts() == {"zero-on-free": 1}


def test_campaigns_that_share_a_folder_do_not_share_figures_or_finds(campaigns, tmp_path, capsys):
    good, bad = Mine(tmp_path / "a.so").put_good(), Mine(tmp_path / "b.so").put_bad()
    campaigns.begin(good, "a")
    campaigns.state.add("mine", 30)
    campaigns.begin(bad, "b")
    campaigns.find("crash-1")
    campaign.judge_finds(campaigns.work, campaigns.violations)
    campaigns.state.add("mine", 20)
    campaigns.begin(good, "a")
    assert campaigns.counts() == {} and campaigns.state.used("mine") == 0
    campaigns.begin(bad, "b")
    assert campaigns.counts() == {"zero-on-free": 1} and campaigns.state.used("mine") == 0
    capsys.readouterr()
    campaigns.state.add("mine", 20)
    campaigns.begin(bad, "b")
    assert campaigns.counts() == {"zero-on-free": 1} and campaigns.state.used("mine") == 20
    assert capsys.readouterr().out == "going on: mine 0:00:20\n"


def test_a_new_campaign_counts_anew(campaigns, tmp_path):
    mine = Mine(tmp_path / "mine.so").put_bad()
    campaigns.begin(mine)
    campaigns.find("crash-1")
    campaign.judge_finds(campaigns.work, campaigns.violations)
    campaigns.begin(mine, "other words")
    assert campaigns.counts() == {"zero-on-free": 1}
    campaigns.find("crash-1")
    campaign.judge_finds(campaigns.work, campaigns.violations)
    assert campaigns.counts() == {"zero-on-free": 1}
    campaigns.state.add("mine", 30)
    campaigns.begin(mine)
    campaigns.state.add("mine", 30)
    campaigns.begin(mine, "other words")  # the figures in the folder are the other's by now
    assert campaigns.state.used("mine") == 0


def test_a_shared_object_that_changes_meanwhile_ends_the_campaign(tmp_path, capsys):
    mine = Mine(tmp_path / "mine.so").put_bad()
    subject = campaign.identity(mine)
    campaign.demand_unchanged(mine, subject)
    for change in (mine.put_good, mine.path.unlink):
        change()
        with pytest.raises(SystemExit) as ended:
            campaign.demand_unchanged(mine, subject)
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(f"fuzz: {mine.path}") and said.count("\n") == 1


def test_what_lies_behind_another_violation_is_found_again(campaigns):
    leaking = recipes.Variant(BUILD / "controls" / "leaking.so", "control-leaking")
    campaigns.begin(leaking)
    for data in (BAD, BAD + BAD[-8:]):
        campaigns.find("crash-1", data)
        campaign.judge_finds(campaigns.work, campaigns.violations)
    promises = campaigns.violations.promises()
    assert len(promises) == 2
    assert set(campaigns.begin(leaking, "other words").promises()) >= set(promises)


def test_a_state_that_is_damaged_is_named_and_nothing_found_is_lost(campaigns, tmp_path, capsys):
    mine = Mine(tmp_path / "mine.so").put_bad()
    campaigns.begin(mine)
    campaigns.find("crash-1")
    campaign.judge_finds(campaigns.work, campaigns.violations)
    capsys.readouterr()
    kept = {path: path.read_text() for path in (tmp_path / "x.state.json", campaigns.work / "violations.json")}
    for path, whole in kept.items():
        for text in ("", "{", "{}", "[]", "7", "\0", whole.replace("{", "["), whole.replace('"executions"', '"x"').replace('"judged"', '"x"'), whole[: len(whole) // 2]):
            path.write_text(text)
            campaigns.begin(mine)
            assert campaigns.counts() == {"zero-on-free": 1}, (path.name, text)
            said = capsys.readouterr().err.splitlines()
            assert len(said) == 1 and said[0].startswith(f"fuzz: {path}: "), (text, said)
            path.write_text(whole)


def test_a_full_disk_leaves_what_was_kept(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    campaign.State(path, [1, "x"]).add("one", 10)

    def full(descriptor):
        os.ftruncate(descriptor, 3)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(campaign.os, "fsync", full)
    with pytest.raises(OSError):
        campaign.State(path, [1, "x"])
    monkeypatch.undo()
    assert campaign.State(path, [1, "x"]).used("one") == 10


def stats(work, executions, edges, age_seconds, instance="afl-0"):
    path = work / "afl" / instance / "fuzzer_stats"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"execs_done        : {executions}\nedges_found       : {edges}\n")
    os.utime(path, (time.time() - age_seconds,) * 2)


class Said(campaign.Round):
    """A round without engines."""

    def __init__(self, work):
        self.work, self.began, self.logs = work, time.time() - 10, {"libfuzzer": work / "log"}
        self.logs["libfuzzer"].write_text("INFO: -fork=1\n")


def test_figures_are_of_this_round_and_not_of_the_one_before(tmp_path):
    stats(tmp_path, 5000, 700, 60)
    round_ = Said(tmp_path)
    assert round_.afl_numbers() == ({"afl-0": 5000}, None)
    state = campaign.State(tmp_path / "state.json", [1, "x"])
    progress = campaign.Progress("one", tmp_path, state, round_)
    assert progress.sample() == ("AFL++ 0, libFuzzer 0 programs", "- and - edges")
    stats(tmp_path, 7000, 300, 0)
    round_.logs["libfuzzer"].write_text("#400: cov: 90 ft: 1\n")
    assert progress.sample() == ("AFL++ 2.0 k, libFuzzer 400 programs", "300 and 90 edges")
    assert state.values["executions"]["one"] == {"afl": 2000, "libfuzzer": 400}
    again = campaign.Progress("one", tmp_path, state, Said(tmp_path))
    stats(tmp_path, 1500, 310, 0)  # it counts from nothing
    again.sample()
    stats(tmp_path, 9000, 320, 0)
    again.sample()
    assert state.values["executions"]["one"]["afl"] == 2000 + 9000
    rows = (tmp_path / "samples.csv").read_text().splitlines()
    assert rows[0] == "seconds,afl_per_second,libfuzzer_per_second,afl_edges,libfuzzer_edges"
    assert rows[1].split(",")[1:] == ["", "", "", ""] and rows[2].split(",")[3:] == ["300", "90"]
    assert progress.samples.max("afl_edges") == 320


def test_a_rate_is_over_the_time_between_two_counts():
    rate = campaign.Rate({"a": 1000}, 0)
    assert [rate.of({"a": 1000}, now) for now in (2, 4)] == [None, None]
    assert rate.of({"a": 7000, "b": 0}, 60) == 100
    assert rate.of({"a": 7000, "b": 0}, 62) is None
    assert rate.of({"a": 7000, "b": 3000}, 100) == 100 + 30
    assert rate.of({"a": 7000, "b": 3000}, 118) is None
    assert rate.of({"a": 7000, "b": 19000}, 260) == 100  # a has ended
    assert rate.of({"a": 7000, "b": 500}, 270) == 50  # b was started anew


def test_a_row_that_was_cut_off_harms_no_other(tmp_path):
    samples = campaign.Samples(tmp_path / "samples.csv")
    samples.add([2, None, 5, None, 70])
    with samples.path.open("a") as file:
        file.write("4,1")
    samples = campaign.Samples(tmp_path / "samples.csv")
    samples.add([6, None, 5, None, 80])
    assert samples.max("libfuzzer_edges") == 80 and samples.max("afl_edges") == 0
    assert samples.path.read_text().splitlines()[2:] == ["4,1", "6,,5,,80"]


def test_a_short_line_says_first_what_is_broken_and_cuts_no_number():
    parts = (campaign.broken_of(["locked"]), "mine 0:01:02 of 8:00:00", *campaign.told({"afl": 1234567, "libfuzzer": 117675}, (812, 2477)))
    assert recipes.fitting(parts, 79) == "broken: locked; mine 0:01:02 of 8:00:00; AFL++ 1.2 M, libFuzzer 118 k programs"
    assert recipes.fitting(parts, 77) == "broken: locked; mine 0:01:02 of 8:00:00"
    assert recipes.fitting(parts, 100).endswith("; 812 and 2477 edges")
    assert recipes.fitting(parts, 5) == "broke"
    assert campaign.broken_of([]) == "nothing broken"
    assert campaign.broken_of([letter * 12 for letter in "abcd"]) == "broken: aaaaaaaaaaaa, bbbbbbbbbbbb, cccccccccccc and 1 more"
    assert [campaign.short(n) for n in (0, 999, 1000, 99_949, 117_675, 1_234_567, 5e9)] == ["0", "999", "1.0 k", "99.9 k", "118 k", "1.2 M", "5.0 G"]


def summary(**more):
    entry = {"variant": "one", "seconds": 1, "executions": {"afl": 1, "libfuzzer": 1}, "per_second": {"afl": 1, "libfuzzer": 1}, "edges": {"afl": 1, "libfuzzer": 1},
             "inputs": 1, "operations": [], "operations_not_reached": [], "violations": {}, "given_up": {"count": 0, "untried": 0}, "folder": "build"}
    return entry | more


def test_the_words_for_triage_name_the_subject_as_it_was_given(tmp_path, capsys):
    path = str(BUILD / "defects" / "wipe-sizeof-pointer.so")
    (variant,) = recipes.find_variants(path)
    found = {"zero-on-free": {"count": 1, "text": "5 words", "file": "build/crash"}}
    campaign.print_summary(recipes.Show(at_once=True), variant, summary(violations=found))
    assert f"$ ./dev triage build/crash {path}\n" in capsys.readouterr().out


def test_the_summary_names_files_and_says_what_is_not_known(tmp_path, variant, capsys):
    (tmp_path / "edges.svg").touch()
    campaign.print_summary(recipes.Show(at_once=True), variant, summary(folder=str(tmp_path), operations=None, operations_not_reached=None, given_up={"count": 5, "untried": 2, "file": "first"}))
    said = capsys.readouterr().out
    assert f"plots: {tmp_path}/edges.svg; figures: {tmp_path}/samples.csv\n" in said
    assert "operations not counted" in said
    assert "5 programs took too long" in said and "the first is first" in said and "2 more" in said


def test_counting_operations_is_bounded_and_told(tmp_path, variant, monkeypatch, capsys):
    (tmp_path / "input").write_bytes(BAD)
    assert "alloc" in campaign.operations_reached(variant, tmp_path, recipes.Show(at_once=True))[0]
    assert "counting the operations of 1 inputs, for at most 60 s" in capsys.readouterr().out
    monkeypatch.setattr(campaign, "COUNT_SECONDS", 0.2)
    hangs = recipes.Variant(BUILD / "suite" / "tests" / "hang_alloc.so", "hang-alloc")
    assert campaign.operations_reached(hangs, tmp_path, recipes.Show(at_once=True)) == (None, None)
    bounds = []
    monkeypatch.setattr(recipes, "counts", lambda variant, corpus, seconds: bounds.append(seconds) or {})
    campaign.operations_reached(hangs, tmp_path, recipes.Show(at_once=True))
    assert bounds == [0.2 + campaign.COUNT_SECONDS_EACH]


def test_an_engine_failed_unless_its_last_job_found_something(tmp_path):
    class Ended:
        def __init__(self, status):
            self.returncode = status

    round_ = Said(tmp_path)
    ran, end = "#400: cov: 90 ft: 1\n", "INFO: exiting: {} time: 20s\n"
    for status, log, failed in ((77, ran + end.format(77), False), (70, ran + end.format(70), False), (0, ran + end.format(0), False), (77, ran, True), (77, end.format(77), True),
                                (77, "#0: cov: 0 ft: 0\n" + end.format(77), True), (1, ran + end.format(1), True), (77, ran + end.format(1), True), (-9, ran, True)):
        round_.logs["libfuzzer"].write_text(log)
        round_.processes = {"libfuzzer": Ended(status)}
        assert [name for name, _ in round_.failures()] == ["libfuzzer"] * failed, (status, log)
    round_.logs["afl-0"], round_.processes = tmp_path / "log", {"afl-0": Ended(77)}
    assert dict(round_.failures())["afl-0"].startswith("afl-0 ended with status 77: ")


def test_an_input_that_only_an_engine_saw_break_something_is_told_apart(tmp_path):
    (tmp_path / "fine").write_bytes(BAD)
    violations = campaign.Violations(recipes.Variant(BUILD / "controls" / "correct.so", "control-correct"), tmp_path)
    violations.judge([tmp_path / "fine"])
    assert violations.promises() == ["not again"]
    assert violations.to_ignore() == ""


def test_only_processes_of_the_same_campaign_are_ended(tmp_path):
    def process(folder):
        return subprocess.Popen(["sleep", "60"], env={**os.environ, campaign.MARK: str(folder)})

    ours, other = process(tmp_path), process(tmp_path / "other")
    try:
        campaign.end_leftovers(tmp_path)
        assert ours.wait(timeout=10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        ours.wait()
        other.wait()


def test_words_may_stand_in_any_order():
    for words in (["1", "nobody", "--cores", "1"], ["1", "--cores", "1", "nobody"], ["--cores", "1", "1", "nobody"], ["1", "--cores", "1"]):
        env = {**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD), "STRONGROOM_DEFAULT_SUBJECT": "nobody"}
        done = subprocess.run([sys.executable, SOURCE / "fuzz" / "campaign.py", *words], env=env, capture_output=True, text=True)
        assert done.stderr.startswith("fuzz: nobody: "), words


def test_wrong_words_are_one_line():
    for words in ([], ["0", "x"], ["nan", "x"], ["-1", "x"], ["soon", "x"], ["1"], ["1", "nobody"], ["1", "x", "--cores", "all"], ["1", "x", "--cores", "0"], ["1", "x", "--cores", "-1"], ["1", "x", "y"]):
        done = subprocess.run([sys.executable, SOURCE / "fuzz" / "campaign.py", *words], env={**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD)}, capture_output=True, text=True)
        assert done.returncode == 2, words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "--cores" not in words or "--cores" in done.stderr


@pytest.mark.skipif(not os.environ.get("STRONGROOM_NIGHTLY"), reason="minutes: by night")
@pytest.mark.skipif(not shutil.which("afl-fuzz"), reason="afl++ is not installed")
def test_a_campaign_that_is_killed_goes_on(tmp_path):
    command = [sys.executable, SOURCE / "fuzz" / "campaign.py", "0.02", "control-correct"]
    folder = BUILD / "fuzz" / "campaign"
    shutil.rmtree(folder, ignore_errors=True)
    env = {**os.environ, "STRONGROOM_FUZZ_BUILD": str(BUILD)}
    states = folder / "control-correct.state.json"

    def seconds():
        return json.loads(states.read_text())["seconds"].get("control-correct", 0) if states.exists() else 0

    running = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 300
    while seconds() < 10 and time.monotonic() < limit:
        time.sleep(0.5)
    running.send_signal(signal.SIGKILL)
    running.wait()
    used = seconds()
    inputs = {path.name for path in (folder / "control-correct" / "corpus").iterdir()}
    assert used >= 10
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on: control-correct" in done.stdout
    (entry,) = json.loads((folder / "summary.json").read_text())
    assert entry["seconds"] >= max(used, 72)
    assert inputs <= {path.name for path in (folder / "control-correct" / "corpus").iterdir()}
    assert entry["executions"]["libfuzzer"] > 0
    assert entry["violations"] == {}
    assert not [pid for pid in pathlib.Path("/proc").iterdir() if pid.name.isdigit() and has_mark(pid, folder)]


def has_mark(process, folder):
    try:
        return f"{campaign.MARK}={folder}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
