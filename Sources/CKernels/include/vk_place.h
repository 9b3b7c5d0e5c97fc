#ifndef VK_PLACE_H
#define VK_PLACE_H

#include "vk_common.h"

VK_BEGIN

// Where addresses are: MaxMind databases (libmaxminddb).

/// An open database: never changes, any number of threads may look things up.
typedef struct vk_place_db vk_place_db;

/// What is known of an address. Texts are UTF-8 inside the database, without a terminator; NULL where not known.
typedef struct vk_place {
    const char *country;
    const char *state;
    const char *city;
    size_t country_len;
    size_t state_len;
    size_t city_len;
    double latitude;
    double longitude;
    bool has_latitude;
    bool has_longitude;
} vk_place;

/// Opens a copy of the file that is mapped into memory, so that nobody can change or cut it below the reader. NULL: `error` says why.
vk_place_db *vk_place_open(const char *path, char *error, size_t error_size);
void vk_place_close(vk_place_db *db);
/// XXH3 of the whole file.
void vk_place_hash(const vk_place_db *db, uint64_t out[2]);
/// Looks up an address in network order, of 4 or 16 bytes. 1: found, 0: not in the database, -1: the database is corrupt.
int32_t vk_place_find(const vk_place_db *db, const uint8_t *address, size_t len, vk_place *out);

VK_END

#endif
