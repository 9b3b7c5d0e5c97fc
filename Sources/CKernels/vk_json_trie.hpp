#ifndef VK_JSON_TRIE_HPP
#define VK_JSON_TRIE_HPP

#include <cstring>
#include <string>
#include <vector>

#include "include/vk_json.h"
#include "vk_internal.h"

/// A key on a path. After `freeze` the nodes stand in preorder, so the subtree of node i is [i, nodes[i].end).
struct vk_trie_node {
    /// Lower case with `ignore_case`; `spelling` is what was first given. Both have eight more bytes behind `length`.
    std::string key;
    std::string spelling;
    size_t length = 0;
    bool ignore_case = false;
    int32_t leaf = -1;
    uint32_t end = 0;
    std::vector<uint32_t> children;
};

/// Where to look up the children of a node.
struct vk_trie_lookup {
    /// Bit `length & 63` of every child key: most keys of a record fail here.
    uint64_t lengths = 0;
    /// The node's part of `slots`: open addressing, `slot_mask + 1` entries, at most half full.
    uint32_t slot_begin = 0;
    uint32_t slot_mask = 0;
};

/// One entry of a node's hash table; `child` -1: free.
struct vk_trie_slot {
    /// The first eight bytes of the key as it was spelled, and with bit 5 of each byte set.
    uint64_t prefix = 0;
    uint64_t folded = 0;
    uint32_t length = 0;
    int32_t child = -1;
    bool ignore_case = false;
    /// As spelled, and in lower case.
    const uint8_t *spelling = nullptr;
    const uint8_t *key = nullptr;
};

struct vk_trie {
    std::vector<vk_trie_node> nodes = std::vector<vk_trie_node>(1);
    std::vector<vk_trie_lookup> lookups;
    std::vector<vk_trie_slot> slots;
    size_t cell_count = 0;
    bool frozen = false;

    static constexpr uint64_t fold_bits = 0x2020202020202020ull;

    /// The first eight bytes, zeros behind a shorter key. Eight bytes must be readable.
    static uint64_t prefix(const uint8_t *key, size_t len) {
        uint64_t x;
        std::memcpy(&x, key, 8);
        return len >= 8 ? x : x & ((1ull << 8 * len) - 1);
    }

    static uint32_t hash(uint64_t folded, size_t len) {
        return (uint32_t)((folded ^ (uint64_t)len * 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull >> 40);
    }

    /// Whether two texts of the same length, at least 8, whose first 8 bytes are equal, are.
    static bool same_rest(const uint8_t *a, const uint8_t *b, size_t len) {
        uint64_t x, y;
        for (size_t i = 8; i + 8 <= len; i += 8) {
            std::memcpy(&x, a + i, 8);
            std::memcpy(&y, b + i, 8);
            if (x != y) return false;
        }
        std::memcpy(&x, a + len - 8, 8);
        std::memcpy(&y, b + len - 8, 8);
        return x == y;
    }

    static bool equal(const vk_trie_slot &slot, const uint8_t *key, size_t len, uint64_t prefix) {
        if (prefix == slot.prefix && (len <= 8 || same_rest(slot.spelling, key, len))) return true;
        if (!slot.ignore_case) return false;
        for (size_t i = 0; i < len; i++) {
            if (vk_fold(key[i]) != slot.key[i]) return false;
        }
        return true;
    }

    /// The child of `node` that matches the key, -1 for none. A key may match an exact and a folded child: `second` is the other.
    /// Eight bytes from `key` on must be readable.
    __attribute__((always_inline)) int32_t find(uint32_t node, const uint8_t *key, size_t len, int32_t &second) const {
        const vk_trie_lookup &n = lookups[node];
        if (!(n.lengths >> (len & 63) & 1)) return -1;
        int32_t found = -1;
        const uint64_t first = prefix(key, len), folded = first | fold_bits;
        const vk_trie_slot *table = slots.data() + n.slot_begin;
        for (uint32_t i = hash(folded, len) & n.slot_mask; table[i].child >= 0; i = (i + 1) & n.slot_mask) {
            if (table[i].folded != folded || table[i].length != len || !equal(table[i], key, len, first)) continue;
            if (found >= 0) {
                second = table[i].child;
                break;
            }
            found = table[i].child;
        }
        return found;
    }
};

#endif
