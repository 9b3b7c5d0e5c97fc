#ifndef VK_FETCH_H
#define VK_FETCH_H

#include <stddef.h>
#include <stdint.h>

// One HTTP(S) GET through libcurl, which is loaded for the first one. Redirects are not followed: the caller looks at `location` first.

typedef struct {
    // Milliseconds for the whole transfer and for the connection alone.
    long timeout_ms;
    long connect_timeout_ms;
    // More bytes, after decompression, end the transfer with VK_FETCH_TOO_LARGE.
    size_t maximum_bytes;
    // 0: an address of a private, loopback, link-local or otherwise not public network is refused when it is connected to.
    int allow_private;
} vk_fetch_options;

enum { VK_FETCH_OK = 0, VK_FETCH_FAILED = 1, VK_FETCH_TOO_LARGE = 2, VK_FETCH_PRIVATE = 3 };

typedef struct {
    int outcome;
    long status;
    // The body; owned by the result.
    uint8_t *body;
    size_t length;
    // Absolute URL of a redirect, or empty.
    char location[2048];
    char error[256];
} vk_fetch_result;

// Fetches `url`. The result must be given to vk_fetch_free.
void vk_fetch(const char *url, const vk_fetch_options *options, vk_fetch_result *result);
void vk_fetch_free(vk_fetch_result *result);

// Inflates gzip data (several members too). Returns VK_FETCH_OK, VK_FETCH_TOO_LARGE or VK_FETCH_FAILED; `*out` is for free().
int vk_gunzip(const uint8_t *data, size_t length, size_t maximum_bytes, uint8_t **out, size_t *out_length);

// Whether an IPv4 or IPv6 address in text form is one of a public network; 0 for text that is no address.
int vk_is_public_address(const char *text);

#endif
