#include <string.h>

#include "include/vk_json.h"
#include "vk_internal.h"

#if VK_X86
#include <immintrin.h>
#endif

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The code unit of `\uXXXX` whose digits begin at s; -1 when there are not four.
static int32_t code_unit(const uint8_t *s, size_t len) {
    if (len < 4) return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex(s[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static size_t encode(uint32_t c, uint8_t *out) {
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

size_t vk_json_unescape(const uint8_t *src, size_t len, uint8_t *dst, size_t cap) {
    size_t i = 0, n = 0;
    while (i < len) {
        const uint8_t *slash = memchr(src + i, '\\', len - i);
        size_t plain = (slash ? (size_t)(slash - src) : len) - i;
        if (plain > cap - n) return SIZE_MAX;
        if (plain) memmove(dst + n, src + i, plain);
        n += plain;
        i += plain;
        if (i == len) break;
        if (i + 1 == len) {
            // A lone backslash at the end cannot come from a closed string; it stays.
            if (n == cap) return SIZE_MAX;
            dst[n++] = '\\';
            break;
        }
        uint8_t made[4];
        size_t made_len = 1, used = 2;
        uint8_t c = src[i + 1];
        switch (c) {
        case 'n': made[0] = '\n'; break;
        case 't': made[0] = '\t'; break;
        case 'r': made[0] = '\r'; break;
        case 'b': made[0] = '\b'; break;
        case 'f': made[0] = '\f'; break;
        case 'u': {
            int32_t unit = code_unit(src + i + 2, len - i - 2);
            uint32_t scalar = 0xFFFD;
            if (unit < 0) {
                // As many hex digits as there are belong to the broken escape: at least three bytes must go for U+FFFD's three.
                while (used < 6 && i + used < len && hex(src[i + used]) >= 0) used++;
                if (used < 3) {
                    made[0] = 'u';
                    break;
                }
            } else {
                used = 6;
                scalar = (uint32_t)unit;
                if (unit >= 0xD800 && unit < 0xDC00) {
                    scalar = 0xFFFD;
                    if (i + 8 <= len && src[i + 6] == '\\' && src[i + 7] == 'u') {
                        int32_t low = code_unit(src + i + 8, len - i - 8);
                        if (low >= 0xDC00 && low < 0xE000) {
                            scalar = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
                            used = 12;
                        }
                    }
                } else if (unit >= 0xDC00 && unit < 0xE000) {
                    scalar = 0xFFFD;
                }
            }
            made_len = encode(scalar, made);
            break;
        }
        default: made[0] = c; break;
        }
        if (made_len > cap - n) return SIZE_MAX;
        memcpy(dst + n, made, made_len);
        n += made_len;
        i += used;
    }
    return n;
}

size_t vk_json_plain_run(const uint8_t *bytes, size_t len) {
    size_t i = 0;
#if VK_X86
    // SSE2 is part of x86-64. Control characters are those that a saturating subtraction of 0x1F turns to 0.
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), below = _mm_set1_epi8(0x1F), zero = _mm_setzero_si128();
    for (; i + 16 <= len; i += 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(bytes + i));
        const __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                           _mm_cmpeq_epi8(_mm_subs_epu8(v, below), zero));
        const unsigned mask = (unsigned)_mm_movemask_epi8(stops);
        if (mask) return i + (size_t)__builtin_ctz(mask);
    }
#endif
    while (i < len && bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\') i++;
    return i;
}

size_t vk_json_escape(const uint8_t *src, size_t len, uint8_t *dst, size_t cap) {
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = src[i], made[6];
        size_t made_len = 2;
        made[0] = '\\';
        switch (c) {
        case '"': made[1] = '"'; break;
        case '\\': made[1] = '\\'; break;
        case '\n': made[1] = 'n'; break;
        case '\r': made[1] = 'r'; break;
        case '\t': made[1] = 't'; break;
        case '\b': made[1] = 'b'; break;
        case '\f': made[1] = 'f'; break;
        default:
            if (c >= 0x20) {
                made[0] = c;
                made_len = 1;
            } else {
                made[1] = 'u';
                made[2] = made[3] = '0';
                made[4] = (uint8_t)digits[c >> 4];
                made[5] = (uint8_t)digits[c & 15];
                made_len = 6;
            }
        }
        if (n + made_len <= cap) memcpy(dst + n, made, made_len);
        n += made_len;
    }
    return n;
}
