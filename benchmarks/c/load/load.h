/* Declarations shared by the files of the load generator; load.c explains the program. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum outcome { FAILED = -1, UNDER_WAY, COMPLETE };

struct client {
    int fd;       /* of its connection; -1: none */
    int number;   /* from 0 */
    bool waiting; /* until its next request is due */
    bool sent;    /* whether the request was sent */
    long got;     /* bytes of the answer */
    long answers; /* on this connection */
    int tries;    /* the number of times that the request was sent again */
    uint32_t ticket; /* the number of the request, by which its answer is known */
    double began; /* when the request began, in seconds; with a pace, when it was due */
    double wake;  /* when its timer ends; 0: no timer */
};

struct options {
    const char *kind;
    int port, clients, resends;
    long requests, size, reconnect;
    double seconds, think, every, timeout; /* seconds */
    bool uneven;
};

/* What a request is. Each function returns the state of the client's request. */
struct kind {
    const char *name;
    long most;  /* the largest SIZE */
    bool keeps; /* whether the next request uses the same connection or socket */
    enum outcome (*begin)(struct client *);
    enum outcome (*step)(struct client *); /* the socket is ready */
    enum outcome (*late)(struct client *); /* `wake` has passed */
};

extern const struct kind connection, lines, large, http, datagram; /* stream.c, datagram.c */
extern struct options options;
extern struct sockaddr_in server;
extern long started, resent;

double now(void);
void wake_at(struct client *client, double when);
bool watch(struct client *client, int operation, uint32_t events);
enum outcome fail(const char *reason); /* the first reason is printed at the end */

/* latencies.c */
void record(double seconds);
void print_latencies(FILE *out);

#endif
