#include "include/vk_scan.h"

#include <string.h>

#include "vk_blocks.h"

// MARK: framer

/// What the framer is in the middle of.
enum {
    PHASE_TOP = 0,
    /// An object that may turn out to be an envelope, or (in_envelope) the envelope around its arrays. `depth` is 1 inside it.
    PHASE_OBJECT,
    /// Behind the bracket of an envelope key, before its first element.
    PHASE_PROBE,
    /// Between the elements of an array or of an envelope's array. `record` is where the gap began.
    PHASE_GAP,
    /// A record that is not looked into.
    PHASE_ELEMENT,
    PHASE_STRING,
    PHASE_SCALAR,
    /// Garbage to the end of the line.
    PHASE_SKIP_LINE,
    /// Behind a closing bracket of the wrong type, to the end of the line.
    PHASE_SKIP_UNBALANCED,
    /// To the next line that begins with a bracket. `flags` tells whether anything but blanks was passed.
    PHASE_RESYNC,
    PHASE_COUNT,
};

/// Why a scan inside a value stopped. The byte stopped at is not consumed.
typedef enum action {
    ACTION_NONE = 0,
    /// The bracket that closes the value.
    ACTION_END,
    /// An opening `[` on the first level of a possible envelope.
    ACTION_OPEN_ARRAY,
    /// A line feed inside a string.
    ACTION_STRING_LINE_FEED,
    /// A `{` outside strings at column 0.
    ACTION_COLUMN0,
} action;

#define FRAMER_MAGIC 0x766B6631u
#define WINDOW 64

static bool is_blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

void vk_framer_init(vk_framer *f, uint64_t start, uint32_t max_depth, uint64_t max_record, uint32_t options) {
    memset(f, 0, sizeof *f);
    f->magic = FRAMER_MAGIC;
    f->options = options;
    f->max_depth = max_depth ? max_depth : VK_FRAMER_DEFAULT_DEPTH;
    f->max_record = max_record ? max_record : VK_FRAMER_DEFAULT_RECORD;
    f->offset = f->document = f->record = start;
    f->at_line_begin = 1;
}

static void note_line_feeds(vk_framer *f, uint64_t n) {
    n += f->document_line_feeds;
    f->document_line_feeds = n > 2 ? 2 : (uint8_t)n;
}

// MARK: index

#define NO_RECORD UINT64_MAX

void vk_frame_index_reset(vk_frame_index *index) {
    index->count = index->begin = 0;
    index->record = NO_RECORD;
    index->is_marked = index->has_high = false;
}

/// The index that the record at hand is written to; NULL if it is not indexed.
static vk_frame_index *current(const vk_framer *f, vk_frame_index *index) {
    return index && index->record == f->record && index->record != NO_RECORD ? index : NULL;
}

static void forget_record(vk_frame_index *index) {
    if (!index) return;
    index->count = index->begin;
    index->record = NO_RECORD;
}

/// Appends the position of one byte, `at` in the stream. False if there is no room (the record is then forgotten).
static bool note(vk_frame_index *index, uint64_t at) {
    uint64_t position = at - index->record;
    if (index->capacity - index->count <= VK_INDEX_SLACK || position > VK_INDEX_OFFSET) {
        forget_record(index);
        return false;
    }
    index->positions[index->count++] = (uint32_t)position | (index->is_marked ? VK_INDEX_MARK : 0);
    index->is_marked = false;
    return true;
}

// MARK: scan

