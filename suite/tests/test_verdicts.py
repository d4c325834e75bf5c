"""What is said of the allocators that are here: the whole comparison, the gate's four statuses, as root and as a plain user."""

import fnmatch
import json
import os
import pathlib

import jsonschema
import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
EXPECTED = {path.stem: json.loads(path.read_text()) for path in sorted((SOURCE / "subjects" / "expected").glob("*.json"))}
# Other people's libraries are what they are with each compiler of ours: the first build judges them all, the others
# only what is compiled here and one library.
IS_FIRST_BUILD = BUILD == SOURCE / "build"
ALWAYS = [] if IS_FIRST_BUILD else ["ref-alloc", "malloc-mlock", "libsodium"]
HAND_MADE = "malloc-mlock"  # what many people write; nobody claims anything for it
GUARDED, PACKED, MEMFD = "ref-alloc-guarded", "ref-alloc-packed", "ref-alloc-memfd"

# Broken by how it is written, whatever the machine: see subjects/malloc-mlock.c.
UNASKED = {"no-swap"}  # changes the host: only with --allow-swap, see test_swap.py
HAND_MADE_BREAKS = {"neighbour", "zero-on-free", "honest-lock"}


def found_of(program, libraries):
    """Those of the libraries that are here; an empty list stands for all."""
    here = {subject["library"] for subject in json.loads(program("list", "--json", "-").out)["subjects"]}
    return [library for library in libraries if library in here]


@pytest.fixture(scope="module")
def compared(strongroom):
    return strongroom("compare", *found_of(strongroom, ALWAYS), "--json", "-", timeout=900)


@pytest.fixture(scope="module")
def compared_plainly(plainly):
    return plainly("compare", *found_of(plainly, ALWAYS), "--json", "-", timeout=900)


def errors(run):
    return [
        (name, promise, v["evidence"]["summary"]) for (name, promise), v in run.verdicts.items() if v["verdict"] == "error"
    ]


def test_compare_judges_all_that_is_found(compared, strongroom):
    assert errors(compared) == [] and compared.status == 0
    found = json.loads(strongroom("list", "--json", "-").out)
    judged = {s["name"] for s in found["subjects"] if not ALWAYS or s["library"] in ALWAYS}
    assert {s["name"] for s in compared.json["subjects"]} == judged
    assert {GUARDED, PACKED, HAND_MADE} <= {s["name"] for s in found["subjects"]}
    asked = [promise["id"] for promise in found["promises"]]
    for subject in compared.json["subjects"]:
        assert [v["promise"] for v in subject["verdicts"]] == asked
        assert sum(subject["summary"].values()) == len(asked)


