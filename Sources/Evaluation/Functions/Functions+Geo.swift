import CKernels
import Columnar
import KQL

// Geospatial functions: GeoJSON in longitude and latitude, geodesics on a sphere, as the functions' pages in Microsoft's Kusto
// documentation define them. What is not valid on Earth gives null, never an error.

private typealias Places = [Double]

// For the examples.
private let aLine = #"dynamic({"type":"LineString","coordinates":[[0,0],[0,2]]})"#
private func sample(_ w: Wanted) -> String { w == .line ? aLine : aPolygon }
private let aPolygon = #"dynamic({"type":"Polygon","coordinates":[[[0,0],[3,0],[0,3],[0,0]]]})"#

/// Coordinates of arguments in a row; nil if one is off the Earth.
private func places(_ a: [Value], _ first: Int, _ count: Int) -> Places? {
    var out: Places = []
    for i in 0..<count {
        let (lng, lat) = (real(a, first + 2 * i), real(a, first + 2 * i + 1))
        guard vk_geo_is_place(lng, lat) else { return nil }
        out += [lng, lat]
    }
    return out
}

/// What a function takes for geometry.
private enum Wanted {
    case line, polygon, any
    func accepts(_ kind: GeoShape.Kind) -> Bool {
        switch self {
        case .line: kind == .lines
        case .polygon: kind == .polygons
        case .any: kind != .points
        }
    }
}

private func shape(_ v: Value, _ wanted: Wanted) -> GeoShape? {
    guard let s = GeoShape(wrapDynamic(v)), wanted.accepts(s.kind) else { return nil }
    return s
}

/// The geometry arguments of a call: a constant is checked once.
private struct Shapes: Sendable {
    private let fixed: [Geometry?]
    private let isFixed: [Bool]
    private let wanted: [Int: Wanted]

    init(_ site: CallSite, _ wanted: [Int: Wanted]) {
        self.wanted = wanted
        isFixed = site.constants.map { $0 != nil }
        fixed = site.constants.enumerated().map { i, c in
            guard let c, let w = wanted[i] else { return nil }
            return shape(c, w).flatMap { Geometry.checked($0) }
        }
    }

    func get(_ a: [Value], _ i: Int) -> Geometry? {
        if i < isFixed.count, isFixed[i] { return fixed[i] }
        guard i < a.count, let w = wanted[i] else { return nil }
        return shape(a[i], w).flatMap { Geometry.checked($0) }
    }
}

private typealias GeoBody = @Sendable ([Value], Shapes) -> Value?

/// A function with geometry arguments; nil from `body` is null.
private func geo(
    _ name: String, _ parameters: String, _ type: ScalarType, _ wanted: [Int: Wanted], _ summary: String, _ example: String,
    _ body: @escaping GeoBody
) -> ScalarFunction {
    ScalarFunction(
        name, parameters, .type(type), summary, example,
        .prepared(strict: true) { site in
            let shapes = Shapes(site, wanted)
            return { a in
                guard let found = body(a, shapes) else { return Value.missing(type) }
                return found
            }
        })
}

/// A function of plain values; nil from `body` is null.
private func plain(
    _ name: String, _ parameters: String, _ type: ScalarType, _ summary: String, _ example: String,
    _ body: @escaping @Sendable ([Value]) -> Value?
) -> ScalarFunction {
    ScalarFunction(
        name, parameters, .type(type), summary, example,
        .strict { a in
            guard let found = body(a) else { return Value.missing(type) }
            return found
        })
}

private func finite(_ v: Double) -> Value? { v.isFinite ? .real(v) : nil }
private func json(_ g: OpaquePointer?) -> Value? { Geometry.taking(g).map { .dynamic($0.json()) } }
private func point(_ body: (UnsafeMutablePointer<Double>) -> Bool) -> Value? {
    var out = (0.0, 0.0)
    return withUnsafeMutablePointer(to: &out) { p in
        p.withMemoryRebound(to: Double.self, capacity: 2) { body($0) ? .dynamic(GeoText.point($0[0], $0[1])) : nil }
    }
}

/// Metres of a tolerance, 10 if it is left out.
private func tolerance(_ a: [Value], _ i: Int, _ range: ClosedRange<Double>) -> Double? {
    let t = real(a, i, default: 10)
    return range.contains(t) ? t : nil
}

