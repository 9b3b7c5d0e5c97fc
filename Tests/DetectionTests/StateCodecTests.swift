import Columnar
import Evaluation
import Rules
import TestSupport
import Testing

@testable import Detection

@Suite struct StateCodecTests {
    static let texts = ["", "a", "e\u{301}", "\u{e9}", "nul\0", "\u{1F469}\u{200D}\u{1F4BB}", String(repeating: "long ", count: 99)]

    static func value(_ type: ScalarType, _ random: inout SplitMix) -> Value {
        func integer() -> Int64 { [0, -1, .max, .min, Int64(bitPattern: random.next())][Int.random(in: 0..<5, using: &random)] }
        if type != .string, Int.random(in: 0..<4, using: &random) == 0 { return .null(type) }
        switch type {
        case .bool: return .bool(Bool.random(using: &random))
        case .int: return .int(Int32(truncatingIfNeeded: integer()))
        case .long: return .long(integer())
        case .real: return .real([0, -0.0, .nan, .infinity, 1e-300, Double(integer())][Int.random(in: 0..<6, using: &random)])
        case .decimal:
            return .decimal(
                Decimal128(text: ["0", "-1.5", "12345678901234567890.0001", "1e-20"][Int.random(in: 0..<4, using: &random)])
                    ?? Decimal128(0))
        case .string: return .string(texts[Int.random(in: 0..<texts.count, using: &random)])
        case .datetime: return .datetime(integer())
        case .timespan: return .timespan(integer())
        case .guid: return .guid(UInt128(random.next()) << 64 | UInt128(random.next()))
        case .dynamic:
            return .dynamic(
                .object([.init("k", .array([.long(integer()), .string(texts[Int.random(in: 0..<texts.count, using: &random)])]))]))
        }
    }

    static func column(_ type: ScalarType, _ count: Int, _ random: inout SplitMix) -> Column {
        var b = ColumnBuilder(type)
        for _ in 0..<count { b.append(value(type, &random)) }
        return b.finish()
    }

    static func cells(_ c: Column) -> [Value] { (0..<c.count).map { c.value($0) } }

    @Test(arguments: ScalarType.allCases, [0, 1, 63, 64, 65, 200]) func columnRoundTrip(_ type: ScalarType, _ count: Int) throws {
        var random = SplitMix(UInt64(count))
        let column = StateCodecTests.column(type, count, &random)
        var w = StateWriter()
        w.column(column)
        var r = StateReader(w.bytes)
        let read = try r.column()
        try r.end()
        #expect(read.type == type && StateCodecTests.cells(read) == StateCodecTests.cells(column))
        #expect((0..<count).allSatisfy { read.isNull($0) == column.isNull($0) })
    }

    static func batch(_ count: Int, lineage hasLineage: Bool) -> Batch {
        var random = SplitMix(UInt64(count))
        let keys = ContiguousArray(
            (0..<count).map { _ in
                RowKey(time: Int64(bitPattern: random.next()), hashHigh: random.next(), hashLow: random.next(), path: random.next())
            })
        let lineages = ContiguousArray((0..<count).map { n in lineage((0...n).map { key($0) }) ?? .none })
        return Batch(
            columns: ScalarType.allCases.map { column($0, count, &random) }, count: count, keys: keys, lineage: hasLineage ? lineages : nil)
    }

    @Test(arguments: [0, 1, 70], [false, true]) func batchRoundTrip(_ count: Int, _ hasLineage: Bool) throws {
        let batch = StateCodecTests.batch(count, lineage: hasLineage)
        var w = StateWriter()
        w.batch(batch)
        var r = StateReader(w.bytes)
        let read = try r.batch()
        try r.end()
        #expect(read.count == count && read.keys == batch.keys && read.lineage == batch.lineage)
        #expect(read.columns.map(StateCodecTests.cells) == batch.columns.map(StateCodecTests.cells))
    }

