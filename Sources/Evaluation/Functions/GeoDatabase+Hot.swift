import CKernels
import Columnar
import KQL
import Synchronization

// Invariant: `handle` is open from `init` to `deinit`; texts of a look-up point into it and are copied before the look-up returns.

/// An open MaxMind database: where addresses are. It holds its own copy of the file and never changes.
public final class GeoDatabase: Sendable {
    /// Path and content: equal for equal databases. Plans name a database by it.
    public let key: String
    private let path: String
    /// Immutable behind the pointer; the library's look-ups only read.
    private nonisolated(unsafe) let handle: OpaquePointer

    private init(_ path: String) throws {
        var message = [CChar](repeating: 0, count: 256)
        guard let opened = vk_place_open(path, &message, message.count) else {
            let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw ContentRefusal("the geo database \(path) cannot be used: \(text)")
        }
        handle = opened
        var hash: [UInt64] = [0, 0]
        vk_place_hash(opened, &hash)
        self.path = path
        key = "\(path) \(String(hash[0], radix: 16))\(String(hash[1], radix: 16))"
    }

    deinit { vk_place_close(handle) }

    /// Databases by key, the newest last. Older ones stay while rules of an older reading may ask for them.
    private static let opened = Mutex<[GeoDatabase]>([])
    private static let kept = 4

    /// Opens the database, or gives the open one of equal content. Throws a ``ContentRefusal``.
    public static func open(_ path: String) throws -> GeoDatabase {
        let fresh = try GeoDatabase(path)
        return opened.withLock { all in
            if let at = all.firstIndex(where: { $0.key == fresh.key }) {
                let known = all.remove(at: at)
                all.append(known)
                return known
            }
            all.append(fresh)
            if all.count > kept { all.removeFirst() }
            return fresh
        }
    }

    /// The database that a plan names; nil if it is not open any more.
    static func named(_ key: String) -> GeoDatabase? { opened.withLock { $0.last { $0.key == key } } }

    /// Country, state, city, latitude and longitude of an address, those that are known; null for what is no address or has no place.
    /// Throws when the database is corrupt.
    func place(_ address: String) throws -> Value {
        let bytes: [UInt8]
        if let v4 = IPAddress.parseV4(address) {
            guard v4.prefix == 32 else { return .null(.dynamic) }
            bytes = withUnsafeBytes(of: v4.address.bigEndian, Array.init)
        } else if let v6 = IPAddress.parseV6(address) {
            guard v6.prefix == 128 else { return .null(.dynamic) }
            let isMapped = v6.address >> 32 == 0xFFFF
            bytes =
                isMapped
                ? withUnsafeBytes(of: UInt32(truncatingIfNeeded: v6.address).bigEndian, Array.init)
                : withUnsafeBytes(of: v6.address.bigEndian, Array.init)
        } else {
            return .null(.dynamic)
        }
        var found = vk_place()
        switch vk_place_find(handle, bytes, bytes.count, &found) {
        case 0: return .null(.dynamic)
        case 1: break
        default: throw EvaluationError("the geo database \(path) is corrupt")
        }
        var members: [Dynamic.Member] = []
        func add(_ name: String, _ text: UnsafePointer<CChar>?, _ length: Int) {
            guard let text, length > 0 else { return }
            let value = text.withMemoryRebound(to: UInt8.self, capacity: length) {
                String(decoding: UnsafeBufferPointer(start: $0, count: length), as: UTF8.self)
            }
            members.append(.init(name, .string(value)))
        }
        add("country", found.country, found.country_len)
        add("state", found.state, found.state_len)
        add("city", found.city, found.city_len)
        if found.has_latitude { members.append(.init("latitude", .real(found.latitude))) }
        if found.has_longitude { members.append(.init("longitude", .real(found.longitude))) }
        return members.isEmpty ? .null(.dynamic) : .dynamic(.object(members))
    }
}

extension ExpressionCompiler {
    /// `geo_info_from_ip_address(address, database)`: the binder adds the database's key.
    func geoInfo(_ arguments: [any ExpressionNode], _ expr: BoundExpr) throws -> any ExpressionNode {
        guard arguments.count == 2, case .string(let key)? = (arguments[1] as? ConstantNode)?.value, let database = GeoDatabase.named(key)
        else { throw EvaluationError("the geo database of this query is not open", at: expr.range) }
        return valueNode([converted(arguments[0], to: .string)], .dynamic, strict: true) { a in try database.place(text(a, 0)) }
    }
}
