#include "include/vk_inflate.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<isa-l.h>)
#include <isa-l.h>
#define VK_HAVE_ISAL 1
#else
#define VK_HAVE_ISAL 0
#endif
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "include/vk_hash.h"

// The gzip wrapper (header, trailer, CRC) is read here, the same for both deflate decoders, which see raw deflate data only. So the
// two differ in one function each, and a snapshot of the wrapper is a few plain fields.

enum { PHASE_HEADER = 0, PHASE_BODY = 1, PHASE_TRAILER = 2, PHASE_END = 3, PHASE_ERROR = 4 };

/// Steps of the gzip header behind its ten fixed bytes.
enum { STEP_EXTRA_LOW = 10, STEP_EXTRA_HIGH, STEP_EXTRA, STEP_NAME, STEP_COMMENT, STEP_CRC_LOW, STEP_CRC_HIGH, STEP_DONE };

enum { FLAG_HCRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAG_RESERVED = 0xE0 };

#define WINDOW 32768
#define CHECKPOINT_INTERVAL (1u << 20)
#define MAX_CALL (1u << 30)
#define ZSTD_BLOCK_HEADER 3

/// The state of the gzip wrapper.
typedef struct wrapper {
    uint32_t phase;
    uint32_t header_step;
    uint32_t header_flags;
    uint32_t header_crc;
    uint32_t header_crc_read;
    uint32_t extra_left;
    uint32_t crc;
    uint32_t trailer_len;
    uint8_t trailer[8];
} wrapper;

/// A place from which zlib can go on: a deflate block boundary.
typedef struct checkpoint {
    vk_inflate_position position;
    uint32_t crc;
    uint32_t bits;
    uint32_t bit_value;
    uint32_t window_len;
    uint8_t window[WINDOW];
} checkpoint;

struct vk_inflater {
    vk_inflate_kind kind;
    vk_inflate_position position;
    wrapper wrapper;
    uint8_t last_byte;
    z_stream z;
    bool z_ready;
    checkpoint *checkpoint;
    ZSTD_DCtx *zstd;
    /// What zstd asks for next.
    size_t zstd_wants;
    /// An error: the input is damaged where the decoder stands, and what it holds is all that comes.
    vk_inflate_status damage;
#if VK_HAVE_ISAL
    struct inflate_state *isal;
#endif
};

static void begin_body(vk_inflater *inf);

static void begin_member(vk_inflater *inf) {
    memset(&inf->wrapper, 0, sizeof inf->wrapper);
    inf->last_byte = 0;
    inf->damage = VK_INFLATE_MORE_INPUT;
    inf->position.member_in_begin = inf->position.in_total;
    inf->position.member_out_begin = inf->position.out_total;
    if (inf->kind == VK_INFLATE_ZSTD) {
        ZSTD_DCtx_reset(inf->zstd, ZSTD_reset_session_only);
        inf->zstd_wants = 1;
        inf->wrapper.phase = PHASE_BODY;
    }
}

vk_inflater *vk_inflater_new(vk_inflate_kind kind) {
    if (kind == VK_INFLATE_GZIP_ISAL && !VK_HAVE_ISAL) kind = VK_INFLATE_GZIP_ZLIB;
    if (kind != VK_INFLATE_GZIP_ISAL && kind != VK_INFLATE_GZIP_ZLIB && kind != VK_INFLATE_ZSTD) return NULL;
    vk_inflater *inf = calloc(1, sizeof *inf);
    if (!inf) return NULL;
    inf->kind = kind;
    bool ready = false;
    if (kind == VK_INFLATE_GZIP_ZLIB) {
        inf->checkpoint = calloc(1, sizeof *inf->checkpoint);
        ready = inf->z_ready = inf->checkpoint && inflateInit2(&inf->z, -15) == Z_OK;
    } else if (kind == VK_INFLATE_ZSTD) {
        inf->zstd = ZSTD_createDCtx();
        ready = inf->zstd != NULL;
    } else {
#if VK_HAVE_ISAL
        inf->isal = calloc(1, sizeof *inf->isal);
        ready = inf->isal != NULL;
#endif
    }
    if (!ready) {
        vk_inflater_free(inf);
        return NULL;
    }
    begin_member(inf);
    return inf;
}

