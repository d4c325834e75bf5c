/*
 * wipe_survives.c - a wipe that no optimizer removes: all of ref-alloc in one program, built with -O3 and link-time
 * optimization, and looked at from outside of what the compiler can see.
 *
 *   a dead buffer    wiped, then freed: there a plain memset is removed as a dead store. Where it survives, this
 *                    compiler removes nothing here, and that part proves nothing: 77, skipped
 *   the allocator    secrets are freed, grown, shrunk, closed over and aborted over. What is left of them is read
 *                    through /proc/self/mem by address, and whatever goes back to the kernel is read right before
 *                    it goes
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ref_alloc.h"

#define STEP 7 /* each byte of a secret is that much more than the one before */
#define RUN_BYTES \
    6 /* so many in a row are a piece of one: a canary, which repeats 8 random bytes, is none */
#define SIZE 320
#define FREE_WRITES 64 /* free() itself writes at the start of what it is given, so much at most */

static int memory = -1; /* /proc/self/mem, which shows inaccessible pages too */
static size_t left_behind;

/* How many pieces of a secret there are. What is not mapped has none. */
static size_t count_pieces(uintptr_t address, size_t size_bytes)
{
    static unsigned char bytes[65536];
    unsigned char before = 0;
    size_t count = 0, run_bytes = 0;
    for (size_t done = 0; done < size_bytes; done += sizeof(bytes)) {
        size_t piece = size_bytes - done < sizeof(bytes) ? size_bytes - done : sizeof(bytes);
        ssize_t got = pread(memory, bytes, piece, (off_t)(address + done));
        for (ssize_t i = 0; i < got; i++) {
            run_bytes = bytes[i] == (unsigned char)(before + STEP) ? run_bytes + 1 : 1;
            count += run_bytes >= RUN_BYTES;
            before = bytes[i];
        }
    }
    return count;
}

static inline __attribute__((always_inline)) void fill(unsigned char *secret, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        ((volatile unsigned char *)secret)[i] = (unsigned char)(i * STEP + 1);
}

/* ---- whatever goes back to the kernel ---- */

/* Stands before the C library's, which it asks for (--wrap does not reach into what gcc links as a whole). */
long syscall(long number, ...)
{
    static long (*next)(long number, ...);
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_munmap || number == SYS_munlock || number == SYS_madvise)
        left_behind += count_pieces((uintptr_t)arguments[0], (size_t)arguments[1]);
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

/* ---- a dead buffer ---- */

static uintptr_t dead_address;

static inline __attribute__((always_inline)) unsigned char *make_buffer(void)
{
    unsigned char *buffer = malloc(SIZE);
    if (buffer == NULL)
        abort();
    dead_address = (uintptr_t)buffer;
    fill(buffer, SIZE);
    return buffer;
}

static __attribute__((noinline)) void with_wipe(void)
{
    unsigned char *buffer = make_buffer();
    ref_alloc_wipe(buffer, SIZE);
    free(buffer);
}

static __attribute__((noinline)) void with_memset(void)
{
    unsigned char *buffer = make_buffer();
    memset(buffer, 0, SIZE);
    free(buffer);
}

static size_t left_of_buffer(void (*body)(void))
{
    body();
    return count_pieces(dead_address + FREE_WRITES, SIZE - FREE_WRITES);
}

/* ---- the allocator ---- */

