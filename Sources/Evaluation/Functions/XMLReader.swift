import Columnar

/// Reads XML into a dynamic value the way Kusto's `parse_xml` does: an element is an object of attributes (`@name`), children by name
/// (an array where a name repeats) and text (`#text`), or its text alone when it has neither attributes nor children.
/// Declarations, comments and document types are passed over; malformed text gives nil.
struct XMLReader {
    private let bytes: [UInt8]
    private var at = 0
    private static let maximumDepth = 128

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func document() -> Dynamic? {
        skipMisc()
        guard let (name, value) = element(depth: 0) else { return nil }
        skipMisc()
        return at == bytes.count ? .object([Dynamic.Member(name, value)]) : nil
    }

    private func starts(_ s: StaticString) -> Bool {
        let n = s.utf8CodeUnitCount
        guard at + n <= bytes.count else { return false }
        for i in 0..<n where bytes[at + i] != s.utf8Start[i] { return false }
        return true
    }

    private mutating func skipPast(_ s: StaticString) -> Bool {
        while at < bytes.count {
            if starts(s) {
                at += s.utf8CodeUnitCount
                return true
            }
            at += 1
        }
        return false
    }

    private mutating func skipBlanks() {
        while at < bytes.count, bytes[at] == 0x20 || (bytes[at] >= 9 && bytes[at] <= 13) { at += 1 }
    }

    private mutating func skipMisc() {
        if starts("\u{FEFF}") { at += 3 }
        while true {
            skipBlanks()
            if starts("<?") {
                guard skipPast("?>") else { return }
            } else if starts("<!--") {
                guard skipPast("-->") else { return }
            } else if starts("<!DOCTYPE") {
                guard skipPast(">") else { return }
            } else {
                return
            }
        }
    }

    private mutating func name() -> String? {
        let start = at
        while at < bytes.count {
            switch bytes[at] {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x3A, 0x2D, 0x2E, 0x80...0xFF: at += 1
            default: return at > start ? String(decoding: bytes[start..<at], as: UTF8.self) : nil
            }
        }
        return nil
    }

    /// Text with entities resolved; an unknown one stays as written.
    private func text(_ raw: ArraySlice<UInt8>) -> String {
        guard raw.contains(0x26) else { return String(decoding: raw, as: UTF8.self) }
        var out: [UInt8] = []
        var i = raw.startIndex
        while i < raw.endIndex {
            guard raw[i] == 0x26, let end = raw[i...].prefix(12).firstIndex(of: 0x3B) else {
                out.append(raw[i])
                i += 1
                continue
            }
            let entity = String(decoding: raw[(i + 1)..<end], as: UTF8.self)
            let scalar: Unicode.Scalar?
            switch entity {
            case "lt": scalar = "<"
            case "gt": scalar = ">"
            case "amp": scalar = "&"
            case "quot": scalar = "\""
            case "apos": scalar = "'"
            default:
                if entity.hasPrefix("#x") {
                    scalar = UInt32(entity.dropFirst(2), radix: 16).flatMap(Unicode.Scalar.init)
                } else {
                    scalar = entity.hasPrefix("#") ? UInt32(entity.dropFirst()).flatMap(Unicode.Scalar.init) : nil
                }
            }
            if let scalar { out += Array(String(Character(scalar)).utf8) } else { out += raw[i...end] }
            i = end + 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    private mutating func element(depth: Int) -> (String, Dynamic)? {
        guard depth < XMLReader.maximumDepth, at < bytes.count, bytes[at] == 0x3C else { return nil }
        at += 1
        guard let tag = name() else { return nil }
        var members: [Dynamic.Member] = []
        while true {
            skipBlanks()
            if starts("/>") {
                at += 2
                return (tag, members.isEmpty ? .null : .object(members))
            }
            if starts(">") {
                at += 1
                break
            }
            guard let attribute = name() else { return nil }
            skipBlanks()
            guard starts("=") else { return nil }
            at += 1
            skipBlanks()
            guard at < bytes.count, bytes[at] == 0x22 || bytes[at] == 0x27 else { return nil }
            let quote = bytes[at]
            guard let end = bytes[(at + 1)...].firstIndex(of: quote) else { return nil }
            members.append(Dynamic.Member("@" + attribute, .string(text(bytes[(at + 1)..<end]))))
            at = end + 1
        }
        var content = ""
        var children: [Dynamic.Member] = []
        while at < bytes.count {
            if starts("</") {
                at += 2
                guard name() == tag else { return nil }
                skipBlanks()
                guard starts(">") else { return nil }
                at += 1
                return (tag, combine(members, children, content))
            } else if starts("<!--") {
                guard skipPast("-->") else { return nil }
            } else if starts("<![CDATA[") {
                let start = at + 9
                guard skipPast("]]>") else { return nil }
                content += String(decoding: bytes[start..<(at - 3)], as: UTF8.self)
            } else if starts("<?") {
                guard skipPast("?>") else { return nil }
            } else if bytes[at] == 0x3C {
                guard let (child, value) = element(depth: depth + 1) else { return nil }
                if let i = children.firstIndex(where: { ByteText.equal($0.key, child) }) {
                    if case .array(let several) = children[i].value {
                        children[i].value = .array(several + [value])
                    } else {
                        children[i].value = .array([children[i].value, value])
                    }
                } else {
                    children.append(Dynamic.Member(child, value))
                }
            } else {
                let end = bytes[at...].firstIndex(of: 0x3C) ?? bytes.count
                content += text(bytes[at..<end])
                at = end
            }
        }
        return nil
    }

    private func combine(_ attributes: [Dynamic.Member], _ children: [Dynamic.Member], _ content: String) -> Dynamic {
        let words = trimmed(content)
        if attributes.isEmpty, children.isEmpty { return content.isEmpty ? .null : .string(words.isEmpty ? "" : content) }
        if words.isEmpty { return .object(attributes + children) }
        // Text between elements stands without the white space around it, and before them.
        let own = Dynamic.Member("#text", .string(children.isEmpty ? content : words))
        return .object(attributes + [own] + children)
    }
}
