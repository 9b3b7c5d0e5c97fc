import Columnar

/// Distinct rows of discrete values, and the patterns that many of them share.
///
/// A pattern sets some columns to one value each and leaves the others open. A pattern is *closed* if no further column has one value on all
/// of its rows: of all patterns with the same rows it says most.
struct PatternRows {
    /// Values by number, row after row.
    private(set) var cells = ContiguousArray<UInt32>()
    /// Weight of each row; of two sets that are compared, in each.
    private(set) var first = ContiguousArray<Double>()
    private(set) var second = ContiguousArray<Double>()
    let width: Int
    /// How many values each column has.
    private let values: [Int]

    var count: Int { first.count }
    private(set) var totalFirst = 0.0
    private(set) var totalSecond = 0.0

    init(width: Int, values: [Int]) {
        self.width = width
        self.values = values
    }

    mutating func append(_ row: [UInt32], first a: Double, second b: Double) {
        cells.append(contentsOf: row)
        first.append(a)
        second.append(b)
        totalFirst += a
        totalSecond += b
    }

    struct Pattern {
        /// A value of each column; nil where it is open.
        var cells: [UInt32?]
        var first: Double
        var second: Double
        var size: Int { cells.count { $0 != nil } }

        /// True if every row of one is a row of the other by the values set.
        func isComparable(_ other: Pattern) -> Bool {
            func covers(_ a: [UInt32?], _ b: [UInt32?]) -> Bool { zip(a, b).allSatisfy { $0 == nil || $0 == $1 } }
            return covers(cells, other.cells) || covers(other.cells, cells)
        }
    }

    /// What is wrong when there are too many patterns.
    struct TooMany: Error { let limit: Int }

    private func closure(_ rows: [Int32]) -> [UInt32?] {
        guard let head = rows.first else { return Array(repeating: nil, count: width) }
        var out = (0..<width).map { c -> UInt32? in cells[Int(head) * width + c] }
        var open = out.count
        for r in rows {
            let base = Int(r) * width
            for c in 0..<width where out[c] != nil && out[c] != cells[base + c] {
                out[c] = nil
                open -= 1
            }
            if open == 0 { break }
        }
        return out
    }

    private func weights(_ rows: [Int32]) -> (Double, Double) {
        var (a, b) = (0.0, 0.0)
        for r in rows {
            a += first[Int(r)]
            b += second[Int(r)]
        }
        return (a, b)
    }

    /// All closed patterns whose share of either set reaches `share` and that are set apart by at most `depth` values: those that follow
    /// from these in every row do not count.
    func frequent(share: Double, depth: Int, limit: Int) throws -> [Pattern] {
        guard count > 0 else { return [] }
        func isFrequent(_ a: Double, _ b: Double) -> Bool {
            (totalFirst > 0 && a >= share * totalFirst) || (totalSecond > 0 && b >= share * totalSecond)
        }
        var found: [Pattern] = []
        var seen: Set<[UInt32?]> = []
        let all = (0..<count).map { Int32(truncatingIfNeeded: $0) }
        let root = closure(all)
        if root.contains(where: { $0 != nil }) { found.append(Pattern(cells: root, first: totalFirst, second: totalSecond)) }
        seen.insert(root)
        var level: [(cells: [UInt32?], rows: [Int32])] = [(root, all)]
        var sums: [[Double]] = values.map { [Double](repeating: 0, count: $0) }
        var others = sums
        for _ in 0..<max(0, depth) {
            var next: [(cells: [UInt32?], rows: [Int32])] = []
            for node in level {
                for c in 0..<width where node.cells[c] == nil {
                    // The weight of each value of this column among the rows.
                    var touched: [Int] = []
                    for r in node.rows {
                        let v = Int(cells[Int(r) * width + c])
                        if sums[c][v] == 0, others[c][v] == 0 { touched.append(v) }
                        sums[c][v] += first[Int(r)]
                        others[c][v] += second[Int(r)]
                    }
                    var parts: [Int: [Int32]] = [:]
                    for v in touched where isFrequent(sums[c][v], others[c][v]) { parts[v] = [] }
                    if !parts.isEmpty {
                        for r in node.rows { parts[Int(cells[Int(r) * width + c])]?.append(r) }
                    }
                    for v in touched {
                        (sums[c][v], others[c][v]) = (0, 0)
                        guard let rows = parts.removeValue(forKey: v) else { continue }
                        let pattern = closure(rows)
                        guard seen.insert(pattern).inserted else { continue }
                        guard seen.count <= limit else { throw TooMany(limit: limit) }
                        let (a, b) = weights(rows)
                        found.append(Pattern(cells: pattern, first: a, second: b))
                        next.append((pattern, rows))
                    }
                }
            }
            if next.isEmpty { break }
            level = next
        }
        return found
    }

