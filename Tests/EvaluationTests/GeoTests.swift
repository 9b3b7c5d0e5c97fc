import Columnar
import KQL
import Testing

@testable import Evaluation

/// Values from the functions' pages and, for S2 and geohashes, from how their grids are defined.
@Suite struct GeoTests {
    static let triangle = "dynamic({'type':'Polygon','coordinates':[[[0,0],[4,0],[0,4],[0,0]]]})"
    static let flat = "dynamic({'type':'Polygon','coordinates':[[[0,0],[10,10],[10,10],[0,0]]]})"
    static let line = "dynamic({'type':'LineString','coordinates':[[-73.95796,40.80042],[-73.97317,40.764486]]})"

    static let measured: [(String, Double)] = [
        ("geo_distance_2points(-122.407628, 47.578557, -118.275287, 34.019056)", 1_546_754.35197381),
        ("geo_angle(0, 10, 0, 5, 3, -10)", 2.94493843406882), ("geo_azimuth(0, 0, 1, 0)", Double.pi / 2),
        ("geo_azimuth(0, 0, -1, 0)", 3 * Double.pi / 2), ("geo_line_locate_point(\(line), -73.965, 40.792)", 0.25560135100307552),
        ("geo_distance_point_to_polygon(1, 1, \(triangle))", 0.0),
        (
            "geo_polygon_area(dynamic({'type':'Polygon','coordinates':[[[-73.9495,40.7969],[-73.95807266235352,40.80068603561921],"
                + "[-73.98201942443848,40.76825672305777],[-73.97317886352539,40.76455136505513],[-73.9495,40.7969]]]}))",
            3_475_207.28346606
        ),
    ]

    @Test(arguments: measured) func numbers(_ text: String, _ expected: Double) throws {
        let value = try #require(try evaluateConstant(text).double)
        #expect((value - expected).magnitude <= 1e-9 * max(1, expected.magnitude), "\(text) = \(value)")
    }