void vk_inflater_free(vk_inflater *inf) {
    if (!inf) return;
    if (inf->z_ready) inflateEnd(&inf->z);
    free(inf->checkpoint);
    ZSTD_freeDCtx(inf->zstd);
#if VK_HAVE_ISAL
    free(inf->isal);
#endif
    free(inf);
}

void vk_inflater_reset(vk_inflater *inf) {
    memset(&inf->position, 0, sizeof inf->position);
    begin_member(inf);
}

vk_inflate_kind vk_inflater_kind(const vk_inflater *inf) { return inf->kind; }

vk_inflate_position vk_inflater_position(const vk_inflater *inf) { return inf->position; }

vk_inflate_status vk_inflate_next_member(vk_inflater *inf) {
    if (inf->wrapper.phase != PHASE_END) return VK_INFLATE_ERR_STATE;
    inf->position.member += 1;
    begin_member(inf);
    return VK_INFLATE_MORE_INPUT;
}

static vk_inflate_status fail(vk_inflater *inf, vk_inflate_status status) {
    inf->wrapper.phase = PHASE_ERROR;
    return status;
}

// MARK: gzip wrapper

static uint32_t next_header_step(const wrapper *w, uint32_t step) {
    if (step <= STEP_EXTRA_LOW && (w->header_flags & FLAG_EXTRA)) return STEP_EXTRA_LOW;
    if (step <= STEP_NAME && (w->header_flags & FLAG_NAME)) return STEP_NAME;
    if (step <= STEP_COMMENT && (w->header_flags & FLAG_COMMENT)) return STEP_COMMENT;
    if (step <= STEP_CRC_LOW && (w->header_flags & FLAG_HCRC)) return STEP_CRC_LOW;
    return STEP_DONE;
}

/// Takes one header byte. MORE_INPUT, or an error; `header_step` is STEP_DONE when the header is complete.
static vk_inflate_status header_byte(wrapper *w, uint8_t byte) {
    uint32_t step = w->header_step;
    if (step < STEP_CRC_LOW && (w->header_flags & FLAG_HCRC || step < 4)) {
        w->header_crc = (uint32_t)crc32(w->header_crc, &byte, 1);
    }
    switch (step) {
    case 0:
        if (byte != 0x1F) return VK_INFLATE_ERR_HEADER;
        break;
    case 1:
        if (byte != 0x8B) return VK_INFLATE_ERR_HEADER;
        break;
    case 2:
        if (byte != 8) return VK_INFLATE_ERR_UNSUPPORTED;
        break;
    case 3:
        if (byte & FLAG_RESERVED) return VK_INFLATE_ERR_UNSUPPORTED;
        w->header_flags = byte;
        break;
    case 4: case 5: case 6: case 7: case 8:
        break;
    case 9:
        w->header_step = next_header_step(w, STEP_EXTRA_LOW);
        return VK_INFLATE_MORE_INPUT;
    case STEP_EXTRA_LOW:
        w->extra_left = byte;
        break;
    case STEP_EXTRA_HIGH:
        w->extra_left |= (uint32_t)byte << 8;
        w->header_step = w->extra_left ? STEP_EXTRA : next_header_step(w, STEP_NAME);
        return VK_INFLATE_MORE_INPUT;
    case STEP_EXTRA:
        if (--w->extra_left == 0) w->header_step = next_header_step(w, STEP_NAME);
        return VK_INFLATE_MORE_INPUT;
    case STEP_NAME:
        if (byte == 0) w->header_step = next_header_step(w, STEP_COMMENT);
        return VK_INFLATE_MORE_INPUT;
    case STEP_COMMENT:
        if (byte == 0) w->header_step = next_header_step(w, STEP_CRC_LOW);
        return VK_INFLATE_MORE_INPUT;
    case STEP_CRC_LOW:
        w->header_crc_read = byte;
        break;
    case STEP_CRC_HIGH:
        w->header_crc_read |= (uint32_t)byte << 8;
        if (w->header_crc_read != (w->header_crc & 0xFFFF)) return VK_INFLATE_ERR_CHECKSUM;
        break;
    default:
        return VK_INFLATE_ERR_STATE;
    }
    w->header_step = step + 1;
    return VK_INFLATE_MORE_INPUT;
}

