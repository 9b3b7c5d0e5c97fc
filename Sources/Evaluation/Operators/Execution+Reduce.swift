import Columnar
import KQL

/// `reduce`: texts put together under patterns in which `*` stands for what differs.
///
/// Kusto does not publish its method. Ours: a text is cut into words at characters that are neither letters nor digits, or are named by
/// `characters`; it is kept as long as the share of texts that begin alike reaches the threshold, and the rest becomes `*`. Texts that
/// share no beginning are `others`, without a representative, as the operator's page shows.
extension Execution {
    func reduce(
        _ plan: Plan, _ input: Plan, _ arguments: [BoundExpr], _ settings: [String: Value], _ environment: Environment,
        _ emit: (Batch) throws -> Bool
    ) throws -> Bool {
        guard let argument = arguments.first else { throw EvaluationError("reduce needs a text", at: plan.range) }
        let threshold = settings["threshold"].flatMap { $0.double ?? $0.integer.map(Double.init) } ?? 0.1
        var extra: Set<Unicode.Scalar> = []
        if case .string(let s)? = settings["characters"] { extra = Set(s.unicodeScalars) }
        let store = try self.store(input, environment, by: "reduce")
        let e = try compiled(argument, of: plan, over: input.columns)
        var counts: [ByteKey: Int] = [:]
        var order: [String] = []
        let texts = try store.batches.map { try e.evaluate($0, context).materialized(rows: $0.count) }
        for row in store.ordered(positional: isOrdered(input)) {
            let place = store.place(row)
            guard case .string(let s) = texts[place.batch].value(place.row) else { continue }
            if counts[ByteKey(s)] == nil { order.append(s) }
            counts[ByteKey(s), default: 0] += 1
        }
        let total = counts.values.reduce(0, +)
        // How many texts begin with the same words.
        var beginnings: [ByteKey: Int] = [:]
        for t in order {
            var prefix = ""
            for w in Execution.words(t, extra) {
                prefix += w
                beginnings[ByteKey(prefix), default: 0] += counts[ByteKey(t)] ?? 0
            }
        }
        try limits.check(held: beginnings.count, by: "reduce")
        var patterns: [(pattern: String, count: Int, first: String)] = []
        var places: [ByteKey: Int] = [:]
        var patternOf: [ByteKey: String] = [:]
        for text in order {
            let t = (text: text, count: counts[ByteKey(text)] ?? 0)
            var prefix = ""
            for w in Execution.words(text, extra) {
                let n = beginnings[ByteKey(prefix + w)] ?? 0
                guard Double(n) >= threshold * Double(total), n > 1 || total == 1 else { break }
                prefix += w
            }
            while prefix != text, let last = prefix.unicodeScalars.last, extra.contains(last) { prefix.unicodeScalars.removeLast() }
            let isOther = prefix.isEmpty && !text.isEmpty
            let pattern = isOther ? "others" : prefix == text ? prefix : prefix + "*"
            patternOf[ByteKey(text)] = pattern
            if let p = places[ByteKey(pattern)] {
                patterns[p].count += t.count
            } else {
                places[ByteKey(pattern)] = patterns.count
                patterns.append((pattern, t.count, isOther ? "" : t.text))
            }
        }
        if settings["source"] == .bool(true) {
            for (b, batch) in store.batches.enumerated() where batch.count > 0 {
                var column = ColumnBuilder(.string)
                for row in 0..<batch.count {
                    if case .string(let s) = texts[b].value(row), let pattern = patternOf[ByteKey(s)] {
                        column.append(.string(pattern))
                    } else {
                        column.append(.string(""))
                    }
                }
                let out = Batch(columns: batch.columns + [column.finish()], count: batch.count, keys: batch.keys, lineage: batch.lineage)
                guard try emit(out) else { return false }
            }
            return true
        }
        patterns.sort { $0.count > $1.count || ($0.count == $1.count && ByteText.precedes($0.pattern, $1.pattern)) }
        var columns = [ColumnBuilder(.string), ColumnBuilder(.long), ColumnBuilder(.string)]
        for p in patterns {
            columns[0].append(.string(p.pattern))
            columns[1].append(.long(Int64(p.count)))
            columns[2].append(.string(p.first))
        }
        let made = columns.indices.map { columns[$0].finish() }
        return try emit(
            Batch(
                columns: made, count: patterns.count,
                keys: options.keys ? ContiguousArray((0..<patterns.count).lazy.map { .ordinal($0) }) : nil))
    }

    /// Runs of letters and digits, and what stands between them, each a word.
    private static func words(_ text: String, _ separators: Set<Unicode.Scalar>) -> [String] {
        var out: [String] = []
        var current = String.UnicodeScalarView()
        func flush() {
            if !current.isEmpty { out.append(String(current)) }
            current = String.UnicodeScalarView()
        }
        for c in text.unicodeScalars {
            let isWord = (c.properties.isAlphabetic || c.properties.numericType != nil) && !separators.contains(c)
            if isWord {
                current.append(c)
            } else {
                flush()
                out.append(String(c))
            }
        }
        flush()
        return out
    }
}