/// Goes through a value's bytes from `*at`, one by one. Escapes count everywhere, brackets and line starts outside strings only.
static action scan_bytes(vk_framer *f, const uint8_t *bytes, size_t *at, size_t end, bool candidate, vk_frame_index *index) {
    size_t i = *at;
    action found = ACTION_NONE;
    vk_frame_index *out = current(f, index);
#define NOTE() if (out && !note(out, f->offset + i)) out = NULL
    for (; i < end; i++) {
        uint8_t c = bytes[i];
        if (c == '\n') {
            if (f->in_string) {
                found = ACTION_STRING_LINE_FEED;
                break;
            }
            note_line_feeds(f, 1);
            f->at_line_begin = 1;
            f->escaped = 0;
            continue;
        }
        bool line_begin = f->at_line_begin, escaped = f->escaped;
        if (c == '\\') {
            f->at_line_begin = 0;
            f->escaped = !escaped;
            if (out) out->is_marked = true;
            continue;
        }
        if (c >= 0x80 && out) out->has_high = true;
        if (c == '"') {
            f->in_string ^= !escaped;
            if (!escaped) NOTE();
        } else if (!f->in_string) {
            if (c == '{' && line_begin) {
                found = ACTION_COLUMN0;
                break;
            }
            if (c == '{' || c == '[') {
                if (c == '[' && candidate && f->depth == 1) {
                    found = ACTION_OPEN_ARRAY;
                    break;
                }
                if (++f->depth > f->max_depth) f->too_deep = 1;
                NOTE();
            } else if (c == '}' || c == ']') {
                NOTE();
                if (f->depth == 1) {
                    found = ACTION_END;
                    break;
                }
                f->depth -= 1;
            } else if (c == ',') {
                NOTE();
            }
        }
        f->at_line_begin = 0;
        f->escaped = 0;
    }
#undef NOTE
    // The byte stopped at takes an escape before it along.
    if (found != ACTION_NONE) f->escaped = 0;
    *at = i;
    return found;
}

typedef action (*scanner)(vk_framer *, const uint8_t *, size_t *, size_t, bool, vk_frame_index *);

