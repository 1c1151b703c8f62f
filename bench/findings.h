/* What a load run reports: latency samples (kept whole, in tenths of a microsecond) and its first error. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct samples {
    uint32_t *tenths_us;
    size_t count, capacity;
};

static void record(struct samples *s, uint64_t ns) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 4096;
        s->tenths_us = realloc(s->tenths_us, s->capacity * sizeof *s->tenths_us);
        if (!s->tenths_us) abort();
    }
    uint64_t tenths = ns / 100;
    s->tenths_us[s->count++] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct samples *s, double q) {
    return s->tenths_us[(size_t)((double)(s->count - 1) * q)] / 1e4;
}

static void print_samples(const char *name, struct samples *s) {
    if (!s->count) {
        printf(",\"%s\":null", name);
        return;
    }
    qsort(s->tenths_us, s->count, sizeof *s->tenths_us, ascending);
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}", name, s->count,
           quantile_ms(s, .5), quantile_ms(s, .99), quantile_ms(s, 1));
}

static char first_error[300];

/* Keeps the first error, printable inside JSON quotes. */
static void note_error(const char *text, size_t n) {
    if (first_error[0]) return;
    if (n >= sizeof first_error) n = sizeof first_error - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        first_error[i] = c < 32 || c > 126 || c == '"' || c == '\\' ? '\'' : (char)c;
    }
}
