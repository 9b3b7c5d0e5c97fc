import Columnar
import Glibc
import Logging
import Testing

@testable import Service

@Suite struct NotifyTests {
    /// A datagram socket as systemd has one.
    final class Receiver {
        let descriptor: Int32
        let path: String
        private let folder: Folder

        init() throws {
            folder = try Folder()
            path = folder["notify"]
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
            let ok = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            guard ok else { throw TestError(text: "bind: \(errno)") }
        }

        deinit { close(descriptor) }

        /// The next message, nil if there is none.
        func next() -> String? {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let n = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return n < 0 ? nil : String(decoding: buffer.prefix(n), as: UTF8.self)
        }
    }

    @Test func sends() throws {
        let r = try Receiver()
        Notify(socket: r.path, watchdog: nil).send("READY=1\nSTATUS=x")
        #expect(r.next() == "READY=1\nSTATUS=x" && r.next() == nil)
        // Nobody listens, or nobody asked: silence.
        Notify(socket: r.path + "x", watchdog: nil).send("READY=1")
        Notify(socket: nil, watchdog: 1).send("READY=1")
        #expect(r.next() == nil)
    }

    @Test func beatsAtAThirdOfTheInterval() throws {
        let r = try Receiver()
        let n = Notify(socket: r.path, watchdog: 3_000_000)
        var beats = 0
        // Ten seconds in steps of a tenth.
        for step in 0..<100 {
            n.watchdog(5_000 + Int64(step) * KustoTime.ticksPerSecond / 10)
            while let said = r.next() {
                #expect(said == "WATCHDOG=1")
                beats += 1
            }
        }
        #expect((9...11).contains(beats))
        Notify(socket: r.path, watchdog: nil).watchdog(1)
        #expect(r.next() == nil)
    }
}

@Suite struct LogTests {
    static func line(json: Bool, _ level: Logger.Level = .error) -> String {
        var handler = StandardErrorLog(logLevel: .info, json: json)
        handler[metadataKey: "z"] = "own"
        handler[metadataKey: "path"] = "overridden"
        return handler.line(
            level, "cannot \"read\"", ["path": "/a b\nc", "n": "\(3)"],
            time: KustoTime.unixEpoch + 20_000 * KustoTime.ticksPerDay + 1_234_567)
    }

    @Test func text() {
        #expect(LogTests.line(json: false) == "2024-10-04T00:00:00.123Z ERROR cannot \"read\" n=3 path=\"/a b\\nc\" z=own")
        #expect(LogTests.line(json: false, .warning).contains("Z WARN  cannot"))
    }

    @Test func json() throws {
        let o = try #require(JSONText.parse(LogTests.line(json: true)))
        #expect(o["time"] == .string("2024-10-04T00:00:00.123Z") && o["level"] == .string("error"))
        #expect(
            o["message"] == .string("cannot \"read\"") && o["path"] == .string("/a b\nc") && o["z"] == .string("own")
                && o["n"] == .string("3"))
    }

    @Test(arguments: [("debug", Logger.Level.debug), ("warning", .warning), ("nonsense", .info)])
    func levels(_ text: String, _ level: Logger.Level) { #expect(VedetteLog.make(level: text, format: "text").logLevel == level) }
}