#if VK_X86
/// The same, 64 bytes at a time. Of the byte stopped at, only that of ACTION_END is indexed here.
VK_BLOCK_INLINE action scan_blocks(vk_framer *f, const uint8_t *bytes, size_t *at, size_t end, bool candidate, vk_frame_index *index,
                                   const vk_block_engine engine) {
    size_t i = *at;
    uint32_t depth = f->depth;
    const uint32_t max_depth = f->max_depth, floor = candidate ? 2 : 1;
    uint64_t in_string = f->in_string ? ~0ull : 0, escape_carry = f->escaped, feed_carry = f->at_line_begin;
    vk_frame_index *out = current(f, index);
    uint64_t seen = 0;
    uint32_t mark = out && out->is_marked ? VK_INDEX_MARK : 0;
    size_t count = out ? out->count : 0;
    action stop_action = ACTION_NONE;
    for (; i + 64 <= end; i += 64) {
        const vk_block block = engine.classify(bytes + i);
        const uint64_t quote = vk_block_quotes(&block, &escape_carry), feed = block.feed;
        const uint64_t inside = engine.parity(quote) ^ in_string;
        uint64_t open = block.open & ~inside, close = block.close & ~inside;

        // The first place that stops the scan, other than a bracket.
        size_t stop = 64;
        if (__builtin_expect(feed != 0 || feed_carry, 0)) {
            uint64_t string_feed = feed & inside;
            if (string_feed) {
                stop = (size_t)__builtin_ctzll(string_feed);
                stop_action = ACTION_STRING_LINE_FEED;
            }
            for (uint64_t begins = (feed << 1 | feed_carry) & open; begins; begins &= begins - 1) {
                size_t bit = (size_t)__builtin_ctzll(begins);
                if (bit >= stop) break;
                if (bytes[i + bit] == '{') {
                    stop = bit;
                    stop_action = ACTION_COLUMN0;
                    break;
                }
            }
            if (stop < 64) {
                open &= (1ull << stop) - 1;
                close &= (1ull << stop) - 1;
            }
        }
        const uint64_t structural = open | close | (block.comma & ~inside) | quote;
        uint32_t opens = (uint32_t)__builtin_popcountll(open), closes = (uint32_t)__builtin_popcountll(close);
        if (__builtin_expect(depth >= closes + floor && depth + opens <= max_depth, 1)) {
            depth += opens - closes;
        } else {
            for (uint64_t brackets = open | close; brackets; brackets &= brackets - 1) {
                size_t bit = (size_t)__builtin_ctzll(brackets);
                if (open >> bit & 1) {
                    if (candidate && depth == 1 && bytes[i + bit] == '[') {
                        stop = bit;
                        stop_action = ACTION_OPEN_ARRAY;
                        break;
                    }
                    if (++depth > max_depth) f->too_deep = 1;
                } else if (depth == 1) {
                    stop = bit;
                    stop_action = ACTION_END;
                    break;
                } else {
                    depth -= 1;
                }
            }
        }
        if (out) {
            uint64_t place = f->offset + i - out->record;
            if (__builtin_expect(out->capacity - count <= 64 + VK_INDEX_SLACK || place > VK_INDEX_OFFSET - 64, 0)) {
                forget_record(out);
                out = NULL;
            } else {
                uint64_t bits = structural;
                if (stop < 64) bits &= stop_action == ACTION_END ? (2ull << stop) - 1 : (1ull << stop) - 1;
                uint32_t here = block.slash ? VK_INDEX_MARK : 0;
                size_t n = engine.emit(out->positions + count, bits, (uint32_t)place | here);
                if (__builtin_expect((mark | here) != 0, 0)) {
                    if (n) out->positions[count] |= mark;
                    mark = here | (n ? 0 : mark);
                }
                count += n;
                seen |= block.high;
            }
        }
        if (stop_action != ACTION_NONE) {
            note_line_feeds(f, (uint64_t)__builtin_popcountll(feed & ((1ull << stop) - 1)));
            feed_carry = stop ? feed >> (stop - 1) & 1 : feed_carry;
            in_string = stop_action == ACTION_STRING_LINE_FEED;
            escape_carry = 0;
            i += stop;
            break;
        }
        if (feed) note_line_feeds(f, (uint64_t)__builtin_popcountll(feed));
        in_string = (uint64_t)((int64_t)inside >> 63);
        feed_carry = feed >> 63;
    }
    if (out) {
        out->count = count;
        out->is_marked = mark != 0;
        out->has_high = out->has_high || seen != 0;
    }
    f->depth = depth;
    f->in_string = in_string != 0;
    f->escaped = (uint8_t)escape_carry;
    f->at_line_begin = (uint8_t)feed_carry;
    *at = i;
    return stop_action != ACTION_NONE ? stop_action : scan_bytes(f, bytes, at, end, candidate, index);
}

VK_AVX2 static action scan_avx2(vk_framer *f, const uint8_t *bytes, size_t *at, size_t end, bool candidate, vk_frame_index *index) {
    return scan_blocks(f, bytes, at, end, candidate, index, vk_engine_avx2);
}

VK_AVX512 static action scan_avx512(vk_framer *f, const uint8_t *bytes, size_t *at, size_t end, bool candidate, vk_frame_index *index) {
    return scan_blocks(f, bytes, at, end, candidate, index, vk_engine_avx512);
}
#endif

/// The byte `back` places before bytes[i], out of what was fed earlier if need be; -1 when it is not known.
static int byte_before(const vk_framer *f, const uint8_t *bytes, size_t i, size_t back) {
    if (back <= i) return bytes[i - back];
    size_t missing = back - i;
    return missing <= f->tail_len ? f->tail[WINDOW - missing] : -1;
}

/// Whether the `[` at bytes[i] is the value of an envelope key.
static bool is_envelope_key(const vk_framer *f, const uint8_t *bytes, size_t i) {
    static const struct {
        const char *name;
        size_t len;
    } keys[] = {{"records", 7}, {"Records", 7}, {"value", 5}, {"Events", 6}, {"logEvents", 9}};
    size_t back = 1;
    while (back < WINDOW && byte_before(f, bytes, i, back) >= 0 && is_blank((uint8_t)byte_before(f, bytes, i, back))) back++;
    if (byte_before(f, bytes, i, back) != ':') return false;
    back++;
    while (back < WINDOW && byte_before(f, bytes, i, back) >= 0 && is_blank((uint8_t)byte_before(f, bytes, i, back))) back++;
    if (byte_before(f, bytes, i, back) != '"') return false;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        size_t n = keys[k].len;
        if (back + n + 2 > WINDOW || byte_before(f, bytes, i, back + n + 1) != '"') continue;
        if (byte_before(f, bytes, i, back + n + 2) == '\\') continue;
        size_t same = 0;
        while (same < n && byte_before(f, bytes, i, back + n - same) == keys[k].name[same]) same++;
        if (same == n) return true;
    }
    return false;
}

