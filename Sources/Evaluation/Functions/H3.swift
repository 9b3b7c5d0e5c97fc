import Glibc

/// The H3 grid of hexagons on an icosahedron: cells of places, their centres, corners, neighbours and relatives.
///
/// There is no library of it in Debian 12. What the grid's definition leaves open (how faces and base cells are numbered and turned) is in
/// generated tables; the rest follows from the definition: a place is projected on the plane of its face, found there among the hexagons
/// of its resolution, and named by the way down from the base cell, a digit for each resolution. Odd resolutions are turned by the angle
/// whose sine is the root of 3/28.
struct H3Cell: Hashable {
    let bits: UInt64

    static let finest = 15
    private static let turned = asin((3.0 / 28).squareRoot())
    /// Distance of two neighbouring centres of resolution 0 on a face's plane, in radii of the sphere.
    private static let unit = 0.38196601125010500003
    private static let height = 3.0.squareRoot() / 2

    var resolution: Int { Int(bits >> 52 & 15) }
    var base: Int { Int(bits >> 45 & 127) }
    var digits: [Int] { (1...max(1, resolution)).prefix(resolution).map { Int(bits >> UInt64(45 - 3 * $0) & 7) } }
    var isPentagon: Bool { H3Tables.pentagons.contains(base) && digits.allSatisfy { $0 == 0 } }
    var text: String { String(bits, radix: 16) }

    private init(base: Int, digits: [Int]) {
        var b: UInt64 = 1 << 59 | UInt64(digits.count) << 52 | UInt64(base) << 45
        for r in 1...H3Cell.finest { b |= UInt64(r <= digits.count ? digits[r - 1] : 7) << UInt64(45 - 3 * r) }
        bits = b
    }