/// Every element of an array as geometry of one kind; nil if one is not valid.
private func all(_ v: [Value], _ wanted: Wanted) -> [Geometry]? {
    guard let items = array(v, 0), !items.isEmpty else { return nil }
    var out: [Geometry] = []
    for d in items {
        guard let s = GeoShape(d), wanted.accepts(s.kind), let g = Geometry.checked(s) else { return nil }
        out.append(g)
    }
    return out
}

private func union(_ geometries: [Geometry]) -> Geometry? {
    withExtendedLifetime(geometries) {
        let handles = geometries.map { Optional($0.handle) }
        return Geometry.taking(handles.withUnsafeBufferPointer { vk_geo_union($0.baseAddress, $0.count) })
    }
}

extension Functions {
    static let geoPoints: [ScalarFunction] = [
        plain(
            "geo_distance_2points", "p1_longitude:numeric p1_latitude:numeric p2_longitude:numeric p2_latitude:numeric", .real,
            "The shortest distance of two places on Earth, in metres.", "round(geo_distance_2points(0, 0, 0, 1)) == 111195.0"
        ) { a in places(a, 0, 2).flatMap { finite(vk_geo_distance($0[0], $0[1], $0[2], $0[3])) } },
        plain(
            "geo_azimuth", "p1_longitude:numeric p1_latitude:numeric p2_longitude:numeric p2_latitude:numeric", .real,
            "The clockwise angle from north to the line between two places, in radians.", "geo_azimuth(0, 0, 1, 0)"
        ) { a in
            guard let p = places(a, 0, 2), p[0] != p[2] || p[1] != p[3] else { return nil }
            return finite(vk_geo_azimuth(p[0], p[1], p[2], p[3]))
        },
        plain(
            "geo_angle",
            "p1_longitude:numeric p1_latitude:numeric p2_longitude:numeric p2_latitude:numeric p3_longitude:numeric p3_latitude:numeric",
            .real,
            "The clockwise angle at the second place from the first to the third, in radians.", "geo_angle(0, 10, 0, 5, 3, -10)"
        ) { a in
            guard let p = places(a, 0, 3), p[0] != p[2] || p[1] != p[3], p[2] != p[4] || p[3] != p[5] else { return nil }
            return finite(vk_geo_angle(p[0], p[1], p[2], p[3], p[4], p[5]))
        },
        plain(
            "geo_point_in_circle", "p_longitude:numeric p_latitude:numeric pc_longitude:numeric pc_latitude:numeric c_radius:numeric",
            .bool,
            "Whether a place lies within so many metres of another.", "geo_point_in_circle(0, 0, 0, 1, 120000) == true"
        ) { a in
            let radius = real(a, 4)
            guard let p = places(a, 0, 2), radius >= 0, radius.isFinite else { return nil }
            return .bool(vk_geo_distance(p[0], p[1], p[2], p[3]) <= radius)
        },
        geo(
            "geo_point_in_polygon", "longitude:numeric latitude:numeric polygon:dynamic", .bool, [2: .polygon],
            "Whether a place lies inside a polygon or multipolygon.",
            "geo_point_in_polygon(1, 1, dynamic({\"type\":\"Polygon\",\"coordinates\":[[[0,0],[3,0],[0,3],[0,0]]]})) == true"
        ) { a, s in
            guard let p = places(a, 0, 1), let g = s.get(a, 2) else { return nil }
            return .bool(vk_geo_contains(g.handle, p[0], p[1]))
        },
        geo(
            "geo_distance_point_to_polygon", "longitude:numeric latitude:numeric polygon:dynamic", .real, [2: .polygon],
            "The shortest distance of a place from a polygon in metres, 0 inside.",
            "geo_distance_point_to_polygon(1, 1, dynamic({\"type\":\"Polygon\",\"coordinates\":[[[0,0],[3,0],[0,3],[0,0]]]})) == 0.0"
        ) { a, s in
            guard let p = places(a, 0, 1), let g = s.get(a, 2) else { return nil }
            return finite(vk_geo_point_distance(g.handle, p[0], p[1]))
        },
        geo(
            "geo_distance_point_to_line", "longitude:numeric latitude:numeric lineString:dynamic", .real, [2: .line],
            "The shortest distance of a place from a line in metres.",
            "geo_distance_point_to_line(0, 1, dynamic({\"type\":\"LineString\",\"coordinates\":[[0,0],[0,3]]}))"
        ) { a, s in
            guard let p = places(a, 0, 1), let g = s.get(a, 2) else { return nil }
            return finite(vk_geo_point_distance(g.handle, p[0], p[1]))
        },
        closest("geo_closest_point_on_line", "line", .line), closest("geo_closest_point_on_polygon", "polygon", .polygon),
        plain(
            "geo_point_buffer", "longitude:numeric latitude:numeric radius:numeric tolerance:numeric?", .dynamic,
            "The polygon of what lies within so many metres of a place.", "geo_point_buffer(0, 0, 1000)"
        ) { a in
            guard let p = places(a, 0, 1), let s = GeoShape(GeoText.point(p[0], p[1])), let g = Geometry.checked(s) else { return nil }
            return buffer(g, a, 2)
        },
        plain("geo_from_wkt", "wkt:string", .dynamic, "GeoJSON of a well-known text.", "geo_from_wkt(\"POINT (1 2)\")") { a in
            WellKnownText.parse(text(a, 0)).map { .dynamic($0) }
        },
    ]

