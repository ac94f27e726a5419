/* A load generator: one process with one epoll, which uses little CPU for each request.
 *
 *   load KIND PORT [option ...]
 *
 * KIND says what a request to 127.0.0.1:PORT is:
 *
 *   connection  connect, send SIZE bytes, receive the same until the end of the stream
 *   lines       each client keeps its connection: a line of SIZE bytes out, the same back
 *   datagram    UDP: a datagram of SIZE bytes out, the same back
 *   large       connect, send 1 byte, receive SIZE bytes until the end of the stream
 *   http        connect, GET /, receive an answer 200 until the end of the stream
 *
 *   --clients N    concurrent clients, with one request each       (16)
 *   --requests N   begin at most N requests, all clients together          (no limit)
 *   --seconds S    begin no request after S seconds                        (1)
 *   --size N       bytes, see KIND                                         (32)
 *   --reconnect N  lines: a new connection after N lines; 0: never         (0)
 *   --think MS     the mean pause of a client after an answer, at random up to twice as long  (0)
 *   --uneven       the mean pause grows from client to client: the first has none, the last has
 *                  2 MS
 *   --every MS     a pace: one request is due every MS, answered or not. An idle client takes the
 *                  next request; the latency counts from when it was due.
 *   --times FILE   a pace of given times: seconds from the beginning, one per line, in order
 *   --timeout MS   datagram: the time after which it is sent again         (200)
 *   --resends N    datagram: how many times it is sent again before the request fails  (5)
 *
 * A request that was begun is finished and counted, since the server has spent CPU on it, unless
 * that takes longer than GRACE seconds. The rate counts only requests that were answered in time.
 * After MAX_ERRORS failures no further request is begun.
 *
 * The program prints one line of JSON: requests (answered), errors, resent, seconds, rate, cpu
 * (seconds of this process), and latencies: pairs of nanoseconds and the number of requests.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 10000, GRACE = 20, MAX_ERRORS = 100, EVENTS = 64 };

struct options options = {.clients = 16, .requests = 1L << 60, .seconds = 1, .size = 32,
                          .timeout = 0.2, .resends = 5};
struct sockaddr_in server;
long started, resent;

static struct client clients[MAX_CLIENTS];
static const struct kind *kind;
static const char *first_reason;
static long requests, in_time, errors;
static int poller, active;
static double opened, deadline, soonest = INFINITY;
static double *times; /* when each request is due, in seconds from the beginning; or NULL */

double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void wake_at(struct client *client, double when) {
    client->wake = when;
    if (when < soonest) soonest = when;
}

bool watch(struct client *client, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    return epoll_ctl(poller, operation, client->fd, &event) == 0;
}

enum outcome fail(const char *reason) {
    if (!first_reason) first_reason = strdup(reason);
    return FAILED;
}

static void close_connection(struct client *client) {
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
}

static double pause_of(const struct client *client) {
    if (options.think == 0) return 0;
    double share = options.uneven ? 2.0 * client->number / fmax(1, options.clients - 1) : 1;
    return options.think * share * 2 * drand48();
}

/* Record how a request ended, and close the connection unless the next request uses it. */
static void finish(struct client *client, enum outcome outcome) {
    double ended = now();
    client->wake = 0;
    client->answers++;
    if (outcome == COMPLETE) {
        requests++;
        in_time += ended < deadline;
        record(ended - client->began);
    } else {
        errors++;
    }
    bool used_up = options.reconnect && client->answers == options.reconnect;
    if (outcome == FAILED || !kind->keeps || used_up) close_connection(client);
}

/* Give a client its next request, due now or later; false when no further request is begun. */
static bool prepare(struct client *client) {
    double moment = now();
    if (started >= options.requests || errors >= MAX_ERRORS) return false;
    double due = times               ? opened + times[started]
                 : options.every > 0 ? opened + (double)started * options.every
                                     : moment + pause_of(client);
    if (due >= deadline) return false;
    started++;
    client->began = due;
    client->waiting = due > moment;
    if (client->waiting) wake_at(client, due);
    return true;
}

static void next_request(struct client *client) {
    while (prepare(client)) {
        if (client->waiting) return;
        enum outcome outcome = kind->begin(client);
        if (outcome == UNDER_WAY) return;
        finish(client, outcome);
    }
    close_connection(client);
    active--;
}

static void advance(struct client *client, enum outcome (*what)(struct client *)) {
    enum outcome outcome = what(client);
    if (outcome == UNDER_WAY) return;
    finish(client, outcome);
    next_request(client);
}

