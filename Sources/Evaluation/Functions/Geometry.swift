import CKernels
import Columnar

/// Coordinates of a GeoJSON geometry as the kernels take them.
struct GeoShape: Sendable {
    enum Kind: Int32, Sendable { case points = 1, lines, polygons }

    var kind: Kind
    /// Longitude and latitude in turn.
    var coordinates: [Double] = []
    /// Where each line or ring ends, in points.
    var rings: [UInt32] = []
    /// Where each polygon ends, in rings.
    var parts: [UInt32] = []
    /// The GeoJSON type was a `Multi…`.
    var isMulti = false

    /// Reads a `LineString`, `MultiLineString`, `Polygon`, `MultiPolygon` or `Point`. Nil for anything else; that places are in range and
    /// rings are closed is checked by ``Geometry``.
    init?(_ d: Dynamic) {
        guard case .string(let type)? = d["type"], case .array(let items)? = d["coordinates"] else { return nil }
        kind = .lines
        switch type {
        case "Point":
            kind = .points
            guard addPoint(.array(items)) else { return nil }
        case "LineString": guard addRing(.array(items)) else { return nil }
        case "MultiLineString":
            isMulti = true
            guard !items.isEmpty, items.allSatisfy({ addRing($0) }) else { return nil }
        case "Polygon":
            kind = .polygons
            guard addPolygon(.array(items)) else { return nil }
        case "MultiPolygon":
            kind = .polygons
            isMulti = true
            guard !items.isEmpty, items.allSatisfy({ addPolygon($0) }) else { return nil }
        default: return nil
        }
    }

    private mutating func addPoint(_ d: Dynamic) -> Bool {
        guard case .array(let pair) = d, pair.count >= 2, let lng = GeoShape.number(pair[0]), let lat = GeoShape.number(pair[1]) else {
            return false
        }
        coordinates += [lng, lat]
        return true
    }

    private mutating func addRing(_ d: Dynamic) -> Bool {
        guard case .array(let points) = d, points.allSatisfy({ addPoint($0) }) else { return false }
        rings.append(UInt32(clamping: coordinates.count / 2))
        return true
    }

    private mutating func addPolygon(_ d: Dynamic) -> Bool {
        guard case .array(let all) = d, !all.isEmpty, all.allSatisfy({ addRing($0) }) else { return false }
        parts.append(UInt32(clamping: rings.count))
        return true
    }

    private static func number(_ d: Dynamic) -> Double? {
        switch d {
        case .long(let v): Double(v)
        case .real(let v): v
        default: nil
        }
    }

    /// The pointers are good inside `body` only.
    func withKernelShape<T>(_ body: (UnsafePointer<vk_geo_shape>) -> T) -> T {
        coordinates.withUnsafeBufferPointer { c in
            rings.withUnsafeBufferPointer { r in
                parts.withUnsafeBufferPointer { p in
                    var shape = vk_geo_shape(
                        kind: kind.rawValue, coordinates: c.baseAddress, points: c.count / 2, rings: r.baseAddress, ring_count: r.count,
                        parts: p.baseAddress, part_count: p.count)
                    return withUnsafePointer(to: &shape, body)
                }
            }
        }
    }
}

/// A geometry that has been checked. Arguments are only read, which may happen on several threads; results are printed by whoever made
/// them.
final class Geometry: @unchecked Sendable {
    let handle: OpaquePointer

    private init(_ handle: OpaquePointer) { self.handle = handle }

    /// Takes what a kernel made.
    static func taking(_ handle: OpaquePointer?) -> Geometry? { handle.map { Geometry($0) } }

    /// Nil if the shape is not valid on Earth.
    static func checked(_ shape: GeoShape) -> Geometry? { taking(shape.withKernelShape { vk_geo_new($0) }) }

    deinit { vk_geo_free(handle) }

