import Columnar
import KQL

/// How `parse-kv` takes text apart.
private struct KeyValueSyntax {
    /// What stands between pairs, and between a key and its value; empty: any character that is no letter or digit.
    var pair: [UInt8] = []
    var separator: [UInt8] = []
    var quotes: [(open: UInt8, close: UInt8)] = []
    var escapes: [UInt8] = []
    /// Values run on to the last pair delimiter before the next key.
    var greedy = false
    var regex: Regex2?
    /// The keys asked for.
    let keys: [[UInt8]]

    init(_ settings: [String: Value], keys: [String]) throws {
        /// A parameter may be given several times.
        func texts(_ name: String) -> [[UInt8]] {
            switch settings[name] {
            case .string(let s)?: [Array(s.utf8)]
            case .dynamic(.array(let items))?: items.compactMap { if case .string(let s) = $0 { Array(s.utf8) } else { nil } }
            default: []
            }
        }
        self.keys = keys.map { Array($0.utf8) }
        pair = texts("pair_delimiter").first ?? []
        separator = texts("kv_delimiter").first ?? []
        for q in texts("quote") { if let first = q.first { quotes.append((first, q.count > 1 ? q[1] : first)) } }
        escapes = texts("escape").compactMap(\.first)
        if case .bool(let g)? = settings["greedy"] { greedy = g }
        if case .string(let r)? = settings["regex"] { regex = try Regex2(r) }
    }

    private func stands(_ what: [UInt8], _ s: [UInt8], _ at: Int) -> Bool {
        at + what.count <= s.count && what.indices.allSatisfy { s[at + $0] == what[$0] }
    }

    /// The pairs of a text, in order.
    func pairs(_ s: [UInt8]) -> [(key: String, value: String)] {
        if let regex { return pairs(s, by: regex) }
        return pair.isEmpty || separator.isEmpty ? words(s) : delimited(s)
    }

    private func pairs(_ s: [UInt8], by regex: Regex2) -> [(key: String, value: String)] {
        var out: [(String, String)] = []
        var at = 0
        while at <= s.count, let groups = regex.captures(s, from: at, groups: 2), let whole = groups[0] {
            if groups.count > 2, let k = groups[1], let v = groups[2] {
                out.append((String(decoding: s[k], as: UTF8.self), String(decoding: s[v], as: UTF8.self)))
            }
            at = max(whole.upperBound, at + 1)
        }
        return out
    }

    /// The text between quotes that open at `i`, which moves behind the closing one; nil where none opens.
    private func quoted(_ s: [UInt8], _ i: inout Int) -> String? {
        guard i < s.count, let quote = quotes.first(where: { $0.open == s[i] }) else { return nil }
        var out: [UInt8] = []
        i += 1
        while i < s.count, s[i] != quote.close {
            if escapes.contains(s[i]), i + 1 < s.count { i += 1 }
            out.append(s[i])
            i += 1
        }
        i += 1
        return String(decoding: out, as: UTF8.self)
    }

    private func skipBlanks(_ s: [UInt8], _ i: inout Int) {
        while i < s.count, s[i] == 0x20 || s[i] == 0x09, !stands(pair, s, i), !stands(separator, s, i) { i += 1 }
    }

    private func delimited(_ s: [UInt8]) -> [(key: String, value: String)] {
        var out: [(String, String)] = []
        var i = 0
        while i < s.count {
            while i < s.count, stands(pair, s, i) { i += pair.count }
            skipBlanks(s, &i)
            let start = i
            let quotedKey = quoted(s, &i)
            if quotedKey != nil { skipBlanks(s, &i) }
            while i < s.count, !stands(separator, s, i), !stands(pair, s, i) { i += 1 }
            guard i < s.count, stands(separator, s, i) else {
                // A word without a separator belongs to the value before it when values are greedy.
                if greedy, start < s.count, var last = out.popLast() {
                    last.1 += String(decoding: pair + s[start..<min(i, s.count)], as: UTF8.self)
                    out.append(last)
                }
                continue
            }
            let key = quotedKey ?? String(decoding: s[start..<i], as: UTF8.self).trimmed
            i += separator.count
            skipBlanks(s, &i)
            if let value = quoted(s, &i) {
                out.append((key, value))
                continue
            }
            let from = i
            while i < s.count, !stands(pair, s, i) { i += 1 }
            out.append((key, String(decoding: s[from..<i], as: UTF8.self).trimmed))
        }
        return out
    }

