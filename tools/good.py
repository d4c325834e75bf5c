"""The good subjects: on these the verifier must not cry wolf."""

# What each is known, and documented (docs/decisions.md), not to keep.
GOOD = {
    "control-correct": set(),
    "ref-alloc-guarded": set(),
    "ref-alloc-packed": set(),
    "ref-alloc-memfd": set(),
    "libsodium": {"honest-lock", "accounting"},
}


def paths(build):
    """Where they are built, without those that this machine cannot build."""
    every = ("controls/correct.so", "subjects/ref-alloc.so", "subjects/libsodium.so")
    return [path for path in every if (build / path).exists()]


def alarms(result):
    """[(subject, promise, verdict, summary)]: broken though it is kept, or `error`; and how many verdicts there were."""
    found, count = [], 0
    for subject in result["subjects"]:
        if subject["name"] not in GOOD:
            continue
        for verdict in subject["verdicts"]:
            count += verdict["verdict"] != "not observable here"
            wrong = verdict["verdict"] == "broken" and verdict["promise"] not in GOOD[subject["name"]]
            if wrong or verdict["verdict"] == "error":
                found.append((subject["name"], verdict["promise"], verdict["verdict"], verdict["evidence"]["summary"]))
    return found, count
