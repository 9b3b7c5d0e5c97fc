import Columnar
import KQL
import Yams

// What a rule takes from the rows of its result: entities, custom details, the alert's texts; and how incidents would be grouped.

extension RuleDecoder {
    mutating func entities(_ rule: inout AnalyticsRule, _ mappings: Node?, _ arrays: Node?) {
        let list = RuleDecoder.items(mappings)
        if list.count > 10 { error("VR0040", "\(list.count) entity mappings; the limit is 10", mappings) }
        for m in list {
            guard let map = m.mapping, let typeNode = RuleDecoder.field(map, "entityType"), let type = typeNode.string else {
                error("VR0041", "an entity mapping needs `entityType` and `fieldMappings`", m)
                continue
            }
            guard let entity = EntityCatalog.type(type) else {
                error(
                    "VR0042", "`\(type)` is no entity type", typeNode,
                    mend: Suggestions.nearest(type, in: EntityCatalog.names).map { "did you mean `\($0)`?" })
                continue
            }
            let (fields, isComplete) = fieldMappings(entity, RuleDecoder.field(map, "fieldMappings"))
            if fields.isEmpty || fields.count > 3 {
                error("VR0047", "a mapping has 1 to 3 field mappings, this one \(fields.count)", m)
            } else if isComplete, !entity.required.contains(where: { $0.allSatisfy { id in fields.contains { $0.identifier == id } } }) {
                note(
                    .warning, "VR0048", "what is mapped does not identify \(entity.name)", typeNode,
                    mend: "map " + entity.required.map { $0.joined(separator: " and ") }.joined(separator: ", or "))
            }
            rule.entityMappings.append(AnalyticsRule.EntityMapping(entityType: entity.name, fields: fields))
        }
        let columns = RuleDecoder.items(arrays)
        if columns.count > 5 { note(.warning, "VR0049", "\(columns.count) `sentinelEntitiesMappings`; Sentinel takes 5", arrays) }
        for a in columns {
            guard let map = a.mapping, let node = RuleDecoder.field(map, "columnName"), let column = node.string else {
                error("VR0043", "an entry of `sentinelEntitiesMappings` needs `columnName`", a)
                continue
            }
            checkColumn(column, node)
            rule.sentinelEntityColumns.append(column)
        }
    }

    /// The pairs of a mapping, and whether all of them could be read.
    private mutating func fieldMappings(
        _ entity: EntityCatalog.Entity, _ node: Node?
    ) -> (fields: [AnalyticsRule.FieldMapping], isComplete: Bool) {
        var fields: [AnalyticsRule.FieldMapping] = []
        var isComplete = true
        for f in RuleDecoder.items(node) {
            guard let field = f.mapping, let idNode = RuleDecoder.field(field, "identifier"), let identifier = idNode.string,
                let columnNode = RuleDecoder.field(field, "columnName"), let column = columnNode.string
            else {
                error("VR0043", "a field mapping needs `identifier` and `columnName`", f)
                isComplete = false
                continue
            }
            let canonical = entity.identifiers.first { $0.lowercased() == identifier.lowercased() }
            if canonical == nil {
                note(
                    .warning, "VR0044", "`\(identifier)` is no identifier of \(entity.name)", idNode,
                    mend: "it takes " + entity.identifiers.joined(separator: ", "))
                isComplete = false
            }
            checkColumn(column, columnNode)
            if fields.contains(where: { $0.identifier == canonical ?? identifier }) {
                error("VR0046", "`\(identifier)` stands twice in one mapping", idNode)
            }
            fields.append(AnalyticsRule.FieldMapping(identifier: canonical ?? identifier, columnName: column))
        }
        return (fields, isComplete)
    }

    private mutating func checkColumn(_ column: String, _ node: Node) {
        if !RuleDecoder.isColumnName(column) {
            error(
                "VR0045", "`\(column.prefix(60))` is no column name", node,
                mend: "a letter or _, then letters, digits or _, 500 characters at most")
        }
    }

    mutating func details(_ rule: inout AnalyticsRule, _ node: Node?) {
        guard let node else { return }
        guard let map = node.mapping else { return error("VR0060", "`customDetails` is a map of names to columns", node) }
        if map.count > 20 { error("VR0061", "\(map.count) custom details; the limit is 20", node) }
        for (key, value) in map {
            guard let name = key.string, let column = value.string else {
                error("VR0063", "a custom detail is a name and a column", value)
                continue
            }
            if name.utf16.count > 20 || !RuleDecoder.isColumnName(name) || name.hasPrefix("_") {
                error(
                    "VR0062", "`\(name)` cannot name a custom detail", key,
                    mend: "a letter, then letters, digits or _, 20 characters at most")
            }
            checkColumn(column, value)
            rule.customDetails.append(AnalyticsRule.FieldMapping(identifier: name, columnName: column))
        }
    }

    private static let dynamicProperties = [
        "AlertLink", "ConfidenceLevel", "ConfidenceScore", "ExtendedLinks", "ProductName", "ProviderName", "ProductComponentName",
        "RemediationSteps", "Techniques", "SubTechniques",
    ]

    mutating func overrides(_ rule: inout AnalyticsRule, _ node: Node?) {
        guard let node else { return }
        guard let map = node.mapping else { return error("VR0070", "`alertDetailsOverride` is a map", node) }
        var o = AnalyticsRule.DetailsOverride()
        for (key, value) in map {
            if case .scalar(let s) = value, s.style == .plain, s.string == "null" || s.string == "~" || s.string.isEmpty { continue }
            switch (key.string ?? "").lowercased() {
            case "alertdisplaynameformat": o.displayNameFormat = format(value, limit: 256)
            case "alertdescriptionformat": o.descriptionFormat = format(value, limit: 5000)
            case "alertseveritycolumnname": o.severityColumn = column(value)
            case "alerttacticscolumnname": o.tacticsColumn = column(value)
            case "alertdynamicproperties": o.dynamicProperties = RuleDecoder.items(value).compactMap { dynamicProperty($0) }
            default: note(.warning, "VR0072", "`\(key.string ?? "")` is no override and is ignored", key)
            }
        }
        rule.detailsOverride = o
    }

