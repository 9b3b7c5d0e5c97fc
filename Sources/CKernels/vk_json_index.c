#include "vk_json_index.h"

#include "vk_blocks.h"

static vk_json_index index_portable(const uint8_t *bytes, size_t len, uint32_t *positions) {
    vk_json_index r = {0, false, false};
    bool escaped = false;
    uint32_t mark = 0;
    uint8_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = bytes[i];
        seen |= c;
        if (c == '\\') {
            escaped = !escaped;
            mark = VK_INDEX_MARK;
            continue;
        }
        bool is_quote = c == '"' && !escaped;
        if (is_quote) r.in_string = !r.in_string;
        if (is_quote || (!r.in_string && ((c | 0x20) == '{' || (c | 0x20) == '}' || c == ','))) {
            positions[r.count++] = (uint32_t)i | mark;
            mark = 0;
        }
        escaped = false;
    }
    r.has_non_ascii = seen >= 0x80;
    return r;
}

#if VK_X86
VK_BLOCK_INLINE vk_json_index index_blocks(const uint8_t *bytes, size_t len, uint32_t *positions, const vk_block_engine engine) {
    uint64_t in_string = 0, escape_carry = 0, seen = 0;
    uint32_t mark = 0;
    uint32_t *out = positions;
    for (size_t i = 0; i < len; i += 64) {
        vk_block block = engine.classify(bytes + i);
        uint64_t structural = block.open | block.close | block.comma;
        if (len - i < 64) {
            const uint64_t valid = (1ull << (len - i)) - 1;
            block.slash &= valid;
            block.quote &= valid;
            structural &= valid;
        }
        const uint64_t quote = vk_block_quotes(&block, &escape_carry);
        const uint64_t inside = engine.parity(quote) ^ in_string;
        in_string = (uint64_t)((int64_t)inside >> 63);
        const uint32_t here = block.slash ? VK_INDEX_MARK : 0;
        const size_t n = engine.emit(out, (structural & ~inside) | quote, (uint32_t)i | here);
        if (__builtin_expect((mark | here) != 0, 0)) {
            if (n) *out |= mark;
            mark = here | (n ? 0 : mark);
        }
        out += n;
        seen |= block.high;
    }
    vk_json_index r = {(size_t)(out - positions), in_string != 0, seen != 0};
    return r;
}

VK_AVX2 static vk_json_index index_avx2(const uint8_t *bytes, size_t len, uint32_t *positions) {
    return index_blocks(bytes, len, positions, vk_engine_avx2);
}

VK_AVX512 static vk_json_index index_avx512(const uint8_t *bytes, size_t len, uint32_t *positions) {
    return index_blocks(bytes, len, positions, vk_engine_avx512);
}
#endif

vk_json_index vk_json_build_index(const uint8_t *bytes, size_t len, uint32_t *positions) {
#if VK_X86
    if (vk_use_avx512()) return index_avx512(bytes, len, positions);
    if (vk_use_avx2()) return index_avx2(bytes, len, positions);
#endif
    return index_portable(bytes, len, positions);
}
