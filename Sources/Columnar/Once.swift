import Synchronization

/// A value that is made when it is first asked for, once, whichever thread asks.
public final class Once<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case known(Value)
        case unmade(@Sendable () -> Value)
    }
    private let state: Mutex<State>

    public init(_ make: @escaping @Sendable () -> Value) { state = Mutex(.unmade(make)) }
    public init(known value: Value) { state = Mutex(.known(value)) }

    /// The value. `make` must not ask for it.
    public var value: Value {
        state.withLock { s in
            switch s {
            case .known(let v): return v
            case .unmade(let make):
                let v = make()
                s = .known(v)
                return v
            }
        }
    }

    /// Whether the value has been asked for, or was known from the start.
    public var isKnown: Bool { state.withLock { if case .known = $0 { true } else { false } } }
}
