#ifndef VK_COMPRESS_H
#define VK_COMPRESS_H

#include "vk_common.h"

VK_BEGIN

// Writing gzip and zstd: for files the service keeps, and for tests.

typedef enum vk_flush : int32_t {
    VK_FLUSH_NONE = 0,
    VK_FLUSH_PARTIAL = 1,
    /// Everything written so far can be read back; ends at a byte boundary.
    VK_FLUSH_SYNC = 2,
    /// As SYNC, and the window is forgotten.
    VK_FLUSH_FULL = 3,
    /// Ends the member; the next write begins another.
    VK_FLUSH_FINISH = 4,
} vk_flush;

typedef struct vk_gzip_writer vk_gzip_writer;

/// `level` 0 (stored) to 9. NULL: another level, or no memory.
vk_gzip_writer *vk_gzip_writer_new(int32_t level);
void vk_gzip_writer_free(vk_gzip_writer *writer);
/// Compresses; the result is added to the writer's output. False: no memory.
bool vk_gzip_write(vk_gzip_writer *writer, const uint8_t *bytes, size_t len, vk_flush flush);
/// The output not taken yet; valid until the next call.
const uint8_t *vk_gzip_output(const vk_gzip_writer *writer, size_t *len);
/// Forgets the output.
void vk_gzip_clear_output(vk_gzip_writer *writer);

/// A whole value as KQL's functions write it, in a zlib or gzip frame: stored where deflating gains nothing. `cap` must be
/// at least `len` + len / 1000 + 64. Returns the size, 0 on failure.
size_t vk_deflate_value(const uint8_t *bytes, size_t len, bool gzip, uint8_t *out, size_t cap);
/// The whole of a zlib or gzip frame. Returns the size, SIZE_MAX when the frame is broken, goes on behind its end, or gives more than `cap`.
size_t vk_inflate_value(const uint8_t *bytes, size_t len, bool gzip, uint8_t *out, size_t cap);

/// Space that always suffices for `vk_zstd_compress`.
size_t vk_zstd_bound(size_t len);
/// Compresses into one frame with a content checksum. Returns its size, 0 on failure.
size_t vk_zstd_compress(const uint8_t *bytes, size_t len, int32_t level, uint8_t *out, size_t cap);

VK_END

#endif
