import Columnar
import KQL

/// Keys and values in turn as an object; nil if a key is missing.
private func members(_ a: [Value]) -> [Dynamic.Member] {
    var out: [Dynamic.Member] = []
    var i = 0
    while i + 1 < a.count {
        set(&out, textValue(a[i]), wrapDynamic(a[i + 1]))
        i += 2
    }
    return out
}

private func set(_ members: inout [Dynamic.Member], _ key: String, _ value: Dynamic) {
    if let i = members.firstIndex(where: { ByteText.equal($0.key, key) }) {
        members[i].value = value
    } else {
        members.append(Dynamic.Member(key, value))
    }
}

extension Functions {
    static let bags: [ScalarFunction] = [
        ScalarFunction(
            "bag_pack", "key:any value:any ...", .type(.dynamic), aliases: ["pack", "pack_dictionary"],
            "A property bag of keys and values in turn.",
            "bag_pack(\"a\", 1).a == 1", .lenient { a in .dynamic(.object(members(a))) }),
        ScalarFunction(
            "bag_pack_nonempty", "key:any value:any ...", .type(.dynamic),
            "As bag_pack, without null and empty values; `pack_all(true)` is written with it.",
            "bag_pack_nonempty(\"a\", 1).a == 1",
            .lenient { a in .dynamic(.object(members(a).filter { $0.value != .null && $0.value != .string("") })) }),
        ScalarFunction(
            "bag_keys", "object:dynamic", .type(.dynamic), "The keys of a bag, as an array.", "bag_keys(dynamic({\"a\":1}))[0] == \"a\"",
            .lenient { a in optional(object(a, 0), { .dynamic(.array($0.map { .string($0.key) })) }, .dynamic) }),
        ScalarFunction(
            "bag_merge", "bag:dynamic bag:dynamic ...", .type(.dynamic), "One bag of all; the first value of a key stays.",
            "bag_merge(dynamic({\"a\":1}), dynamic({\"b\":2}))",
            .lenient { a in
                var out: [Dynamic.Member] = []
                var any = false
                for i in a.indices {
                    guard let bag = object(a, i) else { continue }
                    any = true
                    for m in bag where !out.contains(where: { ByteText.equal($0.key, m.key) }) { out.append(m) }
                }
                return any ? .dynamic(.object(out)) : .null(.dynamic)
            }),
        ScalarFunction(
            "bag_remove_keys", "bag:dynamic keys:dynamic", .type(.dynamic), "A bag without some keys; `$.a.b` names an inner one.",
            "bag_remove_keys(dynamic({\"a\":1}), dynamic([\"a\"]))",
            .lenient { a in
                guard case .object = dynamic(a, 0) else { return .null(.dynamic) }
                var bag = dynamic(a, 0)
                for key in array(a, 1) ?? [] {
                    if case .string(let path) = key { bag = removing(jsonPath(path) ?? [.key(path)], from: bag) }
                }
                return dynamicValue(bag)
            }),
        ScalarFunction(
            "bag_has_key", "bag:dynamic key:string", .type(.bool), "Whether a bag has a key; `$.a.b` names an inner one.",
            "bag_has_key(dynamic({\"a\":1}), \"a\") == true",
            .lenient { a in
                guard case .object = dynamic(a, 0) else { return .null(.bool) }
                var at = dynamic(a, 0)
                for step in jsonPath(text(a, 1)) ?? [.key(text(a, 1))] {
                    switch (step, at) {
                    case (.key(let key), .object(let members)):
                        guard let m = members.last(where: { ByteText.equal($0.key, key) }) else { return .bool(false) }
                        at = m.value
                    case (.index(let i), .array(let items)) where i >= 0 && i < items.count: at = items[i]
                    default: return .bool(false)
                    }
                }
                return .bool(true)
            }),
        ScalarFunction(
            "bag_set_key", "bag:dynamic key:string value:any", .type(.dynamic), "A bag with a key set.",
            "bag_set_key(dynamic({}), \"a\", 1)",
            .lenient { a in
                guard case .object = dynamic(a, 0) else { return .null(.dynamic) }
                return dynamicValue(
                    setting(ArraySlice(jsonPath(text(a, 1)) ?? [.key(text(a, 1))]), in: dynamic(a, 0), to: wrapDynamic(a[2])))
            }),
        ScalarFunction(
            "bag_zip", "KeysArray:dynamic ValuesArray:dynamic", .type(.dynamic), "A bag of an array of keys and one of values.",
            "bag_zip(dynamic([\"a\"]), dynamic([1]))",
            .lenient { a in
                guard let keys = array(a, 0) else { return .null(.dynamic) }
                let values = array(a, 1) ?? []
                var out: [Dynamic.Member] = []
                for (i, key) in keys.enumerated() {
                    if case .string(let k) = key { set(&out, k, i < values.count ? values[i] : .null) }
                }
                return .dynamic(.object(out))
            }),
        ScalarFunction(
            "treepath", "object:dynamic", .type(.dynamic), "The paths of all leaves, as an array of texts.", "treepath(dynamic({\"a\":1}))",
            .lenient { a in
                var out: [Dynamic] = []
                collectPaths(dynamic(a, 0), "", &out)
                return .dynamic(.array(out))
            }),
        ScalarFunction(
            "dynamic_to_json", "expr:any", .type(.string), "Canonical JSON text: keys in order.",
            "dynamic_to_json(dynamic({\"b\":1,\"a\":2}))",
            .lenient { a in .string(a[0].isNull ? "null" : JSONText.compact(ordered(wrapDynamic(a[0])))) }),
    ]

