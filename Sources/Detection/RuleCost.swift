import Matcher

/// What a rule takes: time of its own prefixes and evaluations, and what it keeps. Work that rules share is nobody's.
public struct RuleCost: Sendable {
    public let id: String
    public let name: String
    /// Candidate rows that its prefixes were run over.
    public var testedRows: Int64 = 0
    public var survivors: Int64 = 0
    /// On the threads that read.
    public var matchTime = Duration.zero
    /// On the thread that detects: taking rows in, and evaluating ticks.
    public var acceptTime = Duration.zero
    public var evaluationTime = Duration.zero
    public var evaluations = 0
    public var retainedRows = 0
    /// Groups that are kept by panes.
    public var groups = 0
    public var stateBytes = 0
    public var evidenceBytes = 0

    public var time: Duration { matchTime + acceptTime + evaluationTime }
    public var nanoseconds: Double { RuleCost.nanoseconds(time) }

    public static func nanoseconds(_ d: Duration) -> Double {
        Double(d.components.seconds) * 1e9 + Double(d.components.attoseconds) / 1e9
    }
}

extension DetectionEngine {
    /// What each rule took since the start, dearest first. `legs`: what the matching threads counted.
    public func costs(_ legs: [LegReference: LegCost]) -> [RuleCost] {
        var all = ruleCosts
        for (reference, c) in legs where all.indices.contains(reference.rule) {
            all[reference.rule].testedRows += c.rows
            all[reference.rule].survivors += c.survivors
            all[reference.rule].matchTime += c.time
        }
        return all.sorted { ($1.time, $0.name) < ($0.time, $1.name) }
    }
}
