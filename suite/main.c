/* SPDX-License-Identifier: MIT */
/* main.c: strongroom: finds the command, reads its options, lets it run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "contract/strongroom.h"
#include "nearest.h"
#include "version.h"

#define COMMANDS_MOST 16u

static int print_help(void)
{
    puts("usage: strongroom COMMAND [options]\n"
         "\n"
         "Does an allocator for secrets keep its promises? Watched from outside, while it runs.\n");
    for (const struct command *command = commands; command->name != NULL; command++)
        printf("  %-9s %s\n", command->name, command->summary);
    puts("\n'strongroom COMMAND --help' says more.");
    return 0;
}

static int unknown_command(const char *word)
{
    const char *names[COMMANDS_MOST + 1] = {NULL}, *close;
    bool is_option = word[0] == '-';

    for (size_t i = 0; i < COMMANDS_MOST && commands[i].name != NULL; i++)
        names[i] = commands[i].name;
    close = nearest(word, names);
    if (close != NULL)
        return complain("unknown command '%s'; did you mean '%s'?", word, close);
    return complain("unknown %s '%s'; --help shows those there are",
                    is_option ? "option" : "command", word);
}

static int execute(const struct command *command, int argc, char **argv)
{
    struct options options;
    char error[512];
    int status;

    if (!options_read(&options, argc, argv, command->table, error, sizeof error))
        status = complain("%s: %s", command->name, error);
    else if (options.help)
        status = fputs(command->help, stdout) == EOF ? 2 : 0;
    else
        status = command->execute(&options);
    options_free(&options);
    return status;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return complain(
            "name a command: verify, compare, list, explain or replay; --help says more");
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(argv[1], command->name) == 0)
            return execute(command, argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    if (strcmp(argv[1], "--version") == 0) {
        printf("strongroom %s (contract %u)\n", STRONGROOM_VERSION, STRONGROOM_ABI_MAJOR);
        return 0;
    }
    return unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    int status = dispatch(argc, argv);

    /* A report that did not get out whole (a full disk) is no report. */
    if (fflush(stdout) != 0 || ferror(stdout))
        return complain("cannot write to stdout");
    return status;
}