static uint32_t little_endian32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static vk_inflate_status check_trailer(vk_inflater *inf) {
    const wrapper *w = &inf->wrapper;
    uint64_t member_out = inf->position.out_total - inf->position.member_out_begin;
    if (little_endian32(w->trailer) != w->crc || little_endian32(w->trailer + 4) != (uint32_t)member_out) {
        return fail(inf, VK_INFLATE_ERR_CHECKSUM);
    }
    inf->wrapper.phase = PHASE_END;
    return VK_INFLATE_MEMBER_END;
}

// MARK: the decoders

/// One call of a deflate decoder. Sets the bytes taken and made; MEMBER_END means that the deflate data ended.
static vk_inflate_status step_zlib(vk_inflater *inf, const uint8_t *in, size_t in_len, size_t *taken, uint8_t *out, size_t out_cap,
                                   size_t *made) {
    z_stream *z = &inf->z;
    uInt in_now = in_len > MAX_CALL ? MAX_CALL : (uInt)in_len, out_now = out_cap > MAX_CALL ? MAX_CALL : (uInt)out_cap;
    z->next_in = (Bytef *)in;
    z->avail_in = in_now;
    z->next_out = out;
    z->avail_out = out_now;
    int result = inflate(z, Z_BLOCK);
    *taken = in_now - z->avail_in;
    *made = out_now - z->avail_out;
    inf->wrapper.crc = (uint32_t)crc32(inf->wrapper.crc, out, (uInt)*made);
    if (*taken) inf->last_byte = in[*taken - 1];
    if (result == Z_STREAM_END) return VK_INFLATE_MEMBER_END;
    if (result == Z_MEM_ERROR) return VK_INFLATE_ERR_MEMORY;
    if (result == Z_NEED_DICT) return VK_INFLATE_ERR_UNSUPPORTED;
    if (result != Z_OK && result != Z_BUF_ERROR) return VK_INFLATE_ERR_DATA;
    if ((z->data_type & 128) && !(z->data_type & 64)) {
        checkpoint *c = inf->checkpoint;
        uint64_t out_total = inf->position.out_total + *made;
        if (out_total - c->position.out_total >= CHECKPOINT_INTERVAL) {
            uInt window_len = 0;
            if (inflateGetDictionary(z, c->window, &window_len) == Z_OK) {
                c->position = inf->position;
                c->position.in_total += *taken;
                c->position.out_total = out_total;
                c->crc = inf->wrapper.crc;
                c->bits = (uint32_t)z->data_type & 7;
                c->bit_value = c->bits ? (uint32_t)inf->last_byte >> (8 - c->bits) : 0;
                c->window_len = window_len;
            }
        }
    }
    if (z->avail_out == 0) return VK_INFLATE_MORE_OUTPUT;
    return VK_INFLATE_MORE_INPUT;
}

#if VK_HAVE_ISAL
/// One call of isa-l's decoder over `in_len` bytes of input.
static int call_isal(struct inflate_state *s, const uint8_t *in, uint32_t in_len, size_t *taken, uint8_t *out, uint32_t out_cap,
                     size_t *made) {
    s->next_in = (uint8_t *)in;
    s->avail_in = in_len;
    s->next_out = out;
    s->avail_out = out_cap;
    s->total_out = 0;
    int result = isal_inflate(s);
    *taken = in_len - s->avail_in;
    *made = out_cap - s->avail_out;
    s->next_in = s->next_out = NULL;
    s->avail_in = s->avail_out = 0;
    return result;
}

/// The bytes of a state that mean something: its output buffer stands last and is filled up to `tmp_out_valid`.
static size_t isal_state_size(const struct inflate_state *s) {
    size_t valid = s->tmp_out_valid > 0 ? (size_t)s->tmp_out_valid : 0;
    return offsetof(struct inflate_state, tmp_out_buffer) + (valid < sizeof s->tmp_out_buffer ? valid : sizeof s->tmp_out_buffer);
}

