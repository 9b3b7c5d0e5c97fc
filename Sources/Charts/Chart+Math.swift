import Glibc

extension Chart {
    static func log10(_ v: Double) -> Double { Glibc.log10(v) }
    /// A point on a circle, clockwise from the top; `turn` from 0 to 1.
    static func onCircle(_ turn: Double, radius: Double) -> (x: Double, y: Double) {
        (radius * sin(2 * .pi * turn), -radius * cos(2 * .pi * turn))
    }
}
