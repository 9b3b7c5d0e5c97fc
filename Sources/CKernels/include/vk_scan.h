#ifndef VK_SCAN_H
#define VK_SCAN_H

#include "vk_common.h"

VK_BEGIN

/// Writes the offsets of line feeds in `bytes` (at most 4 GiB are looked at). Stops when `cap` offsets were written. Returns their
/// number and sets `scanned` to the bytes dealt with: the next call goes on at `bytes + scanned`.
size_t vk_scan_newlines(const uint8_t *bytes, size_t len, uint32_t *offsets, size_t cap, size_t *scanned);

/// The number of line feeds.
size_t vk_count_newlines(const uint8_t *bytes, size_t len);

// The framer finds the records in a stream of JSON, whatever way they are wrapped, without building or validating values.
// Bytes are fed in chunks of any size; the events do not depend on where the chunks are cut. All offsets are absolute 64-bit offsets
// in the stream (`start` given to `vk_framer_init` + bytes fed).
//
// Recognised, and mixed freely in one stream:
// - a value per line (JSON Lines), pretty-printed values over many lines, concatenated values; a comma between values is tolerated;
// - a top-level array: its elements are the records, of any JSON type;
// - an envelope: an object (at top level or an element of a top-level array) with a first-level key `records`, `Records`, `value`,
//   `Events` or `logEvents` whose value is an array that begins with an object. The elements of that array are the records, the other
//   keys are ignored wherever they stand. At most 64 bytes from the key's opening quote to the array's bracket are looked at.
//   When the listed array is empty, the whole object is a record with the flag VK_FRAME_FLAG_EMPTY_ENVELOPE: the caller decides.
// At top level only `{` and `[` begin a value.
//
// Recovery. A byte lies in at most one event; those in none are blanks, separators, byte order marks and the syntax of containers.
// - At top level a byte that cannot begin a value: GARBAGE up to the line's end.
// - A line feed inside a string (never legal in JSON): UNCLOSED_STRING up to the line's end; then everything up to the next line that
//   begins with `{` or `[` at column 0 is GARBAGE.
// - A line that begins with `{` at column 0 while a value is open: (a) in line mode (the last complete top-level value began at
//   column 0 and had no line feed, and the open one began at column 0 and this is its first line feed) the open value is UNCLOSED and a
//   new top-level value begins; (b) else, if the last non-blank byte before is none of `[` `,` `:`, the innermost open record is
//   UNCLOSED and a new one begins in its place. So a cut line costs itself, at worst (a file's very first line cut behind `[`, `,`
//   or `:`) itself and the next line. Pretty-printed values, also with elements at column 0, are unaffected.
// - A closing bracket that does not fit where the framer knows the type (between elements): UNBALANCED up to the line's end, then as
//   behind UNCLOSED_STRING. Brackets inside records are counted without regard to type; the extractor checks types.

/// The kind of an event.
typedef enum vk_frame_kind : uint8_t {
    /// A complete record in [begin, end).
    VK_FRAME_VALUE = 1,
    /// A complete record longer than the limit; its bytes need not be kept.
    VK_FRAME_TOO_LONG = 2,
    /// A record nested deeper than the limit.
    VK_FRAME_TOO_DEEP = 3,
    /// Bytes that belong to no value.
    VK_FRAME_GARBAGE = 4,
    /// A record that ends before its brackets close (also at the end of the stream).
    VK_FRAME_UNCLOSED = 5,
    /// A record with a line feed inside a string.
    VK_FRAME_UNCLOSED_STRING = 6,
    /// A closing bracket of the wrong type between elements.
    VK_FRAME_UNBALANCED = 7,
} vk_frame_kind;

/// What a record was found in.
typedef enum vk_frame_container : uint8_t {
    VK_CONTAINER_NONE = 0,
    VK_CONTAINER_ARRAY = 1,
    VK_CONTAINER_ENVELOPE = 2,
} vk_frame_container;

enum {
    VK_FRAME_FLAG_EMPTY_ENVELOPE = 1,
    /// `index_begin` and `index_count` tell where the record's structural index lies.
    VK_FRAME_FLAG_INDEXED = 2,
    /// The record may have bytes >= 0x80. Only with INDEXED.
    VK_FRAME_FLAG_NON_ASCII = 4,
};

