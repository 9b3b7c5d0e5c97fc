#include "include/vk_kernels.h"

#include <stdatomic.h>
#include <string.h>

#include "vk_internal.h"

#if VK_X86
#include <immintrin.h>
#endif

// MARK: dispatch

/// 0: not asked yet, 1: portable, 2: AVX2, 3: AVX-512.
static _Atomic int simd_level;

static int detect(void) {
#if VK_X86
    __builtin_cpu_init();
    bool all = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
        && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
    if (!all) return 1;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
    return wide ? 3 : 2;
#else
    return 1;
#endif
}

static int level(void) {
    int found = atomic_load_explicit(&simd_level, memory_order_relaxed);
    if (found == 0) {
        found = detect();
        atomic_store_explicit(&simd_level, found, memory_order_relaxed);
    }
    return found;
}

bool vk_use_avx2(void) { return level() >= 2; }

bool vk_use_avx512(void) { return level() >= 3; }

void vk_set_simd(bool on) { vk_limit_simd(on ? 3 : 1); }

void vk_limit_simd(int most) {
    int found = detect();
    atomic_store_explicit(&simd_level, most < 1 ? 1 : most < found ? most : found, memory_order_relaxed);
}

const char *vk_simd_name(void) { return vk_use_avx512() ? "avx512" : vk_use_avx2() ? "avx2" : "portable"; }

// MARK: comparisons

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define DEFINE_TEST(name, type)                                                                                                          \
    ALWAYS_INLINE bool name(vk_compare op, type a, type b) {                                                                             \
        switch (op) {                                                                                                                    \
        case VK_EQ: return a == b;                                                                                                       \
        case VK_NE: return a != b;                                                                                                       \
        case VK_LT: return a < b;                                                                                                        \
        case VK_LE: return a <= b;                                                                                                       \
        case VK_GT: return a > b;                                                                                                        \
        case VK_GE: return a >= b;                                                                                                       \
        }                                                                                                                                \
        return false;                                                                                                                    \
    }
DEFINE_TEST(test_i64, int64_t)
DEFINE_TEST(test_f64, double)

/// Fills rows [from, n) of a bitmap, `from` a multiple of 64, by `test` of row i.
#define FILL_BITS(from, n, bits, test)                                                                                                   \
    for (size_t row = (from); row < (n); row += 64) {                                                                                    \
        uint64_t word = 0;                                                                                                               \
        size_t rows = (n) - row < 64 ? (n) - row : 64;                                                                                   \
        for (size_t j = 0; j < rows; j++) {                                                                                              \
            size_t i = row + j;                                                                                                          \
            word |= (uint64_t)(test) << j;                                                                                               \
        }                                                                                                                                \
        (bits)[row >> 6] = word;                                                                                                         \
    }

#if VK_X86
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define SIGNS(v) ((uint64_t)(uint32_t)_mm256_movemask_pd(v))

/// Rows done: whole words only. `step` is 1 for a column on the right side, 0 for a constant.
VK_AVX2 ALWAYS_INLINE size_t words_i64(vk_compare op, const int64_t *a, const int64_t *b, size_t step, size_t n, uint64_t *bits) {
    size_t row = 0;
    const __m256i constant = _mm256_set1_epi64x(b[0]);
    for (; row + 64 <= n; row += 64) {
        uint64_t word = 0;
        for (size_t j = 0; j < 64; j += 4) {
            __m256i x = LOAD(a + row + j), y = step ? LOAD(b + row + j) : constant, r;
            if (op == VK_EQ || op == VK_NE) r = _mm256_cmpeq_epi64(x, y);
            else if (op == VK_GT || op == VK_LE) r = _mm256_cmpgt_epi64(x, y);
            else r = _mm256_cmpgt_epi64(y, x);
            word |= SIGNS(_mm256_castsi256_pd(r)) << j;
        }
        bits[row >> 6] = op == VK_NE || op == VK_LE || op == VK_GE ? ~word : word;
    }
    return row;
}

