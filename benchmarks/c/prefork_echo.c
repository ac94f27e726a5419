/* A prefork echo server: the floor that the benchmarks compare with.
 *
 *   prefork_echo PORT WORKERS [shutdown]
 *
 * It binds 127.0.0.1:PORT (0: any), prints the port and forks WORKERS processes, each in a blocking
 * accept(). One connection is one request, with the system calls that a request handler needs:
 * accept, recv (up to 1024 bytes), send, close. The documented request path makes one more, a
 * shutdown(SHUT_WR) before the close: the third argument adds it. The bytes on the wire are the
 * same either way. The required ratios take the plain form, the harder one to come near to.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, BACKLOG = 1024 };

static void serve(int listener, int with_shutdown) {
    char data[1024];
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        ssize_t size = recv(connection, data, sizeof data, 0);
        if (size > 0) send(connection, data, (size_t)size, MSG_NOSIGNAL);
        if (with_shutdown) shutdown(connection, SHUT_WR);
        close(connection);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: prefork_echo PORT WORKERS [shutdown]\n"), 2;
    int workers = atoi(argv[2]), yes = 1, which;
    if (workers < 1 || workers > MAX_WORKERS) return fprintf(stderr, "1 to 64 workers\n"), 2;

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        return perror("prefork_echo"), 1;
    getsockname(listener, (struct sockaddr *)&address, &length);

    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, &before);
    pid_t pids[MAX_WORKERS];
    for (int slot = 0; slot < workers; slot++)
        if ((pids[slot] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            sigprocmask(SIG_SETMASK, &before, NULL);
            serve(listener, argc > 3);
        }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    sigwait(&ending, &which);
    for (int slot = 0; slot < workers; slot++)
        if (pids[slot] > 0) kill(pids[slot], SIGTERM);
    while (wait(NULL) > 0) {}
    return 0;
}
