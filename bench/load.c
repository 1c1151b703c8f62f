/*
 * HTTP/1.1 load on one loopback port: one thread, epoll, keep-alive.
 *
 *     cc -O2 -o load load.c
 *     ./load -p PORT [-P path] -b body.json [-H 'name: value']... -c connections
 *            [-r rate] [-w warm-up s] [-d seconds] [-e stamps each answer must carry]
 *
 * Without -r each connection sends its next request when it has its answer (closed loop). With -r requests start on
 * a fixed schedule and latency counts from the scheduled start, so a stalled server cannot hide its stall.
 *
 * It prints "begin" and "end" as the measured window opens and closes (the runner reads CPU clocks there), then one
 * JSON line. Latencies are in ms. Answers of mock.c carry "@" + 16 hex digits, the send time in ns of
 * CLOCK_MONOTONIC, from which the delay of every stream chunk is known.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "findings.h"

#define MAX_EVENTS 256
#define MAX_ERRORS 1000
#define HEAD_LIMIT 16384
#define STAMP_DIGITS 16
#define SECOND 1000000000ull
#define GRACE (3 * SECOND) /* for answers still due when an open-loop window closes */

enum state { IDLE, IN_HEAD, IN_BODY };
enum body_kind { UNTIL_CLOSE, BY_LENGTH, CHUNKED };
enum chunk_part { SIZE_LINE, DATA, DATA_END, TRAILER };
enum outcome { PENDING, COMPLETE, FAILED };

struct connection {
    int fd, status, stamps;
    enum state state;
    enum body_kind kind;
    enum chunk_part part;
    long left;            /* of the body (BY_LENGTH) or of the current chunk */
    uint64_t started_ns;  /* scheduled start in open loop */
    char head[HEAD_LIMIT];
    size_t head_length;
    char line[32];        /* chunk size or length of a trailer line */
    int line_length;
    char stamp[STAMP_DIGITS + 1];
    int stamp_length;     /* 0: looking for '@'; otherwise digits + 1 */
};

static struct options {
    int port, connections, stamps;
    double rate, warm_up, seconds;
    const char *path, *body;
    char headers[8192];
} options = {.connections = 1, .seconds = 5, .path = "/v1/chat/completions"};

static int poller;
static char *request;
static size_t request_length;
static struct connection *connections;
static int *idle, idle_count, in_flight;
static uint64_t window_begin, window_end;
static int measuring;
static struct samples latency, first_chunk, chunk_delay;
static unsigned long done, chunks, errors, refused, reconnects;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void fail(const char *why) {
    errors++;
    note_error(why, strlen(why));
}

/* ---- sending ---- */

static int dial(struct connection *c) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
        close(c->fd);
        c->fd = -1;
        return 0;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
    return 1;
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static int send_request(struct connection *c) {
    return c->fd >= 0 && write(c->fd, request, request_length) == (ssize_t)request_length;
}

/* A kept connection may have been closed by the server meanwhile: one fresh try is no error. */
static int start(struct connection *c, uint64_t started_ns) {
    c->started_ns = started_ns;
    c->state = IN_HEAD;
    c->head_length = 0;
    c->stamps = c->stamp_length = 0;
    if (send_request(c)) return 1;
    hang_up(c);
    reconnects++;
    if (dial(c) && send_request(c)) return 1;
    fail("cannot connect");
    c->state = IDLE;
    return 0;
}

/* ---- receiving ---- */

static void see_stamp(struct connection *c, uint64_t now) {
    uint64_t sent = strtoull(c->stamp, NULL, 16);
    c->stamps++;
    if (!measuring || now >= window_end) return;
    chunks++;
    if (now >= sent) record(&chunk_delay, now - sent);
    if (c->stamps == 1 && c->started_ns >= window_begin) record(&first_chunk, now - c->started_ns);
}

static int is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* Finds stamps in body bytes; one may be cut anywhere between two reads. */
static void scan(struct connection *c, const char *p, size_t n, uint64_t now) {
    const char *end = p + n;
    while (p < end) {
        if (c->stamp_length == 0) {
            p = memchr(p, '@', (size_t)(end - p));
            if (!p) return;
            p++;
            c->stamp_length = 1;
        }
        while (p < end && c->stamp_length && c->stamp_length <= STAMP_DIGITS) {
            if (is_hex(*p)) c->stamp[c->stamp_length++ - 1] = *p++;
            else c->stamp_length = 0;
        }
        if (c->stamp_length > STAMP_DIGITS) {
            c->stamp[STAMP_DIGITS] = 0;
            c->stamp_length = 0;
            see_stamp(c, now);
        }
    }
}

