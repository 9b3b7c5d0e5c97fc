#include "include/vk_compress.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

struct vk_gzip_writer {
    z_stream z;
    bool finished;
    uint8_t *out;
    size_t len;
    size_t cap;
};

vk_gzip_writer *vk_gzip_writer_new(int32_t level) {
    if (level < 0 || level > 9) return NULL;
    vk_gzip_writer *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    if (deflateInit2(&w->z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(w);
        return NULL;
    }
    return w;
}

void vk_gzip_writer_free(vk_gzip_writer *w) {
    if (!w) return;
    deflateEnd(&w->z);
    free(w->out);
    free(w);
}

bool vk_gzip_write(vk_gzip_writer *w, const uint8_t *bytes, size_t len, vk_flush flush) {
    static const int flushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH};
    if ((uint32_t)flush > VK_FLUSH_FINISH) return false;
    if (w->finished) {
        deflateReset(&w->z);
        w->finished = false;
    }
    const size_t most = 1u << 30;
    for (;;) {
        size_t now = len > most ? most : len;
        w->z.next_in = (Bytef *)bytes;
        w->z.avail_in = (uInt)now;
        int how = now == len ? flushes[flush] : Z_NO_FLUSH;
        do {
            if (w->cap - w->len < 4096) {
                size_t cap = w->cap * 2 + 65536;
                uint8_t *grown = realloc(w->out, cap);
                if (!grown) return false;
                w->out = grown;
                w->cap = cap;
            }
            size_t room = w->cap - w->len > most ? most : w->cap - w->len;
            w->z.next_out = w->out + w->len;
            w->z.avail_out = (uInt)room;
            int result = deflate(&w->z, how);
            if (result == Z_STREAM_ERROR) return false;
            w->len += room - w->z.avail_out;
        } while (w->z.avail_out == 0);
        if (now == len) break;
        bytes += now;
        len -= now;
    }
    w->finished = flush == VK_FLUSH_FINISH;
    return true;
}

const uint8_t *vk_gzip_output(const vk_gzip_writer *w, size_t *len) {
    *len = w->len;
    return w->out;
}

void vk_gzip_clear_output(vk_gzip_writer *w) { w->len = 0; }

size_t vk_zstd_bound(size_t len) { return ZSTD_compressBound(len); }

size_t vk_zstd_compress(const uint8_t *bytes, size_t len, int32_t level, uint8_t *out, size_t cap) {
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context) return 0;
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t made = ZSTD_compress2(context, out, cap, bytes, len);
    ZSTD_freeCCtx(context);
    return ZSTD_isError(made) ? 0 : made;
}

static size_t deflate_at(const uint8_t *bytes, size_t len, bool gzip, int level, uint8_t *out, size_t cap) {
    z_stream z;
    memset(&z, 0, sizeof z);
    if (len > UINT32_MAX || cap > UINT32_MAX) return 0;
    if (deflateInit2(&z, level, Z_DEFLATED, gzip ? 31 : 15, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    gz_header header;
    memset(&header, 0, sizeof header);
    // 255: unknown, as Kusto writes it.
    header.os = 255;
    if (gzip) deflateSetHeader(&z, &header);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    int status = deflate(&z, Z_FINISH);
    size_t size = z.total_out;
    deflateEnd(&z);
    return status == Z_STREAM_END ? size : 0;
}

size_t vk_deflate_value(const uint8_t *bytes, size_t len, bool gzip, uint8_t *out, size_t cap) {
    size_t frame = gzip ? 18 : 6;
    size_t size = deflate_at(bytes, len, gzip, Z_DEFAULT_COMPRESSION, out, cap);
    if (size == 0 || size >= len + frame) size = deflate_at(bytes, len, gzip, Z_NO_COMPRESSION, out, cap);
    // Kusto's header does not tell the level.
    if (gzip && size > 8) out[8] = 0;
    return size;
}

size_t vk_inflate_value(const uint8_t *bytes, size_t len, bool gzip, uint8_t *out, size_t cap) {
    z_stream z;
    memset(&z, 0, sizeof z);
    if (len > UINT32_MAX || cap > UINT32_MAX) return SIZE_MAX;
    if (inflateInit2(&z, gzip ? 31 : 15) != Z_OK) return SIZE_MAX;
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    int status = inflate(&z, Z_FINISH);
    size_t size = z.total_out, left = z.avail_in;
    inflateEnd(&z);
    return status == Z_STREAM_END && left == 0 ? size : SIZE_MAX;
}