static const size_t sizes[] = {24, 300, 1500, 5000, 100000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct ref_alloc_heap *heap;
static uintptr_t addresses[SIZES];
static int failures;

static void expect(bool right, const char *what, size_t size_bytes)
{
    if (right)
        return;
    printf("left behind: %s, a secret of %zu bytes\n", what, size_bytes);
    failures++;
}

static unsigned char *make_secret(size_t size_bytes)
{
    unsigned char *secret = ref_alloc_allocate(heap, size_bytes);
    if (secret == NULL)
        abort();
    fill(secret, size_bytes);
    return secret;
}

static void freed(size_t size_bytes)
{
    unsigned char *secret = make_secret(size_bytes);
    uintptr_t address = (uintptr_t)secret;
    expect(count_pieces(address, size_bytes) >= size_bytes - RUN_BYTES, "nothing can be seen of",
           size_bytes);
    ref_alloc_free(heap, secret);
    expect(count_pieces(address, size_bytes) == 0, "by free", size_bytes);
}

static void resized(size_t size_bytes, size_t new_size_bytes, const char *what)
{
    unsigned char *secret = make_secret(size_bytes);
    size_t kept = size_bytes < new_size_bytes ? size_bytes : new_size_bytes;
    uintptr_t before = (uintptr_t)secret;
    secret = ref_alloc_resize(heap, secret, new_size_bytes);
    if (secret == NULL)
        abort();
    uintptr_t after = (uintptr_t)secret;
    ref_alloc_wipe(secret, kept); /* so that all that is left is a copy, or a tail */
    expect(count_pieces(before, size_bytes) == 0 && count_pieces(after, new_size_bytes) == 0, what,
           size_bytes);
    ref_alloc_free(heap, secret);
}

static void at_abort(int signal_number)
{
    (void)signal_number;
    for (size_t i = 0; i < SIZES; i++)
        expect(count_pieces(addresses[i], sizes[i]) == 0, "by abort", sizes[i]);
    fflush(stdout);
    _exit(failures != 0);
}

/* In a process of its own: a double free, with all of these alive. */
static void aborted(struct ref_alloc_config config)
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        memory = open("/proc/self/mem", O_RDONLY);
        signal(SIGABRT, at_abort);
        if (!ref_alloc_open(&config, &heap))
            _exit(2);
        for (size_t i = 0; i < SIZES; i++)
            addresses[i] = (uintptr_t)make_secret(sizes[i]);
        void *twice = make_secret(40);
        ref_alloc_free(heap, twice);
        ref_alloc_free(heap, twice);
        _exit(3);
    }
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "before an abort", 0);
}

static void use(struct ref_alloc_config config)
{
    if (!ref_alloc_open(&config, &heap))
        abort();
    for (size_t i = 0; i < SIZES; i++) {
        freed(sizes[i]);
        resized(sizes[i], sizes[i] * 3, "by growing");
        resized(sizes[i], sizes[i] - sizes[i] / 4, "by shrinking");
        resized(sizes[i], 1, "by shrinking to nothing");
    }
    for (size_t i = 0; i < SIZES; i++)
        make_secret(sizes[i]);
    left_behind = 0;
    expect(ref_alloc_close(heap), "close failed over", 0);
    expect(left_behind == 0, "given back to the kernel by close", 0);
    aborted(config);
}

/* What goes back with a secret in it is seen. */
static void check_observer(void)
{
    unsigned char *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        abort();
    fill(page, 4096);
    left_behind = 0;
    syscall(SYS_munmap, page, 4096L);
    expect(left_behind >= 4096 - RUN_BYTES, "nothing can be seen going back of", 4096);
}

int main(void)
{
    memory = open("/proc/self/mem", O_RDONLY);
    if (memory < 0) {
        perror("wipe_survives: /proc/self/mem");
        return 77;
    }
    check_observer();
    use((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_GUARDED});
    use((struct ref_alloc_config){.placement = REF_ALLOC_PLACEMENT_PACKED});
    use((struct ref_alloc_config){.without_canary = true}); /* nothing else overwrites a tail */
    size_t after_memset = left_of_buffer(with_memset), after_wipe = left_of_buffer(with_wipe);
    printf("pieces left in %d bytes: %zu after memset, %zu after ref_alloc_wipe\n",
           SIZE - FREE_WRITES, after_memset, after_wipe);
    if (failures != 0 || after_wipe != 0)
        return 1;
    return after_memset > SIZE / 2 ? 0 : 77;
}
