"""The workflows and `nightly`: what they name exists, what they use is pinned, and the night keeps its budget."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import jsonschema
import pytest
import yaml

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
SCHEMAS = pathlib.Path(__file__).parent / "schemas"
WORKFLOWS = sorted((SOURCE / ".github" / "workflows").glob("*.yml"))
NIGHTLY = SOURCE / "tools" / "nightly"
sys.dont_write_bytecode = True


def nightly_module():
    module = types.ModuleType("nightly")
    module.__file__ = str(NIGHTLY)
    exec(compile(NIGHTLY.read_text(), NIGHTLY, "exec"), module.__dict__)
    return module


def recipes():
    """All that the justfile has, private ones too."""
    just = next(path for path in [SOURCE / "build/tools/just", shutil.which("just")] if path and os.path.exists(path))
    done = subprocess.run([just, "--justfile", SOURCE / "justfile", "--dump", "--dump-format", "json"], capture_output=True, text=True)
    return set(json.loads(done.stdout)["recipes"])


def workflow(path):
    """`on:` is a key that YAML 1.1 takes for true."""
    loaded = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in loaded.items()}


def expanded(job, text):
    """`text` for each value of the job's matrix."""
    values = [text]
    for name, options in job.get("strategy", {}).get("matrix", {}).items():
        values = [value.replace("${{ matrix.%s }}" % name, option) for value in values for option in options]
    return values


