#include "include/CSimdjson.h"

#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

void text(std::string &out, std::string_view s) {
    out += 's';
    out += std::to_string(s.size());
    out += ':';
    out.append(s.data(), s.size());
}

void real(std::string &out, double d) {
    uint64_t bits;
    std::memcpy(&bits, &d, sizeof bits);
    char buffer[24];
    std::snprintf(buffer, sizeof buffer, "r%016llx;", static_cast<unsigned long long>(bits));
    out += buffer;
}

void flatten(std::string &out, element e) {
    switch (e.type()) {
    case element_type::NULL_VALUE: out += 'n'; break;
    case element_type::BOOL: out += bool(e) ? 't' : 'f'; break;
    case element_type::INT64:
        out += 'i';
        out += std::to_string(int64_t(e));
        out += ';';
        break;
    case element_type::UINT64: real(out, double(uint64_t(e))); break;
    case element_type::DOUBLE: real(out, double(e)); break;
    case element_type::STRING: text(out, std::string_view(e)); break;
    case element_type::ARRAY:
        out += '[';
        for (element item : simdjson::dom::array(e)) flatten(out, item);
        out += ']';
        break;
    case element_type::OBJECT: {
        std::vector<std::pair<std::string_view, element>> members;
        std::unordered_map<std::string_view, size_t> known;
        for (auto field : simdjson::dom::object(e)) {
            auto [at, fresh] = known.try_emplace(field.key, members.size());
            if (fresh) {
                members.emplace_back(field.key, field.value);
            } else {
                members[at->second].second = field.value;
            }
        }
        out += '{';
        for (auto &[key, value] : members) {
            text(out, key);
            flatten(out, value);
        }
        out += '}';
        break;
    }
    }
}

}  // namespace

csj_status csj_flatten(const uint8_t *bytes, size_t length, char **out, size_t *out_length) {
    *out = nullptr;
    *out_length = 0;
    simdjson::dom::parser parser;
    element document;
    auto error = parser.parse(reinterpret_cast<const char *>(bytes), length, true).get(document);
    switch (error) {
    case simdjson::SUCCESS: break;
    case simdjson::UTF8_ERROR: return CSJ_BAD_UTF8;
    case simdjson::UNCLOSED_STRING: return CSJ_UNCLOSED_STRING;
    default: return CSJ_OTHER;
    }
    std::string flat;
    flatten(flat, document);
    *out = static_cast<char *>(std::malloc(flat.size() + 1));
    if (*out == nullptr) return CSJ_OTHER;
    std::memcpy(*out, flat.data(), flat.size());
    *out_length = flat.size();
    return CSJ_OK;
}
