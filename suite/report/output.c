/* SPDX-License-Identifier: MIT */
/*
 * output.c: a report in a file, whole or not at all.
 *
 *     FILE.XXXXXX in the same folder -> written, flushed, closed -> renamed to FILE
 *
 * What is there already and is no regular file (a pipe, /dev/null) is written to as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

static bool failed(const char *path, char *error, size_t error_bytes)
{
    snprintf(error, error_bytes, "cannot write '%s': %s", path, strerror(errno));
    return false;
}

/* Where path really is, so that a symbolic link stays one; path itself where there is nothing
 * yet. */
static const char *resolved(const char *path, char real[PATH_MAX])
{
    return realpath(path, real) != NULL ? real : path;
}

/* Is there something that must not be replaced by a regular file? */
static bool is_special(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 && !S_ISREG(is.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

/* Creates FILE.XXXXXX with the access that FILE would have got. */
static int temporary(const char *path, char *name, size_t name_bytes)
{
    mode_t mask = umask(0);
    int fd;

    umask(mask);
    if ((size_t)snprintf(name, name_bytes, "%s.XXXXXX", path) >= name_bytes) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        (void)fchmod(fd, 0666 & ~mask);
    return fd;
}

bool output_check(const char *path, char *error, size_t error_bytes)
{
    char real[PATH_MAX], name[PATH_MAX];
    int fd;

    if (strcmp(path, "-") == 0)
        return true;
    if (access(path, F_OK) == 0 && access(path, W_OK) != 0)
        return failed(path, error, error_bytes);
    path = resolved(path, real);
    if (is_folder(path)) {
        errno = EISDIR;
        return failed(path, error, error_bytes);
    }
    if (is_special(path)) /* not opened: closing a pipe again would end its reader */
        return true;
    fd = temporary(path, name, sizeof name);
    if (fd < 0)
        return failed(path, error, error_bytes);
    close(fd);
    unlink(name);
    return true;
}

static bool write_stream(FILE *out, const char *text)
{
    bool written = fputs(text, out) != EOF;
    return fflush(out) == 0 && written && !ferror(out);
}

static bool write_special(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    bool written = out != NULL && write_stream(out, text);

    if (out != NULL)
        fclose(out);
    return written;
}

static bool write_file(const char *path, const char *text)
{
    char name[PATH_MAX];
    int fd = temporary(path, name, sizeof name);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool written = out != NULL && write_stream(out, text);

    if (out != NULL)
        written = fclose(out) == 0 && written;
    else if (fd >= 0)
        close(fd);
    if (written && rename(name, path) == 0)
        return true;
    if (fd >= 0) {
        int error = errno;
        unlink(name);
        errno = error;
    }
    return false;
}

bool output_text(const char *path, const char *text, char *error, size_t error_bytes)
{
    char real[PATH_MAX];
    const char *place = resolved(path, real);
    bool written;

    if (strcmp(path, "-") == 0)
        written = write_stream(stdout, text);
    else if (is_special(place))
        written = write_special(place, text);
    else
        written = write_file(place, text);
    return written || failed(path, error, error_bytes);
}

bool output_json(const char *path, const json_t *json, char *error, size_t error_bytes)
{
    char *dumped = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
    char *text = NULL;
    bool written;

    if (dumped == NULL || asprintf(&text, "%s\n", dumped) < 0) {
        text = NULL; /* asprintf(3): its content is undefined on failure */
        errno = ENOMEM;
        written = failed(path, error, error_bytes);
    } else {
        written = output_text(path, text, error, error_bytes);
    }
    free(text);
    free(dumped);
    return written;
}