#define WORDS_F64(name, predicate)                                                                                                       \
    VK_AVX2 ALWAYS_INLINE size_t name(const double *a, const double *b, size_t step, size_t n, uint64_t *bits) {                         \
        size_t row = 0;                                                                                                                  \
        const __m256d constant = _mm256_set1_pd(b[0]);                                                                                   \
        for (; row + 64 <= n; row += 64) {                                                                                               \
            uint64_t word = 0;                                                                                                           \
            for (size_t j = 0; j < 64; j += 4) {                                                                                         \
                __m256d x = _mm256_loadu_pd(a + row + j), y = step ? _mm256_loadu_pd(b + row + j) : constant;                            \
                word |= SIGNS(_mm256_cmp_pd(x, y, predicate)) << j;                                                                      \
            }                                                                                                                            \
            bits[row >> 6] = word;                                                                                                       \
        }                                                                                                                                \
        return row;                                                                                                                      \
    }
WORDS_F64(words_f64_eq, _CMP_EQ_OQ)
WORDS_F64(words_f64_ne, _CMP_NEQ_UQ)
WORDS_F64(words_f64_lt, _CMP_LT_OQ)
WORDS_F64(words_f64_le, _CMP_LE_OQ)
WORDS_F64(words_f64_gt, _CMP_GT_OQ)
WORDS_F64(words_f64_ge, _CMP_GE_OQ)

VK_AVX2 static size_t compare_i64_avx2(vk_compare op, const int64_t *a, const int64_t *b, size_t step, size_t n, uint64_t *bits) {
    switch (op) {
    case VK_EQ: return step ? words_i64(VK_EQ, a, b, 1, n, bits) : words_i64(VK_EQ, a, b, 0, n, bits);
    case VK_NE: return step ? words_i64(VK_NE, a, b, 1, n, bits) : words_i64(VK_NE, a, b, 0, n, bits);
    case VK_LT: return step ? words_i64(VK_LT, a, b, 1, n, bits) : words_i64(VK_LT, a, b, 0, n, bits);
    case VK_LE: return step ? words_i64(VK_LE, a, b, 1, n, bits) : words_i64(VK_LE, a, b, 0, n, bits);
    case VK_GT: return step ? words_i64(VK_GT, a, b, 1, n, bits) : words_i64(VK_GT, a, b, 0, n, bits);
    case VK_GE: return step ? words_i64(VK_GE, a, b, 1, n, bits) : words_i64(VK_GE, a, b, 0, n, bits);
    }
    return 0;
}

VK_AVX2 static size_t compare_f64_avx2(vk_compare op, const double *a, const double *b, size_t step, size_t n, uint64_t *bits) {
    switch (op) {
    case VK_EQ: return step ? words_f64_eq(a, b, 1, n, bits) : words_f64_eq(a, b, 0, n, bits);
    case VK_NE: return step ? words_f64_ne(a, b, 1, n, bits) : words_f64_ne(a, b, 0, n, bits);
    case VK_LT: return step ? words_f64_lt(a, b, 1, n, bits) : words_f64_lt(a, b, 0, n, bits);
    case VK_LE: return step ? words_f64_le(a, b, 1, n, bits) : words_f64_le(a, b, 0, n, bits);
    case VK_GT: return step ? words_f64_gt(a, b, 1, n, bits) : words_f64_gt(a, b, 0, n, bits);
    case VK_GE: return step ? words_f64_ge(a, b, 1, n, bits) : words_f64_ge(a, b, 0, n, bits);
    }
    return 0;
}

VK_AVX2 static size_t between_i64_avx2(const int64_t *a, size_t n, int64_t low, int64_t high, uint64_t *bits) {
    const __m256i low_v = _mm256_set1_epi64x(low), high_v = _mm256_set1_epi64x(high);
    size_t row = 0;
    for (; row + 64 <= n; row += 64) {
        uint64_t outside = 0;
        for (size_t j = 0; j < 64; j += 4) {
            __m256i x = LOAD(a + row + j);
            __m256i r = _mm256_or_si256(_mm256_cmpgt_epi64(low_v, x), _mm256_cmpgt_epi64(x, high_v));
            outside |= SIGNS(_mm256_castsi256_pd(r)) << j;
        }
        bits[row >> 6] = ~outside;
    }
    return row;
}

