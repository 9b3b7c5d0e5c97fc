#include "include/vk_text.h"

#include <string.h>

#include "vk_internal.h"

#if VK_X86
#include <immintrin.h>
#endif

#define NOT_FOUND SIZE_MAX

static bool same(const uint8_t *a, const uint8_t *b, size_t len, bool fold) {
    if (!fold) return len == 0 || memcmp(a, b, len) == 0;
    for (size_t i = 0; i < len; i++) {
        if (vk_fold(a[i]) != vk_fold(b[i])) return false;
    }
    return true;
}

// MARK: searching

/// First occurrence of the needle (not empty) in s[from ..< len].
static size_t find_portable(const uint8_t *s, size_t len, size_t from, const uint8_t *needle, size_t m, bool fold) {
    if (m > len) return NOT_FOUND;
    const size_t last = len - m;
    const uint8_t first = vk_fold(needle[0]);
    for (size_t i = from; i <= last; i++) {
        if (!fold) {
            const uint8_t *hit = memchr(s + i, needle[0], last - i + 1);
            if (!hit) return NOT_FOUND;
            i = (size_t)(hit - s);
        } else if (vk_fold(s[i]) != first) {
            continue;
        }
        if (same(s + i, needle, m, fold)) return i;
    }
    return NOT_FOUND;
}

#if VK_X86
/// Looks for the needle's first and last byte at their distance, 64 places at a time, and compares where both are there.
VK_AVX2 static size_t find_avx2(const uint8_t *s, size_t len, size_t from, const uint8_t *needle, size_t m, bool fold) {
    if (m > len) return NOT_FOUND;
    size_t i = from;
    uint8_t first = needle[0], last = needle[m - 1];
    uint8_t first_case = 0, last_case = 0;
    if (fold) {
        first = vk_fold(first);
        last = vk_fold(last);
        first_case = (uint8_t)(first - 'a') < 26 ? 0x20 : 0;
        last_case = (uint8_t)(last - 'a') < 26 ? 0x20 : 0;
    }
    const __m256i first_v = _mm256_set1_epi8((char)first), last_v = _mm256_set1_epi8((char)last);
    const __m256i first_case_v = _mm256_set1_epi8((char)first_case), last_case_v = _mm256_set1_epi8((char)last_case);
    for (; i + 64 + m - 1 <= len; i += 64) {
        const uint8_t *p = s + i, *q = p + m - 1;
        __m256i a = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)p), first_case_v);
        __m256i b = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + 32)), first_case_v);
        __m256i c = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)q), last_case_v);
        __m256i d = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(q + 32)), last_case_v);
        __m256i low = _mm256_and_si256(_mm256_cmpeq_epi8(a, first_v), _mm256_cmpeq_epi8(c, last_v));
        __m256i high = _mm256_and_si256(_mm256_cmpeq_epi8(b, first_v), _mm256_cmpeq_epi8(d, last_v));
        if (_mm256_testz_si256(_mm256_or_si256(low, high), _mm256_or_si256(low, high))) continue;
        uint64_t mask = (uint64_t)(uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
        for (; mask; mask &= mask - 1) {
            size_t at = i + (size_t)__builtin_ctzll(mask);
            if (m <= 2 || same(s + at + 1, needle + 1, m - 2, fold)) return at;
        }
    }
    return find_portable(s, len, i, needle, m, fold);
}
#endif

typedef size_t (*finder)(const uint8_t *, size_t, size_t, const uint8_t *, size_t, bool);

static finder best_finder(void) {
#if VK_X86
    if (vk_use_avx2()) return find_avx2;
#endif
    return find_portable;
}

size_t vk_text_index(const uint8_t *s, size_t len, size_t from, const uint8_t *needle, size_t m, bool ignore_case) {
    if (from > len) return NOT_FOUND;
    if (m == 0) return from;
    return best_finder()(s, len, from, needle, m, ignore_case);
}

// MARK: predicates

/// Which edges of an occurrence have to be edges of a term.
typedef struct edges {
    bool left;
    bool right;
} edges;

static edges wanted_edges(vk_text_op op, const uint8_t *needle, size_t m) {
    bool left = op == VK_TEXT_HAS || op == VK_TEXT_HASPREFIX, right = op == VK_TEXT_HAS || op == VK_TEXT_HASSUFFIX;
    return (edges){left && vk_is_term(needle[0]), right && vk_is_term(needle[m - 1])};
}

/// Whether the occurrence at `at` in row [begin, end) has them.
static bool has_edges(edges wanted, const uint8_t *bytes, size_t begin, size_t end, size_t at, size_t m) {
    if (wanted.left && at > begin && vk_is_term(bytes[at - 1])) return false;
    return !(wanted.right && at + m < end && vk_is_term(bytes[at + m]));
}