def commands(path):
    for job in workflow(path)["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                yield from expanded(job, step["run"])


def test_there_are_workflows():
    assert {path.name for path in WORKFLOWS} >= {"ci.yml", "nightly.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_step_is_a_recipe_that_exists(path):
    known = recipes()
    seen = list(commands(path))
    assert seen
    for command in seen:
        words = re.fullmatch(r"\./dev ([a-z-]+)((?: [a-z-]+)*)", command)
        assert words and words[1] in known, command
        if words[1] == "nightly-step":
            assert words[2].strip() in known & {step[0] for step in nightly_module().STEPS}, command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_follows_its_schema(path):
    schema = json.loads((SCHEMAS / "github-workflow.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    loaded = workflow(path)
    for job in loaded["jobs"].values():
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"])
        job["runs-on"] = "ubuntu-latest"  # the schema's list of machines is older than they are
    validator.validate(loaded)
    assert not validator.is_valid(loaded | {"jobs": {"none": {"steps": []}}})


@pytest.mark.parametrize("path", [*WORKFLOWS, SOURCE / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_and_say_their_version(path):
    for line in path.read_text().splitlines():
        if re.match(r"\s*(- )?uses:", line):
            assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_the_least(path):
    loaded = workflow(path)
    assert loaded["permissions"] == {"contents": "read"}
    for job in loaded["jobs"].values():
        assert set(job.get("permissions", {}).items()) <= {("contents", "read"), ("security-events", "write")}
        assert "timeout-minutes" in job


def test_every_step_of_the_night_is_a_recipe():
    known = recipes()
    assert {step[0] for step in nightly_module().STEPS} <= known


def test_the_nightly_workflow_has_every_step_of_the_night():
    named = {command.split()[2] for command in commands(SOURCE / ".github/workflows/nightly.yml") if "nightly-step" in command}
    assert named == {step[0] for step in nightly_module().STEPS} - {"targets"}  # that one only shows what the others measured


def test_reports_of_a_job(tmp_path):
    """What ci-verify runs, with made-up results."""
    (tmp_path / "strongroom").symlink_to(BUILD / "suite" / "tests" / "strongroom-fake")
    page = tmp_path / "page"
    done = subprocess.run([SOURCE / "tools/with-reports", tmp_path, "verify", "bad"], env=os.environ | {"GITHUB_STEP_SUMMARY": str(page)}, capture_output=True)
    assert done.returncode == 1
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {"result.json", "junit.xml", "result.sarif"}
    assert page.read_text().startswith("## strongroom: 1 promise is broken")


# ---- compose ----


def compose_file():
    return yaml.safe_load((SOURCE / "docker" / "compose.yaml").read_text())


def test_compose_follows_the_specification_of_v2():
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text())
    validator = jsonschema.Draft201909Validator(schema)
    validator.validate(compose_file())
    assert not validator.is_valid(compose_file() | {"services": {"x": {"image": 1}}})


def test_compose_1_accepts_it():
    if not shutil.which("docker-compose"):
        pytest.skip("docker-compose is not installed")
    command = ["docker-compose", "-f", SOURCE / "docker" / "compose.yaml", "config", "--quiet"]
    done = subprocess.run(command, env=os.environ | {"SUBJECT": "/x.so"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(command, env={key: value for key, value in os.environ.items() if key != "SUBJECT"}, capture_output=True, text=True)
    assert done.returncode != 0 and "the path of a shared object" in done.stderr


def test_every_worker_is_held_tight():
    for name, service in compose_file()["services"].items():
        assert (service["cap_drop"], service["network_mode"], service["read_only"]) == (["ALL"], "none", True), name
        assert {"memlock", "core"} <= set(service["ulimits"]) and service["mem_limit"] and service["cpus"], name
        assert "seccomp" not in json.dumps(service), name


# ---- a night ----


class Nights:
    """A tree whose `dev` runs a script for each recipe, and the steps of its night."""

    def __init__(self, root):
        self.root = root
        self.steps = root / "steps.json"
        (root / "dev").write_text(f'#!/bin/sh\necho "$1" >>{root}/ran\nexec sh {root}/"$1".sh\n')
        (root / "dev").chmod(0o755)

    def plan(self, **scripts):
        """name -> (script, minutes expected, goes on)"""
        for name, (script, _, _) in scripts.items():
            (self.root / f"{name}.sh").write_text(script)
        self.steps.write_text(json.dumps([[name, minutes, resumable] for name, (_, minutes, resumable) in scripts.items()]))

    def command(self, *words):
        environment = os.environ | {"STRONGROOM_NIGHTLY_ROOT": str(self.root), "STRONGROOM_NIGHTLY_STEPS": str(self.steps)}
        return [NIGHTLY, *map(str, words)], {key: value for key, value in environment.items() if key != "GITHUB_STEP_SUMMARY"}

    def run(self, *words):
        command, environment = self.command(*words)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    @property
    def outcomes(self):
        report = json.loads((self.root / "build/nightly/report/report.json").read_text())
        return {step["step"]: step["outcome"] for step in report["steps"]}

    @property
    def ran(self):
        return (self.root / "ran").read_text().split()


@pytest.fixture
def nights(tmp_path):
    return Nights(tmp_path)


def test_a_night_says_what_passed_and_what_failed(nights):
    nights.plan(good=("echo fine", 1, False), bad=("echo this is why; exit 3", 1, False), last=("true", 1, False))
    assert nights.run()[0] == 1
    assert nights.outcomes == {"good": "passed", "bad": "failed", "last": "passed"}
    page = (nights.root / "build/nightly/report/report.md").read_text()
    assert page.startswith("# Nightly: 2 passed, 1 failed, 0 cut off, 0 skipped") and "this is why" in page and "exit 3" in page


def test_what_does_not_fit_is_skipped_and_said(nights):
    nights.plan(short=("true", 1, False), long=("true", 600, False))
    assert nights.run(1)[0] == 0
    assert nights.outcomes == {"short": "passed", "long": "skipped"}
    assert "takes some 600 minutes" in (nights.root / "build/nightly/report/report.md").read_text()


def test_what_goes_on_is_cut_off_at_the_end_and_gone_on_with(nights):
    nights.plan(first=("true", 0, False), endless=("sleep 50", 600, True))
    assert nights.run(62 / 3600)[0] == 0
    assert nights.outcomes == {"first": "passed", "endless": "cut off"}
    nights.plan(first=("true", 0, False), endless=("true", 600, True))
    assert nights.run()[0] == 0
    assert nights.outcomes == {"first": "passed", "endless": "passed"}
    assert nights.ran == ["first", "endless", "endless"]
    assert nights.run()[0] == 0 and nights.ran.count("first") == 2  # a night that ended is followed by a new one


def test_a_night_that_is_told_to_end_leaves_its_report(nights):
    nights.plan(first=("true", 0, False), endless=("sleep 50", 1, False), last=("true", 1, False))
    command, environment = nights.command()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not (nights.root / "ran").exists() or "endless" not in nights.ran:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert nights.outcomes == {"first": "passed", "endless": "cut off", "last": "skipped"}


def test_one_step(nights):
    nights.plan(one=("true", 1, False), two=("exit 1", 1, False))
    assert nights.run("--step", "two")[0] == 1 and nights.ran == ["two"]
    status, said = nights.run("--step", "three")
    assert status == 2 and "there is no step 'three': one, two" in said
    assert nights.run("0")[0] == 2
