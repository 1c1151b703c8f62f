/*
 * A fast upstream that speaks the OpenAI chat-completions dialect over HTTP/1.1 keep-alive.
 *
 *     cc -O2 -o mock mock.c && ./mock PORT            (loopback only, one thread, epoll)
 *
 * A marker anywhere in the request body picks the behaviour, so it survives any gateway in between:
 *
 *     mock-nN-dD       N content chunks when "stream" is true, D ms apart (0: back to back, one write each)
 *     mock-nN-dD-bB    the same with B chunks per write
 *
 * A plain answer is about 1 kB of JSON, sent after D ms. Every content chunk carries "@" and 16 hex digits:
 * CLOCK_MONOTONIC in ns at the moment of sending, so a client on the same machine can tell the added latency.
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

#define MAX_EVENTS 256
#define NOT_TIMED (-1)

enum work { READING, DELAYED_ANSWER, STREAMING };
enum verdict { CLOSED = -1, BLOCKED = 0, OK = 1 };

struct bytes {
    char *data;
    size_t length, capacity, taken; /* taken: already written to the socket */
};

struct connection {
    int fd;
    enum work work;
    struct bytes in, out;
    int waits_for_write;
    int timer_slot;          /* index in `timed`, or NOT_TIMED */
    uint64_t due_ns;         /* when the next write is allowed */
    uint64_t gap_ns;         /* between two writes of a stream */
    long total, left, burst; /* content chunks of the current stream */
    int reports_usage;
};

static int poller;
static struct connection **timed;
static int timed_count, timed_capacity;
static char plain_answer[4096];
static size_t plain_length;

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                                  "cache-control: no-cache\r\nx-request-id: req_mock\r\n"
                                  "transfer-encoding: chunked\r\n\r\n";
static const char MODELS[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n"
                             "{\"object\":\"list\",\"data\":[]}";
static const char CHUNK_HEAD[] =
    "data: {\"id\":\"chatcmpl-mock0000000000000000000001\",\"object\":\"chat.completion.chunk\","
    "\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\","
    "\"system_fingerprint\":\"fp_mock\",\"choices\":[";
#define USAGE                                                                                                \
    "\"usage\":{\"prompt_tokens\":230,\"completion_tokens\":100,\"total_tokens\":330,"                       \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"                                    \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"                              \
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}"

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void reserve(struct bytes *b, size_t more) {
    if (b->length + more <= b->capacity) return;
    b->capacity = (b->length + more) * 2;
    b->data = realloc(b->data, b->capacity);
    if (!b->data) abort();
}

static void append(struct bytes *b, const char *data, size_t n) {
    reserve(b, n);
    memcpy(b->data + b->length, data, n);
    b->length += n;
}

static void append_chunk(struct connection *c, const char *data, size_t n) {
    char size[24];
    append(&c->out, size, (size_t)sprintf(size, "%zx\r\n", n));
    append(&c->out, data, n);
    append(&c->out, "\r\n", 2);
}

/* ---- timers: a plain list, scanned; a few hundred streams at most ---- */

static void set_timer(struct connection *c) {
    if (c->timer_slot != NOT_TIMED) return;
    if (timed_count == timed_capacity) {
        timed_capacity = timed_capacity ? timed_capacity * 2 : 256;
        timed = realloc(timed, (size_t)timed_capacity * sizeof *timed);
        if (!timed) abort();
    }
    c->timer_slot = timed_count;
    timed[timed_count++] = c;
}

static void clear_timer(struct connection *c) {
    if (c->timer_slot == NOT_TIMED) return;
    struct connection *last = timed[--timed_count];
    timed[c->timer_slot] = last;
    last->timer_slot = c->timer_slot;
    c->timer_slot = NOT_TIMED;
}

/* ---- output ---- */

