import Columnar
import KQL

// Rules and findings as bytes, for what is kept from run to run. The file that a rule came from is not written: the same text may stand
// elsewhere.

extension AnalyticsRule {
    package func write(to w: inout PackedWriter) {
        for part in [id, name, description, severity.rawValue, kind.rawValue, query] { w.text(part) }
        w.integer(queryFrequency)
        w.integer(queryPeriod)
        w.text(triggerOperator.rawValue)
        w.int(triggerThreshold)
        w.bool(startTime != nil)
        w.integer(startTime ?? 0)
        w.texts(tactics)
        w.texts(techniques)
        w.count(entityMappings.count)
        for m in entityMappings {
            w.text(m.entityType)
            AnalyticsRule.write(m.fields, &w)
        }
        w.texts(sentinelEntityColumns)
        AnalyticsRule.write(customDetails, &w)
        w.bool(detailsOverride != nil)
        if let o = detailsOverride {
            for part in [o.displayNameFormat, o.descriptionFormat, o.severityColumn, o.tacticsColumn] { w.optionalText(part) }
            AnalyticsRule.write(o.dynamicProperties, &w)
        }
        w.text(grouping.rawValue)
        w.bool(suppression != nil)
        w.integer(suppression ?? 0)
        w.bool(isEnabled)
        w.optionalText(version)
        w.int(queryLine)
        w.int(queryColumn)
    }

    /// The rule that ``write(to:)`` wrote, as one of `file`.
    package init(from r: inout PackedReader, file: String) throws {
        func raw<T: RawRepresentable<String>>(_: T.Type) throws -> T {
            let text = try r.text()
            guard let v = T(rawValue: text) else { throw PackedError("`\(text)` is not known") }
            return v
        }
        let id = try r.text()
        let name = try r.text()
        let description = try r.text()
        let severity = try raw(Severity.self)
        let kind = try raw(Kind.self)
        let query = try r.text()
        let frequency = try r.integer()
        self.init(id: id, name: name, query: query, queryFrequency: frequency, queryPeriod: try r.integer())
        self.description = description
        self.severity = severity
        self.kind = kind
        self.file = file
        triggerOperator = try raw(TriggerOperator.self)
        triggerThreshold = try r.int()
        let hasStart = try r.bool()
        let start = try r.integer()
        startTime = hasStart ? start : nil
        tactics = try r.texts()
        techniques = try r.texts()
        entityMappings = try r.list { r in
            let type = try r.text()
            return EntityMapping(entityType: type, fields: try AnalyticsRule.fields(&r))
        }
        sentinelEntityColumns = try r.texts()
        customDetails = try AnalyticsRule.fields(&r)
        if try r.bool() {
            var o = DetailsOverride()
            o.displayNameFormat = try r.optionalText()
            o.descriptionFormat = try r.optionalText()
            o.severityColumn = try r.optionalText()
            o.tacticsColumn = try r.optionalText()
            o.dynamicProperties = try AnalyticsRule.fields(&r)
            detailsOverride = o
        }
        grouping = try raw(Grouping.self)
        let isSuppressed = try r.bool()
        let length = try r.integer()
        suppression = isSuppressed ? length : nil
        isEnabled = try r.bool()
        version = try r.optionalText()
        queryLine = try r.int()
        queryColumn = try r.int()
    }

    private static func write(_ fields: [FieldMapping], _ w: inout PackedWriter) {
        w.count(fields.count)
        for f in fields {
            w.text(f.identifier)
            w.text(f.columnName)
        }
    }

    private static func fields(_ r: inout PackedReader) throws -> [FieldMapping] {
        try r.list { r in
            let identifier = try r.text()
            return FieldMapping(identifier: identifier, columnName: try r.text())
        }
    }
}

extension RuleFinding {
    package func write(to w: inout PackedWriter) {
        for part in [severity.rawValue, code, message] { w.text(part) }
        w.int(line)
        w.int(column)
        w.optionalText(mend)
        w.bool(end != nil)
        w.int(end?.line ?? 0)
        w.int(end?.column ?? 0)
        w.optionalText(file)
        w.optionalText(text)
    }

    package init(from r: inout PackedReader) throws {
        guard let severity = Diagnostic.Severity(rawValue: try r.text()) else { throw PackedError("a finding of no severity") }
        let code = try r.text()
        let message = try r.text()
        let line = try r.int()
        let column = try r.int()
        let mend = try r.optionalText()
        let hasEnd = try r.bool()
        let end = SourceText.Position(line: try r.int(), column: try r.int())
        let file = try r.optionalText()
        self.init(
            severity, code, message, line: line, column: column, mend: mend, end: hasEnd ? end : nil, file: file, text: try r.optionalText()
        )
    }
}