/// Whether an object may begin at bytes[i] by what stands before it.
static bool may_begin_object(const vk_framer *f, const uint8_t *bytes, size_t i) {
    for (size_t back = 1; back <= WINDOW; back++) {
        int c = byte_before(f, bytes, i, back);
        if (c < 0) return true;
        if (!is_blank((uint8_t)c)) return c == '[' || c == ',' || c == ':';
    }
    return true;
}

static vk_frame_container container(const vk_framer *f) {
    return f->in_envelope ? VK_CONTAINER_ENVELOPE : f->in_array ? VK_CONTAINER_ARRAY : VK_CONTAINER_NONE;
}

static void emit(vk_framer *f, vk_frame_event *events, size_t *n, vk_frame_kind kind, uint64_t end) {
    bool in_document = kind != VK_FRAME_GARBAGE;
    events[(*n)++] = (vk_frame_event){
        .begin = f->record,
        .end = end,
        .document = in_document ? f->document : f->record,
        .index = in_document ? f->index : 0,
        .kind = kind,
        .container = in_document ? container(f) : VK_CONTAINER_NONE,
        .first = in_document ? f->first : 0,
        .flags = kind == VK_FRAME_VALUE ? f->flags : 0,
    };
}

static void emit_record(vk_framer *f, vk_frame_event *events, size_t *n, uint64_t end, vk_frame_index *index) {
    vk_frame_kind kind = end - f->record > f->max_record ? VK_FRAME_TOO_LONG : f->too_deep ? VK_FRAME_TOO_DEEP : VK_FRAME_VALUE;
    emit(f, events, n, kind, end);
    f->index += 1;
    if (kind == VK_FRAME_VALUE && current(f, index) && index->count - index->begin <= UINT32_MAX && index->begin <= UINT32_MAX) {
        vk_frame_event *event = &events[*n - 1];
        event->index_begin = (uint32_t)index->begin;
        event->index_count = (uint32_t)(index->count - index->begin);
        event->flags |= VK_FRAME_FLAG_INDEXED | (index->has_high ? VK_FRAME_FLAG_NON_ASCII : 0);
        index->begin = index->count;
        index->record = NO_RECORD;
    } else {
        forget_record(index);
    }
}

static void begin_record(vk_framer *f, uint64_t at, uint8_t first, uint8_t phase, vk_frame_index *index) {
    if (index) {
        // Whatever was begun before is given up.
        forget_record(index);
        if (first == '{' || first == '[') {
            index->record = at;
            index->is_marked = index->has_high = false;
            note(index, at);
        }
    }
    f->record = at;
    f->first = first;
    f->phase = phase;
    f->depth = 1;
    f->in_string = f->escaped = f->flags = 0;
    f->too_deep = (first == '{' || first == '[') && f->max_depth < 1;
}

static void begin_gap(vk_framer *f, uint64_t at) {
    f->phase = PHASE_GAP;
    f->record = at;
    f->first = 0;
    f->flags = 0;
}

static void leave_document(vk_framer *f, uint8_t phase, uint64_t at) {
    f->in_array = f->in_envelope = f->in_string = f->escaped = f->flags = f->too_deep = f->first = 0;
    f->depth = 0;
    f->phase = phase;
    f->record = at;
}

static void complete_document(vk_framer *f, uint64_t at) {
    f->line_mode = f->document_column0 && f->document_line_feeds == 0;
    leave_document(f, PHASE_TOP, at);
}

