// SVG to PNG by librsvg and cairo, which are loaded when they are asked for: a detection daemon has no use for them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    VK_PICTURE_OK = 0,
    /// librsvg-2.so.2 or libcairo.so.2 is not installed.
    VK_PICTURE_MISSING = 1,
    /// The document cannot be read or drawn; `error` says why.
    VK_PICTURE_FAILED = 2,
    /// Out of memory.
    VK_PICTURE_MEMORY = 3
} vk_picture_status;

/// Draws a document of `size` bytes into `width` x `height` pixels (1 to 16,384 each). On success `*png` holds `*png_size` bytes that
/// the caller frees with `vk_picture_free`. `error` gets a text that ends with a zero, at most `error_size` bytes with it.
vk_picture_status vk_picture_png(
    const uint8_t *svg, size_t size, int width, int height, uint8_t **png, size_t *png_size, char *error, size_t error_size);

void vk_picture_free(uint8_t *png);

#ifdef __cplusplus
}
#endif
