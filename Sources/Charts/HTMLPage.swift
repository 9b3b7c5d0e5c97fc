import Columnar
import KQL

/// A result as one HTML file: the chart if there is one, and the rows. No scripts, no links.
public enum HTMLPage {
    /// `query` is shown above; `text` prints a cell.
    public static func make(
        query: String, columns: [BoundColumn], rows: [[Value]], chart: Chart?, notes: [String] = [], text: (Value) -> String
    ) -> String {
        let title = chart.map { $0.title.isEmpty ? nil : $0.title } ?? nil
        var out = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(SVGChart.escaped(title ?? "Hunt"))</title>
            <style>
            :root{color-scheme:light dark}
            body{font:14px/1.45 system-ui,sans-serif;margin:24px auto;max-width:1200px;padding:0 16px}
            pre{padding:12px;border:1px solid #8885;border-radius:6px;overflow:auto;white-space:pre-wrap}
            svg{max-width:100%;height:auto}
            .rows{overflow:auto}
            table{border-collapse:collapse;font-variant-numeric:tabular-nums}
            th,td{padding:4px 10px;border-bottom:1px solid #8883;text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere}
            th{position:sticky;top:0;background:Canvas}
            td.n{text-align:right;white-space:nowrap}
            </style></head><body>

            """
        if let title { out += "<h1>\(SVGChart.escaped(title))</h1>\n" }
        out += "<pre>\(SVGChart.escaped(query))</pre>\n"
        for n in notes { out += "<p>\(SVGChart.escaped(n))</p>\n" }
        if let chart { out += SVGChart().draw(chart, isEmbedded: true) }
        out += "<p>\(rows.count) row\(rows.count == 1 ? "" : "s")</p>\n<div class=\"rows\"><table><thead><tr>"
        for c in columns { out += "<th scope=\"col\">\(SVGChart.escaped(c.name))</th>" }
        out += "</tr></thead><tbody>\n"
        for row in rows {
            out += "<tr>"
            for (c, v) in zip(columns, row) {
                let isNumber = c.type.isNumeric || c.type == .timespan
                out += "<td\(isNumber ? " class=\"n\"" : "")>\(SVGChart.escaped(text(v)))</td>"
            }
            out += "</tr>\n"
        }
        return out + "</tbody></table></div></body></html>\n"
    }
}
