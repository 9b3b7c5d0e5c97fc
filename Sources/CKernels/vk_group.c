#include "include/vk_group.h"

#include <math.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "vk_internal.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE bool is_valid(const uint64_t *valid, size_t i) { return valid == NULL || (valid[i >> 6] >> (i & 63) & 1) != 0; }

// MARK: 64-bit keys

ALWAYS_INLINE uint64_t mix(uint64_t key) {
    uint64_t h = key ^ (key >> 32);
    h *= UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
    h *= UINT64_C(0xBF58476D1CE4E5B9);
    return h ^ (h >> 32);
}

enum {
    /// Rows whose places are fetched ahead of their use.
    BLOCK = 64,
    /// Rows between the fetching of a state and its use.
    AHEAD = 16,
    /// Slots that fit the near caches: no fetching ahead below.
    NEAR_SLOTS = 1 << 13,
};

size_t vk_words_intern(const uint64_t *in, size_t n, vk_word_slot *slots, size_t mask, uint64_t *keys, size_t *count, uint32_t *out) {
    size_t known = *count;
    const size_t most = (mask + 1) / 2;
    size_t places[BLOCK];
    size_t i = 0;
    while (i < n) {
        const size_t m = n - i < BLOCK ? n - i : BLOCK;
        for (size_t k = 0; k < m; k++) places[k] = mix(in[i + k]) & mask;
        if (mask >= NEAR_SLOTS) {
            for (size_t k = 0; k < m; k++) __builtin_prefetch(&slots[places[k]], 1);
        }
        for (size_t k = 0; k < m; k++) {
            const uint64_t key = in[i + k];
            size_t at = places[k];
            uint32_t id;
            while ((id = slots[at].id) != 0 && slots[at].key != key) at = (at + 1) & mask;
            if (id == 0) {
                if (known >= most) {
                    *count = known;
                    return i + k;
                }
                keys[known++] = key;
                id = (uint32_t)known;
                slots[at].key = key;
                slots[at].id = id;
            }
            out[i + k] = id - 1;
        }
        i += m;
    }
    *count = known;
    return n;
}

void vk_words_find(const uint64_t *in, size_t n, const vk_word_slot *slots, size_t mask, int64_t *out) {
    size_t places[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t m = n - i < BLOCK ? n - i : BLOCK;
        for (size_t k = 0; k < m; k++) places[k] = mix(in[i + k]) & mask;
        if (mask >= NEAR_SLOTS) {
            for (size_t k = 0; k < m; k++) __builtin_prefetch(&slots[places[k]], 0);
        }
        for (size_t k = 0; k < m; k++) {
            const uint64_t key = in[i + k];
            size_t at = places[k];
            uint32_t id;
            while ((id = slots[at].id) != 0 && slots[at].key != key) at = (at + 1) & mask;
            out[i + k] = (int64_t)id - 1;
        }
    }
}

void vk_words_fill(const uint64_t *keys, size_t count, vk_word_slot *slots, size_t mask) {
    size_t places[BLOCK];
    for (size_t i = 0; i < count; i += BLOCK) {
        const size_t m = count - i < BLOCK ? count - i : BLOCK;
        for (size_t k = 0; k < m; k++) {
            places[k] = mix(keys[i + k]) & mask;
            __builtin_prefetch(&slots[places[k]], 1);
        }
        for (size_t k = 0; k < m; k++) {
            size_t at = places[k];
            while (slots[at].id != 0) at = (at + 1) & mask;
            slots[at].key = keys[i + k];
            slots[at].id = (uint32_t)(i + k + 1);
        }
    }
}

// MARK: division by hash

void vk_words_hash(const uint64_t *in, const uint64_t *valid, size_t n, bool first, uint64_t *hashes) {
    for (size_t i = 0; i < n; i++) {
        const uint64_t word = is_valid(valid, i) ? in[i] : UINT64_C(0xA0761D6478BD642F);
        // The next column's word meets a mixed one, so that equal words of two columns do not cancel out.
        hashes[i] = mix(first ? word : word + hashes[i] * UINT64_C(0x9E3779B97F4A7C15));
    }
}