/* Feeds one line character; returns 1 at the end of the line. */
static int line_ends(struct connection *c, char ch) {
    if (ch == '\n') return 1;
    if (ch != '\r' && c->line_length < (int)sizeof c->line - 1) c->line[c->line_length++] = ch;
    return 0;
}

static enum outcome read_chunked(struct connection *c, const char *p, size_t n, uint64_t now) {
    const char *end = p + n;
    while (p < end) {
        if (c->part == DATA) {
            size_t take = (size_t)(end - p) < (size_t)c->left ? (size_t)(end - p) : (size_t)c->left;
            scan(c, p, take, now);
            p += take;
            c->left -= (long)take;
            if (!c->left) c->part = DATA_END;
            continue;
        }
        if (!line_ends(c, *p++)) continue;
        c->line[c->line_length] = 0;
        if (c->part == TRAILER && c->line_length == 0) return COMPLETE;
        if (c->part == SIZE_LINE) {
            c->left = strtol(c->line, NULL, 16);
            c->part = c->left ? DATA : TRAILER;
        } else if (c->part == DATA_END) {
            c->part = SIZE_LINE;
        }
        c->line_length = 0;
    }
    return PENDING;
}

static enum outcome read_body(struct connection *c, const char *p, size_t n, uint64_t now) {
    if (c->status != 200) note_error(p, n);
    if (c->kind == CHUNKED) return read_chunked(c, p, n, now);
    scan(c, p, n, now);
    if (c->kind == UNTIL_CLOSE) return PENDING;
    c->left -= (long)n;
    return c->left <= 0 ? COMPLETE : PENDING;
}

static void read_head(struct connection *c) {
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->status = atoi(c->head + 9); /* after "HTTP/1.1 " */
    c->kind = strcasestr(c->head, "\r\ntransfer-encoding: chunked") ? CHUNKED : length ? BY_LENGTH : UNTIL_CLOSE;
    c->left = length ? atol(length + 17) : 0;
    c->part = SIZE_LINE;
    c->line_length = 0;
    c->state = IN_BODY;
}

static enum outcome receive(struct connection *c, const char *p, size_t n, uint64_t now) {
    while (n && c->state == IN_HEAD) {
        size_t before = c->head_length, room = HEAD_LIMIT - 1 - before, take = n < room ? n : room;
        memcpy(c->head + before, p, take);
        c->head_length += take;
        c->head[c->head_length] = 0;
        char *end = strstr(c->head, "\r\n\r\n");
        if (!end) return room > take ? PENDING : FAILED;
        size_t used = (size_t)(end - c->head) + 4 - before;
        p += used;
        n -= used;
        end[2] = 0;
        read_head(c);
        if (c->status == 100) {
            c->state = IN_HEAD;
            c->head_length = 0;
        } else if (c->kind == BY_LENGTH && c->left == 0) {
            return COMPLETE;
        }
    }
    return n && c->state == IN_BODY ? read_body(c, p, n, now) : PENDING;
}

static void finish(struct connection *c, uint64_t now) {
    if (c->status != 200) {
        refused++;
    } else if (c->stamps < options.stamps) {
        fail("an answer with too few chunks");
    } else if (measuring) {
        if (now < window_end) done++;
        if (c->started_ns >= window_begin) record(&latency, now - c->started_ns);
    }
}

static void handle(struct connection *c) {
    static char buffer[1 << 17];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    uint64_t now = now_ns();
    if (n < 0 && errno == EAGAIN) return;
    enum outcome result = PENDING;
    if (n > 0) {
        result = c->state == IDLE ? FAILED : receive(c, buffer, (size_t)n, now);
    } else {
        if (c->state != IDLE) result = c->state == IN_BODY && c->kind == UNTIL_CLOSE ? COMPLETE : FAILED;
        hang_up(c);
    }
    if (result == PENDING) return;
    if (result == COMPLETE) {
        finish(c, now);
    } else {
        fail(n > 0 ? "an answer that is not HTTP" : "connection closed before the answer was complete");
        hang_up(c);
    }
    if (c->state == IDLE) return;
    c->state = IDLE;
    in_flight--;
    idle[idle_count++] = (int)(c - connections);
}

