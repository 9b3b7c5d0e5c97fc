import Columnar
import Evaluation
import KQL
import Matcher

/// A join of a suffix whose sides are rows of legs, and whose rows are therefore kept by key (``JoinIndex``).
///
/// In the suffix, the tables of a side that may leave out rows without a partner have names of their own; what they give is decided at each
/// tick.
struct JoinPlan: Sendable {
    struct Side: Sendable {
        /// In the order of the tables.
        let inputs: [(leg: Int, input: PaneInput)]
        let columns: [BoundColumn]
        let keys: [BoundExpr]
        /// Rows without a partner do not matter.
        let isReduced: Bool

        var index: JoinIndex.Side { JoinIndex.Side(inputs: inputs.map(\.input), columns: columns, keys: keys) }
    }

    let kind: JoinKind
    let left: Side
    let right: Side

    var sides: [Side] { [left, right] }

    static func name(_ join: Int, side: Int, input: Int) -> String { "$joined\(join).\(side).\(input)" }

    /// Whether the rows of a side (0: left, 1: right) that have no partner change nothing in what a join gives.
    static func reduces(_ kind: JoinKind, side: Int) -> Bool {
        switch kind {
        case .inner, .innerunique, .leftsemi, .rightsemi: true
        case .leftouter, .leftanti: side == 1
        case .rightouter, .rightanti: side == 0
        case .fullouter: false
        }
    }

    /// What `vedette rules explain` says.
    func words(_ legs: [Leg]) -> String {
        func tables(_ side: Side) -> String { side.inputs.map { legs[$0.leg].table }.joined(separator: ", ") }
        let read =
            left.isReduced && right.isReduced
            ? "a tick reads rows that have a partner"
            : "a tick reads all rows of the \(left.isReduced ? "right" : "left") side, which are results, and those of the other that have a partner"
        return "join kind=\(kind) of rows of \(tables(left)) with rows of \(tables(right)): both sides by \(left.keys.count) keys; \(read)"
    }
}

/// The indexes of a rule's joins, brought up to date when a tick is evaluated. One thread at a time.
final class RowJoins {
    private let plan: PanePlan
    private let limits: EvaluationLimits
    /// Nil where an index cannot be had: all rows are read then.
    private var indexes: [JoinIndex?]
    /// Joins whose index failed: the join itself says what is wrong, if it meets the same.
    private var given: Set<Int> = []

    /// Nil if no join of the rule is over rows.
    init?(_ plan: PanePlan, limits: EvaluationLimits) {
        guard !plan.joins.isEmpty else { return nil }
        self.plan = plan
        self.limits = limits
        indexes = plan.joins.map { _ in nil }
    }

    var bytes: Int { indexes.reduce(0) { $0 + ($1?.bytes ?? 0) } }

    /// Rows of a side that have a partner, by segment; nil: all are to be read.
    func partnered(_ join: Int, side: Int) -> [JoinIndex.SegmentID: ContiguousArray<Int32>]? { indexes[join]?.partnered(side) }

    /// Takes up what has come and gone. Rows on the disk are not indexed: a leg that spills is read whole, as its memory is what is short.
    func update(_ stores: [LegStore]) {
        for (j, join) in plan.joins.enumerated() where !given.contains(j) {
            let legs = Set(join.sides.flatMap { $0.inputs.map(\.leg) })
            guard legs.allSatisfy({ leg in stores.indices.contains(leg) && stores[leg].segments.allSatisfy(\.isInMemory) }) else {
                indexes[j] = nil
                continue
            }
            do {
                let index = try indexes[j] ?? JoinIndex(left: join.left.index, right: join.right.index, limits: limits)
                for (s, side) in join.sides.enumerated() {
                    try index.update(
                        s,
                        side.inputs.enumerated().flatMap { i, input in
                            stores[input.leg].segments.map { (JoinIndex.SegmentID(input: i, id: $0.id), $0.rows) }
                        })
                }
                indexes[j] = index
            } catch {
                indexes[j] = nil
                given.insert(j)
            }
        }
    }
}