VK_AVX2 static size_t between_f64_avx2(const double *a, size_t n, double low, double high, uint64_t *bits) {
    const __m256d low_v = _mm256_set1_pd(low), high_v = _mm256_set1_pd(high);
    size_t row = 0;
    for (; row + 64 <= n; row += 64) {
        uint64_t word = 0;
        for (size_t j = 0; j < 64; j += 4) {
            __m256d x = _mm256_loadu_pd(a + row + j);
            __m256d r = _mm256_and_pd(_mm256_cmp_pd(x, low_v, _CMP_GE_OQ), _mm256_cmp_pd(x, high_v, _CMP_LE_OQ));
            word |= SIGNS(r) << j;
        }
        bits[row >> 6] = word;
    }
    return row;
}

VK_AVX2 static size_t code_equals_avx2(const uint32_t *codes, size_t n, uint32_t code, uint64_t *bits) {
    const __m256i v = _mm256_set1_epi32((int)code);
    size_t row = 0;
    for (; row + 64 <= n; row += 64) {
        uint64_t word = 0;
        for (size_t j = 0; j < 64; j += 8) {
            __m256 r = _mm256_castsi256_ps(_mm256_cmpeq_epi32(LOAD(codes + row + j), v));
            word |= (uint64_t)(uint32_t)_mm256_movemask_ps(r) << j;
        }
        bits[row >> 6] = word;
    }
    return row;
}

/// Codes outside are looked up at 0 and masked away.
VK_AVX2 static size_t lookup_bits_avx2(const uint32_t *codes, size_t n, const uint64_t *table, uint32_t last, uint64_t *bits) {
    const __m256i last_v = _mm256_set1_epi32((int)last);
    size_t row = 0;
    for (; row + 64 <= n; row += 64) {
        uint64_t word = 0;
        for (size_t j = 0; j < 64; j += 8) {
            __m256i c = LOAD(codes + row + j);
            __m256i inside = _mm256_cmpeq_epi32(_mm256_min_epu32(c, last_v), c);
            c = _mm256_and_si256(c, inside);
            __m256i words = _mm256_i32gather_epi32((const int *)(const void *)table, _mm256_srli_epi32(c, 5), 4);
            __m256i bit = _mm256_sllv_epi32(words, _mm256_sub_epi32(_mm256_set1_epi32(31),
                                                                     _mm256_and_si256(c, _mm256_set1_epi32(31))));
            word |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_and_si256(bit, inside))) << j;
        }
        bits[row >> 6] = word;
    }
    return row;
}

VK_AVX2 static size_t count_avx2(const uint64_t *a, size_t words) {
    size_t n = 0;
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(a[i]);
    return n;
}

VK_AVX2 static size_t indices_avx2(const uint64_t *a, size_t words, uint32_t *out) {
    size_t n = 0;
    for (size_t i = 0; i < words; i++) {
        for (uint64_t word = a[i]; word; word = _blsr_u64(word)) out[n++] = (uint32_t)(i * 64 + (size_t)_tzcnt_u64(word));
    }
    return n;
}
#endif

#if VK_X86
#define AVX2_ROWS(call) (n >= 64 && vk_use_avx2() ? (call) : 0)
#else
#define AVX2_ROWS(call) ((size_t)0)
#endif

void vk_compare_i64(vk_compare op, const int64_t *values, size_t n, int64_t constant, uint64_t *bits) {
    size_t from = AVX2_ROWS(compare_i64_avx2(op, values, &constant, 0, n, bits));
    FILL_BITS(from, n, bits, test_i64(op, values[i], constant))
}

void vk_compare_f64(vk_compare op, const double *values, size_t n, double constant, uint64_t *bits) {
    size_t from = AVX2_ROWS(compare_f64_avx2(op, values, &constant, 0, n, bits));
    FILL_BITS(from, n, bits, test_f64(op, values[i], constant))
}

