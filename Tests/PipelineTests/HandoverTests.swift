import Dispatch
import Synchronization
import Testing

@testable import Pipeline

@Suite struct HandoverTests {
    private struct Item: Sendable {
        let thread: Int
        let number: Int
    }

    /// Everything brought is taken in once, each thread's items in order, by one thread at a time.
    @Test(arguments: [1, 4], [0, 1, 16]) func takesEverythingInOrder(threads: Int, room: Int) {
        let each = 2_000
        let handover = Handover<[[Int]], Item>(Array(repeating: [], count: threads), room: room)
        let inside = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            for number in 0..<each {
                handover.bring(Item(thread: thread, number: number), weight: 1) { seen, item in
                    let count = inside.add(1, ordering: .relaxed).newValue
                    #expect(count == 1)
                    seen[item.thread].append(item.number)
                    inside.subtract(1, ordering: .relaxed)
                }
            }
        }
        #expect(handover.withState { $0 } == Array(repeating: Array(0..<each), count: threads))
    }

    /// A thread that finds another inside leaves its item and goes on; the one inside takes it before it leaves.
    @Test func nobodyWaitsWhileThereIsRoom() {
        let handover = Handover<[Int], Int>([], room: 2)
        let isInside = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let left = DispatchSemaphore(value: 0)
        let take: @Sendable (inout [Int], Int) -> Void = { seen, item in
            seen.append(item)
            guard item == 0 else { return }
            isInside.signal()
            mayGoOn.wait()
        }
        DispatchQueue.global().async {
            handover.bring(0, weight: 1, take: take)
            left.signal()
        }
        isInside.wait()
        // These would not come back if they waited for the one inside, which waits for us.
        handover.bring(1, weight: 1, take: take)
        handover.bring(2, weight: 1, take: take)
        mayGoOn.signal()
        left.wait()
        #expect(handover.withState { $0 } == [0, 1, 2])
    }

    /// Beyond the room a thread waits for the one inside.
    @Test func aFullRoomMakesThreadsWait() {
        let handover = Handover<[Int], Int>([], room: 2)
        let isInside = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let done = DispatchGroup()
        let cameBack = Atomic(false)
        let take: @Sendable (inout [Int], Int) -> Void = { seen, item in
            seen.append(item)
            guard item == 0 else { return }
            isInside.signal()
            mayGoOn.wait()
            let isBack = cameBack.load(ordering: .acquiring)
            #expect(!isBack)
        }
        DispatchQueue.global().async(group: done) { handover.bring(0, weight: 1, take: take) }
        isInside.wait()
        DispatchQueue.global().async(group: done) {
            mayGoOn.signal()
            handover.bring(1, weight: 3, take: take)
            cameBack.store(true, ordering: .releasing)
        }
        done.wait()
        #expect(handover.withState { $0 } == [0, 1])
    }
}