static void begin_document(vk_framer *f, uint64_t at, uint8_t first, vk_frame_index *index) {
    f->document = at;
    f->index = 0;
    f->document_line_feeds = 0;
    f->document_column0 = f->at_line_begin;
    f->in_array = f->in_envelope = 0;
    if (first == '[' && !(f->options & VK_FRAMER_NO_ARRAYS)) {
        f->in_array = 1;
        begin_gap(f, at + 1);
        f->depth = 0;
        f->in_string = f->escaped = f->too_deep = 0;
    } else {
        begin_record(f, at, first, first == '{' && !(f->options & VK_FRAMER_NO_ENVELOPES) ? PHASE_OBJECT : PHASE_ELEMENT, index);
    }
}

/// Rule (a) of the header: a cut line in a stream of lines.
static bool is_cut_line(const vk_framer *f) { return f->line_mode && f->document_column0 && f->document_line_feeds == 1; }

/// The record of an array or envelope, or the top-level value, is complete at `end`.
static void after_record(vk_framer *f, uint64_t end) {
    if (f->in_envelope || f->in_array) begin_gap(f, end);
    else complete_document(f, end);
}

static size_t feed(vk_framer *f, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events, scanner scan,
                   vk_frame_index *index) {
    const uint64_t base = f->offset;
    size_t i = 0, n = 0;
    while (i < len && n < cap) {
        uint8_t c = bytes[i];
        switch (f->phase) {
        case PHASE_TOP:
            if (c == '\n') {
                f->at_line_begin = 1;
                i++;
            } else if (is_blank(c) || c == ',' || c == 0x1E) {
                f->at_line_begin = 0;
                i++;
            } else if (c == 0xEF || c == 0xBB || c == 0xBF) {
                i++;  // a byte order mark leaves the column as it is
            } else if (c == '{' || c == '[') {
                begin_document(f, base + i, c, index);
                f->at_line_begin = 0;
                i++;
            } else {
                f->record = base + i;
                f->phase = PHASE_SKIP_LINE;
            }
            break;

        case PHASE_SKIP_LINE:
        case PHASE_SKIP_UNBALANCED: {
            const uint8_t *hit = memchr(bytes + i, '\n', len - i);
            if (!hit) {
                i = len;
                f->at_line_begin = 0;
                break;
            }
            i = (size_t)(hit - bytes);
            bool unbalanced = f->phase == PHASE_SKIP_UNBALANCED;
            emit(f, events, &n, unbalanced ? VK_FRAME_UNBALANCED : VK_FRAME_GARBAGE, base + i);
            leave_document(f, unbalanced ? PHASE_RESYNC : PHASE_TOP, base + i);
            break;
        }

        case PHASE_RESYNC:
            if (f->at_line_begin && (c == '{' || c == '[')) {
                if (f->flags) emit(f, events, &n, VK_FRAME_GARBAGE, base + i);
                leave_document(f, PHASE_TOP, base + i);
                break;
            }
            if (!is_blank(c)) f->flags = 1;
            f->at_line_begin = c == '\n';
            i++;
            break;

        case PHASE_OBJECT:
        case PHASE_ELEMENT: {
            bool candidate = f->phase == PHASE_OBJECT;
            action found = scan(f, bytes, &i, len, candidate, index);
            if (found == ACTION_END) {
                f->at_line_begin = 0;
                i++;
                if (candidate && f->in_envelope) {
                    f->in_envelope = 0;
                    after_record(f, base + i);
                } else {
                    emit_record(f, events, &n, base + i, index);
                    after_record(f, base + i);
                }
            } else if (found == ACTION_OPEN_ARRAY) {
                f->at_line_begin = 0;
                if (is_envelope_key(f, bytes, i)) f->phase = PHASE_PROBE;
                if (++f->depth > f->max_depth) f->too_deep = 1;
                if (current(f, index)) note(index, base + i);
                i++;
            } else if (found == ACTION_STRING_LINE_FEED) {
                emit(f, events, &n, VK_FRAME_UNCLOSED_STRING, base + i);
                leave_document(f, PHASE_RESYNC, base + i);
                f->at_line_begin = 0;
            } else if (found == ACTION_COLUMN0) {
                if (is_cut_line(f)) {
                    emit(f, events, &n, VK_FRAME_UNCLOSED, base + i - 1);
                    leave_document(f, PHASE_TOP, base + i);
                } else if (may_begin_object(f, bytes, i)) {
                    if (++f->depth > f->max_depth) f->too_deep = 1;
                    if (current(f, index)) note(index, base + i);
                    f->at_line_begin = 0;
                    i++;
                } else {
                    emit(f, events, &n, VK_FRAME_UNCLOSED, base + i - 1);
                    bool in_record = !(candidate && f->in_envelope);
                    if (in_record && (f->in_array || f->in_envelope)) {
                        f->index += 1;
                        begin_gap(f, base + i);
                    } else {
                        leave_document(f, PHASE_TOP, base + i);
                    }
                }
            }
            break;
        }

        case PHASE_PROBE:
            if (is_blank(c)) {
                if (c == '\n') note_line_feeds(f, 1);
                f->at_line_begin = c == '\n';
                i++;
            } else if (c == '{' && f->at_line_begin && is_cut_line(f)) {
                emit(f, events, &n, VK_FRAME_UNCLOSED, base + i - 1);
                leave_document(f, PHASE_TOP, base + i);
            } else if (c == '{') {
                f->in_envelope = 1;
                f->too_deep = 0;
                forget_record(index);
                begin_gap(f, base + i);
            } else if (c == ']') {
                if (!f->in_envelope) f->flags |= VK_FRAME_FLAG_EMPTY_ENVELOPE;
                f->depth -= 1;
                f->phase = PHASE_OBJECT;
                f->at_line_begin = 0;
                if (current(f, index)) note(index, base + i);
                i++;
            } else {
                f->phase = PHASE_OBJECT;
            }
            break;

        case PHASE_GAP:
            if (is_blank(c) || c == ',') {
                if (c == '\n') note_line_feeds(f, 1);
                f->at_line_begin = c == '\n';
                i++;
            } else if (c == ']') {
                f->at_line_begin = 0;
                i++;
                if (f->in_envelope) {
                    f->phase = PHASE_OBJECT;
                    f->depth = 1;
                    f->in_string = f->escaped = 0;
                    f->record = base + i;
                } else {
                    complete_document(f, base + i);
                }
            } else if (c == '}') {
                f->record = base + i;
                f->phase = PHASE_SKIP_UNBALANCED;
            } else if (c == '{' && f->at_line_begin && is_cut_line(f)) {
                emit(f, events, &n, VK_FRAME_UNCLOSED, base + i - 1);
                leave_document(f, PHASE_TOP, base + i);
            } else if (c == '{' || c == '[') {
                bool candidate = c == '{' && !f->in_envelope && !(f->options & VK_FRAMER_NO_ENVELOPES);
                begin_record(f, base + i, c, candidate ? PHASE_OBJECT : PHASE_ELEMENT, index);
                f->at_line_begin = 0;
                i++;
            } else {
                begin_record(f, base + i, c, c == '"' ? PHASE_STRING : PHASE_SCALAR, index);
                f->at_line_begin = 0;
                i++;
            }
            break;

        case PHASE_STRING:
            if (c == '\n') {
                emit(f, events, &n, VK_FRAME_UNCLOSED_STRING, base + i);
                leave_document(f, PHASE_RESYNC, base + i);
                break;
            }
            i++;
            if (f->escaped) {
                f->escaped = 0;
            } else if (c == '\\') {
                f->escaped = 1;
            } else if (c == '"') {
                emit_record(f, events, &n, base + i, index);
                after_record(f, base + i);
            }
            break;

        case PHASE_SCALAR:
            if (is_blank(c) || c == ',' || c == '[' || c == ']' || c == '{' || c == '}' || c == '"') {
                emit_record(f, events, &n, base + i, index);
                after_record(f, base + i);
            } else {
                i++;
            }
            break;

        default:
            leave_document(f, PHASE_TOP, base + i);
            break;
        }
    }
    if (i >= WINDOW) {
        memcpy(f->tail, bytes + i - WINDOW, WINDOW);
        f->tail_len = WINDOW;
    } else if (i) {
        memmove(f->tail, f->tail + i, WINDOW - i);
        memcpy(f->tail + WINDOW - i, bytes, i);
        f->tail_len = f->tail_len + i > WINDOW ? WINDOW : (uint8_t)(f->tail_len + i);
    }
    f->offset = base + i;
    *n_events = n;
    return i;
}

