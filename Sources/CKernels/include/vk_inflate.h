#ifndef VK_INFLATE_H
#define VK_INFLATE_H

#include "vk_common.h"

VK_BEGIN

// Streaming decompression of gzip (RFC 1952) and zstd (RFC 8878) behind one seam.
//
// A "member" is a gzip member or a zstd frame. The caller steps until VK_INFLATE_MEMBER_END, then looks at the bytes that follow with
// `vk_inflate_following` and, if another member begins there, calls `vk_inflate_next_member` and steps on.
// Header, CRC-32 and length of each gzip member are checked, as is the content checksum of a zstd frame that has one.
//
// Flush visibility: all output that the bytes given so far determine is handed out before VK_INFLATE_MORE_INPUT is returned, so what
// a writer flushed (Z_SYNC_FLUSH and stronger) can be read while the file still grows.

/// The decoder to use. GZIP_ISAL falls back to GZIP_ZLIB where isa-l does not exist (see `vk_inflater_kind`).
typedef enum vk_inflate_kind : int32_t {
    VK_INFLATE_GZIP_ISAL = 1,
    VK_INFLATE_GZIP_ZLIB = 2,
    VK_INFLATE_ZSTD = 3,
} vk_inflate_kind;

/// The outcome of a step. Negative: an error; the inflater then stays in error until reset or restored.
typedef enum vk_inflate_status : int32_t {
    /// All input given was consumed and all output it determines was written.
    VK_INFLATE_MORE_INPUT = 0,
    /// The output buffer is full; call again (also with no further input).
    VK_INFLATE_MORE_OUTPUT = 1,
    /// The member ended, and its checks passed; bytes after it were not consumed.
    VK_INFLATE_MEMBER_END = 2,
    /// Not a gzip or zstd header.
    VK_INFLATE_ERR_HEADER = -1,
    /// The compressed data is malformed.
    VK_INFLATE_ERR_DATA = -2,
    /// The CRC, the length or the content checksum differs.
    VK_INFLATE_ERR_CHECKSUM = -3,
    /// A valid format that is not read here: another method, a dictionary, a window above 128 MiB.
    VK_INFLATE_ERR_UNSUPPORTED = -4,
    VK_INFLATE_ERR_MEMORY = -5,
    /// A snapshot that is damaged, of another kind, or written by another library version or architecture.
    VK_INFLATE_ERR_SNAPSHOT = -6,
    /// A call that does not fit the state: stepping after MEMBER_END or after an error.
    VK_INFLATE_ERR_STATE = -7,
} vk_inflate_status;

/// What stands at the beginning of some bytes.
typedef enum vk_inflate_follow : int32_t {
    /// Too few bytes to tell.
    VK_FOLLOW_NEED_MORE = 0,
    VK_FOLLOW_GZIP = 1,
    VK_FOLLOW_ZSTD = 2,
    /// A zero byte: padding, as tapes and some tools write. The caller skips the zeros and asks again.
    VK_FOLLOW_ZEROS = 3,
    /// Something else: trailing garbage behind a member, or an uncompressed file.
    VK_FOLLOW_OTHER = 4,
} vk_inflate_follow;

/// Where a decoder stands; all counts are exact 64-bit totals since `new` or `reset` (a restore brings back those of the snapshot).
typedef struct vk_inflate_position {
    /// Compressed bytes consumed, over all members.
    uint64_t in_total;
    /// Bytes produced, over all members.
    uint64_t out_total;
    /// Index of the current member, from 0.
    uint64_t member;
    /// `in_total` at which the current member began.
    uint64_t member_in_begin;
    /// `out_total` at which the current member began.
    uint64_t member_out_begin;
} vk_inflate_position;

typedef struct vk_inflater vk_inflater;

/// A decoder at the beginning of a member; NULL when memory ran out or the kind is unknown.
vk_inflater *vk_inflater_new(vk_inflate_kind kind);
void vk_inflater_free(vk_inflater *inf);
/// Back to the beginning of a first member, all totals zero.
void vk_inflater_reset(vk_inflater *inf);
/// The kind in effect.
vk_inflate_kind vk_inflater_kind(const vk_inflater *inf);

/// Decodes from `in` into `out`. `consumed` and `produced` are always set, also on errors (output before the error is good data whose
/// checksum was not verified).
vk_inflate_status vk_inflate_step(vk_inflater *inf, const uint8_t *in, size_t in_len, size_t *consumed, uint8_t *out, size_t out_cap,
                                  size_t *produced);

/// After VK_INFLATE_MEMBER_END: begins the next member, keeping the totals. ERR_STATE at any other moment, else MORE_INPUT.
vk_inflate_status vk_inflate_next_member(vk_inflater *inf);

/// Tells what `bytes` begin with. `final`: no more bytes will come, so NEED_MORE is returned for an empty range only.
vk_inflate_follow vk_inflate_following(const uint8_t *bytes, size_t len, bool final);

vk_inflate_position vk_inflater_position(const vk_inflater *inf);

// Snapshots. Self-describing bytes from which decoding resumes in the middle of a member. isa-l: the exact present position.
// zlib: the last deflate block boundary kept (at least every 1 MiB of output when blocks end that often), so some output is produced
// again: feed input from `in_total` of the snapshot's position and skip (wanted out_total - snapshot's out_total) bytes.
// zstd: not supported.

/// Writes a snapshot. Returns its size; with `buf` NULL or `cap` too small nothing is written and the size needed is returned.
/// 0: no snapshot can be taken (zstd, or the decoder is in error).
size_t vk_inflate_snapshot(const vk_inflater *inf, uint8_t *buf, size_t cap);
/// Brings `inf` to the state of a snapshot taken from the same kind. MORE_INPUT, or ERR_SNAPSHOT with `inf` reset.
vk_inflate_status vk_inflate_restore(vk_inflater *inf, const uint8_t *buf, size_t len);
/// Reads the position at which a snapshot resumes. MORE_INPUT or ERR_SNAPSHOT.
vk_inflate_status vk_inflate_snapshot_position(const uint8_t *buf, size_t len, vk_inflate_position *position);

/// A short static text for a status.
const char *vk_inflate_status_text(vk_inflate_status status);

VK_END

#endif
