#ifndef VK_JSON_INDEX_H
#define VK_JSON_INDEX_H

#include "vk_internal.h"

// Stage 1 of the extractor: the positions of brackets, commas (outside strings) and of both quotes of every string. The framer makes the
// same index on its way (`vk_frame_index`). Entries may carry `VK_INDEX_MARK` (vk_blocks.h).

typedef struct vk_json_index {
    /// Number of positions written.
    size_t count;
    /// Whether the bytes end inside a string.
    bool in_string;
    /// Whether there is a byte >= 0x80 (may be set by bytes in the padding).
    bool has_non_ascii;
} vk_json_index;

VK_BEGIN

/// `bytes` must be readable for `len` + 64 bytes, `positions` hold `len` + 144 entries. `len` is below 2^31 - 64.
vk_json_index vk_json_build_index(const uint8_t *bytes, size_t len, uint32_t *positions);

VK_END

#endif
