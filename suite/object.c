/* SPDX-License-Identifier: MIT */
/* object.c: reads the headers of an ELF file, or the first line of a script. */
#include "suite/object.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT_LINE_BYTES 256u /* the kernel's BINPRM_BUF_SIZE: it reads no more of it */

static bool read_at(int fd, void *out, size_t bytes, uint64_t offset)
{
    return pread(fd, out, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool is_ours(const ElfW(Ehdr) * head)
{
    return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) &&
           head->e_phentsize == sizeof(ElfW(Phdr));
}

/* How long the file must be at least. */
static uint64_t bytes_needed(int fd, const ElfW(Ehdr) * head)
{
    uint64_t needed = head->e_phoff + (uint64_t)head->e_phnum * sizeof(ElfW(Phdr));

    for (unsigned i = 0; i < head->e_phnum; i++) {
        ElfW(Phdr) part;
        if (!read_at(fd, &part, sizeof part, head->e_phoff + i * sizeof part))
            break;
        if (part.p_type == PT_LOAD && part.p_offset + part.p_filesz > needed)
            needed = part.p_offset + part.p_filesz;
    }
    return needed;
}

bool object_is_whole(const char *path, char *why, size_t why_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ElfW(Ehdr) head;
    struct stat is;
    bool whole = true;

    if (fd < 0)
        return true;
    if (fstat(fd, &is) == 0 && S_ISFIFO(is.st_mode)) {
        snprintf(why, why_bytes, "a pipe"); /* to load it would wait for ever */
        whole = false;
    } else if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && read_at(fd, &head, sizeof head, 0) &&
               is_ours(&head)) {
        uint64_t needed = bytes_needed(fd, &head);
        whole = (uint64_t)is.st_size >= needed;
        if (!whole)
            snprintf(why, why_bytes, "cut short, %" PRIu64 " bytes where its headers need %" PRIu64,
                     (uint64_t)is.st_size, needed);
    }
    close(fd);
    return whole;
}

/* ---- programs ---- */

/* Of an ELF file: what matters of its headers. */
struct parts {
    bool executable, has_soname, says_pie;
    char interpreter[PATH_MAX]; /* "": none */
};

static void dynamic_read(int fd, const ElfW(Phdr) * part, struct parts *parts)
{
    ElfW(Dyn) entry;
    for (size_t i = 0; i < part->p_filesz / sizeof entry; i++) {
        if (!read_at(fd, &entry, sizeof entry, part->p_offset + i * sizeof entry))
            return;
        parts->has_soname |= entry.d_tag == DT_SONAME;
        parts->says_pie |= entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE) != 0;
    }
}

static void interpreter_read(int fd, const ElfW(Phdr) * part, struct parts *parts)
{
    size_t bytes = part->p_filesz < PATH_MAX ? (size_t)part->p_filesz : PATH_MAX - 1;
    if (!read_at(fd, parts->interpreter, bytes, part->p_offset))
        bytes = 0;
    parts->interpreter[bytes] = '\0';
}

static bool parts_read(int fd, struct parts *parts)
{
    ElfW(Ehdr) head;
    *parts = (struct parts){0};
    if (!read_at(fd, &head, sizeof head, 0) || !is_ours(&head))
        return false;
    parts->executable = head.e_type == ET_EXEC;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        ElfW(Phdr) part;
        if (!read_at(fd, &part, sizeof part, head.e_phoff + i * sizeof part))
            break;
        if (part.p_type == PT_INTERP)
            interpreter_read(fd, &part, parts);
        else if (part.p_type == PT_DYNAMIC)
            dynamic_read(fd, &part, parts);
    }
    return true;
}

/* The first word after "#!", as execve(2) takes it. */
static bool script_read(int fd, char interpreter[PATH_MAX])
{
    char line[SCRIPT_LINE_BYTES] = "";
    ssize_t got = pread(fd, line, sizeof line - 1, 0);
    if (got < 3 || line[0] != '#' || line[1] != '!')
        return false;
    const char *word = line + 2 + strspn(line + 2, " \t");
    (void)snprintf(interpreter, PATH_MAX, "%.*s", (int)strcspn(word, " \t\r\n"), word);
    return true;
}

static int file_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* An executable that runs at any address looks like a shared object. It says that it is none, or, where
 * an older linker made it, wants a loader and has no name to be loaded by. */
bool object_is_program(const char *path)
{
    char interpreter[PATH_MAX];
    struct parts parts;
    int fd = file_open(path);
    bool is = fd >= 0 &&
              (script_read(fd, interpreter) ||
               (parts_read(fd, &parts) && (parts.executable || parts.says_pie ||
                                           (parts.interpreter[0] != '\0' && !parts.has_soname))));
    if (fd >= 0)
        (void)close(fd);
    return is;
}

bool object_interpreter(const char *path, char interpreter[PATH_MAX])
{
    struct parts parts;
    int fd = file_open(path);
    bool names = fd >= 0 && script_read(fd, interpreter);
    if (fd >= 0 && !names && parts_read(fd, &parts) && parts.interpreter[0] != '\0') {
        (void)snprintf(interpreter, PATH_MAX, "%s", parts.interpreter);
        names = true;
    }
    if (fd >= 0)
        (void)close(fd);
    return names;
}
