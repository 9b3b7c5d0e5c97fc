import Columnar
import Glibc
import Yams

/// What is wrong with a rule test file, and where.
public struct RuleTestFileError: Error, Sendable, Hashable, CustomStringConvertible {
    public let file: String
    /// Line, from 1.
    public let line: Int
    public let message: String

    public init(file: String, line: Int, message: String) {
        self.file = file
        self.line = line
        self.message = message
    }

    public var description: String { "\(file):\(line): \(message)" }
}

/// The tests of one rule: `NAME.test.yaml` beside `NAME.yaml` (`docs/rules.md`, "Rule tests").
///
/// Plain scalars in records have the types of YAML's core schema (timestamps stay strings); quoted and block scalars are strings.
public struct RuleTestFile: Sendable {
    /// An entity that an alert must have.
    public struct ExpectedEntity: Sendable, Hashable {
        public let type: String
        /// Identifier → value, in the order of the document; all of them must agree.
        public let identifiers: [Identifier]
    }

    public struct Identifier: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    /// An alert that must be raised. What is nil is not compared.
    public struct ExpectedAlert: Sendable, Hashable {
        /// All techniques of the alert.
        public var techniques: Set<String>?
        public var severity: AnalyticsRule.Severity?
        public var name: String?
        public var resultCount: Int?
        /// The alert may have others.
        public var entities: [ExpectedEntity] = []
        /// Where it stands in the file.
        public var line: Int
    }

    public struct Case: Sendable {
        public let name: String
        /// Where it stands in the file.
        public let line: Int
        /// Records in the order of the document, copies written out.
        public let events: [Dynamic]
        /// Exactly these alerts, in any order; none: the case must stay quiet.
        public let expected: [ExpectedAlert]
        /// A baseline rule raises although the case has no history.
        public let coldRaise: Bool
        /// Ticks up to this time (datetime ticks) are final.
        public let until: Int64?
    }

    /// Bytes of a file.
    public static let maximumBytes = 1 << 20
    /// Events of a file, copies counted.
    public static let maximumEvents = 100_000
    /// Alerts that one case may expect.
    public static let maximumExpected = 1000
    /// Fields that `repeat` moves, at any depth of the record.
    public static let timeFields: Set<String> = [
        "TimeGenerated", "time", "eventTime", "createdDateTime", "activityDateTime", "eventTimestamp", "CreationTime",
    ]

    public let file: String
    public let cases: [Case]

    /// Reads and decodes a file. Throws ``RuleTestFileError``.
    public init(contentsOf path: String) throws {
        try self.init(text: RuleTestFile.read(path), file: path)
    }

    /// Decodes a file's text; `file` is for messages. Throws ``RuleTestFileError``.
    public init(text: String, file: String) throws {
        self.file = file
        var decoder = RuleTestDecoder(file: file)
        cases = try decoder.decode(text)
    }

    /// Where the tests of a rule file stand: `NAME.test.yaml` for `NAME.yaml` or `NAME.yml`; nil for other names and for tests themselves.
    public static func path(forRule path: String) -> String? {
        for ending in [".yaml", ".yml"] where path.hasSuffix(ending) {
            let stem = path.dropLast(ending.utf8.count)
            return stem.isEmpty || stem.hasSuffix(".test") ? nil : stem + ".test.yaml"
        }
        return nil
    }

    private static func read(_ path: String) throws -> String {
        func failure(_ message: String) -> RuleTestFileError { RuleTestFileError(file: path, line: 1, message: message) }
        guard let stream = fopen(path, "rb") else { throw failure(String(cString: strerror(errno))) }
        defer { fclose(stream) }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        let capacity = bytes.count
        let n = fread(&bytes, 1, capacity, stream)
        if ferror(stream) != 0 { throw failure("cannot be read") }
        if n > maximumBytes { throw failure("larger than \(maximumBytes) bytes") }
        guard let text = String(validating: bytes.prefix(n), as: UTF8.self) else { throw failure("not UTF-8") }
        return text
    }
}

/// One pass over a file's nodes, counting what it takes in.
private struct RuleTestDecoder {
    /// Bytes of scalars and copies that a file may amount to, so that aliases and `repeat` cannot blow it up.
    static let maximumContent = 256 << 20
    static let maximumDepth = 128

