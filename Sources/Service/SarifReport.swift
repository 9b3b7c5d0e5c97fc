import Columnar
import KQL
import Rules

/// Findings about rules in the Static Analysis Results Interchange Format (OASIS SARIF 2.1.0).
public enum SarifReport {
    /// A log with one run. Paths are given as they were found, relative ones relative to the working directory.
    public static func log(_ book: RuleBook, notes: Bool) -> Dynamic {
        var rules: [String: Int] = [:]
        var codes: [String] = []
        var results: [Dynamic] = []
        for entry in book.entries {
            for f in entry.findings where notes || f.severity != .note {
                let index = rules[f.code] ?? codes.count
                if index == codes.count {
                    rules[f.code] = index
                    codes.append(f.code)
                }
                results.append(result(f, file: f.file ?? entry.file, rule: entry.name, index: index))
            }
        }
        let driver: Dynamic = .object([
            .init("name", .string("vedette")), .init("rules", .array(codes.map { .object([.init("id", .string($0))]) })),
        ])
        let run: Dynamic = .object([
            .init("tool", .object([.init("driver", driver)])), .init("columnKind", .string("unicodeCodePoints")),
            .init("results", .array(results)),
        ])
        return .object([
            .init("$schema", .string("https://json.schemastore.org/sarif-2.1.0.json")), .init("version", .string("2.1.0")),
            .init("runs", .array([run])),
        ])
    }

    private static func result(_ f: RuleFinding, file: String, rule: String, index: Int) -> Dynamic {
        var region: [Dynamic.Member] = [
            .init("startLine", .long(Int64(max(1, f.line)))), .init("startColumn", .long(Int64(max(1, f.column)))),
        ]
        if let end = f.end {
            region.append(.init("endLine", .long(Int64(end.line))))
            region.append(.init("endColumn", .long(Int64(end.column))))
        }
        let location: Dynamic = .object([
            .init(
                "physicalLocation",
                .object([
                    .init("artifactLocation", .object([.init("uri", .string(uri(file)))])), .init("region", .object(region)),
                ])),
            .init("logicalLocations", .array([.object([.init("name", .string(rule))])])),
        ])
        return .object([
            .init("ruleId", .string(f.code)), .init("ruleIndex", .long(Int64(index))), .init("level", .string(f.severity.rawValue)),
            .init("message", .object([.init("text", .string(f.mend.map { "\(f.message). \($0)" } ?? f.message))])),
            .init("locations", .array([location])),
        ])
    }

    /// A path as a URI reference: what RFC 3986 does not allow in a path is escaped; absolute paths become file URIs.
    static func uri(_ path: String) -> String {
        var out = path.hasPrefix("/") ? "file://" : ""
        for b in path.utf8 {
            switch b {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x2F, 0x5F, 0x7E: out.unicodeScalars.append(Unicode.Scalar(b))
            default:
                let hex = String(b, radix: 16, uppercase: true)
                out += "%" + (hex.count == 1 ? "0" + hex : hex)
            }
        }
        return out
    }
}
