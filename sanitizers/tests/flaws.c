/* SPDX-License-Identifier: MIT */
/*
 * flaws.c: one mistake each with a secret of the reference allocator, for a tool to report at the line that makes it.
 *
 *     flaws NAME         the line behind `FLAW(NAME)` is the one to be named
 *
 * Each is made on a packed secret or, where it says so, on a guarded one. The secret's bytes are MARK, which no report
 * may show. `none` makes no mistake: the control.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ref_alloc.h"

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define UNDEFINED(start, size_bytes) __msan_allocated_memory(start, size_bytes)
#define DEFINED(start, size_bytes) __msan_unpoison(start, size_bytes)
#endif
#endif
#ifdef REF_ALLOC_VALGRIND
#include <valgrind/memcheck.h>
#define UNDEFINED(start, size_bytes) ((void)VALGRIND_MAKE_MEM_UNDEFINED(start, size_bytes))
#define DEFINED(start, size_bytes) ((void)VALGRIND_MAKE_MEM_DEFINED(start, size_bytes))
#endif
#ifndef UNDEFINED
#define UNDEFINED(start, size_bytes) ((void)(start), (void)(size_bytes))
#define DEFINED(start, size_bytes) ((void)(start), (void)(size_bytes))
#endif

#define SIZE_BYTES 24
#define MARK "Sesame-open-thyself-0017"

static struct ref_alloc_heap *heap, *guarded;
static volatile unsigned char sink;

static unsigned char *secret_of(struct ref_alloc_heap *from, size_t size_bytes)
{
    unsigned char *secret = ref_alloc_allocate(from, size_bytes);
    if (secret == NULL)
        exit(3);
    return secret;
}

static unsigned char *marked(struct ref_alloc_heap *from)
{
    unsigned char *secret = secret_of(from, SIZE_BYTES);
    memcpy(secret, MARK, SIZE_BYTES);
    return secret;
}

static void overrun(void)
{
    unsigned char *volatile secret = marked(heap);
    secret[SIZE_BYTES] = 1; /* FLAW(overrun) */
}

static void stale_read(void)
{
    unsigned char *volatile secret = marked(heap);
    ref_alloc_free(heap, secret);
    if (secret[3] != 0) /* FLAW(stale-read) */
        sink = 1;
}

static void uninitialised(void)
{
    unsigned char *volatile secret = secret_of(heap, SIZE_BYTES);
    if (secret[3] != 0) /* FLAW(uninitialised) */
        sink = 1;
}

static void leak(void)
{
    unsigned char *volatile kept = marked(guarded);
    unsigned char *volatile secret = marked(guarded); /* FLAW(leak) */
    secret = kept;
    sink = secret[0];
    ref_alloc_free(guarded, kept);
    kept = NULL;
    static void
        *volatile alive; /* memcheck looks for no leak at all where malloc has nothing out */
    alive = malloc(1);
    sink = alive != NULL;
}

/* Frames that held the pointer are written over. */
__attribute__((noinline)) static void forget(void)
{
    volatile unsigned char frames[4096];
    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = 0;
}

/* malloc, for LSan knows no other: it cannot see a lost secret. */
static void lost_malloc(void)
{
    unsigned char *volatile lost = malloc(SIZE_BYTES); /* FLAW(lost-malloc) */
    sink = lost[0] = 1;
    lost = NULL;
}

static void *writer(void *secret)
{
    ((volatile unsigned char *)secret)[0] = 2; /* FLAW(race) */
    return NULL;
}

static void race(void)
{
    pthread_t threads[2];
    unsigned char *secret = marked(heap);
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, writer, secret) != 0)
            exit(3);
    for (size_t i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    ref_alloc_free(heap, secret);
}

static void arithmetic(void)
{
    volatile int limit = 2147483647;
    unsigned char *secret = marked(heap);
    limit = limit + secret[0]; /* FLAW(arithmetic) */
    ref_alloc_free(heap, secret);
}

/* The tool says where it trapped, with the secret in registers. */
static void guard(void)
{
    unsigned char *volatile secret = marked(guarded);
    volatile unsigned long in_register;
    memcpy((void *)(size_t)&in_register, secret, sizeof in_register);
    secret[SIZE_BYTES + 8] = (unsigned char)in_register; /* FLAW(guard) */
}

/* Everything that ref-alloc does with a secret, while no tool knows its bytes: whoever branches on one is told of. */
static void use_all(struct ref_alloc_heap *from)
{
    static const size_t sizes[] = {1, 7, 24, 40, 200, 700, 3000, 5000, 12, 20000, 24};
    unsigned char *secret = secret_of(from, SIZE_BYTES);
    memcpy(secret, MARK, SIZE_BYTES);
    UNDEFINED(secret, SIZE_BYTES);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        secret = ref_alloc_resize(from, secret, sizes[i]);
        if (secret == NULL)
            exit(3);
        UNDEFINED(secret, sizes[i]);
        (void)ref_alloc_validate(from);
        (void)ref_alloc_usable_bytes(from, secret);
        unsigned char *other = secret_of(from, sizes[i]);
        memcpy(other, secret, sizes[i]);
        ref_alloc_free(from, other);
    }
    ref_alloc_free(from, secret);
    unsigned char *alive = secret_of(from, 100); /* for close to wipe */
    UNDEFINED(alive, 100);
}

static void flow(void)
{
    use_all(heap);
    use_all(guarded);
}

static void flow_branch(void)
{
    unsigned char *volatile secret = marked(heap);
    UNDEFINED(secret, SIZE_BYTES);
    if (secret[1] == 'e') /* FLAW(flow-branch) */
        sink = 1;
    ref_alloc_free(heap, secret);
}

static void flow_address(void)
{
    static volatile unsigned char table[256];
    unsigned char *volatile secret = marked(heap);
    UNDEFINED(secret, SIZE_BYTES);
    sink = table[secret[1]]; /* FLAW(flow-address) */
    ref_alloc_free(heap, secret);
}

static void none(void)
{
    unsigned char *secret = marked(heap), *other = marked(guarded);
    sink = secret[SIZE_BYTES - 1];
    ref_alloc_free(heap, secret);
    ref_alloc_free(guarded, other);
    unsigned char *zeros = ref_alloc_zeroed(heap, 2, 12);
    if (zeros == NULL || zeros[5] != 0)
        exit(3);
    ref_alloc_free(heap, zeros);
}

static const struct flaw {
    const char *name;
    void (*make)(void);
} flaws[] = {{"overrun", overrun},
             {"stale-read", stale_read},
             {"uninitialised", uninitialised},
             {"leak", leak},
             {"lost-malloc", lost_malloc},
             {"race", race},
             {"arithmetic", arithmetic},
             {"guard", guard},
             {"flow", flow},
             {"flow-branch", flow_branch},
             {"flow-address", flow_address},
             {"none", none}};

int main(int argc, char **argv)
{
    const struct ref_alloc_config guarded_config = {.placement = REF_ALLOC_PLACEMENT_GUARDED};
    if (argc != 2 || !ref_alloc_open(NULL, &heap) || !ref_alloc_open(&guarded_config, &guarded))
        return 3;
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        if (strcmp(flaws[i].name, argv[1]) != 0)
            continue;
        flaws[i].make();
        forget();
        if (strcmp(argv[1], "leak") != 0) { /* a closed heap has no secrets left to be lost */
            (void)ref_alloc_close(heap);
            (void)ref_alloc_close(guarded);
        }
        return 0;
    }
    return 3;
}
