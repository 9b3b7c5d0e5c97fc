#ifndef VK_JSON_INDEX_H
#define VK_JSON_INDEX_H

#include "vk_internal.h"

// Stage 1 of the extractor: the positions of brackets, commas (outside strings) and of both quotes of every string.

typedef struct vk_json_index {
    /// Number of positions written.
    size_t count;
    /// Whether the bytes end inside a string.
    bool in_string;
    /// Whether there is a backslash, or a byte >= 0x80, anywhere (may be set by bytes in the padding).
    bool has_escapes;
    bool has_non_ascii;
} vk_json_index;

VK_BEGIN

/// `bytes` must be readable for `len` + 64 bytes, `positions` hold `len` + 72 entries. When `has_escapes` is set on return,
/// `slash_blocks[i]` (of (len + 63) / 64) tells whether bytes [64 i, 64 i + 64) have a backslash.
vk_json_index vk_json_build_index(const uint8_t *bytes, size_t len, uint32_t *positions, uint8_t *slash_blocks);

VK_END

#endif
