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
    enum Content: Sendable {
        case program(RuleProgram)
        /// What there is of a document that does not run: perhaps a rule, whose query is wrong.
        indirect case refused(name: String, rule: AnalyticsRule?)
    }
    let content: Content
    /// Of the document and of its query, in order.
    let findings: [RuleFinding]

    var program: RuleProgram? { if case .program(let p) = content { p } else { nil } }

    var rule: AnalyticsRule? {
        switch content {
        case .program(let p): p.rule
        case .refused(_, let rule): rule
        }
    }

    /// Of the rule's id, if there is a rule.
    var identifier: Digest128? {
        switch content {
        case .program(let p): p.identifier
        case .refused(_, let rule): rule.map { RuleProgram.identifier($0) }
        }
    }

    var name: String {
        switch content {
        case .program(let p): p.rule.name
        case .refused(let name, let rule): rule?.name ?? name
        }
    }
}

extension RuleCache {
    /// The compiled rules of one set of paths over one catalogue.
    final class Shelf: Sendable {
        private let cache: RuleCache
        private let name: String
        private let purpose: [UInt8]
        private let bytes: [UInt8]
        private let entries: [Entry]
        private let byKey: Once<[Key: Int]>
        private let byInode: Once<[UInt64: Int]>

        /// A file's content.
        struct Key: Hashable, Sendable {
            let digest: Digest128
            /// A file that was named, not found in a folder: what is no rule in it is reported.
            let isNamed: Bool
        }

        /// The documents of a file.
        struct Entry: Sendable {
            let key: Key
            /// The file that had this content; nil where the file system does not vouch for it.
            let identity: FileIdentity?
            let place: Range<Int>
        }

        /// A file whose documents are to be found at the next start.
        struct Kept: Sendable {
            enum Documents: Sendable {
                case entry(Int)
                case new([UInt8])
            }
            let key: Key
            let documents: Documents
            var identity: FileIdentity?

            var entry: Int? { if case .entry(let n) = documents { n } else { nil } }
        }

        fileprivate init(_ cache: RuleCache, name: String, purpose: [UInt8]) {
            self.cache = cache
            self.name = name
            self.purpose = purpose
            var entries: [Entry] = []
            let file = cache.read(name, for: purpose)
            if let file {
                var r = PackedReader(file.bytes, in: file.start..<file.bytes.count)
                while !r.isAtEnd, let entry = try? Shelf.entry(&r) { entries.append(entry) }
            }
            bytes = file?.bytes ?? []
            self.entries = entries
            let all = entries
            byKey = Once { Dictionary(all.indices.map { (all[$0].key, $0) }, uniquingKeysWith: { a, _ in a }) }
            byInode = Once {
                Dictionary(all.indices.compactMap { n in all[n].identity.map { ($0.inode, n) } }, uniquingKeysWith: { a, _ in a })
            }
        }

        private static func entry(_ r: inout PackedReader) throws -> Entry {
            let key = Key(digest: try Digest128(from: &r), isNamed: try r.bool())
            let identity = try r.bool() ? try FileIdentity(from: &r) : nil
            return Entry(key: key, identity: identity, place: try r.block())
        }

        private static func write(_ key: Key, _ identity: FileIdentity?, _ block: some Collection<UInt8>, to w: inout PackedWriter) {
            key.digest.write(to: &w)
            w.bool(key.isNamed)
            w.bool(identity != nil)
            identity?.write(to: &w)
            w.block(Array(block))
        }

        func key(_ entry: Int) -> Key { entries[entry].key }

        /// The entry of a file that was not changed since. `next` is where it is looked for first: files come in the order of before.
        func entry(of file: RuleLoader.File, next: inout Int) -> Int? {
            func isIt(_ n: Int) -> Bool { entries[n].identity == file.identity && entries[n].key.isNamed == file.isNamed }
            var found = next
            if !entries.indices.contains(found) || !isIt(found) {
                guard let other = byInode.value[file.identity.inode], isIt(other) else { return nil }
                found = other
            }
            next = found + 1
            return found
        }

        /// The entry of a content.
        func entry(of key: Key) -> Int? { byKey.value[key] }

        /// What was compiled before, as documents of `file`; nil if it cannot be read.
        func documents(_ entry: Int, file: String, parts: inout StoredParts) -> [CompiledDocument]? {
            guard entries.indices.contains(entry) else { return nil }
            var r = PackedReader(bytes, in: entries[entry].place)
            guard let number = try? r.count() else { return nil }
            var out: [CompiledDocument] = []
            out.reserveCapacity(number)
            for _ in 0..<number {
                guard let d = try? CompiledDocument(from: &r, of: bytes, file: file, parts: &parts) else { return nil }
                out.append(d)
            }
            return out
        }

        /// Keeps the documents of every file: those that were found stay, new ones are added, others go.
        func keep(_ files: [Kept]) {
            let used = Set(files.compactMap(\.entry))
            cache.count(found: files.count { $0.entry != nil }, compiled: 0)
            let hasNews = files.contains { f in
                guard let n = f.entry else { return true }
                return f.identity != nil && f.identity != entries[n].identity
            }
            guard hasNews || used.count * 2 < entries.count else { return }
            var w = PackedWriter()
            for f in files {
                switch f.documents {
                case .entry(let n): Shelf.write(f.key, f.identity, bytes[entries[n].place], to: &w)
                case .new(let block): Shelf.write(f.key, f.identity, block, to: &w)
                }
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
            guard let program = d.program, !program.readsReferenceData, d.findings.allSatisfy({ $0.text == nil }),
                (try? d.write(program, to: &w)) != nil
            else { return nil }
        }
        return w.bytes
    }
}

extension CompiledDocument {
    fileprivate func write(_ program: RuleProgram, to w: inout PackedWriter) throws {
        w.count(findings.count)
        for f in findings { f.write(to: &w) }
        var own = PackedWriter()
        try program.split.write(to: &own)
        try SplitQuery.verify(own.bytes)
        try program.write(to: &w)
    }

    fileprivate init(from r: inout PackedReader, of bytes: [UInt8], file: String, parts: inout StoredParts) throws {
        findings = try r.list { try RuleFinding(from: &$0) }
        content = .program(try RuleProgram(from: &r, of: bytes, file: file, functions: FunctionRegistry.standard, parts: &parts))
    }
}

/// Which files can be known by what the file system says of them.
enum SettledFile {
    /// Times of changes are no finer than this on any kernel, in nanoseconds: what changes a file that was changed longer ago shows.
    private static let grain: Int64 = 20_000_000

    /// The identity of a content that was read, if another content will have another one.
    static func identity(of content: RuleLoader.Content) -> FileIdentity? {
        guard let identity = content.identity, identity.changed % 1_000_000_000 != 0 else { return nil }
        return identity.changed <= content.readAt - grain ? identity : nil
    }

    /// Whether the file lies where every change shows.
    static func isVouchedFor(_ path: String) -> Bool { vk_file_system_stamps_changes(path) }
}
