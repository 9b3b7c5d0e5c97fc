import Columnar
import Detection
import Evaluation
import Glibc
import KQL
import Rules
import Synchronization
import Tables
import Testing

@testable import Matcher
@testable import Service

@Suite struct RuleCacheTests {
    private final class Notes: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ s: String) { lines.withLock { $0.append(s) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private static func content(_ book: RuleBook) -> [String] {
        book.entries.map { e in
            "\(e.file) \(e.name) \(e.state) \(String(describing: e.rule)) \(e.findings) \(e.program?.fingerprint ?? "-") "
                + (e.program.map { p in p.split.suffix.dump() + p.split.legs.map { $0.prefix.dump() }.joined() } ?? "")
                + e.rendered(notes: true)
        }
    }

    private static func rules(_ f: Folder) {
        f.write("r/a.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        f.write("r/b.yaml", RuleBookTests.rule(2, "AzureActivity\n| where OperationNameValue =~ \"y\" and Caller has \"z\""))
        f.write("r/c.yaml", RuleBookTests.rule(3, "AzureActivity\n| where OperationNameValu == 1"))
        f.write("r/d.yaml", RuleBookTests.rule(4, "SigninLogs\n| where UserAgent contains \"x\"", enabled: false))
        f.write("r/e.yaml", "nothing: here\n")
        f.write("r/f.yaml", RuleBookTests.rule(1, RuleBookTests.good))
    }

    private static func load(_ f: Folder, catalog: WorkspaceCatalog = .init(), _ notes: Notes? = nil) throws -> (
        book: RuleBook, found: Int, compiled: Int
    ) {
        let cache = RuleCache(folder: f["cache/deep"], note: { notes?.add($0) })
        let book = try RuleBook.load([f["r"]], catalog: catalog, cache: cache)
        return (book, cache.figures.found, cache.figures.compiled)
    }

    private static func file(_ f: Folder) throws -> String {
        let d = try #require(opendir(f["cache/deep"]))
        defer { closedir(d) }
        while let e = readdir(d) {
            let name = withUnsafeBytes(of: e.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasPrefix("rules-") { return f["cache/deep/" + name] }
        }
        throw TestError(text: "no cache file")
    }

    private static func bytes(_ path: String) -> [UInt8] {
        let d = open(path, O_RDONLY)
        defer { close(d) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let n = Glibc.read(d, &buffer, buffer.count)
        return Array(buffer.prefix(max(0, n)))
    }

    private static func put(_ path: String, _ bytes: [UInt8]) {
        let d = open(path, O_WRONLY | O_TRUNC)
        _ = Glibc.write(d, bytes, bytes.count)
        close(d)
    }

    @Test func coldWarmAndDisabledCachesGiveTheSameRules() throws {
        let f = try Folder()
        RuleCacheTests.rules(f)
        let plain = RuleCacheTests.content(try RuleBook.load([f["r"]], catalog: .init()))
        let cold = try RuleCacheTests.load(f)
        let warm = try RuleCacheTests.load(f)
        #expect(RuleCacheTests.content(cold.book) == plain && RuleCacheTests.content(warm.book) == plain)
        // What is refused is compiled each time; the rest is not.
        #expect((cold.found, cold.compiled) == (0, 6) && (warm.found, warm.compiled) == (5, 1))
        #expect(plain.contains { $0.contains("VR0006") } && plain.contains { $0.contains("OperationNameValu") })
    }

    @Test func whatIsDifferentIsCompiledAnew() throws {
        let f = try Folder()
        RuleCacheTests.rules(f)
        _ = try RuleCacheTests.load(f)
        f.write("r/b.yaml", RuleBookTests.rule(2, "AzureActivity\n| where OperationNameValue =~ \"other\""))
        let changed = try RuleCacheTests.load(f)
        #expect(changed.compiled == 2)
        #expect(RuleCacheTests.content(changed.book) == RuleCacheTests.content(try RuleBook.load([f["r"]], catalog: .init())))
        #expect(try RuleCacheTests.load(f).compiled == 1)
        // Another schema, other feeds, other functions: other meanings.
        let declared = WorkspaceCatalog().declaring(.init(name: "Mine_CL", columns: [.init("a", .string)]))
        #expect(try RuleCacheTests.load(f, catalog: declared).compiled == 6)
        #expect(try RuleCacheTests.load(f, catalog: WorkspaceCatalog().feeding(["SigninLogs"])).compiled == 6)
        var settings = ContentSettings()
        settings.functions = [f.write("fn/mine.kql", "AzureActivity | take 1")]
        #expect(try RuleCacheTests.load(f, catalog: WorkspaceCatalog().holding(WorkspaceStore(settings))).compiled == 6)
        f.write("fn/mine.kql", "AzureActivity | take 2")
        #expect(try RuleCacheTests.load(f, catalog: WorkspaceCatalog().holding(WorkspaceStore(settings))).compiled == 6)
        #expect(try RuleCacheTests.load(f, catalog: WorkspaceCatalog().holding(WorkspaceStore(settings))).compiled == 1)
        // The same text elsewhere is found, and belongs to its own file.
        f.write("r/a.yaml", "nothing: here\n")
        f.write("r/g.yaml", RuleBookTests.rule(1, RuleBookTests.good))
        let moved = try RuleCacheTests.load(f)
        #expect(moved.compiled == 1)
        #expect(RuleCacheTests.content(moved.book) == RuleCacheTests.content(try RuleBook.load([f["r"]], catalog: .init())))
    }

    @Test func filesThatWereNotChangedAreKnownUnread() throws {
        let f = try Folder()
        RuleCacheTests.rules(f)
        // What was changed just now may be changed again under the same time.
        usleep(100_000)
        let plain = RuleCacheTests.content(try RuleBook.load([f["r"]], catalog: .init()))
        for found in [0, 5, 5] {
            let now = try RuleCacheTests.load(f)
            #expect(now.found == found && RuleCacheTests.content(now.book) == plain)
        }
        func known() throws -> [String] {
            let catalog = WorkspaceCatalog().holding(WorkspaceStore(ContentSettings()))
            let shelf = try #require(RuleCache(folder: f["cache/deep"]).shelf([f["r"]], catalog))
            var next = 0
            return RuleLoader.files([f["r"]]).files.filter { shelf.entry(of: $0, next: &next) != nil }.map { String($0.path.suffix(6)) }
        }
        guard SettledFile.isVouchedFor(f["r/a.yaml"]) else { return }
        #expect(try known() == ["a.yaml", "b.yaml", "d.yaml", "e.yaml", "f.yaml"])
        // Another content of the same length under the same time of modification.
        var before = stat()
        #expect(stat(f["r/b.yaml"], &before) == 0)
        f.write("r/b.yaml", RuleBookTests.rule(2, "AzureActivity\n| where OperationNameValue =~ \"q\" and Caller has \"z\""))
        #expect(utimensat(AT_FDCWD, f["r/b.yaml"], [before.st_atim, before.st_mtim], 0) == 0)
        var after = stat()
        #expect(stat(f["r/b.yaml"], &after) == 0 && after.st_size == before.st_size && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        #expect(try known() == ["a.yaml", "d.yaml", "e.yaml", "f.yaml"])
        let changed = try RuleCacheTests.load(f)
        #expect(changed.compiled == 2 && RuleCacheTests.content(changed.book) != plain)
        #expect(RuleCacheTests.content(changed.book) == RuleCacheTests.content(try RuleBook.load([f["r"]], catalog: .init())))
        // A file that was named is another one: what is no rule in it is reported.
        #expect(try RuleBook.load([f["r/e.yaml"]], catalog: .init(), cache: RuleCache(folder: f["cache/deep"])).refused.count == 1)
    }

    @Test func rulesOverWatchlistsAreCompiledAtEachStart() throws {
        let f = try Folder()
        f.write("w/Bad.csv", "User\na@contoso.example\n")
        f.write("r/a.yaml", RuleBookTests.rule(1, "SigninLogs\n| where UserPrincipalName in ((_GetWatchlist('Bad') | project User))"))
        var settings = ContentSettings()
        settings.watchlists = [f["w"]]
        for _ in 0..<2 {
            let now = try RuleCacheTests.load(f, catalog: WorkspaceCatalog().holding(WorkspaceStore(settings)))
            #expect(now.compiled == 1 && now.book.programs.count == 1)
        }
    }

    @Test func damagedAndForeignFilesDoNoHarm() throws {
        let f = try Folder()
        RuleCacheTests.rules(f)
        let plain = RuleCacheTests.content(try RuleCacheTests.load(f).book)
        let path = try RuleCacheTests.file(f)
        let good = RuleCacheTests.bytes(path)
        #expect(good.count > 1000)
        let notes = Notes()
        for at in stride(from: 0, to: good.count, by: max(1, good.count / 40)) {
            RuleCacheTests.put(path, Array(good.prefix(at)))
            #expect(RuleCacheTests.content(try RuleCacheTests.load(f, notes).book) == plain)
            var flipped = good
            flipped[at] ^= 0x10
            RuleCacheTests.put(path, flipped)
            let now = try RuleCacheTests.load(f, notes)
            #expect(RuleCacheTests.content(now.book) == plain && now.found == 0)
        }
        #expect(notes.all.contains { $0.contains("damaged") } && notes.all.contains { $0.contains("another program") })
        RuleCacheTests.put(path, good)
        #expect(try RuleCacheTests.load(f).found == 5)
        chmod(path, 0o666)
        #expect(try RuleCacheTests.load(f, notes).found == 0 && notes.all.contains { $0.contains("written by others") })
    }

    @Test func compiledLiteralsAreKeptAndFindTheSame() throws {
        let f = try Folder()
        let cache = RuleCache(folder: f["cache"])
        let literals = (0..<40).map { (text: "needle\($0)", atoms: [$0]) }
        let texts = ["has needle3 and NEEDLE17", "nothing", "needle39needle0"]
        func found(_ store: (any LiteralStore)?) -> [Set<Int>] {
            guard let set = LiteralSet(literals, store: store), let scanner = LiteralScanner(set) else { return [] }
            return texts.map { text in
                var atoms: Set<Int> = []
                _ = Array(text.utf8).withUnsafeBytes { scanner.scan($0) { atoms.insert($0) } }
                return atoms
            }
        }
        let expected = found(nil)
        #expect(found(cache) == expected && found(cache) == expected)
        guard !expected.isEmpty else { return }  // This processor has no engine.
        let d = try #require(opendir(f["cache"]))
        defer { closedir(d) }
        var files = 0
        while let e = readdir(d) {
            let name = withUnsafeBytes(of: e.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard name.hasPrefix("literals-") else { continue }
            files += 1
            var bytes = RuleCacheTests.bytes(f["cache/" + name])
            bytes[bytes.count - 9] ^= 1
            RuleCacheTests.put(f["cache/" + name], bytes)
        }
        #expect(files == 1 && found(cache) == expected)
    }
}
