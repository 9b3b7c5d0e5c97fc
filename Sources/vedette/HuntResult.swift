import ArgumentParser
import Charts
import Columnar
import Detection
import Evaluation
import KQL
import Synchronization

/// A switch that other threads look at.
final class Switch: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Where the rows of a hunt go: printed as they come, or kept for a picture; saved as a table beside that.
final class HuntResult {
    private let session: HuntSession
    private let query: String
    private let render: RenderSpec?
    private let columns: [[BoundColumn]]
    private var printers: [ResultPrinter] = []
    private var current = 0
    private var kept: [[Value]] = []
    private let keeps: Bool
    private var file: OutputFile?
    private var saved: TableWriter?
    /// What is to be said with the result.
    var notes: [String] = []
    /// Reading was stopped: files say so by their names, and no table is saved.
    var isPartial = false

    init(_ session: HuntSession, _ bound: BoundQuery, _ plan: Plan, query: String) throws {
        self.session = session
        self.query = query
        render = bound.render
        if case .custom("results", let inputs, _, _) = plan.kind {
            columns = inputs.map(\.columns)
            if session.format.isPicture || session.saveTable != nil {
                throw fail("the query has \(inputs.count) results: pictures and saved tables take one", ExitStatus.usage)
            }
        } else {
            columns = [plan.columns]
        }
        let draws = bound.render.map { Chart.draws($0) } ?? false
        keeps = session.format.isPicture || (session.format == .table && draws && columns.count == 1 && !session.explain)
        if session.explain { return }
        if let name = session.saveTable { saved = try TableWriter(name, folder: session.tablesFolder, columns: columns[0]) }
        if let path = session.output { file = try OutputFile(path) }
        if !keeps {
            let names = bound.resultNames
            printers = columns.enumerated().map { i, c in
                ResultPrinter(
                    format: session.format, columns: c, name: names.indices.contains(i) ? names[i] : nil, index: i, of: columns.count,
                    write: { [unowned self] in try write(Array($0.utf8)) })
            }
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        if let file { try file.write(bytes) } else { Terminal.out(bytes: bytes) }
    }

    func add(_ batch: Batch, of index: Int) throws -> Bool {
        if session.explain { return true }
        try saved?.add(batch)
        if keeps {
            for r in 0..<batch.count { kept.append(batch.columns.map { $0.value(r) }) }
            return true
        }
        while current < index {
            try printers[current].finish()
            current += 1
        }
        try printers[index].add(batch)
        return true
    }

    func finish() throws {
        if session.explain { return }
        if keeps { try draw() } else { for p in printers[current...] { try p.finish() } }
        try file?.finish(suffix: isPartial ? ".partial" : "")
        if isPartial {
            if let output = session.output { Terminal.err("vedette: what is known so far is in \(output).partial") }
            if saved != nil { Terminal.err("vedette: \(session.saveTable ?? "") is not saved: the result is partial") }
        } else if let saved {
            try saved.finish()
            Terminal.err(
                "vedette: \(Figures.count(saved.rows, "row")) saved; read with: vedette hunt '\(session.saveTable ?? "") | ...' --tables \(session.tablesFolder)"
            )
        }
    }

    private func draw() throws {
        let spec = render ?? RenderSpec()
        var chart: Chart?
        if Chart.draws(spec) {
            do {
                chart = try Chart.make(spec, columns: columns[0], rows: kept, text: CellText.text)
                chart?.notes += notes
            } catch {
                // The rows are the result; a picture of them is not to be had.
                if session.format == .svg || session.format == .png { throw fail("\(error)", ExitStatus.invalid) }
                Terminal.err("vedette: not drawn: \(error)")
            }
        }
        switch session.format {
        case .svg, .png:
            guard let chart else {
                throw fail("--format \(session.format.rawValue) draws a chart: end the query with `| render timechart`", ExitStatus.invalid)
            }
            if session.format == .svg { return try write(Array(SVGChart().draw(chart).utf8)) }
            let picture: [UInt8]
            do { picture = try PNGPicture.make(chart) } catch { throw fail("\(error)", ExitStatus.io) }
            try write(picture)
        case .html:
            let page = HTMLPage.make(
                query: query, columns: columns[0], rows: kept, chart: chart, notes: notes, text: CellText.text)
            try write(Array(page.utf8))
        default:
            guard let chart else { return try table() }
            let height = max(6, min(20, Terminal.height - 8))
            let drawing = TerminalChart(width: min(Terminal.width, 160), height: height, usesColor: Terminal.usesColor && file == nil).draw(
                chart)
            try write(Array((drawing + "\n").utf8))
        }
    }

    private func table() throws {
        let printer = ResultPrinter(format: .table, columns: columns[0], write: { [unowned self] in try write(Array($0.utf8)) })
        var builders = columns[0].map { ColumnBuilder($0.type) }
        for row in kept { for (i, v) in row.enumerated() { builders[i].append(v) } }
        try printer.add(Batch(columns: builders.indices.map { builders[$0].finish() }, count: kept.count))
        try printer.finish()
    }
}
