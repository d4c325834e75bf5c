"""The target on allocators that do what few do: it is not blinded, and it cries no wolf."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

BUILD = pathlib.Path(os.environ["STRONGROOM_BUILD"])
SOURCE = pathlib.Path(os.environ["STRONGROOM_SOURCE"])
FUZZ = BUILD / "fuzz" / "strongroom-fuzz"
NOBODY = 65534

# Each secret has pages of its own, locked and wiped; what a test changes is a macro.
SUBJECT = """#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "strongroom.h"
#ifndef BEGIN
#define BEGIN
#endif
#ifndef OPEN
#define OPEN
#endif
#ifndef ALLOC
#define ALLOC
#endif
#ifndef WIPE
#define WIPE explicit_bzero(p, n); munmap(p, PAGES(n))
#endif
#ifndef MORE
#define MORE
#endif
#ifndef FORGETS
#define FORGETS(p) 0
#endif
#define PAGES(n) (((n) + 4096) & ~(size_t)4095)
struct context { void (*fatal)(void *, const char *); void *arg; void *live[64]; volatile int canary; };
static volatile int wanted;
static void *serve(void *arg) { for (;;) { wanted = 0; usleep(100); } }
static int served(void) { wanted = 1; for (int i = 0; i < 50 && wanted; i++) usleep(1000); return !wanted; }
static void no_files(void) { setrlimit(RLIMIT_NOFILE, &(struct rlimit){0}); }
static void *watch(void *arg) { struct context *k = arg; while (k->canary == 42) usleep(1); abort(); }
static unsigned long given;
static unsigned char arena[16384] __attribute__((aligned(4096)));
static size_t arena_bytes(void *c) { return sizeof arena; }
static size_t live_bytes(void *c)
{
    size_t sum_bytes = 0;
    for (int i = 0; i < 64; i++)
        sum_bytes += ((struct context *)c)->live[i] != NULL ? 4096 : 0;
    return sum_bytes;
}
static int my_close(void *c) { return munmap(c, sizeof(struct context)); }
static int my_open(const struct secret_config *c, void **x)
{
    struct context *k = mmap(NULL, sizeof *k, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED)
        return ENOMEM;
    k->fatal = c->fatal;
    k->arg = c->fatal_arg;
    k->canary = 42;
    *x = k;
    OPEN;
    return 0;
}
static void *pages(size_t n)
{
    void *p = n > 100000 ? MAP_FAILED : mmap(NULL, PAGES(n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mlock(p, PAGES(n)) != 0) {
        if (p != MAP_FAILED)
            munmap(p, PAGES(n));
        errno = ENOMEM;
        return NULL;
    }
    return FORGETS(p) ? NULL : p;
}
static void *my_alloc(void *c, size_t n)
{
    struct context *k = c;
    int i = 0;
    while (i < 64 && k->live[i] != NULL)
        i++;
    errno = ENOMEM;
    ALLOC;
    given++;
    return i == 64 ? NULL : (k->live[i] = pages(n));
}
static void my_free(void *c, void *p, size_t n)
{
    struct context *k = c;
    int i = 0;
    while (i < 64 && k->live[i] != p)
        i++;
    if (i == 64) {
        k->fatal(k->arg, "that is no secret");
        abort();
    }
    k->live[i] = NULL;
    WIPE;
}
static const char *const claims[] = {"zero-on-free", "locked", "accounting", "fault-hygiene", "bad-free", "double-free", NULL};
static const struct secret_alloc mine = {.size = sizeof mine, .name = "mine", .version = "1", .library = "mine", .claims = claims,
                                         .open = my_open, .alloc = my_alloc, .free = my_free, MORE};
const struct secret_alloc *const *strongroom_subjects(uint32_t abi)
{
    static const struct secret_alloc *const all[] = {&mine, NULL};
    return abi == STRONGROOM_ABI_MAJOR ? all : NULL;
}
__attribute__((constructor)) static void begin(void) { BEGIN; }
"""
BASIC = "open\nalloc s0 40\nfill s0\nfree s0\nclose\n"


def subject(folder, compiler="cc", **macros):
    (folder / "mine.c").write_text(SUBJECT)
    words = [f"-D{name}={value}" for name, value in macros.items()]
    command = [compiler, "-w", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-I{SOURCE / 'contract'}", *words, "-o", folder / "mine.so", folder / "mine.c", "-lpthread"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "mine.so"


def locked_arena(folder, compiler="cc"):
    return subject(folder, compiler, BEGIN="mlock(arena, sizeof arena)", ALLOC="return n > sizeof arena || i > 0 ? NULL : (k->live[0] = arena)",
                   WIPE="explicit_bzero(p, n)", MORE=".locked_bytes = arena_bytes")


def run(path, *programs, how=(), program=FUZZ, STRONGROOM_FORK="", **more):
    files = []
    for number, text in enumerate(programs):
        files.append(path.parent / f"program-{number}")
        files[-1].write_text("strongroom program 1\n" + text)
    return subprocess.run([program, *how, *files], env={**os.environ, "STRONGROOM_SUBJECT": str(path), "STRONGROOM_FORK": STRONGROOM_FORK}, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.parametrize("how", [(), ("--apart",)])
def test_a_process_that_may_not_be_dumped_is_looked_at(how):
    # Its files under /proc are root's then: an ordinary user would see nothing, in silence.
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path = subject(folder, OPEN="prctl(PR_SET_DUMPABLE, 0)", WIPE="mprotect(p, PAGES(n), PROT_NONE)")
        shutil.copy(FUZZ, folder)
        folder.chmod(0o755)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        done = run(path, BASIC, how=how, program=folder / FUZZ.name, **user)
    assert done.returncode == 1 and '"zero-on-free"' in done.stderr, done.stderr


@pytest.mark.parametrize("how", [(), ("--apart",)])
def test_an_arena_that_is_locked_while_it_is_loaded_is_locked(how, tmp_path):
    done = run(locked_arena(tmp_path), BASIC, "open\nalloc s0 40\nlook s0\nalloc s1 max\nfree s0\nclose\n", how=how)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_thread_of_a_subject_uses_is_not_taken_away(tmp_path):
    path = subject(tmp_path, OPEN="pthread_t t; pthread_create(&t, NULL, watch, k)", MORE=".flags = SECRET_ALLOC_USES_FATAL")
    done = run(path, *["open\nalloc s0 40\nfree s0\nmisuse s0 double-free\n", BASIC] * 100)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == "programs 200\n"


def test_what_a_thread_from_the_load_does_is_done_in_the_process_that_runs(tmp_path):
    path = subject(tmp_path, BEGIN="pthread_t t; pthread_create(&t, NULL, serve, NULL)", ALLOC="if (!served()) return NULL", WIPE="mprotect(p, PAGES(n), PROT_NONE)")
    for how in ((), ("--apart",)):
        done = run(path, BASIC, how=how)
        assert done.returncode == 1 and '"zero-on-free"' in done.stderr, (how, done.stderr)


FORK = "open\nalloc s0 40\nfill s0\nfork raw\nfree s0\nclose\n"


@pytest.mark.parametrize("program, more", [(BASIC, {"ALLOC": "no_files()"}), (FORK.replace("raw", "libc"), {"BEGIN": "pthread_atfork(NULL, NULL, no_files)"})], ids=["itself", "child"])
def test_where_memory_cannot_be_looked_at_nothing_is_said(program, more, tmp_path):
    # Hidden, so that it is looked at through a file, which cannot be opened; in a child all is.
    path = subject(tmp_path, WIPE="mprotect(p, PAGES(n), PROT_NONE)" if program == BASIC else "explicit_bzero(p, n); munmap(p, PAGES(n))", **more)
    done = run(path, program, STRONGROOM_FORK="always")
    assert done.returncode == 2 and "cannot be opened, so nothing can be seen" in done.stderr, done.stderr
    assert "programs" not in done.stdout


def test_what_is_broken_is_told_where_nothing_more_can_be_tested(tmp_path):
    # One is given, 99 get nothing, and what the hundredth gets is a refusal that says no reason.
    path = subject(tmp_path, ALLOC="static int calls; if (calls++ == 100) errno = 0; if (given >= 1) return NULL")
    done = run(path, *[BASIC] * 101)
    assert done.returncode == 1 and '"sizes"' in done.stderr, done.stderr


def test_what_can_test_nothing_any_more_says_so(tmp_path):
    done = run(subject(tmp_path, ALLOC="if (given >= 5) return NULL"), *[BASIC] * 120)
    assert done.returncode == 2 and "got none, so nothing can be tested: those before used it up" in done.stderr
    done = run(subject(tmp_path, ALLOC="return NULL"), *[BASIC] * 120)
    assert done.returncode == 2 and "nothing can be tested: it gives none" in done.stderr
    done = run(subject(tmp_path, ALLOC="if (given == 5) setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0})"), *[BASIC] * 10)
    assert done.returncode == 2 and "lowered the hard limit of locked memory" in done.stderr
    # Refusals that are in order are none of that.
    done = run(subject(tmp_path), *["limit 0\nopen\nalloc s0 40\nclose\n", "open\nalloc s0 max\nclose\n"] * 120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("call, forgets", [("madvise", "madvise(p,4096,MADV_DONTDUMP)"), ("mprotect", "mprotect(p,4096,PROT_READ|PROT_WRITE)")])
def test_locks_that_a_refused_call_forgets_are_seen(call, forgets, tmp_path):
    path = subject(tmp_path, MORE=".locked_bytes = live_bytes, .close = my_close", **{"FORGETS(p)": forgets})
    refused = f"open\nalloc s0 40\nfail {call} 1 ENOMEM\nalloc s1 40\n"
    done = run(path, refused + "heal\nfree s0\nclose\n")
    assert done.returncode == 1 and '"fault-hygiene"' in done.stderr, done.stderr
    assert run(path, BASIC).returncode == 0
