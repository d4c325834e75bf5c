/* SPDX-License-Identifier: MIT */
/* privileges.c: see privileges.h. */
#include "fuzz/privileges.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "fuzz/self.h"
#include "model/ledger.h"
#include "model/raw.h"

#define PAGES_MIN 16u /* under a lower limit no secret of interest fits */

static bool capabilities_drop(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    for (unsigned long c = 0; raw_call2(SYS_prctl, PR_CAPBSET_READ, c) >= 0; c++)
        (void)raw_call2(SYS_prctl, PR_CAPBSET_DROP, c); /* refused where there are none to drop */
    return raw_call6(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0) == 0 &&
           raw_call2(SYS_capset, &head, none) == 0 && raw_call2(SYS_capget, &head, none) == 0 &&
           none[0].effective == 0 && none[1].effective == 0;
}

bool privileges_limit(size_t limit_bytes)
{
    uint64_t limit[2]; /* soft, hard: as prlimit64 has it */
    if (raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, limit) != 0)
        return false;
    if (limit[0] == limit_bytes)
        return true;
    limit[0] = limit_bytes < limit[1] ? limit_bytes : limit[1];
    return raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, limit, 0) == 0 &&
           limit[0] >= PAGES_MIN * 4096;
}

static bool hard_limit(size_t limit_bytes)
{
    uint64_t limit[2];
    if (!privileges_limit(limit_bytes) ||
        raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, 0, limit) != 0)
        return false;
    limit[1] = limit[0];
    return raw_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, limit, 0) == 0;
}

bool privileges_drop(size_t limit_bytes, char *error, size_t error_bytes)
{
    const char *why = NULL;
    if (!capabilities_drop())
        why = "capabilities cannot be given up";
    else if (raw_call6(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0) != 0)
        why = "this process cannot look at its own memory";
    else if (!hard_limit(limit_bytes))
        why = "the limit on locked memory is below 64 KiB: raise it (ulimit -l)";
    else if (!ledger_locks_are_real())
        why = "locks are not real here: a locked page does not show in VmLck";
    else if (!memory_locks_can_be_seen())
        why = "this kernel does not say by MADV_PAGEOUT which pages are locked (Linux 5.4 does)";
    if (why != NULL)
        (void)snprintf(error, error_bytes, "%s", why);
    return why == NULL;
}
