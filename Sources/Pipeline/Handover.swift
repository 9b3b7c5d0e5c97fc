import Synchronization

/// Where many threads bring items that are taken in one at a time.
///
/// Who finds nobody inside takes in what it brought, and what others bring meanwhile; who finds somebody leaves its item and goes on with its
/// own work. So a long tick does not stop the other threads. What lies there is bounded: beyond ``room`` a thread waits for the one inside.
///
/// Items of one thread are taken in the order in which it brought them. When no thread is in ``bring(_:weight:take:)``, nothing lies there.
final class Handover<State, Item: Sendable>: Sendable {
    private struct Queue {
        var items: [Item] = []
        var weight = 0
        /// A thread is inside; before it leaves it looks here again.
        var isServed = false
    }

    private let queue = Mutex(Queue())
    /// Held by the thread that is inside.
    private let state: Mutex<State>
    private let room: Int

    /// `room`: the weight that may lie there before threads wait.
    init(_ state: consuming sending State, room: Int) {
        self.state = Mutex(state)
        self.room = room
    }

    /// Has `take` called with the item, by this thread or another, now or later.
    func bring(_ item: Item, weight: Int, take: (inout State, Item) -> Void) {
        let (isInside, isFull) = queue.withLock { q in
            q.items.append(item)
            q.weight += weight
            defer { q.isServed = true }
            return (!q.isServed, q.weight > room)
        }
        guard isInside else {
            // The lock is free once what was taken out last is done.
            if isFull { state.withLock { _ in } }
            return
        }
        repeat {
            state.withLock { s in for item in takeAll() { take(&s, item) } }
        } while !leave()
    }

    /// For when nobody brings anything.
    func withState<Result>(_ body: (inout State) throws -> sending Result) rethrows -> sending Result {
        try state.withLock { try body(&$0) }
    }

    private func takeAll() -> [Item] {
        queue.withLock { q in
            defer {
                q.items = []
                q.weight = 0
            }
            return q.items
        }
    }

    private func leave() -> Bool {
        queue.withLock { q in
            q.isServed = !q.items.isEmpty
            return !q.isServed
        }
    }
}
