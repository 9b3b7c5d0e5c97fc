#ifndef VK_INTERNAL_H
#define VK_INTERNAL_H

#include "include/vk_common.h"

#if defined(__x86_64__)
#define VK_X86 1
#define VK_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))
#define VK_AVX512 \
    __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2")))
#else
#define VK_X86 0
#endif

VK_BEGIN

/// Whether the AVX2 kernels are to be used (asked once of the CPU, then one relaxed load).
bool vk_use_avx2(void);
/// Whether the AVX-512 kernels (with VBMI2) are to be used; then ``vk_use_avx2`` holds as well.
bool vk_use_avx512(void);

VK_END

static inline uint8_t vk_fold(uint8_t c) { return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c; }

static inline bool vk_is_term(uint8_t c) {
    return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 0x20) - 'a') < 26 || c >= 0x80;
}

#endif
