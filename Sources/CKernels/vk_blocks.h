#ifndef VK_BLOCKS_H
#define VK_BLOCKS_H

#include <string.h>

#include "vk_internal.h"

#if VK_X86
#include <immintrin.h>
#endif

// 64 bytes of JSON text at a time, as bit masks: what the framer and the structural index have in common.
//
// The loops over blocks are written once, generic over a `vk_block_engine`, and forced inline into one function for each instruction set
// (`VK_AVX2`, `VK_AVX512`), where the engine's functions are constants and are inlined in turn.

#define VK_BLOCK_INLINE static inline __attribute__((always_inline))

/// A position in an index: the offset, and whether a backslash may stand between it and the position before, or near it. A string has an
/// escape only if one of its two quotes is marked.
#define VK_INDEX_MARK 0x80000000u
#define VK_INDEX_OFFSET 0x7FFFFFFFu
/// Entries that `emit` may write beyond those it counts, and the most that it counts.
#define VK_INDEX_SLACK 80

#if VK_X86

typedef struct vk_block {
    uint64_t slash, quote, feed, open, close, comma;
    /// Not 0 when there is a byte >= 0x80.
    uint64_t high;
} vk_block;

typedef struct vk_block_engine {
    vk_block (*classify)(const uint8_t *bytes);
    /// Bit i of the result is the parity of bits 0...i.
    uint64_t (*parity)(uint64_t bits);
    /// Writes `base` + i for each set bit i, ascending; returns their number.
    size_t (*emit)(uint32_t *out, uint64_t bits, uint32_t base);
} vk_block_engine;

/// The quotes that no backslash escapes. `carry`: the first byte is escaped; set to whether the byte behind the block is.
VK_BLOCK_INLINE uint64_t vk_block_quotes(const vk_block *block, uint64_t *carry) {
    if (__builtin_expect(!(block->slash | *carry), 1)) return block->quote;
    // Characters behind an odd run of backslashes, as simdjson finds them: runs that begin at odd places are carried by addition.
    const uint64_t even = 0x5555555555555555ull;
    uint64_t slash = block->slash & ~*carry;
    uint64_t follows = slash << 1 | *carry, odd_starts = slash & ~even & ~follows, sequences;
    *carry = __builtin_add_overflow(odd_starts, slash, &sequences);
    return block->quote & ~((even ^ sequences << 1) & follows);
}

VK_AVX2 VK_BLOCK_INLINE uint64_t vk_parity_clmul(uint64_t bits) {
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8((char)0xFF), 0));
}

VK_AVX2 VK_BLOCK_INLINE uint64_t vk_mask_avx2(__m256i low, __m256i high) {
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

VK_AVX2 VK_BLOCK_INLINE vk_block vk_classify_avx2(const uint8_t *bytes) {
    const __m256i a = _mm256_loadu_si256((const __m256i *)bytes), b = _mm256_loadu_si256((const __m256i *)(bytes + 32));
    const __m256i fold = _mm256_set1_epi8(0x20), al = _mm256_or_si256(a, fold), bl = _mm256_or_si256(b, fold);
#define VK_EQUAL(x, y, c) vk_mask_avx2(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(c)), _mm256_cmpeq_epi8(y, _mm256_set1_epi8(c)))
    vk_block block = {
        .slash = VK_EQUAL(a, b, '\\'),
        .quote = VK_EQUAL(a, b, '"'),
        .feed = VK_EQUAL(a, b, '\n'),
        .open = VK_EQUAL(al, bl, '{'),
        .close = VK_EQUAL(al, bl, '}'),
        .comma = VK_EQUAL(a, b, ','),
        .high = (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(a, b)),
    };
#undef VK_EQUAL
    return block;
}

VK_AVX2 VK_BLOCK_INLINE size_t vk_emit_avx2(uint32_t *out, uint64_t bits, uint32_t base) {
    const int n = __builtin_popcountll(bits);
    // Eight at a time without branches; entries past n are overwritten later.
    for (int done = 0; done < n; done += 8) {
        for (int j = 0; j < 8; j++) {
            out[done + j] = base + (uint32_t)_tzcnt_u64(bits);
            bits = _blsr_u64(bits);
        }
    }
    return (size_t)n;
}

VK_AVX512 VK_BLOCK_INLINE vk_block vk_classify_avx512(const uint8_t *bytes) {
    const __m512i v = _mm512_loadu_si512((const void *)bytes), folded = _mm512_or_si512(v, _mm512_set1_epi8(0x20));
    vk_block block = {
        .slash = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\')),
        .quote = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"')),
        .feed = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')),
        .open = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('{')),
        .close = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('}')),
        .comma = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(',')),
        .high = _mm512_movepi8_mask(v),
    };
    return block;
}

VK_AVX512 VK_BLOCK_INLINE size_t vk_emit_avx512(uint32_t *out, uint64_t bits, uint32_t base) {
    static const uint8_t places[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                       22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
                                       44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i packed = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512((const void *)places));
    const __m512i base_v = _mm512_set1_epi32((int)base);
    const int n = __builtin_popcountll(bits);
#define VK_PUT(i) \
    _mm512_storeu_si512((void *)(out + 16 * i), _mm512_add_epi32(base_v, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, i))))
    VK_PUT(0);
    if (__builtin_expect(n > 16, 0)) {
        VK_PUT(1);
        VK_PUT(2);
        VK_PUT(3);
    }
#undef VK_PUT
    return (size_t)n;
}

static const vk_block_engine vk_engine_avx2 = {vk_classify_avx2, vk_parity_clmul, vk_emit_avx2};
static const vk_block_engine vk_engine_avx512 = {vk_classify_avx512, vk_parity_clmul, vk_emit_avx512};

#endif
#endif
