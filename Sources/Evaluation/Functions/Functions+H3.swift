import CKernels
import Columnar
import KQL

// `geo_h3cell_…`: cells of the H3 grid as text of 15 digits.

private func cellFunction(
    _ name: String, _ parameters: String, _ type: ScalarType, _ summary: String, _ example: String,
    _ body: @escaping @Sendable (H3Cell, [Value]) -> Value?
) -> ScalarFunction {
    ScalarFunction(
        name, parameters, .type(type), summary, example,
        .strict { a in
            guard let cell = H3Cell(text(a, 0)), let found = body(cell, a) else { return Value.missing(type) }
            return found
        })
}

private func texts(_ cells: [H3Cell]) -> Dynamic { .array(cells.map { .string($0.text) }) }

/// Finer resolutions than this many at once are too many cells.
private let mostLevels = 5
private let mostRings: Int64 = 60
private let mostCells = 65_536

extension Functions {
    static let geoHexagons: [ScalarFunction] = [
        ScalarFunction(
            "geo_point_to_h3cell", "longitude:numeric latitude:numeric resolution:integer?", .type(.string),
            "The H3 cell of a place, resolution 0 to 15.", "geo_point_to_h3cell(-74.04450446039874, 40.689250859314974, 6)",
            .strict { a in
                let resolution = Int(clamping: long(a, 2, default: 6))
                guard vk_geo_is_place(real(a, 0), real(a, 1)), let cell = H3Cell.containing(real(a, 0), real(a, 1), resolution) else {
                    return .missing(.string)
                }
                return .string(cell.text)
            }),
        cellFunction(
            "geo_h3cell_to_central_point", "h3cell:string", .dynamic, "The centre of an H3 cell.",
            "geo_h3cell_to_central_point(\"862a1072fffffff\")"
        ) { cell, _ in cell.center.map { .dynamic(GeoText.point($0.lng, $0.lat)) } },
        cellFunction(
            "geo_h3cell_to_polygon", "h3cell:string", .dynamic, "The polygon of an H3 cell.", "geo_h3cell_to_polygon(\"862a1072fffffff\")"
        ) { cell, _ in cell.corners.map { .dynamic(GeoText.polygon($0)) } },
        cellFunction(
            "geo_h3cell_neighbors", "h3cell:string", .dynamic, "The H3 cells around one.", "geo_h3cell_neighbors(\"862a1072fffffff\")"
        ) { cell, _ in cell.neighbors.map { .dynamic(texts($0)) } },
        cellFunction(
            "geo_h3cell_level", "h3cell:string", .int, "The resolution of an H3 cell.", "geo_h3cell_level(\"862a1072fffffff\") == 6"
        ) { cell, _ in .int(Int32(cell.resolution)) },
        cellFunction(
            "geo_h3cell_parent", "h3cell:string resolution:integer?", .string, "The coarser H3 cell that holds one.",
            "geo_h3cell_parent(\"862a1072fffffff\") == \"852a1073fffffff\""
        ) { cell, a in cell.parent(Int(clamping: long(a, 1, default: Int64(cell.resolution - 1)))).map { .string($0.text) } },
        cellFunction(
            "geo_h3cell_children", "h3cell:string resolution:integer?", .dynamic,
            "The finer H3 cells of one, at most five resolutions down.",
            "geo_h3cell_children(\"862a1072fffffff\")"
        ) { cell, a in
            let to = Int(clamping: long(a, 1, default: Int64(cell.resolution + 1)))
            guard to - cell.resolution <= mostLevels else { return nil }
            return cell.children(to).map { .dynamic(texts($0)) }
        },
        cellFunction(
            "geo_h3cell_rings", "h3cell:string distance:integer", .dynamic, "The H3 cells around one, by distance.",
            "geo_h3cell_rings(\"861f8894fffffff\", 1)"
        ) { cell, a in
            let distance = long(a, 1)
            guard (0...mostRings).contains(distance) else { return nil }
            var seen: Set<H3Cell> = [cell]
            var rings: [[H3Cell]] = [[cell]]
            for _ in 0..<distance {
                var next: [H3Cell] = []
                for c in rings.last ?? [] {
                    guard let around = c.neighbors else { return nil }
                    for n in around where seen.insert(n).inserted { next.append(n) }
                }
                rings.append(next)
            }
            return .dynamic(.array(rings.map(texts)))
        },
        ScalarFunction(
            "geo_polygon_to_h3cells", "polygon:dynamic resolution:integer?", .type(.dynamic),
            "The H3 cells of one resolution whose centres a polygon holds; null if they are more than 65,536.",
            #"geo_polygon_to_h3cells(dynamic({"type":"Polygon","coordinates":[[[0,0],[3,0],[0,3],[0,0]]]}), 3)"#,
            .strict { a in
                let resolution = Int(clamping: long(a, 1, default: 6))
                guard let shape = GeoShape(dynamic(a, 0)), shape.kind == .polygons, let g = Geometry.checked(shape),
                    (0...H3Cell.finest).contains(resolution), let cells = filling(shape, g, resolution)
                else { return .missing(.dynamic) }
                return .dynamic(texts(cells))
            }),
    ]

    /// Cells from the corners and the places between them inwards.
    private static func filling(_ shape: GeoShape, _ g: Geometry, _ resolution: Int) -> [H3Cell]? {
        // A cell is about this many square metres: 4.36 million square kilometres at resolution 0, a seventh at each further one.
        var cellArea = 4.357e12
        for _ in 0..<resolution { cellArea /= 7 }
        guard vk_geo_area(g.handle) / cellArea < Double(mostCells) else { return nil }
        var open: [H3Cell] = []
        var seen: Set<H3Cell> = []
        func start(_ lng: Double, _ lat: Double) {
            if let c = H3Cell.containing(lng, lat, resolution), seen.insert(c).inserted { open.append(c) }
        }
        for i in stride(from: 0, to: shape.coordinates.count - 1, by: 2) { start(shape.coordinates[i], shape.coordinates[i + 1]) }
        var center = (0.0, 0.0)
        withUnsafeMutablePointer(to: &center) { p in
            p.withMemoryRebound(to: Double.self, capacity: 2) { if vk_geo_centroid(g.handle, $0) { start($0[0], $0[1]) } }
        }
        var found: [H3Cell] = []
        while let cell = open.popLast() {
            guard let c = cell.center, let around = cell.neighbors else { return nil }
            let isInside = vk_geo_contains(g.handle, c.lng, c.lat)
            if isInside { found.append(cell) }
            // On from cells inside, and along the boundary from those that it passes.
            let reach = (cellArea / 2.598).squareRoot() * 1.2
            guard isInside || vk_geo_point_distance(g.handle, c.lng, c.lat) < reach else { continue }
            for n in around where seen.insert(n).inserted { open.append(n) }
            guard seen.count <= 8 * mostCells else { return nil }
        }
        guard found.count <= mostCells else { return nil }
        return found.sorted { $0.bits < $1.bits }
    }
}
