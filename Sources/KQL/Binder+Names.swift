import Columnar

// Names of result columns, as Kusto derives them from expressions, and lists of columns under construction.

extension BindingSession {
    /// Functions whose result is named as their first argument.
    private static let namedByFirst: Set<String> = [
        "split", "tostring", "tohex", "todynamic", "toobject", "tolong", "toint", "toreal", "todouble", "todatetime", "totimespan",
        "totime",
        "tobool", "toboolean", "todecimal", "toguid", "parse_csv", "parse_json", "parsejson", "parse_xml", "format_datetime",
        "format_timespan", "startofday", "bin", "floor", "bin_at", "bin_auto", "binary_and", "binary_or", "binary_xor", "binary_not",
        "binary_shift_left", "binary_shift_right", "bitset_count_ones", "round", "ceiling", "pow", "sqrt", "log", "log2", "log10", "exp",
        "exp2", "exp10", "cos", "sin", "tan", "acos", "asin", "atan", "atan2", "abs", "rand", "gamma", "loggamma", "series_fir",
        "series_iir", "series_outliers", "series_fill_backward", "series_fill_forward", "series_fill_const", "series_fill_linear",
        "datetime_to_locale_string", "binary_all_and", "binary_all_or", "binary_all_xor", "take_anyif",
    ]
    /// Functions whose result is named by a prefix and the first argument.
    private static let namedByPrefix: [String: String] = [
        "strlen": "strlen", "string_size": "string_size", "gettype": "type", "treepath": "tree", "repeat": "repeat",
        "dcount_hll": "dcount_hll", "percentile_tdigest": "percentile_tdigest", "percentiles_array_tdigest": "percentile_tdigest",
        "percentile_array_tdigest": "percentile_tdigest",
    ]
    /// Conversions that change nothing when the argument has the type already.
    private static let conversions: [String: ScalarType] = [
        "tobool": .bool, "todatetime": .datetime, "todecimal": .decimal, "todouble": .real, "toreal": .real, "todynamic": .dynamic,
        "toguid": .guid, "toint": .int, "tolong": .long, "tostring": .string, "totime": .timespan, "totimespan": .timespan,
    ]

    /// The name that an expression gives its column; nil: `Column1` and so on. Aggregates in the expression name it as well.
    func resultName(_ e: Expr, _ scope: Scope) -> String? {
        switch e.kind {
        case .name(let n): return n.text
        case .paren(let inner): return resultName(inner, scope)
        case .ordered(let inner, _, _): return resultName(inner, scope)
        case .named(let names, _): return names.first?.text
        case .member(let base, let n):
            if case .name(let side) = base.kind, side.text == "$left" || side.text == "$right" { return n.text }
            guard let left = resultName(base, scope), !left.isEmpty else { return n.text }
            return "\(left)_\(n.text)"
        case .element(let base, let index):
            var right: String?
            if case .literal(let v) = index.kind {
                switch v {
                case .string(let s): right = s
                case .long(let i): right = String(i)
                case .int(let i): right = String(i)
                default: break
                }
            }
            guard let left = resultName(base, scope), !left.isEmpty else { return right }
            return "\(left)_\(right ?? "")"
        case .call(let name, let args):
            return callName(name.text, args, scope)
        default: return nil
        }
    }

    private func callName(_ name: String, _ args: [Expr], _ scope: Scope) -> String? {
        if case .function? = lookup(name, scope.env) { return nil }
        if scope.aggregates != nil, let sig = functions.aggregate(name) {
            switch sig.naming {
            case .prefixed(let prefix): return "\(prefix)_" + (args.first.flatMap { resultName($0, scope) } ?? "")
            case .fixed(let fixed): return fixed
            case .argExtreme, .columns: return args.first.flatMap { resultName($0, scope) }
            case .percentiles: return nil
            }
        }
        if let prefix = BindingSession.namedByPrefix[name] { return "\(prefix)_" + (args.first.flatMap { resultName($0, scope) } ?? "") }
        if BindingSession.namedByFirst.contains(name) { return args.first.flatMap { resultName($0, scope) } }
        if name == "array_sort_asc" || name == "array_sort_desc" {
            return "\(args.first.flatMap { resultName($0, scope) } ?? "array0")_sorted"
        }
        if name == "make_datetime" || name == "make_timespan" { return args.count == 1 ? resultName(args[0], scope) : nil }
        if name == "column_ifexists" || name == "columnifexists", case .literal(.string(let s))? = args.first?.kind {
            return scope.row?.column(s) != nil ? s : nil
        }
        return nil
    }

    /// The column that an expression refers to without changing it; also through a conversion to the type it has.
    func referencedColumn(_ e: Expr, _ scope: Scope) -> BoundColumn? {
        switch e.kind {
        case .paren(let inner): return referencedColumn(inner, scope)
        case .ordered(let inner, _, _): return referencedColumn(inner, scope)
        case .name(let n): return scope.row?.column(n.text)
        case .member(let base, let n):
            guard case .name(let side) = base.kind, let sides = scope.row?.sides else { return nil }
            return side.text == "$left" ? sides.left.column(n.text) : side.text == "$right" ? sides.right.column(n.text) : nil
        case .call(let name, let args):
            guard args.count == 1, let type = BindingSession.conversions[name.text], lookup(name.text, scope.env) == nil,
                case .name(let n) = args[0].kind, let c = scope.row?.column(n.text), c.type == type
            else { return nil }
            return c
        default: return nil
        }
    }
}

/// Columns of a result with their expressions: unique names, explicit ones only once.
struct Projection {
    private(set) var columns: [BoundColumn] = []
    private(set) var exprs: [BoundExpr] = []
    private var positions: [String: Int] = [:]
    private var declared: Set<String> = []
    /// Names that the list gives further on: expressions without a name take others.
    var reserved: Set<String> = []

    func contains(_ name: String) -> Bool { positions[name] != nil }
    func isDeclared(_ name: String) -> Bool { declared.contains(name) }

    /// Adds a column; if the name is taken it replaces that column or gets a number, as asked.
    mutating func add(_ c: BoundColumn, _ e: BoundExpr, replacing: Bool = false, declared isExplicit: Bool = false) {
        if replacing, let at = positions[c.name] {
            columns[at] = c
            exprs[at] = e
            if isExplicit { declared.insert(c.name) }
            return
        }
        let name = unique(c.name)
        positions[name] = columns.count
        columns.append(name == c.name ? c : BoundColumn(id: c.id, name: name, type: c.type))
        exprs.append(e)
        if isExplicit { declared.insert(name) }
    }

    /// The name, or with the first number that makes it new: `x1`, `x2` ...
    func unique(_ name: String) -> String {
        if positions[name] == nil { return name }
        var i = 1
        while positions["\(name)\(i)"] != nil { i += 1 }
        return "\(name)\(i)"
    }
}
