#ifndef CSIMDJSON_H
#define CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// simdjson's DOM as the oracle of our own JSON readers: tests only.

typedef enum csj_status : int32_t {
    CSJ_OK = 0,
    /// Not UTF-8.
    CSJ_BAD_UTF8 = 1,
    /// A string that does not end.
    CSJ_UNCLOSED_STRING = 2,
    /// Refused for any other reason; some of these are tolerated by vk_json.
    CSJ_OTHER = 3,
} csj_status;

/// Reads a document and writes it in a form that shows types and exact values:
/// `n` null, `t` true, `f` false, `i<decimal>;` an integer that fits int64, `r<16 hex digits of the double>;` any other number,
/// `s<length>:<bytes>` a string, `[`...`]` an array, `{`(`s` key, value)...`}` an object, whose repeated keys stand once, at the first
/// place, with the last value. `out` is allocated with malloc. On any status but OK nothing is written.
csj_status csj_flatten(const uint8_t *bytes, size_t length, char **out, size_t *out_length);

#ifdef __cplusplus
}
#endif

#endif