/* ---- the loop ---- */

static void start_due(uint64_t epoch, unsigned long *scheduled) {
    while (idle_count) {
        uint64_t now = now_ns(), at = now;
        if (options.rate > 0) {
            at = epoch + (uint64_t)((double)*scheduled * 1e9 / options.rate);
            if (at > now) return;
            ++*scheduled;
        }
        int i = idle[--idle_count];
        if (!start(&connections[i], at)) {
            idle[idle_count++] = i;
            return;
        }
        in_flight++;
    }
}

static void wait_for_answers(uint64_t epoch, unsigned long scheduled) {
    struct epoll_event events[MAX_EVENTS];
    struct timespec timeout = {.tv_nsec = 20000000};
    if (options.rate > 0 && idle_count) {
        uint64_t next = epoch + (uint64_t)((double)scheduled * 1e9 / options.rate), now = now_ns();
        uint64_t left = next > now ? next - now : 0;
        if (left < 20000000) timeout.tv_nsec = (long)left;
    }
    int n = epoll_pwait2(poller, events, MAX_EVENTS, &timeout, NULL);
    for (int i = 0; i < n; i++) handle(events[i].data.ptr);
}

static void announce(const char *what) {
    puts(what);
    fflush(stdout);
}

static void run(void) {
    uint64_t epoch = now_ns();
    unsigned long scheduled = 0;
    int open = 1;
    window_begin = epoch + (uint64_t)(options.warm_up * 1e9);
    window_end = window_begin + (uint64_t)(options.seconds * 1e9);
    while (errors < MAX_ERRORS) {
        uint64_t now = now_ns();
        if (!measuring && now >= window_begin) {
            measuring = 1;
            announce("begin");
        }
        if (open && now >= window_end) {
            open = 0;
            announce("end");
        }
        if (!open && (options.rate <= 0 || !in_flight || now >= window_end + GRACE)) break;
        if (open) start_due(epoch, &scheduled);
        wait_for_answers(epoch, scheduled);
    }
    if (!measuring) announce("begin");
    if (open) announce("end");
    if (options.rate > 0) errors += (unsigned long)in_flight; /* never answered */
}

static void build_request(void) {
    FILE *file = fopen(options.body, "rb");
    if (!file) {
        perror(options.body);
        exit(1);
    }
    char *body = malloc(1 << 20);
    size_t length = fread(body, 1, 1 << 20, file);
    fclose(file);
    request = malloc(length + sizeof options.headers + 1024);
    request_length = (size_t)sprintf(request,
                                     "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
                                     "%scontent-length: %zu\r\n\r\n",
                                     options.path, options.port, options.headers, length);
    memcpy(request + request_length, body, length);
    request_length += length;
    free(body);
}

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "p:P:b:H:c:r:w:d:e:")) > 0) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 'b': options.body = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 'w': options.warm_up = atof(optarg); break;
        case 'd': options.seconds = atof(optarg); break;
        case 'e': options.stamps = atoi(optarg); break;
        case 'H':
            strncat(options.headers, optarg, sizeof options.headers - strlen(options.headers) - 3);
            strcat(options.headers, "\r\n");
            break;
        default: exit(2);
        }
    }
    if (!options.port || !options.body || options.connections < 1) {
        fprintf(stderr, "load: -p PORT and -b BODY are needed\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    build_request();
    poller = epoll_create1(0);
    connections = calloc((size_t)options.connections, sizeof *connections);
    idle = calloc((size_t)options.connections, sizeof *idle);
    for (int i = options.connections - 1; i >= 0; i--) {
        if (!dial(&connections[i])) fail("cannot connect");
        idle[idle_count++] = i;
    }
    run();
    printf("{\"seconds\":%.3f,\"done\":%lu,\"chunks\":%lu,\"errors\":%lu,\"refused\":%lu,\"reconnects\":%lu",
           options.seconds, done, chunks, errors, refused, reconnects);
    print_samples("latency", &latency);
    print_samples("first_chunk", &first_chunk);
    print_samples("chunk_delay", &chunk_delay);
    printf(",\"first_error\":\"%s\"}\n", first_error);
    return 0;
}
