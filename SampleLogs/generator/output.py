"""Writes the collected records in the containers of the clouds: hourly blobs, five-minute exports, trail files, API pages."""

import collections
import json
import os
import struct
import zlib

from .aws import delivery_slot, file_name
from .core import iso0, moment, seconds


def gzip_member(data):
    """One gzip member without a time or a name, so that the bytes depend on the data alone."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def text(body):
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def path_of(record, seed):
    """The file of a record: its folder follows the time of arrival, not the time of the event."""
    stream, when = record.stream, moment(record.arrival)
    if stream.form == "cloudtrail":
        return f"{stream.folder}/{file_name(stream.name, delivery_slot(stream.name, record.arrival), seed)}"
    if stream.form == "array":
        return f"{stream.folder}/{when:%Y/%m/%d/%H}/{stream.name}.gz"
    minute = 0
    if stream.form == "export":
        minute = moment(record.arrival - record.arrival % seconds(300)).minute
    return f"{stream.folder}/y={when:%Y}/m={when:%m}/d={when:%d}/h={when:%H}/m={minute:02d}/{stream.name}.gz"


def encode(stream, records):
    """The gzip bytes of one file."""
    bodies = [text(r.body) for r in records]
    if stream.form == "cloudtrail":
        return gzip_member(('{"Records":[' + ",".join(bodies) + "]}\n").encode())
    if stream.form == "document":
        return gzip_member(('{"records":[' + ",".join(bodies) + "]}").encode())
    if stream.form == "array":
        return gzip_member(("[" + ",\n".join(bodies) + "]").encode())
    end = "\r\n" if stream.form == "crlf" else "\n"
    size = -(-len(bodies) // min(stream.members, max(1, len(bodies) // 20)))  # short files stay one member
    return b"".join(gzip_member("".join(b + end for b in bodies[i : i + size]).encode()) for i in range(0, len(bodies), size))


def write(records, seed, folder):
    """Writes all files under `folder` and returns (files, compressed bytes)."""
    files = collections.defaultdict(list)
    for record in records:
        files[path_of(record, seed)].append(record)
    total = 0
    for path in sorted(files):
        held = files[path]
        by_time = held[0].stream.form == "document"
        held.sort(key=lambda r: (r.time if by_time else r.arrival, r.sequence))
        data = encode(held[0].stream, held)
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as out:
            out.write(data)
        total += len(data)
    return len(files), total


def truth(log, seed, scale, quiet, without):
    """The ground truth: what was planted, and what only looks like it. Written from the story alone."""
    held = collections.defaultdict(list)
    for record in log.records:
        if record.tag:
            held[record.tag].append(record)

    def common(story):
        records = held[story.identifier]
        return {
            "id": story.identifier,
            "time": iso0(min(r.time for r in records)),
            "end_time": iso0(max(r.time for r in records)),
            "description": story.description,
        }, {"tables": sorted({r.table for r in records}), "records": len(records), "marker": sorted({r.mark for r in records})}

    steps, benign = [], []
    for story in log.steps:
        if quiet or story.identifier in without:
            continue
        head, tail = common(story)
        steps.append(head | {"techniques": story.facts["techniques"]} | tail | {"entities": story.facts["entities"]})
    for story in log.benign:
        head, tail = common(story)
        benign.append(head | {"why": story.facts["why"]} | tail)
    steps.sort(key=lambda s: s["time"])
    return {
        "seed": seed,
        "scale": scale,
        "tables": dict(sorted(collections.Counter(r.table for r in log.records).items())),
        "steps": steps,
        "benign": benign,
    }
