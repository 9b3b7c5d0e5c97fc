#include "include/vk_re2.h"

#include "include/vk_text.h"

#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

struct vk_re2 {
    std::unique_ptr<re2::RE2> re;
    std::string literal;
    /// Many rows may be searched as one text.
    bool joins = false;
};

namespace {

void set_error(char *error, size_t cap, const std::string &text) {
    if (!error || cap == 0) return;
    size_t n = std::min(cap - 1, text.size());
    std::memcpy(error, text.data(), n);
    error[n] = 0;
}

re2::StringPiece piece(const uint8_t *s, size_t len) { return re2::StringPiece(reinterpret_cast<const char *>(s), len); }

/// A literal without which the expression cannot match. RE2's filter gives atoms (lower case) of a boolean formula; with one atom alone
/// the formula is that atom. The formula of more atoms is not published, so those give none.
std::string required_literal(const std::string &pattern, const re2::RE2::Options &options) {
    re2::FilteredRE2 filter(3);
    int id = 0;
    re2::RE2::Options quiet(options);
    quiet.set_log_errors(false);
    if (filter.Add(pattern, quiet, &id) != re2::RE2::NoError) return "";
    std::vector<std::string> atoms;
    filter.Compile(&atoms);
    if (atoms.size() != 1) return "";
    // Without its atom the expression must be ruled out, otherwise the atom is not required.
    std::vector<int> none, matching;
    filter.AllPotentials(none, &matching);
    if (!matching.empty()) return "";
    // The caller folds ASCII only. RE2 folds as Unicode does: the Kelvin sign matches k and the long s matches s when case is ignored
    // (which a group inside the pattern may ask for), and other letters have cases of their own.
    bool folds = !options.case_sensitive() || pattern.find("(?") != std::string::npos;
    std::string best, part;
    for (char c : atoms[0] + '\x80') {
        bool plain = (unsigned char)c < 0x80 && !(folds && (c == 'k' || c == 's'));
        if (plain) {
            part += c;
        } else {
            if (part.size() > best.size()) best = part;
            part.clear();
        }
    }
    return best.size() >= 3 ? best : "";
}

/// Whether rows may be searched together: no assertion asks for the ends of the text, and no part takes single bytes. Errs to false.
bool takes_joined_rows(const std::string &pattern, const re2::RE2::Options &options) {
    if (options.encoding() != re2::RE2::Options::EncodingUTF8 || options.literal()) return false;
    bool opens_class = false;
    for (size_t i = 0; i < pattern.size(); i++) {
        const char c = pattern[i];
        // `[^` is no assertion.
        if (c == '$' || (c == '^' && !opens_class)) return false;
        opens_class = c == '[';
        if (c != '\\') continue;
        if (++i == pattern.size()) return false;
        // \A and \z are the ends of the text, \C is a byte; \Q takes what follows literally, which this look does not follow.
        if (std::strchr("AzZCQ", pattern[i])) return false;
    }
    return true;
}

}  // namespace

extern "C" vk_re2 *vk_re2_new(const uint8_t *pattern, size_t len, uint32_t flags, uint64_t max_mem, char *error, size_t error_cap) {
    set_error(error, error_cap, "");
    try {
        re2::RE2::Options options;
        options.set_log_errors(false);
        options.set_case_sensitive(!(flags & VK_RE2_IGNORE_CASE));
        options.set_dot_nl(flags & VK_RE2_DOT_NEWLINE);
        options.set_literal(flags & VK_RE2_LITERAL);
        options.set_longest_match(flags & VK_RE2_LONGEST);
        if (flags & VK_RE2_LATIN1) options.set_encoding(re2::RE2::Options::EncodingLatin1);
        options.set_max_mem(max_mem ? (int64_t)std::min<uint64_t>(max_mem, 1ull << 40) : 8 << 20);
        std::string text(reinterpret_cast<const char *>(pattern), len);
        // RE2 has an option for this in POSIX syntax only.
        if ((flags & VK_RE2_MULTI_LINE) && !(flags & VK_RE2_LITERAL)) text.insert(0, "(?m)");
        auto made = std::make_unique<vk_re2>();
        made->re = std::make_unique<re2::RE2>(text, options);
        if (!made->re->ok()) {
            set_error(error, error_cap, made->re->error());
            return nullptr;
        }
        // RE2 looks for literals in time that grows with the square of a long repeat (`x{1000}` many times over takes seconds).
        if (made->re->ProgramSize() <= 4000) made->literal = required_literal(text, options);
        made->joins = takes_joined_rows(text, options);
        return made.release();
    } catch (...) {
        set_error(error, error_cap, "out of memory");
        return nullptr;
    }
}

extern "C" void vk_re2_free(vk_re2 *re) { delete re; }

extern "C" bool vk_re2_match(const vk_re2 *re, const uint8_t *s, size_t len) {
    try {
        return re->re->Match(piece(s, len), 0, len, re2::RE2::UNANCHORED, nullptr, 0);
    } catch (...) {
        return false;
    }
}

extern "C" bool vk_re2_full_match(const vk_re2 *re, const uint8_t *s, size_t len) {
    try {
        return re->re->Match(piece(s, len), 0, len, re2::RE2::ANCHOR_BOTH, nullptr, 0);
    } catch (...) {
        return false;
    }
}