size_t vk_framer_feed(vk_framer *f, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events) {
    return vk_framer_feed_indexed(f, bytes, len, events, cap, n_events, NULL);
}

size_t vk_framer_feed_indexed(vk_framer *f, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events,
                              vk_frame_index *index) {
#if VK_X86
    if (vk_use_avx512()) return feed(f, bytes, len, events, cap, n_events, scan_avx512, index);
    if (vk_use_avx2()) return feed(f, bytes, len, events, cap, n_events, scan_avx2, index);
#endif
    return feed(f, bytes, len, events, cap, n_events, scan_bytes, index);
}

size_t vk_framer_feed_portable(vk_framer *f, const uint8_t *bytes, size_t len, vk_frame_event *events, size_t cap, size_t *n_events) {
    return feed(f, bytes, len, events, cap, n_events, scan_bytes, NULL);
}

size_t vk_framer_finish(vk_framer *f, vk_frame_event *events, size_t cap) {
    if (cap == 0) return 0;
    size_t n = 0;
    switch (f->phase) {
    case PHASE_TOP: break;
    case PHASE_SKIP_LINE: emit(f, events, &n, VK_FRAME_GARBAGE, f->offset); break;
    case PHASE_SKIP_UNBALANCED: emit(f, events, &n, VK_FRAME_UNBALANCED, f->offset); break;
    case PHASE_RESYNC:
        if (f->flags) emit(f, events, &n, VK_FRAME_GARBAGE, f->offset);
        break;
    default: {
        bool in_string = f->phase == PHASE_STRING || f->in_string;
        emit(f, events, &n, in_string ? VK_FRAME_UNCLOSED_STRING : VK_FRAME_UNCLOSED, f->offset);
    }
    }
    leave_document(f, PHASE_TOP, f->offset);
    f->at_line_begin = 1;
    return n;
}

