#ifndef VK_JSON_H
#define VK_JSON_H

#include "vk_common.h"

VK_BEGIN

// Extraction of a set of paths from one JSON record into cells, by one validating pass over a SIMD structural index.
//
// Why not simdjson's own API: its On-Demand front end does not look at what is not read (validity would depend on the loaded rules),
// stops at the first of duplicate keys, and both front ends fail the whole document on one malformed scalar. So the walker is ours,
// simdjson validates UTF-8 and is the oracle of the tests.
//
// Always checked, whatever paths are asked: UTF-8, closed strings, bracket balance and types, keys, colons and commas, and that nothing
// follows the value. Never an error: a malformed scalar (`tru`, `01`, `NaN`), raw control characters in strings, unknown escapes.
// The last of duplicate keys wins, at every level and as a whole: `{"a":{"b":1},"a":{"c":2}}` has no `a.b`.

/// Readable bytes that a caller should leave behind a record; without them the record is copied first.
#define VK_JSON_PADDING 64

typedef enum vk_json_status : int32_t {
    VK_JSON_OK = 0,
    /// Nothing but blanks.
    VK_JSON_EMPTY = 1,
    VK_JSON_BAD_UTF8 = 2,
    VK_JSON_UNCLOSED_STRING = 3,
    /// Brackets that do not match or do not close.
    VK_JSON_UNBALANCED = 4,
    VK_JSON_TOO_DEEP = 5,
    /// A well-formed value that is not an object.
    VK_JSON_NOT_OBJECT = 6,
    /// A missing colon, comma, key or value, or a superfluous comma.
    VK_JSON_BAD_GRAMMAR = 7,
    /// Bytes behind the value.
    VK_JSON_TRAILING = 8,
    /// Longer than 2 GiB - 128.
    VK_JSON_TOO_LONG = 9,
    VK_JSON_NO_MEMORY = 10,
    /// The trie is not frozen, or `n_cells` is smaller than its leaf count.
    VK_JSON_BAD_ARGUMENT = 11,
} vk_json_status;

typedef enum vk_cell_type : uint8_t {
    VK_CELL_MISSING = 0,
    VK_CELL_NULL = 1,
    VK_CELL_FALSE = 2,
    VK_CELL_TRUE = 3,
    /// A number without fraction and exponent that fits int64: `integer` and `real` are set.
    VK_CELL_INTEGER = 4,
    /// Any other number, also integers out of int64: `real` is set (infinite beyond the range of double).
    VK_CELL_REAL = 5,
    /// A string without a backslash: the slice is its value.
    VK_CELL_STRING = 6,
    /// A string with a backslash: the slice must pass `vk_json_unescape`.
    VK_CELL_STRING_ESCAPED = 7,
    VK_CELL_ARRAY = 8,
    VK_CELL_OBJECT = 9,
    /// A malformed scalar: to be read as null.
    VK_CELL_BAD_SCALAR = 10,
} vk_cell_type;

/// A value found. `offset` and `length` are the raw slice in the record, of strings without the quotes, of containers with brackets.
typedef struct vk_cell {
    uint32_t offset;
    uint32_t length;
    vk_cell_type type;
    int64_t integer;
    double real;
} vk_cell;

/// A set of paths. Built and frozen by one thread, then read by any number.
typedef struct vk_trie vk_trie;

enum {
    /// Keys of this path match with ASCII letters folded. A key may match a folded and an exact path at once; both are filled.
    VK_TRIE_IGNORE_CASE = 1,
};

vk_trie *vk_trie_new(void);
void vk_trie_free(vk_trie *trie);
/// Adds a path of `n` object keys (unescaped UTF-8, compared with the record's keys after unescaping). `leaf` is the index of its cell.
/// Returns the cell bound to that path: `leaf`, or the earlier one if the path is already there. -1: frozen, empty path, leaf above
/// 65,535, more than 256 segments, or no memory. A path may be a prefix of others.
int32_t vk_trie_add(vk_trie *trie, const uint8_t *const *segments, const size_t *lengths, size_t n, uint32_t leaf, uint32_t flags);
/// Makes the trie ready for use; nothing can be added afterwards. False when memory ran out.
bool vk_trie_freeze(vk_trie *trie);
/// The number of cells to provide: the greatest leaf + 1.
size_t vk_trie_cell_count(const vk_trie *trie);

/// Working memory of the extractor, reused between records; allocates only when a record is longer than any before.
typedef struct vk_parser vk_parser;

/// `max_depth` 0: 128; at most 1024.
vk_parser *vk_parser_new(uint32_t max_depth);
void vk_parser_free(vk_parser *parser);

/// Fills `cells[0..<n_cells]` from the object in `record`. `capacity` is the number of readable bytes from `record` on (>= `len`); when
/// it is at least `len + VK_JSON_PADDING` nothing is copied. On any status but OK all cells are MISSING.
vk_json_status vk_json_extract(vk_parser *parser, const vk_trie *trie, const uint8_t *record, size_t len, size_t capacity,
                               vk_cell *cells, size_t n_cells);

/// The same with the structural index that the framer made of this record (`vk_frame_event.index_begin`, `index_count` and its flag
/// NON_ASCII). The record must be readable for `len + VK_JSON_PADDING` bytes.
vk_json_status vk_json_extract_indexed(vk_parser *parser, const vk_trie *trie, const uint8_t *record, size_t len,
                                       const uint32_t *positions, size_t count, bool has_non_ascii, vk_cell *cells, size_t n_cells);

/// The same checks without paths, for any JSON value. A top-level scalar must be well-formed (else BAD_GRAMMAR).
vk_json_status vk_json_validate(const uint8_t *bytes, size_t len, uint32_t max_depth);

/// The type of the value that begins the bytes (blanks skipped), judged by its first byte, scalars by all of theirs: MISSING when empty.
vk_cell_type vk_json_kind(const uint8_t *bytes, size_t len);

/// Reads one scalar (no blanks around it) into a cell, numbers with their value; strings and containers by first byte only.
vk_cell vk_json_scalar(const uint8_t *bytes, size_t len);

/// Unescapes the inside of a string. Surrogate pairs are joined, lone ones become U+FFFD, an unknown escape loses its backslash, a
/// broken `\u` becomes U+FFFD. Never longer than `len`: `cap` >= `len` suffices. SIZE_MAX when `cap` is too small.
/// `dst` may be equal to `src`.
size_t vk_json_unescape(const uint8_t *src, size_t len, uint8_t *dst, size_t cap);

/// Bytes needed to write `src` inside a JSON string, and the writing itself (`"`, `\`, control characters; no quotes around).
/// Returns the length; with `cap` too small nothing beyond `cap` is written.
size_t vk_json_escape(const uint8_t *src, size_t len, uint8_t *dst, size_t cap);

VK_END

#endif
