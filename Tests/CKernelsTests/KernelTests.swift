import CKernels
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite(.serialized) struct KernelTests {
    static let comparisons: [vk_compare] = [VK_EQ, VK_NE, VK_LT, VK_LE, VK_GT, VK_GE]

    static func naive<T: Comparable>(_ op: vk_compare, _ a: T, _ b: T) -> Bool {
        switch op {
        case VK_EQ: a == b
        case VK_NE: a != b
        case VK_LT: a < b
        case VK_LE: a <= b
        case VK_GT: a > b
        default: a >= b
        }
    }

    @Test(arguments: comparisons, [true, false])
    func compares(op: vk_compare, simd: Bool) {
        vk_set_simd(simd)
        defer { vk_set_simd(true) }
        var random = Random(state: 3)
        let integers: [Int64] = [.min, -1, 0, 1, 2, .max]
        let reals: [Double] = [-.infinity, -1, -0.0, 0, 1.5, .infinity, .nan]
        for n in [0, 1, 63, 64, 65, 128, 200] {
            let a = (0..<n).map { _ in integers[random.below(6)] }
            let b = (0..<n).map { _ in integers[random.below(6)] }
            let x = (0..<n).map { _ in reals[random.below(7)] }
            let y = (0..<n).map { _ in reals[random.below(7)] }
            var bits = words(n)
            for constant in integers {
                vk_compare_i64(op, a, n, constant, &bits)
                #expect(booleans(bits, n) == a.map { Self.naive(op, $0, constant) })
                vk_between_i64(a, n, constant, 1, &bits)
                #expect(booleans(bits, n) == a.map { $0 >= constant && $0 <= 1 })
            }
            for constant in reals {
                vk_compare_f64(op, x, n, constant, &bits)
                #expect(booleans(bits, n) == x.map { Self.naive(op, $0, constant) })
                vk_between_f64(x, n, constant, 1, &bits)
                #expect(booleans(bits, n) == x.map { $0 >= constant && $0 <= 1 })
            }
            vk_compare_columns_i64(op, a, b, n, &bits)
            #expect(booleans(bits, n) == zip(a, b).map { Self.naive(op, $0, $1) })
            vk_compare_columns_f64(op, x, y, n, &bits)
            #expect(booleans(bits, n) == zip(x, y).map { Self.naive(op, $0, $1) })
            if n % 64 > 0 { #expect(bits[n / 64] >> UInt64(n % 64) == 0) }
        }
    }

    @Test(arguments: [true, false]) func codes(simd: Bool) {
        vk_set_simd(simd)
        defer { vk_set_simd(true) }
        var random = Random(state: 8)
        for n in [0, 1, 64, 100, 500] {
            for tableCount in [0, 1, 31, 32, 33, 64, 300] {
                let codes = (0..<n).map { _ in random.chance(5) ? UInt32.max - UInt32(random.below(2)) : UInt32(random.below(310)) }
                let table = (0..<((tableCount + 63) / 64)).map { _ in random.next() }
                let bytes = (0..<tableCount).map { _ in UInt8(random.below(2)) }
                var bits = words(n)
                vk_code_lookup_bits(codes, n, table, tableCount, &bits)
                #expect(booleans(bits, n) == codes.map { $0 < tableCount && table[Int($0) / 64] >> UInt64($0 % 64) & 1 == 1 })
                vk_code_lookup_bytes(codes, n, bytes, tableCount, &bits)
                #expect(booleans(bits, n) == codes.map { $0 < tableCount && bytes[Int($0)] == 1 })
                vk_code_equals(codes, n, UInt32(tableCount), &bits)
                #expect(booleans(bits, n) == codes.map { $0 == UInt32(tableCount) })
            }
        }
    }

    @Test(arguments: [true, false]) func bitmaps(simd: Bool) {
        vk_set_simd(simd)
        defer { vk_set_simd(true) }
        var random = Random(state: 8)
        let a = (0..<5).map { _ in random.next() }
        let b = (0..<5).map { _ in random.next() }
        var out = a
        vk_bits_and(a, b, 5, &out)
        #expect(out == zip(a, b).map { $0 & $1 })
        vk_bits_or(a, b, 5, &out)
        #expect(out == zip(a, b).map { $0 | $1 })
        vk_bits_andnot(a, b, 5, &out)
        #expect(out == zip(a, b).map { $0 & ~$1 })
        vk_bits_not(a, 300, &out)
        #expect(booleans(out, 320) == booleans(a, 300).map { !$0 } + Array(repeating: false, count: 20))
        vk_bits_fill(&out, 257, true)
        #expect(vk_bits_count(out, 5) == 257)
        var indices = [UInt32](repeating: 0, count: vk_bits_count(a, 5))
        #expect(vk_bits_indices(a, 5, &indices) == indices.count)
        #expect(indices == (0..<320).filter { booleans(a, 320)[$0] }.map { UInt32($0) })
        #expect(!vk_bits_any([0, 0], 2))
        #expect(vk_bits_any([0, 4], 2))
    }
}

@Suite struct HashTests {
    func hex(_ kind: vk_digest_kind, _ text: String) -> String {
        var out = [UInt8](repeating: 0, count: vk_digest_size(kind))
        #expect(vk_digest(kind, Array(text.utf8), text.utf8.count, &out))
        return out.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Published test vectors.
    @Test func digests() {
        #expect(hex(VK_DIGEST_SHA256, "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(hex(VK_DIGEST_SHA256, "") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hex(VK_DIGEST_SHA1, "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(hex(VK_DIGEST_MD5, "abc") == "900150983cd24fb0d6963f7d28e17f72")
        #expect(hex(VK_DIGEST_SHA512, "abc").hasPrefix("ddaf35a193617abacc417349ae204131"))
        #expect(hex(VK_DIGEST_SHA384, "abc").hasPrefix("cb00753f45a35e8bb5a03d699ac65007"))
        #expect(vk_digest_size(vk_digest_kind(rawValue: 99)) == 0)
        #expect(vk_digester_new(vk_digest_kind(rawValue: 99)) == nil)
    }

    @Test func streamsEqualOneShot() throws {
        let text = logText(10_000)
        let digester = try #require(vk_digester_new(VK_DIGEST_SHA256))
        defer { vk_digester_free(digester) }
        let state = try #require(vk_xxh3_new(9))
        defer { vk_xxh3_free(state) }
        var one = [UInt8](repeating: 0, count: 32)
        var streamed = one
        #expect(vk_digest(VK_DIGEST_SHA256, text, text.count, &one))
        for _ in 0..<2 {
            vk_xxh3_reset(state, 9)
            for at in stride(from: 0, to: text.count, by: 777) {
                let piece = Array(text[at..<min(at + 777, text.count)])
                #expect(vk_digester_update(digester, piece, piece.count))
                vk_xxh3_update(state, piece, piece.count)
            }
            #expect(vk_digester_finish(digester, &streamed))
            #expect(streamed == one)
        }
        let hash = vk_xxh3_128(text, text.count, 9)
        let digest = vk_xxh3_digest128(state)
        #expect(hash.low == digest.low && hash.high == digest.high)
        #expect(vk_xxh3_digest64(state) == vk_xxh3_64(text, text.count, 9))
        // The reference value of XXH64 and XXH3 for nothing.
        #expect(vk_xxh64(nil, 0, 0) == 0xEF46_DB37_51D8_E999)
        #expect(vk_xxh3_64(nil, 0, 0) == 0x2D06_8005_38D3_94C2)
        let a = vk_hash128(low: 1, high: 2)
        let b = vk_hash128(low: 3, high: 4)
        #expect(vk_hash128_combine(a, b, 0).low != vk_hash128_combine(b, a, 0).low)
        #expect(vk_hash128_combine(a, b, 0).low != vk_hash128_combine(a, b, 1).low)
    }
}

@Suite struct RegexTests {
    func compile(_ pattern: String, _ flags: Int = 0) -> OpaquePointer? {
        vk_re2_new(Array(pattern.utf8), pattern.utf8.count, UInt32(flags), 0, nil, 0)
    }

    func matches(_ pattern: String, _ text: String, _ flags: Int = 0) throws -> Bool {
        let re = try #require(compile(pattern, flags))
        defer { vk_re2_free(re) }
        return vk_re2_match(re, Array(text.utf8), text.utf8.count)
    }

    @Test func matching() throws {
        #expect(try matches("b+c", "aabbcc"))
        #expect(try !matches("^b", "ab"))
        #expect(try matches("^b", "a\nb", VK_RE2_MULTI_LINE))
        #expect(try matches("ABC", "xabc", VK_RE2_IGNORE_CASE))
        #expect(try !matches("a.b", "a\nb"))
        #expect(try matches("a.b", "a\nb", VK_RE2_DOT_NEWLINE))
        #expect(try matches("a.b", "a.b", VK_RE2_LITERAL))
        #expect(try !matches("a.b", "axb", VK_RE2_LITERAL))
        #expect(try matches("", ""))
        // Linear where backtracking explodes.
        #expect(try !matches("(a*)*b", String(repeating: "a", count: 5000)))
    }

    @Test func errorsAndLimits() {
        var error = [CChar](repeating: 1, count: 8)
        #expect(vk_re2_new(Array("a(b".utf8), 3, 0, 0, &error, error.count) == nil)
        #expect(error.contains(0) && error[0] != 0)
        #expect(compile("(?<=a)b") == nil)
        #expect(compile("a\\1") == nil)
        #expect(vk_re2_new(Array("(a{1000}){50}".utf8), 13, 0, 1 << 16, nil, 0) == nil)
    }

    @Test func captures() throws {
        let re = try #require(compile("(\\w+)@(\\w+)(\\.x)?"))
        defer { vk_re2_free(re) }
        #expect(vk_re2_group_count(re) == 3)
        let text = Array("to a@b, c@d.x".utf8)
        var groups = [vk_re2_group](repeating: vk_re2_group(), count: 6)
        #expect(vk_re2_captures(re, text, text.count, 0, &groups, 6))
        #expect(groups.map(\.begin) == [3, 3, 5, -1, -1, -1])
        #expect(groups.map(\.end) == [6, 4, 6, -1, -1, -1])
        #expect(vk_re2_captures(re, text, text.count, 6, &groups, 4))
        #expect(groups[0].begin == 8 && groups[3].end == 13)
        #expect(!vk_re2_captures(re, text, text.count, text.count, &groups, 4))
        #expect(!vk_re2_captures(re, text, text.count, text.count + 1, &groups, 4))
        #expect(!vk_re2_full_match(re, text, text.count))
        #expect(vk_re2_full_match(re, Array("a@b".utf8), 3))
        var bits = words(3)
        vk_re2_match_column(re, text, [0, 3, 6, 13], 3, &bits)
        #expect(booleans(bits, 3) == [false, true, true])
    }

    @Test("a column is matched like its rows, with and without a required literal")
    func columns() throws {
        var rows: [String] = []
        for i in 0..<200 {
            rows.append(["user=a\(i)7 x", "USER=a\(i)", "", "policy-\(i) allowed", "\(i) Policy-1", "é\(i) user=a7 "][i % 6])
        }
        let text = Array(rows.joined().utf8)
        var offsets: [UInt32] = [0]
        for r in rows { offsets.append(offsets[offsets.count - 1] + UInt32(r.utf8.count)) }
        for (pattern, flags) in [
            ("user=a[0-9]+7 ", 0), ("user=a[0-9]*7 ", VK_RE2_IGNORE_CASE), ("(?i)POLICY-1", 0), ("^policy-[0-9]+ allowed$", 0), ("x*", 0),
            ("nowhere at all", 0),
        ] {
            let re = try #require(compile(pattern, flags))
            defer { vk_re2_free(re) }
            for n in [1, 63, 64, 65, rows.count] {
                var bits = words(n)
                vk_re2_match_column(re, text, offsets, n, &bits)
                #expect(booleans(bits, n) == rows.prefix(n).map { vk_re2_match(re, Array($0.utf8), $0.utf8.count) }, "\(pattern) \(n)")
            }
        }
    }

    @Test("rows searched as one text match as each by itself")
    func joinedRows() throws {
        var random = Random(state: 11)
        let parts = ["user=a", "7 ", "policy-", "é", "名", "x", "\n", ",", "1", "", "ab", "\"", "op", " "]
        // Few rows match most of these: only then are rows joined.
        let patterns = [
            "user=a[0-9]*7 ", "x.*名", "[^a]é[^,]7", "\\bab\\b", "\\Bab", "(?s)x.*\n.*x", "7 (policy-)+x", "", "a{3}|名é", "[[:^alpha:]]\n1",
            "^x,", "ab$",
            "\\[^x", "[^x]名$", "\\Aab", "ab\\z", "\\C名", "\\Qx,1\\E", "(?i)POLICY-1", "(?m)^7 $", "x\\s+1", "é*?1(?:ab)?op",
        ]
        var rows: [[UInt8]] = []
        for i in 0..<3_000 {
            var row = (0..<random.below(9)).map { _ in parts[random.below(parts.count)] }.joined()
            // One that fills the buffer, and bytes that are no UTF-8.
            if i == 1_500 { row = String(repeating: row + "x1", count: 5_000) }
            rows.append(Array(row.utf8) + (i % 97 == 0 ? [0xFF] : i % 89 == 0 ? [0xC3] : []))
        }
        let text = Array(rows.joined())
        var offsets: [UInt32] = [0]
        for r in rows { offsets.append(offsets[offsets.count - 1] + UInt32(r.count)) }
        for pattern in patterns {
            for flags in [0, VK_RE2_IGNORE_CASE, VK_RE2_MULTI_LINE | VK_RE2_DOT_NEWLINE, VK_RE2_LONGEST, VK_RE2_LITERAL] {
                let re = try #require(compile(pattern, flags), "\(pattern)")
                defer { vk_re2_free(re) }
                var bits = words(rows.count)
                vk_re2_match_column(re, text, offsets, rows.count, &bits)
                #expect(booleans(bits, rows.count) == rows.map { vk_re2_match(re, $0, $0.count) }, "\(pattern) \(flags)")
            }
        }
    }

    @Test func requiredLiterals() throws {
        func literal(_ pattern: String, _ flags: Int = 0) throws -> String {
            let re = try #require(compile(pattern, flags))
            defer { vk_re2_free(re) }
            var out = [UInt8](repeating: 0, count: 64)
            return String(decoding: out[..<vk_re2_required_literal(re, &out, 64)], as: UTF8.self)
        }
        #expect(try literal("^Invoke-[A-Z]+$") == "invoke-")
        #expect(try literal("abc|defg") == "")
        #expect(try literal("a*b?") == "")
        // Looking for it would take longer than it is worth.
        let long = String(repeating: "x{1000}", count: 60)
        #expect(try literal(long) == "")
        // The Kelvin sign matches k when case is ignored.
        #expect(try literal("mimikatz", VK_RE2_IGNORE_CASE) == "mimi")
        #expect(try matches("mimikatz", "mimi\u{212A}atz", VK_RE2_IGNORE_CASE))
    }
}

@Suite struct SystemTests {
    @Test func searching() {
        let bytes = Array("abcabc".utf8)
        #expect(vk_memrchr(bytes, 6, 97) == 3)
        #expect(vk_memrchr(bytes, 6, 120) == -1)
        #expect(vk_memrchr(nil, 0, 120) == -1)
        #expect(vk_memmem(bytes, 6, [99, 97], 2) == 2)
        #expect(vk_memmem(bytes, 6, [99, 99], 2) == -1)
        #expect(vk_memmem(bytes, 6, nil, 0) == 0)
    }

    @Test func clocks() {
        let before = vk_monotonic_ns()
        let cpu = vk_thread_cpu_ns()
        var x: UInt64 = 0
        for i in 0..<200_000 as Range<UInt64> { x = x &* 31 &+ i }
        #expect(x != 1)
        #expect(vk_monotonic_ns() > before)
        #expect(vk_thread_cpu_ns() > cpu)
        #expect(vk_process_cpu_ns() >= cpu)
        #expect(vk_resident_bytes() > 1 << 20)
        #expect(vk_peak_resident_bytes() >= vk_resident_bytes() / 2)
    }

    @Test func refusesBadSockets() {
        #expect(vk_sd_notify(nil, "READY=1") == EINVAL)
        #expect(vk_sd_notify("relative", "READY=1") == EINVAL)
        #expect(vk_sd_notify("/" + String(repeating: "x", count: 107), "READY=1") == ENAMETOOLONG)
        #expect(vk_sd_notify("/nonexistent-directory/socket", "READY=1") == ENOENT)
    }

    @Test(arguments: [true, false]) func notifies(abstract: Bool) throws {
        let fd = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(fd >= 0)
        defer { close(fd) }
        let name = (abstract ? "@" : "/tmp/") + "vk-notify-\(getpid())"
        defer { if !abstract { unlink(name) } }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.utf8) }
        if abstract { address.sun_path.0 = 0 }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.utf8.count + (abstract ? 0 : 1))
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, length) }
        }
        try #require(bound == 0)
        #expect(vk_sd_notify(name, "READY=1\nSTATUS=up") == 0)
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = recv(fd, &buffer, 100, Int32(MSG_DONTWAIT))
        #expect(String(decoding: buffer[..<max(count, 0)], as: UTF8.self) == "READY=1\nSTATUS=up")
    }

    @Test func inotify() throws {
        let fd = vk_inotify_open()
        try #require(fd >= 0)
        defer { close(fd) }
        let path = "/tmp/vk-inotify-\(getpid())"
        try #require(mkdir(path, 0o700) == 0)
        defer { rmdir(path) }
        #expect(vk_inotify_watch(fd, path + "/none", VK_IN_CREATE) == -ENOENT)
        let watch = vk_inotify_watch(fd, path, VK_IN_CREATE | VK_IN_CLOSE_WRITE | VK_IN_DELETE)
        #expect(watch > 0)
        let file = open(path + "/log.gz", O_CREAT | O_WRONLY, 0o600)
        close(file)
        unlink(path + "/log.gz")
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(fd, &buffer, 4096)
        var masks: [UInt32] = []
        buffer.withUnsafeBufferPointer { bytes in
            var at = 0
            var event = vk_inotify_event()
            while true {
                let next = vk_inotify_decode(bytes.baseAddress, max(count, 0), at, &event)
                guard next > 0 else { break }
                at = next
                masks.append(event.mask)
                let name = UnsafeBufferPointer(start: event.name, count: Int(event.name_len))
                #expect(String(decoding: name, as: UTF8.self) == "log.gz")
                #expect(event.watch == watch)
            }
            #expect(at == count)
            #expect(vk_inotify_decode(bytes.baseAddress, 20, 0, &event) == 0)
        }
        #expect(masks == [VK_IN_CREATE, VK_IN_CLOSE_WRITE, VK_IN_DELETE])
    }
}
