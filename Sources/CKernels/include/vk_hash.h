#ifndef VK_HASH_H
#define VK_HASH_H

#include "vk_common.h"

VK_BEGIN

/// A 128-bit XXH3 value.
typedef struct vk_hash128 {
    uint64_t low;
    uint64_t high;
} vk_hash128;

/// XXH3 128 of the bytes.
vk_hash128 vk_xxh3_128(const void *bytes, size_t len, uint64_t seed);
/// XXH3 64 of the bytes.
uint64_t vk_xxh3_64(const void *bytes, size_t len, uint64_t seed);
/// XXH64 of the bytes.
uint64_t vk_xxh64(const void *bytes, size_t len, uint64_t seed);
/// A hash of the ordered pair: XXH3 128, seeded, of both values in little-endian order.
vk_hash128 vk_hash128_combine(vk_hash128 first, vk_hash128 second, uint64_t seed);

typedef struct vk_xxh3 vk_xxh3;

/// A streaming XXH3; its digests equal the one-shot values of the concatenated input.
vk_xxh3 *vk_xxh3_new(uint64_t seed);
void vk_xxh3_free(vk_xxh3 *state);
void vk_xxh3_reset(vk_xxh3 *state, uint64_t seed);
void vk_xxh3_update(vk_xxh3 *state, const void *bytes, size_t len);
/// The digest so far; more may be added afterwards.
vk_hash128 vk_xxh3_digest128(const vk_xxh3 *state);
uint64_t vk_xxh3_digest64(const vk_xxh3 *state);

/// Cryptographic digests, computed by libcrypto.
typedef enum vk_digest_kind : int32_t {
    VK_DIGEST_SHA256 = 1,
    VK_DIGEST_SHA1 = 2,
    VK_DIGEST_MD5 = 3,
    VK_DIGEST_SHA512 = 4,
    VK_DIGEST_SHA384 = 5,
} vk_digest_kind;

/// The number of bytes of a digest (32, 20, 16, 64, 48), 0 for an unknown kind.
size_t vk_digest_size(vk_digest_kind kind);
/// Writes `vk_digest_size(kind)` bytes. False when the library refuses (MD5 in FIPS mode) or the kind is unknown.
bool vk_digest(vk_digest_kind kind, const void *bytes, size_t len, uint8_t *out);

typedef struct vk_digester vk_digester;

/// A streaming digest; NULL when the kind is unknown or refused.
vk_digester *vk_digester_new(vk_digest_kind kind);
void vk_digester_free(vk_digester *digester);
bool vk_digester_update(vk_digester *digester, const void *bytes, size_t len);
/// Writes the digest and begins anew.
bool vk_digester_finish(vk_digester *digester, uint8_t *out);

VK_END

#endif
