import CKernels
import Columnar
import Dispatch
import Evaluation
import Glibc
import KQL
import Rules
import Synchronization

/// What `externaldata` may read. Nothing, unless somebody allows it.
public struct ExternalSettings: Sendable, Hashable {
    /// `http://` and `https://` URL prefixes, and folders or files.
    public var allowed: [String] = []
    /// Addresses of private networks may be connected to.
    public var allowsPrivate = false
    /// Ticks after which an address is fetched again.
    public var refresh: Int64 = 60 * KustoTime.ticksPerMinute
    /// Ticks that one fetch may take.
    public var timeout: Int64 = 30 * KustoTime.ticksPerSecond
    /// Bytes that one address may give, after decompression.
    public var maximumBytes = 64 << 20

    public init() {}
}

/// Reads and keeps the data behind the addresses of `externaldata`.
///
/// An address is read when a query that names it is bound; the bytes are kept and shared by all queries. ``refresh()`` reads what is known
/// anew, on whatever thread it is called on: queries bound before keep the rows that they have. An address that cannot be read again keeps
/// what it gave last.
public final class ExternalData: Sendable {
    private let settings: ExternalSettings
    private let kept = Mutex<[String: Kept]>([:])

    private struct Kept {
        var outcome: Result<[UInt8], ContentRefusal>
        var hash: String
    }

    public init(_ settings: ExternalSettings) { self.settings = settings }

    private static let mend = "allow it with --allow-external or `external.allow`"

    /// The rows of a request.
    public func rows(_ request: ExternalRequest) -> Result<[[Value]], ContentRefusal> {
        var out: [[Value]] = []
        for address in request.addresses {
            // What follows `;` is a credential or `h@`: Kusto's way to name storage secrets.
            let plain = String(address.prefix { $0 != ";" })
            let bytes: [UInt8]
            switch data(plain) {
            case .success(let b): bytes = b
            case .failure(let refusal): return .failure(refusal)
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return .failure(ContentRefusal("\(plain) does not give UTF-8 text"))
            }
            let format = request.format ?? ExternalRows.format(of: plain)
            switch ExternalRows.read(text, format: format, request, name: plain) {
            case .success(let rows): out += rows
            case .failure(let refusal): return .failure(refusal)
            }
            if out.count > 2_000_000 { return .failure(ContentRefusal("external data of more than 2,000,000 rows is not held")) }
        }
        return .success(out)
    }

    private func data(_ address: String) -> Result<[UInt8], ContentRefusal> {
        if let known = kept.withLock({ $0[address] }) { return known.outcome }
        let outcome = fetch(address)
        return kept.withLock { k in
            // Another query may have been faster: all see the same.
            if let known = k[address] { return known.outcome }
            k[address] = Kept(outcome: outcome, hash: ExternalData.hash(outcome))
            return outcome
        }
    }

    /// Reads all known addresses anew; true if any gives something else than before.
    public func refresh() -> Bool {
        var changed = false
        for address in kept.withLock({ Array($0.keys).sorted() }) {
            let outcome = fetch(address)
            let hash = ExternalData.hash(outcome)
            kept.withLock { k in
                guard let old = k[address], old.hash != hash else { return }
                if case .failure = outcome, case .success = old.outcome { return }
                k[address] = Kept(outcome: outcome, hash: hash)
                changed = true
            }
        }
        return changed
    }

    private static func hash(_ outcome: Result<[UInt8], ContentRefusal>) -> String {
        guard case .success(let bytes) = outcome else { return "" }
        let h = bytes.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        return "\(h.high) \(h.low)"
    }

    // MARK: Permission

    private func fetch(_ address: String) -> Result<[UInt8], ContentRefusal> {
        let lower = address.lowercased()
        if lower.hasPrefix("http://") || lower.hasPrefix("https://") { return fetchURL(address) }
        var path = address
        if lower.hasPrefix("file://") {
            path = String(address.dropFirst(7))
        } else if address.contains("://") {
            return .failure(
                ContentRefusal("`\(address)` is neither a file nor an http(s) address", mend: "copy the data to a file and name that"))
        }
        return readFile(path)
    }

    /// Whether an allowed prefix covers a URL: same scheme, host and port, and a path that begins with the prefix's whole segments.
    static func isAllowed(_ url: String, by prefixes: [String]) -> Bool {
        guard let wanted = WebAddress(url) else { return false }
        return prefixes.contains { prefix in
            guard let allowed = WebAddress(prefix), allowed.origin == wanted.origin else { return false }
            let base = allowed.path
            if wanted.path == base || base == "/" { return true }
            return wanted.path.hasPrefix(base.hasSuffix("/") ? base : base + "/") || (wanted.path.hasPrefix(base + "?"))
        }
    }

