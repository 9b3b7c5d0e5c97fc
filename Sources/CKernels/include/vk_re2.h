#ifndef VK_RE2_H
#define VK_RE2_H

#include "vk_common.h"

VK_BEGIN

// Regular expressions (RE2 syntax, the one Kusto uses) in linear time over UTF-8. A compiled one is safe to share between threads.

typedef struct vk_re2 vk_re2;

enum {
    VK_RE2_IGNORE_CASE = 1,
    /// `.` also matches a line feed.
    VK_RE2_DOT_NEWLINE = 2,
    /// `^` and `$` match at lines (as with `(?m)`).
    VK_RE2_MULTI_LINE = 4,
    /// Bytes instead of UTF-8.
    VK_RE2_LATIN1 = 8,
    /// The pattern is a literal.
    VK_RE2_LITERAL = 16,
    /// Longest instead of first match.
    VK_RE2_LONGEST = 32,
};

/// A group of a match; `begin` is -1 when it took no part.
typedef struct vk_re2_group {
    int64_t begin;
    int64_t end;
} vk_re2_group;

/// Compiles. `max_mem` in bytes (0: 8 MiB). On failure NULL, with the reason as text in `error` (always terminated when error_cap > 0).
vk_re2 *vk_re2_new(const uint8_t *pattern, size_t len, uint32_t flags, uint64_t max_mem, char *error, size_t error_cap);
void vk_re2_free(vk_re2 *re);

/// Whether the expression matches anywhere.
bool vk_re2_match(const vk_re2 *re, const uint8_t *s, size_t len);
/// Whether the whole of `s` matches.
bool vk_re2_full_match(const vk_re2 *re, const uint8_t *s, size_t len);
/// First match at or behind `start` (assertions see the whole of `s`). Fills up to `n` groups, group 0 the match; offsets are in `s`.
bool vk_re2_captures(const vk_re2 *re, const uint8_t *s, size_t len, size_t start, vk_re2_group *groups, size_t n);
/// The number of capturing groups, without group 0.
int32_t vk_re2_group_count(const vk_re2 *re);
/// A column at once, as `vk_text_match`.
void vk_re2_match_column(const vk_re2 *re, const uint8_t *bytes, const uint32_t *offsets, size_t n, uint64_t *bits);
/// A literal that every match contains (lower case: to be searched ignoring case), the longest that RE2 can prove. Returns its length;
/// 0: none. At most `cap` bytes are written; a longer one is given as none.
size_t vk_re2_required_literal(const vk_re2 *re, uint8_t *out, size_t cap);

VK_END

#endif