def test_compare_follows_the_schema(compared):
    schema = json.loads((SOURCE / "docs" / "strongroom-result-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(compared.json)


def test_no_operation_and_no_kind_of_look_ran_zero_times(compared):
    """What is planned and never done would pass for a check that finds nothing."""
    idle = {name for name, count in compared.json["operations"].items() if count == 0}
    assert len(compared.json["operations"]) >= 20 and idle == set()
    host = compared.json["host"]["observers"]
    cannot = {"swap"} | ({"core"} if host["cores"] != "available" else set())
    cannot |= {"outside"} if host["secretmem"] != "available" else set()
    # A signal to a stranger is seen of a hostile subject only: test_hostile.py.
    unseen = {name for name, count in compared.json["looks"].items() if count == 0}
    assert unseen <= cannot | {"signal"}


def test_every_promise_was_looked_at_on_both_controls(compared):
    for (name, promise), record in compared.verdicts.items():
        if promise not in UNASKED and record["verdict"] in ("holds", "broken"):
            for control in record["controls"].values():
                assert control["kept"] + control["broken"] > 0, (name, promise)


def test_sweep_has_at_least_24_sizes(compared):
    assert len({size["bytes"] for size in compared.json["sizes"]}) >= 24


def test_reference_keeps_all_that_it_claims(compared):
    for subject in compared.json["subjects"]:
        if subject["library"] != "ref-alloc":
            continue
        wrong = {
            v["promise"]: (v["verdict"], v["evidence"]["summary"])
            for v in subject["verdicts"]
            if (v["claimed"] or v["level"] == "core") and v["verdict"] != "holds" and v["promise"] not in UNASKED
        }
        assert wrong == {}, subject["name"]
    for promise in compared.named(GUARDED).keys() - UNASKED:
        assert "holds" in (compared.named(variant)[promise] for variant in (GUARDED, PACKED, MEMFD))


def test_hand_made_breaks_what_it_must_with_evidence(compared):
    broken = {promise for promise, verdict in compared.named(HAND_MADE).items() if verdict == "broken"}
    assert HAND_MADE_BREAKS <= broken
    for promise in broken:
        record = compared.verdicts[HAND_MADE, promise]
        assert "0x" in record["evidence"]["summary"] or "n=" in record["evidence"]["summary"]
        assert record["evidence"]["broken"] > 0
        assert f"verify {HAND_MADE} --only {promise} --case " in record["repeat"]


def test_every_verdict_rests_on_something(compared):
    for (name, promise), record in compared.verdicts.items():
        of_it, positive, negative = record["evidence"], record["controls"]["positive"], record["controls"]["negative"]
        assert of_it["summary"] and of_it["cases"] == of_it["kept"] + of_it["broken"] + of_it["refused"] + of_it["unseen"]
        if record["verdict"] == "holds":
            assert of_it["kept"] > 0 and of_it["broken"] == 0, (name, promise)
        if record["verdict"] in ("holds", "broken") and of_it["cases"] > 1:
            assert positive["broken"] > 0 and negative["broken"] == 0 and negative["kept"] > 0, (name, promise)


def test_repeat_command_gives_the_same_verdict(compared, strongroom):
    record = compared.verdicts[HAND_MADE, "neighbour"]
    words = record["repeat"].split(" verify ", 1)[1].replace("'", "").split(" --case ")
    run = strongroom("verify", *words[0].split(), "--case", words[1], "--json", "-")
    assert run.status == 1
    assert run.named(HAND_MADE) == {"neighbour": "broken"}
    assert run.verdicts[HAND_MADE, "neighbour"]["evidence"]["cases"] == 1


# ---- what is expected of each library, with the reasons ----


def surprises(run, expected):
    """What is said otherwise than expected; what could not be looked at is no surprise."""
    return {
        promise: (verdict, run.verdicts[expected["subject"], promise]["evidence"]["summary"])
        for promise, verdict in run.named(expected["subject"]).items()
        if verdict not in ("not observable here", expected["verdicts"].get(promise))
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_library_is_judged_as_expected(name, compared, compared_plainly):
    expected = EXPECTED[name]
    (subject,) = [s for s in compared.json["subjects"] if s["name"] == name] or [None]
    if subject is None:
        pytest.skip(f"{name} is not here, or judged in another build: see `strongroom list`")
    if not any(fnmatch.fnmatch(subject["version"], version) for version in expected["versions"]):
        pytest.skip(f"{name} is {subject['version']}, and what is expected is known of {', '.join(expected['versions'])}")
    assert surprises(compared, expected) == {}
    assert surprises(compared_plainly, expected) == {}


@pytest.mark.parametrize("name", EXPECTED)
def test_expectation_that_is_not_plain_has_its_reason(name):
    expected = EXPECTED[name]
    assert expected["subject"] == name
    bad = {promise for promise, verdict in expected["verdicts"].items() if verdict == "broken"}
    assert set(expected["verdicts"].values()) <= {"holds", "broken", "not offered"}
    assert bad <= set(expected["reasons"]) <= set(expected["verdicts"])
    for reason in expected["reasons"].values():
        assert reason["why"] and reason["confirmed"]
        place = reason["confirmed"].split(",")[0].split(";")[0]
        assert not place.startswith("docs/") or (SOURCE / place).is_file(), place


def test_each_library_has_its_expectation(compared):
    own = {"ref-alloc"}  # keeps what it claims, see above
    assert {s["name"] for s in compared.json["subjects"] if s["library"] not in own} <= set(EXPECTED)


# ---- the gate ----


def test_verify_passes_the_reference(strongroom):
    run = strongroom("verify", "ref-alloc", timeout=600)
    assert run.status == 0, run.out + run.err
    assert "\nexit 0: " in run.out


def test_verify_stops_the_hand_made(strongroom):
    run = strongroom("verify", HAND_MADE, "--only", ",".join(sorted(HAND_MADE_BREAKS)))
    assert run.status == 1
    assert run.out.endswith("exit 1: 3 promises are broken\n")
    assert run.out.count("\n  BROKEN") == 3


def test_unobserved_is_3_unless_allowed(strongroom):
    deny = {"STRONGROOM_DENY": "traps"}
    asked = ["verify", GUARDED, "--only", "guard-after,all-zero"]
    assert strongroom(*asked).status == 0
    run = strongroom(*asked, env=deny)
    assert run.status == 3
    assert "--allow-unobserved guard-after accepts that" in " ".join(run.out.split())
    assert strongroom(*asked, "--allow-unobserved", "guard-after", env=deny).status == 0
    assert strongroom(*asked, "--allow-unobserved", "all-zero", env=deny).status == 3


# ---- as a plain user ----


def test_plain_user_gets_no_error_and_no_other_verdict(compared, compared_plainly):
    assert errors(compared_plainly) == [] and compared_plainly.status == 0
    assert compared_plainly.json["host"]["user"].startswith("uid ")
    for key, record in compared_plainly.verdicts.items():
        if record["verdict"] == "not observable here":
            assert record["evidence"]["summary"], key
        else:
            assert record["verdict"] == compared.verdicts[key]["verdict"], key
