import Glibc

// Hot file: hands a buffer to read(2).
// Invariant: the buffer is written by that one call within its length, and only the bytes that the call reports are looked at.

/// The memory of this process and of the machine.
public enum ProcessMemory {
    /// Bytes of memory that the process occupies now; nil where /proc does not tell.
    public static var resident: Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 128)
        let n = text.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        guard n > 0 else { return nil }
        // `size resident shared ...`, in pages.
        let fields = text.prefix(n).split(separator: 0x20)
        guard fields.count > 1, let pages = Int(String(decoding: fields[1], as: UTF8.self)) else { return nil }
        return pages.multipliedReportingOverflow(by: max(1, sysconf(Int32(_SC_PAGESIZE)))).partialValue
    }

    /// Bytes of memory that the machine has.
    public static var installed: Int {
        let (bytes, overflow) = sysconf(Int32(_SC_PHYS_PAGES)).multipliedReportingOverflow(by: sysconf(Int32(_SC_PAGESIZE)))
        return overflow || bytes <= 0 ? 1 << 30 : bytes
    }
}