/// After a call that failed: goes back to the state before it and decodes up to the last byte that does not make it fail. isa-l counts a
/// match that reaches too far back as output, made of whatever stood in the buffer, and how much comes out beside it hangs on how the
/// input was cut; what comes out before that byte does not.
static void before_damage(struct inflate_state *s, const struct inflate_state *saved, const uint8_t *in, uint32_t in_len, size_t *taken,
                          uint8_t *out, uint32_t out_cap, size_t *made) {
    size_t size = isal_state_size(saved);
    // Below 0: bytes that the decoder took before and did not come to, as it lacked room. In the midst of a block's header it has come to
    // all of them, and holds the later ones apart.
    int64_t sound = saved->tmp_in_size > 0 ? 0 : -(int64_t)(saved->read_in_length / 8), damaged = in_len;
    for (;;) {
        bool last = damaged - sound <= 1;
        int64_t middle = last ? sound : sound + (damaged - sound) / 2;
        memcpy(s, saved, size);
        if (middle < 0) {
            s->read_in_length += (int32_t)middle * 8;
            s->read_in &= (UINT64_C(1) << s->read_in_length) - 1;
        }
        *taken = *made = 0;
        bool failed = call_isal(s, in, middle > 0 ? (uint32_t)middle : 0, taken, out, out_cap, made) < 0;
        if (last) {
            if (failed) *made = 0;
            return;
        }
        if (failed) damaged = middle;
        else sound = middle;
    }
}

static vk_inflate_status step_isal(vk_inflater *inf, const uint8_t *in, size_t in_len, size_t *taken, uint8_t *out, size_t out_cap,
                                   size_t *made) {
    struct inflate_state *s = inf->isal, saved;
    uint32_t in_now = in_len > MAX_CALL ? MAX_CALL : (uint32_t)in_len, out_now = out_cap > MAX_CALL ? MAX_CALL : (uint32_t)out_cap;
    memcpy(&saved, s, isal_state_size(s));
    int result = call_isal(s, in, in_now, taken, out, out_now, made);
    if (result < 0) {
        before_damage(s, &saved, in, in_now, taken, out, out_now, made);
        inf->damage = result == ISAL_UNSUPPORTED_METHOD ? VK_INFLATE_ERR_UNSUPPORTED : VK_INFLATE_ERR_DATA;
        return VK_INFLATE_MORE_OUTPUT;
    }
    if (result == ISAL_NEED_DICT) return VK_INFLATE_ERR_UNSUPPORTED;
    inf->wrapper.crc = crc32_gzip_refl(inf->wrapper.crc, out, *made);
    if (s->block_state == ISAL_BLOCK_FINISH) {
        // Whole bytes left in the bit buffer are the beginning of the trailer (at most its eight bytes).
        int32_t bits = s->read_in_length;
        uint64_t rest = bits > 0 ? s->read_in >> (bits & 7) : 0;
        wrapper *w = &inf->wrapper;
        for (int32_t i = 0; i < bits / 8 && w->trailer_len < 8; i++, rest >>= 8) w->trailer[w->trailer_len++] = (uint8_t)rest;
        s->read_in_length = 0;
        return VK_INFLATE_MEMBER_END;
    }
    return *made == out_now ? VK_INFLATE_MORE_OUTPUT : VK_INFLATE_MORE_INPUT;
}

/// What the decoder holds of the output before the damage; the damage when there is no more.
static vk_inflate_status drain_isal(vk_inflater *inf, uint8_t *out, size_t out_cap, size_t *made) {
    size_t taken = 0;
    int result = call_isal(inf->isal, out, 0, &taken, out, out_cap > MAX_CALL ? MAX_CALL : (uint32_t)out_cap, made);
    if (result < 0) *made = 0;
    return *made > 0 ? VK_INFLATE_MORE_OUTPUT : inf->damage;
}
#endif

static void begin_body(vk_inflater *inf) {
    inf->wrapper.phase = PHASE_BODY;
    inf->wrapper.crc = 0;
    if (inf->kind == VK_INFLATE_GZIP_ZLIB) {
        inflateReset2(&inf->z, -15);
        checkpoint *c = inf->checkpoint;
        c->position = inf->position;
        c->crc = c->bits = c->bit_value = c->window_len = 0;
    }
#if VK_HAVE_ISAL
    if (inf->kind == VK_INFLATE_GZIP_ISAL) {
        // isal_inflate_init leaves the buffers as they are; a snapshot must not carry what an earlier member left there.
        memset(inf->isal, 0, sizeof *inf->isal);
        isal_inflate_init(inf->isal);
        inf->isal->crc_flag = ISAL_DEFLATE;
    }
#endif
}

