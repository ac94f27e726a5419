/* UDP: a datagram out, the same back. Each client has a socket of its own and one datagram in
 * transit. A datagram without an answer is sent again; after --resends times the request has
 * failed. It begins with the number of the request: a late answer to an earlier one is recognized.
 */
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { MOST = 8192 };

static enum outcome send_it(struct client *client) {
    char data[MOST];
    memset(data, 'u', (size_t)options.size);
    memcpy(data, &client->ticket, sizeof client->ticket);
    if (send(client->fd, data, (size_t)options.size, 0) < 0) return fail(strerror(errno));
    wake_at(client, now() + options.timeout);
    return UNDER_WAY;
}

static enum outcome begin(struct client *client) {
    client->ticket = (uint32_t)started;
    client->tries = 0;
    if (client->fd < 0) {
        client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (client->fd < 0 ||
            connect(client->fd, (struct sockaddr *)&server, sizeof server) < 0 ||
            !watch(client, EPOLL_CTL_ADD, EPOLLIN))
            return fail(strerror(errno));
    }
    return send_it(client);
}

static enum outcome step(struct client *client) {
    char data[MOST];
    for (;;) {
        ssize_t got = recv(client->fd, data, sizeof data, 0);
        if (got < 0) return errno == EAGAIN ? UNDER_WAY : fail(strerror(errno));
        if (got >= (ssize_t)sizeof client->ticket &&
            !memcmp(data, &client->ticket, sizeof client->ticket))
            return got == options.size ? COMPLETE : fail("an answer of the wrong size");
    }
}

static enum outcome late(struct client *client) {
    if (client->tries == options.resends) return fail("no answer, although the datagram was sent again");
    client->tries++;
    resent++;
    return send_it(client);
}

const struct kind datagram = {"datagram", MOST, true, begin, step, late};
