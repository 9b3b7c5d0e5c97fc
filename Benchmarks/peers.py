"""The benchmark's rules in other engines: the same files in, the number of matching rows of each rule out.

    python3 peers.py ENGINE COUNT FOLDER          # ENGINE: chdb, duckdb, polars, tenzir; prints {"rule number": rows}

Engines other than Vedette are given the row conditions of the rules only: no windows, joins, baselines or alerts. Where a rule has `has`,
they look for the text anywhere, which is less work and finds the same rows of these data. Columns are declared, not inferred, one query
serves all rules of a kind of log, and every engine may use all cores.
"""

import glob
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules as rulebook  # noqa: E402

ENGINES = ("chdb", "duckdb", "polars", "tenzir")
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
SIGNIN = ("eq", ("category",), "SignInLogs")


def conditions(rule):
    """The rule's row condition: (operation, path into the raw record, operand)."""
    n, key, base = rule.number, rule.key, rule.base
    operation, event = rulebook.OPERATIONS[n // 10 % len(rulebook.OPERATIONS)], rulebook.EVENTS[n // 10 % len(rulebook.EVENTS)]
    countries = [rulebook.COUNTRIES[n // 10 % 10], rulebook.COUNTRIES[(n // 10 + 3) % 10], "NL"]
    agent = ("properties", "userAgent")
    return [
        [("lower_in", ("operationName",), [f"microsoft.{key}/accounts/rotate/action"]), ("in", ("resultType",), ["Success", "Succeeded"])],
        [
            ("lower_in", ("operationName",), [operation.lower(), f"microsoft.{key}/keys/write", f"microsoft.{key}/keys/delete"]),
            ("prefix", ("identity", "claims", UPN), f"robot-{key}-"),
        ],
        [("suffix", ("operationName",), "/write"), ("contains", ("resourceId",), f"rg-{key}")],
        [SIGNIN, ("eq", ("resultType",), "0"), ("eq", ("properties", "appDisplayName"), f"Tool {key}"), ("in", ("location",), countries)],
        [SIGNIN, ("contains", agent, key), ("not_in", ("resultType",), ["50140", "50074"])],
        [SIGNIN, ("eq", ("properties", "deviceDetail", "operatingSystem"), f"{key} OS"), ("prefix", ("properties", "appDisplayName"), "azure")],
        [
            ("lower_in", ("operationName",), [rulebook.CREDENTIAL_OPERATION.lower(), "update application"]),
            ("eq", ("properties", "initiatedBy", "user", "displayName"), key),
        ],
        [("contains", ("operationName",), "credentials"), ("contains", ("identity",), f"-{key}-")],
        [("in", ("eventName",), [event, f"Delete{key}"]), ("empty", ("errorCode",), None), ("contains", ("userAgent",), key)],
        [("eq", ("eventSource",), "iam.amazonaws.com"), ("regex", ("userAgent",), rf"(?i)\b{key}/[0-9]+\.[0-9]+")],
    ][base]


def by_kind(count):
    kinds = {}
    for rule in map(rulebook.Rule, range(count)):
        kinds.setdefault(rule.kind, []).append(rule)
    return kinds


def schema(rules):
    """The paths that the conditions read, as a tree; a leaf is None."""
    tree = {}
    for rule in rules:
        for _, path, _ in conditions(rule):
            at = tree
            for part in path[:-1]:
                at = at.setdefault(part, {})
            at[path[-1]] = None
    return tree


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def plain(text):
    return "'" + text.replace("'", "''") + "'"


def sql(rule, path, lower, quote, regex, starts, ends, within):
    parts = []
    for op, at, value in conditions(rule):
        column = path(at)
        if op == "eq":
            parts.append(f"{column} = {quote(value)}")
        elif op in ("in", "not_in", "lower_in"):
            subject = lower(column) if op == "lower_in" else column
            parts.append(f"{subject} {'not in' if op == 'not_in' else 'in'} ({', '.join(map(quote, value))})")
        elif op == "empty":
            parts.append(f"coalesce({column}, '') = ''")
        elif op == "regex":
            parts.append(regex(column, quote(value)))
        else:
            parts.append({"prefix": starts, "suffix": ends, "contains": within}[op](lower(column), quote(value.lower())))
    return " and ".join(parts)


def run_duckdb(count, folder):
    import duckdb

    def typed(tree):
        return "STRUCT(" + ", ".join(f'"{k}" {"VARCHAR" if v is None else typed(v)}' for k, v in tree.items()) + ")"

    found = {}
    for kind, rules in by_kind(count).items():
        columns = ", ".join(f"{plain(k)}: {plain('VARCHAR' if v is None else typed(v))}" for k, v in schema(rules).items())
        tests = [
            "count(*) filter (where "
            + sql(
                rule, lambda at: ".".join(f'"{p}"' for p in at), lambda c: f"lower({c})", plain, lambda c, v: f"regexp_matches({c}, {v})",
                lambda c, v: f"starts_with({c}, {v})", lambda c, v: f"ends_with({c}, {v})", lambda c, v: f"contains({c}, {v})",
            )
            + ")"
            for rule in rules
        ]
        source = f"read_json({plain(os.path.join(folder, f'*-{kind}.jsonl.gz'))}, format='newline_delimited', columns={{{columns}}})"
        row = duckdb.sql(f"select {', '.join(tests)} from {source}").fetchall()[0]
        found |= {rule.number: n for rule, n in zip(rules, row)}
    return found


def run_chdb(count, folder):
    import chdb

    def typed(tree):
        return "Tuple(" + ", ".join(f"`{k}` {'String' if v is None else typed(v)}" for k, v in tree.items()) + ")"

    def path(at):
        column = f"`{at[0]}`"
        for part in at[1:]:
            column = f"tupleElement({column}, '{part}')"
        return column

    found = {}
    for kind, rules in by_kind(count).items():
        columns = ", ".join(f"`{k}` {'String' if v is None else typed(v)}" for k, v in schema(rules).items())
        tests = [
            "countIf("
            + sql(
                rule, path, lambda c: f"lower({c})", quoted, lambda c, v: f"match({c}, {v})", lambda c, v: f"startsWith({c}, {v})",
                lambda c, v: f"endsWith({c}, {v})", lambda c, v: f"position({c}, {v}) > 0",
            )
            + f") as r{rule.number}"
            for rule in rules
        ]
        query = f"""select {", ".join(tests)} from file('{os.path.join(folder, f"*-{kind}.jsonl.gz")}', JSONEachRow, {quoted(columns)})
            settings input_format_skip_unknown_fields = 1, input_format_json_ignore_unknown_keys_in_named_tuple = 1,
            input_format_json_read_objects_as_strings = 1, max_query_size = 100000000, max_ast_elements = 10000000,
            max_expanded_ast_elements = 10000000"""
        row = json.loads(str(chdb.query(query, "JSONEachRow")).splitlines()[0])
        found |= {int(k[1:]): int(v) for k, v in row.items()}
    return found


def run_polars(count, folder):
    import functools

    import polars as pl

    def typed(tree):
        return pl.Struct({k: pl.String if v is None else typed(v) for k, v in tree.items()})

    def path(at):
        column = pl.col(at[0])
        for part in at[1:]:
            column = column.struct.field(part)
        return column

    def test(condition):
        op, at, value = condition
        column = path(at)
        if op == "eq":
            return column == value
        if op == "in":
            return column.is_in(value)
        if op == "not_in":
            return ~column.is_in(value)
        if op == "empty":
            return column.is_null() | (column == "")
        if op == "regex":
            return column.str.contains(value)
        low = column.str.to_lowercase()
        if op == "lower_in":
            return low.is_in(value)
        value = value.lower()
        return {"prefix": low.str.starts_with(value), "suffix": low.str.ends_with(value), "contains": low.str.contains(value, literal=True)}[op]

    found = {}
    for kind, rules in by_kind(count).items():
        files = sorted(glob.glob(os.path.join(folder, f"*-{kind}.jsonl.gz")))
        frame = pl.scan_ndjson(files, schema={k: pl.String if v is None else typed(v) for k, v in schema(rules).items()}, ignore_errors=True)
        tests = [functools.reduce(lambda a, b: a & b, map(test, conditions(r))).sum().alias(str(r.number)) for r in rules]
        row = frame.select(tests).collect(engine="streaming").row(0)
        found |= {rule.number: int(n or 0) for rule, n in zip(rules, row)}
    return found


def run_tenzir(count, folder):
    def text(value):
        return json.dumps(value, ensure_ascii=False)

    def path(at):
        return at[0] + "".join(f"[{text(p)}]?" if "/" in p else f".{p}?" for p in at[1:]) if len(at) > 1 else f"{at[0]}?"

    def test(condition):
        op, at, value = condition
        column = path(at)
        if op == "eq":
            return f"{column} == {text(value)}"
        if op in ("in", "not_in"):
            return f"{'not ' if op == 'not_in' else ''}({column} in [{', '.join(map(text, value))}])"
        if op == "empty":
            return f"({column} == null or {column} == \"\")"
        if op == "regex":
            return f"{column}.match_regex({text(value)})"
        low = f"{column}.to_lower()"
        if op == "lower_in":
            return f"({low} in [{', '.join(map(text, value))}])"
        value = value.lower()
        return {
            "prefix": f"{low}.starts_with({text(value)})", "suffix": f"{low}.ends_with({text(value)})", "contains": f"({text(value)} in {low})",
        }[op]

    found = {}
    for kind, rules in by_kind(count).items():
        lines = [f"from_file {text(os.path.join(folder, f'*-{kind}.jsonl.gz'))} {{ decompress_gzip\n read_ndjson }}"]
        fields = ", ".join(f"r{r.number}: (1 if {' and '.join(map(test, conditions(r)))} else 0)" for r in rules)
        sums = ", ".join(f"r{r.number}=sum(r{r.number})" for r in rules)
        lines += [f"this = {{{fields}}}", f"summarize {sums}", "write_ndjson"]
        script = os.path.join(folder, f".tenzir-{kind}-{count}.tql")
        with open(script, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        try:
            done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "tenzir"), "-f", script], capture_output=True, text=True)
        finally:
            os.remove(script)
        if done.returncode:
            raise SystemExit(done.stderr[-1500:])
        row = json.loads(done.stdout.splitlines()[0])
        found |= {int(k[1:]): int(v or 0) for k, v in row.items()}
    return found


def expected(truth, count):
    """Rows that match each rule's condition."""
    rows = {}
    for rule in map(rulebook.Rule, range(count)):
        # Of a join's two records, one satisfies the condition that is asked for.
        rows[rule.number] = truth["planted"].get(rule.id, 0) * (1 if rule.base == 8 else rule.records)
    return rows


def write_literals(path, count):
    with open(path, "w", encoding="utf-8") as out:
        for rule in map(rulebook.Rule, range(count)):
            out.write(rule.key + "\n")


def expected_lines(truth, count):
    """Lines that hold the telling word of some rule; the bursts' applications are called by such words as well."""
    planted = truth["planted"]
    bursts = (planted.get(rulebook.Threshold(i).id, 0) * rulebook.BURST_USERS for i in range(min(count, rulebook.STATEFUL_PLANTED)))
    return sum(planted.get(rule.id, 0) * rule.records for rule in map(rulebook.Rule, range(count))) + sum(bursts)


if __name__ == "__main__":
    engine, number, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    print(json.dumps({"duckdb": run_duckdb, "chdb": run_chdb, "polars": run_polars, "tenzir": run_tenzir}[engine](number, where)))