static void watch(struct connection *c, int for_write) {
    if (c->waits_for_write == for_write) return;
    struct epoll_event e = {.events = EPOLLIN | (for_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waits_for_write = for_write;
}

static enum verdict flush(struct connection *c) {
    while (c->out.taken < c->out.length) {
        ssize_t n = write(c->fd, c->out.data + c->out.taken, c->out.length - c->out.taken);
        if (n < 0 && errno == EAGAIN) {
            watch(c, 1);
            return BLOCKED;
        }
        if (n < 0) return CLOSED;
        c->out.taken += (size_t)n;
    }
    c->out.taken = c->out.length = 0;
    watch(c, 0);
    return OK;
}

static void append_content(struct connection *c) {
    char event[1024];
    const char *role = c->left == c->total ? "\"role\":\"assistant\"," : "";
    int n = snprintf(event, sizeof event,
                     "%s{\"index\":0,\"delta\":{%s\"content\":\" @%016llx\"},\"logprobs\":null,"
                     "\"finish_reason\":null}]}\n\n",
                     CHUNK_HEAD, role, (unsigned long long)now_ns());
    append_chunk(c, event, (size_t)n);
    c->left--;
}

static void append_end(struct connection *c) {
    char event[1024];
    int n = snprintf(event, sizeof event,
                     "%s{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n", CHUNK_HEAD);
    append_chunk(c, event, (size_t)n);
    if (c->reports_usage) {
        n = snprintf(event, sizeof event, "%s]," USAGE "}\n\n", CHUNK_HEAD);
        append_chunk(c, event, (size_t)n);
    }
    append_chunk(c, "data: [DONE]\n\n", 14);
    append(&c->out, "0\r\n\r\n", 5);
}

/* Sends what is due of the current stream; OK means it has ended and was handed to the socket. */
static enum verdict stream(struct connection *c, uint64_t now) {
    for (;;) {
        enum verdict v = flush(c);
        if (v != OK) {
            clear_timer(c); /* the socket wakes us, not the clock */
            return v;
        }
        if (c->gap_ns && now < c->due_ns) {
            set_timer(c);
            return BLOCKED;
        }
        for (long i = 0; i < c->burst && c->left > 0; i++) append_content(c);
        c->due_ns += c->gap_ns;
        if (c->left <= 0) break;
    }
    append_end(c);
    c->work = READING;
    clear_timer(c);
    return flush(c) == CLOSED ? CLOSED : OK;
}

/* ---- input ---- */

static int has(const char *body, size_t n, const char *text) { return memmem(body, n, text, strlen(text)) != NULL; }

static int is_true(const char *body, size_t n, const char *member) {
    char compact[64], spaced[64];
    snprintf(compact, sizeof compact, "\"%s\":true", member);
    snprintf(spaced, sizeof spaced, "\"%s\": true", member);
    return has(body, n, compact) || has(body, n, spaced);
}

static void read_marker(struct connection *c, const char *body, size_t n) {
    long chunks = 100, delay_ms = 0, burst = 1;
    const char *marker = memmem(body, n, "mock-n", 6);
    if (marker) sscanf(marker, "mock-n%ld-d%ld-b%ld", &chunks, &delay_ms, &burst);
    c->total = c->left = chunks;
    c->burst = burst < 1 ? 1 : burst;
    c->gap_ns = (uint64_t)delay_ms * 1000000ull;
    c->due_ns = now_ns();
    c->reports_usage = is_true(body, n, "include_usage");
}

static enum verdict answer(struct connection *c, const char *body, size_t n) {
    if (!strncmp(c->in.data, "GET ", 4)) {
        append(&c->out, MODELS, sizeof MODELS - 1);
        return flush(c) == CLOSED ? CLOSED : OK;
    }
    read_marker(c, body, n);
    if (is_true(body, n, "stream")) {
        append(&c->out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        c->work = STREAMING;
        return stream(c, c->due_ns);
    }
    if (c->gap_ns) {
        c->due_ns += c->gap_ns;
        c->work = DELAYED_ANSWER;
        set_timer(c);
        return BLOCKED;
    }
    append(&c->out, plain_answer, plain_length);
    return flush(c) == CLOSED ? CLOSED : OK;
}

/* Length of the body that follows a head, or -1 while it is incomplete. */
static long body_length(struct connection *c, size_t head) {
    char *end = c->in.data + head;
    end[-2] = 0; /* so that the header searches stop at the head's last line */
    const char *length = strcasestr(c->in.data, "\r\ncontent-length:");
    int chunked = strcasestr(c->in.data, "\r\ntransfer-encoding: chunked") != NULL;
    end[-2] = '\r';
    size_t have = c->in.length - head;
    if (chunked) {
        const char *last = memmem(end, have, "0\r\n\r\n", 5);
        return last ? last + 5 - end : -1;
    }
    long n = length ? atol(length + 17) : 0;
    return have < (size_t)n ? -1 : n;
}

static enum verdict serve(struct connection *c) {
    while (c->work == READING && c->in.length) {
        char *end = memmem(c->in.data, c->in.length, "\r\n\r\n", 4);
        if (!end) return OK;
        size_t head = (size_t)(end - c->in.data) + 4;
        long body = body_length(c, head);
        if (body < 0) return OK;
        enum verdict v = answer(c, c->in.data + head, (size_t)body);
        size_t used = head + (size_t)body;
        memmove(c->in.data, c->in.data + used, c->in.length - used);
        c->in.length -= used;
        if (v != OK) return v;
    }
    return OK;
}

static enum verdict receive(struct connection *c) {
    for (;;) {
        reserve(&c->in, 16384);
        size_t room = c->in.capacity - c->in.length - 1;
        ssize_t n = read(c->fd, c->in.data + c->in.length, room);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return CLOSED;
        if (n > 0) c->in.length += (size_t)n;
        c->in.data[c->in.length] = 0; /* read_marker scans a string */
        if (n < (ssize_t)room) break;
    }
    return serve(c);
}

/* Continues whatever the connection was doing; then looks for a pipelined request. */
static enum verdict resume(struct connection *c, uint64_t now) {
    enum verdict v;
    if (c->work == STREAMING) {
        v = stream(c, now);
    } else if (c->work == DELAYED_ANSWER) {
        if (now < c->due_ns) return BLOCKED;
        append(&c->out, plain_answer, plain_length);
        c->work = READING;
        clear_timer(c);
        v = flush(c);
    } else {
        v = flush(c);
    }
    return v == OK ? serve(c) : v;
}

/* ---- the loop ---- */

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->fd = fd;
        c->timer_slot = NOT_TIMED;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static void hang_up(struct connection *c) {
    clear_timer(c);
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void handle(struct connection *c, uint32_t events) {
    enum verdict v = OK;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) v = receive(c);
    if (v != CLOSED && events & EPOLLOUT) v = resume(c, now_ns());
    if (v == CLOSED) hang_up(c);
}

static int wait_for_events(struct epoll_event *events) {
    if (!timed_count) return epoll_pwait2(poller, events, MAX_EVENTS, NULL, NULL);
    uint64_t now = now_ns(), first = UINT64_MAX;
    for (int i = 0; i < timed_count; i++)
        if (timed[i]->due_ns < first) first = timed[i]->due_ns;
    uint64_t left = first > now ? first - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000ull), .tv_nsec = (long)(left % 1000000000ull)};
    return epoll_pwait2(poller, events, MAX_EVENTS, &timeout, NULL);
}

static void run_timers(void) {
    uint64_t now = now_ns();
    for (int i = timed_count - 1; i >= 0; i--) {
        if (i >= timed_count || timed[i]->due_ns > now) continue;
        struct connection *c = timed[i];
        if (resume(c, now) == CLOSED) hang_up(c);
    }
}

static void build_plain_answer(void) {
    char content[512] = "", body[2048];
    while (strlen(content) < 440) strcat(content, "The quick brown fox jumps over the lazy dog. ");
    int n = snprintf(body, sizeof body,
                     "{\"id\":\"chatcmpl-mock0000000000000000000001\",\"object\":\"chat.completion\","
                     "\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,"
                     "\"message\":{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null,"
                     "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE
                     ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}",
                     content);
    plain_length = (size_t)snprintf(plain_answer, sizeof plain_answer,
                                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                    "x-request-id: req_mock\r\ncontent-length: %d\r\n\r\n%s",
                                    n, body);
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("mock: listen");
        exit(1);
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: mock PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    build_plain_answer();
    poller = epoll_create1(0);
    int listener = listen_on(atoi(argv[1]));
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int n = wait_for_events(events);
        if (n < 0 && errno != EINTR) return 1;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) handle(c, events[i].events);
            else accept_all(listener);
        }
        run_timers();
    }
}
