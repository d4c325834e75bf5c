/* SPDX-License-Identifier: MIT */
/*
 * cost.c: what a secret costs with a subject, through its contract: cost SUBJECT.so VARIANT
 *
 * Prints one line: locked bytes and mappings for each of 100 secrets of 32 bytes, and the nanoseconds
 * of processor time that alloc, a write and free take together, with those 100 alive.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "contract/strongroom.h"

#define LIVE 100
#define SECRET_BYTES 32
#define BURSTS 21
#define BURST_NS 10000000.0

static const struct secret_alloc *variant_named(void *handle, const char *name)
{
    const struct secret_alloc *const *(*subjects)(uint32_t abi_major);
    *(void **)&subjects = dlsym(handle, "strongroom_subjects");
    const struct secret_alloc *const *list =
        subjects != NULL ? subjects(STRONGROOM_ABI_MAJOR) : NULL;
    while (list != NULL && *list != NULL && strcmp((*list)->name, name) != 0)
        list++;
    return list != NULL ? *list : NULL;
}

static long locked_bytes(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        (void)sscanf(line, "VmLck: %ld", &kib);
    if (status != NULL)
        (void)fclose(status);
    return kib * 1024;
}

static long mappings(void)
{
    long count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    for (int c; maps != NULL && (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    if (maps != NULL)
        (void)fclose(maps);
    return count;
}

static double processor_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static bool pair(const struct secret_alloc *subject, void *context)
{
    volatile char *secret = subject->alloc(context, SECRET_BYTES);
    if (secret == NULL)
        return false;
    secret[0] = 'S';
    subject->free(context, (void *)(uintptr_t)secret, SECRET_BYTES);
    return true;
}

/* Of one burst: ns for a pair; negative where alloc said no. */
static double burst(const struct secret_alloc *subject, void *context)
{
    unsigned long count = 0;
    double start = processor_ns(), now = start;
    for (; now < start + BURST_NS; now = processor_ns())
        for (int i = 0; i < 16; i++, count++)
            if (!pair(subject, context))
                return -1;
    return (now - start) / (double)count;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments)
{
    static void *secrets[LIVE];
    double ns[BURSTS];
    void *context;
    struct secret_config config = {.size = sizeof config};
    void *handle = count == 3 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    const struct secret_alloc *subject =
        handle != NULL ? variant_named(handle, arguments[2]) : NULL;
    if (subject == NULL) {
        (void)fprintf(stderr, "usage: cost SUBJECT.so VARIANT: no such subject\n");
        return 2;
    }
    long maps_before = mappings(), locked_before = locked_bytes();
    maps_before = mappings(); /* the first reading has a buffer of its own to map */
    if (subject->open(&config, &context) != 0)
        return 1;
    for (int i = 0; i < LIVE; i++)
        if ((secrets[i] = subject->alloc(context, SECRET_BYTES)) == NULL)
            return 1;
    long maps = mappings() - maps_before, locked = locked_bytes() - locked_before;
    for (int i = 0; i < BURSTS; i++)
        if ((ns[i] = burst(subject, context)) < 0)
            return 1;
    qsort(ns, BURSTS, sizeof *ns, ascending);
    (void)printf("%.0f\t%.2f\t%.0f\n", (double)locked / LIVE, (double)maps / LIVE, ns[BURSTS / 2]);
    return 0;
}
