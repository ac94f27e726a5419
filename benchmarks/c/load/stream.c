/* TCP: the requests on a connection, and how their answers end.
 *
 * Ports. When the server closes first, TIME_WAIT stays on its side and the client's port is free
 * at once. A port that is used again within a minute finds the server's TIME_WAIT and takes
 * another path through the kernel. Each connection therefore takes the next of 250 source
 * addresses, so that a port returns only after millions of requests, and only the kernel chooses
 * the port (IP_BIND_ADDRESS_NO_PORT: at connect, with the destination known). The connection is
 * closed normally. SO_LINGER with 0 would leave no TIME_WAIT, but the reset
 * may reach the server between its shutdown() and its close(), and would make that close() cheaper
 * than with a real client.
 *
 * Wake-ups. SO_RCVLOWAT makes one wake-up enough, when the whole answer or its end has arrived.
 */
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { SOURCES = 250, MOST_ECHOED = 8192, MOST = 1 << 30, SMALL = 1 << 16 };

static const char GET[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
static const char GOOD[] = "HTTP/1.? 200 ";

/* The payload of an echo: letters, and for `lines` an end of line. */
static const char *echoed(void) {
    static char text[MOST_ECHOED];
    if (text[0]) return text;
    for (long at = 0; at < options.size; at++) text[at] = (char)('a' + at % 26);
    if (!strcmp(options.kind, lines.name)) text[options.size - 1] = '\n';
    return text;
}

static bool is_good(const char *data, long at, ssize_t size) {
    for (; at < (long)sizeof GOOD - 1 && size > 0; at++, data++, size--)
        if (GOOD[at] != '?' && *data != GOOD[at]) return false;
    return true;
}

/* Send the request if the connection is established, and wait for the next event. */
static enum outcome offer(struct client *client, const char *text, long size, int operation) {
    ssize_t done = send(client->fd, text, (size_t)size, MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN && errno != ENOTCONN) return fail(strerror(errno));
    if (done >= 0 && done != size) return fail("only a part of the request was sent");
    client->sent = done >= 0;
    uint32_t events = client->sent ? EPOLLIN : EPOLLOUT;
    if (!client->sent && !operation) operation = EPOLL_CTL_MOD;
    if (operation && !watch(client, operation, events)) return fail(strerror(errno));
    return UNDER_WAY;
}

static enum outcome begin(struct client *client, const char *text, long size, long expected) {
    client->sent = false;
    client->got = 0;
    if (client->fd >= 0) return offer(client, text, size, 0);
    int yes = 1, low = (int)expected;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000102u + (uint32_t)(started % SOURCES));
    client->answers = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) return fail(strerror(errno));
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    if (bind(client->fd, (struct sockaddr *)&source, sizeof source) ||
        (connect(client->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS))
        return fail(strerror(errno));
    return offer(client, text, size, EPOLL_CTL_ADD);
}

/* An answer that equals what was sent; it ends with the stream, or when it is complete. */
static enum outcome read_echo(struct client *client, bool to_the_end) {
    char data[MOST_ECHOED + 1];
    while (to_the_end || client->got < options.size) {
        ssize_t got = recv(client->fd, data, sizeof data, 0);
        if (got < 0) return errno == EAGAIN ? UNDER_WAY : fail(strerror(errno));
        if (got == 0)
            return to_the_end && client->got == options.size ? COMPLETE
                                                             : fail("an answer ended too early");
        if (client->got + got > options.size || memcmp(data, echoed() + client->got, (size_t)got))
            return fail("an answer is not what was sent");
        client->got += got;
    }
    return COMPLETE;
}

static enum outcome begin_echo(struct client *client) {
    return begin(client, echoed(), options.size, options.size + 1);
}

static enum outcome step_echo(struct client *client) {
    if (!client->sent) return offer(client, echoed(), options.size, EPOLL_CTL_MOD);
    return read_echo(client, true);
}

static enum outcome begin_line(struct client *client) {
    return begin(client, echoed(), options.size, options.size);
}

static enum outcome step_line(struct client *client) {
    if (!client->sent) return offer(client, echoed(), options.size, EPOLL_CTL_MOD);
    return read_echo(client, false);
}

static enum outcome begin_large(struct client *client) { return begin(client, "?", 1, 1); }

/* Only the length matters: with MSG_TRUNC the kernel drops the data, and nothing is copied. */
static enum outcome step_large(struct client *client) {
    if (!client->sent) return offer(client, "?", 1, EPOLL_CTL_MOD);
    for (;;) {
        ssize_t got = recv(client->fd, NULL, MOST, MSG_TRUNC);
        if (got < 0) return errno == EAGAIN ? UNDER_WAY : fail(strerror(errno));
        if (got == 0) return client->got == options.size ? COMPLETE : fail("a wrong length");
        client->got += got;
    }
}

static enum outcome begin_get(struct client *client) {
    return begin(client, GET, sizeof GET - 1, SMALL);
}

static enum outcome step_get(struct client *client) {
    static char data[SMALL];
    if (!client->sent) return offer(client, GET, sizeof GET - 1, EPOLL_CTL_MOD);
    for (;;) {
        ssize_t got = recv(client->fd, data, sizeof data, 0);
        if (got < 0) return errno == EAGAIN ? UNDER_WAY : fail(strerror(errno));
        if (got == 0)
            return client->got >= (long)sizeof GOOD ? COMPLETE : fail("an answer ended too early");
        if (!is_good(data, client->got, got)) return fail("an answer that is not 200");
        client->got += got;
    }
}

const struct kind connection = {"connection", MOST_ECHOED, false, begin_echo, step_echo, NULL};
const struct kind lines = {"lines", MOST_ECHOED, true, begin_line, step_line, NULL};
const struct kind large = {"large", MOST, false, begin_large, step_large, NULL};
const struct kind http = {"http", MOST, false, begin_get, step_get, NULL};
