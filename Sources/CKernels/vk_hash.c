#include "include/vk_hash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

vk_hash128 vk_xxh3_128(const void *bytes, size_t len, uint64_t seed) {
    XXH128_hash_t h = XXH3_128bits_withSeed(bytes, len, seed);
    return (vk_hash128){h.low64, h.high64};
}

uint64_t vk_xxh3_64(const void *bytes, size_t len, uint64_t seed) { return XXH3_64bits_withSeed(bytes, len, seed); }

uint64_t vk_xxh64(const void *bytes, size_t len, uint64_t seed) { return XXH64(bytes, len, seed); }

static void put64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

vk_hash128 vk_hash128_combine(vk_hash128 first, vk_hash128 second, uint64_t seed) {
    uint8_t both[32];
    put64(both, first.low);
    put64(both + 8, first.high);
    put64(both + 16, second.low);
    put64(both + 24, second.high);
    return vk_xxh3_128(both, sizeof both, seed);
}

struct vk_xxh3 {
    XXH3_state_t *state;
};

vk_xxh3 *vk_xxh3_new(uint64_t seed) {
    vk_xxh3 *s = malloc(sizeof *s);
    if (!s) return NULL;
    s->state = XXH3_createState();
    if (!s->state) {
        free(s);
        return NULL;
    }
    vk_xxh3_reset(s, seed);
    return s;
}

void vk_xxh3_free(vk_xxh3 *s) {
    if (!s) return;
    XXH3_freeState(s->state);
    free(s);
}

void vk_xxh3_reset(vk_xxh3 *s, uint64_t seed) { XXH3_128bits_reset_withSeed(s->state, seed); }

void vk_xxh3_update(vk_xxh3 *s, const void *bytes, size_t len) {
    if (len) XXH3_128bits_update(s->state, bytes, len);
}

vk_hash128 vk_xxh3_digest128(const vk_xxh3 *s) {
    XXH128_hash_t h = XXH3_128bits_digest(s->state);
    return (vk_hash128){h.low64, h.high64};
}

uint64_t vk_xxh3_digest64(const vk_xxh3 *s) { return XXH3_64bits_digest(s->state); }

// MARK: libcrypto

static const EVP_MD *method(vk_digest_kind kind) {
    switch (kind) {
    case VK_DIGEST_SHA256: return EVP_sha256();
    case VK_DIGEST_SHA1: return EVP_sha1();
    case VK_DIGEST_MD5: return EVP_md5();
    case VK_DIGEST_SHA512: return EVP_sha512();
    case VK_DIGEST_SHA384: return EVP_sha384();
    }
    return NULL;
}

size_t vk_digest_size(vk_digest_kind kind) {
    const EVP_MD *md = method(kind);
    return md ? (size_t)EVP_MD_get_size(md) : 0;
}

bool vk_digest(vk_digest_kind kind, const void *bytes, size_t len, uint8_t *out) {
    const EVP_MD *md = method(kind);
    return md && EVP_Digest(len ? bytes : "", len, out, NULL, md, NULL) == 1;
}

struct vk_digester {
    EVP_MD_CTX *context;
    const EVP_MD *method;
};

vk_digester *vk_digester_new(vk_digest_kind kind) {
    const EVP_MD *md = method(kind);
    vk_digester *d = md ? malloc(sizeof *d) : NULL;
    if (!d) return NULL;
    d->method = md;
    d->context = EVP_MD_CTX_new();
    if (!d->context || EVP_DigestInit_ex(d->context, md, NULL) != 1) {
        vk_digester_free(d);
        return NULL;
    }
    return d;
}

void vk_digester_free(vk_digester *d) {
    if (!d) return;
    EVP_MD_CTX_free(d->context);
    free(d);
}

bool vk_digester_update(vk_digester *d, const void *bytes, size_t len) {
    return len == 0 || EVP_DigestUpdate(d->context, bytes, len) == 1;
}

bool vk_digester_finish(vk_digester *d, uint8_t *out) {
    return EVP_DigestFinal_ex(d->context, out, NULL) == 1 && EVP_DigestInit_ex(d->context, d->method, NULL) == 1;
}