void vk_rows_divide(const uint64_t *hashes, size_t n, unsigned bits, int32_t *rows, uint32_t *starts) {
    const size_t parts = (size_t)1 << bits;
    const unsigned shift = 64 - bits;
    memset(starts, 0, (parts + 1) * sizeof *starts);
    for (size_t i = 0; i < n; i++) starts[(hashes[i] >> shift) + 1]++;
    for (size_t p = 0; p < parts; p++) starts[p + 1] += starts[p];
    for (size_t i = 0; i < n; i++) rows[starts[hashes[i] >> shift]++] = (int32_t)i;
    // Each start has moved to its part's end, which is where the next part began.
    for (size_t p = parts; p > 0; p--) starts[p] = starts[p - 1];
    starts[0] = 0;
}

void vk_words_order(uint64_t *words, uint64_t *spare, uint32_t *order, uint32_t *spare_order, size_t n) {
    enum { BITS = 11, BINS = 1 << BITS };
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++) {
        most |= words[i];
        order[i] = (uint32_t)i;
    }
    for (unsigned shift = 0; shift < 64 && most >> shift != 0; shift += BITS) {
        size_t places[BINS] = {0};
        for (size_t i = 0; i < n; i++) places[words[i] >> shift & (BINS - 1)]++;
        size_t at = 0;
        for (size_t b = 0; b < BINS; b++) {
            const size_t count = places[b];
            places[b] = at;
            at += count;
        }
        for (size_t i = 0; i < n; i++) {
            const size_t to = places[words[i] >> shift & (BINS - 1)]++;
            spare[to] = words[i];
            spare_order[to] = order[i];
        }
        memcpy(words, spare, n * sizeof *words);
        memcpy(order, spare_order, n * sizeof *order);
    }
}

// MARK: byte strings

void vk_strings_hash(const uint8_t *bytes, const uint32_t *offsets, size_t n, uint64_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = XXH3_64bits(bytes + offsets[i], offsets[i + 1] - offsets[i]);
}

