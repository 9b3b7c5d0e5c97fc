import ArgumentParser
import Columnar
import Glibc

/// Text to a person or to a pipe.
enum Terminal {
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1

    /// Colour only on a terminal, and never when NO_COLOR is set.
    static let usesColor = isOutputTerminal && getenv("NO_COLOR") == nil && (getenv("TERM").map { String(cString: $0) } ?? "dumb") != "dumb"

    /// Columns of the terminal; 160 in a pipe.
    static var width: Int {
        var w = winsize()
        if isOutputTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &w) == 0, w.ws_col > 20 { return Int(w.ws_col) }
        return 160
    }

    /// Lines of the terminal; 24 in a pipe.
    static var height: Int {
        var w = winsize()
        if isOutputTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &w) == 0, w.ws_row > 5 { return Int(w.ws_row) }
        return 24
    }

    static func out(_ text: String, terminator: String = "\n") { write(STDOUT_FILENO, Array((text + terminator).utf8)) }
    static func out(bytes: [UInt8]) { write(STDOUT_FILENO, bytes) }
    static func err(_ text: String, terminator: String = "\n") { write(STDERR_FILENO, Array((text + terminator).utf8)) }

    /// Writes everything; a reader that went away (broken pipe) ends the program quietly, a full disk with a message.
    private static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            if n < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { Glibc.exit(0) }
                if descriptor == STDERR_FILENO { return }
                if errno == EAGAIN {
                    // A terminal or pipe that somebody else made non-blocking.
                    var p = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&p, 1, -1)
                    continue
                }
                err("vedette: standard output: \(String(cString: strerror(errno)))")
                Glibc.exit(ExitStatus.io.rawValue)
            }
            done += n
        }
    }

    enum Style: String {
        case bold = "1", dim = "2", red = "31", green = "32", yellow = "33", blue = "34", magenta = "35", cyan = "36"
    }

    /// Without what a terminal would act on: control characters, C1 included, are shown as blanks. Line ends stay where asked for.
    static func harmless(_ s: String, keepingLines: Bool = false) -> String {
        String(
            String.UnicodeScalarView(
                s.unicodeScalars.map {
                    ($0.value < 0x20 || (0x7F...0x9F).contains($0.value)) && !(keepingLines && $0 == "\n") ? " " : $0
                }))
    }

    static func styled(_ text: String, _ style: Style) -> String {
        usesColor ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// A table that fits the terminal: the widest columns give way first.
struct TextTable {
    enum Alignment { case left, right }
    var header: [String]
    var alignment: [Alignment]
    var rows: [[String]] = []
    /// Colours a cell after it was cut to its width.
    var style: ((_ row: Int, _ column: Int, _ text: String) -> String)?

    init(_ header: [String], alignment: [Alignment] = []) {
        self.header = header
        self.alignment = alignment + Array(repeating: .left, count: max(0, header.count - alignment.count))
    }

    /// Cells in one line each: control characters are shown as blanks.
    private static func clean(_ s: String) -> String { Terminal.harmless(s) }

    /// Whether cells have to be cut to fit.
    func isCut(width: Int) -> Bool {
        isatty(STDOUT_FILENO) == 1
            && header.indices.reduce(2 * max(0, header.count - 1)) { sum, i in
                sum + rows.reduce(header[i].count) { max($0, i < $1.count ? $1[i].count : 0) }
            } > width
    }

    func render(width: Int) -> String {
        let cells = rows.map { row in (0..<header.count).map { $0 < row.count ? TextTable.clean(row[$0]) : "" } }
        var widths = header.map(\.count)
        for r in cells { for (i, c) in r.enumerated() { widths[i] = max(widths[i], c.count) } }
        let gaps = 2 * max(0, header.count - 1)
        let floor = 8
        while widths.reduce(0, +) + gaps > width, let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > floor {
            let excess = widths.reduce(0, +) + gaps - width
            let second = widths.enumerated().filter { $0.offset != widest }.map(\.element).max() ?? floor
            widths[widest] = max(floor, max(second - 1, widths[widest] - excess))
        }
        func pad(_ s: String, _ i: Int) -> String {
            let text = s.count > widths[i] ? String(s.prefix(max(0, widths[i] - 1))) + "…" : s
            let blanks = String(repeating: " ", count: max(0, widths[i] - text.count))
            if alignment[i] == .right { return blanks + text }
            return i == header.count - 1 ? text : text + blanks
        }
        var lines = [header.enumerated().map { Terminal.styled(pad($1, $0), .bold) }.joined(separator: "  ")]
        lines.append(widths.map { String(repeating: "─", count: $0) }.joined(separator: "  "))
        for (n, r) in cells.enumerated() {
            lines.append(
                r.enumerated().map { i, c in
                    let text = pad(c, i)
                    return style?(n, i, text) ?? text
                }.joined(separator: "  "))
        }
        return lines.joined(separator: "\n")
    }
}

/// Figures for people.
enum Figures {
    /// `12.3 MB`: powers of ten.
    static func bytes(_ n: Double) -> String {
        if n >= 1e9 { return "\(round(n / 1e8) / 10) GB" }
        if n >= 1e6 { return "\(round(n / 1e5) / 10) MB" }
        if n >= 1e3 { return "\(round(n / 1e2) / 10) kB" }
        return "\(Int(n)) B"
    }

    /// `12,345`.
    static func count(_ n: Int) -> String {
        let digits = String(abs(n))
        var out = ""
        for (i, c) in digits.enumerated() {
            if i > 0, (digits.count - i) % 3 == 0 { out += "," }
            out.append(c)
        }
        return (n < 0 ? "-" : "") + out
    }

    /// `1 file`, `12,345 files`.
    static func count(_ n: Int, _ noun: String) -> String { "\(count(n)) \(noun)\(n == 1 ? "" : "s")" }

    static func seconds(_ s: Double) -> String {
        if s < 60 { return "\(round(s * 10) / 10) s" }
        let whole = Int(s)
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
    }
}