static vk_inflate_status zstd_error(size_t result) {
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_prefix_unknown:
    case ZSTD_error_srcSize_wrong:
        return VK_INFLATE_ERR_HEADER;
    case ZSTD_error_checksum_wrong:
        return VK_INFLATE_ERR_CHECKSUM;
    case ZSTD_error_version_unsupported:
    case ZSTD_error_frameParameter_unsupported:
    case ZSTD_error_frameParameter_windowTooLarge:
    case ZSTD_error_dictionary_wrong:
        return VK_INFLATE_ERR_UNSUPPORTED;
    case ZSTD_error_memory_allocation:
        return VK_INFLATE_ERR_MEMORY;
    default:
        return VK_INFLATE_ERR_DATA;
    }
}

static vk_inflate_status step_zstd(vk_inflater *inf, const uint8_t *in, size_t in_len, size_t *consumed, uint8_t *out, size_t out_cap,
                                   size_t *produced) {
    ZSTD_inBuffer input = {in, 0, 0};
    ZSTD_outBuffer output = {out, out_cap, 0};
    vk_inflate_status status = VK_INFLATE_MORE_INPUT;
    for (;;) {
        size_t in_before = input.pos, out_before = output.pos;
        // A call that fails says nothing of what it made before. So a block's last byte, behind which most damage shows, and the bytes
        // of headers come one by one. (zstd asks for the next block's header of three bytes together with a block.)
        size_t wants = inf->zstd_wants > ZSTD_BLOCK_HEADER + 1 ? inf->zstd_wants - ZSTD_BLOCK_HEADER - 1 : 1;
        input.size = input.pos + (in_len - input.pos < wants ? in_len - input.pos : wants);
        size_t result = ZSTD_decompressStream(inf->zstd, &output, &input);
        if (ZSTD_isError(result)) {
            status = fail(inf, zstd_error(result));
            break;
        }
        if (result == 0) {
            // Without a byte of a frame seen, 0 cannot be the end of one.
            if (inf->position.in_total + input.pos == inf->position.member_in_begin) break;
            inf->wrapper.phase = PHASE_END;
            status = VK_INFLATE_MEMBER_END;
            break;
        }
        inf->zstd_wants = result;
        if (output.pos == output.size) {
            status = VK_INFLATE_MORE_OUTPUT;
            break;
        }
        if (input.pos == in_before && output.pos == out_before) break;
    }
    *consumed = input.pos;
    *produced = output.pos;
    inf->position.in_total += input.pos;
    inf->position.out_total += output.pos;
    return status;
}

