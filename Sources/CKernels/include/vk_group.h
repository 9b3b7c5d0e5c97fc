#ifndef VK_GROUP_H
#define VK_GROUP_H

#include "vk_common.h"

VK_BEGIN

// Kernels of hash aggregation, hash join and row selection. All memory is the caller's.

// MARK: 64-bit keys to dense ids

/// A place of an open-addressing table: `id` is the key's id + 1, 0 for an empty place.
typedef struct vk_word_slot {
    uint64_t key;
    uint32_t id;
    uint32_t spare;
} vk_word_slot;

/// Gives each key its id; new keys get the next ids, in order, and are written to `keys` (room for half of the slots).
/// `mask` + 1 is the number of slots, a power of two. Stops before the table would be more than half full.
/// Returns the number of keys done; less than `n` means: make the table larger and go on.
size_t vk_words_intern(const uint64_t *in, size_t n, vk_word_slot *slots, size_t mask, uint64_t *keys, size_t *count, uint32_t *out);
/// The id of each key, -1 for unknown ones.
void vk_words_find(const uint64_t *in, size_t n, const vk_word_slot *slots, size_t mask, int64_t *out);
/// Fills empty slots with the keys, whose ids are their positions.
void vk_words_fill(const uint64_t *keys, size_t count, vk_word_slot *slots, size_t mask);

// MARK: division by hash

/// Hashes of keys of several columns, a column a call: `first` begins, later calls mix theirs in. Rows that are not valid are alike.
void vk_words_hash(const uint64_t *in, const uint64_t *valid, size_t n, bool first, uint64_t *hashes);
/// Divides rows by the highest `bits` bits (1 to 16) of their hashes: the rows of part p, ascending, are rows[starts[p] ..< starts[p + 1]].
/// `starts` has room for 2^bits + 1.
void vk_rows_divide(const uint64_t *hashes, size_t n, unsigned bits, int32_t *rows, uint32_t *starts);
/// The positions of words in ascending order of the words; equal ones keep theirs. `words` ends up sorted. All arrays have `n` entries.
void vk_words_order(uint64_t *words, uint64_t *spare, uint32_t *order, uint32_t *spare_order, size_t n);

// MARK: byte strings to dense ids

/// A place: the high half of the hash, and id + 1.
typedef struct vk_byte_slot {
    uint32_t tag;
    uint32_t id;
} vk_byte_slot;

/// XXH3 64 of string i, which is bytes[offsets[i] ..< offsets[i + 1]].
void vk_strings_hash(const uint8_t *bytes, const uint32_t *offsets, size_t n, uint64_t *out);
/// Looks strings `from` ..< `n` up among the known ones and writes their ids; returns at the first unknown one, with the free place for
/// it in `slot`. Returns `n` when all were known.
size_t vk_strings_intern(const uint8_t *bytes, const uint32_t *offsets, const uint64_t *hashes, size_t from, size_t n,
                         const vk_byte_slot *slots, size_t mask, const uint8_t *known_bytes, const uint32_t *known_offsets, uint32_t *out,
                         size_t *slot);
/// The id of each string, -1 for unknown ones.
void vk_strings_find(const uint8_t *bytes, const uint32_t *offsets, const uint64_t *hashes, size_t n, const vk_byte_slot *slots,
                     size_t mask, const uint8_t *known_bytes, const uint32_t *known_offsets, int64_t *out);
/// Fills empty slots with strings of these hashes, whose ids are their positions.
void vk_strings_fill(const uint64_t *hashes, size_t count, vk_byte_slot *slots, size_t mask);

// MARK: aggregates
//
// `groups` NULL: all rows are of group 0. `valid` NULL: all rows count; else a bitmap.

/// counts[group] += 1
void vk_group_count(const uint32_t *groups, size_t n, const uint64_t *valid, int64_t *counts);
/// 128-bit two's complement sums, 16 bytes a group; wraps.
void vk_group_sum_i64(const uint32_t *groups, size_t n, const uint64_t *valid, const int64_t *values, void *sums);
/// Exact sums as two doubles a group (high, low). Returns the first row from `from` on that these cannot take (a value of 2^960 or more,
/// not a number, or a remainder that fits neither); nothing of that row was added. `n` when all were added.
size_t vk_group_sum_f64(const uint32_t *groups, size_t from, size_t n, const uint64_t *valid, const double *values, double *pairs);
/// The greatest or least value of each group; known[group] tells whether there was one.
void vk_group_extreme_i64(const uint32_t *groups, size_t n, const uint64_t *valid, const int64_t *values, bool greatest, int64_t *best,
                          uint8_t *known);

// MARK: selection of rows
//
// Rows below zero give zeros. Other rows must be in range.

void vk_gather_64(const void *from, const int32_t *rows, size_t n, void *to);
void vk_gather_32(const void *from, const int32_t *rows, size_t n, void *to);
void vk_gather_128(const void *from, const int32_t *rows, size_t n, void *to);
void vk_gather_bits(const uint64_t *from, const int32_t *rows, size_t n, uint64_t *to);
/// Writes n + 1 offsets of the strings selected, from 0 on; `codes` NULL: row i is string i. Returns their total length, or SIZE_MAX when
/// that passes 4 GiB.
size_t vk_gather_offsets(const uint32_t *offsets, const uint32_t *codes, const int32_t *rows, size_t n, uint32_t *to);
/// Copies the bytes to where the new offsets say.
void vk_gather_bytes(const uint8_t *bytes, const uint32_t *offsets, const uint32_t *codes, const int32_t *rows, size_t n,
                     const uint32_t *new_offsets, uint8_t *to);

/// Asks for large pages under memory that was just allocated and not yet written: hash tables are read at random. Only advice.
void vk_advise_large(void *memory, size_t bytes);

/// x rounded down to a multiple of `size` (> 0), also below zero.
void vk_bin_i64(const int64_t *values, size_t n, int64_t size, int64_t *to);

VK_END

#endif
