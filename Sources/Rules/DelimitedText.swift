/// Rows of separated values (RFC 4180): quotes around cells, doubled quotes inside, line ends of any kind.
public enum DelimitedText {
    /// One row with the line of the text on which it begins, from 1.
    public struct Row: Sendable {
        public let cells: [String]
        public let line: Int
    }

    public struct Problem: Error, Sendable {
        public let message: String
        public let line: Int
    }

    /// All rows; blank lines are left out. `isQuoted`: cells may stand in quotes (csv), else quotes are text (tsv, psv).
    public static func rows(_ text: String, separator: UInt8 = 0x2C, isQuoted: Bool = true, mostRows: Int = 2_000_000) throws(Problem)
        -> [Row]
    {
        let bytes = Array(text.utf8)
        var out: [Row] = []
        var cells: [String] = []
        var cell: [UInt8] = []
        var at = 0
        var line = 1
        var start = 1
        var hasContent = false
        func endCell() {
            cells.append(String(decoding: cell, as: UTF8.self))
            cell.removeAll(keepingCapacity: true)
        }
        func endRow() throws(Problem) {
            if hasContent || !cells.isEmpty {
                endCell()
                out.append(Row(cells: cells, line: start))
                if out.count > mostRows { throw Problem(message: "there are more than \(mostRows) rows", line: line) }
            }
            cells.removeAll(keepingCapacity: true)
            cell.removeAll(keepingCapacity: true)
            hasContent = false
        }
        while at < bytes.count {
            let b = bytes[at]
            if b == 0x22, isQuoted, cell.isEmpty {
                let opened = line
                hasContent = true
                at += 1
                while true {
                    guard at < bytes.count else { throw Problem(message: "a quote that opens here is not closed", line: opened) }
                    if bytes[at] == 0x22 {
                        guard at + 1 < bytes.count, bytes[at + 1] == 0x22 else { break }
                        cell.append(0x22)
                        at += 2
                        continue
                    }
                    if bytes[at] == 0x0A { line += 1 }
                    cell.append(bytes[at])
                    at += 1
                }
                at += 1
                continue
            }
            switch b {
            case separator:
                endCell()
                hasContent = true
            case 0x0A, 0x0D:
                if b == 0x0D, at + 1 < bytes.count, bytes[at + 1] == 0x0A { at += 1 }
                try endRow()
                line += 1
                start = line
            default:
                cell.append(b)
                hasContent = true
            }
            at += 1
        }
        try endRow()
        return out
    }
}
