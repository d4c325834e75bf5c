/* SPDX-License-Identifier: MIT */
/* core.c: see core.h. */
#include "suite/observe/core.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)1 << 18)

bool core_possible(char *why, size_t why_bytes)
{
    char pattern[256] = "";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    bool known = file != NULL && fgets(pattern, sizeof pattern, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    pattern[strcspn(pattern, "\n")] = '\0';
    if (!known || pattern[0] == '\0')
        (void)snprintf(why, why_bytes, "core_pattern cannot be read, or is empty");
    else if (pattern[0] == '|')
        (void)snprintf(why, why_bytes, "core_pattern is a pipe to a program");
    else if (strchr(pattern, '/') != NULL)
        (void)snprintf(why, why_bytes, "core_pattern names a folder: %.80s", pattern);
    else
        return true;
    return false;
}

bool core_folder_make(char folder[PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, PATH_MAX, "%s/strongroom-core-XXXXXX",
                   base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(folder) == NULL || chmod(folder, 01733) != 0) {
        folder[0] = '\0';
        return false;
    }
    return true;
}

/* The only file in the folder; "" if there is none. */
static void core_path(const char *folder, char path[PATH_MAX])
{
    DIR *entries = opendir(folder);
    path[0] = '\0';
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)snprintf(path, PATH_MAX, "%.2000s/%s", folder, entry->d_name);
    if (entries != NULL)
        (void)closedir(entries);
}

void core_folder_remove(const char *folder)
{
    char path[PATH_MAX];
    core_path(folder, path);
    if (path[0] != '\0')
        (void)unlink(path);
    (void)rmdir(folder);
}

struct search {
    uint64_t marker;
    const struct secrets *secrets;
    core_found *found;
    void *arg;
    struct core_sight sight;
    bool stopped;
    uint8_t bytes[CHUNK_BYTES];
};

static void chunk_search(struct search *search, uint64_t at, size_t size_bytes)
{
    uint32_t position = 0;
    for (size_t i = 0; i + SECRETS_WINDOW_BYTES <= size_bytes && !search->stopped; i++) {
        if (memcmp(search->bytes + i, &search->marker, sizeof search->marker) == 0)
            search->sight.marked = true;
        size_t none = secrets_none(search->bytes + i);
        if (none > 0)
            i += none - 1;
        else if (secrets_find(search->secrets, search->bytes + i, &position))
            search->stopped = !search->found(search->arg, at + i, position++);
    }
}

/* All that is not a hole; chunks overlap by less than a window. */
static void file_search(struct search *search, int fd)
{
    off_t at = 0;
    while (!search->stopped && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
        ssize_t got = pread(fd, search->bytes, CHUNK_BYTES, at);
        if (got < (ssize_t)SECRETS_WINDOW_BYTES)
            return;
        chunk_search(search, (uint64_t)at, (size_t)got);
        at += got - (ssize_t)(SECRETS_WINDOW_BYTES - 1);
        if ((uint64_t)at + SECRETS_WINDOW_BYTES > search->sight.size_bytes)
            return;
    }
}

struct core_sight core_search(const char *folder, uint64_t marker, const struct secrets *secrets,
                              core_found *found, void *arg)
{
    char path[PATH_MAX];
    struct stat file;
    struct core_sight sight = {0};
    core_path(folder, path);
    int fd = path[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    struct search *search = calloc(1, sizeof *search);
    if (search != NULL && fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        search->marker = marker;
        search->secrets = secrets;
        search->found = found;
        search->arg = arg;
        search->sight.size_bytes = (uint64_t)file.st_size;
        file_search(search, fd);
        sight = search->sight;
    }
    free(search);
    if (fd >= 0)
        (void)close(fd);
    return sight;
}
