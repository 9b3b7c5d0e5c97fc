#include <string.h>

#include "include/vk_scan.h"
#include "vk_internal.h"

#if VK_X86
#include <immintrin.h>
#endif

static size_t newlines_portable(const uint8_t *bytes, size_t begin, size_t len, uint32_t *offsets, size_t count, size_t cap,
                                size_t *scanned) {
    size_t i = begin;
    while (i < len && count < cap) {
        const uint8_t *hit = memchr(bytes + i, '\n', len - i);
        if (!hit) {
            i = len;
            break;
        }
        offsets[count++] = (uint32_t)(hit - bytes);
        i = (size_t)(hit - bytes) + 1;
    }
    *scanned = i;
    return count;
}

#if VK_X86
VK_AVX2 static uint64_t equal_mask(__m256i low, __m256i high, uint8_t c) {
    const __m256i v = _mm256_set1_epi8((char)c);
    uint32_t a = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, v));
    uint32_t b = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, v));
    return (uint64_t)a | (uint64_t)b << 32;
}

VK_AVX2 static size_t newlines_avx2(const uint8_t *bytes, size_t len, uint32_t *offsets, size_t cap, size_t *scanned) {
    size_t i = 0, count = 0;
    for (; i + 64 <= len && cap - count >= 64; i += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(bytes + i)), high = _mm256_loadu_si256((const __m256i *)(bytes + i + 32));
        for (uint64_t mask = equal_mask(low, high, '\n'); mask; mask &= mask - 1) {
            offsets[count++] = (uint32_t)(i + (size_t)__builtin_ctzll(mask));
        }
    }
    return newlines_portable(bytes, i, len, offsets, count, cap, scanned);
}

VK_AVX2 static size_t count_newlines_avx2(const uint8_t *bytes, size_t len, size_t *counted) {
    size_t i = 0, count = 0;
    for (; i + 64 <= len; i += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(bytes + i)), high = _mm256_loadu_si256((const __m256i *)(bytes + i + 32));
        count += (size_t)__builtin_popcountll(equal_mask(low, high, '\n'));
    }
    *counted = i;
    return count;
}
#endif

size_t vk_scan_newlines(const uint8_t *bytes, size_t len, uint32_t *offsets, size_t cap, size_t *scanned) {
    if (len > UINT32_MAX) len = UINT32_MAX;
#if VK_X86
    if (vk_use_avx2()) return newlines_avx2(bytes, len, offsets, cap, scanned);
#endif
    return newlines_portable(bytes, 0, len, offsets, 0, cap, scanned);
}

size_t vk_count_newlines(const uint8_t *bytes, size_t len) {
    size_t i = 0, count = 0;
#if VK_X86
    if (vk_use_avx2()) count = count_newlines_avx2(bytes, len, &i);
#endif
    for (; i < len; i++) count += bytes[i] == '\n';
    return count;
}
