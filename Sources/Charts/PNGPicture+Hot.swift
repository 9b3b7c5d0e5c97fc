import CKernels

// Invariant: the C side owns the picture's bytes until `vk_picture_free`; they are copied before. The document and the text of an error are
// lent for the call only.

/// A chart as PNG, drawn from its SVG by librsvg, which must be installed (`librsvg2-2`); it is not linked.
public enum PNGPicture {
    /// The bytes of a PNG file at twice the drawing's size. Throws ``ChartProblem``, also if librsvg is missing.
    public static func make(_ chart: Chart, _ drawing: SVGChart = SVGChart()) throws -> [UInt8] {
        let svg = Array(drawing.draw(chart).utf8)
        var bytes: UnsafeMutablePointer<UInt8>?
        var size = 0
        var message = [CChar](repeating: 0, count: 400)
        let status = svg.withUnsafeBufferPointer { s in
            message.withUnsafeMutableBufferPointer { m in
                vk_picture_png(
                    s.baseAddress, s.count, Int32(drawing.width * 2), Int32(drawing.height * 2), &bytes, &size, m.baseAddress, m.count)
            }
        }
        defer { vk_picture_free(bytes) }
        let why = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard status == VK_PICTURE_OK, let bytes else {
            throw ChartProblem(
                status == VK_PICTURE_MISSING
                    ? "PNG needs librsvg, which is not installed (apt install librsvg2-2); --format svg needs nothing: \(why)" : why)
        }
        return Array(UnsafeBufferPointer(start: bytes, count: size))
    }
}