    let file: String
    var eventCount = 0
    var content = 0

    func failure(_ node: Node?, _ message: String) -> RuleTestFileError { failure(line: line(node), message) }
    func failure(line: Int, _ message: String) -> RuleTestFileError { RuleTestFileError(file: file, line: max(1, line), message: message) }
    func line(_ node: Node?) -> Int { max(1, node?.mark?.line ?? 1) }

    mutating func decode(_ text: String) throws -> [RuleTestFile.Case] {
        guard text.utf8.count <= RuleTestFile.maximumBytes else {
            throw failure(line: 1, "larger than \(RuleTestFile.maximumBytes) bytes")
        }
        guard let root = try compose(text) else { throw failure(line: 1, "the file is empty") }
        let top = try fields(root, "the file", ["cases"])
        guard let list = top["cases"] else { throw failure(root, "`cases` is missing") }
        let nodes = try items(list, "`cases`")
        if nodes.isEmpty { throw failure(list, "`cases` is empty") }
        var cases: [RuleTestFile.Case] = []
        for n in nodes { cases.append(try testCase(n)) }
        return cases
    }

    private func compose(_ text: String) throws -> Node? {
        do { return try Yams.compose(yaml: text) } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
                throw failure(line: mark.line, "not YAML: \(problem)")
            case .duplicatedKeysInMapping(let keys, let context):
                throw failure(line: context.mark.line, "a key is given twice: \(keys.joined(separator: ", "))")
            case .reader(let problem, let offset, _, _):
                let line = text.prefix(offset ?? 0).reduce(1) { $1 == "\n" || $1 == "\r\n" ? $0 + 1 : $0 }
                throw failure(line: line, "not YAML: \(problem)")
            default: throw failure(line: 1, "not YAML")
            }
        } catch { throw failure(line: 1, "not YAML: \(error)") }
    }

    // MARK: Document

    private mutating func testCase(_ node: Node) throws -> RuleTestFile.Case {
        let f = try fields(node, "a case", ["name", "events", "expect", "coldRaise", "until"])
        guard let nameNode = f["name"] else { throw failure(node, "the case has no `name`") }
        let name = try text(nameNode, "`name`")
        guard let eventsNode = f["events"] else { throw failure(node, "the case has no `events`") }
        var events: [Dynamic] = []
        for e in try items(eventsNode, "`events`") { try event(e, into: &events) }
        if events.isEmpty { throw failure(eventsNode, "`events` is empty: a case without events tests nothing") }
        guard let expect = f["expect"] else { throw failure(node, "the case has no `expect`") }
        let expected = try expectation(expect)
        var coldRaise = false
        if let c = f["coldRaise"] {
            guard case .bool(let b) = try value(c, depth: 0) else { throw failure(c, "`coldRaise` is true or false") }
            coldRaise = b
        }
        var until: Int64?
        if let u = f["until"] {
            guard let t = KustoTime.parseISO(try text(u, "`until`")) else { throw failure(u, "`until` is no ISO 8601 time") }
            until = t
        }
        return RuleTestFile.Case(name: name, line: line(node), events: events, expected: expected, coldRaise: coldRaise, until: until)
    }

    private mutating func event(_ node: Node, into events: inout [Dynamic]) throws {
        guard let mapping = node.mapping else { throw failure(node, "an event is an object") }
        guard let rule = mapping.first(where: { $0.key.scalar?.string == "repeat" })?.value else {
            try count(1, node)
            events.append(try value(node, depth: 0))
            return
        }
        let f = try fields(node, "a repeated event", ["repeat", "record"])
        guard let recordNode = f["record"] else { throw failure(node, "`repeat` needs a `record`") }
        guard recordNode.mapping != nil else { throw failure(recordNode, "an event is an object") }
        let r = try fields(rule, "`repeat`", ["count", "every"])
        guard let countNode = r["count"], let everyNode = r["every"] else { throw failure(rule, "`repeat` has `count` and `every`") }
        guard case .long(let copies) = try value(countNode, depth: 0), copies >= 1 else {
            throw failure(countNode, "`count` is a whole number from 1")
        }
        guard let every = RuleTestDecoder.duration(try text(everyNode, "`every`")) else {
            throw failure(everyNode, "`every` is a duration such as 30s, 5m, 1h or 1d")
        }
        try count(copies, countNode)
        let record = try value(recordNode, depth: 0)
        try take(JSONText.compact(record).utf8.count.multipliedReportingOverflow(by: Int(clamping: copies)), rule)
        for i in 0..<copies {
            let (shift, overflow) = every.multipliedReportingOverflow(by: i)
            var copier = RecordCopier(index: i, shift: shift)
            let copy = copier.copy(record, key: nil)
            if overflow || copier.isOutOfRange { throw failure(rule, "copy \(i) has a time beyond the year 9999") }
            if every > 0, i > 0, copier.moved == 0 { throw failure(recordNode, "the record has no time field to move") }
            events.append(copy)
        }
    }

    private mutating func count(_ n: Int64, _ node: Node) throws {
        let (sum, overflow) = eventCount.addingReportingOverflow(Int(clamping: n))
        if overflow || sum > RuleTestFile.maximumEvents { throw failure(node, "more than \(RuleTestFile.maximumEvents) events") }
        eventCount = sum
    }

    private mutating func take(_ n: (partialValue: Int, overflow: Bool), _ node: Node) throws {
        let (sum, overflow) = content.addingReportingOverflow(n.partialValue)
        if n.overflow || overflow || sum > RuleTestDecoder.maximumContent {
            throw failure(node, "the file amounts to more than \(RuleTestDecoder.maximumContent >> 20) MiB of events")
        }
        content = sum
    }

    private func expectation(_ node: Node) throws -> [RuleTestFile.ExpectedAlert] {
        if let word = node.scalar?.string {
            guard word == "quiet" else { throw failure(node, "`expect` is `quiet` or a list of alerts") }
            return []
        }
        let nodes = try items(node, "`expect`")
        if nodes.isEmpty { throw failure(node, "`expect` is empty: write `expect: quiet`") }
        if nodes.count > RuleTestFile.maximumExpected { throw failure(node, "more than \(RuleTestFile.maximumExpected) expected alerts") }
        var out: [RuleTestFile.ExpectedAlert] = []
        for n in nodes { out.append(try alert(n)) }
        return out
    }

    private func alert(_ node: Node) throws -> RuleTestFile.ExpectedAlert {
        let f = try fields(node, "an expected alert", ["techniques", "severity", "name", "resultCount", "entities"])
        var alert = RuleTestFile.ExpectedAlert(line: line(node))
        if let t = f["techniques"] {
            var techniques: Set<String> = []
            for n in try items(t, "`techniques`") { techniques.insert(try text(n, "a technique")) }
            alert.techniques = techniques
        }
        if let s = f["severity"] {
            guard let severity = AnalyticsRule.Severity(rawValue: try text(s, "`severity`")) else {
                throw failure(s, "`severity` is one of \(AnalyticsRule.Severity.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            alert.severity = severity
        }
        if let n = f["name"] { alert.name = try text(n, "`name`") }
        if let r = f["resultCount"] {
            guard let n = Int(try text(r, "`resultCount`")), n >= 0 else { throw failure(r, "`resultCount` is a whole number") }
            alert.resultCount = n
        }
        if let e = f["entities"] { for n in try items(e, "`entities`") { alert.entities.append(try entity(n)) } }
        return alert
    }

    private func entity(_ node: Node) throws -> RuleTestFile.ExpectedEntity {
        guard let mapping = node.mapping else { throw failure(node, "an entity is an object with `type` and identifiers") }
        var type: String?
        var identifiers: [RuleTestFile.Identifier] = []
        for (k, v) in mapping {
            let key = try text(k, "a key")
            let word = try text(v, "`\(key)`")
            if key == "type" { type = word } else { identifiers.append(RuleTestFile.Identifier(name: key, value: word)) }
        }
        guard let type else { throw failure(node, "the entity has no `type`") }
        return RuleTestFile.ExpectedEntity(type: type, identifiers: identifiers)
    }

    // MARK: Nodes

    private func fields(_ node: Node, _ what: String, _ known: [String]) throws -> [String: Node] {
        guard let mapping = node.mapping else { throw failure(node, "\(what) is an object with \(list(known))") }
        var out: [String: Node] = [:]
        for (k, v) in mapping {
            let key = try text(k, "a key")
            guard known.contains(key) else { throw failure(k, "\(what) has no field `\(key)`: it has \(list(known))") }
            guard out.updateValue(v, forKey: key) == nil else { throw failure(k, "`\(key)` is given twice") }
        }
        return out
    }

    private func list(_ names: [String]) -> String { names.map { "`\($0)`" }.joined(separator: ", ") }

    private func items(_ node: Node, _ what: String) throws -> [Node] {
        guard let sequence = node.sequence else { throw failure(node, "\(what) is a list") }
        return Array(sequence)
    }

    private func text(_ node: Node, _ what: String) throws -> String {
        guard let s = node.scalar else { throw failure(node, "\(what) is a single value") }
        return s.string
    }

    private mutating func value(_ node: Node, depth: Int) throws -> Dynamic {
        guard depth <= RuleTestDecoder.maximumDepth else {
            throw failure(node, "nested deeper than \(RuleTestDecoder.maximumDepth) levels")
        }
        switch node {
        case .scalar(let s):
            try take((s.string.utf8.count + 1, false), node)
            return try scalar(s, node)
        case .sequence(let s):
            try take((1, false), node)
            var out: [Dynamic] = []
            for n in s { out.append(try value(n, depth: depth + 1)) }
            return .array(out)
        case .mapping(let m):
            try take((1, false), node)
            var members: [Dynamic.Member] = []
            var seen: Set<String> = []
            for (k, v) in m {
                let key = try text(k, "a key")
                guard seen.insert(key).inserted else { throw failure(k, "`\(key)` is given twice") }
                try take((key.utf8.count + 1, false), k)
                members.append(Dynamic.Member(key, try value(v, depth: depth + 1)))
            }
            return .object(members)
        case .alias: throw failure(node, "an alias that was not resolved")
        }
    }

    /// The core schema of YAML 1.2, chapter 10.3.
    private func scalar(_ s: Node.Scalar, _ node: Node) throws -> Dynamic {
        let word = s.string
        let tag = s.tag.description
        guard s.style == .plain, tag != "!", tag != "tag:yaml.org,2002:str" else { return .string(word) }
        switch word {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        switch PlainNumber.parse(word) {
        case .integer(let v): return .long(v)
        case .real(let v): return .real(v)
        case .tooLarge: throw failure(node, "the number \(word) does not fit: quote it if it is a text")
        case nil: return .string(word)
        }
    }

    /// Ticks of `500ms`, `30s`, `5m`, `1h`, `1d`, or a timespan `00:00:30`.
    static func duration(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit: Int64
        switch text.dropFirst(digits.count) {
        case "ms": unit = KustoTime.ticksPerMillisecond
        case "s": unit = KustoTime.ticksPerSecond
        case "m": unit = KustoTime.ticksPerMinute
        case "h": unit = KustoTime.ticksPerHour
        case "d": unit = KustoTime.ticksPerDay
        default:
            guard text.contains(":"), let t = KustoTime.parseTimespan(text), t >= 0 else { return nil }
            return t
        }
        guard let n = Int64(digits) else { return nil }
        let (ticks, overflow) = n.multipliedReportingOverflow(by: unit)
        return overflow ? nil : ticks
    }
}

/// A plain scalar that is a number of the core schema.
private enum PlainNumber {
    case integer(Int64)
    case real(Double)
    /// An integer beyond 64 bits, or a number that JSON has no form for.
    case tooLarge

    static func parse(_ word: String) -> PlainNumber? {
        if word.hasPrefix("0x"), isAll(word.utf8.dropFirst(2), isHex) {
            return Int64(word.dropFirst(2), radix: 16).map { .integer($0) } ?? .tooLarge
        }
        if word.hasPrefix("0o"), isAll(word.utf8.dropFirst(2), isOctal) {
            return Int64(word.dropFirst(2), radix: 8).map { .integer($0) } ?? .tooLarge
        }
        var rest = Substring(word)
        if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
        if [".inf", ".Inf", ".INF"].contains(String(rest)) || [".nan", ".NaN", ".NAN"].contains(word) { return .tooLarge }
        if isAll(rest.utf8, isDigit) { return Int64(word).map { .integer($0) } ?? .tooLarge }
        var bytes = rest.utf8[...]
        let whole = bytes.prefix(while: isDigit)
        bytes = bytes.dropFirst(whole.count)
        var fraction = 0
        if bytes.first == 0x2E {
            bytes = bytes.dropFirst()
            fraction = bytes.prefix(while: isDigit).count
            bytes = bytes.dropFirst(fraction)
        }
        guard !whole.isEmpty || fraction > 0 else { return nil }
        if let e = bytes.first {
            guard e == 0x65 || e == 0x45 else { return nil }
            bytes = bytes.dropFirst()
            if let sign = bytes.first, sign == 0x2B || sign == 0x2D { bytes = bytes.dropFirst() }
            guard isAll(bytes, isDigit) else { return nil }
        }
        guard let v = Double(word), v.isFinite else { return .tooLarge }
        return .real(v)
    }

    private static func isAll(_ bytes: some Collection<UInt8>, _ test: (UInt8) -> Bool) -> Bool { !bytes.isEmpty && bytes.allSatisfy(test) }
    private static func isDigit(_ c: UInt8) -> Bool { c >= 0x30 && c <= 0x39 }
    private static func isOctal(_ c: UInt8) -> Bool { c >= 0x30 && c <= 0x37 }
    private static func isHex(_ c: UInt8) -> Bool { isDigit(c) || (c | 0x20 >= 0x61 && c | 0x20 <= 0x66) }
}

/// Makes copy `index` of a record: `{{i}}` replaced, time fields moved.
private struct RecordCopier {
    let index: Int64
    /// Ticks.
    let shift: Int64
    /// Time fields found.
    var moved = 0
    var isOutOfRange = false

    init(index: Int64, shift: Int64) {
        self.index = index
        self.shift = shift
    }

    mutating func copy(_ value: Dynamic, key: String?) -> Dynamic {
        switch value {
        case .string(let s):
            let filled = fill(s)
            guard let key, RuleTestFile.timeFields.contains(key), let t = KustoTime.parseISO(filled) else { return .string(filled) }
            moved += 1
            guard shift > 0 else { return .string(filled) }
            let (sum, overflow) = t.addingReportingOverflow(shift)
            guard !overflow, sum <= KustoTime.maximum else {
                isOutOfRange = true
                return .string(filled)
            }
            return .string(RecordCopier.text(sum, like: filled))
        case .array(let items):
            var out: [Dynamic] = []
            for v in items { out.append(copy(v, key: nil)) }
            return .array(out)
        case .object(let members):
            var out: [Dynamic.Member] = []
            for m in members { out.append(Dynamic.Member(m.key, copy(m.value, key: m.key))) }
            return .object(out)
        default: return value
        }
    }

    private func fill(_ text: String) -> String {
        var rest = Array(text.utf8)[...]
        let token = Array("{{i}}".utf8)
        guard rest.count >= token.count, rest.contains(0x7B) else { return text }
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            if rest.starts(with: token) {
                bytes.append(contentsOf: String(index).utf8)
                rest = rest.dropFirst(token.count)
            } else if let c = rest.popFirst() {
                bytes.append(c)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a time with as many fraction digits as its model has (all seven where fewer would lose something).
    private static func text(_ ticks: Int64, like model: String) -> String {
        let iso = KustoTime.isoString(ticks)
        let tail = model.utf8.dropFirst(19)
        var digits = 0
        if let dot = tail.first, dot == 0x2E || dot == 0x2C { digits = min(7, tail.dropFirst().prefix { $0 >= 0x30 && $0 <= 0x39 }.count) }
        let fraction = iso.dropFirst(20).prefix(7)
        if fraction.dropFirst(digits).contains(where: { $0 != "0" }) { digits = 7 }
        return iso.prefix(19) + (digits > 0 ? "." + fraction.prefix(digits) : "") + "Z"
    }
}
