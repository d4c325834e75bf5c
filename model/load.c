/* SPDX-License-Identifier: MIT */
/*
 * load.c: loads a subject that is a shared object. A program that brings its own tables needs
 * nothing of this file, nor of the dynamic loader.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "subject.h"

/* A path without a slash would be looked for among the system's libraries. */
static void *open_at(const char *path)
{
    char local[256];
    if (strchr(path, '/') != NULL)
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    snprintf(local, sizeof local, "./%s", path);
    return dlopen(local, RTLD_NOW | RTLD_LOCAL);
}

typedef const struct secret_alloc *const *subjects_function(uint32_t abi_major);

bool model_subject_load(struct model_subject *subject, const char *path, char *error,
                        size_t error_bytes)
{
    subjects_function *subjects;
    memset(subject, 0, sizeof *subject);
    subject->handle = open_at(path);
    if (subject->handle == NULL) {
        const char *why = dlerror();
        return model_subject_refuse(error, error_bytes,
                                    "not a shared object: ", why == NULL ? "no reason given" : why);
    }
    void *symbol = dlsym(subject->handle, "strongroom_subjects");
    if (symbol == NULL)
        return model_subject_refuse(error, error_bytes, "does not export strongroom_subjects", "");
    memcpy(&subjects, &symbol, sizeof subjects); /* ISO C has no cast from object to function */
    return model_subject_take(subject, subjects(STRONGROOM_ABI_MAJOR), error, error_bytes);
}
