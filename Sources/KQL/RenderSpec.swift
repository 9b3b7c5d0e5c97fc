import Columnar

/// What `| render kind with (...)` asks for: how a result is to be drawn. It never changes the rows.
///
/// Names and meanings of the properties are those of Kusto's `render` operator.
public struct RenderSpec: Sendable, Hashable {
    /// As written: `timechart`, `barchart` ... ; nil for `render` without a kind.
    public var kind: String?
    public var title: String?
    public var xTitle: String?
    public var yTitle: String?
    /// The column along the x axis; nil: the first that fits.
    public var xColumn: String?
    /// The columns drawn; empty: every number behind the x axis.
    public var yColumns: [String] = []
    /// Columns whose values name the series; empty: text columns that are left.
    public var series: [String] = []
    /// `stacked`, `stacked100`, `unstacked`, `default`.
    public var layout: String?
    public var yMin: Double?
    public var yMax: Double?
    /// A logarithmic y axis.
    public var isLogarithmic = false
    /// Each value is added to the sum of those before.
    public var accumulates = false
    public var showsLegend = true
    /// Columns of anomaly flags (`anomalychart`).
    public var anomalyColumns: [String] = []

    public init(kind: String? = nil) { self.kind = kind }

    /// The kinds that Kusto's tools know.
    public static let kinds = [
        "anomalychart", "areachart", "barchart", "card", "columnchart", "graph", "ladderchart", "linechart", "list", "piechart",
        "pivotchart", "plotly", "scatterchart", "stackedareachart", "table", "timechart", "timelinechart", "timepivot", "treemap",
    ]
    static let properties = [
        "accumulate", "anomalycolumns", "by", "kind", "legend", "series", "title", "xaxis", "xcolumn", "xtitle", "yaxis", "ycolumns",
        "ymax",
        "ymin", "ysplit", "ytitle",
    ]
}

extension BindingSession {
    /// Reads a `render`; what is unknown or of the wrong type is warned about and left out, as it does not change the result.
    func bindRender(_ kind: Name?, _ op: Operator) -> RenderSpec {
        var spec = RenderSpec(kind: kind?.text)
        if let kind, !RenderSpec.kinds.contains(kind.text) {
            let near = Suggestion.nearest(kind.text, in: RenderSpec.kinds)
            warning(
                .renderForm, "`render` has no form `\(kind.text)`: the rows are shown as a table", kind.range,
                mend: near.map { "did you mean `\($0)`?" })
        }
        for p in op.parameters {
            let name = p.name.text
            guard RenderSpec.properties.contains(name) else {
                warning(
                    .renderForm, "`render` has no property `\(name)`", p.name.range,
                    mend: Suggestion.nearest(name, in: RenderSpec.properties).map { "did you mean `\($0)`?" })
                continue
            }
            if !set(&spec, name, p.value) {
                warning(.renderForm, "this is no value of `\(name)`", p.value.range)
            }
        }
        return spec
    }

    private func set(_ spec: inout RenderSpec, _ name: String, _ e: Expr) -> Bool {
        switch name {
        case "ymin", "ymax":
            guard let n = renderNumber(e) else { return false }
            if name == "ymin" { spec.yMin = n } else { spec.yMax = n }
            return true
        case "accumulate":
            guard let b = renderFlag(e) else { return false }
            spec.accumulates = b
            return true
        default: break
        }
        guard let text = renderText(e) else { return false }
        switch name {
        case "title": spec.title = text
        case "xtitle": spec.xTitle = text
        case "ytitle": spec.yTitle = text
        case "xcolumn": spec.xColumn = text
        case "ycolumns": spec.yColumns.append(text)
        case "series", "by": spec.series.append(text)
        case "anomalycolumns": spec.anomalyColumns.append(text)
        case "kind": spec.layout = text
        case "legend":
            guard text == "visible" || text == "hidden" else { return false }
            spec.showsLegend = text == "visible"
        case "xaxis", "yaxis":
            guard text == "linear" || text == "log" else { return false }
            if name == "yaxis" { spec.isLogarithmic = text == "log" }
        default: break
        }
        return true
    }

    /// A name or a text.
    private func renderText(_ e: Expr) -> String? {
        switch e.kind {
        case .name(let n): return n.text
        case .paren(let inner): return renderText(inner)
        case .literal(.string(let s)): return s
        default: return nil
        }
    }

    private func renderNumber(_ e: Expr) -> Double? {
        switch e.kind {
        case .literal(.long(let n)): return Double(n)
        case .literal(.int(let n)): return Double(n)
        case .literal(.real(let n)): return n
        case .literal(.string(let s)): return Double(s)
        case .sign(let negative, let inner): return renderNumber(inner).map { negative ? -$0 : $0 }
        case .paren(let inner): return renderNumber(inner)
        default: return nil
        }
    }

    private func renderFlag(_ e: Expr) -> Bool? {
        switch e.kind {
        case .literal(.bool(let b)): return b
        case .name(let n): return n.text == "true" ? true : n.text == "false" ? false : nil
        default: return nil
        }
    }
}
