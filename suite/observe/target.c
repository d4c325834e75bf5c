/* SPDX-License-Identifier: MIT */
/* target.c: reads memory, maps and locks of a stopped case. */
#include "suite/observe/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite/observe/pagemap.h"

#define CHUNK_BYTES ((size_t)64 << 10)

size_t target_read(const struct target_memory *memory, uint64_t address, void *out,
                   size_t size_bytes)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t got =
            pread(memory->mem_fd, (char *)out + done, size_bytes - done, (off_t)(address + done));
        if (got <= 0)
            got = (ssize_t)reach_read(&memory->reach, address + done, (char *)out + done,
                                      size_bytes - done, memory->page_bytes);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Most of what is looked at is wiped: eight at a time. */
size_t target_nonzero(const uint8_t *bytes, size_t size_bytes)
{
    size_t nonzero = 0, i = 0;
    for (uint64_t word; i + sizeof word <= size_bytes; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        for (; word != 0; word >>= 8)
            nonzero += (word & 0xff) != 0;
    }
    for (; i < size_bytes; i++)
        nonzero += bytes[i] != 0;
    return nonzero;
}

/* ---- search ---- */

struct search {
    const struct secrets *secrets;
    target_found *found;
    void *arg;
    struct sight sight;
    bool stopped;
    uint8_t bytes[SECRETS_WINDOW_BYTES - 1 + CHUNK_BYTES]; /* tail of the chunk before, chunk */
    size_t tail_bytes;
    uint32_t position; /* in the pool, where the next window is expected */
    struct pagemap pagemap;
};

/* Searches tail + fresh bytes; address is that of the first fresh one. */
static void search_chunk(struct search *search, uint64_t address, size_t fresh_bytes)
{
    const uint8_t *bytes = search->bytes;
    size_t count = search->tail_bytes + fresh_bytes;
    uint64_t base = address - search->tail_bytes;

    search->sight.nonzero_bytes += target_nonzero(bytes + search->tail_bytes, fresh_bytes);
    for (size_t i = 0; i + SECRETS_WINDOW_BYTES <= count && !search->stopped; i++) {
        size_t none = secrets_none(bytes + i);
        if (none > 0)
            i += none - 1;
        else if (secrets_find(search->secrets, bytes + i, &search->position))
            search->stopped = !search->found(search->arg, base + i, search->position++);
    }
    search->tail_bytes = count < SECRETS_WINDOW_BYTES - 1 ? count : SECRETS_WINDOW_BYTES - 1;
    memmove(search->bytes, bytes + count - search->tail_bytes, search->tail_bytes);
    search->sight.readable_bytes += fresh_bytes;
}

static size_t min_size(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

struct sight target_search(const struct target_memory *memory, bool written_only,
                           const struct secrets *secrets, uint64_t address, uint64_t size_bytes,
                           target_found *found, void *arg)
{
    struct search *search = malloc(sizeof *search);
    if (search == NULL)
        return (struct sight){0};
    search->secrets = secrets;
    search->found = found;
    search->arg = arg;
    search->sight = (struct sight){0};
    search->stopped = false;
    search->tail_bytes = 0;
    search->position = 0;
    pagemap_begin(&search->pagemap, memory->pagemap_fd, written_only, memory->page_bytes);

    uint64_t end = address + size_bytes, page_bytes = memory->page_bytes;
    uint64_t page_end = (end + page_bytes - 1) / page_bytes * page_bytes;
    while (address < end && !search->stopped) {
        uint64_t in_page = address % page_bytes;
        size_t to_page_end = min_size(end - address, page_bytes - in_page);
        uint64_t untouched = pagemap_untouched(&search->pagemap, address - in_page, page_end);
        if (untouched > 0) {
            search->tail_bytes = 0;
            address += untouched - in_page;
            continue;
        }
        size_t got = target_read(memory, address, search->bytes + search->tail_bytes,
                                 min_size(end - address, CHUNK_BYTES - in_page % CHUNK_BYTES));
        if (got == 0) { /* not mapped: nothing there */
            search->tail_bytes = 0;
            address += to_page_end;
            continue;
        }
        search_chunk(search, address, got);
        address += got;
    }
    struct sight sight = search->sight;
    free(search);
    return sight;
}

/* ---- maps and locks ---- */

#define STATUS_BYTES 4096u

/* What follows key in /proc/PID/status, which is read into text; NULL if it is not there. */
static const char *status_line(const struct target *target, const char *key,
                               char text[STATUS_BYTES])
{
    ssize_t got = target->status_fd < 0 ? -1 : pread(target->status_fd, text, STATUS_BYTES - 1, 0);
    if (got <= 0)
        return NULL;
    text[got] = '\0';
    const char *line = strstr(text, key);
    return line != NULL ? line + strlen(key) : NULL;
}

/* The number in the line that begins with key; false if there is none. */
static bool status_number(const struct target *target, const char *key, int base, uint64_t *value)
{
    char text[STATUS_BYTES];
    const char *line = status_line(target, key, text);
    if (line != NULL)
        *value = strtoull(line, NULL, base);
    return line != NULL;
}

/* proc(5), NSpid: from the namespace of the mount inwards. */
int64_t target_pid(const struct target *target)
{
    char text[STATUS_BYTES];
    const char *line = status_line(target, "\nNSpid:", text);
    int64_t pid = -1;
    while (line != NULL && (*line == '\t' || *line == ' ')) {
        char *end;
        pid = strtoll(line + 1, &end, 10);
        line = end;
    }
    return pid;
}

uint64_t target_locked_bytes(const struct target *target)
{
    uint64_t kib;
    return status_number(target, "\nVmLck:", 10, &kib) ? kib * 1024 : UINT64_MAX;
}

uint64_t target_capabilities(const struct target *target)
{
    uint64_t set;
    return status_number(target, "\nCapEff:", 16, &set) ? set : 0;
}

/* The line without its newline, and without the blanks before the name. */
static void head_copy(char *head, size_t head_bytes, const char *line)
{
    size_t length = 0;
    for (; *line != '\0' && *line != '\n' && length + 1 < head_bytes; line++)
        if (*line != ' ' || line[1] != ' ')
            head[length++] = *line;
    head[length] = '\0';
}

bool target_mappings(const struct target *target,
                     bool (*each)(void *arg, const struct target_mapping *mapping), void *arg)
{
    if (target->smaps_fd < 0 || lseek(target->smaps_fd, 0, SEEK_SET) != 0)
        return false;
    int fd = dup(target->smaps_fd);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    struct target_mapping mapping = {0};
    char *line = NULL;
    size_t line_bytes = 0;
    bool any = false, going = true;
    while (going && getline(&line, &line_bytes, file) > 0) {
        uint64_t start, end;
        char access[5];
        uint64_t inode;
        int fields = sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %" SCNu64, &start, &end,
                            access, &inode);
        if (fields == 4) {
            mapping.private_file = access[3] == 'p' && inode != 0;
            mapping.start = start;
            mapping.end = end;
            head_copy(mapping.head, sizeof mapping.head, line);
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            any = true;
            mapping.locked = strstr(line, " lo") != NULL;
            mapping.not_dumped = strstr(line, " dd") != NULL;
            (void)snprintf(mapping.flags, sizeof mapping.flags, "%.*s",
                           (int)strcspn(line + 9, "\n"), line + 9);
            going = each(arg, &mapping);
        }
    }
    free(line);
    (void)fclose(file);
    return any;
}