/// One event; the stream's bytes [begin, end) are meant.
typedef struct vk_frame_event {
    uint64_t begin;
    uint64_t end;
    /// Where the top-level value that holds the record begins (equal to `begin` without a container).
    uint64_t document;
    /// Index of the record among those of its top-level value, from 0.
    uint64_t index;
    vk_frame_kind kind;
    vk_frame_container container;
    /// First byte of the record: `{`, `[`, `"`, a digit...
    uint8_t first;
    uint8_t flags;
    uint32_t index_begin;
    uint32_t index_count;
} vk_frame_event;

/// Memory for the structural index (`vk_json_extract_indexed`) of the records that are framed, so that the extractor need not go through
/// their bytes again. Records that began before it was reset, or for which there is no room, are framed without.
typedef struct vk_frame_index {
    /// Room for `capacity` entries, `count` of which are in use. As many entries as bytes are fed, and 256 more, always suffice.
    uint32_t *positions;
    size_t capacity;
    size_t count;
    /// Private: where the record that is being indexed begins in the stream (UINT64_MAX: none) and in `positions`; a backslash was seen
    /// since the last position; a byte >= 0x80 was seen.
    uint64_t record;
    size_t begin;
    bool is_marked;
    bool has_high;
} vk_frame_index;

/// Forgets all records: before the memory that they are framed from is used again.
void vk_frame_index_reset(vk_frame_index *index);

enum {
    /// Do not look for envelope keys: every top-level object is a record.
    VK_FRAMER_NO_ENVELOPES = 1,
    /// Do not look into top-level arrays: the array is one record.
    VK_FRAMER_NO_ARRAYS = 2,
};

#define VK_FRAMER_DEFAULT_DEPTH 128
#define VK_FRAMER_DEFAULT_RECORD (16u << 20)

/// The framer's whole state: no pointers, so its bytes may be stored and brought back (`vk_framer_is_valid` checks them).
/// The fields are private.
typedef struct vk_framer {
    uint32_t magic;
    uint32_t options;
    uint32_t max_depth;
    uint32_t depth;
    uint64_t max_record;
    uint64_t offset;
    uint64_t document;
    uint64_t record;
    uint64_t index;
    uint8_t phase;
    uint8_t in_string;
    uint8_t escaped;
    uint8_t in_array;
    uint8_t in_envelope;
    uint8_t line_mode;
    uint8_t document_line_feeds;
    uint8_t document_column0;
    uint8_t too_deep;
    uint8_t first;
    uint8_t flags;
    uint8_t at_line_begin;
    uint8_t tail_len;
    uint8_t reserved[3];
    uint8_t tail[64];
} vk_framer;

/// Begins a stream at absolute offset `start`. `max_depth` (0: 128) counts a record's own nesting; `max_record` (0: 16 MiB) is in bytes.
void vk_framer_init(vk_framer *framer, uint64_t start, uint32_t max_depth, uint64_t max_record, uint32_t options);

/// Looks at `bytes`, which follow those fed before. Returns the number of bytes consumed: all, unless `cap` events were written, in
/// which case the caller goes on with the rest. `cap` must be at least 2.
size_t vk_framer_feed(vk_framer *framer, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events);

/// The same, and fills `index` (may be NULL).
size_t vk_framer_feed_indexed(vk_framer *framer, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events,
                              vk_frame_index *index);

/// The stream ended: reports what is open. At most 1 event. The framer is then at top level again.
size_t vk_framer_finish(vk_framer *framer, vk_frame_event *events, size_t cap);

/// The offset from which the caller must keep bytes, because a record that is not complete began there; UINT64_MAX when no bytes need
/// be kept (none open, or it is already longer than the limit).
uint64_t vk_framer_pending(const vk_framer *framer);

/// The absolute offset of the next byte to be fed.
uint64_t vk_framer_offset(const vk_framer *framer);

/// Whether no value is open: a safe place to cut.
bool vk_framer_is_idle(const vk_framer *framer);

/// Whether a stored state can be used.
bool vk_framer_is_valid(const vk_framer *framer);

/// The same events from a plain byte-by-byte implementation: the oracle of tests.
size_t vk_framer_feed_portable(vk_framer *framer, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events);

VK_END

#endif