    @Test("a batch without columns or keys keeps its rows") func batchWithoutColumns() throws {
        var w = StateWriter()
        w.batch(Batch(columns: [], count: 3))
        var r = StateReader(w.bytes)
        #expect(try r.batch().keys == [.ordinal(0), .ordinal(1), .ordinal(2)])
        #expect(r.isAtEnd)
    }

    @Test func scalars() throws {
        var w = StateWriter()
        let numbers: [Int64] = [.min, -1, 0, 1, .max]
        for n in numbers { w.i64(n) }
        for t in StateCodecTests.texts { w.optionalText(t) }
        w.optionalText(nil)
        w.texts(StateCodecTests.texts)
        w.lineage(nil)
        w.lineage(lineage([key(3), key(1)]))
        var r = StateReader(w.bytes)
        for n in numbers { #expect(try r.i64() == n) }
        for t in StateCodecTests.texts { #expect(try r.optionalText().map { Array($0.utf8) } == Array(t.utf8)) }
        #expect(try r.optionalText() == nil)
        #expect(try r.texts().map { Array($0.utf8) } == StateCodecTests.texts.map { Array($0.utf8) })
        #expect(try r.lineage() == nil)
        #expect(try r.lineage() == lineage([key(1), key(3)]))
        #expect(throws: StateError.self) { try r.u8() }
    }

    static func alert(_ n: Int, full: Bool) -> Alert {
        var a = Alert(
            id: "id\(n)", revision: n, status: full ? .merged : .open, ruleID: "r", ruleName: "e\u{301}", ruleVersion: full ? "1.0" : nil,
            name: "n",
            description: "d", severity: .high, tactics: ["Impact"], techniques: ["T1485"], entities: [], startTime: start,
            endTime: start + 1,
            firstTick: start, lastTick: start, period: 10, frequency: 10, isWindowComplete: full, isHistoryComplete: !full, resultCount: n,
            eventCount: Int64(n), evidence: [], groupKey: "g\u{1f}")
        guard full else { return a }
        a.mergedInto = "other"
        a.isAmended = true
        a.entities = [
            Entity(type: "Account", identifiers: [.init("Name", .string("\"x\"")), .init("N", .long(7))]),
            Entity(type: "IP", identifiers: []),
        ]
        a.droppedEntities = 3
        a.details = [Alert.Detail(key: "k", values: texts), Alert.Detail(key: "l", values: [])]
        a.dynamicProperties = [.init("AlertLink", .string("u"))]
        a.evidence = (0..<10).map { Evidence(key: key($0), table: "T\($0)", raw: $0 % 2 == 0 ? "{\"n\":\($0)}" : nil) }
        return a
    }

    @Test func alertRoundTrip() throws {
        let alerts = [StateCodecTests.alert(1, full: true), StateCodecTests.alert(2, full: false), StateCodecTests.alert(3, full: true)]
        #expect(try AlertCodec.decode(AlertCodec.encode(alerts)) == alerts)
        #expect(try AlertCodec.decode(AlertCodec.encode([])).isEmpty)
        // Bytes from before there were checksums.
        #expect(try AlertCodec.decode([1] + AlertCodec.encode(alerts).dropFirst().dropLast(8)) == alerts)
    }

    // MARK: Damage

    /// Every document that the runtime keeps, each with what reads it.
    static func documents() throws -> [(name: String, bytes: [UInt8], read: ([UInt8]) throws -> Void)] {
        let programs = try [compile(rule("Events | summarize n = count() by User", over: 30) { $0.grouping = .alertPerResult })]
        let engine = try DetectionEngine(programs, options: DetectionOptions(), functions: FunctionRegistry.standard) { _ in 0 }
        let bench = try Bench([rule("Events | summarize n = count() by User", over: 30) { $0.grouping = .alertPerResult }])
        try bench.feed([Event(1, "a"), Event(7, "b"), Event(13, "a")])
        bench.advance(to: 16)
        try bench.feed([Event(18, "c")], early: true)
        let delta = bench.engine.checkpointDelta()
        let fingerprint = engine.programs[0].fingerprint
        let state = try #require(delta.rules.first { $0.fingerprint == fingerprint })
        let segment = try #require(delta.added.first)
        func restore(_ change: (inout SavedState) -> Void) throws {
            var saved = SavedState()
            change(&saved)
            try DetectionEngine(programs, options: DetectionOptions(), functions: FunctionRegistry.standard) { _ in 0 }.restore(saved)
        }
        return [
            ("alerts", AlertCodec.encode([alert(1, full: true), alert(2, full: false)]), { _ = try AlertCodec.decode($0) }),
            ("rule state", state.bytes, { bytes in try restore { $0.rules = [fingerprint: bytes] } }),
            ("segment", segment.bytes, { bytes in try restore { $0.segments = [(segment.id, bytes)] } }),
            ("engine", delta.engine, { bytes in try restore { $0.engine = bytes } }),
        ]
    }

    @Test("a document that is whole is read; one that is cut or has a flipped bit is refused") func damage() throws {
        for d in try StateCodecTests.documents() {
            try d.read(d.bytes)
            var random = SplitMix(11)
            for _ in 0..<150 {
                let length = Int.random(in: 0..<d.bytes.count, using: &random)
                #expect(throws: StateError.self, "\(d.name) cut to \(length)") { try d.read(Array(d.bytes.prefix(length))) }
                let bit = Int.random(in: 0..<(8 * d.bytes.count), using: &random)
                var flipped = d.bytes
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(throws: StateError.self, "\(d.name) with bit \(bit) flipped") { try d.read(flipped) }
            }
            // The version's own bits, one by one: another version may have no checksum.
            for bit in 0..<8 {
                var flipped = d.bytes
                flipped[0] ^= 1 << UInt8(bit)
                #expect(throws: StateError.self, "\(d.name), version \(flipped[0])") { try d.read(flipped) }
            }
            #expect(throws: StateError.self, "\(d.name) with more behind it") { try d.read(d.bytes + [0]) }
        }
    }

    @Test("pieces without a checksum of their own give an error or cells, never a trap", arguments: 0..<8 as Range<UInt64>)
    func unsealed(_ seed: UInt64) throws {
        var w = StateWriter()
        w.batch(StateCodecTests.batch(Int(seed) * 3, lineage: seed % 2 == 0))
        w.alert(StateCodecTests.alert(1, full: true))
        var random = SplitMix(seed)
        for round in 0..<400 {
            var bytes = w.bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let i = Int.random(in: 0..<bytes.count, using: &random)
                // Lengths are where the danger is: set bytes to their ends, too.
                bytes[i] = [0, 0xFF, 0x7F, 0x80, bytes[i] ^ (1 << UInt8(round % 8))][Int.random(in: 0..<5, using: &random)]
            }
            if round % 3 == 0 { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            var r = StateReader(bytes)
            do {
                let batch = try r.batch()
                #expect(batch.columns.allSatisfy { $0.count == batch.count } && batch.keys?.count == batch.count)
                for c in batch.columns { #expect(StateCodecTests.cells(c).count == batch.count) }
                _ = try r.alert()
                try r.end()
            } catch let error as StateError {
                #expect(!error.description.isEmpty)
            }
        }
    }

    @Test("impossible lengths are refused before anything is made of them", arguments: [-1, .min, .max, 1 << 40, 1 << 62] as [Int64])
    func lengths(_ n: Int64) {
        var w = StateWriter()
        w.i64(n)
        w.i64(0)
        #expect(throws: StateError.self) {
            var r = StateReader(w.bytes)
            _ = try r.text()
        }
        #expect(throws: StateError.self) {
            var r = StateReader(w.bytes)
            _ = try r.batch()
        }
        for type in ScalarType.allCases {
            var c = StateWriter()
            c.text(type.rawValue)
            c.i64(n)
            c.bool(true)
            c.i64(-1)
            #expect(throws: StateError.self, "\(type)") {
                var r = StateReader(c.bytes)
                _ = try r.column()
            }
        }
    }
}
