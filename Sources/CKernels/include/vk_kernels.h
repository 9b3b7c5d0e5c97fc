#ifndef VK_KERNELS_H
#define VK_KERNELS_H

#include "vk_common.h"

VK_BEGIN

// Batch kernels from columns to bitmaps, and on bitmaps. AVX2 where the machine has it.

typedef enum vk_compare : int32_t {
    VK_EQ = 0,
    VK_NE = 1,
    VK_LT = 2,
    VK_LE = 3,
    VK_GT = 4,
    VK_GE = 5,
} vk_compare;

/// values[i] op constant.
void vk_compare_i64(vk_compare op, const int64_t *values, size_t n, int64_t constant, uint64_t *bits);
/// values[i] op constant in IEEE order: a NaN on either side gives false, for VK_NE true.
void vk_compare_f64(vk_compare op, const double *values, size_t n, double constant, uint64_t *bits);
/// low <= values[i] <= high.
void vk_between_i64(const int64_t *values, size_t n, int64_t low, int64_t high, uint64_t *bits);
void vk_between_f64(const double *values, size_t n, double low, double high, uint64_t *bits);
/// a[i] op b[i].
void vk_compare_columns_i64(vk_compare op, const int64_t *a, const int64_t *b, size_t n, uint64_t *bits);
void vk_compare_columns_f64(vk_compare op, const double *a, const double *b, size_t n, uint64_t *bits);

/// codes[i] == code.
void vk_code_equals(const uint32_t *codes, size_t n, uint32_t code, uint64_t *bits);
/// Bit codes[i] of `table`, a bitmap of `table_count` rows; false for codes outside.
void vk_code_lookup_bits(const uint32_t *codes, size_t n, const uint64_t *table, size_t table_count, uint64_t *bits);
/// table[codes[i]] != 0; false for codes outside.
void vk_code_lookup_bytes(const uint32_t *codes, size_t n, const uint8_t *table, size_t table_count, uint64_t *bits);

// Bitmaps, by words. `out` may be one of the inputs.
void vk_bits_and(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out);
void vk_bits_or(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out);
/// a and not b.
void vk_bits_andnot(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out);
/// The complement over `rows` rows; bits behind them stay zero.
void vk_bits_not(const uint64_t *a, size_t rows, uint64_t *out);
/// The first `rows` rows one, bits behind them zero.
void vk_bits_fill(uint64_t *out, size_t rows, bool value);
size_t vk_bits_count(const uint64_t *a, size_t words);
bool vk_bits_any(const uint64_t *a, size_t words);
/// Writes the indices of set bits, ascending; `out` must hold vk_bits_count of them. Returns their number.
size_t vk_bits_indices(const uint64_t *a, size_t words, uint32_t *out);

/// Turns AVX2 and AVX-512 off (tests), or on again where the machine has them, for every vk_ kernel of the process.
void vk_set_simd(bool on);
/// The most that kernels may use (tests): 1 portable, 2 AVX2, 3 AVX-512.
void vk_limit_simd(int most);
/// "avx512", "avx2" or "portable".
const char *vk_simd_name(void);

VK_END

#endif
