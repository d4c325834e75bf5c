/* SPDX-License-Identifier: MIT */
/*
 * malloc.c: a general malloc, as programs use it for secrets: malloc, realloc, free, and no more.
 *
 * It is the C library's, or the one that STRONGROOM_MALLOC names: the path of a shared object that
 * exports malloc and free. That one serves the subject alone, the harness keeps its own. One that
 * cannot be loaded so late (thread-local storage of its own) can be preloaded instead:
 *
 *     STRONGROOM_MALLOC=/usr/lib/libhardened.so ./dev verify malloc
 *     LD_PRELOAD=/usr/lib/libhardened.so ./dev verify malloc
 *
 * `version` says whose malloc was judged. No claims: a malloc promises nothing of secrets, and is
 * judged by what any allocator for them owes, and by what it is seen to offer.
 */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contract/strongroom.h"

static struct {
    void *(*allocate)(size_t size_bytes);
    void *(*reallocate)(void *secret, size_t size_bytes);
    void *(*allocate_aligned)(size_t align_bytes, size_t size_bytes);
    void (*release)(void *secret);
    size_t (*usable)(void *secret);
} library;

static int open_nothing(const struct secret_config *config, void **context)
{
    (void)config; /* it knows no budget, and reports misuse in its own way */
    *context = NULL;
    return 0;
}

static void *allocate(void *context, size_t size_bytes)
{
    (void)context;
    return library.allocate(size_bytes);
}

static void release(void *context, void *secret, size_t size_bytes)
{
    (void)context;
    (void)size_bytes;
    library.release(secret);
}

static void *resize(void *context, void *secret, size_t old_size_bytes, size_t new_size_bytes)
{
    (void)context;
    (void)old_size_bytes;
    return library.reallocate(secret, new_size_bytes);
}

static void *allocate_aligned(void *context, size_t align_bytes, size_t size_bytes)
{
    (void)context;
    return library.allocate_aligned(align_bytes, size_bytes);
}

static size_t usable(void *context, const void *secret)
{
    (void)context;
    return library.usable((void *)(uintptr_t)secret);
}

static struct secret_alloc table = {
    .size = sizeof table,
    .flags = SECRET_ALLOC_THREAD_SAFE | SECRET_ALLOC_CHILD_MAY_ALLOC | SECRET_ALLOC_CHILD_MAY_FREE,
    .name = "malloc",
    .library = "malloc",
    .open = open_nothing,
    .alloc = allocate,
    .free = release,
};

/* A name that the library does not have must not be answered by the C library's. */
static void *symbol(void *handle, const char *path, const char *name)
{
    Dl_info where;
    void *address = dlsym(handle, name);
    if (address == NULL || path == NULL)
        return address;
    return dladdr(address, &where) != 0 && strcmp(where.dli_fname, path) == 0 ? address : NULL;
}

static void bind(void *handle, const char *path)
{
    *(void **)&library.allocate = symbol(handle, path, "malloc");
    *(void **)&library.release = symbol(handle, path, "free");
    *(void **)&library.reallocate = symbol(handle, path, "realloc");
    *(void **)&library.allocate_aligned = symbol(handle, path, "aligned_alloc");
    *(void **)&library.usable = symbol(handle, path, "malloc_usable_size");
    table.resize = library.reallocate != NULL ? resize : NULL;
    table.alloc_aligned = library.allocate_aligned != NULL ? allocate_aligned : NULL;
    table.usable = library.usable != NULL ? usable : NULL;
}

/* Of the C library, its version; of another, the file that malloc is from. */
static const char *whose(void)
{
    static char text[256];
    Dl_info malloc_is, libc_is;
    if (library.allocate == NULL || dladdr(*(void **)&library.allocate, &malloc_is) == 0)
        return "unknown";
    void *libc = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    if (dladdr(libc, &libc_is) != 0 && strcmp(libc_is.dli_fname, malloc_is.dli_fname) == 0)
        (void)snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
    else
        (void)snprintf(text, sizeof text, "%.200s", malloc_is.dli_fname);
    return text;
}

static const char *why_refused(const char *path, bool loaded)
{
    if (loaded || path == NULL)
        return "has-no-malloc-or-no-free";
    if (strchr(path, '/') != NULL && access(path, R_OK) != 0)
        return "names-no-file-that-can-be-read";
    return "cannot-be-loaded-so-late-preload-it";
}

const struct secret_alloc *const *strongroom_subjects(uint32_t abi_major)
{
    static const struct secret_alloc *const subjects[] = {&table, NULL};
    const char *path = getenv("STRONGROOM_MALLOC");
    void *handle = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (path == NULL || handle != NULL)
        bind(handle != NULL ? handle : RTLD_DEFAULT, path);
    if (library.allocate == NULL || library.release == NULL) {
        table.alloc = NULL; /* refused before anything is judged, and its name says why */
        table.name = why_refused(path, handle != NULL);
    }
    table.version = whose();
    return abi_major == STRONGROOM_ABI_MAJOR ? subjects : NULL;
}
