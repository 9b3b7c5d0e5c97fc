#define _GNU_SOURCE
#include "include/vk_place.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct vk_place_db {
    MMDB_s db;
    uint64_t hash[2];
};

static vk_place_db *fail(char *error, size_t size, const char *format, ...) {
    if (error && size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error, size, format, arguments);
        va_end(arguments);
    }
    return NULL;
}

// The whole file, in anonymous memory. A mapping of the file itself would end the process when somebody cuts it (`cp` over it does).
static int copy_of(int file, uint64_t hash[2], char *error, size_t error_size) {
    enum { CHUNK = 1 << 20 };
    int copy = memfd_create("vedette-places", MFD_CLOEXEC);
    uint8_t *buffer = malloc(CHUNK);
    XXH3_state_t *state = XXH3_createState();
    bool ok = false;
    if (copy < 0 || !buffer || !state || XXH3_128bits_reset(state) != XXH_OK) {
        fail(error, error_size, "no memory for it");
        goto done;
    }
    for (;;) {
        ssize_t n = read(file, buffer, CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            fail(error, error_size, "%s", strerror(errno));
            goto done;
        }
        if (n == 0) break;
        XXH3_128bits_update(state, buffer, (size_t)n);
        for (ssize_t at = 0; at < n;) {
            ssize_t w = write(copy, buffer + at, (size_t)(n - at));
            if (w < 0 && errno == EINTR) continue;
            if (w <= 0) {
                fail(error, error_size, "no memory for it");
                goto done;
            }
            at += w;
        }
    }
    XXH128_hash_t digest = XXH3_128bits_digest(state);
    hash[0] = digest.high64;
    hash[1] = digest.low64;
    ok = true;
done:
    XXH3_freeState(state);
    free(buffer);
    if (!ok && copy >= 0) {
        close(copy);
        copy = -1;
    }
    return copy;
}

vk_place_db *vk_place_open(const char *path, char *error, size_t error_size) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fail(error, error_size, "%s", strerror(errno));
    struct stat s;
    if (fstat(file, &s) != 0 || !S_ISREG(s.st_mode)) {
        close(file);
        return fail(error, error_size, "it is no file");
    }
    vk_place_db *p = calloc(1, sizeof *p);
    if (!p) {
        close(file);
        return fail(error, error_size, "no memory for it");
    }
    int copy = copy_of(file, p->hash, error, error_size);
    close(file);
    if (copy < 0) {
        free(p);
        return NULL;
    }
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", copy);
    int status = MMDB_open(name, MMDB_MODE_MMAP, &p->db);
    close(copy);
    if (status != MMDB_SUCCESS) {
        free(p);
        return fail(error, error_size, "it is no MaxMind database: %s", MMDB_strerror(status));
    }
    static const char *without[] = {"ASN", "ISP", "Domain", "Anonymous", "Connection-Type"};
    const char *type = p->db.metadata.database_type ? p->db.metadata.database_type : "";
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        if (strstr(type, without[i])) {
            vk_place_db *none = fail(error, error_size, "a database of type %.64s holds no places", type);
            vk_place_close(p);
            return none;
        }
    }
    return p;
}

void vk_place_close(vk_place_db *p) {
    if (!p) return;
    MMDB_close(&p->db);
    free(p);
}

void vk_place_hash(const vk_place_db *p, uint64_t out[2]) {
    out[0] = p->hash[0];
    out[1] = p->hash[1];
}

// 1: there is data, 0: none of this path, -1: corrupt.
static int value(MMDB_entry_s *entry, MMDB_entry_data_s *out, const char *const *path) {
    int status = MMDB_aget_value(entry, out, path);
    if (status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR) return 0;
    if (status != MMDB_SUCCESS) return -1;
    return out->has_data ? 1 : 0;
}

static int text(MMDB_entry_s *entry, const char *const *path, const char **out, size_t *len) {
    MMDB_entry_data_s data;
    int found = value(entry, &data, path);
    if (found == 1 && data.type == MMDB_DATA_TYPE_UTF8_STRING) {
        *out = data.utf8_string;
        *len = data.data_size;
    }
    return found < 0 ? -1 : 0;
}

static int number(MMDB_entry_s *entry, const char *const *path, double *out, bool *has) {
    MMDB_entry_data_s data;
    int found = value(entry, &data, path);
    if (found == 1 && (data.type == MMDB_DATA_TYPE_DOUBLE || data.type == MMDB_DATA_TYPE_FLOAT)) {
        *out = data.type == MMDB_DATA_TYPE_DOUBLE ? data.double_value : (double)data.float_value;
        *has = true;
    }
    return found < 0 ? -1 : 0;
}

int32_t vk_place_find(const vk_place_db *p, const uint8_t *address, size_t len, vk_place *out) {
    static const char *const country[] = {"country", "names", "en", NULL};
    static const char *const state[] = {"subdivisions", "0", "names", "en", NULL};
    static const char *const city[] = {"city", "names", "en", NULL};
    static const char *const latitude[] = {"location", "latitude", NULL};
    static const char *const longitude[] = {"location", "longitude", NULL};
    memset(out, 0, sizeof *out);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } where;
    memset(&where, 0, sizeof where);
    if (len == 4) {
        where.v4.sin_family = AF_INET;
        memcpy(&where.v4.sin_addr, address, 4);
    } else if (len == 16) {
        where.v6.sin6_family = AF_INET6;
        memcpy(&where.v6.sin6_addr, address, 16);
    } else {
        return 0;
    }
    int status = MMDB_SUCCESS;
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&p->db, &where.any, &status);
    if (status == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR) return 0;
    if (status != MMDB_SUCCESS) return -1;
    if (!found.found_entry) return 0;
    MMDB_entry_s *e = &found.entry;
    if (text(e, country, &out->country, &out->country_len) < 0 || text(e, state, &out->state, &out->state_len) < 0
        || text(e, city, &out->city, &out->city_len) < 0 || number(e, latitude, &out->latitude, &out->has_latitude) < 0
        || number(e, longitude, &out->longitude, &out->has_longitude) < 0)
        return -1;
    return 1;
}
