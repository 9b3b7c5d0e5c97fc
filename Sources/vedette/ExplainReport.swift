import Columnar
import Evaluation
import KQL
import Pipeline

/// `hunt --explain`: the plan as it was run, what was pushed down to the reader, and what each operator did.
struct ExplainReport {
    let query: String
    let profile: ExecutionProfile
    let scans: [HuntScanNote]
    let figures: HuntFigures
    let seconds: Double
    let threads: Int

    // MARK: text

    func text(width: Int) -> String {
        var lines = [Terminal.styled("Plan", .bold) + "  (rows out, own time on all threads, time with what is below)"]
        for root in profile.roots { write(root, depth: 0, inherited: nil, width, &lines) }
        for scan in scans {
            lines.append("")
            lines.append(Terminal.styled("Read", .bold) + "  \(Figures.count(scan.files, "file"))" + passedOver(scan))
            for (i, r) in scan.reads.enumerated() {
                lines.append("  \(i == 0 ? r.table : "with it: " + r.table)")
                lines.append("    columns     \(r.columns.isEmpty ? "none" : r.columns.joined(separator: ", "))")
                for f in r.filters { lines.append("    decided there  \(cut(source(f.range) ?? f.dump(), width - 19))") }
            }
            if !scan.needles.isEmpty {
                lines.append("    only records that hold  \(scan.needles.map { "\"\($0)\"" }.joined(separator: " or ")) are taken apart")
            }
            for t in scan.times { lines.append("    times       \(time(t.least)) to \(time(t.greatest))") }
        }
        lines.append("")
        lines.append(
            "\(Figures.count(figures.records, "record")), \(Figures.bytes(Double(figures.rawBytes))) raw, \(Figures.seconds(seconds)), \(Figures.count(threads, "thread"))"
        )
        return lines.joined(separator: "\n")
    }

    private func passedOver(_ scan: HuntScanNote) -> String {
        scan.passedOver > 0 ? ", \(Figures.count(scan.passedOver)) passed over (too old by name, or known to hold nothing)" : ""
    }

    private func time(_ t: Int64) -> String { t == .min ? "the beginning" : t == .max ? "the end" : KustoTime.isoString(t) }

    private func write(_ plan: Plan, depth: Int, inherited: ExecutionProfile.Figures?, _ width: Int, _ lines: inout [String]) {
        let f = profile.figures(plan)
        let indent = String(repeating: "  ", count: depth)
        let numbers =
            f.map { "\(Figures.count($0.rows, "row"))  \(own(plan, $0))  \(milliseconds($0.nanoseconds))" }
            ?? "part of the operator above"
        let head = cut(indent + title(plan), max(30, width - 48))
        lines.append(head + String(repeating: " ", count: max(2, width - 46 - head.count)) + Terminal.styled(numbers, .dim))
        for input in inputs(plan) { write(input, depth: depth + 1, inherited: f, width, &lines) }
    }

    /// The time of the operator alone.
    private func own(_ plan: Plan, _ f: ExecutionProfile.Figures) -> String {
        let below = children(plan).reduce(UInt64(0)) { $0 &+ $1.nanoseconds }
        return milliseconds(f.nanoseconds > below ? f.nanoseconds - below : 0)
    }

    /// The nearest nodes below that have figures.
    private func children(_ plan: Plan) -> [ExecutionProfile.Figures] {
        inputs(plan).flatMap { p in profile.figures(p).map { [$0] } ?? children(p) }
    }

    private func milliseconds(_ n: UInt64) -> String { n < 1_000_000 ? "\(n / 1000) µs" : "\(Double(n / 10_000) / 100) ms" }

    private func cut(_ s: String, _ n: Int) -> String { s.count > n ? String(s.prefix(max(1, n - 1))) + "…" : s }

    /// The operator in the query's own words where they are known.
    private func title(_ plan: Plan) -> String {
        let word = plan.word
        guard let text = source(plan.range), !text.isEmpty else { return word }
        return text.hasPrefix(word) || text == word ? text : "\(word): \(text)"
    }

    private func source(_ range: SourceRange) -> String? {
        let bytes = Array(query.utf8)
        guard range.lower >= 0, range.lower < range.upper, range.upper <= bytes.count else { return nil }
        return String(decoding: bytes[range.lower..<range.upper], as: UTF8.self).split(whereSeparator: \.isWhitespace).joined(
            separator: " ")
    }

    private func inputs(_ plan: Plan) -> [Plan] { plan.children }

    // MARK: JSON

    var json: Dynamic {
        .object([
            .init("plan", .array(profile.roots.map(node))),
            .init(
                "reads",
                .array(
                    scans.map { s in
                        .object([
                            .init("files", .long(Int64(s.files))), .init("files_passed_over", .long(Int64(s.passedOver))),
                            .init("needles", .array(s.needles.map { .string($0) })),
                            .init(
                                "tables",
                                .array(
                                    s.reads.map { r in
                                        .object([
                                            .init("table", .string(r.table)), .init("columns", .array(r.columns.map { .string($0) })),
                                            .init("filters", .array(r.filters.map { .string(source($0.range) ?? $0.dump()) })),
                                        ])
                                    })),
                        ])
                    })),
            .init("records", .long(Int64(figures.records))), .init("raw_bytes", .long(Int64(figures.rawBytes))),
            .init("seconds", .real(seconds)), .init("threads", .long(Int64(threads))),
        ])
    }

    private func node(_ plan: Plan) -> Dynamic {
        var members: [Dynamic.Member] = [.init("operator", .string(plan.word))]
        if let text = source(plan.range) { members.append(.init("text", .string(text))) }
        if let f = profile.figures(plan) {
            members += [
                .init("rows", .long(Int64(f.rows))), .init("batches", .long(Int64(f.batches))),
                .init("milliseconds", .real(Double(f.nanoseconds) / 1e6)), .init("runs", .long(Int64(f.runs))),
            ]
        }
        members.append(.init("inputs", .array(inputs(plan).map(node))))
        return .object(members)
    }
}