vk_inflate_status vk_inflate_step(vk_inflater *inf, const uint8_t *in, size_t in_len, size_t *consumed, uint8_t *out, size_t out_cap,
                                  size_t *produced) {
    *consumed = 0;
    *produced = 0;
    if (inf->wrapper.phase >= PHASE_END) return VK_INFLATE_ERR_STATE;
    static uint8_t empty;
    if (!in) in = &empty, in_len = 0;
    if (!out) out = &empty, out_cap = 0;
    if (inf->kind == VK_INFLATE_ZSTD) return step_zstd(inf, in, in_len, consumed, out, out_cap, produced);

    wrapper *w = &inf->wrapper;
    while (w->phase == PHASE_HEADER) {
        if (*consumed == in_len) return VK_INFLATE_MORE_INPUT;
        vk_inflate_status status = header_byte(w, in[*consumed]);
        if (status != VK_INFLATE_MORE_INPUT) return fail(inf, status);
        *consumed += 1;
        inf->position.in_total += 1;
        if (w->header_step == STEP_DONE) begin_body(inf);
    }
    while (w->phase == PHASE_BODY) {
        if (out_cap == *produced) return VK_INFLATE_MORE_OUTPUT;
        size_t taken = 0, made = 0;
        vk_inflate_status status;
#if VK_HAVE_ISAL
        if (inf->damage < 0) {
            status = drain_isal(inf, out + *produced, out_cap - *produced, &made);
        } else if (inf->kind == VK_INFLATE_GZIP_ISAL) {
            status = step_isal(inf, in + *consumed, in_len - *consumed, &taken, out + *produced, out_cap - *produced, &made);
        } else
#endif
            status = step_zlib(inf, in + *consumed, in_len - *consumed, &taken, out + *produced, out_cap - *produced, &made);
        *consumed += taken;
        *produced += made;
        inf->position.in_total += taken;
        inf->position.out_total += made;
        if (status < 0) return fail(inf, status);
        if (status == VK_INFLATE_MEMBER_END) {
            w->phase = PHASE_TRAILER;
            break;
        }
        if (*produced == out_cap) return VK_INFLATE_MORE_OUTPUT;
        // zlib stops at block boundaries and both stop at 1 GiB: go on while that makes progress.
        if (taken == 0 && made == 0 && status != VK_INFLATE_MORE_OUTPUT) return VK_INFLATE_MORE_INPUT;
    }
    if (w->phase == PHASE_TRAILER) {
        while (w->trailer_len < 8) {
            if (*consumed == in_len) return VK_INFLATE_MORE_INPUT;
            w->trailer[w->trailer_len++] = in[*consumed];
            *consumed += 1;
            inf->position.in_total += 1;
        }
        return check_trailer(inf);
    }
    return VK_INFLATE_ERR_STATE;
}

vk_inflate_follow vk_inflate_following(const uint8_t *bytes, size_t len, bool final) {
    static const uint8_t gzip[3] = {0x1F, 0x8B, 0x08};
    static const uint8_t zstd[4] = {0x28, 0xB5, 0x2F, 0xFD};
    static const uint8_t skippable[4] = {0x50, 0x2A, 0x4D, 0x18};
    if (len == 0) return VK_FOLLOW_NEED_MORE;
    if (bytes[0] == 0) return VK_FOLLOW_ZEROS;
    size_t n = len < 3 ? len : 3;
    if (memcmp(bytes, gzip, n) == 0) return n == 3 ? VK_FOLLOW_GZIP : final ? VK_FOLLOW_OTHER : VK_FOLLOW_NEED_MORE;
    n = len < 4 ? len : 4;
    if (memcmp(bytes, zstd, n) == 0 || ((bytes[0] & 0xF0) == 0x50 && memcmp(bytes + 1, skippable + 1, n - 1) == 0)) {
        return n == 4 ? VK_FOLLOW_ZSTD : final ? VK_FOLLOW_OTHER : VK_FOLLOW_NEED_MORE;
    }
    return VK_FOLLOW_OTHER;
}

// MARK: snapshots

/// The fixed part of a snapshot, in the machine's byte order; `body_len` bytes follow it.
typedef struct snapshot_head {
    uint8_t magic[8];
    uint32_t kind;
    uint32_t version;
    uint64_t body_len;
    /// XXH64 of everything else: this head with the field zero, then the body.
    uint64_t checksum;
    vk_inflate_position position;
    wrapper wrapper;
} snapshot_head;

static const uint8_t snapshot_magic[8] = {'v', 'k', 'i', 'n', 'f', 'l', '0', '1'};

/// The part of a checkpoint that comes before its window in a snapshot's body.
typedef struct checkpoint_head {
    uint32_t bits;
    uint32_t bit_value;
    uint32_t window_len;
} checkpoint_head;

static uint32_t version_tag(vk_inflate_kind kind) {
#if defined(__x86_64__)
    uint32_t tag = 0x8664;
#elif defined(__aarch64__)
    uint32_t tag = 0xAA64;
#else
    uint32_t tag = (uint32_t)sizeof(void *);
#endif
#if VK_HAVE_ISAL
    if (kind == VK_INFLATE_GZIP_ISAL) return tag ^ ((uint32_t)ISAL_VERSION << 8) ^ ((uint32_t)sizeof(struct inflate_state) << 1);
#endif
    return tag + (uint32_t)kind;
}

