import Columnar
import Evaluation
import KQL
import Pipeline

/// `hunt --explain`: the plan as it was run, what was pushed down to the reader, and what each operator did; with `--dry-run` what would
/// be done.
struct ExplainReport {
    let roots: [Plan]
    /// Nil: nothing was run.
    let run: Run?
    let scans: [HuntScanNote]

    struct Run {
        let profile: ExecutionProfile
        let figures: HuntFigures
        let seconds: Double
        let threads: Int
    }

    // MARK: text

    func text(width: Int) -> String {
        let legend = run == nil ? "  (as it would run)" : "  (rows in → out, own time, time with what is below)"
        var lines = [Terminal.styled("Plan", .bold) + legend]
        for root in roots { write(root, depth: 0, width, &lines) }
        for scan in scans { write(scan, width, &lines) }
        if let run {
            lines.append("")
            lines.append(
                [
                    Figures.count(run.figures.records, "record"), "\(Figures.bytes(Double(run.figures.rawBytes))) raw",
                    Figures.seconds(run.seconds), Figures.count(run.threads, "thread"),
                ].joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }

    private func write(_ scan: HuntScanNote, _ width: Int, _ lines: inout [String]) {
        lines.append("")
        lines.append(Terminal.styled("Read", .bold) + "  \(Figures.count(scan.files, "file"))" + passedOver(scan))
        if run != nil {
            let made = scan.made.keys.sorted().map { "\(Figures.count(scan.made[$0] ?? 0, "row")) of \($0)" }
            lines.append(
                "  \(Figures.count(scan.records, "record")), \(Figures.count(scan.takenApart)) taken apart"
                    + (made.isEmpty ? "" : " into \(made.joined(separator: ", "))") + ", \(milliseconds(scan.nanoseconds))")
        }
        for (i, r) in scan.reads.enumerated() {
            lines.append("  \(i == 0 ? r.table : "with it: " + r.table)")
            lines.append("    columns     \(r.columns.isEmpty ? "none" : r.columns.joined(separator: ", "))")
            for f in r.filters { lines.append("    decided there  \(cut(condition(f, r), width - 19))") }
            if run != nil { lines.append("    rows left   \(Figures.count(r.rows))") }
        }
        if !scan.needles.isEmpty {
            lines.append("    only records that hold  \(scan.needles.map { "\"\($0)\"" }.joined(separator: " or ")) are taken apart")
        }
        for t in scan.times { lines.append("    times       \(time(t.least)) to \(time(t.greatest))") }
    }

    private func condition(_ f: BoundExpr, _ read: HuntScanNote.Read) -> String {
        f.text(Dictionary(zip(read.columnIDs, read.columns)) { a, _ in a })
    }

    private func passedOver(_ scan: HuntScanNote) -> String {
        scan.passedOver > 0 ? ", \(Figures.count(scan.passedOver)) passed over (too old by name, or known to hold nothing)" : ""
    }

    private func time(_ t: Int64) -> String { t == .min ? "the beginning" : t == .max ? "the end" : KustoTime.isoString(t) }

    private func write(_ plan: Plan, depth: Int, _ width: Int, _ lines: inout [String]) {
        let title = String(repeating: "  ", count: depth) + plan.text
        if run == nil {
            lines.append(cut(title, width))
        } else {
            let head = cut(title, max(30, width - 54))
            lines.append(head + String(repeating: " ", count: max(2, width - 52 - head.count)) + Terminal.styled(numbers(plan), .dim))
        }
        for input in plan.children { write(input, depth: depth + 1, width, &lines) }
    }

    private func numbers(_ plan: Plan) -> String {
        if let scan = scanned(plan) {
            let rows = "\(Figures.count(scan.made)) → \(Figures.count(scan.rows, "row"))"
            return scan.isFirst ? "\(rows)  read in \(milliseconds(scan.nanoseconds))" : "\(rows)  read with another table"
        }
        guard let f = run?.profile.figures(plan) else { return "part of the operator above" }
        let rows = Figures.count(f.rows, "row")
        let flow = rowsIn(plan).map { "\(Figures.count($0)) → \(rows)" } ?? rows
        return "\(flow)  \(own(plan, f))  \(milliseconds(f.nanoseconds))"
    }

    /// What a scan made for the read that is this node; nil for other nodes, and where the rows came from elsewhere.
    private func scanned(_ plan: Plan) -> (made: Int, rows: Int, nanoseconds: UInt64, isFirst: Bool)? {
        guard case .table(let name) = plan.kind, run != nil else { return nil }
        let ids = plan.columns.map(\.id)
        for scan in scans {
            guard let at = scan.reads.firstIndex(where: { $0.table == name && $0.columnIDs == ids }) else { continue }
            return (scan.made[name] ?? 0, scan.reads[at].rows, scan.nanoseconds, at == 0)
        }
        return nil
    }

    /// The rows that the inputs handed over; nil for an operator without inputs, or where they are not known.
    private func rowsIn(_ plan: Plan) -> Int? {
        var sum = 0
        for input in plan.children {
            if let f = run?.profile.figures(input) { sum += f.rows } else if let s = scanned(input) { sum += s.rows } else { return nil }
        }
        return plan.children.isEmpty ? nil : sum
    }

    /// The time of the operator alone.
    private func own(_ plan: Plan, _ f: ExecutionProfile.Figures) -> String {
        let below = nanosecondsBelow(plan)
        return milliseconds(f.nanoseconds > below ? f.nanoseconds - below : 0)
    }

    /// The time of the nearest nodes below that have figures, scans included.
    private func nanosecondsBelow(_ plan: Plan) -> UInt64 {
        plan.children.reduce(0) { sum, p in
            if let f = run?.profile.figures(p) { return sum &+ f.nanoseconds }
            if let s = scanned(p) { return s.isFirst ? sum &+ s.nanoseconds : sum }
            return sum &+ nanosecondsBelow(p)
        }
    }

    private func milliseconds(_ n: UInt64) -> String { n < 1_000_000 ? "\(n / 1000) µs" : "\(Double(n / 10_000) / 100) ms" }

    private func cut(_ s: String, _ n: Int) -> String { s.count > n ? String(s.prefix(max(1, n - 1))) + "…" : s }

    // MARK: JSON

    var json: Dynamic {
        var members: [Dynamic.Member] = [.init("plan", .array(roots.map(node))), .init("reads", .array(scans.map(read)))]
        if let run {
            members += [
                .init("records", .long(Int64(run.figures.records))), .init("raw_bytes", .long(Int64(run.figures.rawBytes))),
                .init("seconds", .real(run.seconds)), .init("threads", .long(Int64(run.threads))),
            ]
        }
        return .object(members)
    }

    private func read(_ scan: HuntScanNote) -> Dynamic {
        var members: [Dynamic.Member] = [
            .init("files", .long(Int64(scan.files))), .init("files_passed_over", .long(Int64(scan.passedOver))),
            .init("needles", .array(scan.needles.map { .string($0) })),
            .init("times", .array(scan.times.map { .array([edge($0.least), edge($0.greatest)]) })),
        ]
        if run != nil {
            members += [
                .init("records", .long(Int64(scan.records))), .init("records_taken_apart", .long(Int64(scan.takenApart))),
                .init("milliseconds", .real(Double(scan.nanoseconds) / 1e6)),
            ]
        }
        let tables = scan.reads.map { r -> Dynamic in
            var members: [Dynamic.Member] = [
                .init("table", .string(r.table)), .init("columns", .array(r.columns.map { .string($0) })),
                .init("filters", .array(r.filters.map { .string(condition($0, r)) })),
            ]
            if run != nil {
                members += [.init("rows_made", .long(Int64(scan.made[r.table] ?? 0))), .init("rows_left", .long(Int64(r.rows)))]
            }
            return .object(members)
        }
        return .object(members + [.init("tables", .array(tables))])
    }

    private func edge(_ t: Int64) -> Dynamic { t == .min || t == .max ? .null : .string(KustoTime.isoString(t)) }

    private func node(_ plan: Plan) -> Dynamic {
        var members: [Dynamic.Member] = [.init("operator", .string(plan.word)), .init("text", .string(plan.text))]
        if let f = run?.profile.figures(plan) {
            if let n = rowsIn(plan) { members.append(.init("rows_in", .long(Int64(n)))) }
            members += [
                .init("rows", .long(Int64(f.rows))), .init("batches", .long(Int64(f.batches))),
                .init("milliseconds", .real(Double(f.nanoseconds) / 1e6)), .init("runs", .long(Int64(f.runs))),
            ]
        } else if let s = scanned(plan) {
            members += [.init("rows_in", .long(Int64(s.made))), .init("rows", .long(Int64(s.rows)))]
        }
        members.append(.init("inputs", .array(plan.children.map(node))))
        return .object(members)
    }
}