    /// GeoJSON: of one kind as itself, of several as a collection.
    func json() -> Dynamic {
        var all: [Dynamic] = []
        for kind: GeoShape.Kind in [.points, .lines, .polygons] {
            var shape = vk_geo_shape()
            guard vk_geo_view(handle, kind.rawValue, &shape) else { continue }
            let places = UnsafeBufferPointer(start: shape.coordinates, count: shape.points * 2)
            let rings = Array(UnsafeBufferPointer(start: shape.rings, count: shape.ring_count))
            let parts = Array(UnsafeBufferPointer(start: shape.parts, count: shape.part_count))
            switch kind {
            case .points: all += (0..<shape.points).map { GeoText.point(places[2 * $0], places[2 * $0 + 1]) }
            case .lines:
                let lines = Geometry.split(places, rings).map { Dynamic.array($0) }
                all.append(lines.count == 1 ? GeoText.object("LineString", lines[0]) : GeoText.object("MultiLineString", .array(lines)))
            case .polygons:
                let loops = Geometry.split(places, rings).map { Dynamic.array($0) }
                var begin = 0
                let polygons = parts.map { end -> Dynamic in
                    defer { begin = Int(end) }
                    return .array(Array(loops[min(begin, loops.count)..<min(max(begin, Int(end)), loops.count)]))
                }
                all.append(
                    polygons.count == 1 ? GeoText.object("Polygon", polygons[0]) : GeoText.object("MultiPolygon", .array(polygons)))
            }
        }
        return all.count == 1 ? all[0] : .object([.init("type", .string("GeometryCollection")), .init("geometries", .array(all))])
    }

    private static func split(_ places: UnsafeBufferPointer<Double>, _ ends: [UInt32]) -> [[Dynamic]] {
        var begin = 0
        return ends.map { end in
            defer { begin = Int(end) }
            return (begin..<max(begin, min(Int(end), places.count / 2))).map { GeoText.pair(places[2 * $0], places[2 * $0 + 1]) }
        }
    }
}

/// GeoJSON made of numbers.
enum GeoText {
    /// Whole degrees are printed without a fraction.
    static func number(_ v: Double) -> Dynamic { v == v.rounded() && v.magnitude <= 360 ? .long(Int64(v)) : .real(v) }
    static func pair(_ lng: Double, _ lat: Double) -> Dynamic { .array([number(lng), number(lat)]) }
    static func object(_ type: String, _ coordinates: Dynamic) -> Dynamic {
        .object([.init("type", .string(type)), .init("coordinates", coordinates)])
    }
    static func point(_ lng: Double, _ lat: Double) -> Dynamic { object("Point", pair(lng, lat)) }
    /// A polygon of one ring, which is closed here.
    static func polygon(_ corners: [(lng: Double, lat: Double)]) -> Dynamic {
        let ring = corners + corners.prefix(1)
        return object("Polygon", .array([.array(ring.map { pair($0.lng, $0.lat) })]))
    }
}

/// Geohashes: cells of a grid that is halved by longitude and latitude in turn, five bits a character.
enum Geohash {
    static let longest = 18
    private static let alphabet = Array("0123456789bcdefghjkmnpqrstuvwxyz".utf8)

    struct Cell {
        var west = -180.0
        var east = 180.0
        var south = -90.0
        var north = 90.0
        var center: (lng: Double, lat: Double) { ((west + east) / 2, (south + north) / 2) }
    }