    /// Nil if the text names no cell.
    init?(_ text: String) {
        guard (1...16).contains(text.utf8.count), text.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }), let v = UInt64(text, radix: 16) else {
            return nil
        }
        bits = v
        // Mode 1, reserved bits 0, 122 base cells, digits 0 to 6, then 7.
        guard v >> 59 == 1, v >> 56 & 7 == 0, base < 122 else { return nil }
        for r in 1...H3Cell.finest {
            let d = v >> UInt64(45 - 3 * r) & 7
            guard r <= resolution ? d < 7 : d == 7 else { return nil }
        }
        // The first axis of pentagons is deleted.
        if H3Tables.pentagons.contains(base), digits.first(where: { $0 != 0 }) == 1 { return nil }
    }

    // MARK: Digits

    /// A sixth of a turn counterclockwise, and back.
    private static let turn = [0, 5, 3, 1, 6, 4, 2]
    private static let back = [0, 3, 6, 2, 5, 1, 4]

    private static func lead(_ d: [Int]) -> Int { d.first { $0 != 0 } ?? 0 }

    private static func turnPentagon(_ d: [Int]) -> [Int] {
        let once = d.map { turn[$0] }
        return lead(once) == 1 ? once.map { turn[$0] } : once
    }

    // MARK: Planes

    private typealias Point = (x: Double, y: Double)
    private struct Axes: Equatable {
        var i: Int
        var j: Int
        var k: Int

        /// The same place with no axis below 0 and one at 0.
        var normal: Axes {
            let m = min(i, j, k)
            return Axes(i: i - m, j: j - m, k: k - m)
        }
        static func + (a: Axes, b: Axes) -> Axes { Axes(i: a.i + b.i, j: a.j + b.j, k: a.k + b.k).normal }
    }

    private static func nearest(_ p: Point) -> Axes {
        let b = p.y / height
        let a = p.x + b / 2
        var best = (distance: Double.infinity, i: 0, j: 0)
        for i in Int(a.rounded(.down)) - 1...Int(a.rounded(.down)) + 2 {
            for j in Int(b.rounded(.down)) - 1...Int(b.rounded(.down)) + 2 {
                let (dx, dy) = (Double(i) - Double(j) / 2 - p.x, Double(j) * height - p.y)
                let d = dx * dx + dy * dy
                if d < best.distance { best = (d, i, j) }
            }
        }
        return Axes(i: best.i, j: best.j, k: 0).normal
    }

    private static func point(_ c: Axes) -> Point {
        let (i, j) = (Double(c.i - c.k), Double(c.j - c.k))
        return (i - j / 2, j * height)
    }

    /// The cell of the next coarser resolution; `even`: the finer one is even.
    private static func up(_ c: Axes, even: Bool) -> Axes {
        let (i, j) = (Double(c.i - c.k), Double(c.j - c.k))
        let (a, b) = even ? ((2 * i + j) / 7, (3 * j - i) / 7) : ((3 * i - j) / 7, (i + 2 * j) / 7)
        return Axes(i: Int(a.rounded()), j: Int(b.rounded()), k: 0).normal
    }

    private static func down(_ c: Axes, even: Bool) -> Axes {
        even
            ? Axes(i: 3 * c.i + c.k, j: c.i + 3 * c.j, k: c.j + 3 * c.k).normal
            : Axes(i: 3 * c.i + c.j, j: 3 * c.j + c.k, k: c.i + 3 * c.k).normal
    }

    /// i, j, k of the digits 0 to 6.
    private static let units = [0, 1, 2, 3, 4, 5, 6].map { Axes(i: $0 >> 2 & 1, j: $0 >> 1 & 1, k: $0 & 1) }

    // MARK: The sphere

    private typealias Vector = (Double, Double, Double)

    private static func vector(_ lng: Double, _ lat: Double) -> Vector {
        let (a, b) = (lat * .pi / 180, lng * .pi / 180)
        return (cos(a) * cos(b), cos(a) * sin(b), sin(a))
    }
    private static func dot(_ a: Vector, _ b: Vector) -> Double { a.0 * b.0 + a.1 * b.1 + a.2 * b.2 }
    private static func center(_ face: Int) -> Vector {
        (H3Tables.centers[3 * face], H3Tables.centers[3 * face + 1], H3Tables.centers[3 * face + 2])
    }

    /// North and east at a face's centre.
    private static func compass(_ face: Int) -> (north: Vector, east: Vector) {
        let c = center(face)
        let e = (-c.1, c.0, 0.0)
        let n = (c.0 * c.0 + c.1 * c.1).squareRoot()
        let east = (e.0 / n, e.1 / n, 0.0)
        return ((c.1 * east.2 - c.2 * east.1, c.2 * east.0 - c.0 * east.2, c.0 * east.1 - c.1 * east.0), east)
    }

    /// A vector on a face's plane, in units of resolution 0.
    private static func flat(_ v: Vector, _ face: Int) -> Point {
        let c = center(face)
        let (north, east) = compass(face)
        let d = dot(v, c)
        let (n, e) = (dot(v, north) / d / unit, dot(v, east) / d / unit)
        // Angles on the plane run against the azimuth, from the first axis.
        let axis = H3Tables.axes[face]
        return (n * cos(axis) + e * sin(axis), n * sin(axis) - e * cos(axis))
    }

    private static func vector(_ p: Point, _ face: Int) -> Vector {
        let axis = H3Tables.axes[face]
        let (n, e) = ((p.x * cos(axis) + p.y * sin(axis)) * unit, (p.x * sin(axis) - p.y * cos(axis)) * unit)
        let c = center(face)
        let (north, east) = compass(face)
        let v = (c.0 + n * north.0 + e * east.0, c.1 + n * north.1 + e * east.1, c.2 + n * north.2 + e * east.2)
        let l = dot(v, v).squareRoot()
        return (v.0 / l, v.1 / l, v.2 / l)
    }

    private static func place(_ v: Vector) -> (lng: Double, lat: Double) {
        (atan2(v.1, v.0) * 180 / .pi, asin(max(-1, min(1, v.2))) * 180 / .pi)
    }

    private static func face(of v: Vector) -> Int {
        var best = (face: 0, closeness: -2.0)
        for f in 0..<20 {
            let d = dot(v, center(f))
            if d > best.closeness { best = (f, d) }
        }
        return best.face
    }

    /// Between resolution 0's units and those of a resolution, whose first axis is turned where it is odd.
    private static func scaled(_ p: Point, _ resolution: Int, back: Bool = false) -> Point {
        let factor = pow(7.0.squareRoot(), Double(back ? -resolution : resolution))
        let angle = resolution % 2 == 0 ? 0 : back ? turned : -turned
        return ((p.x * cos(angle) - p.y * sin(angle)) * factor, (p.x * sin(angle) + p.y * cos(angle)) * factor)
    }

    // MARK: Cells

    /// The cell of a place on Earth.
    static func containing(_ lng: Double, _ lat: Double, _ resolution: Int) -> H3Cell? { containing(vector(lng, lat), resolution) }

    private static func containing(_ v: Vector, _ resolution: Int) -> H3Cell? {
        guard (0...finest).contains(resolution) else { return nil }
        let face = face(of: v)
        return named(face, nearest(scaled(flat(v, face), resolution)), resolution)
    }

    /// The name of a cell by its axes on a face; nil outside of the face and its rim.
    private static func named(_ face: Int, _ axes: Axes, _ resolution: Int) -> H3Cell? {
        var c = axes
        var digits: [Int] = []
        for r in stride(from: resolution, to: 0, by: -1) {
            let above = up(c, even: r % 2 == 0)
            let base = down(above, even: r % 2 == 0)
            let step = Axes(i: c.i - base.i, j: c.j - base.j, k: c.k - base.k).normal
            guard let d = units.firstIndex(of: step) else { return nil }
            digits.append(d)
            c = above
        }
        digits.reverse()
        guard max(c.i, c.j, c.k) < 3 else { return nil }
        let entry = Int(H3Tables.cells[face * 27 + c.i * 9 + c.j * 3 + c.k])
        guard entry >= 0 else { return nil }
        let (base, turns) = (entry / 8, entry % 8)
        if H3Tables.pentagons.contains(base) {
            if lead(digits) == 1 { digits = digits.map { (H3Tables.clockwise.contains(base * 32 + face) ? back : turn)[$0] } }
            for _ in 0..<turns { digits = turnPentagon(digits) }
        } else {
            for _ in 0..<turns { digits = digits.map { turn[$0] } }
        }
        return H3Cell(base: base, digits: digits)
    }

    /// Where the cell lies: on the face that its centre is on; on an edge, on the face that needs no turns.
    private var home: (face: Int, axes: Axes)? {
        let isPentagon = H3Tables.pentagons.contains(base)
        var entries: [(face: Int, slot: Int, turns: Int)] = []
        for (place, entry) in H3Tables.cells.enumerated() where entry >= 0 && Int(entry) / 8 == base {
            // A pentagon's turns depend on the digits; for others they are known.
            for turns in isPentagon ? Array(0..<6) : [Int(entry) % 8] { entries.append((place / 27, place % 27, turns)) }
        }
        for e in entries.filter({ $0.turns == 0 }) + entries.filter({ $0.turns != 0 }) {
            var d = digits
            for _ in 0..<e.turns { d = d.map { H3Cell.back[$0] } }
            var c = Axes(i: e.slot / 9, j: e.slot / 3 % 3, k: e.slot % 3)
            for (r, digit) in d.enumerated() { c = H3Cell.down(c, even: r % 2 == 1) + H3Cell.units[digit] }
            let v = H3Cell.vector(H3Cell.scaled(H3Cell.point(c), resolution, back: true), e.face)
            let nearest = H3Cell.dot(v, H3Cell.center(H3Cell.face(of: v)))
            guard nearest - H3Cell.dot(v, H3Cell.center(e.face)) < 1e-12, H3Cell.named(e.face, c, resolution) == self else { continue }
            return (e.face, c)
        }
        return nil
    }

    var center: (lng: Double, lat: Double)? {
        home.map { H3Cell.place(H3Cell.vector(H3Cell.scaled(H3Cell.point($0.axes), resolution, back: true), $0.face)) }
    }

    // MARK: Corners

    /// The corners of a face on its own plane, and the faces behind its edges: edge `n` runs from corner `n` to the next.
    private static func corner(_ n: Int) -> Point {
        // The distance of a face's corner from its centre: two units of resolution 0.
        (2 * cos(Double(n) * 2 * .pi / 3), 2 * sin(Double(n) * 2 * .pi / 3))
    }

    /// A point of a face's plane beyond its edges, unfolded on the plane of the face that is there.
    private static func unfold(_ p: Point, _ face: Int) -> (Point, Int) {
        var (p, face) = (p, face)
        for _ in 0..<6 {
            guard let edge = (0..<3).first(where: { side(p, $0) > 1e-9 }) else { break }
            let (a, b) = (corner(edge), corner((edge + 1) % 3))
            // The middle of the edge, a little further out, is on the other face.
            let outside = (x: (a.x + b.x) / 2 * 1.01, y: (a.y + b.y) / 2 * 1.01)
            let other = H3Cell.face(of: vector(outside, face))
            let (c, d) = (flat(vector(a, face), other), flat(vector(b, face), other))
            // The turn and shift that carry the edge over.
            let (ux, uy, vx, vy) = (b.x - a.x, b.y - a.y, d.x - c.x, d.y - c.y)
            let n = ux * ux + uy * uy
            let (re, im) = ((ux * vx + uy * vy) / n, (ux * vy - uy * vx) / n)
            let (x, y) = (p.x - a.x, p.y - a.y)
            p = (c.x + x * re - y * im, c.y + x * im + y * re)
            face = other
        }
        return (p, face)
    }

    /// How far a point lies outside of an edge.
    private static func side(_ p: Point, _ edge: Int) -> Double {
        let (a, b) = (corner(edge), corner((edge + 1) % 3))
        return (b.y - a.y) * (p.x - a.x) - (b.x - a.x) * (p.y - a.y)
    }

    /// Counterclockwise, as the library orders them; where a side of a cell of an odd resolution crosses an edge of the icosahedron there is a
    /// corner more.
    var corners: [(lng: Double, lat: Double)]? {
        guard let (face, axes) = home else { return nil }
        let middle = H3Cell.point(axes)
        func onFace(_ angle: Double, _ radius: Double) -> Point {
            H3Cell.scaled((middle.x + radius * cos(angle), middle.y + radius * sin(angle)), resolution, back: true)
        }
        let radius = 1 / 3.0.squareRoot()
        if isPentagon { return pentagonCorners(face, axes, radius) }
        let flat = (0..<6).map { onFace(Double($0) * .pi / 3 + .pi / 6, radius) }
        var out: [(lng: Double, lat: Double)] = []
        for n in 0..<6 {
            let (p, q) = (flat[n], flat[(n + 1) % 6])
            let (inPlane, other) = H3Cell.unfold(p, face)
            out.append(H3Cell.place(H3Cell.vector(inPlane, other)))
            guard resolution % 2 == 1 else { continue }
            for edge in 0..<3 {
                let (a, b) = (H3Cell.side(p, edge), H3Cell.side(q, edge))
                guard (a > 1e-9 && b < -1e-9) || (a < -1e-9 && b > 1e-9) else { continue }
                let t = a / (a - b)
                let cut = (x: p.x + t * (q.x - p.x), y: p.y + t * (q.y - p.y))
                // Only where the edge itself is crossed, not its line.
                guard (0..<3).allSatisfy({ $0 == edge || H3Cell.side(cut, $0) < 1e-9 }) else { continue }
                out.append(H3Cell.place(H3Cell.vector(cut, face)))
            }
        }
        return out
    }

    /// A pentagon lies on a corner of the icosahedron: a corner on each of the five faces there, and in odd resolutions also where its sides
    /// cross their edges.
    private func pentagonCorners(_ face: Int, _ axes: Axes, _ radius: Double) -> [(lng: Double, lat: Double)]? {
        let center = H3Cell.vector(H3Cell.scaled(H3Cell.point(axes), resolution, back: true), face)
        let around = (0..<20).sorted { H3Cell.dot(H3Cell.center($0), center) > H3Cell.dot(H3Cell.center($1), center) }.prefix(5)
        let scale = pow(7.0.squareRoot(), Double(-resolution)) * radius
        // The face whose first axis points here and that needs no turns: two corners before its own (or the one it has from the face
        // before, where the corners lie on edges) the library begins.
        let first = around.first { Int(H3Tables.cells[$0 * 27 + 18]) == base * 8 } ?? face
        var found: [(angle: Double, place: (lng: Double, lat: Double), face: Int?)] = []
        let here = H3Cell.place(center)
        func note(_ p: Point, _ f: Int, isCorner: Bool = false) {
            let v = H3Cell.place(H3Cell.vector(p, f))
            found.append((-H3Cell.azimuth(here, v), v, isCorner ? f : nil))
        }
        for f in around {
            let p = H3Cell.flat(center, f)
            let n = (p.x * p.x + p.y * p.y).squareRoot()
            // From the direction of the face's middle: on its edge, and inside where odd resolutions are turned.
            let (dx, dy) = (-p.x / n, -p.y / n)
            let angle = resolution % 2 == 0 ? .pi / 6 : H3Cell.turned - .pi / 6
            let q = (x: p.x + (dx * cos(angle) - dy * sin(angle)) * scale, y: p.y + (dx * sin(angle) + dy * cos(angle)) * scale)
            note(q, f, isCorner: true)
            guard resolution % 2 == 1 else { continue }
            // The side to the next corner, a third of the way round the hexagon that the face sees, up to the edge of the face.
            for turn in [-1.0, 1.0] {
                let a = angle + turn * .pi / 3
                let r = (x: p.x + (dx * cos(a) - dy * sin(a)) * scale, y: p.y + (dx * sin(a) + dy * cos(a)) * scale)
                for edge in 0..<3 {
                    let (s, t) = (H3Cell.side(q, edge), H3Cell.side(r, edge))
                    guard s < -1e-12, t > 1e-12 else { continue }
                    let w = s / (s - t)
                    note((q.x + w * (r.x - q.x), q.y + w * (r.y - q.y)), f)
                }
            }
        }
        // Crossings are found from both faces.
        found.sort { $0.angle < $1.angle }
        var ring: [(place: (lng: Double, lat: Double), face: Int?)] = []
        func isSame(_ a: (lng: Double, lat: Double), _ b: (lng: Double, lat: Double)) -> Bool {
            (a.lng - b.lng).magnitude + (a.lat - b.lat).magnitude < 1e-9
        }
        for f in found where ring.last.map({ !isSame($0.place, f.place) }) ?? true { ring.append((f.place, f.face)) }
        if ring.count > 5, let a = ring.first, let b = ring.last, isSame(a.place, b.place) { ring.removeLast() }
        guard var start = ring.firstIndex(where: { $0.face == first }) else { return ring.map(\.place) }
        var left = resolution % 2 == 0 ? 3 : 2
        while left > 0 {
            start = (start + ring.count - 1) % ring.count
            if ring[start].face != nil { left -= 1 }
        }
        return (0..<ring.count).map { ring[(start + $0) % ring.count].place }
    }

    private static func azimuth(_ a: (lng: Double, lat: Double), _ b: (lng: Double, lat: Double)) -> Double {
        let d = (b.lng - a.lng) * .pi / 180
        let (p, q) = (a.lat * .pi / 180, b.lat * .pi / 180)
        return atan2(cos(q) * sin(d), cos(p) * sin(q) - sin(p) * cos(q) * cos(d))
    }

    // MARK: Relatives

    /// The cells around, counterclockwise from the direction between the first two axes of the cell's own orientation.
    var neighbors: [H3Cell]? {
        guard let (face, axes) = home else { return nil }
        let middle = H3Cell.point(axes)
        var turns = 0
        if !H3Tables.pentagons.contains(base) {
            // How the face sees the cell's own axes.
            var top = axes
            for r in stride(from: resolution, to: 0, by: -1) { top = H3Cell.up(top, even: r % 2 == 0) }
            turns = max(0, Int(H3Tables.cells[face * 27 + top.i * 9 + top.j * 3 + top.k])) % 8
        }
        var out: [H3Cell] = []
        for n in 1...6 {
            let angle = Double(n - turns) * .pi / 3
            let p = H3Cell.scaled((middle.x + cos(angle), middle.y + sin(angle)), resolution, back: true)
            let (inPlane, other) = H3Cell.unfold(p, face)
            guard let cell = H3Cell.containing(H3Cell.vector(inPlane, other), resolution) else { return nil }
            if cell != self, !out.contains(cell) { out.append(cell) }
        }
        return out
    }

    /// Nil for a resolution that is not coarser.
    func parent(_ to: Int) -> H3Cell? {
        guard (0..<max(1, resolution)).contains(to), to < resolution else { return nil }
        return H3Cell(base: base, digits: Array(digits.prefix(to)))
    }

    /// In the order of their numbers; nil for a resolution that is not finer.
    func children(_ to: Int) -> [H3Cell]? {
        guard to > resolution, to <= H3Cell.finest else { return nil }
        var level = [digits]
        for _ in resolution..<to { level = level.flatMap { d in (0...6).map { d + [$0] } } }
        let deleted = H3Tables.pentagons.contains(base)
        return level.compactMap { deleted && H3Cell.lead($0) == 1 ? nil : H3Cell(base: base, digits: $0) }
    }
}
