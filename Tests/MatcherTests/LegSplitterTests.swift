import Columnar
import Evaluation
import KQL
import Testing

@testable import Matcher

/// Where a query is cut: what runs as rows arrive, what bounds a row's time, what waits for the tick.
@Suite struct LegSplitterTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let query: String
        /// Operators of each leg's prefix from the table up, then the number of horizon conditions.
        let legs: [String]
        /// Operators of the suffix from the legs up.
        let suffix: String
        var testDescription: String { query }
    }

    static func operators(_ plan: Plan) -> String {
        var names = PlanTools.children(plan).map(operators).filter { !$0.isEmpty }.joined(separator: "+")
        let name: String? =
            switch plan.kind {
            case .table: nil
            case .filter: "where"
            // Projections that only pick columns are the splitter's own.
            case .project(_, let exprs):
                exprs.allSatisfy { if case .column = $0.kind { true } else { false } } ? nil : "project"
            case .summarize: "summarize"
            case .join: "join"
            case .union: "union"
            case .mvExpand: "mv-expand"
            case .sort: "sort"
            case .top: "top"
            case .take: "take"
            case .parse: "parse"
            case .serialize: "serialize"
            default: "other"
            }
        if let name { names += (names.isEmpty ? "" : " ") + name }
        return names
    }

    static let cases: [Case] = [
        Case(query: "Events | where Status == 'x' | extend A = tolower(Actor) | project A", legs: ["where project 0"], suffix: ""),
        Case(
            query: "Events | where TimeGenerated > ago(1h) and Status == 'x' | summarize count() by Actor", legs: ["where 1"],
            suffix: "summarize"),
        Case(
            query: "Events | where TimeGenerated between (ago(2h) .. ago(1h)) | where Count > 1", legs: ["where 1"], suffix: ""),
        // A time that the query changed is no horizon.
        Case(
            query: "Events | extend TimeGenerated = TimeGenerated + 1h | where TimeGenerated > ago(1h)", legs: ["project 0"],
            suffix: "where"),
        // now() in a value is evaluated at the tick, and so is everything above it.
        Case(
            query: "Events | where Status == 'x' | extend Age = now() - TimeGenerated | where Count > 1", legs: ["where 0"],
            suffix: "project where"),
        Case(query: "Events | summarize n = count() by Actor | where n > 5", legs: ["0"], suffix: "summarize where"),
        Case(
            query: "Events | where Status == 'a' | join kind=inner (Events | where Status == 'b') on Actor", legs: ["where 0", "where 0"],
            suffix: "join"),
        Case(
            query: "union (Events | where Status == 'a'), (Events | where Status == 'b') | where Count > 3 | project Actor",
            legs: ["where where 0", "where where 0"], suffix: "union"),
        Case(query: "Events | where Actor in ((Events | where Count > 3 | project Actor))", legs: ["0", "where 0"], suffix: "where"),
        Case(query: "Events | mv-expand x = Properties.list | where tostring(x) == 'a'", legs: ["mv-expand where 0"], suffix: ""),
        Case(query: "Events | parse Actor with user '@' domain | where user == 'a'", legs: ["parse where 0"], suffix: ""),
        Case(query: "Events | where rand() < 0.5 | where Status == 'x'", legs: ["0"], suffix: "where where"),
        Case(query: "Events | top 3 by Count | where Status == 'x'", legs: ["0"], suffix: "top where"),
        Case(query: "Events | serialize n = row_number() | where Status == 'x'", legs: ["0"], suffix: "serialize project where"),
    ]

    @Test(arguments: cases) func cut(_ c: Case) throws {
        let s = try split(c.query)
        let legs = s.legs.map { leg in
            let operators = LegSplitterTests.operators(leg.prefix)
            return (operators.isEmpty ? "" : operators + " ") + "\(leg.horizon.count)"
        }
        #expect(legs == c.legs)
        #expect(LegSplitterTests.operators(s.suffix) == c.suffix)
    }

    @Test func legsReadOnlyWhatIsUsed() throws {
        let s = try split("Events | where Status == 'x' | project Actor")
        #expect(s.legs.first.map { Set($0.source.map(\.name)) } == ["Status", "Actor"])
    }

    @Test func emptyResultOfEmptyInputIsKnown() throws {
        #expect(try split("Events | where Count > 1 | summarize count() by Actor").emptyGivesEmpty)
        #expect(try !split("Events | where Count > 1 | summarize count()").emptyGivesEmpty)
        #expect(try !split("print x = 1").emptyGivesEmpty)
    }

    /// Witness clauses of a query, by column.
    private func clauses(_ query: String) throws -> [[String]] {
        try split(query).legs.flatMap { WitnessFinder.find($0, functions: FunctionRegistry.standard).map { $0.atoms.map(\.column) } }
    }

    @Test func clausesAreTheConjunctsOverOneColumn() throws {
        #expect(try clauses("Events | where Status == 'x' and Actor has 'y'") == [["Status"], ["Actor"]])
        #expect(try clauses("Events | where Status == 'x' or Actor has 'y'") == [["Status", "Actor"]])
        #expect(try clauses("Events | where Status == Actor").isEmpty)
        #expect(try clauses("Events | where Status != 'x'").isEmpty)
        #expect(try clauses("Events | where Status == 'x' or isnotempty(Actor)").isEmpty)
        #expect(try clauses("Events | extend s = tolower(Status) | where s == 'x'") == [["Status"]])
        #expect(try clauses("Events | mv-expand Properties | where Properties == 'x'").isEmpty)
        #expect(try clauses("Events | where Status == 'x' | mv-expand Properties | where Properties == 'x'") == [["Status"]])
    }
}
