/* openssl-enquiries-crash.c: what the secure heap answers when nobody has initialised it. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *secret;

static int initialized(void)
{
    return CRYPTO_secure_malloc_initialized();
}

static int allocated(void)
{
    return CRYPTO_secure_allocated(secret);
}

static int used(void)
{
    return (int)CRYPTO_secure_used();
}

static int actual_size(void)
{
    return (int)CRYPTO_secure_actual_size(secret);
}

/* Each in a process of its own. */
static void ask(const char *name, int (*enquiry)(void))
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(enquiry());
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        printf("%-34s SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
    else
        printf("%-34s %d\n", name, WEXITSTATUS(status));
}

int main(void)
{
    secret = OPENSSL_secure_malloc(32);
    printf("OpenSSL %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    ask("CRYPTO_secure_malloc_initialized", initialized);
    ask("CRYPTO_secure_allocated", allocated);
    ask("CRYPTO_secure_used", used);
    ask("CRYPTO_secure_actual_size", actual_size);
    return 0;
}
