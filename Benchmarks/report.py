"""The benchmark's report, from what was measured."""

import glob
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"s": "string", "o": "dynamic"}


def table_columns(tables):
    """The columns of known tables, from the generated schemas: (name, type), without the standard ones."""
    found = {}
    for path in glob.glob(os.path.join(HERE, "..", "Sources", "Tables", "Generated", "KnownSchemas*.swift")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name, columns in re.findall(r'\(\s*"(\w+)",\s*"""(.*?)"""', text, re.S):
            if name in tables:
                pairs = [word.split(":") for word in columns.replace("\\\n", " ").split()]
                found[name] = [(c, KINDS.get(k, "other")) for c, k in pairs if not c.startswith("_") and c not in ("TimeGenerated", "Type", "TenantId")]
    return found


def table(heads, rows):
    return ["| " + " | ".join(heads) + " |", "| --- |" + " --: |" * (len(heads) - 1)] + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def figures(name, run, raw, records, alerts=True):
    return [
        name, f"{run['cpu_s']:.3f}", f"{run['wall_s']:.3f}", f"{raw / run['cpu_s']:,.0f}", f"{raw / run['wall_s']:,.0f}",
        f"{records / run['cpu_s']:,.0f}", f"{run['peak_mb']:,.0f}", f"{run['alerts']} of {run['planted']}" if alerts else "",
    ]


def ratios(runs, what):
    done = {c: r for c, r in runs.items() if r}
    low = min(done, default=None)
    return [
        f"* {what}: CPU({c:,} rules) / CPU({low} rules) = {r['cpu_s'] / done[low]['cpu_s']:.3f}" for c, r in sorted(done.items()) if c != low
    ]


def markdown(result):
    data, raw = result["data"], result["data"]["raw_bytes"] / 1e6
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    lines = [
        "# From gzip'd logs to alerts", "",
        f"Made by `Benchmarks/run.py` on {result['made']}; `README.md` says what the rules and records are.", "",
        f"{data['records']:,} records, {raw:,.0f} MB raw in {data['files']} gzip files ({data['gz_bytes'] / 1e6:,.1f} MB, ratio {data['ratio']}), seed "
        f"{data['seed']}; median of {result['repeat']} by CPU; page cache warm; MB are 10^6 bytes of raw JSON.",
        f"Machine: {result['machine']}; load when it began: {', '.join(map(str, result['load']))}. Versions: {versions}.", "",
    ]
    heads = ["Run", "CPU s", "Wall s", "MB per CPU-s", "MB/s (wall)", "Records per CPU-s", "Peak MB", "Alerts"]
    rows = [figures(f"replay, {c:,} rules", r, raw, data["records"]) for c, r in sorted(result["replay"].items()) if r]
    rows += [figures(f"daemon, {c:,} rules", r, raw, data["records"]) for c, r in sorted(result["daemon"].items()) if r]
    if result.get("stateless"):
        run = result["stateless"]
        rows.append(figures(f"replay, {run['rules']:,} stateless rules", run, raw, data["records"]))
    if result["cores"].get("files"):
        rows.append(figures(f"replay, {min(result['replay'])} rules, one thread", result["cores"]["files"]["one"], raw, data["records"]))
    inflate = result["inflate"]
    rows.append([inflate["name"], f"{inflate['cpu_s']:.3f}", f"{inflate['wall_s']:.3f}", f"{raw / inflate['cpu_s']:,.0f}", "", "", "", ""])
    lines += table(heads, rows)
    lines += ratios(result["replay"], "replay") + ratios(result["daemon"], "daemon")
    for count, run in sorted(result["replay"].items()):
        if run:
            share = 100 * run["survivors"] / max(1, run["rows"])
            lines.append(f"* {count:,} rules: {run['survivors']:,} of {run['rows']:,} rows survive some rule ({share:.3f} %)")
    lines += ["", "## Start", "", "From the start of the process to its end over one record; cold compiles every rule, warm reads what was compiled before.", ""]
    lines += table(
        ["Rules", "cold CPU ms", "cold wall ms", "warm CPU ms", "warm wall ms"],
        [[f"{c:,}"] + [f"{1000 * s[k]:.0f}" for k in ("cold_cpu_s", "cold_wall_s", "warm_cpu_s", "warm_wall_s")] for c, s in sorted(result["start"].items())],
    )
    if "busy" in result:
        b = result["busy"]
        lines += [
            "## Rows that match", "",
            f"{b['rules']} further rules match {100 * b['share']:.2f} % of the rows ({b['survivors']:,} pairs of survivor and distinct sub-plan): CPU is "
            f"{b['ratio']:.2f} times the quiet run's, {b['ns_per_survivor']:,.0f} ns and {b['bytes_per_survivor']:,.0f} bytes of state a pair"
            + (f" and {b['evidence_bytes_per_survivor']:,.0f} of raw records for evidence" if "evidence_bytes_per_survivor" in b else "") + ".", "",
        ]
    if result.get("paths"):
        lines += ["## Referenced paths", ""]
        lines += table(
            ["Paths", "CPU s", "MB per CPU-s", "Peak MB"],
            [[str(r["referenced"]), f"{r['cpu_s']:.3f}", f"{raw / r['cpu_s']:,.0f}", f"{r['peak_mb']:,.0f}"] for _, r in sorted(result["paths"].items())],
        )
    lines += cores(result) + beside(result, raw) + alive(result)
    if result["problems"]:
        lines += ["## Problems", ""] + [f"* {p}" for p in result["problems"]] + [""]
    else:
        lines += ["All alerts are as planted.", ""]
    lines += ["Raw samples are in the JSON file beside this one.", ""]
    return "\n".join(lines)


def cores(result):
    if not result["cores"]:
        return []
    pairs = max(c["pairs"] for c in result["cores"].values())
    lines = [
        "## Cores", "",
        f"One thread against all in {pairs} {'pair' if pairs == 1 else 'pairs'} of runs: the median of the pairs' gains by the clock, their least and greatest, and the median without the "
        "start (it is not divided). One large file holds the same records as one gzip stream.", "",
    ]
    rows = [
        [
            str(c["files"]), f"{c['one']['wall_s']:.3f}", f"{c['all']['wall_s']:.3f}", f"{c['speed_up']:.2f}",
            f"{min(c['speed_ups']):.2f} to {max(c['speed_ups']):.2f}", f"{c['speed_up_without_start']:.2f}", f"{c['cpu_ratio']:.3f}",
        ]
        for c in result["cores"].values()
    ]
    return lines + table(["Files", "Wall s, one thread", "Wall s, all", "Times as fast", "of the pairs", "Start left out", "CPU, all / one"], rows)


def beside(result, raw):
    if not result.get("peers"):
        return []
    counts = sorted({c for runs in result["peers"].values() for c in runs})
    lines = [
        "## Beside other engines", "",
        "The same files in the same run. The others answer which rows satisfy the rules' conditions, with declared columns, and stop there; "
        "Vedette keeps windows, joins and baselines, raises alerts and keeps their evidence. Ratio: CPU of the engine over CPU of the replay.", "",
    ]
    heads = ["Engine"] + [f"CPU s, {c:,}" for c in counts] + [f"MB per CPU-s, {c:,}" for c in counts] + [f"ratio, {c:,}" for c in counts] + ["Peak MB", "Counts"]
    ours = {c: r for c, r in result["replay"].items() if r}
    rows = []
    for name, runs in [("**Vedette replay**", ours), *sorted(result["peers"].items(), key=lambda e: e[1].get(counts[0], {}).get("cpu_s", 1e9))]:
        cells = [runs.get(c) or {} for c in counts]
        cpu = [c.get("cpu_s") for c in cells]
        row = [name] + [f"{v:.2f}" if v else "failed" for v in cpu] + [f"{raw / v:,.0f}" if v else "" for v in cpu]
        row += [f"{v / ours[c]['cpu_s']:.2f}" if v and c in ours else "" for v, c in zip(cpu, counts)]
        right = all(c.get("right", c.get("alerts") == c.get("planted")) for c in cells if c.get("cpu_s"))
        # Tenzir runs in processes of its own below the one that is measured: their time is known, their memory is not.
        memory = "" if name == "tenzir" else f"{max((c.get('peak_mb', 0) for c in cells), default=0):,.0f}"
        rows.append(row + [memory, "right" if right else "WRONG"])
    lines += table(heads, rows)
    for name, runs in sorted(result["peers"].items()):
        for count, run in sorted(runs.items()):
            if "failed" in run:
                lines.append(f"* {name} failed at {count:,} rules: `{run['failed'].splitlines()[-1][:160] if run['failed'] else '?'}`")
            elif run["cpu_s"] < (ours.get(count) or {"cpu_s": 0})["cpu_s"]:
                lines.append(f"* {name} takes less CPU than Vedette at {count:,} rules.")
    return [*lines, ""] if lines[-1] else lines


def alive(result):
    lines = []
    if result.get("latency"):
        at = result["latency"]
        lines += [
            "## Appended line to alert", "",
            f"The daemon with {at['rules']:,} rules follows gzip files that grow by {at['fed_mb_s']:,.0f} MB/s of raw JSON, half of the "
            f"{at['highest_rate_mb_s']:,.0f} MB/s that it reads at most; {at['alerts']} lines that match: p50 {at['p50_ms']:.0f} ms, "
            f"p99 {at['p99_ms']:.0f} ms, most {at['max_ms']:.0f} ms from the append to the line in the alert file"
            + (f"; {at['missing']} alerts did not come" if at["missing"] else "") + f". Resident: {at['memory_mb']:.0f} MB.", "",
        ]
    if result.get("soak"):
        at = result["soak"]
        lines += ["## Soak", "", "| " + " | ".join(k for k in at if not isinstance(at[k], (list, dict))) + " |"]
        lines += ["|" + " --- |" * sum(not isinstance(v, (list, dict)) for v in at.values())]
        lines += ["| " + " | ".join(str(v) for v in at.values() if not isinstance(v, (list, dict))) + " |", ""]
    return lines
