#ifndef VK_TEXT_H
#define VK_TEXT_H

#include "vk_common.h"

VK_BEGIN

// String predicates as Kusto defines them, one string at a time or over a column.
//
// Case folding is ASCII only: bytes >= 0x80 compare exactly.
// A term is a maximal run of ASCII letters and digits and bytes >= 0x80 (any non-ASCII character counts as alphanumeric).
// HAS: the needle occurs, and at each end where the needle's own edge is alphanumeric the neighbouring byte is not (or there is none).
// HASPREFIX checks the left edge only, HASSUFFIX the right edge only. The empty needle matches every row, except for EQUALS.

typedef enum vk_text_op : int32_t {
    VK_TEXT_EQUALS = 0,
    VK_TEXT_CONTAINS = 1,
    VK_TEXT_STARTS = 2,
    VK_TEXT_ENDS = 3,
    VK_TEXT_HAS = 4,
    VK_TEXT_HASPREFIX = 5,
    VK_TEXT_HASSUFFIX = 6,
} vk_text_op;

/// Tests rows [0, n) of a column: row i is bytes[offsets[i] ..< offsets[i + 1]], offsets not decreasing. `bits` gets the bitmap.
void vk_text_match(vk_text_op op, bool ignore_case, const uint8_t *bytes, const uint32_t *offsets, size_t n, const uint8_t *needle,
                   size_t needle_len, uint64_t *bits);
/// One string.
bool vk_text_match_one(vk_text_op op, bool ignore_case, const uint8_t *s, size_t len, const uint8_t *needle, size_t needle_len);
/// The portable implementation of the column form, on every machine: the oracle of tests.
void vk_text_match_portable(vk_text_op op, bool ignore_case, const uint8_t *bytes, const uint32_t *offsets, size_t n,
                            const uint8_t *needle, size_t needle_len, uint64_t *bits);

/// First occurrence at or behind `from`, or SIZE_MAX. The empty needle is found at `from` when from <= len.
size_t vk_text_index(const uint8_t *s, size_t len, size_t from, const uint8_t *needle, size_t needle_len, bool ignore_case);

/// ASCII letters folded into `dst` (may be `src`); other bytes are copied.
void vk_text_lower(const uint8_t *src, size_t len, uint8_t *dst);
void vk_text_upper(const uint8_t *src, size_t len, uint8_t *dst);
/// -1, 0, 1 of the ASCII-folded bytes.
int32_t vk_text_compare_ignoring_case(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

bool vk_text_is_ascii(const uint8_t *s, size_t len);
bool vk_text_is_utf8(const uint8_t *s, size_t len);
/// Code points of valid UTF-8 (bytes that do not continue a character).
size_t vk_text_code_points(const uint8_t *s, size_t len);
/// Whether a byte belongs to a term.
bool vk_text_is_term_byte(uint8_t byte);

VK_END

#endif