static uint64_t snapshot_checksum(const snapshot_head *head, const uint8_t *body) {
    snapshot_head copy = *head;
    copy.checksum = 0;
    return vk_xxh64(body, head->body_len, vk_xxh64(&copy, sizeof copy, 0x766B));
}

static size_t body_size(const vk_inflater *inf) {
    if (inf->wrapper.phase != PHASE_BODY) return 0;
#if VK_HAVE_ISAL
    if (inf->kind == VK_INFLATE_GZIP_ISAL) return offsetof(struct inflate_state, tmp_out_buffer) + (size_t)inf->isal->tmp_out_valid;
#endif
    return sizeof(checkpoint_head) + inf->checkpoint->window_len;
}

size_t vk_inflate_snapshot(const vk_inflater *inf, uint8_t *buf, size_t cap) {
    // Behind damage there is nothing to go on from: the member is made again.
    if (inf->kind == VK_INFLATE_ZSTD || inf->wrapper.phase == PHASE_ERROR || inf->damage < 0) return 0;
    snapshot_head head;
    memset(&head, 0, sizeof head);
    head.body_len = body_size(inf);
    size_t total = sizeof head + head.body_len;
    if (!buf || cap < total) return total;
    memcpy(head.magic, snapshot_magic, sizeof head.magic);
    head.kind = (uint32_t)inf->kind;
    head.version = version_tag(inf->kind);
    head.position = inf->position;
    head.wrapper = inf->wrapper;
    uint8_t *body = buf + sizeof head;
    if (inf->wrapper.phase == PHASE_BODY) {
        if (inf->kind == VK_INFLATE_GZIP_ZLIB) {
            const checkpoint *c = inf->checkpoint;
            checkpoint_head part = {c->bits, c->bit_value, c->window_len};
            head.position = c->position;
            head.wrapper.crc = c->crc;
            memcpy(body, &part, sizeof part);
            memcpy(body + sizeof part, c->window, c->window_len);
        }
#if VK_HAVE_ISAL
        if (inf->kind == VK_INFLATE_GZIP_ISAL) memcpy(body, inf->isal, head.body_len);
#endif
    }
    head.checksum = snapshot_checksum(&head, body);
    memcpy(buf, &head, sizeof head);
    return total;
}

/// Checks all that can be checked without a decoder.
static bool read_head(const uint8_t *buf, size_t len, snapshot_head *head) {
    if (!buf || len < sizeof *head) return false;
    memcpy(head, buf, sizeof *head);
    if (memcmp(head->magic, snapshot_magic, sizeof head->magic) != 0) return false;
    if (head->kind != VK_INFLATE_GZIP_ISAL && head->kind != VK_INFLATE_GZIP_ZLIB) return false;
    if (head->version != version_tag((vk_inflate_kind)head->kind) || head->body_len != len - sizeof *head) return false;
    if (head->checksum != snapshot_checksum(head, buf + sizeof *head)) return false;
    const wrapper *w = &head->wrapper;
    const vk_inflate_position *p = &head->position;
    return w->phase <= PHASE_END && w->header_step <= STEP_DONE && w->trailer_len <= 8 && w->extra_left <= 0xFFFF
        && (w->phase == PHASE_BODY) == (head->body_len != 0) && p->member_in_begin <= p->in_total && p->member_out_begin <= p->out_total;
}

static bool restore_zlib(vk_inflater *inf, const snapshot_head *head, const uint8_t *body) {
    checkpoint_head part;
    if (head->body_len < sizeof part) return false;
    memcpy(&part, body, sizeof part);
    if (part.window_len > WINDOW || head->body_len != sizeof part + part.window_len || part.bits > 7) return false;
    if (part.bit_value >> part.bits) return false;
    if (inflateReset2(&inf->z, -15) != Z_OK) return false;
    if (part.bits && inflatePrime(&inf->z, (int)part.bits, (int)part.bit_value) != Z_OK) return false;
    if (part.window_len && inflateSetDictionary(&inf->z, body + sizeof part, part.window_len) != Z_OK) return false;
    checkpoint *c = inf->checkpoint;
    c->position = head->position;
    c->crc = head->wrapper.crc;
    c->bits = part.bits;
    c->bit_value = part.bit_value;
    c->window_len = part.window_len;
    memcpy(c->window, body + sizeof part, part.window_len);
    return true;
}