    private static func isWord(_ b: UInt8) -> Bool { b >= 0x80 || (b | 0x20 >= 0x61 && b | 0x20 <= 0x7A) || (b >= 0x30 && b <= 0x39) }

    /// Without delimiters, whatever is no letter or digit delimits: a key is one that is asked for, its value the word behind it.
    private func words(_ s: [UInt8]) -> [(key: String, value: String)] {
        var out: [(String, String)] = []
        var i = 0
        while i < s.count {
            let isStart = i == 0 || !KeyValueSyntax.isWord(s[i - 1])
            let found =
                isStart
                ? keys.filter { k in
                    !k.isEmpty && stands(k, s, i) && (i + k.count == s.count || !KeyValueSyntax.isWord(s[i + k.count]))
                }.max { $0.count < $1.count } : nil
            guard let key = found else {
                i += 1
                continue
            }
            i += key.count
            // The closing quote of the key is no opening one of the value.
            if i < s.count, quotes.contains(where: { $0.close == s[i] }) { i += 1 }
            while i < s.count, !KeyValueSyntax.isWord(s[i]), !quotes.contains(where: { $0.open == s[i] }) { i += 1 }
            let name = String(decoding: key, as: UTF8.self)
            if let value = quoted(s, &i) {
                out.append((name, value))
                continue
            }
            let from = i
            while i < s.count, KeyValueSyntax.isWord(s[i]) { i += 1 }
            out.append((name, String(decoding: s[from..<i], as: UTF8.self)))
        }
        return out
    }
}

extension String {
    /// Without blanks at both ends.
    fileprivate var trimmed: String {
        let blanks: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(drop(while: blanks).reversed().drop(while: blanks).reversed())
    }
}

extension Execution {
    /// The last columns are the keys asked for, in the order of `keys`; the first value of a key counts.
    func parseKeyValues(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let argument = arguments.first, case .dynamic(.array(let names))? = settings["keys"] else {
            throw EvaluationError("parse-kv needs a text and keys", at: plan.range)
        }
        let source = try compiled(argument, of: plan, over: input.columns)
        let keys = names.map { name -> String in if case .string(let s) = name { s } else { "" } }
        let syntax = try KeyValueSyntax(settings, keys: keys)
        let places = plan.columns.map { c in input.columns.firstIndex { $0.id == c.id } }
        return try run(input, environment) { batch in
            let text = try source.evaluate(batch, context).materialized(rows: batch.count)
            var builders = plan.columns.map { ColumnBuilder($0.type) }
            let open = plan.columns.indices.filter { places[$0] == nil }
            for row in 0..<batch.count {
                var found: [TextKey: String] = [:]
                if case .string(let s) = text.value(row) {
                    for (k, v) in syntax.pairs(Array(s.utf8)) where found[TextKey(k)] == nil { found[TextKey(k)] = v }
                }
                for (n, c) in open.enumerated() {
                    // Renamed columns keep the order of the keys.
                    let key = n < keys.count ? keys[n] : plan.columns[c].name
                    if let v = found[TextKey(key)] {
                        builders[c].append(convertValue(.string(v), to: plan.columns[c].type))
                    } else {
                        builders[c].appendNull()
                    }
                }
            }
            let columns = plan.columns.indices.map { c -> Column in
                if let p = places[c] { return batch.columns[p] }
                return builders[c].finish()
            }
            return try emit(Batch(columns: columns, count: batch.count, keys: batch.keys, lineage: batch.lineage))
        }
    }

    // MARK: ipv4_lookup, ipv6_lookup

