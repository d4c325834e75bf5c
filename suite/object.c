/* SPDX-License-Identifier: MIT */
/* object.c: holds an ELF file's program headers against its length. */
#include "suite/object.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
        snprintf(why, why_bytes,
                 "not a shared object: a pipe"); /* to load it would wait for ever */
        whole = false;
    } else if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && read_at(fd, &head, sizeof head, 0) &&
               is_ours(&head)) {
        uint64_t needed = bytes_needed(fd, &head);
        whole = (uint64_t)is.st_size >= needed;
        if (!whole)
            snprintf(why, why_bytes,
                     "not a shared object: cut short, %" PRIu64
                     " bytes where its headers need %" PRIu64,
                     (uint64_t)is.st_size, needed);
    }
    close(fd);
    return whole;
}
