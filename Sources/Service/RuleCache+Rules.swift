import CKernels
import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Matcher
import Rules
import Synchronization
import Tables

/// One document of a rule file, compiled.
struct CompiledDocument: Sendable {
    let name: String
    let rule: AnalyticsRule?
    let program: RuleProgram?
    /// Of the document and of its query, in order.
    let findings: [RuleFinding]
}

extension RuleCache {
    /// The compiled rules of one set of paths over one catalogue.
    final class Shelf: Sendable {
        private let cache: RuleCache
        private let name: String
        private let purpose: [UInt8]
        private let bytes: [UInt8]
        /// Where the documents of a file stand.
        private let places: [Key: Range<Int>]

        /// A file's content.
        struct Key: Hashable, Sendable {
            let high: UInt64
            let low: UInt64
            /// A file that was named, not found in a folder: what is no rule in it is reported.
            let isNamed: Bool

            init(_ text: [UInt8], isNamed: Bool) {
                let h = text.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
                (high, low, self.isNamed) = (h.high, h.low, isNamed)
            }

            init(from r: inout PackedReader) throws {
                high = try r.word()
                low = try r.word()
                isNamed = try r.bool()
            }

            func write(to w: inout PackedWriter) {
                w.word(high)
                w.word(low)
                w.bool(isNamed)
            }
        }

        fileprivate init(_ cache: RuleCache, name: String, purpose: [UInt8]) {
            self.cache = cache
            self.name = name
            self.purpose = purpose
            var places: [Key: Range<Int>] = [:]
            let file = cache.read(name, for: purpose)
            if let file {
                var r = PackedReader(file.bytes, in: file.start..<file.bytes.count)
                while !r.isAtEnd, let key = try? Key(from: &r), let block = try? r.block() { places[key] = block }
            }
            bytes = file?.bytes ?? []
            self.places = places
        }

        /// What a file of this content was compiled to, as documents of `file`; nil if that is not known.
        func documents(_ key: Key, file: String) -> [CompiledDocument]? {
            guard let place = places[key] else { return nil }
            var r = PackedReader(bytes, in: place)
            return try? r.list { try CompiledDocument(from: &$0, of: bytes, file: file) }
        }

        /// Keeps the documents of every file: those that were found stay, new ones are added, others go.
        func keep(_ used: [Key], new: [(Key, [UInt8])]) {
            let found = Set(used)
            cache.count(found: used.count, compiled: 0)
            guard !new.isEmpty || found.count * 2 < places.count else { return }
            var w = PackedWriter()
            for key in found {
                guard let place = places[key] else { continue }
                key.write(to: &w)
                w.block(Array(bytes[place]))
            }
            for (key, block) in new where !found.contains(key) {
                key.write(to: &w)
                w.block(block)
            }
            cache.write(name, for: purpose, body: w.bytes)
        }
    }

    /// The shelf of the rules that are read from `paths` over `catalog`; nil where what they mean cannot be told from what is known here.
    func shelf(_ paths: [String], _ catalog: WorkspaceCatalog) -> Shelf? {
        guard let store = catalog.content as? WorkspaceStore else { return nil }
        var w = PackedWriter()
        w.text(catalog.fingerprint)
        w.text(store.fingerprint)
        // Patterns beyond it are refused when a rule is compiled.
        w.int(RegexLimit.bytes.load(ordering: .relaxed))
        let purpose = w.bytes
        for p in paths {
            let real = realpath(p, nil)
            w.text(real.map { String(cString: $0) } ?? p)
            free(real)
        }
        let h = w.bytes.withUnsafeBytes { vk_xxh3_64($0.baseAddress, $0.count, 0) }
        return Shelf(self, name: "rules-\(String(h, radix: 16))\(RuleCache.ending)", purpose: purpose)
    }

    /// The documents as bytes; nil if they must be compiled at each start: rules that are refused, rules that depend on other data, and
    /// those with findings inside a saved function, which quote that function's file.
    static func encode(_ documents: [CompiledDocument]) -> [UInt8]? {
        var w = PackedWriter()
        w.count(documents.count)
        for d in documents {
            guard let rule = d.rule, let program = d.program, !program.readsReferenceData, d.findings.allSatisfy({ $0.text == nil }),
                (try? d.write(rule, program, to: &w)) != nil
            else { return nil }
        }
        return w.bytes
    }
}

extension CompiledDocument {
    fileprivate func write(_ rule: AnalyticsRule, _ program: RuleProgram, to w: inout PackedWriter) throws {
        w.text(name)
        w.count(findings.count)
        for f in findings { f.write(to: &w) }
        rule.write(to: &w)
        var own = PackedWriter()
        try program.split.write(to: &own)
        try SplitQuery.verify(own.bytes)
        try program.write(to: &w)
    }

    fileprivate init(from r: inout PackedReader, of bytes: [UInt8], file: String) throws {
        name = try r.text()
        findings = try r.list { try RuleFinding(from: &$0) }
        let rule = try AnalyticsRule(from: &r, file: file)
        self.rule = rule
        program = try RuleProgram(rule: rule, from: &r, of: bytes, functions: FunctionRegistry.standard)
    }
}
