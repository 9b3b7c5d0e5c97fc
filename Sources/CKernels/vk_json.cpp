#include "include/vk_json.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#include "vk_blocks.h"
#include "vk_json_index.h"
#include "vk_json_trie.hpp"

// Stage 2: one walk over the structural index that checks the whole grammar and fills the cells on the way.
//
// Invariants: the offsets in `positions[0..<count]` ascend and are below `len`; quotes come in pairs with nothing between them; `k` is the
// first entry at or behind `p`.

namespace {

constexpr uint32_t max_depth_limit = 1024;

bool blank(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

struct frame {
    /// The trie node whose children the keys of this object match, -1 for none.
    int32_t node;
    /// The cell of the container itself, -1 for none.
    int32_t leaf;
    uint32_t begin;
    bool is_array;
};

/// A value to walk again, because its key matched a second node.
struct revisit {
    uint32_t node;
    uint32_t position;
    uint32_t entry;
};

bool digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

/// Reads a JSON number; false when it is not one.
bool read_number(const uint8_t *s, size_t len, vk_cell &cell) {
    size_t i = 0;
    bool negative = len && s[0] == '-';
    if (negative) i++;
    if (i == len || !digit(s[i])) return false;
    uint64_t value = 0;
    bool fits = true;
    if (s[i] == '0') {
        i++;
    } else {
        size_t begin = i;
        for (; i < len && digit(s[i]); i++) value = value * 10 + (uint64_t)(s[i] - '0');
        // Nineteen digits cannot overflow 64 bits.
        fits = i - begin <= 19;
    }
    bool integer = true;
    if (i < len && s[i] == '.') {
        integer = false;
        size_t begin = ++i;
        while (i < len && digit(s[i])) i++;
        if (i == begin) return false;
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        integer = false;
        i++;
        if (i < len && (s[i] == '+' || s[i] == '-')) i++;
        size_t begin = i;
        while (i < len && digit(s[i])) i++;
        if (i == begin) return false;
    }
    if (i != len) return false;
    if (integer && fits && value <= (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        cell.type = VK_CELL_INTEGER;
        cell.integer = (int64_t)(negative ? 0 - value : value);
        cell.real = (double)cell.integer;
        return true;
    }
    cell.type = VK_CELL_REAL;
    double real = 0;
    const char *begin = reinterpret_cast<const char *>(s);
    auto result = std::from_chars(begin, begin + len, real);
    if (result.ec == std::errc::result_out_of_range) {
        // Too large or too small: judged by the exponent of the first significant digit.
        int64_t scale = 0, exponent = 0;
        bool seen = false, fraction = false, exponent_negative = false;
        size_t j = negative ? 1 : 0;
        for (; j < len && (digit(s[j]) || s[j] == '.'); j++) {
            if (s[j] == '.') {
                fraction = true;
            } else if (!seen && s[j] == '0') {
                if (fraction) scale--;
            } else {
                seen = true;
                if (!fraction) scale++;
            }
        }
        if (j < len) {
            j++;
            if (j < len && (s[j] == '+' || s[j] == '-')) exponent_negative = s[j++] == '-';
            for (; j < len; j++) {
                if (exponent < 1000000000000) exponent = exponent * 10 + (s[j] - '0');
            }
        }
        bool large = scale + (exponent_negative ? -exponent : exponent) > 0;
        real = large ? __builtin_inf() : 0;
        if (negative) real = -real;
    }
    cell.real = real;
    return true;
}

void read_scalar(const uint8_t *s, size_t len, vk_cell &cell) {
    cell.integer = 0;
    cell.real = 0;
    cell.type = VK_CELL_BAD_SCALAR;
    if (len == 4 && std::memcmp(s, "null", 4) == 0) cell.type = VK_CELL_NULL;
    else if (len == 4 && std::memcmp(s, "true", 4) == 0) cell.type = VK_CELL_TRUE;
    else if (len == 5 && std::memcmp(s, "false", 5) == 0) cell.type = VK_CELL_FALSE;
    else if (!read_number(s, len, cell)) cell.type = VK_CELL_BAD_SCALAR;
}

}  // namespace

struct vk_parser {
    uint32_t max_depth = 128;
    uint32_t *positions = nullptr;
    size_t positions_cap = 0;
    uint8_t *copy = nullptr;
    size_t copy_cap = 0;
    frame *frames = nullptr;
    std::vector<uint32_t> stamps;
    uint32_t stamp = 0;
    std::vector<revisit> revisits;
    std::vector<uint8_t> key;

    ~vk_parser() {
        std::free(positions);
        std::free(copy);
        std::free(frames);
    }

    template <typename T>
    static bool reserve(T *&memory, size_t &cap, size_t wanted) {
        if (cap >= wanted) return true;
        std::free(memory);
        size_t rounded = wanted + wanted / 4;
        memory = static_cast<T *>(std::malloc(rounded * sizeof(T)));
        cap = memory ? rounded : 0;
        return memory != nullptr;
    }
};

namespace {

/// One walk. `trie` may be null (validation only).
struct walker {
    vk_parser &parser;
    const vk_trie *trie;
    const uint8_t *b;
    size_t len;
    /// With marks.
    const uint32_t *positions;
    size_t count;
    vk_cell *cells;

    size_t at(size_t k) const { return positions[k] & VK_INDEX_OFFSET; }

    vk_cell *cell_of(int32_t leaf) { return leaf >= 0 ? &cells[leaf] : nullptr; }

    /// Forgets what an earlier value of the same key has left.
    void clear(uint32_t node) {
        for (uint32_t i = node; i < trie->nodes[node].end; i++) {
            if (trie->nodes[i].leaf >= 0) cells[trie->nodes[i].leaf] = vk_cell{};
        }
        size_t kept = 0;
        for (const revisit &r : parser.revisits) {
            if (r.node < node || r.node >= trie->nodes[node].end) parser.revisits[kept++] = r;
        }
        parser.revisits.resize(kept);
    }

    void enter(uint32_t node) {
        if (parser.stamps[node] == parser.stamp) clear(node);
        parser.stamps[node] = parser.stamp;
    }

    /// The string between the quotes at entries `k` and `k + 1`.
    void string_cell(vk_cell *cell, size_t k) {
        const size_t begin = at(k) + 1, end = at(k + 1);
        cell->offset = (uint32_t)begin;
        cell->length = (uint32_t)(end - begin);
        cell->integer = 0;
        cell->real = 0;
        cell->type = has_escape(k) ? VK_CELL_STRING_ESCAPED : VK_CELL_STRING;
    }

    /// Whether the string between entries `k` and `k + 1` has a backslash.
    bool has_escape(size_t k) const {
        if (__builtin_expect(!((positions[k] | positions[k + 1]) & VK_INDEX_MARK), 1)) return false;
        return std::memchr(b + at(k), '\\', at(k + 1) - at(k)) != nullptr;
    }

    /// The node of a member's value; the key is the string at entry `k`. A second matching node is noted for a later walk.
    __attribute__((always_inline)) int32_t match(uint32_t node, size_t k, int32_t &second) {
        const uint8_t *key = b + at(k) + 1;
        size_t key_len = at(k + 1) - at(k) - 1;
        if (__builtin_expect(has_escape(k), 0)) {
            if (parser.key.size() < key_len + 8) parser.key.resize(key_len + 8);
            key_len = vk_json_unescape(key, key_len, parser.key.data(), parser.key.size());
            key = parser.key.data();
        }
        return trie->find(node, key, key_len, second);
    }

    /// Notes that the member whose value begins at `p`, entry `k`, is `node`, and perhaps also `second`.
    __attribute__((always_inline)) void found(int32_t node, int32_t second, size_t p, size_t k) {
        enter((uint32_t)node);
        if (__builtin_expect(second >= 0, 0)) {
            enter((uint32_t)second);
            parser.revisits.push_back(revisit{(uint32_t)second, (uint32_t)p, (uint32_t)k});
        }
    }

    /// Walks the value at `p` (first byte, not blank), whose first index entry is `k`, as the value of `node` (-1: of none).
    /// `whole`: nothing but blanks may follow; otherwise the walk ends behind the value.
    vk_json_status walk(size_t p, size_t k, int32_t node, bool whole) {
        frame *const frames = parser.frames;
        const uint8_t *const b = this->b;
        const uint32_t *const positions = this->positions;
        const size_t count = this->count, len = this->len;
        uint32_t depth = 0;
        // Of the innermost container.
        int32_t parent = -1;
        bool in_array = false;
        size_t e;

    value: {
        uint8_t c = b[p];
        int32_t leaf = node >= 0 ? trie->nodes[(size_t)node].leaf : -1;
        if (c == '"') {
            if (vk_cell *cell = cell_of(leaf)) string_cell(cell, k);
            p = at(k + 1) + 1;
            k += 2;
            goto after_value;
        }
        if (c == '{' || c == '[') {
            if (depth == parser.max_depth) return VK_JSON_TOO_DEEP;
            in_array = c == '[';
            parent = in_array ? -1 : node;
            frames[depth++] = frame{parent, leaf, (uint32_t)p, in_array};
            k++;
            p++;
            if (k == count) return VK_JSON_UNBALANCED;
            if (in_array) goto array_first;
            goto object_first;
        }
        e = k < count ? at(k) : len;
        if (e == p) {
            // A comma or a closing bracket where a value should stand.
            if (c == ',' || depth == 0) return c == ',' ? VK_JSON_BAD_GRAMMAR : VK_JSON_UNBALANCED;
            return (c == ']') == in_array ? VK_JSON_BAD_GRAMMAR : VK_JSON_UNBALANCED;
        }
        if (vk_cell *cell = cell_of(leaf)) {
            size_t end = e;
            while (blank(b[end - 1])) end--;
            cell->offset = (uint32_t)p;
            cell->length = (uint32_t)(end - p);
            read_scalar(b + p, end - p, *cell);
        }
        p = e;
    }

    after_value:
        if (depth == 0) {
            if (!whole) return VK_JSON_OK;
            while (p < len && blank(b[p])) p++;
            if (p == len) return VK_JSON_OK;
            return b[p] == '}' || b[p] == ']' ? VK_JSON_UNBALANCED : VK_JSON_TRAILING;
        }
        if (k == count) return VK_JSON_UNBALANCED;
        e = at(k);
        while (p < e) {
            if (!blank(b[p++])) return VK_JSON_BAD_GRAMMAR;
        }
        k++;
        p = e + 1;
        if (b[e] == ',') {
            if (!in_array) goto object_key;
            node = -1;
            while (p < len && blank(b[p])) p++;
            if (p == len) return VK_JSON_UNBALANCED;
            goto value;
        }
        if (b[e] != '}' && b[e] != ']') return VK_JSON_BAD_GRAMMAR;

    closed: {
        // The bracket at p - 1 closes the innermost container.
        if (in_array != (b[p - 1] == ']')) return VK_JSON_UNBALANCED;
        const frame &top = frames[--depth];
        if (vk_cell *cell = cell_of(top.leaf)) {
            *cell = vk_cell{};
            cell->offset = top.begin;
            cell->length = (uint32_t)p - top.begin;
            cell->type = top.is_array ? VK_CELL_ARRAY : VK_CELL_OBJECT;
        }
        if (depth) {
            parent = frames[depth - 1].node;
            in_array = frames[depth - 1].is_array;
        }
        goto after_value;
    }

    array_first:
        node = -1;
        while (p < len && blank(b[p])) p++;
        if (p == len) return VK_JSON_UNBALANCED;
        if (b[p] != ']') goto value;
        k++;
        p++;
        goto closed;

    object_first:
        e = at(k);
        while (p < e && blank(b[p])) p++;
        if (p < e) return VK_JSON_BAD_GRAMMAR;
        if (b[e] == '}') {
            k++;
            p++;
            goto closed;
        }

    object_key: {
        if (k == count) return VK_JSON_UNBALANCED;
        e = at(k);
        while (p < e) {
            if (!blank(b[p++])) return VK_JSON_BAD_GRAMMAR;
        }
        if (b[e] != '"') return b[e] == ']' ? VK_JSON_UNBALANCED : VK_JSON_BAD_GRAMMAR;

        // Most members by far are strings without blanks around them, one behind the other. A quote outside a string is always indexed,
        // so the bytes behind a closing quote tell what the next entries are.
        while (k + 5 < count) {
            const size_t key_end = at(k + 1);
            if (b[key_end + 1] != ':' || b[key_end + 2] != '"') break;
            if (parent >= 0) {
                int32_t second = -1;
                node = match((uint32_t)parent, k, second);
                if (node >= 0) found(node, second, key_end + 2, k + 2);
                if (vk_cell *cell = cell_of(node >= 0 ? trie->nodes[(size_t)node].leaf : -1)) string_cell(cell, k + 2);
            }
            const size_t value_end = at(k + 3);
            p = value_end + 1;
            if (b[p] != ',' || b[p + 1] != '"') {
                k += 4;
                goto after_value;
            }
            p++;
            k += 5;
        }
        const size_t key = k;
        p = at(k + 1) + 1;
        k += 2;
        // Every byte before `len` is readable, and 64 behind; without another entry the object does not close.
        if (__builtin_expect(k == count || b[p] != ':' || b[p + 1] <= ' ', 0)) {
            while (p < len && blank(b[p])) p++;
            if (p == len) return VK_JSON_UNBALANCED;
            if (b[p] != ':') return VK_JSON_BAD_GRAMMAR;
            p++;
            while (p < len && blank(b[p])) p++;
            if (p == len) return VK_JSON_UNBALANCED;
        } else {
            p++;
        }
        node = -1;
        if (parent >= 0) {
            int32_t second = -1;
            node = match((uint32_t)parent, key, second);
            if (node >= 0) found(node, second, p, k);
        }
        goto value;
    }
    }
};

/// A record's structural index; `positions` null: to be made.
struct given_index {
    const uint32_t *positions;
    size_t count;
    bool has_non_ascii;
};

/// Indexes and walks. `b` is readable for len + VK_JSON_PADDING bytes.
vk_json_status run(vk_parser &parser, const vk_trie *trie, const uint8_t *b, size_t len, given_index given, vk_cell *cells,
                   bool need_object) {
    vk_json_index index = {given.count, false, given.has_non_ascii};
    if (!given.positions) {
        if (!vk_parser::reserve(parser.positions, parser.positions_cap, len + 144)) return VK_JSON_NO_MEMORY;
        index = vk_json_build_index(b, len, parser.positions);
        given.positions = parser.positions;
    }
    if (index.has_non_ascii && !simdjson::validate_utf8(reinterpret_cast<const char *>(b), len)) return VK_JSON_BAD_UTF8;
    size_t p = 0;
    while (p < len && blank(b[p])) p++;
    if (p == len) return VK_JSON_EMPTY;
    if (index.in_string) return VK_JSON_UNCLOSED_STRING;
    walker w{parser, trie, b, len, given.positions, index.count, cells};
    bool scalar = b[p] != '{' && b[p] != '[' && b[p] != '"' && b[p] != '}' && b[p] != ']';
    if (scalar) {
        vk_cell cell = vk_json_scalar(b + p, [&] {
            size_t end = len;
            while (blank(b[end - 1])) end--;
            return end - p;
        }());
        if (cell.type == VK_CELL_BAD_SCALAR) return VK_JSON_BAD_GRAMMAR;
        return need_object ? VK_JSON_NOT_OBJECT : VK_JSON_OK;
    }
    bool is_object = b[p] == '{';
    vk_json_status status = w.walk(p, 0, trie && is_object ? 0 : -1, true);
    if (status != VK_JSON_OK) return status;
    if (need_object && !is_object) return VK_JSON_NOT_OBJECT;
    // Each walk may add more; a duplicate key removes those it overrides.
    while (!parser.revisits.empty()) {
        revisit r = parser.revisits.back();
        parser.revisits.pop_back();
        w.walk(r.position, r.entry, (int32_t)r.node, false);
    }
    return VK_JSON_OK;
}

}  // namespace

extern "C" vk_parser *vk_parser_new(uint32_t max_depth) {
    try {
        vk_parser *parser = new vk_parser();
        parser->max_depth = max_depth == 0 ? 128 : max_depth > max_depth_limit ? max_depth_limit : max_depth;
        parser->frames = static_cast<frame *>(std::calloc(parser->max_depth, sizeof(frame)));
        if (!parser->frames) {
            delete parser;
            return nullptr;
        }
        return parser;
    } catch (...) {
        return nullptr;
    }
}

extern "C" void vk_parser_free(vk_parser *parser) { delete parser; }

static vk_json_status extract(vk_parser *parser, const vk_trie *trie, const uint8_t *record, size_t len, given_index index,
                              vk_cell *cells, size_t n_cells) {
    for (size_t i = 0; i < n_cells; i++) cells[i] = vk_cell{};
    if (!trie->frozen || n_cells < trie->cell_count) return VK_JSON_BAD_ARGUMENT;
    try {
        if (parser->stamps.size() < trie->nodes.size()) parser->stamps.resize(trie->nodes.size(), 0);
        if (++parser->stamp == 0) {
            std::fill(parser->stamps.begin(), parser->stamps.end(), 0);
            parser->stamp = 1;
        }
        parser->revisits.clear();
        vk_json_status status = run(*parser, trie, record, len, index, cells, true);
        if (status == VK_JSON_OK) return status;
        for (size_t i = 0; i < n_cells; i++) cells[i] = vk_cell{};
        return status;
    } catch (...) {
        for (size_t i = 0; i < n_cells; i++) cells[i] = vk_cell{};
        return VK_JSON_NO_MEMORY;
    }
}

extern "C" vk_json_status vk_json_extract(vk_parser *parser, const vk_trie *trie, const uint8_t *record, size_t len, size_t capacity,
                                          vk_cell *cells, size_t n_cells) {
    vk_json_status refused = len == 0 ? VK_JSON_EMPTY : len > VK_INDEX_OFFSET - 128 ? VK_JSON_TOO_LONG : VK_JSON_OK;
    const uint8_t *b = record;
    if (refused == VK_JSON_OK && capacity < len + VK_JSON_PADDING) {
        if (vk_parser::reserve(parser->copy, parser->copy_cap, len + VK_JSON_PADDING)) {
            std::memcpy(parser->copy, record, len);
            std::memset(parser->copy + len, ' ', VK_JSON_PADDING);
            b = parser->copy;
        } else {
            refused = VK_JSON_NO_MEMORY;
        }
    }
    if (refused == VK_JSON_OK) return extract(parser, trie, b, len, given_index{nullptr, 0, false}, cells, n_cells);
    for (size_t i = 0; i < n_cells; i++) cells[i] = vk_cell{};
    return refused;
}

extern "C" vk_json_status vk_json_extract_indexed(vk_parser *parser, const vk_trie *trie, const uint8_t *record, size_t len,
                                                  const uint32_t *positions, size_t count, bool has_non_ascii, vk_cell *cells,
                                                  size_t n_cells) {
    // An index of something else is not used: its ends must be the record's brackets.
    bool fits = len >= 2 && len <= VK_INDEX_OFFSET - 128 && count >= 2 && count <= len && (positions[0] & VK_INDEX_OFFSET) == 0
        && (positions[count - 1] & VK_INDEX_OFFSET) == len - 1;
    if (!fits) return vk_json_extract(parser, trie, record, len, len + VK_JSON_PADDING, cells, n_cells);
    return extract(parser, trie, record, len, given_index{positions, count, has_non_ascii}, cells, n_cells);
}

extern "C" vk_json_status vk_json_validate(const uint8_t *bytes, size_t len, uint32_t max_depth) {
    if (len == 0) return VK_JSON_EMPTY;
    if (len > VK_INDEX_OFFSET - 128) return VK_JSON_TOO_LONG;
    vk_parser *parser = vk_parser_new(max_depth);
    if (!parser) return VK_JSON_NO_MEMORY;
    vk_json_status status = VK_JSON_NO_MEMORY;
    if (vk_parser::reserve(parser->copy, parser->copy_cap, len + VK_JSON_PADDING)) {
        std::memcpy(parser->copy, bytes, len);
        std::memset(parser->copy + len, ' ', VK_JSON_PADDING);
        try {
            status = run(*parser, nullptr, parser->copy, len, given_index{nullptr, 0, false}, nullptr, false);
        } catch (...) {
            status = VK_JSON_NO_MEMORY;
        }
    }
    vk_parser_free(parser);
    return status;
}

extern "C" vk_cell vk_json_scalar(const uint8_t *bytes, size_t len) {
    vk_cell cell{};
    if (len == 0) return cell;
    cell.length = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
    switch (bytes[0]) {
    case '"':
        cell.type = VK_CELL_BAD_SCALAR;
        if (len >= 2 && bytes[len - 1] == '"') {
            cell.offset = 1;
            cell.length -= 2;
            cell.type = std::memchr(bytes, '\\', len) ? VK_CELL_STRING_ESCAPED : VK_CELL_STRING;
        }
        return cell;
    case '{': cell.type = VK_CELL_OBJECT; return cell;
    case '[': cell.type = VK_CELL_ARRAY; return cell;
    default: read_scalar(bytes, len, cell); return cell;
    }
}

extern "C" vk_cell_type vk_json_kind(const uint8_t *bytes, size_t len) {
    while (len && blank(bytes[0])) bytes++, len--;
    while (len && blank(bytes[len - 1])) len--;
    return vk_json_scalar(bytes, len).type;
}

extern "C" bool vk_text_is_utf8(const uint8_t *s, size_t len) {
    return len == 0 || simdjson::validate_utf8(reinterpret_cast<const char *>(s), len);
}
