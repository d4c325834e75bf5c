"""Mutants: what is made of a piece of C, how answers and arguments are kept, and that no argument is stale."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
sys.path.insert(0, str(SOURCE / "tools"))
pytest.importorskip("clang.cindex", reason="python3-clang-14 is not installed")
import mutate  # noqa: E402
import rate  # noqa: E402

loader = importlib.machinery.SourceFileLoader("mutants", str(SOURCE / "tools" / "mutants"))
spec = importlib.util.spec_from_loader("mutants", loader)
mutants = importlib.util.module_from_spec(spec)
loader.exec_module(mutants)

PIECE = """#include <stdbool.h>
#define LOUD(x) shout(x)
void shout(int x);
bool lock(int x);

static bool f(int a, int b)
{
    int sum = a + b;
    if (a < b && lock(a))
        return true;
    LOUD(sum);
    shout(sum); /* + < && in a comment, and "return true" in a string */
    sum -= 2;
    for (int i = 0; i != a; i++)
        sum = sum << 1;
    return false;
}
"""


def mutants_of(tmp_path, text=PIECE):
    (tmp_path / "piece.c").write_text(text, encoding="utf-8")
    return mutate.mutants_of(tmp_path, ["piece.c"], ["-std=c17"])


def changes(found, operator):
    return {(mutant.line, mutant.becomes) for mutant in found if mutant.operator == operator}


def test_each_operator_changes_what_it_says(tmp_path):
    found = mutants_of(tmp_path)
    condition = "if (a < b && lock(a))"
    assert changes(found, "relation") == {
        (condition, "if (a <= b && lock(a))"),
        ("for (int i = 0; i != a; i++)", "for (int i = 0; i == a; i++)"),
    }
    assert changes(found, "logic") == {(condition, "if (a < b || lock(a))")}
    assert changes(found, "negate") == {(condition, "if (!(a < b && lock(a)))")}
    assert changes(found, "answer") == {("return true;", "return false;"), ("return false;", "return true;")}
    assert ("int sum = a + b;", "int sum = a - b;") in changes(found, "arithmetic")
    assert ("sum -= 2;", "sum += 2;") in changes(found, "arithmetic")
    assert ("sum = sum << 1;", "sum = sum >> 1;") in changes(found, "arithmetic")
    assert ("sum -= 2;", "(void)0;") in changes(found, "drop")
    assert (condition, "if (a < b && (1 == 1))") in changes(found, "drop")
    assert ("sum -= 2;", "sum -= 3;") in changes(found, "constant")


def test_neither_comments_nor_macros_are_changed(tmp_path):
    for mutant in mutants_of(tmp_path):
        assert "LOUD" not in mutant.line
        assert mutant.becomes.endswith(mutant.line.partition("/*")[2]) or "/*" not in mutant.line


def test_each_mutant_is_another_and_compiles(tmp_path):
    found = mutants_of(tmp_path)
    assert len({mutant.key for mutant in found}) == len(found) >= 20
    source = (tmp_path / "piece.c").read_bytes()
    texts = {mutant.apply(source) for mutant in found}
    assert len(texts) == len(found) and source not in texts
    for mutant in found:
        done = subprocess.run(["gcc", "-x", "c", "-w", "-fsyntax-only", "-"], input=mutant.apply(source), capture_output=True)
        assert done.returncode == 0, mutant


def test_a_move_changes_no_key_and_an_edit_does(tmp_path):
    before = {mutant.key for mutant in mutants_of(tmp_path)}
    assert {mutant.key for mutant in mutants_of(tmp_path, "/* moved */\n\n" + PIECE.replace("    ", "\t"))} == before
    edited = {mutant.key for mutant in mutants_of(tmp_path, PIECE.replace("sum -= 2", "sum -= 5"))}
    assert edited != before and len(edited & before) > len(before) / 2


def test_the_draw_is_the_seeds_and_loses_none(tmp_path):
    found = mutants_of(tmp_path)
    assert mutate.drawn(found, 1) == mutate.drawn(list(reversed(found)), 1)
    assert mutate.drawn(found, 1) != mutate.drawn(found, 2)
    assert set(mutate.drawn(found, 1)) == set(found)


def test_an_argument_is_about_one_mutant_and_goes_stale_with_it(tmp_path):
    found = mutants_of(tmp_path)
    one = next(mutant for mutant in found if mutant.operator == "relation")
    path = tmp_path / "equivalent.txt"
    path.write_text(f"# why\n\npiece.c f relation\n-   {one.line}\n+ {one.becomes}\n= it is so\n", encoding="utf-8")
    argued = mutants.arguments(path)
    assert argued == {("ref-alloc/piece.c", "f", "relation", one.line, one.becomes, 1): "it is so"}
    assert mutants.stale(argued, found) == list(argued)  # of another folder: nothing is there
    assert mutants.stale({mutants.identity(one): "w"}, found) == []
    path.write_text("piece.c f relation\n- a\n= why\n", encoding="utf-8")
    with pytest.raises(mutants.ArgumentError, match="equivalent.txt:3: "):
        mutants.arguments(path)


def test_answers_outlive_a_run_that_is_killed(tmp_path):
    path = tmp_path / "deep" / "answers.jsonl"
    found = mutants_of(tmp_path)
    answers = mutants.Answers(path)
    answers.add(key=found[0].key, detector="verify", outcome="killed", why="broken: locked", seconds=1)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "half a li')
    again = mutants.Answers(path)
    assert again.state(found[0]) == "killed" and again.state(found[1]) is None


def test_what_a_changed_test_said_is_asked_again(tmp_path, monkeypatch):
    found = mutants_of(tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("support.h", "test_layout.c", "test_heap.c"):
        (tmp_path / "tests" / name).write_text(name, encoding="utf-8")
    monkeypatch.setattr(mutants, "FOLDER", tmp_path)
    answers = mutants.Answers(tmp_path / "answers.jsonl")
    answers.add(key=found[0].key, detector="unit", outcome="killed", why="layout: status 1", seconds=1)
    answers.add(key=found[1].key, detector="unit", outcome="survived", why="", seconds=1)
    (tmp_path / "tests" / "test_heap.c").write_text("changed", encoding="utf-8")
    again = mutants.Answers(tmp_path / "answers.jsonl")
    assert again.state(found[0]) == "killed" and again.of(found[1]) == {}
    (tmp_path / "tests" / "test_layout.c").write_text("changed", encoding="utf-8")
    assert mutants.Answers(tmp_path / "answers.jsonl").of(found[0]) == {}


def test_a_time_out_alone_is_no_kill(tmp_path):
    found = mutants_of(tmp_path)
    answers = mutants.Answers(tmp_path / "answers.jsonl")
    for detector in mutants.DETECTORS:
        answers.add(key=found[0].key, detector=detector, outcome="hung" if detector == "unit" else "survived", why="", seconds=1)
    assert answers.state(found[0]) == "hung"


def test_no_argument_about_the_reference_is_stale():
    done = subprocess.run([sys.executable, SOURCE / "tools" / "mutants", "--check-arguments"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("hits, tries, low, high", [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (95, 100, 0.8882, 0.9785), (0, 0, 0.0, 1.0)])
def test_wilson(hits, tries, low, high):
    assert rate.wilson(hits, tries) == pytest.approx((low, high), abs=5e-5)
