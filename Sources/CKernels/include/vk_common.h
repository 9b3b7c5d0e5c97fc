#ifndef VK_COMMON_H
#define VK_COMMON_H

// Conventions of every vk_ header.
//
// - Plain C, no third-party types. No function throws, aborts, prints or keeps global state beside caches behind atomics.
// - A pointer may be NULL when its length is 0. Lengths are bytes unless said otherwise.
// - `size_t` is `Int` in Swift, so SIZE_MAX ("not found", "too small") reads as -1 there.
// - A handle (`vk_inflater`, `vk_parser`, ...) may be used by one thread at a time; handles taken as `const` may be shared.
// - `free` functions accept NULL; `new` functions return NULL only when memory ran out (or as documented).
// - A bitmap of n rows is (n + 63) / 64 words, row i is bit i & 63 of word i >> 6, and bits past n are written as zero.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VK_BEGIN extern "C" {
#define VK_END }
#else
#define VK_BEGIN
#define VK_END
#endif

#endif
