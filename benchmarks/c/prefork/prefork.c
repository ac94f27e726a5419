/* A prefork server in C: the lower bound of the cost, with which the benchmarks compare.
 *
 *   prefork KIND WORKERS [SIZE]
 *
 * It binds any free port of 127.0.0.1, prints it and forks WORKERS processes, which share the
 * socket. Each blocks in accept() or recvfrom(), and makes only the system calls that a handler of
 * the kind needs:
 *
 *   connection  accept, recv up to 1024 bytes, send them back, close
 *   shutdown    the same with a shutdown(SHUT_WR) before close, as in the documented request path.
 *               The bytes on the wire are the same. Goals compare with `connection`, the cheaper
 *               one.
 *   lines       accept, then a recv and a send for each line until the client closes
 *   datagram    recvfrom, sendto
 *   large       accept, recv, send SIZE bytes, close
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 1024, BACKLOG = 1024 };

static char data[8192];
static char *much;
static size_t size;

static void answer_once(int connection) {
    ssize_t got = recv(connection, data, 1024, 0);
    if (got > 0) send(connection, data, (size_t)got, MSG_NOSIGNAL);
}

static void answer_and_shut(int connection) {
    answer_once(connection);
    shutdown(connection, SHUT_WR);
}

static void answer_lines(int connection) {
    size_t held = 0;
    for (;;) {
        ssize_t got = recv(connection, data + held, sizeof data - held, 0);
        if (got <= 0) return;
        held += (size_t)got;
        char *end;
        while ((end = memchr(data, '\n', held))) {
            size_t length = (size_t)(end - data) + 1;
            if (send(connection, data, length, MSG_NOSIGNAL) < 0) return;
            held -= length;
            if (held) memmove(data, data + length, held);
        }
    }
}

static void answer_at_length(int connection) {
    if (recv(connection, data, 1024, 0) <= 0) return;
    for (size_t sent = 0; sent < size;) {
        ssize_t done = send(connection, much + sent, size - sent, MSG_NOSIGNAL);
        if (done < 0) return;
        sent += (size_t)done;
    }
}

static const struct {
    const char *name;
    void (*answer)(int connection); /* none: datagrams */
} kinds[] = {{"connection", answer_once},
             {"shutdown", answer_and_shut},
             {"lines", answer_lines},
             {"large", answer_at_length},
             {"datagram", NULL}};

static void serve_datagrams(int listener) {
    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        struct sockaddr *address = (struct sockaddr *)&client;
        ssize_t got = recvfrom(listener, data, sizeof data, 0, address, &length);
        if (got >= 0) sendto(listener, data, (size_t)got, 0, address, length);
    }
}

static void serve(int listener, void (*answer)(int)) {
    if (!answer) serve_datagrams(listener);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        answer(connection);
        close(connection);
    }
}

int main(int argc, char **argv) {
    int workers = argc > 2 ? atoi(argv[2]) : 0, yes = 1, which, kind = -1;
    for (int at = 0; at < (int)(sizeof kinds / sizeof *kinds) && argc > 1; at++)
        if (!strcmp(kinds[at].name, argv[1])) kind = at;
    if (kind < 0 || workers < 1 || workers > MAX_WORKERS)
        return fprintf(stderr, "usage: prefork KIND WORKERS [SIZE], as prefork.c explains\n"), 2;
    size = argc > 3 ? (size_t)atol(argv[3]) : 0;
    much = calloc(size + 1, 1);

    int listener = socket(AF_INET, kinds[kind].answer ? SOCK_STREAM : SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!much || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        (kinds[kind].answer && listen(listener, BACKLOG)))
        return perror("prefork"), 1;
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
            serve(listener, kinds[kind].answer);
        }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    sigwait(&ending, &which);
    for (int slot = 0; slot < workers; slot++)
        if (pids[slot] > 0) kill(pids[slot], SIGTERM);
    while (wait(NULL) > 0) {}
    return 0;
}
