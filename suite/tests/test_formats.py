"""The reports for CI (JUnit, SARIF, Markdown), on made-up results (fake_run.c): every verdict on demand."""

import json
import os
import pathlib
import subprocess
import xml.etree.ElementTree as xml

import jsonschema
import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SCHEMAS = pathlib.Path(os.environ["STRONGROOM_SOURCE"]) / "tools" / "tests" / "schemas"
FAKE = BUILD / "suite" / "tests" / "strongroom-fake"
MARKDOWN_BYTES_MAX = 1 << 20


def strongroom(*words):
    return subprocess.run([FAKE, *words], env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60)


def junit(*words):
    done = strongroom(*words, "--junit", "-")
    return done.returncode, xml.fromstring(done.stdout.decode("utf-8"))


def sarif(*words):
    return json.loads(strongroom(*words, "--sarif", "-").stdout)


def markdown(*words):
    return strongroom(*words, "--markdown", "-").stdout.decode("utf-8")


# ---- JUnit ----


def test_junit_has_a_test_for_each_promise_of_each_subject():
    _, root = junit("compare")
    result = json.loads(strongroom("compare", "--json", "-").stdout)
    cases = {(case.get("classname"), case.get("name")) for case in root.iter("testcase")}
    expected = {(s["name"], v["promise"]) for s in result["subjects"] for v in s["verdicts"]}
    assert cases == expected | {("not judged here", skipped["name"]) for skipped in result["skipped"]}


def test_junit_counts_what_it_holds():
    _, root = junit("compare")
    for suite in [root, *root.iter("testsuite")]:
        for count, element in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(count)) == len(list(suite.iter(element))), (suite.get("name"), count)
    assert int(root.get("failures")) == 1 and int(root.get("errors")) > 1 and int(root.get("skipped")) > 2


@pytest.mark.parametrize(
    "words",
    [["good"], ["bad"], ["blind"], ["faulty"], ["bare"], ["loud"], ["bad", "faulty"],
     ["blind", "--allow-unobserved", "locked,accounting,guard-after,fork,unreadable"],
     ["blind", "--allow-unobserved", "locked"]],
    ids=" ".join,
)
def test_junit_is_green_exactly_where_the_gate_passes(words):
    status, root = junit("verify", *words)
    assert (status == 0) == (int(root.get("failures")) + int(root.get("errors")) == 0)


def test_junit_keeps_the_five_verdicts_apart():
    _, root = junit("verify", "bad", "blind", "faulty", "bare")
    said = {(case.get("classname"), case.get("name")): next(iter(case), None) for case in root.iter("testcase")}
    for key, tag, start in (
        (("bad", "zero-on-free"), "failure", "broken: 32 of 32 bytes"),
        (("blind", "fork"), "error", "not observable here: /proc/PID/mem"),
        (("faulty", "fork"), "error", "error: the control"),
        (("bare", "locked"), "skipped", "not offered: not claimed"),
    ):
        assert said[key].tag == tag and said[key].get("message").startswith(start)
    assert "$ strongroom verify bad --only zero-on-free" in said["bad", "zero-on-free"].text
    assert said["bad", "locked"] is None


# ---- SARIF ----


def validator():
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("words", [["compare"], ["verify", "good"], ["verify", "bad", "loud", "faulty"]], ids=" ".join)
def test_sarif_follows_its_schema(words):
    log = sarif(*words)
    validator().validate(log)
    log["runs"][0]["results"].append({"ruleId": "no-message"})
    assert not validator().is_valid(log)


def test_sarif_has_what_is_broken_and_only_that():
    (run,) = sarif("compare")["runs"]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "zero-on-free"
    assert result["message"]["text"].startswith("bad: zero-on-free: broken: 32 of 32 bytes")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///build/subjects/bad.so"
    assert run["properties"]["verdicts"] == {"holds": 27, "broken": 1, "not offered": 14, "not observable here": 5, "error": 1}


def test_sarif_notifies_of_what_the_gate_minds():
    def levels(*words):
        (invocation,) = sarif("verify", *words)["runs"][0]["invocations"]
        return invocation["executionSuccessful"], sorted(n["level"] for n in invocation["toolExecutionNotifications"])

    assert levels("good") == (True, [])
    assert levels("faulty") == (False, ["error"])
    assert levels("blind") == (True, ["warning"] * 5)
    assert levels("blind", "--allow-unobserved", "fork,locked") == (True, ["warning"] * 3)


# ---- Markdown ----


def test_markdown_says_the_gate_the_counts_and_what_is_broken():
    page = markdown("verify", "bad", "blind", "faulty")
    assert page.startswith("## strongroom: the verifier itself failed on 1 promise\n")
    assert "| bad 1.2.3 | 2 | 1 | 3 | 0 | 0 |\n| blind 1.2.3 | 1 | 0 | 0 | 5 | 0 |" in page
    assert "- **bad: zero-on-free**: 32 of 32 bytes" in page
    assert "<code>strongroom verify bad --only zero-on-free --case n=32 --seed 7</code>" in page
    assert "- **blind: fork**: /proc/PID/mem of the case" in page
    assert "| fork | - | n/o | ERROR |" in page
    assert page.index("### What is broken") < page.index("### Where the verifier failed") < page.index("### Not observable")


def test_markdown_takes_no_orders_from_a_subject():
    page = markdown("verify", "loud")
    assert "| loud 1??\\[31m | 6 |" in page and "\x1b" not in page


def test_markdown_stays_below_1_mib_and_counts_what_is_left_out():
    """8,000 subjects: what is broken alone would be 2 MiB."""
    page = markdown("compare", *["bad"] * 8000)
    assert MARKDOWN_BYTES_MAX * 0.9 < len(page.encode()) < MARKDOWN_BYTES_MAX
    said = int(page.split(" lines had no room")[0].split("\n")[-1])
    shown = page.count("| bad 1.2.3 |") + page.count("- **bad: zero-on-free**")
    assert said + shown >= 16000 and "<details>" not in page
    assert page.count("<details>") == page.count("</details>")


def test_all_reports_of_one_run(tmp_path):
    files = {kind: tmp_path / kind for kind in ("json", "junit", "sarif", "markdown")}
    words = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    done = strongroom("verify", "bad", *words)
    assert done.returncode == 1 and b"exit 1" in done.stdout
    assert all(path.stat().st_size > 100 for path in files.values())


def test_a_report_that_cannot_be_written_is_found_out_first(tmp_path):
    for kind in ("junit", "sarif", "markdown"):
        done = strongroom("verify", "good", f"--{kind}", str(tmp_path / "no" / "file"))
        assert (done.returncode, done.stdout) == (2, b"")