ALWAYS_INLINE bool same(const uint8_t *a, const uint8_t *b, size_t n) {
    if (n >= 8) {
        for (size_t i = 0; i + 8 <= n; i += 8) {
            uint64_t x, y;
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            if (x != y) return false;
        }
        uint64_t x, y;
        memcpy(&x, a + n - 8, 8);
        memcpy(&y, b + n - 8, 8);
        return x == y;
    }
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/// The id + 1 of a string, 0 if unknown; `place` is where it is or would be.
ALWAYS_INLINE uint32_t look_up(const uint8_t *text, size_t length, uint64_t hash, const vk_byte_slot *slots, size_t mask,
                               const uint8_t *known_bytes, const uint32_t *known_offsets, size_t *place) {
    const uint32_t tag = (uint32_t)(hash >> 32);
    size_t at = hash & mask;
    uint32_t id;
    while ((id = slots[at].id) != 0) {
        if (slots[at].tag == tag) {
            const uint32_t start = known_offsets[id - 1];
            if (known_offsets[id] - start == length && same(known_bytes + start, text, length)) break;
        }
        at = (at + 1) & mask;
    }
    *place = at;
    return id;
}

size_t vk_strings_intern(const uint8_t *bytes, const uint32_t *offsets, const uint64_t *hashes, size_t from, size_t n,
                         const vk_byte_slot *slots, size_t mask, const uint8_t *known_bytes, const uint32_t *known_offsets, uint32_t *out,
                         size_t *slot) {
    const bool far = mask >= NEAR_SLOTS;
    for (size_t i = from; i < n; i++) {
        if (far && i + 16 < n) __builtin_prefetch(&slots[hashes[i + 16] & mask], 1);
        const uint32_t id =
            look_up(bytes + offsets[i], offsets[i + 1] - offsets[i], hashes[i], slots, mask, known_bytes, known_offsets, slot);
        if (id == 0) return i;
        out[i] = id - 1;
    }
    return n;
}

void vk_strings_find(const uint8_t *bytes, const uint32_t *offsets, const uint64_t *hashes, size_t n, const vk_byte_slot *slots,
                     size_t mask, const uint8_t *known_bytes, const uint32_t *known_offsets, int64_t *out) {
    const bool far = mask >= NEAR_SLOTS;
    size_t place;
    for (size_t i = 0; i < n; i++) {
        if (far && i + 16 < n) __builtin_prefetch(&slots[hashes[i + 16] & mask], 0);
        out[i] = (int64_t)look_up(bytes + offsets[i], offsets[i + 1] - offsets[i], hashes[i], slots, mask, known_bytes, known_offsets,
                                  &place)
            - 1;
    }
}

void vk_strings_fill(const uint64_t *hashes, size_t count, vk_byte_slot *slots, size_t mask) {
    for (size_t i = 0; i < count; i++) {
        if (i + 16 < count) __builtin_prefetch(&slots[hashes[i + 16] & mask], 1);
        size_t at = hashes[i] & mask;
        while (slots[at].id != 0) at = (at + 1) & mask;
        slots[at].tag = (uint32_t)(hashes[i] >> 32);
        slots[at].id = (uint32_t)(i + 1);
    }
}

// MARK: aggregates

void vk_group_count(const uint32_t *groups, size_t n, const uint64_t *valid, int64_t *counts) {
    if (groups == NULL) {
        if (valid == NULL) {
            counts[0] += (int64_t)n;
        } else {
            for (size_t w = 0; w < (n + 63) / 64; w++) counts[0] += __builtin_popcountll(valid[w]);
        }
        return;
    }
    if (valid == NULL) {
        for (size_t i = 0; i < n; i++) {
            if (i + AHEAD < n) __builtin_prefetch(&counts[groups[i + AHEAD]], 1);
            counts[groups[i]]++;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) counts[groups[i]] += (int64_t)(valid[i >> 6] >> (i & 63) & 1);
}

// One group: loops in vectors. A row that does not count is masked out; validity comes a word for 64 rows.

ALWAYS_INLINE uint64_t word_of(const uint64_t *valid, size_t i) { return valid == NULL ? ~UINT64_C(0) : valid[i >> 6]; }

/// As unsigned numbers in halves of 32 bits; each negative one counts 2^64 too much. 2^32 rows fit without overflow, a batch has far fewer.
ALWAYS_INLINE __int128 sum_all(const int64_t *values, size_t n, const uint64_t *valid) {
    uint64_t high = 0, low = 0, negative = 0;
    for (size_t from = 0; from < n; from += 64) {
        const size_t m = n - from < 64 ? n - from : 64;
        const uint64_t word = word_of(valid, from);
        if (word == 0) continue;
        const int64_t *rows = values + from;
        if (word == ~UINT64_C(0)) {
            for (size_t k = 0; k < m; k++) {
                const uint64_t v = (uint64_t)rows[k];
                high += v >> 32;
                low += v & UINT64_C(0xFFFFFFFF);
                negative += v >> 63;
            }
        } else {
            for (size_t k = 0; k < m; k++) {
                const uint64_t v = (uint64_t)rows[k] & (0 - (word >> k & 1));
                high += v >> 32;
                low += v & UINT64_C(0xFFFFFFFF);
                negative += v >> 63;
            }
        }
    }
    return (__int128)((((unsigned __int128)high << 32) + low) - ((unsigned __int128)negative << 64));
}

/// The greatest or least of the rows that count; the other end of the range if none does.
ALWAYS_INLINE int64_t extreme_all(const int64_t *values, size_t n, const uint64_t *valid, bool greatest) {
    const int64_t none = greatest ? INT64_MIN : INT64_MAX;
    int64_t found = none;
    for (size_t from = 0; from < n; from += 64) {
        const size_t m = n - from < 64 ? n - from : 64;
        const uint64_t word = word_of(valid, from);
        if (word == 0) continue;
        const int64_t *rows = values + from;
        const bool all = word == ~UINT64_C(0);
        for (size_t k = 0; k < m; k++) {
            const int64_t v = all || (word >> k & 1) ? rows[k] : none;
            found = greatest ? (v > found ? v : found) : (v < found ? v : found);
        }
    }
    return found;
}

#if VK_X86
VK_AVX2 static __int128 sum_avx2(const int64_t *values, size_t n, const uint64_t *valid) {
    return valid == NULL ? sum_all(values, n, NULL) : sum_all(values, n, valid);
}
VK_AVX512 static __int128 sum_avx512(const int64_t *values, size_t n, const uint64_t *valid) {
    return valid == NULL ? sum_all(values, n, NULL) : sum_all(values, n, valid);
}
VK_AVX2 static int64_t extreme_avx2(const int64_t *values, size_t n, const uint64_t *valid, bool greatest) {
    if (valid == NULL) return greatest ? extreme_all(values, n, NULL, true) : extreme_all(values, n, NULL, false);
    return greatest ? extreme_all(values, n, valid, true) : extreme_all(values, n, valid, false);
}
VK_AVX512 static int64_t extreme_avx512(const int64_t *values, size_t n, const uint64_t *valid, bool greatest) {
    if (valid == NULL) return greatest ? extreme_all(values, n, NULL, true) : extreme_all(values, n, NULL, false);
    return greatest ? extreme_all(values, n, valid, true) : extreme_all(values, n, valid, false);
}
#endif

static __int128 single_sum(const int64_t *values, size_t n, const uint64_t *valid) {
#if VK_X86
    if (vk_use_avx512()) return sum_avx512(values, n, valid);
    if (vk_use_avx2()) return sum_avx2(values, n, valid);
#endif
    return sum_all(values, n, valid);
}

static int64_t single_extreme(const int64_t *values, size_t n, const uint64_t *valid, bool greatest) {
#if VK_X86
    if (vk_use_avx512()) return extreme_avx512(values, n, valid, greatest);
    if (vk_use_avx2()) return extreme_avx2(values, n, valid, greatest);
#endif
    return extreme_all(values, n, valid, greatest);
}

void vk_group_sum_i64(const uint32_t *groups, size_t n, const uint64_t *valid, const int64_t *values, void *sums) {
    __int128 *to = sums;
    if (groups == NULL) {
        to[0] += single_sum(values, n, valid);
        return;
    }
    if (valid == NULL) {
        for (size_t i = 0; i < n; i++) {
            if (i + AHEAD < n) __builtin_prefetch(&to[groups[i + AHEAD]], 1);
            to[groups[i]] += values[i];
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (is_valid(valid, i)) to[groups[i]] += values[i];
}

#pragma clang fp contract(off)

ALWAYS_INLINE double two_sum(double a, double b, double *error) {
    const double s = a + b;
    const double t = s - a;
    *error = (a - (s - t)) + (b - t);
    return s;
}

enum { LANES = 8 };
typedef double lanes_f64 __attribute__((vector_size(8 * LANES)));
typedef int64_t lanes_i64 __attribute__((vector_size(8 * LANES)));

/// Eight exact sums side by side over the first rows, as many as fill the lanes: sums, then what they leave, to `terms`. False: some term
/// does not fit two doubles.
ALWAYS_INLINE bool lanes_all(const double *values, size_t n, const uint64_t *valid, double *terms) {
    lanes_f64 high = {0}, low = {0};
    lanes_i64 bad = {0};
    const lanes_f64 limit = (lanes_f64){0} + 0x1p960;
    const lanes_i64 places = {0, 1, 2, 3, 4, 5, 6, 7};
    for (size_t i = 0; i + LANES <= n; i += LANES) {
        lanes_f64 x;
        memcpy(&x, values + i, sizeof x);
        if (valid != NULL) {
            // A word holds a whole number of lanes. By bits: what stands under a null may be no number.
            const lanes_i64 bits = (lanes_i64){0} + (int64_t)(valid[i >> 6] >> (i & 63) & 0xFF);
            x = (lanes_f64)((lanes_i64)x & -(bits >> places & 1));
        }
        const lanes_f64 s = high + x, t = s - high;
        const lanes_f64 e = (high - (s - t)) + (x - t);
        const lanes_f64 l = low + e, u = l - low;
        const lanes_f64 f = (low - (l - u)) + (e - u);
        bad |= (f != 0) | ~((x < limit) & (x > -limit));
        high = s;
        low = l;
    }
    memcpy(terms, &high, sizeof high);
    memcpy(terms + LANES, &low, sizeof low);
    int64_t any = 0;
    for (int k = 0; k < LANES; k++) any |= bad[k];
    return any == 0;
}

#if VK_X86
VK_AVX2 static bool lanes_avx2(const double *values, size_t n, const uint64_t *valid, double *terms) {
    return valid == NULL ? lanes_all(values, n, NULL, terms) : lanes_all(values, n, valid, terms);
}
VK_AVX512 static bool lanes_avx512(const double *values, size_t n, const uint64_t *valid, double *terms) {
    return valid == NULL ? lanes_all(values, n, NULL, terms) : lanes_all(values, n, valid, terms);
}
#endif

static bool lanes(const double *values, size_t n, const uint64_t *valid, double *terms) {
#if VK_X86
    if (vk_use_avx512()) return lanes_avx512(values, n, valid, terms);
    if (vk_use_avx2()) return lanes_avx2(values, n, valid, terms);
#endif
    return lanes_all(values, n, valid, terms);
}

/// All rows into one pair. False: some term does not fit two doubles; nothing was added then.
static bool sum_lanes(const double *values, size_t n, const uint64_t *valid, double *pair) {
    double terms[3 * LANES];
    if (!lanes(values, n, valid, terms)) return false;
    size_t count = 2 * LANES;
    for (size_t i = n - n % LANES; i < n; i++)
        if (is_valid(valid, i)) terms[count++] = values[i];
    double a = pair[0], b = pair[1];
    for (size_t k = 0; k < count; k++) {
        if (!(fabs(terms[k]) < 0x1p960)) return false;
        double e, f;
        a = two_sum(a, terms[k], &e);
        b = two_sum(b, e, &f);
        if (f != 0) return false;
    }
    pair[0] = a;
    pair[1] = b;
    return true;
}

size_t vk_group_sum_f64(const uint32_t *groups, size_t from, size_t n, const uint64_t *valid, const double *values, double *pairs) {
    if (groups == NULL && from == 0 && sum_lanes(values, n, valid, pairs)) return n;
    for (size_t i = from; i < n; i++) {
        if (!is_valid(valid, i)) continue;
        const double x = values[i];
        if (!(fabs(x) < 0x1p960)) return i;
        double *pair = pairs + 2 * (size_t)(groups == NULL ? 0 : groups[i]);
        double e;
        const double s = two_sum(pair[0], x, &e);
        if (e != 0) {
            double f;
            const double l = two_sum(pair[1], e, &f);
            if (f != 0) return i;
            pair[1] = l;
        }
        pair[0] = s;
    }
    return n;
}

void vk_group_extreme_i64(const uint32_t *groups, size_t n, const uint64_t *valid, const int64_t *values, bool greatest, int64_t *best,
                          uint8_t *known) {
    if (groups == NULL) {
        const int64_t found = single_extreme(values, n, valid, greatest);
        // The end of the range may be a value or stand for none.
        bool any = n > 0 && valid == NULL;
        if (valid != NULL && found == (greatest ? INT64_MIN : INT64_MAX)) {
            for (size_t w = 0; w < (n + 63) / 64; w++) any |= valid[w] != 0;
        } else if (valid != NULL) {
            any = true;
        }
        if (!any) return;
        if (!known[0] || (greatest ? found > best[0] : found < best[0])) best[0] = found;
        known[0] = 1;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_valid(valid, i)) continue;
        const size_t g = groups[i];
        const int64_t v = values[i];
        if (!known[g] || (greatest ? v > best[g] : v < best[g])) {
            best[g] = v;
            known[g] = 1;
        }
    }
}

// MARK: memory

void vk_advise_large(void *memory, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)2 << 20;
    const uintptr_t begin = ((uintptr_t)memory + page - 1) & ~(page - 1), end = ((uintptr_t)memory + bytes) & ~(page - 1);
    if (end > begin) (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

// MARK: selection

#define DEFINE_GATHER(name, type)                                                                                                        \
    void name(const void *from, const int32_t *rows, size_t n, void *to) {                                                               \
        const type *source = from;                                                                                                       \
        type *target = to;                                                                                                               \
        for (size_t i = 0; i < n; i++) target[i] = rows[i] < 0 ? (type){0} : source[rows[i]];                                            \
    }

typedef struct pair64 {
    uint64_t a, b;
} pair64;

DEFINE_GATHER(vk_gather_64, uint64_t)
DEFINE_GATHER(vk_gather_32, uint32_t)
DEFINE_GATHER(vk_gather_128, pair64)

void vk_gather_bits(const uint64_t *from, const int32_t *rows, size_t n, uint64_t *to) {
    for (size_t w = 0; w * 64 < n; w++) {
        uint64_t word = 0;
        const size_t end = n - w * 64 < 64 ? n - w * 64 : 64;
        for (size_t k = 0; k < end; k++) {
            const int32_t row = rows[w * 64 + k];
            if (row >= 0) word |= (from[row >> 6] >> (row & 63) & 1) << k;
        }
        to[w] = word;
    }
}

size_t vk_gather_offsets(const uint32_t *offsets, const uint32_t *codes, const int32_t *rows, size_t n, uint32_t *to) {
    uint64_t total = 0;
    to[0] = 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i] >= 0) {
            const uint32_t c = codes == NULL ? (uint32_t)rows[i] : codes[rows[i]];
            total += offsets[c + 1] - offsets[c];
        }
        to[i + 1] = (uint32_t)total;
    }
    return total > UINT32_MAX ? SIZE_MAX : (size_t)total;
}

void vk_gather_bytes(const uint8_t *bytes, const uint32_t *offsets, const uint32_t *codes, const int32_t *rows, size_t n,
                     const uint32_t *new_offsets, uint8_t *to) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i] < 0) continue;
        const uint32_t c = codes == NULL ? (uint32_t)rows[i] : codes[rows[i]];
        const uint32_t start = offsets[c];
        const uint32_t length = offsets[c + 1] - start;
        memcpy(to + new_offsets[i], bytes + start, length);
    }
}

void vk_bin_i64(const int64_t *values, size_t n, int64_t size, int64_t *to) {
    // Neighbouring rows mostly fall into the same bin: a division is made only when a value leaves the bin of the one before.
    int64_t bin = 0;
    bool known = false;
    for (size_t i = 0; i < n; i++) {
        const int64_t x = values[i];
        if (!known || x < bin || (uint64_t)x - (uint64_t)bin >= (uint64_t)size) {
            const int64_t rest = x % size;
            bin = (int64_t)((uint64_t)x - (uint64_t)(rest < 0 ? rest + size : rest));
            // A bin below the least integer wraps round and must not be taken for that of a large value.
            known = bin <= x;
        }
        to[i] = bin;
    }
}