/* Act on the clients whose `wake` has passed. */
static void run_timers(double moment) {
    soonest = INFINITY;
    for (struct client *client = clients; client < clients + options.clients; client++) {
        if (client->wake == 0) continue;
        if (client->wake > moment) {
            wake_at(client, client->wake);
            continue;
        }
        bool begins = client->waiting;
        client->wake = 0;
        client->waiting = false;
        advance(client, begins ? kind->begin : kind->late);
    }
}

/* Wait for an event or the next timer: epoll has milliseconds, ppoll nanoseconds. */
static int wait_for(struct epoll_event *events, double left) {
    if (left >= 0.002) return epoll_wait(poller, events, EVENTS, (int)(left * 1000));
    struct pollfd ready = {.fd = poller, .events = POLLIN};
    struct timespec time = {.tv_nsec = left > 0 ? (long)(left * 1e9) : 0};
    if (ppoll(&ready, 1, &time, NULL) <= 0) return 0;
    return epoll_wait(poller, events, EVENTS, 0);
}

static void run(void) {
    double last = opened;
    while (active > 0 && last < deadline + GRACE) {
        struct epoll_event events[EVENTS];
        int ready = wait_for(events, fmin(soonest, deadline + GRACE) - last);
        for (int at = 0; at < ready; at++) advance(events[at].data.ptr, kind->step);
        last = now();
        if (last >= soonest) run_timers(last);
    }
    if (active > 0) {
        fail("no answer");
        errors += active;
    }
}

static void report(void) {
    struct timespec used;
    double ended = now(), span = fmin(ended, deadline) - opened;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("{\"requests\": %ld, \"errors\": %ld, \"resent\": %ld, \"seconds\": %.6f, "
           "\"rate\": %.3f, \"cpu\": %.6f, \"latencies\": [",
           requests, errors, resent, ended - opened, (double)in_time / span,
           (double)used.tv_sec + (double)used.tv_nsec / 1e9);
    print_latencies(stdout);
    printf("]}\n");
    if (errors)
        fprintf(stderr, "load: %ld requests failed; the first: %s\n", errors, first_reason);
}

/* Read when requests are due; the number of times limits the requests. */
static bool read_times(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) return false;
    long count = 0, room = 0;
    for (double time; fscanf(file, "%lf", &time) == 1; times[count++] = time)
        if (count == room) times = realloc(times, (size_t)(room = 2 * room + 1024) * sizeof *times);
    fclose(file);
    options.requests = count;
    return true;
}

static bool parse(int argc, char **argv) {
    static const struct option known[] = {
        {"clients", 1, NULL, 'c'},   {"requests", 1, NULL, 'n'}, {"seconds", 1, NULL, 's'},
        {"size", 1, NULL, 'b'},      {"reconnect", 1, NULL, 'k'}, {"think", 1, NULL, 't'},
        {"uneven", 0, NULL, 'u'},    {"every", 1, NULL, 'e'},    {"timeout", 1, NULL, 'o'},
        {"resends", 1, NULL, 'r'},   {"times", 1, NULL, 'm'},    {NULL, 0, NULL, 0}};
    for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (which) {
            case 'c': options.clients = atoi(optarg); break;
            case 'n': options.requests = atol(optarg); break;
            case 's': options.seconds = atof(optarg); break;
            case 'b': options.size = atol(optarg); break;
            case 'k': options.reconnect = atol(optarg); break;
            case 't': options.think = atof(optarg) / 1e3; break;
            case 'u': options.uneven = true; break;
            case 'e': options.every = atof(optarg) / 1e3; break;
            case 'o': options.timeout = atof(optarg) / 1e3; break;
            case 'r': options.resends = atoi(optarg); break;
            case 'm':
                if (!read_times(optarg)) return false;
                break;
            default: return false;
        }
    if (argc - optind != 2) return false;
    options.kind = argv[optind];
    options.port = atoi(argv[optind + 1]);
    const struct kind *kinds[] = {&connection, &lines, &datagram, &large, &http};
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++)
        if (!strcmp(kinds[at]->name, options.kind)) kind = kinds[at];
    return kind && options.clients >= 1 && options.clients <= MAX_CLIENTS &&
           options.size >= (long)sizeof(uint32_t) && options.size <= kind->most &&
           options.seconds > 0 && options.timeout > 0;
}

int main(int argc, char **argv) {
    if (!parse(argc, argv))
        return fprintf(stderr, "usage: load KIND PORT [option ...], as load.c explains\n"), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    poller = epoll_create1(0);
    if (poller < 0) return perror("load"), 1;
    opened = now();
    deadline = opened + options.seconds;
    active = options.clients;
    for (int at = 0; at < options.clients; at++) {
        clients[at].fd = -1;
        clients[at].number = at;
        next_request(&clients[at]);
    }
    run();
    report();
    return 0;
}