    private static func removing(_ path: [DynamicPath.Step], from d: Dynamic) -> Dynamic {
        guard let first = path.first, case .key(let key) = first, case .object(let members) = d else { return d }
        if path.count == 1 { return .object(members.filter { !ByteText.equal($0.key, key) }) }
        return .object(
            members.map {
                ByteText.equal($0.key, key) ? Dynamic.Member($0.key, removing(Array(path.dropFirst()), from: $0.value)) : $0
            })
    }

    private static func setting(_ path: ArraySlice<DynamicPath.Step>, in d: Dynamic, to value: Dynamic) -> Dynamic {
        guard let first = path.first, case .key(let key) = first else { return path.isEmpty ? value : d }
        var members: [Dynamic.Member] = []
        if case .object(let existing) = d { members = existing }
        set(&members, key, setting(path.dropFirst(), in: d[key] ?? .null, to: value))
        return .object(members)
    }

    private static func collectPaths(_ d: Dynamic, _ at: String, _ out: inout [Dynamic]) {
        switch d {
        case .object(let members):
            for m in members {
                let path = at + "['" + m.key + "']"
                out.append(.string(path))
                collectPaths(m.value, path, &out)
            }
        case .array(let items):
            guard !items.isEmpty else { return }
            var seen = Set<TextKey>()
            out.append(.string(at + "[0]"))
            seen.insert(TextKey(at + "[0]"))
            for i in items {
                var inner: [Dynamic] = []
                collectPaths(i, at + "[0]", &inner)
                for case .string(let p) in inner where seen.insert(TextKey(p)).inserted { out.append(.string(p)) }
            }
        default: break
        }
    }

    private static func ordered(_ d: Dynamic) -> Dynamic {
        switch d {
        case .array(let items): .array(items.map(ordered))
        case .object(let members):
            .object(members.map { Dynamic.Member($0.key, ordered($0.value)) }.sorted { orderTexts($0.key, $1.key) < 0 })
        default: d
        }
    }
}

/// A JSON path `$.a['b'][0]` as steps; nil if the text is none.
func jsonPath(_ path: String) -> [DynamicPath.Step]? {
    var rest = Array(path.unicodeScalars)[...]
    guard rest.first == "$" else { return nil }
    rest.removeFirst()
    var steps: [DynamicPath.Step] = []
    while let c = rest.first {
        rest.removeFirst()
        switch c {
        case ".":
            let name = rest.prefix { $0 != "." && $0 != "[" }
            guard !name.isEmpty else { return nil }
            steps.append(.key(joined(name)))
            rest = rest.dropFirst(name.count)
        case "[":
            if let quote = rest.first, quote == "'" || quote == "\"" {
                rest.removeFirst()
                let name = rest.prefix { $0 != quote }
                rest = rest.dropFirst(name.count + 1)
                guard rest.first == "]" else { return nil }
                rest.removeFirst()
                steps.append(.key(joined(name)))
            } else {
                let digits = rest.prefix { $0 != "]" }
                guard let i = Int(joined(digits)) else { return nil }
                steps.append(.index(i))
                rest = rest.dropFirst(digits.count + 1)
            }
        default: return nil
        }
    }
    return steps
}

private func joined(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
}
