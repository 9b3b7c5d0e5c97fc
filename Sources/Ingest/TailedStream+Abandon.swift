extension TailedStream {
    /// Gives a stream up after an I/O error: what was read stays read, the rest is not tried again.
    public func abandon() { isFinished = true }
}
