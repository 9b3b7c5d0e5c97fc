import Columnar
import KQL
import Rules

/// Builds the content of alerts from result rows: entities, custom details, overrides.
struct AlertBuilder: Sendable {
    /// Values kept a detail.
    static let detailValues = 50
    /// Bytes of all custom details of an alert.
    static let detailBytes = 2048

    let rule: AnalyticsRule
    let mapper: EntityMapper
    private let details: [(key: String, column: Int)]
    private let columns: [BoundColumn]

    init(_ rule: AnalyticsRule, columns: [BoundColumn]) {
        self.rule = rule
        self.columns = columns
        mapper = EntityMapper(rule, columns: columns)
        details = rule.customDetails.compactMap { d in
            columns.firstIndex { $0.name == d.columnName }.map { (d.identifier, $0) }
        }
    }

    /// Column names that alerts of this rule read.
    static func columnNames(_ rule: AnalyticsRule) -> Set<String> {
        var names = Set(EntityMapper.effectiveMappings(rule).flatMap { $0.fields.map(\.columnName) })
        names.formUnion(rule.sentinelEntityColumns)
        names.formUnion(rule.customDetails.map(\.columnName))
        if let o = rule.detailsOverride {
            for format in [o.displayNameFormat, o.descriptionFormat] { names.formUnion(placeholders(format ?? "")) }
            names.formUnion([o.severityColumn, o.tacticsColumn].compactMap { $0 })
            names.formUnion(o.dynamicProperties.map(\.columnName))
        }
        return names
    }

    /// Rows in ascending order of their keys; the first fills placeholders.
    func content(_ rows: [(batch: Batch, row: Int)]) -> AlertContent {
        var content = AlertContent(
            name: rule.name, description: rule.description, severity: rule.severity, tactics: rule.tactics, techniques: rule.techniques,
            entities: [], droppedEntities: 0, details: [], properties: [])
        var seen: Set<Entity> = []
        for (batch, row) in rows {
            for e in mapper.entities(batch, row: row) where seen.insert(e).inserted {
                if content.entities.count < EntityMapper.limit { content.entities.append(e) } else { content.droppedEntities += 1 }
            }
        }
        var budget = AlertBuilder.detailBytes
        for (key, column) in details {
            var values: [String] = []
            for (batch, row) in rows {
                let v = CellText.text(batch.columns[column].value(row))
                guard !v.isEmpty, !values.contains(where: { ByteText.equal($0, v) }) else { continue }
                guard values.count < AlertBuilder.detailValues, v.utf8.count <= budget else { break }
                budget -= v.utf8.count
                values.append(v)
            }
            if !values.isEmpty { content.details.append(Alert.Detail(key: key, values: values)) }
        }
        if let o = rule.detailsOverride, let first = rows.first { apply(o, first, &content) }
        return content
    }

    private func cell(_ name: String, _ at: (batch: Batch, row: Int)) -> String? {
        guard let i = columns.firstIndex(where: { $0.name == name }) else { return nil }
        let t = CellText.text(at.batch.columns[i].value(at.row))
        return t.isEmpty ? nil : t
    }

    private func apply(_ o: AnalyticsRule.DetailsOverride, _ first: (batch: Batch, row: Int), _ content: inout AlertContent) {
        if let f = o.displayNameFormat, let text = fill(f, first, limit: 256) { content.name = text }
        if let f = o.descriptionFormat, let text = fill(f, first, limit: 5000) { content.description = text }
        if let c = o.severityColumn, let text = cell(c, first),
            let s = AnalyticsRule.Severity.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() })
        {
            content.severity = s
        }
        if let c = o.tacticsColumn, let text = cell(c, first) {
            let names: [String]
            if case .array(let items)? = JSONText.parse(text) {
                names = items.compactMap { if case .string(let s) = $0 { s } else { nil } }
            } else {
                names = text.split(separator: ",").map { part in
                    String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
                }
            }
            let known = names.compactMap { Tactic(name: $0)?.rawValue }
            if !known.isEmpty, known.count == names.count {
                content.tactics = known.enumerated().filter { !known[..<$0.offset].contains($0.element) }.map(\.element)
            }
        }
        for p in o.dynamicProperties {
            guard let text = cell(p.columnName, first) else { continue }
            content.properties.append(.init(p.identifier, .string(AlertBuilder.cut(text, 5000))))
        }
    }

    /// Nil when a referenced column is empty or missing: the field then keeps the rule's static value.
    private func fill(_ format: String, _ first: (batch: Batch, row: Int), limit: Int) -> String? {
        var out = ""
        var rest = format[...]
        while let start = AlertBuilder.find("{{", in: rest) {
            let after = rest[rest.index(start, offsetBy: 2)...]
            // One that is never closed stays as it is.
            guard let end = AlertBuilder.find("}}", in: after) else { break }
            out += rest[..<start]
            if let name = AlertBuilder.columnName(after[..<end]) {
                guard let text = cell(name, first) else { return nil }
                out += text
            } else {
                out += "{{" + after[..<end] + "}}"
            }
            rest = after[after.index(end, offsetBy: 2)...]
        }
        out += rest
        return AlertBuilder.cut(out, limit)
    }

    /// At most `limit` code points: a character may have any number of combining marks.
    private static func cut(_ s: String, _ limit: Int) -> String {
        guard s.utf8.count > limit else { return s }
        return String(String.UnicodeScalarView(s.unicodeScalars.prefix(limit)))
    }

    private static func find(_ mark: String, in s: Substring) -> Substring.Index? {
        var i = s.startIndex
        while i < s.endIndex {
            if s[i...].hasPrefix(mark) { return i }
            i = s.index(after: i)
        }
        return nil
    }

    /// The name inside the braces; nil if it is none, and then the placeholder stays as it is.
    private static func columnName(_ s: Substring) -> String? {
        let name = s.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        guard let first = name.first, first == "_" || first.isLetter else { return nil }
        return name.allSatisfy { $0 == "_" || $0.isLetter || $0.isNumber } ? String(name) : nil
    }

    /// The names in `{{Column}}` placeholders.
    static func placeholders(_ format: String) -> [String] {
        var names: [String] = []
        var rest = format[...]
        while let start = find("{{", in: rest) {
            let after = rest[rest.index(start, offsetBy: 2)...]
            guard let end = find("}}", in: after) else { break }
            if let name = columnName(after[..<end]) { names.append(name) }
            rest = after[after.index(end, offsetBy: 2)...]
        }
        return names
    }
}
