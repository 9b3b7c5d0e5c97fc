#include "vk_json_index.h"

#if VK_X86
#include <immintrin.h>
#endif

static vk_json_index index_portable(const uint8_t *bytes, size_t len, uint32_t *positions, uint8_t *slash_blocks) {
    vk_json_index r = {0, false, false, false};
    bool escaped = false;
    uint8_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = bytes[i];
        if ((i & 63) == 0) slash_blocks[i >> 6] = 0;
        seen |= c;
        if (c == '\\') {
            escaped = !escaped;
            r.has_escapes = true;
            slash_blocks[i >> 6] = 1;
            continue;
        }
        if (c == '"' && !escaped) {
            r.in_string = !r.in_string;
            positions[r.count++] = (uint32_t)i;
        } else if (!r.in_string && ((c | 0x20) == '{' || (c | 0x20) == '}' || c == ',')) {
            positions[r.count++] = (uint32_t)i;
        }
        escaped = false;
    }
    r.has_non_ascii = seen >= 0x80;
    return r;
}

#if VK_X86
VK_AVX2 static vk_json_index index_avx2(const uint8_t *bytes, size_t len, uint32_t *positions, uint8_t *slash_blocks) {
    const __m256i quote_v = _mm256_set1_epi8('"'), slash_v = _mm256_set1_epi8('\\'), comma_v = _mm256_set1_epi8(',');
    const __m256i case_v = _mm256_set1_epi8(0x20), open_v = _mm256_set1_epi8('{'), close_v = _mm256_set1_epi8('}');
    __m256i seen = _mm256_setzero_si256();
    uint64_t in_string = 0, escape_carry = 0, any_slash = 0;
    uint32_t *out = positions;
#define MASK(low, high) ((uint64_t)(uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32)
    for (size_t i = 0; i < len; i += 64) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(bytes + i)), b = _mm256_loadu_si256((const __m256i *)(bytes + i + 32));
        seen = _mm256_or_si256(seen, _mm256_or_si256(a, b));
        uint64_t slash = MASK(_mm256_cmpeq_epi8(a, slash_v), _mm256_cmpeq_epi8(b, slash_v));
        uint64_t quote = MASK(_mm256_cmpeq_epi8(a, quote_v), _mm256_cmpeq_epi8(b, quote_v));
        const __m256i al = _mm256_or_si256(a, case_v), bl = _mm256_or_si256(b, case_v);
        const __m256i sa = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(al, open_v), _mm256_cmpeq_epi8(al, close_v)),
                                           _mm256_cmpeq_epi8(a, comma_v));
        const __m256i sb = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(bl, open_v), _mm256_cmpeq_epi8(bl, close_v)),
                                           _mm256_cmpeq_epi8(b, comma_v));
        uint64_t structural = MASK(sa, sb);
        if (len - i < 64) {
            const uint64_t valid = (1ull << (len - i)) - 1;
            slash &= valid;
            quote &= valid;
            structural &= valid;
        }
        any_slash |= slash;
        slash_blocks[i >> 6] = slash != 0;
        if (slash | escape_carry) {
            const uint64_t even = 0x5555555555555555ull;
            slash &= ~escape_carry;
            uint64_t follows = slash << 1 | escape_carry, odd_starts = slash & ~even & ~follows, sequences;
            escape_carry = __builtin_add_overflow(odd_starts, slash, &sequences);
            quote &= ~((even ^ sequences << 1) & follows);
        }
        uint64_t inside = (uint64_t)_mm_cvtsi128_si64(
            _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)quote), _mm_set1_epi8((char)0xFF), 0)) ^ in_string;
        in_string = (uint64_t)((int64_t)inside >> 63);
        uint64_t bits = (structural & ~inside) | quote;
        const uint32_t base = (uint32_t)i;
        const int n = __builtin_popcountll(bits);
        // Eight at a time without branches; entries past n are overwritten by the next block.
        for (int done = 0; done < n; done += 8) {
            for (int j = 0; j < 8; j++) {
                out[done + j] = base + (uint32_t)_tzcnt_u64(bits);
                bits = _blsr_u64(bits);
            }
        }
        out += n;
    }
#undef MASK
    vk_json_index r = {(size_t)(out - positions), in_string != 0, any_slash != 0, _mm256_movemask_epi8(seen) != 0};
    return r;
}
#endif

vk_json_index vk_json_build_index(const uint8_t *bytes, size_t len, uint32_t *positions, uint8_t *slash_blocks) {
#if VK_X86
    if (vk_use_avx2()) return index_avx2(bytes, len, positions, slash_blocks);
#endif
    return index_portable(bytes, len, positions, slash_blocks);
}