static bool is_search(vk_text_op op) { return op == VK_TEXT_CONTAINS || op >= VK_TEXT_HAS; }

static bool match_row(vk_text_op op, bool fold, const uint8_t *s, size_t len, const uint8_t *needle, size_t m, finder find) {
    if (op == VK_TEXT_EQUALS) return len == m && same(s, needle, m, fold);
    if (m == 0) return true;
    if (m > len) return false;
    if (op == VK_TEXT_STARTS) return same(s, needle, m, fold);
    if (op == VK_TEXT_ENDS) return same(s + len - m, needle, m, fold);
    const edges wanted = wanted_edges(op, needle, m);
    for (size_t from = 0;;) {
        size_t at = find(s, len, from, needle, m, fold);
        if (at == NOT_FOUND) return false;
        if (has_edges(wanted, s, 0, len, at, m)) return true;
        from = at + 1;
    }
}

bool vk_text_match_one(vk_text_op op, bool ignore_case, const uint8_t *s, size_t len, const uint8_t *needle, size_t m) {
    return match_row(op, ignore_case, s, len, needle, m, len >= 64 ? best_finder() : find_portable);
}

void vk_text_match_portable(vk_text_op op, bool ignore_case, const uint8_t *bytes, const uint32_t *offsets, size_t n,
                            const uint8_t *needle, size_t m, uint64_t *bits) {
    for (size_t row = 0; row < n; row += 64) {
        uint64_t word = 0;
        size_t rows = n - row < 64 ? n - row : 64;
        for (size_t i = 0; i < rows; i++) {
            uint32_t begin = offsets[row + i], end = offsets[row + i + 1];
            word |= (uint64_t)match_row(op, ignore_case, bytes + begin, end - begin, needle, m, find_portable) << i;
        }
        bits[row >> 6] = word;
    }
}

void vk_text_match(vk_text_op op, bool ignore_case, const uint8_t *bytes, const uint32_t *offsets, size_t n, const uint8_t *needle,
                   size_t m, uint64_t *bits) {
    if (!is_search(op) || m == 0 || n == 0) {
        vk_text_match_portable(op, ignore_case, bytes, offsets, n, needle, m, bits);
        return;
    }
    // One pass over all rows' bytes; a hit is then put in its row.
    memset(bits, 0, (n + 63) / 64 * sizeof *bits);
    const finder find = best_finder();
    const edges wanted = wanted_edges(op, needle, m);
    const size_t end = offsets[n];
    size_t row = 0, from = offsets[0];
    while (row < n) {
        size_t at = find(bytes, end, from, needle, m, ignore_case);
        if (at == NOT_FOUND) return;
        while (offsets[row + 1] <= at) row++;
        size_t row_end = offsets[row + 1];
        if (at + m <= row_end && has_edges(wanted, bytes, offsets[row], row_end, at, m)) {
            bits[row >> 6] |= 1ull << (row & 63);
            from = row_end;
            row++;
        } else {
            from = at + 1;
        }
    }
}

// MARK: bytes

void vk_text_lower(const uint8_t *src, size_t len, uint8_t *dst) {
    for (size_t i = 0; i < len; i++) {
        uint8_t c = src[i];
        dst[i] = (uint8_t)(c | ((uint8_t)(c - 'A') < 26 ? 0x20 : 0));
    }
}

void vk_text_upper(const uint8_t *src, size_t len, uint8_t *dst) {
    for (size_t i = 0; i < len; i++) {
        uint8_t c = src[i];
        dst[i] = (uint8_t)(c & ~((uint8_t)(c - 'a') < 26 ? 0x20 : 0));
    }
}

int32_t vk_text_compare_ignoring_case(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    size_t n = a_len < b_len ? a_len : b_len;
    for (size_t i = 0; i < n; i++) {
        uint8_t x = vk_fold(a[i]), y = vk_fold(b[i]);
        if (x != y) return x < y ? -1 : 1;
    }
    return a_len == b_len ? 0 : a_len < b_len ? -1 : 1;
}

bool vk_text_is_ascii(const uint8_t *s, size_t len) {
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, s + i, 8);
        seen |= word;
    }
    for (; i < len; i++) seen |= (uint64_t)s[i];
    return (seen & 0x8080808080808080ull) == 0;
}

size_t vk_text_code_points(const uint8_t *s, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += (s[i] & 0xC0) != 0x80;
    return n;
}

bool vk_text_is_term_byte(uint8_t byte) { return vk_is_term(byte); }
