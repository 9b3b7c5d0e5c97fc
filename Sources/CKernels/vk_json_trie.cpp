#include "vk_json_trie.hpp"

#include <new>

namespace {

/// Copies the subtree of `from` behind `to`, in preorder.
void append_preorder(const std::vector<vk_trie_node> &from, uint32_t root, std::vector<vk_trie_node> &to) {
    // (node, index of the next child): paths are at most 256 segments deep, so is this stack.
    std::vector<std::pair<uint32_t, size_t>> stack;
    std::vector<uint32_t> placed;
    auto place = [&](uint32_t node) {
        placed.push_back((uint32_t)to.size());
        to.push_back(from[node]);
        to.back().children.clear();
        stack.emplace_back(node, 0);
    };
    place(root);
    while (!stack.empty()) {
        uint32_t node = stack.back().first;
        if (stack.back().second < from[node].children.size()) {
            uint32_t child = from[node].children[stack.back().second++];
            to[placed.back()].children.push_back((uint32_t)to.size());
            place(child);
        } else {
            to[placed.back()].end = (uint32_t)to.size();
            stack.pop_back();
            placed.pop_back();
        }
    }
}

}  // namespace

extern "C" vk_trie *vk_trie_new(void) {
    try {
        return new vk_trie();
    } catch (...) {
        return nullptr;
    }
}

extern "C" void vk_trie_free(vk_trie *trie) { delete trie; }

extern "C" int32_t vk_trie_add(vk_trie *trie, const uint8_t *const *segments, const size_t *lengths, size_t n, uint32_t leaf,
                               uint32_t flags) {
    if (trie->frozen || n == 0 || n > 256 || leaf > 0xFFFF) return -1;
    try {
        bool ignore_case = flags & VK_TRIE_IGNORE_CASE;
        uint32_t at = 0;
        for (size_t i = 0; i < n; i++) {
            std::string key(reinterpret_cast<const char *>(segments[i]), lengths[i]);
            if (ignore_case) {
                for (char &c : key) c = (char)vk_fold((uint8_t)c);
            }
            uint32_t next = 0;
            for (uint32_t child : trie->nodes[at].children) {
                if (trie->nodes[child].ignore_case == ignore_case && trie->nodes[child].length == key.size()
                    && trie->nodes[child].key.compare(0, key.size(), key) == 0) next = child;
            }
            if (next == 0) {
                next = (uint32_t)trie->nodes.size();
                trie->nodes.emplace_back();
                trie->nodes[next].length = lengths[i];
                trie->nodes[next].key = key + std::string(8, '\0');
                trie->nodes[next].spelling = std::string(reinterpret_cast<const char *>(segments[i]), lengths[i]) + std::string(8, '\0');
                trie->nodes[next].ignore_case = ignore_case;
                trie->nodes[at].children.push_back(next);
            }
            at = next;
        }
        vk_trie_node &node = trie->nodes[at];
        if (node.leaf < 0) node.leaf = (int32_t)leaf;
        if ((size_t)node.leaf + 1 > trie->cell_count) trie->cell_count = (size_t)node.leaf + 1;
        return node.leaf;
    } catch (...) {
        return -1;
    }
}

extern "C" bool vk_trie_freeze(vk_trie *trie) {
    if (trie->frozen) return true;
    try {
        std::vector<vk_trie_node> ordered;
        ordered.reserve(trie->nodes.size());
        append_preorder(trie->nodes, 0, ordered);
        std::vector<vk_trie_slot> slots;
        std::vector<vk_trie_lookup> lookups(ordered.size());
        for (size_t i = 0; i < ordered.size(); i++) {
            const vk_trie_node &node = ordered[i];
            vk_trie_lookup &lookup = lookups[i];
            uint32_t size = 1;
            while (size < 2 * node.children.size() + 1) size *= 2;
            lookup.slot_begin = (uint32_t)slots.size();
            lookup.slot_mask = size - 1;
            slots.resize(slots.size() + size);
            for (uint32_t child : node.children) {
                // Moving the vector of nodes later leaves each node, and so its key's bytes, where they are.
                const vk_trie_node &c = ordered[child];
                const uint8_t *key = reinterpret_cast<const uint8_t *>(c.key.data());
                const uint8_t *spelling = reinterpret_cast<const uint8_t *>(c.spelling.data());
                const uint64_t prefix = vk_trie::prefix(spelling, c.length), folded = prefix | vk_trie::fold_bits;
                lookup.lengths |= 1ull << (c.length & 63);
                uint32_t slot = vk_trie::hash(folded, c.length) & lookup.slot_mask;
                while (slots[lookup.slot_begin + slot].child >= 0) slot = (slot + 1) & lookup.slot_mask;
                slots[lookup.slot_begin + slot] =
                    vk_trie_slot{prefix, folded, (uint32_t)c.length, (int32_t)child, c.ignore_case, spelling, key};
            }
        }
        trie->nodes = std::move(ordered);
        trie->lookups = std::move(lookups);
        trie->slots = std::move(slots);
        trie->frozen = true;
        return true;
    } catch (...) {
        return false;
    }
}

extern "C" size_t vk_trie_cell_count(const vk_trie *trie) { return trie->cell_count; }
