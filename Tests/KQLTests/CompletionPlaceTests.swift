import KQL
import Testing

@Suite struct CompletionPlaceTests {
    @Test(
        "what may follow, and over which rows",
        arguments: [
            ("", .source, nil), ("let x = ", .source, nil), ("let x = 5; ", .source, nil), ("T | ", .tabularOperator, "T "),
            ("T\n| where a == 1\n| ", .tabularOperator, "T\n| where a == 1\n"), ("T | extend b = a | where ", .value, "T | extend b = a "),
            ("T | where strcat(", .value, "T "), ("T | join kind=inner (", .source, "T "), ("T | join (U | ", .tabularOperator, "U "),
            ("T | join (U | extend z = 1 | where ", .value, "U | extend z = 1 "), ("T | join kind=inner (U | take 1) on ", .value, "T "),
            ("T | where a in (", .source, "T "), ("T | where a in ('x', ", .value, "T "), ("T | render ", .chart, "T "),
            ("T | union ", .source, "T "), ("T | where s == 'a|b' | summarize n = count() by ", .value, "T | where s == 'a|b' "),
            ("let x = 1; let y = T | where ", .value, "let x = 1; T "),
            ("T // a | comment\n| project ", .value, "T // a | comment\n"),
            ("T | where s == \"a\\\"|b\" | take ", .value, "T | where s == \"a\\\"|b\" "),
        ] as [(String, CompletionPlace.Kind, String?)])
    func places(_ text: String, _ kind: CompletionPlace.Kind, _ query: String?) {
        let place = CompletionPlace(text)
        #expect(place.kind == kind)
        #expect(
            place.query.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
                == query.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") })
    }

    @Test("names declared and made are known") func names() {
        let place = CompletionPlace("let low = 3;\nlet rows = T | where n > low;\nrows | extend many = n, few = 1 | where few == 1 and m")
        #expect(place.letNames == ["low", "rows"])
        #expect(place.assigned == ["low", "rows", "many", "few"])
    }
}
