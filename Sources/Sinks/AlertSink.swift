import Columnar
import Detection
import Rules

/// Where alerts go. Delivery is at least once, keyed by (id, revision).
///
/// One thread at a time: a sink that somebody else can keep waiting (a server, the reader of a pipe) says so with ``isRemote`` and is then
/// delivered to off the daemon's loop.
public protocol AlertSink: AnyObject {
    /// For messages and for the state database: stays the same over restarts.
    var name: String { get }
    /// Delivery may take long: the other side decides.
    var isRemote: Bool { get }
    /// Takes alerts in order. Throws ``SinkError``, which says how many were taken; the others are then offered again.
    func deliver(_ alerts: [Alert]) throws
    /// Makes what was delivered durable, where the sink can.
    func flush() throws
    /// Log rotation: closes and opens the output again.
    func reopen() throws
    /// A file's identity and length, for exactly-once delivery; nil for other sinks.
    var mark: (inode: UInt64, length: UInt64)? { get }
}

extension AlertSink {
    public var isRemote: Bool { false }
    public func flush() throws {}
    public func reopen() throws {}
    public var mark: (inode: UInt64, length: UInt64)? { nil }
}

/// A delivery that failed.
public struct SinkError: Error, Sendable, CustomStringConvertible {
    public let description: String
    /// How many of the alerts offered were taken before, in their order.
    public var delivered = 0
    public init(_ description: String, delivered: Int = 0) {
        self.description = description
        self.delivered = delivered
    }
}

/// How alerts are written as text.
public enum AlertFormat: String, Sendable, CaseIterable {
    /// One JSON object a line.
    case jsonl
    /// A short readable line.
    case table
}

extension Alert {
    /// One readable line: time, severity, rule, techniques, first entities.
    public var summaryLine: String {
        let names = entities.prefix(3).map(\.shortText).joined(separator: ", ")
        let more = entities.count > 3 ? " +\(entities.count - 3)" : ""
        let time = KustoTime.isoString(endTime).prefix(19)
        return
            "\(time)Z  \(severity.rawValue.uppercased())  \(name)  [\(techniques.joined(separator: " "))]  \(names)\(more)  (\(id.prefix(12)) r\(revision))"
    }
}

extension Entity {
    /// The identifier that a person would use: `alice@contoso.example`, an address, the last part of a resource id.
    public var shortText: String {
        if type == "Account" {
            if let name = self["Name"] {
                if let suffix = self["UPNSuffix"] { return name + "@" + suffix }
                if let domain = self["NTDomain"] { return domain + "\\" + name }
                return name
            }
        }
        if type == "AzureResource", let id = self["ResourceId"] {
            return id.split(separator: "/").suffix(2).joined(separator: "/")
        }
        for m in identifiers { if case .string(let s) = m.value { return s } }
        return type
    }
}