    private static func closest(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        geo(
            name, "lng:numeric lat:numeric \(what):dynamic", .dynamic, [2: wanted], "The place of a \(what) that is nearest to another.",
            "\(name)(1, 1, \(sample(wanted)))"
        ) { a, s in
            guard let p = places(a, 0, 1), let g = s.get(a, 2) else { return nil }
            return point {
                vk_geo_closest(g.handle, p[0], p[1], $0)
                return true
            }
        }
    }

    /// The tolerance is cut to less than the radius.
    private static func buffer(_ g: Geometry, _ a: [Value], _ first: Int) -> Value? {
        let radius = real(a, first)
        let t = real(a, first + 1, default: 10)
        guard radius > 0, radius.isFinite, t > 0, t.isFinite else { return nil }
        return json(vk_geo_buffer(g.handle, radius, min(t, radius)))
    }

    static let geoShapes: [ScalarFunction] = [
        measure("geo_polygon_area", "polygon", .polygon, "The area of a polygon or multipolygon in square metres.") { vk_geo_area($0) },
        measure("geo_polygon_perimeter", "polygon", .polygon, "The length of a polygon's boundary in metres.") { vk_geo_perimeter($0) },
        measure("geo_line_length", "line", .line, "The length of a line or multiline in metres.") { vk_geo_length($0) },
        centroid("geo_polygon_centroid", "polygon", .polygon), centroid("geo_line_centroid", "line", .line),
        densify("geo_polygon_densify", "polygon", .polygon), densify("geo_line_densify", "line", .line),
        simplify("geo_polygon_simplify", "polygon", .polygon), simplify("geo_line_simplify", "line", .line),
        widen("geo_polygon_buffer", "polygon", .polygon), widen("geo_line_buffer", "line", .line),
        geo(
            "geo_line_interpolate_point", "lineString:dynamic fraction:numeric", .dynamic, [0: .line],
            "The place at a fraction of a line's length.", "geo_line_interpolate_point(\(aLine), 0.5)"
        ) { a, s in
            let fraction = real(a, 1)
            guard (0...1).contains(fraction), isSingle(a, 0), let g = s.get(a, 0) else { return nil }
            return point { vk_geo_interpolate(g.handle, fraction, $0) }
        },
        geo(
            "geo_line_locate_point", "lineString:dynamic longitude:numeric latitude:numeric", .real, [0: .line],
            "The fraction of a line's length at which it is nearest to a place.",
            "geo_line_locate_point(\(aLine), 1, 1)"
        ) { a, s in
            guard let p = places(a, 1, 1), isSingle(a, 0), let g = s.get(a, 0) else { return nil }
            var fraction = 0.0
            return vk_geo_locate(g.handle, p[0], p[1], &fraction) ? finite(fraction) : nil
        },
        plain(
            "geo_union_polygons_array", "polygons:dynamic", .dynamic, "The union of an array of polygons.",
            "geo_union_polygons_array(pack_array(\(aPolygon)))"
        ) { a in all(a, .polygon).flatMap { union($0) }.map { .dynamic($0.json()) } },
        plain(
            "geo_union_lines_array", "lines:dynamic", .dynamic, "The union of an array of lines.",
            "geo_union_lines_array(pack_array(\(aLine)))"
        ) { a in all(a, .line).flatMap { union($0) }.map { .dynamic($0.json()) } },
        plain(
            "geo_simplify_polygons_array", "polygons:dynamic tolerance:numeric?", .dynamic,
            "The union of an array of polygons without vertices that matter less than the tolerance in metres.",
            "geo_simplify_polygons_array(pack_array(\(aPolygon)), 20)"
        ) { a in
            guard let t = tolerance(a, 1, 0...7_800_000), let whole = all(a, .polygon).flatMap({ union($0) }) else { return nil }
            return json(vk_geo_simplify(whole.handle, t))
        },
        pair("geo_intersects_2polygons", .polygon, .polygon), pair("geo_intersects_2lines", .line, .line),
        pair("geo_intersects_line_with_polygon", .line, .polygon),
        cut("geo_intersection_2polygons", .polygon, .polygon), cut("geo_intersection_2lines", .line, .line),
        cut("geo_intersection_line_with_polygon", .line, .polygon),
    ]

