/* What the parts of the load generator share; load.c says what it does. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum outcome { FAILED = -1, UNDER_WAY, COMPLETE };

struct client {
    int fd;       /* of its connection; -1: it has none */
    int number;   /* from 0 */
    bool waiting; /* for the moment of its next request */
    bool sent;    /* whether the request is out */
    long got;     /* bytes of the answer */
    long answers; /* on this connection */
    int tries;    /* times that the request was sent again */
    uint32_t ticket; /* number of the request, to know its answer by */
    double began; /* the request, in seconds; under a pace the moment when it was due */
    double wake;  /* when to look after it; 0: when something comes */
};

struct options {
    const char *kind;
    int port, clients, resends;
    long requests, size, reconnect;
    double seconds, think, every, timeout; /* seconds */
    bool uneven;
};

/* What a request is. Every function is given a client and says how its request stands. */
struct kind {
    const char *name;
    long most;  /* bytes that SIZE may be */
    bool keeps; /* whether a connection, or socket, is good for the next request */
    enum outcome (*begin)(struct client *);
    enum outcome (*step)(struct client *); /* something has come */
    enum outcome (*late)(struct client *); /* `wake` has passed */
};

extern const struct kind connection, lines, large, http, datagram; /* stream.c, datagram.c */
extern struct options options;
extern struct sockaddr_in server;
extern long started, resent;

double now(void);
void wake_at(struct client *client, double when);
bool watch(struct client *client, int operation, uint32_t events);
enum outcome fail(const char *reason); /* of the first failure, to be shown at the end */

/* latencies.c */
void record(double seconds);
void print_latencies(FILE *out);

#endif
