/* The process of a pod's sandbox: keeps its namespaces, buries orphans, ends when asked. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int unused) { (void)unused; _exit(0); }
static void bury(int unused) { (void)unused; while (waitpid(-1, 0, WNOHANG) > 0) {} }

int main(void) {
    signal(SIGTERM, end);
    signal(SIGINT, end);
    signal(SIGCHLD, bury);
    while (1) pause();
}
