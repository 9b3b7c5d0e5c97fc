#ifndef VK_JSON_TRIE_HPP
#define VK_JSON_TRIE_HPP

#include <cstring>
#include <string>
#include <vector>

#include "include/vk_json.h"
#include "vk_internal.h"

/// A key on a path. After `freeze` the nodes stand in preorder, so the subtree of node i is [i, nodes[i].end).
struct vk_trie_node {
    std::string key;
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
    int32_t child = -1;
    uint32_t hash = 0;
    uint32_t length = 0;
    bool ignore_case = false;
    const uint8_t *key = nullptr;
};

struct vk_trie {
    std::vector<vk_trie_node> nodes = std::vector<vk_trie_node>(1);
    std::vector<vk_trie_lookup> lookups;
    std::vector<vk_trie_slot> slots;
    size_t cell_count = 0;
    bool frozen = false;

    static uint32_t hash(const uint8_t *key, size_t len) {
        uint32_t h = (uint32_t)len * 0x9E3779B1u;
        if (len) h ^= (uint32_t)vk_fold(key[0]) * 0x85EBCA6Bu ^ (uint32_t)vk_fold(key[len - 1]) * 0xC2B2AE35u
            ^ (uint32_t)vk_fold(key[len / 2]) * 0x27D4EB2Fu;
        return h ^ h >> 15;
    }

    static bool equal(const vk_trie_slot &slot, const uint8_t *key) {
        if (!slot.ignore_case) return std::memcmp(slot.key, key, slot.length) == 0;
        for (size_t i = 0; i < slot.length; i++) {
            if (vk_fold(key[i]) != slot.key[i]) return false;
        }
        return true;
    }

    /// The child of `node` that matches the key, -1 for none. A key may match an exact and a folded child: `second` is the other.
    __attribute__((always_inline)) int32_t find(uint32_t node, const uint8_t *key, size_t len, int32_t &second) const {
        const vk_trie_lookup &n = lookups[node];
        if (!(n.lengths >> (len & 63) & 1)) return -1;
        int32_t found = -1;
        const uint32_t h = hash(key, len);
        const vk_trie_slot *table = slots.data() + n.slot_begin;
        for (uint32_t i = h & n.slot_mask; table[i].child >= 0; i = (i + 1) & n.slot_mask) {
            if (table[i].hash != h || table[i].length != len || !equal(table[i], key)) continue;
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