    private func fetchURL(_ address: String) -> Result<[UInt8], ContentRefusal> {
        guard WebAddress(address) != nil else { return .failure(ContentRefusal("`\(address)` is no plain http(s) address")) }
        var url = address
        for hop in 0..<6 {
            guard ExternalData.isAllowed(url, by: settings.allowed) else {
                return .failure(
                    ContentRefusal(
                        hop == 0
                            ? "reading \(address) is not allowed" : "\(address) redirects to \(url), which is not allowed",
                        mend: ExternalData.mend))
            }
            var options = vk_fetch_options()
            options.timeout_ms = max(1, Int(settings.timeout / 10_000))
            options.connect_timeout_ms = min(options.timeout_ms, 10_000)
            options.maximum_bytes = settings.maximumBytes
            options.allow_private = settings.allowsPrivate ? 1 : 0
            var result = vk_fetch_result()
            vk_fetch(url, &options, &result)
            defer { vk_fetch_free(&result) }
            switch Int(result.outcome) {
            case Int(VK_FETCH_TOO_LARGE):
                return .failure(
                    ContentRefusal("\(address) gives more than \(settings.maximumBytes) bytes", mend: "raise `external.max_bytes`"))
            case Int(VK_FETCH_PRIVATE):
                return .failure(
                    ContentRefusal("\(url) is on a private network", mend: "allow such addresses with `external.allow_private: true`"))
            case Int(VK_FETCH_OK): break
            default: return .failure(ContentRefusal("\(address) cannot be fetched: \(ExternalData.text(of: &result.error))"))
            }
            if (300..<400).contains(result.status) {
                let next = ExternalData.text(of: &result.location)
                guard !next.isEmpty else { return .failure(ContentRefusal("\(address) answers \(result.status) without a place to go")) }
                url = next
                continue
            }
            guard result.status == 200 else { return .failure(ContentRefusal("\(address) answers with status \(result.status)")) }
            let body = result.body.map { Array(UnsafeBufferPointer(start: $0, count: result.length)) } ?? []
            return inflated(body, address)
        }
        return .failure(ContentRefusal("\(address) redirects too often"))
    }

    private static func text<T>(of field: inout T) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private func readFile(_ path: String) -> Result<[UInt8], ContentRefusal> {
        guard !path.isEmpty, !path.utf8.contains(0) else { return .failure(ContentRefusal("an address of externaldata is empty")) }
        let refused = ContentRefusal("reading the file \(path) is not allowed", mend: ExternalData.mend)
        // The file is opened first and asked for its own place then, so that links and `..` cannot lead out of what is allowed.
        let folders = settings.allowed.filter { !$0.contains("://") }.compactMap { ExternalData.realPath($0) }
        guard !folders.isEmpty else { return .failure(refused) }
        let fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard fd >= 0 else {
            let reason = String(cString: strerror(errno))
            // What lies outside is not even said to exist.
            let parent = ExternalData.realPath(String(path.reversed().drop { $0 != "/" }.reversed()))
            let inside = parent.map { p in folders.contains { ExternalData.holds($0, p) } } ?? false
            return .failure(inside ? ContentRefusal("\(path) cannot be read: \(reason)") : refused)
        }
        defer { close(fd) }
        guard let real = ExternalData.realPath("/proc/self/fd/\(fd)"), folders.contains(where: { ExternalData.holds($0, real) }) else {
            return .failure(refused)
        }
        var s = stat()
        guard fstat(fd, &s) == 0, s.st_mode & S_IFMT == S_IFREG else { return .failure(ContentRefusal("\(path) is no regular file")) }
        guard Int(s.st_size) <= settings.maximumBytes else {
            return .failure(ContentRefusal("\(path) is larger than \(settings.maximumBytes) bytes", mend: "raise `external.max_bytes`"))
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= settings.maximumBytes {
            let n = read(fd, &buffer, buffer.count)
            if n < 0 { return .failure(ContentRefusal("\(path) cannot be read: \(String(cString: strerror(errno)))")) }
            if n == 0 { break }
            bytes += buffer.prefix(n)
        }
        return inflated(bytes, path)
    }

    private static func holds(_ folder: String, _ path: String) -> Bool {
        path == folder || path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }

    private static func realPath(_ path: String) -> String? {
        guard let p = realpath(path.isEmpty ? "." : path, nil) else { return nil }
        defer { free(p) }
        return String(cString: p)
    }

    private func inflated(_ bytes: [UInt8], _ name: String) -> Result<[UInt8], ContentRefusal> {
        guard bytes.starts(with: [0x1F, 0x8B]) else { return .success(bytes) }
        var out: UnsafeMutablePointer<UInt8>?
        var length = 0
        let outcome = bytes.withUnsafeBufferPointer { vk_gunzip($0.baseAddress, $0.count, settings.maximumBytes, &out, &length) }
        defer { free(out) }
        switch Int(outcome) {
        case Int(VK_FETCH_OK): return .success(out.map { Array(UnsafeBufferPointer(start: $0, count: length)) } ?? [])
        case Int(VK_FETCH_TOO_LARGE):
            return .failure(
                ContentRefusal("\(name) inflates to more than \(settings.maximumBytes) bytes", mend: "raise `external.max_bytes`"))
        default: return .failure(ContentRefusal("\(name) is damaged gzip data"))
        }
    }
}

/// The parts of an http(s) URL that permission depends on.
struct WebAddress {
    /// `https://host:port`, in small letters.
    let origin: String
    /// Path and query; at least `/`.
    let path: String

    /// Nil for what is no http(s) URL, has user information, or a path that climbs (`..`, also escaped) or hides characters.
    init?(_ url: String) {
        let lower = url.lowercased()
        guard let scheme = ["https://", "http://"].first(where: { lower.hasPrefix($0) }) else { return nil }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }) else { return nil }
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        var host = authority.lowercased()
        let port = scheme == "https://" ? ":443" : ":80"
        let hasPort = host.hasPrefix("[") ? host.contains("]:") : host.contains(":")
        if !hasPort { host += port }
        var path = String(rest.dropFirst(authority.count).prefix { $0 != "#" })
        if !path.hasPrefix("/") { path = "/" + path }
        let plain = path.prefix { $0 != "?" }.lowercased().replacing("%2e", with: ".").replacing("%2f", with: "/").replacing(
            "%5c", with: "/")
        guard !plain.split(separator: "/").contains("..") else { return nil }
        origin = scheme + host
        self.path = path
    }
}
