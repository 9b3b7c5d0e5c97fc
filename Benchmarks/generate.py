#!/usr/bin/env python3
"""Makes the benchmark's input: gzip'd cloud logs with planted matches, and rule folders of any size.

    python3 generate.py data --out DIR --size 1GB       # JSON lines in DIR/*.jsonl.gz, ground truth in DIR/truth.json
    python3 generate.py rules --out DIR --count 400     # 400 rules, cloned from ten with other literals
    python3 generate.py rules --out DIR --count 400 --stateful 20

Records are those of the sample day's quiet part (SampleLogs/generator) with fresh times, identifiers, users and addresses; about
0.05 % are planted, the records of each alert for exactly one rule. The same options give the same records.
Only the standard library is used.
"""

import argparse
import gzip
import heapq
import itertools
import json
import multiprocessing
import os
import random
import re
import sys
import time
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "SampleLogs")]

import rules as rulebook  # noqa: E402
from generator.background import control_plane, directory, people, platform  # noqa: E402
from generator.background_aws import background_aws  # noqa: E402
from generator.core import DAY_TICKS, TICKS, Log, iso0, iso7  # noqa: E402

FORM = 2  # changes when the same options give other records
PLANTED = 0.0004
BURST_EVERY = 6_000  # sign-ins between planted bursts of failures (for threshold rules)
PART_BYTES = 48_000_000  # raw bytes of one file, about
SPAN = 24 * 3600  # the data's span of time, in seconds
USERS, ADDRESSES = 5_000, 20_000
# Share of the records, and the table that they belong to. Sizes are about 2.8, 4.2, 2.0 and 1.4 KB a record.
KINDS = {"activity": 0.29, "signin": 0.20, "audit": 0.21, "cloudtrail": 0.30}
TABLES = {
    "AzureActivity": "activity",
    "SigninLogs": "signin",
    "AADNonInteractiveUserSignInLogs": "signin",
    "AuditLogs": "audit",
    "AWSCloudTrail": "cloudtrail",
}
OPAQUE = {"activity": 56, "signin": 240, "audit": 52, "cloudtrail": 56}
TEMPLATES = 300  # distinct shapes a kind
SHARED = 400  # a GUID in more records than this belongs to the tenant or an application and stays

_GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"2026-03-\d\dT\d\d:\d\d:\d\d(?:\.\d{7})?(?:Z|\+00:00)?"
_USER = r"[a-z]+\.[a-z]+@contoso\.example"
_ADDRESS = r"198\.51\.100\.\d+|203\.0\.113\.\d+"
_TOKEN = r'(?<="(?:aio|uti)":")\w+|(?<="uniqueTokenIdentifier":")\w+|(?<="opaque":")\w+'
_SLOTS = re.compile(f"(?P<guid>{_GUID})|(?P<time>{_TIME})|(?P<user>{_USER})|(?P<address>{_ADDRESS})|(?P<token>{_TOKEN})")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def load_templates():
    """Serialised quiet records of each kind, cut into fixed text and slots."""
    log = Log(11)
    for part in (people, directory, control_plane, platform):
        part(log, 1)
    background_aws(log, 1)
    texts = {kind: [] for kind in KINDS}
    for record in log.records:
        kind = TABLES[record.table]
        body = record.body
        if kind == "audit":  # the directory's own bookkeeping that real records carry
            details = {
                "UserType": "Member",
                "targetUpdateType": "Update",
                "User-Agent": "Microsoft Azure Graph Client Library 1.0",
                "ActorId.ServicePrincipalNames": "https://graph.windows.net/",
                "AppId": "74658136-14ec-4630-ad9b-26e160ff0fc6",
                "AppOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
            }
            body["properties"]["additionalDetails"] = [{"key": k, "value": v} for k, v in details.items()]
        if kind == "signin":
            body["properties"]["appliedConditionalAccessPolicies"] = body["properties"]["appliedConditionalAccessPolicies"][:2]
        # Opaque text, as tokens and request ids are; its length brings the whole to the gzip ratio of real logs (about 8.7).
        place = body["identity"]["claims"] if kind == "activity" else body if kind == "cloudtrail" else body["properties"]
        place["opaque"] = "x" * OPAQUE[kind]
        texts[kind].append(json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    chosen, counts = {}, {}
    for kind, all_texts in texts.items():
        step = max(1, len(all_texts) // TEMPLATES)
        chosen[kind] = all_texts[::step][:TEMPLATES]
        for text in all_texts:
            for found in set(re.findall(_GUID, text)):
                counts[found] = counts.get(found, 0) + 1
    return {kind: [cut(text, counts) for text in kept] for kind, kept in chosen.items()}


def cut(text, counts):
    """A template: a format string, and what its places take. A GUID that only this record has is an identifier to be drawn anew;
    one that others share (a tenant, an application) stays."""
    order, pieces, position, own = [], [], 0, {}
    for match in _SLOTS.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "guid":
            if counts.get(value, 0) > SHARED:
                continue
            own.setdefault(value, len(own))
            slot = ("guid", own[value])
        elif kind == "time":
            slot = ("time", value[19:20] == ".", value.endswith("+00:00"), value.endswith("Z"))
        elif kind == "token":
            slot = (kind, len(value))
        else:
            slot = (kind,)
        pieces.append(text[position : match.start()].replace("%", "%%"))
        order.append(slot)
        position = match.end()
    pieces.append(text[position:].replace("%", "%%"))
    return "%s".join(pieces), order, len(own)


def fill(template, ticks, dice, users, addresses):
    """One record's text from a template."""
    form, order, guids = template
    bits = dice.getrandbits
    fresh = []
    for _ in range(guids):
        h = "%032x" % bits(128)
        fresh.append(f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}")
    user = users[int(dice.random() ** 2 * len(users))]
    address = addresses[int(dice.random() ** 2 * len(addresses))]
    values = []
    for slot in order:
        kind = slot[0]
        if kind == "guid":
            values.append(fresh[slot[1]])
        elif kind == "time":
            zone = "+00:00" if slot[2] else "Z" if slot[3] else ""
            values.append(iso7(ticks, zone) if slot[1] else iso0(ticks, zone))
        elif kind == "token":
            values.append("".join([LETTERS[b & 63] for b in bits(8 * slot[1]).to_bytes(slot[1], "little")]))
        else:
            values.append(user if kind == "user" else address)
    return form % tuple(values)


def pools(seed):
    dice = random.Random(f"{seed}/pools")
    users = [f"user{i:04d}.{dice.choice(['jansen', 'bakker', 'smit', 'mulder', 'visser'])}@contoso.example" for i in range(USERS)]
    return users, [f"198.18.{i >> 8}.{i & 255}" for i in range(ADDRESSES)]  # RFC 2544, for benchmarks


def plan(size, seed):
    """The files to write: (part, kind, records, time from, time to, seed)."""
    parts = max(1, round(size / 4 / PART_BYTES))
    mean = {"activity": 2750, "signin": 4180, "audit": 1950, "cloudtrail": 1350}
    total = size / sum(KINDS[k] * mean[k] for k in KINDS)
    tasks = []
    for part in range(parts):
        for kind, share in KINDS.items():
            tasks.append((part, kind, round(total * share / parts), SPAN * part / parts, SPAN * (part + 1) / parts, seed))
    return tasks


_templates = {}


def encode(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def write_part(task):
    """Writes one file and returns its figures and the planted matches by rule."""
    folder, (part, kind, count, start, end, seed) = task
    templates = _templates[kind]
    dice = random.Random(f"{seed}/{part}/{kind}")
    users, addresses = pools(seed)
    suited = rulebook.planted_rules(kind)
    planted = {}
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    path = os.path.join(folder, f"part-{part:04d}-{kind}.jsonl.gz")
    raw = packed = serial = 0
    written = count
    with open(path, "wb") as out:
        lines = []
        for i in range(count):
            ticks = DAY_TICKS + int((start + (end - start) * i / count) * TICKS) + dice.randrange(TICKS)
            form = templates[int(dice.random() * len(templates))]
            line = fill(form, ticks, dice, users, addresses)
            if dice.random() < PLANTED:
                rule = suited[dice.randrange(len(suited))]
                moments = iter(range(rule.records))
                fresh = lambda: json.loads(fill(form, ticks + next(moments) * TICKS, dice, users, addresses))  # noqa: B023, E731
                made = [encode(r) for r in rule.plants(fresh, f"{part}.{kind}.{serial}")]
                lines += made[:-1]
                written += len(made) - 1
                line = made[-1]
                planted[rule.id] = planted.get(rule.id, 0) + 1
                serial += 1
            if kind == "signin" and i % BURST_EVERY == BURST_EVERY // 2:
                rule, address = rulebook.burst(dice, f"{part}-{i}")
                planted[rule.id] = planted.get(rule.id, 0) + 1
                for user in range(rulebook.BURST_USERS):
                    extra = json.loads(fill(form, ticks + 2 * user * TICKS, dice, users, addresses))
                    lines.append(encode(rule.plant(extra, address, user)))
                written += rulebook.BURST_USERS
            lines.append(line)
            if len(lines) == 512:
                data = ("\n".join(lines) + "\n").encode()
                raw += len(data)
                packed += out.write(packer.compress(data))
                lines.clear()
        data = ("\n".join(lines) + "\n").encode() if lines else b""
        raw += len(data)
        packed += out.write(packer.compress(data)) + out.write(packer.flush())
    return {"file": os.path.basename(path), "kind": kind, "records": written, "raw_bytes": raw, "gz_bytes": packed, "planted": planted}


def generate_data(folder, size, seed=1, processes=2, quiet=False):
    """Writes the data set and its truth.json; returns the truth."""
    os.makedirs(folder, exist_ok=True)
    began = time.time()
    tasks = [(folder, task) for task in plan(size, seed)]
    for old in os.listdir(folder):
        if old.endswith(".jsonl.gz") or old == "truth.json":
            os.remove(os.path.join(folder, old))
    _templates.update(load_templates())  # before the fork, so that it is done once
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        results = []
        for result in pool.imap_unordered(write_part, tasks):
            results.append(result)
            if not quiet:
                print(f"\r{len(results)}/{len(tasks)} files", end="", file=sys.stderr, flush=True)
    results.sort(key=lambda r: r["file"])
    planted = {}
    for result in results:
        for rule, count in result.pop("planted").items():
            planted[rule] = planted.get(rule, 0) + count
    raw, packed, records = (sum(r[k] for r in results) for k in ("raw_bytes", "gz_bytes", "records"))
    truth = {
        "form": FORM,
        "seed": seed,
        "requested_bytes": size,
        "records": records,
        "raw_bytes": raw,
        "gz_bytes": packed,
        "ratio": round(raw / packed, 2),
        "planted": dict(sorted(planted.items())),
        "files": results,
    }
    with open(os.path.join(folder, "truth.json"), "w", encoding="utf-8") as out:
        json.dump(truth, out, indent=1)
        out.write("\n")
    if not quiet:
        stateless = sum(n for rule, n in planted.items() if not rulebook.is_stateful(rule))
        print(
            f"\r{records:,} records, {raw / 1e6:,.0f} MB raw, {packed / 1e6:,.1f} MB gzip (ratio {raw / packed:.1f}), {stateless} planted "
            f"({100 * stateless / records:.2f} %), {time.time() - began:.0f} s",
            file=sys.stderr,
        )
    return truth


def merge(folder, target):
    """Writes the whole data set as one gzip file, its kinds of records interleaved so that times go forward."""

    def lines(entry):
        with gzip.open(os.path.join(folder, entry["file"]), "rb") as file:
            for number, line in enumerate(file):
                yield number / entry["records"], line

    with open(os.path.join(folder, "truth.json"), encoding="utf-8") as file:
        entries = json.load(file)["files"]
    with gzip.open(target, "wb", compresslevel=6) as out:
        for _, part in itertools.groupby(entries, key=lambda e: e["file"].split("-")[1]):
            for _, line in heapq.merge(*map(lines, part), key=lambda pair: pair[0]):
                out.write(line)


def bytes_of(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(k|m|g)?b?", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"not a size: {text!r}")
    return int(float(match[1]) * {None: 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data", help="write logs and their ground truth")
    data.add_argument("--out", required=True)
    data.add_argument("--size", type=bytes_of, default=bytes_of("1GB"), help="raw bytes, for example 20MB or 1GB (default)")
    data.add_argument("--seed", type=int, default=1)
    data.add_argument("--processes", type=int, default=2)
    ruleset = commands.add_parser("rules", help="write a folder of rules")
    ruleset.add_argument("--out", required=True)
    ruleset.add_argument("--count", type=int, default=400)
    ruleset.add_argument("--stateful", type=int, default=0, help="threshold rules beside the others (default 0)")
    options = parser.parse_args()
    if options.command == "data":
        generate_data(options.out, options.size, options.seed, options.processes)
    else:
        rulebook.write_rules(options.out, options.count, options.stateful)


if __name__ == "__main__":
    main()
