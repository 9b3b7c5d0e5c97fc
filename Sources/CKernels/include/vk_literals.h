#ifndef VK_LITERALS_H
#define VK_LITERALS_H

#include "vk_common.h"

VK_BEGIN

// Many literals at once, ASCII letters ignoring case: which of them does a text contain? The cost of a scan hardly depends on their number
// (Hyperscan). Bytes past 0x7F compare as bytes.

typedef struct vk_literals vk_literals;
/// What a scan needs to write to; one a thread.
typedef struct vk_literals_scratch vk_literals_scratch;

/// Compiles `count` literals, none of them empty; literal i is known as i. NULL when the machine has no engine for it (other processors
/// than x86-64 with SSSE3), when there is nothing to compile, or without memory: callers then test literal by literal.
vk_literals *vk_literals_new(const uint8_t *const *texts, const size_t *lengths, size_t count);
void vk_literals_free(vk_literals *set);

/// The compiled set as bytes for ``vk_literals_load``, to be freed with `free`; NULL without memory. `*size` is their number.
uint8_t *vk_literals_save(const vk_literals *set, size_t *size);
/// The set of saved bytes; NULL where another version of the library or another kind of processor wrote them, or where they are damaged in a
/// way that the library sees: it trusts the rest, so callers check the bytes first.
vk_literals *vk_literals_load(const uint8_t *bytes, size_t size);
/// What wrote saved bytes: the library's version; empty where there is none.
const char *vk_literals_engine(void);

vk_literals_scratch *vk_literals_scratch_new(const vk_literals *set);
void vk_literals_scratch_free(vk_literals_scratch *scratch);

/// Writes the literals that `text` contains, each once, in no order, and returns their number; at most `cap` are written, and a number
/// above `cap` says that there are more. SIZE_MAX: the scan failed, nothing is known.
size_t vk_literals_scan(
    const vk_literals *set, vk_literals_scratch *scratch, const uint8_t *text, size_t len, uint32_t *found, size_t cap);

VK_END

#endif
