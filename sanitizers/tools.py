"""The tools: how a build is made for each, what each is asked for, and what each must be seen to report."""

import dataclasses
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

# The three that the issue of every other project is made of: zeroed when freed, trapping, within the limit.
NAMED = ["zero-on-free", "guard-after", "accounting"]


@dataclasses.dataclass(frozen=True)
class Tool:
    name: str
    sanitize: str = "none"      # what -Db_sanitize is, none: Valgrind runs an ordinary build
    compilers: tuple = ("gcc", "clang")
    variables: tuple = ()       # where the options go
    runtimes: tuple = ()        # of gcc, of clang: the file that has to be there
    promises: tuple = ()        # of the suite; empty: all
    skipped: dict = dataclasses.field(default_factory=dict)  # of all: promise -> why it cannot be looked at
    timeout_s: int = 30         # of one case
    flaws: dict = dataclasses.field(default_factory=dict)  # name -> kind that the tool says
    clean: tuple = ("none",)    # what it must say nothing of
    whole_code: bool = False    # a library that was not compiled for it makes it see what is not there
    oracle: bool = True         # the fuzzer's own looks at memory are no mistakes to it
    c_args: tuple = ()          # what all of the build is compiled with
    corpus: str = ""            # why there is nothing to run; "": there is
    left_out: dict = dataclasses.field(default_factory=dict)  # unit test program -> test -> why it cannot be made

    @property
    def folder(self):
        return HERE / self.name

    @property
    def valgrind(self):
        return self.sanitize == "none"

    @property
    def options(self):
        lines = (self.folder / "options.txt").read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    @property
    def suppressions_path(self):
        path = self.folder / f"{self.name}.supp"
        return path if path.exists() else None

    def suppressions(self):
        """name -> line number. Each has a comment above, and is told of in the folder's README."""
        if self.suppressions_path is None:
            return {}
        lines = self.suppressions_path.read_text(encoding="utf-8").splitlines()
        if self.valgrind:
            return {lines[i + 1].strip(): i + 2 for i, line in enumerate(lines) if line.strip() == "{"}
        return {line.strip(): i + 1 for i, line in enumerate(lines) if line.strip() and not line.startswith("#")}

    def missing(self, compiler):
        """The Debian package that has what is missing, and the name of that; None: nothing is."""
        if self.valgrind:
            if shutil.which("valgrind") is None or not pathlib.Path("/usr/include/valgrind/memcheck.h").exists():
                return "valgrind", "valgrind"
            return None if shutil.which(compiler) else (compiler, compiler)
        if shutil.which(compiler) is None:
            return compiler, compiler
        if compiler == "gcc":
            said = subprocess.run(["gcc", f"-print-file-name={self.runtimes[0]}"], capture_output=True, text=True).stdout.strip()
            return None if "/" in said else (self.runtimes[0], "libgcc-12-dev")
        said = subprocess.run(["clang", "-print-resource-dir"], capture_output=True, text=True).stdout.strip()
        found = list(pathlib.Path(said).glob(f"lib/*/{self.runtimes[-1]}-*.a"))
        version = re.search(r"/clang/(\d+)", said)
        return None if found else (self.runtimes[-1], f"libclang-rt-{version[1] if version else 14}-dev")


# Unit tests that cannot be made beside a tool.
MAPPINGS = {"no_mapping_left": "uses up all mappings of the process, and the tool's with them"}
PAGES = {"slabs_that_come_and_go_cost_nothing": "counts the pages of the process, and the tool's with them"}
HANDED = "threads hand secrets over by an atomic exchange, an order that helgrind does not see"
LINES = {"a_closed_heap_leaves_no_mapping": "counts the mappings of the process, and the tool's with them"}
STAYS = {"child_finds_nothing": "in a child Valgrind's own map still has what MADV_DONTFORK took away, so nothing new comes to lie there"}
FORKS = "what fork does to glibc's own locks looks like a race to helgrind"
RAW_CHILD = "in the child of a raw clone TSan takes the parent's other threads, which are not there, for running"
VALGRIND = ("-DREF_ALLOC_VALGRIND=1",)
# Promises that cannot be looked at under asan or msan.
UNFIT = {"no-residue": "the tool's malloc is not on [heap], where the leaking control must be seen to leave a copy",
         "fault-hygiene": "the tool's own mmap is among the calls that fail, and it ends the process"}

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("asan", "address,undefined", variables=("ASAN_OPTIONS", "UBSAN_OPTIONS"), runtimes=("libasan.so", "libclang_rt.asan"),
             skipped=UNFIT,
             flaws={"overrun": "use-after-poison", "stale-read": "use-after-poison", "arithmetic": "signed integer overflow", "guard": "SEGV"}),
        Tool("lsan", "leak", variables=("LSAN_OPTIONS",), runtimes=("liblsan.so", "libclang_rt.lsan"),
             promises=tuple(NAMED), flaws={"lost-malloc": "detected memory leaks"}),
        Tool("msan", "memory", compilers=("clang",), variables=("MSAN_OPTIONS",), runtimes=("libclang_rt.msan",),
             skipped=UNFIT, whole_code=True, oracle=False,
             c_args=("-ftls-model=initial-exec",),  # it knows nothing of the thread-local data of what is loaded later
             corpus="the fuzz target copies a subject's data back between programs, and MSan does not see that",
             flaws={"stale-read": "use-of-uninitialized-value", "uninitialised": "use-of-uninitialized-value",
                    "flow-branch": "use-of-uninitialized-value"},
             clean=("none", "flow"), left_out={"hostile": MAPPINGS}),
        Tool("tsan", "thread", variables=("TSAN_OPTIONS",), runtimes=("libtsan.so", "libclang_rt.tsan"),
             promises=(*NAMED, "fork", "reopen"), flaws={"race": "data race"},
             left_out={"fork": {"child_of_a_threaded_program": RAW_CHILD}, "hostile": MAPPINGS | {"children_in_the_midst_of_it": RAW_CHILD},
                       "mutants": LINES}),
        Tool("memcheck", compilers=("gcc",), c_args=VALGRIND, promises=(*NAMED, "locked", "double-free", "bad-free", "overrun-caught"), timeout_s=120, oracle=False,
             flaws={"overrun": "InvalidWrite", "stale-read": "InvalidRead", "uninitialised": "UninitCondition",
                    "leak": "Leak_DefinitelyLost", "guard": "InvalidWrite", "flow-branch": "UninitCondition", "flow-address": "UninitValue"},
             clean=("none", "flow"),
             left_out={"fork": STAYS, "hostile": MAPPINGS, "mutants": PAGES}),
        Tool("helgrind", compilers=("gcc",), c_args=VALGRIND, promises=tuple(NAMED), timeout_s=120, oracle=False, flaws={"race": "Race"},
             corpus="a program's second thread is given its turn by a futex, an order that helgrind does not see",
             left_out={"fork": STAYS, "inside": {"locks_wait": "the lock is an atomic, an order that helgrind does not see"},
                       "hostile": MAPPINGS | {"threads_on_heaps_at_the_limit": HANDED, "children_in_the_midst_of_it": FORKS},
                       "threads": {"threads_share_a_heap": HANDED, "threads_at_the_limit": HANDED},
                       "mutants": PAGES}),
    )
}