    /// Joins each row with the networks of the table that hold its address, the longest prefix first. Further keys must be equal.
    func addressLookup(
        _ plan: Plan, _ name: String, _ input: Plan, _ table: Plan, _ arguments: [BoundExpr], _ settings: [String: Value],
        _ environment: Environment, _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        let source = try compiled(arguments[0], of: plan, over: input.columns)
        let key = try compiled(arguments[1], of: plan, over: table.columns, side: 1)
        var keepsUnmatched = false
        if case .bool(let b)? = settings["return_unmatched"] { keepsUnmatched = b }
        var further: [(left: CompiledExpression, right: CompiledExpression)] = []
        for i in stride(from: 2, to: arguments.count - 1, by: 2) {
            further.append(
                (
                    try compiled(arguments[i], of: plan, over: input.columns),
                    try compiled(arguments[i + 1], of: plan, over: table.columns, side: 1)
                ))
        }
        let store = try self.store(table, Environment(), by: name)
        var theirs: [[Value]] = Array(repeating: [], count: further.count)
        var networks: [IPNetwork: [Int]] = [:]
        var lengths = Set<Int>()
        var start = 0
        for b in store.batches {
            let texts = try key.evaluate(b, context).materialized(rows: b.count)
            for row in 0..<b.count {
                guard case .string(let s) = texts.value(row), let network = IPNetwork(s) else { continue }
                networks[network, default: []].append(start + row)
                lengths.insert(network.length)
            }
            for (n, f) in further.enumerated() {
                let values = try f.right.evaluate(b, context).materialized(rows: b.count)
                for row in 0..<b.count { theirs[n].append(values.value(row)) }
            }
            start += b.count
        }
        let longestFirst = lengths.sorted(by: >)
        return try run(input, environment) { batch in
            let texts = try source.evaluate(batch, context).materialized(rows: batch.count)
            let mine = try further.map { try $0.left.evaluate(batch, context).materialized(rows: batch.count) }
            var left = ContiguousArray<Int32>()
            var right: [Int] = []
            for row in 0..<batch.count {
                let before = right.count
                if case .string(let s) = texts.value(row), let address = IPNetwork(s) {
                    for length in longestFirst where length <= address.length {
                        for r in networks[address.shortened(to: length)] ?? []
                        where mine.indices.allSatisfy({ !theirs[$0][r].isNull && mine[$0].value(row) == theirs[$0][r] }) {
                            left.append(Int32(truncatingIfNeeded: row))
                            right.append(r)
                        }
                    }
                }
                if right.count == before, keepsUnmatched {
                    left.append(Int32(truncatingIfNeeded: row))
                    right.append(-1)
                }
            }
            if left.isEmpty { return true }
            let a = batch.gather(left)
            return try emit(
                Batch(
                    columns: pick(plan.columns, input.columns, a.columns, table.columns, store.gather(right).columns), count: a.count,
                    keys: a.keys, lineage: a.lineage))
        }
    }

    /// The columns of a result by identity, from either side.
    private func pick(
        _ wanted: [BoundColumn], _ left: [BoundColumn], _ leftCells: [Column], _ right: [BoundColumn], _ rightCells: [Column]
    ) -> [Column] {
        wanted.map { c in
            if let i = left.firstIndex(where: { $0.id == c.id }) { return leftCells[i] }
            if let i = right.firstIndex(where: { $0.id == c.id }) { return rightCells[i] }
            return Column.nulls(c.type, count: leftCells.first?.count ?? rightCells.first?.count ?? 0)
        }
    }
}

/// An address with the length of its prefix, as 128 bits; IPv4 sits in the mapped range `::ffff:0:0/96`.
struct IPNetwork: Hashable {
    let bits: UInt128
    let length: Int

    private init(bits: UInt128, length: Int) {
        self.length = length
        self.bits = length <= 0 ? 0 : bits & (UInt128.max << UInt128(128 - min(length, 128)))
    }

    /// Reads IPv4 and IPv6 addresses with an optional prefix length; nil for anything else.
    init?(_ text: String) {
        guard let v = IPAddress.parseV6(text) else { return nil }
        self.init(bits: v.address, length: v.prefix)
    }

    func shortened(to n: Int) -> IPNetwork { IPNetwork(bits: bits, length: n) }
}