#if VK_HAVE_ISAL
/// The checksum guards against damage; these bounds keep even a forged state from sending the decoder's buffers out of range.
static bool restore_isal(vk_inflater *inf, const snapshot_head *head, const uint8_t *body) {
    struct inflate_state *s = inf->isal;
    size_t fixed = offsetof(struct inflate_state, tmp_out_buffer);
    if (head->body_len < fixed || head->body_len > sizeof *s) return false;
    memset(s, 0, sizeof *s);
    memcpy(s, body, head->body_len);
    s->next_in = s->next_out = NULL;
    s->avail_in = s->avail_out = 0;
    bool sound = s->tmp_out_valid >= 0 && (size_t)s->tmp_out_valid == head->body_len - fixed && s->tmp_out_processed >= 0
        && s->tmp_out_processed <= s->tmp_out_valid && s->tmp_in_size >= 0 && s->tmp_in_size <= ISAL_DEF_MAX_HDR_SIZE
        && s->read_in_length >= 0 && s->read_in_length <= 64 && s->crc_flag == ISAL_DEFLATE && s->hist_bits <= 15
        && (uint32_t)s->block_state <= ISAL_CHECKSUM_CHECK && s->dict_length <= ISAL_DEF_HIST_SIZE && s->copy_overflow_length >= 0
        && s->copy_overflow_length <= ISAL_DEF_MAX_MATCH && s->copy_overflow_distance >= 0
        && s->copy_overflow_distance <= ISAL_DEF_HIST_SIZE && s->write_overflow_len >= 0 && s->write_overflow_len <= 8
        && (s->block_state != ISAL_BLOCK_TYPE0 || (s->type0_block_len >= 0 && s->type0_block_len <= 0xFFFF));
    return sound;
}
#endif

vk_inflate_status vk_inflate_restore(vk_inflater *inf, const uint8_t *buf, size_t len) {
    snapshot_head head;
    bool sound = read_head(buf, len, &head) && head.kind == (uint32_t)inf->kind;
    if (sound && head.wrapper.phase == PHASE_BODY) {
        const uint8_t *body = buf + sizeof head;
#if VK_HAVE_ISAL
        if (inf->kind == VK_INFLATE_GZIP_ISAL) sound = restore_isal(inf, &head, body);
#endif
        if (inf->kind == VK_INFLATE_GZIP_ZLIB) sound = restore_zlib(inf, &head, body);
    }
    if (!sound) {
        vk_inflater_reset(inf);
        return VK_INFLATE_ERR_SNAPSHOT;
    }
    inf->position = head.position;
    inf->wrapper = head.wrapper;
    inf->last_byte = 0;
    inf->damage = VK_INFLATE_MORE_INPUT;
    return VK_INFLATE_MORE_INPUT;
}

vk_inflate_status vk_inflate_snapshot_position(const uint8_t *buf, size_t len, vk_inflate_position *position) {
    snapshot_head head;
    if (!read_head(buf, len, &head)) return VK_INFLATE_ERR_SNAPSHOT;
    *position = head.position;
    return VK_INFLATE_MORE_INPUT;
}

const char *vk_inflate_status_text(vk_inflate_status status) {
    switch (status) {
    case VK_INFLATE_MORE_INPUT: return "more input is needed";
    case VK_INFLATE_MORE_OUTPUT: return "the output buffer is full";
    case VK_INFLATE_MEMBER_END: return "the member ended";
    case VK_INFLATE_ERR_HEADER: return "not a gzip or zstd header";
    case VK_INFLATE_ERR_DATA: return "malformed compressed data";
    case VK_INFLATE_ERR_CHECKSUM: return "checksum or length differs";
    case VK_INFLATE_ERR_UNSUPPORTED: return "unsupported compression method or option";
    case VK_INFLATE_ERR_MEMORY: return "out of memory";
    case VK_INFLATE_ERR_SNAPSHOT: return "unusable decoder snapshot";
    case VK_INFLATE_ERR_STATE: return "call does not fit the decoder's state";
    }
    return "unknown status";
}