    static func encode(_ lng: Double, _ lat: Double, _ length: Int) -> String {
        var cell = Cell()
        var out: [UInt8] = []
        var isLongitude = true
        for _ in 0..<length {
            var value = 0
            for _ in 0..<5 {
                value <<= 1
                let middle = isLongitude ? cell.center.lng : cell.center.lat
                let isUpper = (isLongitude ? lng : lat) >= middle
                if isUpper { value |= 1 }
                switch (isLongitude, isUpper) {
                case (true, true): cell.west = middle
                case (true, false): cell.east = middle
                case (false, true): cell.south = middle
                case (false, false): cell.north = middle
                }
                isLongitude.toggle()
            }
            out.append(alphabet[value])
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Nil if the text is no geohash.
    static func decode(_ text: String) -> Cell? {
        guard (1...longest).contains(text.utf8.count) else { return nil }
        var cell = Cell()
        var isLongitude = true
        for c in text.utf8 {
            guard let value = alphabet.firstIndex(of: c >= 0x41 && c <= 0x5A ? c | 0x20 : c) else { return nil }
            for bit in stride(from: 4, through: 0, by: -1) {
                let isUpper = value >> bit & 1 == 1
                switch (isLongitude, isUpper) {
                case (true, true): cell.west = cell.center.lng
                case (true, false): cell.east = cell.center.lng
                case (false, true): cell.south = cell.center.lat
                case (false, false): cell.north = cell.center.lat
                }
                isLongitude.toggle()
            }
        }
        return cell
    }

    /// In the order of the documented example: south-west, north-west, south-east, north, west, north-east, east, south. Beyond a pole
    /// there is none.
    static func neighbors(_ text: String) -> [String]? {
        guard let cell = decode(text) else { return nil }
        let (width, height) = (cell.east - cell.west, cell.north - cell.south)
        let steps: [(Double, Double)] = [(-1, -1), (-1, 1), (1, -1), (0, 1), (-1, 0), (1, 1), (1, 0), (0, -1)]
        return steps.compactMap { step in
            let lat = cell.center.lat + step.1 * height
            guard lat.magnitude < 90 else { return nil }
            var lng = cell.center.lng + step.0 * width
            if lng > 180 { lng -= 360 } else if lng < -180 { lng += 360 }
            return encode(lng, lat, text.utf8.count)
        }
    }
}

/// Well-known text of points, lines and polygons, and their collections.
struct WellKnownText {
    private var rest: Substring.UTF8View
    private var depth = 0

    /// The geometry as GeoJSON; nil if the text is none.
    static func parse(_ text: String) -> Dynamic? {
        var reader = WellKnownText(rest: Substring(text).utf8)
        guard let d = reader.geometry() else { return nil }
        reader.skipBlanks()
        return reader.rest.isEmpty ? d : nil
    }

    private init(rest: Substring.UTF8View) { self.rest = rest }

    private mutating func skipBlanks() { rest = rest.drop { $0 == 0x20 || (0x09...0x0D).contains($0) } }

    private mutating func take(_ c: UInt8) -> Bool {
        skipBlanks()
        guard rest.first == c else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func word() -> String {
        skipBlanks()
        let letters = rest.prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A }
        rest = rest[letters.endIndex...]
        return String(decoding: letters, as: UTF8.self).uppercased()
    }

    private mutating func geometry() -> Dynamic? {
        let name = word()
        switch name {
        case "POINT":
            guard take(0x28), let p = pair(), take(0x29) else { return nil }
            return GeoText.object("Point", p)
        case "LINESTRING": return list(1).map { GeoText.object("LineString", $0) }
        case "POLYGON": return list(2).map { GeoText.object("Polygon", $0) }
        case "MULTIPOINT": return list(1).map { GeoText.object("MultiPoint", $0) }
        case "MULTILINESTRING": return list(2).map { GeoText.object("MultiLineString", $0) }
        case "MULTIPOLYGON": return list(3).map { GeoText.object("MultiPolygon", $0) }
        case "GEOMETRYCOLLECTION":
            depth += 1
            guard depth <= 32, take(0x28) else { return nil }
            var all: [Dynamic] = []
            repeat {
                guard let g = geometry() else { return nil }
                all.append(g)
            } while take(0x2C)
            depth -= 1
            return take(0x29) ? .object([.init("type", .string("GeometryCollection")), .init("geometries", .array(all))]) : nil
        default: return nil
        }
    }

    /// Parenthesised lists within each other; innermost are pairs, which may have parentheses of their own.
    private mutating func list(_ levels: Int) -> Dynamic? {
        guard take(0x28) else { return nil }
        var all: [Dynamic] = []
        repeat {
            if levels > 1 {
                guard let inner = list(levels - 1) else { return nil }
                all.append(inner)
            } else {
                let wrapped = take(0x28)
                guard let p = pair(), !wrapped || take(0x29) else { return nil }
                all.append(p)
            }
        } while take(0x2C)
        return take(0x29) ? .array(all) : nil
    }

    private mutating func pair() -> Dynamic? {
        guard let lng = number(), let lat = number() else { return nil }
        return GeoText.pair(lng, lat)
    }

    private mutating func number() -> Double? {
        skipBlanks()
        let text = rest.prefix { (0x30...0x39).contains($0) || $0 == 0x2B || $0 == 0x2D || $0 == 0x2E || $0 | 0x20 == 0x65 }
        guard let v = Double(String(decoding: text, as: UTF8.self)), v.isFinite else { return nil }
        rest = rest[text.endIndex...]
        return v
    }
}
