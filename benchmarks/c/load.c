/* A load generator for one-connection requests, cheap enough not to be the bottleneck.
 *
 *   load PORT CLIENTS REQUESTS SECONDS SIZE
 *
 * CLIENTS connections are kept going by one process with epoll. A request is: connect, send SIZE
 * bytes, read until the end of the stream, compare with what was sent, close. After REQUESTS
 * requests or SECONDS seconds, whichever is first, none is begun any more; those under way are
 * finished and counted, since the server has paid for them, unless that takes longer than GRACE.
 * The rate counts only those that were answered before the end. It prints one line of JSON.
 *
 * Ports. The server closes first, so TIME_WAIT stays on its side, and the client's port is free at
 * once; but a port that comes back within a minute finds the server's TIME_WAIT and takes another
 * path through the kernel. Each connection therefore takes the next of 250 source addresses, so
 * that a port returns only after millions of requests, and only the kernel chooses the port
 * (IP_BIND_ADDRESS_NO_PORT: at connect, with the destination known). The connection is closed as a
 * well-behaved client does it. SO_LINGER with 0 would leave no TIME_WAIT, but the reset may
 * reach the server between its shutdown() and its close(), and would make that close() cheaper than
 * it is in real life.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { MAX_CLIENTS = 1024, MAX_SIZE = 1024, MAX_LATENCIES = 4000000,
       SOURCES = 250, GRACE = 20, MAX_ERRORS = 100 };

struct client {
    int fd, sent, got;
    double began;
};

static struct client clients[MAX_CLIENTS];
static struct sockaddr_in server;
static char payload[MAX_SIZE];
static float *latencies; /* microseconds */
static long requests, errors, started, limit;
static int poller, size;
static double deadline;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Send the payload if the connection is up; false when it failed. */
static int offer(struct client *client) {
    ssize_t done = send(client->fd, payload, (size_t)size, MSG_NOSIGNAL);
    if (done < 0) return errno == EAGAIN || errno == ENOTCONN;
    client->sent = 1;
    return done == size;
}

static int watch(struct client *client, int operation) {
    struct epoll_event event = {.events = client->sent ? EPOLLIN : EPOLLOUT,
                                .data.ptr = client};
    return epoll_ctl(poller, operation, client->fd, &event) == 0;
}

static int begin(struct client *client) {
    int yes = 1, more_than_the_answer = size + 1; /* so that one wake-up, at the end, does */
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000102u + (uint32_t)(started % SOURCES));
    client->began = now();
    client->sent = client->got = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) return 0;
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &more_than_the_answer, sizeof(int));
    if (bind(client->fd, (struct sockaddr *)&source, sizeof source)) return 0;
    if (connect(client->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
        return 0;
    return offer(client) && watch(client, EPOLL_CTL_ADD);
}

/* One step of a connection: -1 failed, 0 under way, 1 complete. */
static int step(struct client *client) {
    char data[MAX_SIZE + 1];
    if (!client->sent) {
        if (!offer(client)) return -1;
        return client->sent && !watch(client, EPOLL_CTL_MOD) ? -1 : 0;
    }
    for (;;) {
        ssize_t got = recv(client->fd, data, sizeof data, 0);
        if (got < 0) return errno == EAGAIN ? 0 : -1;
        if (got == 0) return client->got == size ? 1 : -1;
        if (client->got + got > size || memcmp(data, payload + client->got, (size_t)got)) return -1;
        client->got += (int)got;
    }
}

/* Close what ended and begin the next request; false when there is none to begin. */
static int next(struct client *client) {
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
    while (started < limit && errors < MAX_ERRORS && now() < deadline) {
        started++;
        if (begin(client)) return 1;
        errors++;
        if (client->fd >= 0) close(client->fd);
        client->fd = -1;
    }
    return 0;
}

static int ascending(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static double quantile(double share) {
    return requests ? (double)latencies[(long)(share * (double)(requests - 1))] : 0.0;
}

int main(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: load PORT CLIENTS REQUESTS SECONDS SIZE\n"), 2;
    int count = atoi(argv[2]), active = 0;
    long in_time = 0;
    double seconds = atof(argv[4]);
    limit = atol(argv[3]);
    size = atoi(argv[5]);
    if (count < 1 || count > MAX_CLIENTS || size < 1 || size > MAX_SIZE || limit < 1 ||
        limit > MAX_LATENCIES || seconds <= 0 || seconds > 600)
        return fprintf(stderr, "load: a value is out of range\n"), 2;
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int at = 0; at < size; at++) payload[at] = (char)('a' + at % 26);
    latencies = malloc(sizeof *latencies * (size_t)limit);
    poller = epoll_create1(0);
    if (!latencies || poller < 0) return perror("load"), 1;

    double began = now(), last = began;
    deadline = began + seconds;
    for (int at = 0; at < count; at++) {
        clients[at].fd = -1;
        active += next(&clients[at]);
    }
    while (active > 0 && last < deadline + GRACE) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, (int)((deadline + GRACE - last) * 1000) + 1);
        if (ready < 0 && errno != EINTR) return perror("load"), 1;
        for (int at = 0; at < ready; at++) {
            struct client *client = events[at].data.ptr;
            int outcome = step(client);
            if (outcome == 0) continue;
            double ended = now();
            if (outcome > 0)
                latencies[requests++] = (float)((ended - client->began) * 1e6);
            else
                errors++;
            in_time += outcome > 0 && ended < deadline;
            active -= !next(client);
        }
        last = now();
    }
    errors += active; /* never answered */
    double span = (last < deadline ? last : deadline) - began;
    qsort(latencies, (size_t)requests, sizeof *latencies, ascending);
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("{\"requests\": %ld, \"errors\": %ld, \"seconds\": %.6f, \"rate\": %.3f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"cpu\": %.6f}\n",
           requests, errors, last - began, span > 0 ? (double)in_time / span : 0.0,
           quantile(0.50), quantile(0.99), quantile(0.999),
           (double)used.tv_sec + (double)used.tv_nsec / 1e9);
    return 0;
}