uint64_t vk_framer_pending(const vk_framer *f) {
    bool open = f->phase == PHASE_ELEMENT || f->phase == PHASE_STRING || f->phase == PHASE_SCALAR
        || ((f->phase == PHASE_OBJECT || f->phase == PHASE_PROBE) && !f->in_envelope);
    return open && f->offset - f->record <= f->max_record ? f->record : UINT64_MAX;
}

uint64_t vk_framer_offset(const vk_framer *f) { return f->offset; }

bool vk_framer_is_idle(const vk_framer *f) { return f->phase == PHASE_TOP; }

bool vk_framer_is_valid(const vk_framer *f) {
    return f->magic == FRAMER_MAGIC && f->phase < PHASE_COUNT && f->tail_len <= WINDOW && f->in_string <= 1 && f->escaped <= 1
        && f->in_array <= 1 && f->in_envelope <= 1 && f->line_mode <= 1 && f->document_line_feeds <= 2 && f->document_column0 <= 1
        && f->too_deep <= 1 && f->at_line_begin <= 1 && f->record <= f->offset && f->document <= f->offset && f->max_depth >= 1
        && f->max_record >= 1 && ((f->phase != PHASE_OBJECT && f->phase != PHASE_ELEMENT) || f->depth >= 1)
        && (f->phase != PHASE_PROBE || f->depth >= 2) && (f->phase != PHASE_GAP || f->in_array || f->in_envelope);
}
