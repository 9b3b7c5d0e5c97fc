import Columnar
import Detection
import Glibc
import Rules

/// Sends alerts to syslog in the form of RFC 5424: over a Unix socket, UDP (RFC 5426) or TCP with octet counting (RFC 6587).
public final class SyslogSink: AlertSink {
    /// Where to send.
    public enum Address: Sendable, Hashable {
        case unix(String)
        case udp(host: String, port: UInt16)
        case tcp(host: String, port: UInt16)

        /// Parses `unix:/dev/log`, `udp:host:514`, `tcp:[::1]:601`; nil for anything else.
        public init?(_ text: String) {
            guard let colon = text.firstIndex(of: ":") else { return nil }
            let scheme = text[..<colon]
            let rest = text[text.index(after: colon)...]
            if scheme == "unix" {
                guard rest.hasPrefix("/"), rest.utf8.count < 108 else { return nil }
                self = .unix(String(rest))
                return
            }
            guard let last = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: last)...]), port > 0 else { return nil }
            var host = String(rest[..<last])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            guard !host.isEmpty else { return nil }
            switch scheme {
            case "udp": self = .udp(host: host, port: port)
            case "tcp": self = .tcp(host: host, port: port)
            default: return nil
            }
        }
    }

    /// Longest message sent over datagrams; the alert's evidence is left out first.
    static let datagramBytes = 8192

    public let name: String
    private let address: Address
    private var descriptor: Int32 = -1
    private let hostName: String

    public init(address: Address) {
        self.address = address
        name = "syslog:\(address)"
        var text = [CChar](repeating: 0, count: 256)
        gethostname(&text, 255)
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        hostName = host.isEmpty ? "-" : host
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Severity of RFC 5424 (facility local0): High is critical, Medium error, Low warning, Informational notice.
    static func priority(_ s: AnalyticsRule.Severity) -> Int {
        let level =
            switch s {
            case .high: 2
            case .medium: 3
            case .low: 4
            case .informational: 5
            }
        return 16 * 8 + level
    }

    /// One message, without framing.
    static func message(_ a: Alert, hostName: String, limit: Int?) -> [UInt8] {
        let header = "<\(priority(a.severity))>1 \(KustoTime.isoString(a.endTime).prefix(26))Z \(hostName) vedette - alert - "
        var body = a.jsonLine
        if let limit, header.utf8.count + body.utf8.count > limit {
            var small = a
            small.evidence = []
            small.description = ""
            body = small.jsonLine
            if header.utf8.count + body.utf8.count > limit {
                small.entities = Array(small.entities.prefix(5))
                small.customDetails = []
                body = small.jsonLine
            }
        }
        return Array((header + body).utf8)
    }

    public func deliver(_ alerts: [Alert]) throws {
        for a in alerts {
            do {
                try send(a)
            } catch {
                // One more try over a new connection: the server may have been restarted.
                close()
                try send(a)
            }
        }
    }

    private func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    private func problem(_ what: String) -> SinkError { SinkError("syslog \(address): \(what): \(String(cString: strerror(errno)))") }

    private func send(_ a: Alert) throws {
        if descriptor < 0 { try connectSocket() }
        var bytes: [UInt8]
        if case .tcp = address {
            bytes = SyslogSink.message(a, hostName: hostName, limit: nil)
            bytes = Array("\(bytes.count) ".utf8) + bytes
        } else {
            bytes = SyslogSink.message(a, hostName: hostName, limit: SyslogSink.datagramBytes)
        }
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if n < 0 {
                if errno == EINTR { continue }
                throw problem("cannot send")
            }
            done += n
        }
    }

    private func connectSocket() throws {
        switch address {
        case .unix(let path):
            for type in [SOCK_DGRAM, SOCK_STREAM] {
                let s = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                guard s >= 0 else { throw problem("cannot make a socket") }
                var target = sockaddr_un()
                target.sun_family = sa_family_t(AF_UNIX)
                let size = MemoryLayout.size(ofValue: target.sun_path)
                withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(size - 1))) }
                let ok = withUnsafePointer(to: &target) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(s, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
                }
                if ok {
                    descriptor = s
                    return
                }
                let e = errno
                Glibc.close(s)
                errno = e
                if e != EPROTOTYPE { break }
            }
            throw problem("cannot connect")
        case .udp(let host, let port): try connectInternet(host, port, SOCK_DGRAM)
        case .tcp(let host, let port): try connectInternet(host, port, SOCK_STREAM)
        }
    }

    private func connectInternet(_ host: String, _ port: UInt16, _ type: __socket_type) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(type.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { throw SinkError("syslog \(address): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var next = list
        while let info = next?.pointee {
            let s = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            if s >= 0 {
                var wait = timeval(tv_sec: 5, tv_usec: 0)
                setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
                if connect(s, info.ai_addr, info.ai_addrlen) == 0 {
                    descriptor = s
                    return
                }
                let e = errno
                Glibc.close(s)
                errno = e
            }
            next = info.ai_next
        }
        throw problem("cannot connect")
    }
}
