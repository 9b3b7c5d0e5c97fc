/// A half-open range of UTF-8 offsets into a query's text.
public struct SourceRange: Sendable, Hashable {
    public var lower: Int
    public var upper: Int

    public init(_ lower: Int, _ upper: Int) {
        self.lower = lower
        self.upper = max(lower, upper)
    }

    /// The least range that covers both.
    public func union(_ other: SourceRange) -> SourceRange { SourceRange(min(lower, other.lower), max(upper, other.upper)) }
}

/// One finding about a query: what is wrong, where, and how to mend it.
public struct Diagnostic: Sendable, Hashable {
    public enum Severity: String, Sendable, Hashable { case error, warning, note }

    /// A text edit that would mend the finding.
    public struct FixIt: Sendable, Hashable {
        public let range: SourceRange
        public let replacement: String
        public init(range: SourceRange, replacement: String) {
            self.range = range
            self.replacement = replacement
        }
    }

    public let severity: Severity
    /// Stable code, `VK` and four digits; listed in `docs/diagnostics.md`.
    public let code: String
    /// What is wrong, one sentence without a final full stop.
    public let message: String
    public let range: SourceRange
    /// What to do about it ("did you mean `TimeGenerated`?"); nil where nothing sensible can be said.
    public let mend: String?
    public let fixIts: [FixIt]

    public init(
        _ severity: Severity, _ code: String, _ message: String, at range: SourceRange, mend: String? = nil, fixIts: [FixIt] = []
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.range = range
        self.mend = mend
        self.fixIts = fixIts
    }
}
