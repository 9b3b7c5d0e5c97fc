import Dispatch
import Synchronization

/// Independent work on all cores, for what happens once: reading and compiling rules. Rows have their own ways.
public enum Concurrently {
    /// The results of `body` in the order of `items`. Neighbours are done together (`together` says how many), so that small items cost
    /// little more than the work; with `stack`, each chunk has a ``LargeStack`` of so many bytes.
    public static func map<Item: Sendable, Result: Sendable>(
        _ items: [Item], stack: Int? = nil, together: Int? = nil, _ body: @Sendable (Item) -> Result
    ) -> [Result] {
        let chunk = max(1, together ?? max(8, min(64, items.count / 32)))
        guard items.count > chunk else { return items.map(body) }
        let chunks = (items.count + chunk - 1) / chunk
        let done = Mutex([[Result]](repeating: [], count: chunks))
        DispatchQueue.concurrentPerform(iterations: chunks) { n in
            let part = items[(n * chunk)..<min(items.count, (n + 1) * chunk)]
            let onLargeStack = stack.flatMap { bytes in try? LargeStack.run(bytes: bytes) { part.map(body) } }
            let results = onLargeStack ?? part.map(body)
            done.withLock { $0[n] = results }
        }
        return done.withLock { $0 }.flatMap { $0 }
    }
}