    /// Functions along a line take one line only.
    private static func isSingle(_ a: [Value], _ i: Int) -> Bool { GeoShape(dynamic(a, i)).map { $0.rings.count == 1 } ?? false }

    private static func measure(
        _ name: String, _ what: String, _ wanted: Wanted, _ summary: String, _ body: @escaping @Sendable (OpaquePointer) -> Double
    ) -> ScalarFunction {
        geo(name, "\(what):dynamic", .real, [0: wanted], summary, "\(name)(\(sample(wanted)))") { a, s in
            s.get(a, 0).flatMap { g in withExtendedLifetime(g) { finite(body(g.handle)) } }
        }
    }

    private static func centroid(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        geo(name, "\(what):dynamic", .dynamic, [0: wanted], "The centre of mass of a \(what).", "\(name)(\(sample(wanted)))") { a, s in
            s.get(a, 0).flatMap { g in point { vk_geo_centroid(g.handle, $0) } }
        }
    }

    private static func densify(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        plain(
            name, "\(what):dynamic tolerance:numeric?", .dynamic,
            "A \(what) whose straight edges on a map are followed by geodesics within a tolerance in metres.",
            "\(name)(\(sample(wanted)), 100)"
        ) { a in
            guard let t = tolerance(a, 1, 0.1...10_000), let s = shape(a[0], wanted), Geometry.checked(s) != nil else { return nil }
            return json(s.withKernelShape { vk_geo_densify($0, t) })
        }
    }

    private static func simplify(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        geo(
            name, "\(what):dynamic tolerance:numeric?", .dynamic, [0: wanted],
            "A \(what) without vertices that matter less than the tolerance in metres.", "\(name)(\(sample(wanted)), 20)"
        ) { a, s in
            guard let t = tolerance(a, 1, 0...7_800_000), let g = s.get(a, 0) else { return nil }
            return json(vk_geo_simplify(g.handle, t))
        }
    }

    private static func widen(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        geo(
            name, "\(what):dynamic radius:numeric tolerance:numeric?", .dynamic, [0: wanted],
            "The polygon of what lies within so many metres of a \(what).", "\(name)(\(sample(wanted)), 1000)"
        ) { a, s in s.get(a, 0).flatMap { buffer($0, a, 1) } }
    }

    private static func names(_ x: Wanted, _ y: Wanted) -> String {
        if case .line = x {
            if case .line = y { "line1:dynamic line2:dynamic" } else { "line:dynamic polygon:dynamic" }
        } else {
            "polygon1:dynamic polygon2:dynamic"
        }
    }

    private static func pair(_ name: String, _ x: Wanted, _ y: Wanted) -> ScalarFunction {
        geo(
            name, names(x, y), .bool, [0: x, 1: y], "Whether two geometries have a place in common.", "\(name)(\(sample(x)), \(sample(y)))"
        ) { a, s in
            guard let g = s.get(a, 0), let h = s.get(a, 1) else { return nil }
            return .bool(vk_geo_intersects(g.handle, h.handle))
        }
    }

    private static func cut(_ name: String, _ x: Wanted, _ y: Wanted) -> ScalarFunction {
        geo(name, names(x, y), .dynamic, [0: x, 1: y], "What two geometries have in common.", "\(name)(\(sample(x)), \(sample(y)))") {
            a, s in
            guard let g = s.get(a, 0), let h = s.get(a, 1) else { return nil }
            return json(vk_geo_intersection(g.handle, h.handle))
        }
    }