void vk_compare_columns_i64(vk_compare op, const int64_t *a, const int64_t *b, size_t n, uint64_t *bits) {
    size_t from = AVX2_ROWS(compare_i64_avx2(op, a, b, 1, n, bits));
    FILL_BITS(from, n, bits, test_i64(op, a[i], b[i]))
}

void vk_compare_columns_f64(vk_compare op, const double *a, const double *b, size_t n, uint64_t *bits) {
    size_t from = AVX2_ROWS(compare_f64_avx2(op, a, b, 1, n, bits));
    FILL_BITS(from, n, bits, test_f64(op, a[i], b[i]))
}

void vk_between_i64(const int64_t *values, size_t n, int64_t low, int64_t high, uint64_t *bits) {
    size_t from = AVX2_ROWS(between_i64_avx2(values, n, low, high, bits));
    FILL_BITS(from, n, bits, (values[i] >= low) & (values[i] <= high))
}

void vk_between_f64(const double *values, size_t n, double low, double high, uint64_t *bits) {
    size_t from = AVX2_ROWS(between_f64_avx2(values, n, low, high, bits));
    FILL_BITS(from, n, bits, (values[i] >= low) & (values[i] <= high))
}

void vk_code_equals(const uint32_t *codes, size_t n, uint32_t code, uint64_t *bits) {
    size_t from = AVX2_ROWS(code_equals_avx2(codes, n, code, bits));
    FILL_BITS(from, n, bits, codes[i] == code)
}

void vk_code_lookup_bits(const uint32_t *codes, size_t n, const uint64_t *table, size_t table_count, uint64_t *bits) {
    size_t from = 0;
#if VK_X86
    if (n >= 64 && table_count > 0 && table_count <= (1u << 30) && vk_use_avx2()) {
        from = lookup_bits_avx2(codes, n, table, (uint32_t)(table_count - 1), bits);
    }
#endif
    FILL_BITS(from, n, bits, codes[i] < table_count && (table[codes[i] >> 6] >> (codes[i] & 63) & 1))
}

void vk_code_lookup_bytes(const uint32_t *codes, size_t n, const uint8_t *table, size_t table_count, uint64_t *bits) {
    FILL_BITS(0, n, bits, codes[i] < table_count && table[codes[i]] != 0)
}

// MARK: bitmaps

void vk_bits_and(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out) {
    for (size_t i = 0; i < words; i++) out[i] = a[i] & b[i];
}

void vk_bits_or(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out) {
    for (size_t i = 0; i < words; i++) out[i] = a[i] | b[i];
}

void vk_bits_andnot(const uint64_t *a, const uint64_t *b, size_t words, uint64_t *out) {
    for (size_t i = 0; i < words; i++) out[i] = a[i] & ~b[i];
}

static void clear_tail(uint64_t *bits, size_t rows) {
    if (rows & 63) bits[rows >> 6] &= (1ull << (rows & 63)) - 1;
}

void vk_bits_not(const uint64_t *a, size_t rows, uint64_t *out) {
    for (size_t i = 0; i < (rows + 63) / 64; i++) out[i] = ~a[i];
    clear_tail(out, rows);
}

void vk_bits_fill(uint64_t *out, size_t rows, bool value) {
    for (size_t i = 0; i < (rows + 63) / 64; i++) out[i] = value ? ~0ull : 0;
    clear_tail(out, rows);
}

size_t vk_bits_count(const uint64_t *a, size_t words) {
#if VK_X86
    if (vk_use_avx2()) return count_avx2(a, words);
#endif
    size_t n = 0;
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(a[i]);
    return n;
}

bool vk_bits_any(const uint64_t *a, size_t words) {
    for (size_t i = 0; i < words; i++) {
        if (a[i]) return true;
    }
    return false;
}

size_t vk_bits_indices(const uint64_t *a, size_t words, uint32_t *out) {
#if VK_X86
    if (vk_use_avx2()) return indices_avx2(a, words, out);
#endif
    size_t n = 0;
    for (size_t i = 0; i < words; i++) {
        for (uint64_t word = a[i]; word; word &= word - 1) out[n++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(word));
    }
    return n;
}
