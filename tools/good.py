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


def alarms(cells):
    """Of [(subject, promise, verdict, summary)]: those broken though it is kept, or `error`; and how many verdicts there were."""
    looked = [cell for cell in cells if cell[0] in GOOD and cell[2] != "not observable here"]
    wrong = [
        (subject, promise, verdict, summary)
        for subject, promise, verdict, summary in looked
        if verdict == "error" or (verdict == "broken" and promise not in GOOD[subject])
    ]
    return wrong, len(looked)
