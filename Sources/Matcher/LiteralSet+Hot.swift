import CKernels
import Columnar
import Glibc

// Unsafe: `handle` and `scratch` are opaque objects of the C kernels, made in `init`, never changed, freed in `deinit`; a scratch is used by
// one thread at a time. Texts are read inside the call only.

/// Keeps compiled literals from run to run. What ``load(_:)`` gives was saved under that name, byte for byte, or it gives nothing.
public protocol LiteralStore: Sendable {
    func load(_ name: String) -> [UInt8]?
    func save(_ name: String, _ bytes: [UInt8])
}

/// The literals of many atoms over one text, found in one pass whatever their number. Immutable, shared by all workers.
///
/// The scan ignores the case of ASCII letters and knows no other folding, so its answer is complete for ASCII texts only; callers test
/// other texts atom by atom.
final class LiteralSet: @unchecked Sendable {
    // The pointer is to an immutable database, freed with the object.
    fileprivate let handle: OpaquePointer
    /// For each literal, the atoms that look for it.
    let atoms: [[Int]]

    /// Compiling fewer literals takes no longer than looking for them.
    private static let worthKeeping = 16

    /// Nil where the machine has no engine for it. `store` keeps what was compiled.
    init?(_ literals: [(text: String, atoms: [Int])], store: (any LiteralStore)? = nil) {
        var flat: [UInt8] = []
        var offsets: [Int] = []
        var lengths: [Int] = []
        for l in literals {
            guard !l.text.isEmpty else { return nil }
            offsets.append(flat.count)
            flat += l.text.utf8
            lengths.append(flat.count - (offsets.last ?? 0))
        }
        let made: OpaquePointer? = flat.withUnsafeBufferPointer { all in
            guard let base = all.baseAddress else { return nil }
            let texts: [UnsafePointer<UInt8>?] = offsets.map { base + $0 }
            guard let store, lengths.count >= LiteralSet.worthKeeping else { return vk_literals_new(texts, lengths, lengths.count) }
            let name = LiteralSet.name(all, lengths)
            if let known = store.load(name).flatMap({ $0.withUnsafeBufferPointer { vk_literals_load($0.baseAddress, $0.count) } }) {
                return known
            }
            let new = vk_literals_new(texts, lengths, lengths.count)
            var size = 0
            if let new, let bytes = vk_literals_save(new, &size) {
                store.save(name, Array(UnsafeBufferPointer(start: bytes, count: size)))
                free(bytes)
            }
            return new
        }
        guard let made else { return nil }
        handle = made
        atoms = literals.map(\.atoms)
    }

    deinit { vk_literals_free(handle) }

    /// Equal for equal literals in equal order under one version of the engine.
    private static func name(_ texts: UnsafeBufferPointer<UInt8>, _ lengths: [Int]) -> String {
        var w = PackedWriter()
        w.text(vk_literals_engine().map { String(cString: $0) } ?? "")
        for n in lengths { w.count(n) }
        w.block(Array(texts))
        let h = w.bytes.withUnsafeBytes { vk_xxh3_128($0.baseAddress, $0.count, 0) }
        return String(h.high, radix: 16) + "-" + String(h.low, radix: 16)
    }
}

/// One thread's scanner of a ``LiteralSet``.
final class LiteralScanner {
    private let set: LiteralSet
    private let scratch: OpaquePointer
    private var found = ContiguousArray<UInt32>(repeating: 0, count: 256)

    /// Nil without memory.
    init?(_ set: LiteralSet) {
        guard let scratch = vk_literals_scratch_new(set.handle) else { return nil }
        self.set = set
        self.scratch = scratch
    }

    deinit { vk_literals_scratch_free(scratch) }

    /// Hands over the atoms whose literals the text contains (an atom with several may come several times). False: nothing is known,
    /// because the text is not ASCII or the scan failed.
    func scan(_ text: UnsafeRawBufferPointer, _ body: (Int) -> Void) -> Bool {
        let bytes = text.assumingMemoryBound(to: UInt8.self)
        guard vk_text_is_ascii(bytes.baseAddress, bytes.count) else { return false }
        while true {
            let n = found.withUnsafeMutableBufferPointer {
                vk_literals_scan(set.handle, scratch, bytes.baseAddress, bytes.count, $0.baseAddress, $0.count)
            }
            guard n >= 0 else { return false }
            if n > found.count {
                found = ContiguousArray(repeating: 0, count: n)
                continue
            }
            for id in found[..<n] where set.atoms.indices.contains(Int(id)) { for a in set.atoms[Int(id)] { body(a) } }
            return true
        }
    }
}
