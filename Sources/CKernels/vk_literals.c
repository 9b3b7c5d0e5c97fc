#include "include/vk_literals.h"

#include <limits.h>
#include <stdlib.h>

#if defined(__x86_64__)

#include <hs/hs.h>

struct vk_literals {
    hs_database_t *database;
};

struct vk_literals_scratch {
    hs_scratch_t *scratch;
};

vk_literals *vk_literals_new(const uint8_t *const *texts, const size_t *lengths, size_t count) {
    if (count == 0 || count > UINT_MAX || hs_valid_platform() != HS_SUCCESS) return NULL;
    vk_literals *set = calloc(1, sizeof *set);
    unsigned *flags = calloc(count, sizeof *flags);
    unsigned *ids = calloc(count, sizeof *ids);
    hs_compile_error_t *error = NULL;
    bool ok = set && flags && ids;
    for (size_t i = 0; ok && i < count; i++) {
        ok = lengths[i] > 0;
        flags[i] = HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH;
        ids[i] = (unsigned)i;
    }
    if (ok) {
        ok = hs_compile_lit_multi((const char *const *)texts, flags, ids, lengths, (unsigned)count, HS_MODE_BLOCK, NULL, &set->database,
                                  &error) == HS_SUCCESS;
    }
    hs_free_compile_error(error);
    free(flags);
    free(ids);
    if (ok) return set;
    free(set);
    return NULL;
}

void vk_literals_free(vk_literals *set) {
    if (!set) return;
    hs_free_database(set->database);
    free(set);
}

uint8_t *vk_literals_save(const vk_literals *set, size_t *size) {
    char *bytes = NULL;
    *size = 0;
    // The library allocates with malloc unless told otherwise, and nobody here tells it.
    return hs_serialize_database(set->database, &bytes, size) == HS_SUCCESS ? (uint8_t *)bytes : NULL;
}

vk_literals *vk_literals_load(const uint8_t *bytes, size_t size) {
    if (size == 0 || hs_valid_platform() != HS_SUCCESS) return NULL;
    vk_literals *set = calloc(1, sizeof *set);
    if (set && hs_deserialize_database((const char *)bytes, size, &set->database) == HS_SUCCESS) return set;
    free(set);
    return NULL;
}

const char *vk_literals_engine(void) { return hs_version(); }

vk_literals_scratch *vk_literals_scratch_new(const vk_literals *set) {
    vk_literals_scratch *s = calloc(1, sizeof *s);
    if (s && hs_alloc_scratch(set->database, &s->scratch) == HS_SUCCESS) return s;
    free(s);
    return NULL;
}

void vk_literals_scratch_free(vk_literals_scratch *scratch) {
    if (!scratch) return;
    hs_free_scratch(scratch->scratch);
    free(scratch);
}

typedef struct {
    uint32_t *found;
    size_t cap;
    size_t count;
} hits;

static int note(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
    (void)from, (void)to, (void)flags;
    hits *h = context;
    if (h->count < h->cap) h->found[h->count] = id;
    h->count++;
    return 0;
}

size_t vk_literals_scan(
    const vk_literals *set, vk_literals_scratch *scratch, const uint8_t *text, size_t len, uint32_t *found, size_t cap) {
    if (len > UINT_MAX) return SIZE_MAX;
    if (len == 0) return 0;
    hits h = {found, cap, 0};
    if (hs_scan(set->database, (const char *)text, (unsigned)len, 0, scratch->scratch, note, &h) != HS_SUCCESS) return SIZE_MAX;
    return h.count;
}

#else

vk_literals *vk_literals_new(const uint8_t *const *texts, const size_t *lengths, size_t count) {
    (void)texts, (void)lengths, (void)count;
    return NULL;
}

void vk_literals_free(vk_literals *set) { (void)set; }

uint8_t *vk_literals_save(const vk_literals *set, size_t *size) {
    (void)set;
    *size = 0;
    return NULL;
}

vk_literals *vk_literals_load(const uint8_t *bytes, size_t size) {
    (void)bytes, (void)size;
    return NULL;
}

const char *vk_literals_engine(void) { return ""; }

vk_literals_scratch *vk_literals_scratch_new(const vk_literals *set) {
    (void)set;
    return NULL;
}

void vk_literals_scratch_free(vk_literals_scratch *scratch) { (void)scratch; }

size_t vk_literals_scan(
    const vk_literals *set, vk_literals_scratch *scratch, const uint8_t *text, size_t len, uint32_t *found, size_t cap) {
    (void)set, (void)scratch, (void)text, (void)len, (void)found, (void)cap;
    return SIZE_MAX;
}

#endif
