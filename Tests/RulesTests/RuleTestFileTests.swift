import Columnar
import Glibc
import Rules
import Testing

/// A file with one case; `events` is the block under `events:`, indented by six.
private func file(_ events: String, expect: String = "quiet", more: String = "") throws -> RuleTestFile {
    try RuleTestFile(
        text: "cases:\n  - name: a case\n    events:\n\(events)\n    expect: \(expect)\n\(more)", file: "R.test.yaml")
}

private func events(_ text: String) throws -> [Dynamic] { try #require(try file(text).cases.first).events }

private func failure(_ text: String) -> RuleTestFileError? {
    do {
        _ = try RuleTestFile(text: text, file: "R.test.yaml")
        return nil
    } catch { return error as? RuleTestFileError }
}

@Suite struct RuleTestFileTests {
    @Test func readsAWholeCase() throws {
        let text = """
            cases:
              - name: raised
                events:
                  - { Type: SigninLogs, TimeGenerated: "2026-03-02T10:02:00Z", UserPrincipalName: a@contoso.example }
                expect:
                  - techniques: [T1098.003, T1110]
                    severity: High
                    name: Someone was here
                    resultCount: 3
                    entities:
                      - { type: Account, Name: eve, UPNSuffix: contoso.example }
                      - { type: CloudApplication, AppId: 0012 }
                  - {}
                coldRaise: true
                until: 2026-03-02T11:00:00Z
              - { name: silent, events: [{ a: 1 }], expect: quiet }
            """
        let f = try RuleTestFile(text: text, file: "R.test.yaml")
        #expect(f.file == "R.test.yaml")
        #expect(f.cases.map(\.name) == ["raised", "silent"])
        #expect(f.cases.map(\.line) == [2, 16])
        let c = try #require(f.cases.first)
        #expect(c.coldRaise)
        #expect(c.until == KustoTime.parseISO("2026-03-02T11:00:00Z"))
        #expect(
            c.events.map { JSONText.compact($0) } == [
                #"{"Type":"SigninLogs","TimeGenerated":"2026-03-02T10:02:00Z","UserPrincipalName":"a@contoso.example"}"#
            ])
        #expect(c.expected.count == 2)
        let e = try #require(c.expected.first)
        #expect(e.techniques == ["T1098.003", "T1110"])
        #expect(e.severity == .high)
        #expect(e.name == "Someone was here")
        #expect(e.resultCount == 3)
        #expect(e.line == 6)
        #expect(e.entities.map(\.type) == ["Account", "CloudApplication"])
        #expect(e.entities.first?.identifiers.map(\.name) == ["Name", "UPNSuffix"])
        #expect(e.entities.first?.identifiers.map(\.value) == ["eve", "contoso.example"])
        // Identifiers are compared as texts: an unquoted one keeps its spelling.
        #expect(e.entities.last?.identifiers.map(\.value) == ["0012"])
        let any = try #require(c.expected.last)
        #expect(any.techniques == nil && any.severity == nil && any.name == nil && any.resultCount == nil && any.entities.isEmpty)
        let silent = try #require(f.cases.last)
        #expect(silent.expected.isEmpty && !silent.coldRaise && silent.until == nil)
    }

    @Test(arguments: [
        ("1", Dynamic.long(1)), ("-17", .long(-17)), ("+4", .long(4)), ("007", .long(7)), ("0x1F", .long(31)), ("0o17", .long(15)),
        ("9223372036854775807", .long(.max)), ("1.5", .real(1.5)), ("-.5", .real(-0.5)), ("1.", .real(1)), ("1e3", .real(1000)),
        ("1.5E-2", .real(0.015)), ("true", .bool(true)), ("False", .bool(false)), ("null", .null), ("~", .null), ("", .null),
        // The core schema has no such booleans, and no timestamps.
        ("yes", .string("yes")), ("Off", .string("Off")), ("2026-03-02", .string("2026-03-02")),
        ("2026-03-02T10:00:00Z", .string("2026-03-02T10:00:00Z")), ("192.0.2.1", .string("192.0.2.1")), ("1_000", .string("1_000")),
        ("10:20", .string("10:20")), ("-", .string("-x")), ("e5", .string("e5")), (".", .string(".")), ("1e", .string("1e")),
        ("\"1\"", .string("1")), ("'true'", .string("true")), ("\"\"", .string("")), ("!!str 12", .string("12")),
        ("\"tab\\t\"", .string("tab\t")), ("[1, a, []]", .array([.long(1), .string("a"), .array([])])),
        ("{ k: { l: null } }", .object([.init("k", .object([.init("l", .null)]))])),
    ])
    func typesScalarsByTheCoreSchema(_ yaml: String, _ value: Dynamic) throws {
        // A lone dash opens a list entry, so it is tested as a word.
        let e = try events("      - v: \(yaml == "-" ? "-x" : yaml)")
        #expect(e == [.object([.init("v", value)])])
    }

    @Test func blockScalarsAreStrings() throws {
        #expect(
            try events("      - v: |-\n          12\n        w: >-\n          true") == [
                .object([.init("v", .string("12")), .init("w", .string("true"))])
            ])
    }

    @Test func aliasesAreWrittenOut() throws {
        #expect(try events("      - { a: &x { n: 1 }, b: *x }").map { JSONText.compact($0) } == [#"{"a":{"n":1},"b":{"n":1}}"#])
    }

    @Test func repeatMovesTimesAndFillsTokens() throws {
        let e = try events(
            """
                  - { n: first, time: "2026-03-02T09:00:00Z" }
                  - repeat: { count: 3, every: 30s }
                    record:
                      time: "2026-03-02T23:59:30.0000000Z"
                      eventTime: "2026-03-02T10:00:00Z"
                      other: "2026-03-02T10:00:00Z"
                      user: "u{{i}}@contoso.example {{i}}{{j}}"
                      n: 5
                      properties: { createdDateTime: "2026-03-02T10:00:00.25Z", list: [{ time: "2026-03-02 10:00:00" }, "x{{i}}"], time: soon }
            """)
        #expect(e.count == 4)
        #expect(
            e.map { $0["time"] } == [
                .string("2026-03-02T09:00:00Z"), .string("2026-03-02T23:59:30.0000000Z"), .string("2026-03-03T00:00:00.0000000Z"),
                .string("2026-03-03T00:00:30.0000000Z"),
            ])
        #expect(
            e.map { $0["eventTime"] }.dropFirst() == [
                .string("2026-03-02T10:00:00Z"), .string("2026-03-02T10:00:30Z"), .string("2026-03-02T10:01:00Z"),
            ])
        let last = try #require(e.last)
        #expect(last["other"] == .string("2026-03-02T10:00:00Z"))
        #expect(last["user"] == .string("u2@contoso.example 2{{j}}"))
        #expect(last["n"] == .long(5))
        #expect(
            last["properties"].map { JSONText.compact($0) }
                == #"{"createdDateTime":"2026-03-02T10:01:00.25Z","list":[{"time":"2026-03-02T10:01:00Z"},"x2"],"time":"soon"}"#)
    }

    @Test(arguments: [
        ("500ms", "2026-03-02T10:00:00.5000000Z"), ("1s", "2026-03-02T10:00:01Z"), ("5m", "2026-03-02T10:05:00Z"),
        ("2h", "2026-03-02T12:00:00Z"), ("30d", "2026-04-01T10:00:00Z"), ("\"00:00:07\"", "2026-03-02T10:00:07Z"),
        ("0s", "2026-03-02T10:00:00Z"),
    ])
    func readsDurations(_ every: String, _ time: String) throws {
        let e = try events("      - { repeat: { count: 2, every: \(every) }, record: { TimeGenerated: \"2026-03-02T10:00:00Z\" } }")
        #expect(e.last?["TimeGenerated"] == .string(time))
    }

    @Test func offsetsBecomeUniversalTime() throws {
        let e = try events("      - { repeat: { count: 2, every: 1m }, record: { time: \"2026-03-02T10:00:00+02:00\" } }")
        #expect(e.map { $0["time"] } == [.string("2026-03-02T10:00:00+02:00"), .string("2026-03-02T08:01:00Z")])
    }

    @Test(arguments: [
        ("", 1, "empty"), ("[1]", 1, "object"), ("cases: []", 1, "empty"), ("other: 1", 1, "no field `other`"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]", 2, "no `expect`"),
        ("cases:\n  - events: [{ a: 1 }]\n    expect: quiet", 2, "no `name`"),
        ("cases:\n  - name: x\n    expect: quiet", 2, "no `events`"),
        ("cases:\n  - name: x\n    events: []\n    expect: quiet", 3, "empty"),
        ("cases:\n  - name: x\n    events: [7]\n    expect: quiet", 3, "object"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect: silence", 4, "quiet"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect: []", 4, "quiet"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect:\n      - severty: High", 5, "no field `severty`"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect:\n      - severity: high", 5, "Informational"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect:\n      - techniques: T1110", 5, "list"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect:\n      - resultCount: some", 5, "whole number"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect:\n      - entities: [{ Name: eve }]", 5, "no `type`"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect: quiet\n    coldRaise: \"true\"", 5, "true or false"),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect: quiet\n    until: tomorrow", 5, "ISO 8601"),
        ("cases:\n  - name: x\n    events: [{ a: 123456789012345678901 }]\n    expect: quiet", 3, "quote"),
        ("cases:\n  - name: x\n    events: [{ a: .nan }]\n    expect: quiet", 3, "quote"),
        ("cases:\n  - name: x\n    name: y\n    events: [{ a: 1 }]\n    expect: quiet", 2, "twice"),
        ("cases:\n  - name: x\n    events: [{ a: 1, b: ]\n    expect: quiet", 3, "not YAML"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 2, every: 1s } }]\n    expect: quiet", 3, "record"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 0, every: 1s }, record: { time: x } }]\n    expect: quiet", 3, "from 1"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 2 }, record: { a: 1 } }]\n    expect: quiet", 3, "`every`"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 2, every: -1s }, record: { a: 1 } }]\n    expect: quiet", 3, "duration"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 2, every: 1w }, record: { a: 1 } }]\n    expect: quiet", 3, "duration"),
        ("cases:\n  - name: x\n    events: [{ repeat: { count: 2, every: 1s }, record: { a: 1 } }]\n    expect: quiet", 3, "time field"),
        (
            "cases:\n  - name: x\n    events: [{ repeat: { count: 2, every: 3650000d }, record: { time: \"2026-03-02\" } }]\n    expect: quiet",
            3,
            "9999"
        ),
        ("cases:\n  - name: x\n    events: [{ a: 1 }]\n    expect: quiet\n---\nb: 1", 5, "not YAML"),
    ])
    func refusesWithALine(_ text: String, _ line: Int, _ message: String) throws {
        let error = try #require(failure(text))
        #expect(error.line == line, "\(error)")
        #expect(error.message.contains(message), "\(error)")
        #expect(error.description.hasPrefix("R.test.yaml:\(line): "))
    }

    @Test func boundsTheNumberOfEvents() throws {
        func text(_ a: Int, _ b: Int) -> String {
            """
            cases:
              - { name: a, events: [{ repeat: { count: \(a), every: 1s }, record: { time: "2026-03-02T10:00:00Z" } }], expect: quiet }
              - { name: b, events: [{ repeat: { count: \(b), every: 1s }, record: { time: "2026-03-02T10:00:00Z" } }], expect: quiet }
            """
        }
        let whole = try RuleTestFile(text: text(99_990, 10), file: "R.test.yaml")
        #expect(whole.cases.map(\.events.count) == [99_990, 10])
        let error = try #require(failure(text(99_990, 11)))
        #expect(error.line == 3 && error.message.contains("100000 events"))
        #expect(failure(text(Int.max, Int.max))?.line == 2)
    }

    @Test func boundsWhatAliasesAndCopiesAmountTo() throws {
        var text = "cases:\n  - name: x\n    events:\n      - a0: &a0 [\(String(repeating: "x", count: 1000))]\n"
        for i in 1...12 { text += "        a\(i): &a\(i) [\((0..<10).map { _ in "*a\(i - 1)" }.joined(separator: ", "))]\n" }
        text += "    expect: quiet\n"
        #expect(failure(text)?.message.contains("MiB of events") == true)
        let long = String(repeating: "y", count: 100_000)
        let copies =
            "cases: [{ name: x, events: [{ repeat: { count: 99999, every: 1s }, record: { time: 2026-03-02, v: \(long) } }], expect: quiet }]"
        #expect(failure(copies)?.message.contains("MiB of events") == true)
    }

    @Test func boundsDepthAndSize() throws {
        let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        #expect(failure("cases: [{ name: x, events: [{ a: \(deep) }], expect: quiet }]")?.message.contains("deeper") == true)
        #expect(failure(String(repeating: "[", count: 100_000)) != nil)
        #expect(failure(String(repeating: "#", count: RuleTestFile.maximumBytes + 1))?.message.contains("larger") == true)
    }

    @Test func readsFromDisk() throws {
        var template = Array("/tmp/vedette-ruletest-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        #expect(descriptor >= 0)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        func put(_ bytes: [UInt8]) {
            ftruncate(descriptor, 0)
            #expect(pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
        }
        put(Array("cases: [{ name: é, events: [{ a: 1 }], expect: quiet }]".utf8))
        #expect(try RuleTestFile(contentsOf: path).cases.map(\.name) == ["é"])
        put([0x63, 0xFF])
        #expect(throws: RuleTestFileError(file: path, line: 1, message: "not UTF-8")) { try RuleTestFile(contentsOf: path) }
        put([UInt8](repeating: 0x23, count: RuleTestFile.maximumBytes + 1))
        #expect(throws: RuleTestFileError.self) { try RuleTestFile(contentsOf: path) }
        close(descriptor)
        #expect(throws: RuleTestFileError.self) { try RuleTestFile(contentsOf: path + ".absent") }
    }

    @Test(
        arguments: [
            ("a/Rule.yaml", "a/Rule.test.yaml"), ("Rule.yml", "Rule.test.yaml"), ("a/Rule.test.yaml", nil), ("Rule.json", nil),
            (".yaml", nil),
        ] as [(String, String?)])
    func knowsWhereTestsStand(_ rule: String, _ tests: String?) {
        #expect(RuleTestFile.path(forRule: rule) == tests)
    }
}