    static let geoCells: [ScalarFunction] = [
        plain(
            "geo_point_to_geohash", "longitude:numeric latitude:numeric accuracy:integer?", .string,
            "The geohash of a place, of 1 to 18 characters.",
            "geo_point_to_geohash(-80.195829, 25.802215, 8) == \"dhwfz15h\""
        ) { a in
            let length = Int(clamping: long(a, 2, default: 5))
            guard let p = places(a, 0, 1), (1...Geohash.longest).contains(length) else { return nil }
            return .string(Geohash.encode(p[0], p[1], length))
        },
        plain(
            "geo_geohash_to_central_point", "geohash:string", .dynamic, "The centre of a geohash.",
            "geo_geohash_to_central_point(\"sunny\")"
        ) { a in Geohash.decode(text(a, 0)).map { .dynamic(GeoText.point($0.center.lng, $0.center.lat)) } },
        plain(
            "geo_geohash_to_polygon", "geohash:string", .dynamic, "The rectangle of a geohash.", "geo_geohash_to_polygon(\"dr5ru\")"
        ) { a in
            Geohash.decode(text(a, 0)).map { c in
                .dynamic(GeoText.polygon([(c.west, c.south), (c.east, c.south), (c.east, c.north), (c.west, c.north)]))
            }
        },
        plain(
            "geo_geohash_neighbors", "geohash:string", .dynamic, "The geohashes around a geohash.", "geo_geohash_neighbors(\"sunny\")"
        ) { a in Geohash.neighbors(text(a, 0)).map { .dynamic(.array($0.map { .string($0) })) } },
        plain(
            "geo_point_to_s2cell", "longitude:numeric latitude:numeric level:integer?", .string,
            "The token of the S2 cell of a place, level 0 to 30.",
            "geo_point_to_s2cell(-80.195829, 25.802215, 8) == \"88d9b\""
        ) { a in
            let level = long(a, 2, default: 11)
            guard let p = places(a, 0, 1), (0...30).contains(level) else { return nil }
            return .string(s2Token(vk_s2_cell(p[0], p[1], Int32(level))))
        },
        plain(
            "geo_s2cell_to_central_point", "s2cell:string", .dynamic, "The centre of an S2 cell.",
            "geo_s2cell_to_central_point(\"1234567\")"
        ) { a in
            s2Cell(text(a, 0)).flatMap { cell in
                point {
                    vk_s2_center(cell, $0)
                    return true
                }
            }
        },
        plain(
            "geo_s2cell_to_polygon", "s2cell:string", .dynamic, "The polygon of an S2 cell.", "geo_s2cell_to_polygon(\"89c259\")"
        ) { a in
            s2Cell(text(a, 0)).map { cell in
                var out = [Double](repeating: 0, count: 8)
                vk_s2_corners(cell, &out)
                return .dynamic(GeoText.polygon((0..<4).map { (out[2 * $0], out[2 * $0 + 1]) }))
            }
        },
        plain(
            "geo_s2cell_neighbors", "s2cell:string", .dynamic, "The S2 cells of the same level around one.",
            "geo_s2cell_neighbors(\"89c259\")"
        ) { a in
            s2Cell(text(a, 0)).map { cell in
                var out = [UInt64](repeating: 0, count: 8)
                let n = vk_s2_neighbors(cell, &out)
                return .dynamic(.array(out.prefix(n).map { .string(s2Token($0)) }))
            }
        },
        cover("geo_polygon_to_s2cells", "polygon", .polygon), cover("geo_line_to_s2cells", "line", .line),
    ]

    private static let mostCells = 65_536

    private static func cover(_ name: String, _ what: String, _ wanted: Wanted) -> ScalarFunction {
        geo(
            name, "\(what):dynamic level:integer? radius:numeric?", .dynamic, [0: wanted],
            "The S2 cells of one level that cover a \(what), widened by a radius in metres; null if they are more than 65,536.",
            "\(name)(\(sample(wanted)), 11)"
        ) { a, s in
            let level = long(a, 1, default: 11)
            let radius = real(a, 2, default: 0)
            guard (0...30).contains(level), radius >= 0, radius.isFinite, let g = s.get(a, 0) else { return nil }
            var out = [UInt64](repeating: 0, count: mostCells)
            let n = vk_geo_cells(g.handle, Int32(level), radius, &out, mostCells)
            guard n >= 0 else { return nil }
            return .dynamic(.array(out.prefix(n).map { .string(s2Token($0)) }))
        }
    }

    /// The digits of a cell without the zeros at their end.
    private static func s2Token(_ cell: UInt64) -> String {
        var text = String(cell, radix: 16)
        text = String(repeating: "0", count: 16 - text.utf8.count) + text
        while text.utf8.last == 0x30 { text.removeLast() }
        return text.isEmpty ? "X" : text
    }

    private static func s2Cell(_ token: String) -> UInt64? {
        guard (1...16).contains(token.utf8.count), token.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }),
            let digits = UInt64(token, radix: 16)
        else { return nil }
        let cell = digits << UInt64(4 * (16 - token.utf8.count))
        return vk_s2_is_cell(cell) ? cell : nil
    }
}