struct lock_walk {
    const struct target *target;
    uint64_t at, end; /* the next page to judge, the end of the range */
    struct target_locks *locks;
};

static void page_note(uint64_t at, const struct target_mapping *mapping, uint64_t *first, char *map,
                      size_t map_bytes)
{
    if (*first != 0)
        return;
    *first = at;
    if (mapping == NULL)
        (void)snprintf(map, map_bytes, "not mapped");
    else
        (void)snprintf(map, map_bytes, "%s VmFlags: %s", mapping->head, mapping->flags);
}

/* All pages up to until are of one mapping, or of none: NULL. */
static void pages_judge(struct lock_walk *walk, uint64_t until,
                        const struct target_mapping *mapping)
{
    struct target_locks *locks = walk->locks;
    if (walk->at >= until)
        return;
    uint64_t pages = (until - walk->at) / walk->target->page_bytes;
    if (mapping != NULL && mapping->locked)
        locks->lo_pages += pages;
    else
        page_note(walk->at, mapping, &locks->first_unlocked, locks->map, sizeof locks->map);
    if (mapping != NULL && mapping->not_dumped)
        locks->dd_pages += pages;
    else
        page_note(walk->at, mapping, &locks->first_dumped, locks->dumped_map,
                  sizeof locks->dumped_map);
    walk->at = until;
}

static bool lock_mapping(void *arg, const struct target_mapping *mapping)
{
    struct lock_walk *walk = arg;
    if (mapping->end <= walk->at)
        return true;
    pages_judge(walk, mapping->start < walk->end ? mapping->start : walk->end, NULL);
    pages_judge(walk, mapping->end < walk->end ? mapping->end : walk->end, mapping);
    return walk->at < walk->end;
}

bool target_locks(const struct target *target, uint64_t address, uint64_t size_bytes,
                  struct target_locks *locks)
{
    uint64_t page = target->page_bytes;
    uint64_t start = address / page * page;
    uint64_t end = (address + size_bytes + page - 1) / page * page;
    *locks = (struct target_locks){.pages = size_bytes == 0 ? 0 : (end - start) / page};
    if (size_bytes == 0)
        return true;
    struct lock_walk walk = {.target = target, .at = start, .end = end, .locks = locks};
    if (!target_mappings(target, lock_mapping, &walk))
        return false;
    pages_judge(&walk, end, NULL);
    return true;
}

struct end_walk {
    uint64_t address, end;
};

static bool end_mapping(void *arg, const struct target_mapping *mapping)
{
    struct end_walk *walk = arg;
    if (walk->address >= mapping->start && walk->address < mapping->end)
        walk->end = mapping->end;
    return walk->end == 0 && mapping->start <= walk->address;
}

uint64_t target_mapping_end(const struct target *target, uint64_t address)
{
    struct end_walk walk = {.address = address};
    (void)target_mappings(target, end_mapping, &walk);
    return walk.end;
}
