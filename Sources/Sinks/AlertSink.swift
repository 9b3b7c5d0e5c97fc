import Columnar
import Detection
import Rules

/// Where alerts go. Delivery is at least once, keyed by (id, revision).
public protocol AlertSink: AnyObject {
    /// For messages and for the state database.
    var name: String { get }
    /// Takes alerts in order. Throws ``SinkError``; the alerts are then offered again.
    func deliver(_ alerts: [Alert]) throws
    /// Makes what was delivered durable, where the sink can.
    func flush() throws
    /// Log rotation: closes and opens the output again.
    func reopen() throws
    /// A file's length, for exactly-once delivery; nil for other sinks.
    var committedLength: UInt64? { get }
}

extension AlertSink {
    public func flush() throws {}
    public func reopen() throws {}
    public var committedLength: UInt64? { nil }
}

/// A delivery that failed, with what to do about it.
public struct SinkError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
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
