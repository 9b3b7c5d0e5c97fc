import CKernels

// Hot file: arrays in memory that is not written before large pages were asked for.
//
// Invariant: all of the first `count` elements are written before the array has them; `count` is at most the capacity.

/// Arrays that are read at random and larger than the processor's tables of small pages reach.
enum LargeMemory {
    /// Bytes from which large pages are worth asking for.
    static let least = 2 << 20

    /// The elements of an array (at most `count`), then `element` up to `count`, with room for `capacity` elements.
    static func array<T: BitwiseCopyable>(_ from: ContiguousArray<T>, count: Int, filling element: T, capacity: Int) -> ContiguousArray<T> {
        let room = max(count, capacity)
        return ContiguousArray(unsafeUninitializedCapacity: room) { out, used in
            guard let base = out.baseAddress, room > 0 else { return }
            let bytes = out.count * MemoryLayout<T>.stride
            if bytes >= least { vk_advise_large(base, bytes) }
            let kept = min(from.count, count)
            from.withUnsafeBufferPointer { if let p = $0.baseAddress { base.initialize(from: p, count: kept) } }
            (base + kept).initialize(repeating: element, count: count - kept)
            used = count
        }
    }
    /// An array of `count` elements, all of which `fill` writes.
    static func array<T: BitwiseCopyable>(count: Int, _ fill: (UnsafeMutablePointer<T>) -> Void) -> ContiguousArray<T> {
        ContiguousArray(unsafeUninitializedCapacity: count) { out, used in
            guard let base = out.baseAddress, count > 0 else { return }
            let bytes = count * MemoryLayout<T>.stride
            if bytes >= least { vk_advise_large(base, bytes) }
            fill(base)
            used = count
        }
    }
}