    private mutating func column(_ node: Node) -> String? {
        guard let text = node.string else {
            error("VR0045", "a column name is expected", node)
            return nil
        }
        checkColumn(text, node)
        return text
    }

    private mutating func dynamicProperty(_ node: Node) -> AnalyticsRule.FieldMapping? {
        guard let m = node.mapping, let name = RuleDecoder.field(m, "alertProperty"), let property = name.string,
            let value = RuleDecoder.field(m, "value"), let column = value.string
        else {
            error("VR0071", "a dynamic property needs `alertProperty` and `value`", node)
            return nil
        }
        let canonical = RuleDecoder.dynamicProperties.first { $0.lowercased() == property.lowercased() }
        if canonical == nil {
            note(
                .warning, "VR0076", "`\(property)` is no property of alerts that a rule can set", name,
                mend: "it is one of " + RuleDecoder.dynamicProperties.joined(separator: ", "))
        }
        checkColumn(column, value)
        return AnalyticsRule.FieldMapping(identifier: canonical ?? property, columnName: column)
    }

    /// A text with `{{Column}}` in it. One that is empty leaves the rule's own.
    private mutating func format(_ node: Node, limit: Int) -> String? {
        guard let text = node.string else {
            error("VR0073", "the format is no text", node)
            return nil
        }
        if text.isEmpty {
            note(.warning, "VR0077", "the format is empty and is ignored", node)
            return nil
        }
        if text.utf16.count > limit { error("VR0073", "the format has more than \(limit) characters", node) }
        var placeholders = 0
        var rest = text[...]
        while let start = rest.firstRange(of: "{{") {
            placeholders += 1
            rest = rest[start.upperBound...]
            guard let end = rest.firstRange(of: "}}") else {
                note(.warning, "VR0075", "a placeholder of the format is never closed and stays as it is", node, mend: "write {{Column}}")
                break
            }
            let name = rest[..<end.lowerBound].trimmed
            if !RuleDecoder.isColumnName(name) {
                note(.warning, "VR0075", "`{{\(name)}}` in the format names no column and stays as it is", node, mend: "write {{Column}}")
            }
            rest = rest[end.upperBound...]
        }
        if placeholders > 3 { error("VR0074", "the format has \(placeholders) placeholders; the limit is 3", node) }
        return text
    }

    // MARK: Incidents

    /// Alerts are not grouped to incidents here: what Sentinel would refuse is told, and stops nothing.
    mutating func incidents(_ rule: AnalyticsRule, _ node: Node?) {
        guard let node else { return }
        guard let map = node.mapping else { return note(.warning, "VR0080", "`incidentConfiguration` is a map", node) }
        if let create = RuleDecoder.field(map, "createIncident") {
            if !RuleDecoder.isFlag(create) { note(.warning, "VR0081", "`createIncident` is neither true nor false", create) }
        } else {
            note(.warning, "VR0081", "`incidentConfiguration` has no `createIncident`", node)
        }
        guard let groupingNode = RuleDecoder.field(map, "groupingConfiguration"), let grouping = groupingNode.mapping else { return }
        if let lookback = RuleDecoder.field(grouping, "lookbackDuration") {
            let ticks = RuleDurations.parse(lookback.string ?? "") ?? 0
            if ticks < 5 * KustoTime.ticksPerMinute || ticks > 7 * KustoTime.ticksPerDay {
                note(.warning, "VR0082", "`lookbackDuration` is no duration from 5 minutes to 7 days", lookback)
            }
        }
        let method = RuleDecoder.field(grouping, "matchingMethod") ?? RuleDecoder.field(grouping, "entitiesMatchingMethod")
        let name = (method?.string ?? "").lowercased()
        if let method, !["allentities", "anyalert", "selected", "all", "none", "custom"].contains(name) {
            note(
                .warning, "VR0083", "`matchingMethod` is `\(method.string ?? "")`", method, mend: "it is AllEntities, AnyAlert or Selected")
        }
        let lists: [(field: String, known: [String])] = [
            ("groupByEntities", rule.entityMappings.map(\.entityType)), ("groupByAlertDetails", ["DisplayName", "Severity"]),
            ("groupByCustomDetails", rule.customDetails.map(\.identifier)),
        ]
        var any = false
        for (field, known) in lists {
            for item in RuleDecoder.items(RuleDecoder.field(grouping, field)) {
                guard let text = item.string, text != "null", text != "~" else { continue }
                any = true
                if !known.contains(where: { $0.lowercased() == text.lowercased() }) {
                    note(
                        .warning, "VR0084", "`\(text)` in `\(field)` is nothing that this rule has", item,
                        mend: known.isEmpty ? nil : "it has " + known.joined(separator: ", "))
                }
            }
        }
        if name == "selected", !any {
            note(.warning, "VR0085", "`matchingMethod: Selected` needs something to group by", method)
        }
    }

    private static func isFlag(_ node: Node) -> Bool {
        ["true", "false", "yes", "no", "on", "off"].contains((node.string ?? "").lowercased())
    }
}

extension Substring {
    /// Without blanks at its ends.
    fileprivate var trimmed: String {
        var s = self
        while s.first == " " { s = s.dropFirst() }
        while s.last == " " { s = s.dropLast() }
        return String(s)
    }
}
