import TestSupport

/// SplitMix64: small, seeded, the same everywhere.
struct Generator: SeededGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 ^ 0xD1B5_4A32_D192_ED03 }

    mutating func below(_ n: Int) -> Int { n <= 1 ? 0 : Int(next() % UInt64(n)) }
    mutating func upTo(_ n: Int64) -> Int64 { n <= 0 ? 0 : Int64(next() % UInt64(n + 1)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
    mutating func some<T>(_ items: [T], _ count: Int) -> [T] { Array(items.shuffled(using: &self).prefix(count)) }
}
