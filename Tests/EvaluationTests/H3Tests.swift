import Columnar
import Foundation
import Testing

@testable import Evaluation

/// Against values of the h3 package (`Tools/generate-h3-tables.py --vectors`), pentagons and cells on the icosahedron's edges among them.
@Suite struct H3Tests {
    private static func vectors(_ kind: String) throws -> [[String]] {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Resources/h3.csv")
        let all = try String(contentsOf: path, encoding: .utf8).split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
        return all.filter { $0.first == kind }
    }

    @Test("cells of places") func cells() throws {
        let all = try H3Tests.vectors("cell")
        #expect(all.count > 100)
        for v in all {
            let (lat, lng) = (try #require(Double(v[1])), try #require(Double(v[2])))
            #expect(H3Cell.containing(lng, lat, try #require(Int(v[3])))?.text == v[4], "\(v)")
        }
    }

    @Test("centres and corners") func shapes() throws {
        let all = try H3Tests.vectors("shape")
        #expect(all.count > 100)
        for v in all {
            let cell = try #require(H3Cell(v[1]))
            let center = try #require(cell.center)
            #expect((center.lat - (Double(v[2]) ?? 0)).magnitude < 1e-9 && (center.lng - (Double(v[3]) ?? 0)).magnitude < 1e-9, "\(v[1])")
            let numbers = v[4].split(separator: " ").compactMap { Double($0) }
            let corners = try #require(cell.corners)
            #expect(corners.count * 2 == numbers.count, "\(v[1])")
            for (i, c) in corners.enumerated() where 2 * i + 1 < numbers.count {
                #expect((c.lat - numbers[2 * i]).magnitude < 1e-8 && (c.lng - numbers[2 * i + 1]).magnitude < 1e-8, "\(v[1]) corner \(i)")
            }
        }
    }

    @Test("neighbours, children and parents") func relatives() throws {
        for v in try H3Tests.vectors("near") {
            #expect(try #require(H3Cell(v[1])?.neighbors).map(\.text).sorted() == v[2].split(separator: " ").map(String.init), "\(v[1])")
        }
        for v in try H3Tests.vectors("children") {
            let cell = try #require(H3Cell(v[1]))
            let children = try #require(cell.children(cell.resolution + 1))
            #expect(children.map(\.text) == v[2].split(separator: " ").map(String.init), "\(v[1])")
            #expect(children.allSatisfy { $0.parent(cell.resolution) == cell })
        }
    }

    @Test(arguments: [
        ("geo_h3cell_neighbors('862a1072fffffff')[0]", "\"862a10727ffffff\""), ("geo_h3cell_level('abc')", "null"),
        ("geo_h3cell_parent('862a1072fffffff')", "852a1073fffffff"), ("geo_h3cell_parent('862a1072fffffff', 15)", ""),
        ("geo_h3cell_parent('862a1072fffffff', -1)", ""), ("geo_point_to_h3cell(1, 1, 16)", ""), ("geo_point_to_h3cell(181, 1, 5)", ""),
        ("array_length(geo_h3cell_children('862a1072fffffff', 9))", "343"), ("geo_h3cell_children('862a1072fffffff', 12)", "null"),
        ("geo_h3cell_to_polygon('@')", "null"), ("geo_h3cell_to_central_point('-1')", "null"),
        ("array_length(geo_h3cell_rings('861f8894fffffff', 2)[2])", "12"), ("geo_h3cell_rings('861f8894fffffff', -1)", "null"),
    ])
    func functions(_ text: String, _ expected: String) throws { #expect(show(try evaluateConstant(text)) == expected, "\(text)") }

    @Test("a polygon's cells are those whose centres it holds") func filling() throws {
        var random = TestRandom(state: 9)
        for _ in 0..<6 {
            let (lng, lat) = (Double.random(in: -150...150, using: &random), Double.random(in: -60...60, using: &random))
            let polygon =
                "dynamic({'type':'Polygon','coordinates':[[[\(lng),\(lat)],[\(lng + 2),\(lat)],[\(lng + 1),\(lat + 2)],[\(lng),\(lat)]]]})"
            guard case .dynamic(.array(let cells)) = try evaluateConstant("geo_polygon_to_h3cells(\(polygon), 4)") else {
                Issue.record("no cells for \(polygon)")
                continue
            }
            var wanted: Set<String> = []
            for _ in 0..<400 {
                let x = Double.random(in: (lng - 0.3)...(lng + 2.3), using: &random)
                let y = Double.random(in: (lat - 0.3)...(lat + 2.3), using: &random)
                guard let cell = H3Cell.containing(x, y, 4), let c = cell.center else { continue }
                if try evaluateConstant("geo_point_in_polygon(\(c.lng), \(c.lat), \(polygon))") == .bool(true) { wanted.insert(cell.text) }
            }
            #expect(wanted.isSubset(of: Set(cells.map(dynamicText))), "\(polygon)")
        }
    }

    @Test("text that is no cell is refused, whatever it is") func hostile() {
        var random = TestRandom(state: 4)
        for _ in 0..<2000 {
            let bits = UInt64.random(in: 0...UInt64.max, using: &random)
            guard let cell = H3Cell(String(bits, radix: 16)) else { continue }
            #expect(cell.center != nil && cell.corners != nil && cell.neighbors != nil, "\(cell.text)")
        }
        for _ in 0..<200 {
            // Well-formed numbers of any base cell and digits.
            var bits: UInt64 = 1 << 59 | 5 << 52 | UInt64.random(in: 0..<122, using: &random) << 45
            for r in 1...15 { bits |= (r <= 5 ? UInt64.random(in: 0..<7, using: &random) : 7) << UInt64(45 - 3 * r) }
            guard let cell = H3Cell(String(bits, radix: 16)), let c = cell.center else { continue }
            #expect(H3Cell.containing(c.lng, c.lat, 5) == cell)
        }
    }
}