extern "C" bool vk_re2_captures(const vk_re2 *re, const uint8_t *s, size_t len, size_t start, vk_re2_group *groups, size_t n) {
    for (size_t i = 0; i < n; i++) groups[i] = vk_re2_group{-1, -1};
    if (start > len) return false;
    try {
        // RE2 tells a group without part by a null pointer, so the text itself must not be null.
        static const char nothing = 0;
        const char *text = s ? reinterpret_cast<const char *>(s) : &nothing;
        constexpr size_t few = 16;
        re2::StringPiece local[few];
        size_t wanted = std::min<size_t>(n, (size_t)re->re->NumberOfCapturingGroups() + 1);
        std::vector<re2::StringPiece> many(wanted > few ? wanted : 0);
        re2::StringPiece *found = wanted > few ? many.data() : local;
        if (!re->re->Match(re2::StringPiece(text, len), start, len, re2::RE2::UNANCHORED, found, (int)wanted)) return false;
        for (size_t i = 0; i < wanted; i++) {
            if (!found[i].data()) continue;
            groups[i].begin = found[i].data() - text;
            groups[i].end = groups[i].begin + (int64_t)found[i].size();
        }
        return true;
    } catch (...) {
        return false;
    }
}

extern "C" int32_t vk_re2_group_count(const vk_re2 *re) { return re->re->NumberOfCapturingGroups(); }

namespace {

/// Rows that wait to be searched together, one after the other with a byte between them that is in no UTF-8 text. RE2 matches whole
/// characters, so no match reaches over it; assertions of words see no word there, as at the end of a text.
struct joined_rows {
    static constexpr size_t most_bytes = 32 << 10, most_rows = 1024;
    static constexpr char between = '\xFF';
    std::string text;
    /// Where each row ends in `text`, and which it is.
    std::vector<size_t> ends;
    std::vector<size_t> rows;

    bool is_full() const { return text.size() >= most_bytes || rows.size() >= most_rows; }

    void add(size_t row, const uint8_t *s, size_t len) {
        text.append(reinterpret_cast<const char *>(s), len);
        ends.push_back(text.size());
        rows.push_back(row);
        text.push_back(between);
    }

    /// Sets the bits of the rows that match and forgets all.
    void search(const re2::RE2 &re, uint64_t *bits) {
        size_t at = 0, start = 0;
        re2::StringPiece found;
        while (at < rows.size() && re.Match(text, start, text.size() - 1, re2::RE2::UNANCHORED, &found, 1)) {
            const size_t end = (size_t)(found.data() - text.data()) + found.size();
            while (ends[at] < end) at++;
            bits[rows[at] >> 6] |= UINT64_C(1) << (rows[at] & 63);
            start = ends[at] + 1;
            at++;
        }
        text.clear();
        ends.clear();
        rows.clear();
    }
};

/// As ``vk_re2_match_column`` for the rows whose bits are set.
void match_rows(const vk_re2 *re, const uint8_t *bytes, const uint32_t *offsets, size_t n, uint64_t *bits) {
    // A search costs more than the text of most rows. Joined rows cost one for each that matches: not worth it when many do.
    joined_rows joined;
    size_t asked = 0, matched = 0;
    for (size_t w = 0; w < (n + 63) / 64; w++) {
        uint64_t left = bits[w];
        bits[w] = 0;
        const bool joins = re->joins && asked >= 128 && matched * 4 <= asked;
        for (; left; left &= left - 1) {
            const size_t row = w * 64 + (size_t)__builtin_ctzll(left);
            const uint32_t begin = offsets[row], end = offsets[row + 1];
            if (joins && end - begin < joined_rows::most_bytes) {
                if (joined.is_full()) joined.search(*re->re, bits);
                joined.add(row, bytes + begin, end - begin);
                continue;
            }
            const bool matches = vk_re2_match(re, bytes + begin, end - begin);
            bits[w] |= (uint64_t)matches << (row & 63);
            asked++;
            matched += matches;
        }
    }
    if (!joined.rows.empty()) joined.search(*re->re, bits);
}

}  // namespace

extern "C" void vk_re2_match_column(const vk_re2 *re, const uint8_t *bytes, const uint32_t *offsets, size_t n, uint64_t *bits) {
    // Rows without the text that every match holds are sieved out for the whole column at once.
    if (!re->literal.empty()) {
        vk_text_match(VK_TEXT_CONTAINS, true, bytes, offsets, n, reinterpret_cast<const uint8_t *>(re->literal.data()),
                      re->literal.size(), bits);
    } else {
        for (size_t w = 0; w < (n + 63) / 64; w++) bits[w] = n - w * 64 < 64 ? (UINT64_C(1) << (n - w * 64)) - 1 : ~UINT64_C(0);
    }
    try {
        match_rows(re, bytes, offsets, n, bits);
    } catch (...) {
        // No memory to join rows.
        for (size_t w = 0; w < (n + 63) / 64; w++) bits[w] = 0;
        for (size_t row = 0; row < n; row++)
            bits[row >> 6] |= (uint64_t)vk_re2_match(re, bytes + offsets[row], offsets[row + 1] - offsets[row]) << (row & 63);
    }
}

extern "C" size_t vk_re2_required_literal(const vk_re2 *re, uint8_t *out, size_t cap) {
    if (re->literal.empty() || re->literal.size() > cap) return 0;
    std::memcpy(out, re->literal.data(), re->literal.size());
    return re->literal.size();
}
