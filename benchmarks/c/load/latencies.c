/* The latencies, as counts of equal values in nanoseconds.
 *
 * Values keep their first 11 bits, which is a precision of 0.1 %. There is one place for each value
 * below 2^11, and above it 1024 places for each doubling.
 */
#include "load.h"

enum { BITS = 11, HALF = 1 << (BITS - 1), PLACES = HALF * (64 - BITS + 2) };

static long counts[PLACES];

void record(double seconds) {
    uint64_t value = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
    int shift = 0;
    while (value >> shift >= 2 * HALF) shift++;
    counts[(uint64_t)shift * HALF + (value >> shift)]++;
}

void print_latencies(FILE *out) {
    const char *separator = "";
    for (int place = 0; place < PLACES; place++) {
        if (!counts[place]) continue;
        int shift = place < 2 * HALF ? 0 : place / HALF - 1;
        uint64_t value = (uint64_t)(place - shift * HALF) << shift;
        fprintf(out, "%s[%llu, %ld]", separator, (unsigned long long)value, counts[place]);
        separator = ", ";
    }
}