    @Test(arguments: [
        ("geo_point_to_geohash(-80.195829, 25.802215, 8)", "dhwfz15h"), ("geo_point_to_geohash(200, 1, 8)", ""),
        ("geo_point_to_geohash(1, 1, 19)", ""), ("geo_point_to_geohash(1, 1, int(null))", ""),
        ("geo_geohash_to_central_point('a')", "null"),
        ("geo_geohash_neighbors('sunny')", #"["sunnt","sunpj","sunnx","sunpn","sunnv","sunpp","sunnz","sunnw"]"#),
        ("geo_point_to_s2cell(-80.195829, 25.802215, 8)", "88d9b"), ("geo_point_to_s2cell(1, 1, 31)", ""),
        ("geo_s2cell_to_central_point('a')", "null"), ("geo_s2cell_to_central_point('-1')", "null"),
        ("geo_s2cell_neighbors('89c259')", #"["89c25d","89c2f9","89c251","89c257","89c25f","89c25b","89c2f7","89c2f5"]"#),
        ("array_length(geo_polygon_to_s2cells(dynamic({'type':'Polygon','coordinates':[[[0,0],[0,50],[100,50],[0,0]]]}), 5))", "286"),
        ("geo_polygon_to_s2cells(dynamic({'type':'Polygon','coordinates':[[[0,0],[0,50],[100,50],[0,0]]]}), 30)", "null"),
        ("geo_from_wkt('POINT (1 2)')", #"{"type":"Point","coordinates":[1,2]}"#),
        ("geo_from_wkt('polygon((0 0, 2 0, 2 2, 0 0))')", #"{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,2],[0,0]]]}"#),
        ("geo_from_wkt('GEOMETRYCOLLECTION(POINT(1 2))').geometries[0].type", #""Point""#), ("geo_from_wkt('POINT (1)')", "null"),
        ("geo_from_wkt('POINT (1 2) x')", "null"),
        (
            "geo_line_densify(dynamic({'type':'LineString','coordinates':[[50,50],[51,51]]})).coordinates[1]", "[50.125,50.125]"
        ),
        ("geo_polygon_densify(\(flat))", "null"), ("geo_point_in_polygon(1, 1, \(flat))", "null"),
        ("geo_point_in_polygon(1, 1, \(triangle))", "true"), ("geo_point_in_polygon(4, 0, \(triangle))", "true"),
        ("geo_point_in_polygon(3, 3, \(triangle))", "false"), ("geo_point_in_polygon(1, 91, \(triangle))", "null"),
        ("geo_point_in_circle(0, 0, 0, 1, 111000)", "false"), ("geo_point_in_circle(0, 0, 0, 1, 112000)", "true"),
        ("geo_point_in_circle(0, 0, 0, 1, -1)", "null"), ("geo_angle(0, 10, 0, 10, 3, -10)", "null"),
        ("geo_intersects_2polygons(\(triangle), \(triangle))", "true"), ("geo_intersects_2lines(\(line), \(line))", "true"),
        (
            "geo_intersection_2lines(dynamic({'type':'LineString','coordinates':[[1,1],[2,2]]}), "
                + "dynamic({'type':'LineString','coordinates':[[3,3],[4,4]]}))", #"{"type":"GeometryCollection","geometries":[]}"#
        ),
        ("geo_polygon_buffer(\(triangle), 0)", "null"), ("geo_polygon_simplify(\(triangle), -0.1)", "null"),
        ("geo_line_centroid(dynamic({'type':'LineString','coordinates':[[1,1]]}))", "null"),
        ("geo_union_polygons_array(dynamic([]))", "null"), ("geo_polygon_area(dynamic({'type':'LineString'}))", "null"),
        ("geo_polygon_area(dynamic({'type':'Polygon','coordinates':[[['a',0],[4,0],[0,4],['a',0]]]}))", "null"),
        ("geo_polygon_area(dynamic({'type':'Polygon','coordinates':[[[0,0],[4,4],[4,0],[0,4],[0,0]]]}))", "null"),
    ])
    func values(_ text: String, _ expected: String) throws { #expect(show(try evaluateConstant(text)) == expected, "\(text)") }

    @Test("a geohash's and a cell's centre is in it") func roundTrips() throws {
        var random = TestRandom(state: 11)
        for _ in 0..<300 {
            let (lng, lat) = (Double.random(in: -180...180, using: &random), Double.random(in: -90...90, using: &random))
            let length = Int.random(in: 1...18, using: &random)
            let hash = Geohash.encode(lng, lat, length)
            let cell = try #require(Geohash.decode(hash))
            #expect(cell.west <= lng && lng <= cell.east && cell.south <= lat && lat <= cell.north)
            #expect(Geohash.encode(cell.center.lng, cell.center.lat, length) == hash)
            let level = Int.random(in: 0...30, using: &random)
            let token = show(try evaluateConstant("geo_point_to_s2cell(\(lng), \(lat), \(level))"))
            let back =
                "let c = geo_s2cell_to_central_point('\(token)'); print x = "
                + "geo_point_to_s2cell(todouble(c.coordinates[0]), todouble(c.coordinates[1]), \(level))"
            #expect(try QueryRunner().rows(back) == [token])
        }
    }

    @Test("what is within the radius is in the circle's buffer, and what is well outside is not") func buffers() throws {
        var random = TestRandom(state: 5)
        for _ in 0..<60 {
            let (lng, lat) = (Double.random(in: -170...170, using: &random), Double.random(in: -80...80, using: &random))
            let radius = Double.random(in: 100...200_000, using: &random)
            let (x, y) = (lng + Double.random(in: -1...1, using: &random), lat + Double.random(in: -1...1, using: &random))
            let query =
                "print d = geo_distance_2points(\(lng), \(lat), \(x), \(y)), "
                + "i = geo_point_in_polygon(\(x), \(y), geo_point_buffer(\(lng), \(lat), \(radius), \(radius / 100)))"
            let row = try #require(try QueryRunner().rows(query).first).split(separator: "|")
            let distance = try #require(Double(row[0]))
            if distance < radius * 0.98 { #expect(row[1] == "true", "\(query)") }
            if distance > radius * 1.02 { #expect(row[1] == "false", "\(query)") }
        }
    }
}
