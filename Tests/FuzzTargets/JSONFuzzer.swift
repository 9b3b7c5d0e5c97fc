import CKernels
import CSimdjson
import Columnar
import Glibc

/// Our readers of JSON against simdjson, by a form that shows types and exact values (`CSimdjson.h`).
enum JSONFuzzer {
    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFinding) {
        let input = Array(bytes)
        var flat: UnsafeMutablePointer<CChar>?
        var length = 0
        let status = input.withUnsafeBufferPointer { csj_flatten($0.baseAddress, $0.count, &flat, &length) }
        defer { free(flat) }
        let oracle = flat.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: length)) }
        let judged = input.withUnsafeBufferPointer { vk_json_validate($0.baseAddress, $0.count, 1024) }
        switch status {
        case CSJ_OK where judged != VK_JSON_OK: throw FuzzFinding("simdjson reads it, vk_json_validate gives \(judged.rawValue)")
        case CSJ_BAD_UTF8 where judged == VK_JSON_OK: throw FuzzFinding("not UTF-8, but vk_json_validate takes it")
        case CSJ_UNCLOSED_STRING where judged == VK_JSON_OK: throw FuzzFinding("an unclosed string, but vk_json_validate takes it")
        default: break
        }
        try tree(bytes, oracle)
        try cells(input, oracle)
        try escapes(input)
    }

    /// The reader of dynamic cells.
    private static func tree(_ bytes: UnsafeRawBufferPointer, _ oracle: [UInt8]?) throws(FuzzFinding) {
        guard let d = JSONText.parse(bytes) else {
            // Nested more deeply than cells may be, or numbers that only one of both takes.
            if let oracle, depth(bytes) <= JSONText.maximumDepth {
                throw FuzzFinding("simdjson reads it, JSONText does not: \(oracle.count)")
            }
            return
        }
        if let oracle, flattened(d) != oracle {
            throw FuzzFinding(
                "JSONText reads \(String(decoding: flattened(d), as: UTF8.self)), simdjson \(String(decoding: oracle, as: UTF8.self))")
        }
        // Printed and read again it is the same, unless a number's printed form says less (whole reals become longs).
        let printed = JSONText.compact(d)
        guard let again = JSONText.parse(printed) else { throw FuzzFinding("what JSONText prints it cannot read: \(printed)") }
        if JSONText.compact(again) != printed { throw FuzzFinding("printing is not stable: \(printed) / \(JSONText.compact(again))") }
    }

    private static func depth(_ bytes: UnsafeRawBufferPointer) -> Int {
        var (deepest, now) = (0, 0)
        for b in bytes {
            if b == 0x5B || b == 0x7B { now += 1 } else if b == 0x5D || b == 0x7D { now -= 1 }
            deepest = max(deepest, now)
        }
        return deepest
    }

    static func flattened(_ d: Dynamic) -> [UInt8] {
        var out: [UInt8] = []
        flatten(d, &out)
        return out
    }

    private static func flatten(_ d: Dynamic, _ out: inout [UInt8]) {
        switch d {
        case .null: out.append(UInt8(ascii: "n"))
        case .bool(let b): out.append(UInt8(ascii: b ? "t" : "f"))
        case .long(let v): out += Array("i\(v);".utf8)
        case .real(let v):
            let digits = String(v.bitPattern, radix: 16)
            out += Array("r\(String(repeating: "0", count: 16 - digits.count))\(digits);".utf8)
        case .string(let s): text(s, &out)
        case .array(let items):
            out.append(UInt8(ascii: "["))
            for i in items { flatten(i, &out) }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for m in members {
                text(m.key, &out)
                flatten(m.value, &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    private static func text(_ s: String, _ out: inout [UInt8]) {
        out += Array("s\(s.utf8.count):".utf8)
        out += Array(s.utf8)
    }

    // MARK: The extractor

    /// Paths that the walker is asked for; the key "A" also with folded case.
    private static let paths: [(keys: [String], flags: UInt32)] = [
        (["a"], 0), (["a", "b"], 0), (["a", "b", "c"], 0), (["b"], 0), (["é"], 0), ([""], 0), (["A"], UInt32(VK_TRIE_IGNORE_CASE)),
        (["properties", "k"], 0), (["a\"b"], 0),
    ]

    private static func cells(_ input: [UInt8], _ oracle: [UInt8]?) throws(FuzzFinding) {
        guard let trie = vk_trie_new(), let parser = vk_parser_new(1024) else { throw FuzzFinding("no memory") }
        defer {
            vk_trie_free(trie)
            vk_parser_free(parser)
        }
        for (leaf, p) in paths.enumerated() { add(trie, p.keys, UInt32(leaf), p.flags) }
        guard vk_trie_freeze(trie) else { throw FuzzFinding("the trie does not freeze") }
        let n = vk_trie_cell_count(trie)
        var found = [vk_cell](repeating: vk_cell(), count: n)
        let status = input.withUnsafeBufferPointer { vk_json_extract(parser, trie, $0.baseAddress, $0.count, $0.count, &found, n) }
        // The same with padding, in which nothing may show.
        var second = [vk_cell](repeating: vk_cell(), count: n)
        let padded = input + [UInt8](repeating: UInt8(ascii: "\""), count: Int(VK_JSON_PADDING))
        let again = padded.withUnsafeBufferPointer { vk_json_extract(parser, trie, $0.baseAddress, input.count, $0.count, &second, n) }
        guard status == again else { throw FuzzFinding("padding shows: \(status.rawValue) and \(again.rawValue)") }
        for i in 0..<n where found[i].type != second[i].type || found[i].offset != second[i].offset || found[i].length != second[i].length {
            throw FuzzFinding("padding shows in cell \(i)")
        }
        try FrameIndexFuzzer.run(input, trie, parser)
        for c in found where Int(c.offset) + Int(c.length) > input.count { throw FuzzFinding("a cell lies outside of the record") }
        guard let oracle, oracle.first == UInt8(ascii: "{") else { return }
        guard status == VK_JSON_OK else { throw FuzzFinding("simdjson reads it, vk_json_extract gives \(status.rawValue)") }
        guard input.withUnsafeBytes({ depth($0) }) <= JSONText.maximumDepth, let d = input.withUnsafeBytes({ JSONText.parse($0) }) else {
            return
        }
        for (i, p) in paths.enumerated() where p.flags == 0 {
            let expected = p.keys.reduce(Optional(d)) { $0?[$1] }
            try compare(found[i], expected, input, p.keys)
        }
    }

    private static func add(_ trie: OpaquePointer, _ keys: [String], _ leaf: UInt32, _ flags: UInt32) {
        let bytes = keys.map { Array($0.utf8) + [0] }
        var pointers: [UnsafePointer<UInt8>?] = []
        func nest(_ i: Int) {
            if i == bytes.count {
                _ = vk_trie_add(trie, pointers, keys.map(\.utf8.count), keys.count, leaf, flags)
                return
            }
            bytes[i].withUnsafeBufferPointer {
                pointers.append($0.baseAddress)
                nest(i + 1)
            }
        }
        nest(0)
    }

    private static func compare(_ c: vk_cell, _ expected: Dynamic?, _ input: [UInt8], _ keys: [String]) throws(FuzzFinding) {
        let slice = Array(input[Int(c.offset)..<(Int(c.offset) + Int(c.length))])
        let same: Bool
        switch expected {
        case nil: same = c.type == VK_CELL_MISSING
        case .null?: same = c.type == VK_CELL_NULL
        case .bool(let b)?: same = c.type == (b ? VK_CELL_TRUE : VK_CELL_FALSE)
        case .long(let v)?: same = c.type == VK_CELL_INTEGER && c.integer == v
        case .real(let v)?: same = c.type == VK_CELL_REAL && c.real.bitPattern == v.bitPattern
        case .string(let s)?:
            if c.type == VK_CELL_STRING {
                same = slice == Array(s.utf8)
            } else {
                same = c.type == VK_CELL_STRING_ESCAPED && unescaped(slice) == Array(s.utf8)
            }
        case .array?: same = c.type == VK_CELL_ARRAY && slice.first == UInt8(ascii: "[") && slice.last == UInt8(ascii: "]")
        case .object?: same = c.type == VK_CELL_OBJECT && slice.first == UInt8(ascii: "{") && slice.last == UInt8(ascii: "}")
        }
        if !same { throw FuzzFinding("path \(keys): cell of type \(c.type.rawValue), expected \(expected.map { "\($0)" } ?? "nothing")") }
    }

    private static func unescaped(_ slice: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: slice.count)
        let n = vk_json_unescape(slice, slice.count, &out, out.count)
        return n <= out.count ? Array(out[..<n]) : []
    }

    /// Escaping any UTF-8 and unescaping it gives it back; unescaping anything stays within its bounds.
    private static func escapes(_ input: [UInt8]) throws(FuzzFinding) {
        _ = unescaped(input)
        let text = Array(String(decoding: input, as: UTF8.self).utf8)
        let n = vk_json_escape(text, text.count, nil, 0)
        var out = [UInt8](repeating: 0, count: n)
        guard vk_json_escape(text, text.count, &out, n) == n else { throw FuzzFinding("escaping gives two lengths") }
        if unescaped(out) != text { throw FuzzFinding("escaped and unescaped it is not the same") }
    }
}