    /// Of patterns in order of preference those that are neither part nor whole of a better one.
    static func apart(_ patterns: [Pattern]) -> [Pattern] {
        var kept: [Pattern] = []
        for p in patterns where !kept.contains(where: p.isComparable) { kept.append(p) }
        return kept
    }

    /// Seeds are grown: from the row that is most like the others, among those in no pattern yet, the column is opened whose opening gives
    /// the best balance of rows and values, again and again; the best stage is the pattern. `size` weighs the share of rows against the
    /// share of columns set, as a geometric mean.
    func seeded(size: Double, seeds: Int) -> [(pattern: Pattern, score: Double)] {
        guard count > 0, totalFirst > 0 else { return [] }
        var popularity: [[Double]] = values.map { [Double](repeating: 0, count: $0) }
        for r in 0..<count { for c in 0..<width { popularity[c][Int(cells[r * width + c])] += first[r] } }
        let likeness = (0..<count).map { r in (0..<width).reduce(0.0) { $0 + popularity[$1][Int(cells[r * width + $1])] } }
        var covered = [Bool](repeating: false, count: count)
        var out: [(pattern: Pattern, score: Double)] = []
        for _ in 0..<seeds {
            var seed = -1
            for r in 0..<count where !covered[r] && first[r] > 0 && (seed < 0 || likeness[r] > likeness[seed]) { seed = r }
            guard seed >= 0 else { break }
            let best = grown(from: seed, size: size)
            for r in 0..<count where !covered[r] {
                covered[r] = (0..<width).allSatisfy { best.pattern.cells[$0] == nil || best.pattern.cells[$0] == cells[r * width + $0] }
            }
            covered[seed] = true
            out.append(best)
        }
        return out
    }

    private func grown(from seed: Int, size: Double) -> (pattern: Pattern, score: Double) {
        // Of each row, in how many set columns it differs from the seed, and those columns' numbers combined by exclusive or: where the
        // count is one, that is the column.
        var differs = [Int32](repeating: 0, count: count)
        var which = [Int32](repeating: 0, count: count)
        var weight = 0.0
        for r in 0..<count {
            for c in 0..<width where cells[r * width + c] != cells[seed * width + c] {
                differs[r] += 1
                which[r] ^= Int32(truncatingIfNeeded: c)
            }
            if differs[r] == 0 { weight += first[r] }
        }
        var isSet = [Bool](repeating: true, count: width)
        func score(_ weight: Double, _ columns: Int) -> Double {
            power(weight / totalFirst, size) * power(Double(columns) / Double(width), 1 - size)
        }
        var columns = width
        var best = (isSet, weight, score(weight, columns))
        while columns > 1 {
            var gain = [Double](repeating: 0, count: width)
            for r in 0..<count where differs[r] == 1 { gain[Int(which[r])] += first[r] }
            var opened = -1
            for c in 0..<width where isSet[c] && (opened < 0 || gain[c] > gain[opened]) { opened = c }
            guard opened >= 0 else { break }
            weight += gain[opened]
            isSet[opened] = false
            columns -= 1
            for r in 0..<count where cells[r * width + opened] != cells[seed * width + opened] {
                differs[r] -= 1
                which[r] ^= Int32(truncatingIfNeeded: opened)
            }
            let s = score(weight, columns)
            if s > best.2 { best = (isSet, weight, s) }
        }
        // What all its rows have in common belongs to it.
        var rows: [Int32] = []
        for r in 0..<count where (0..<width).allSatisfy({ !best.0[$0] || cells[r * width + $0] == cells[seed * width + $0] }) {
            rows.append(Int32(truncatingIfNeeded: r))
        }
        let pattern = closure(rows)
        return (Pattern(cells: pattern, first: best.1, second: 0), score(best.1, pattern.count { $0 != nil }))
    }
}
