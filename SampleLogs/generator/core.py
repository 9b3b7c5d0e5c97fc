"""Time, identifiers and the collector that every part of the sample day writes to."""

import hashlib
import random
import string
import uuid
from datetime import datetime, timezone

TICKS = 10_000_000  # a second, in the 100 ns units that Azure writes
DAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
DAY_TICKS = int(DAY.timestamp()) * TICKS
MINUTE = 60 * TICKS
HOUR = 3600 * TICKS


def at(hour, minute=0, second=0.0):
    """Ticks of a wall-clock time (UTC) of the sample day. Full hours are exact; other times get a made-up fraction of a second."""
    ticks = DAY_TICKS + round((hour * 3600 + minute * 60 + second) * TICKS)
    return ticks if minute == 0 and second == 0 else ticks + int(hashlib.sha256(str(ticks).encode()).hexdigest()[:6], 16) * 7919 % TICKS


def seconds(value):
    return round(value * TICKS)


def moment(ticks):
    return datetime.fromtimestamp(ticks // TICKS, tz=timezone.utc)


def iso7(ticks, zone="Z"):
    """`2026-03-02T10:00:00.1234567Z`: the form of Azure and Entra, seven fraction digits."""
    return f"{moment(ticks):%Y-%m-%dT%H:%M:%S}.{ticks % TICKS:07d}{zone}"


def iso0(ticks, zone="Z"):
    """Whole seconds: the form of CloudTrail (with Z) and of the Office 365 management API (without)."""
    return f"{moment(ticks):%Y-%m-%dT%H:%M:%S}{zone}"


def guid(name):
    """A made-up GUID that belongs to a name: the same on every run and for every seed."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"contoso.example/{name}".encode()).digest()[:16], version=4))


class Dice:
    """A source of chance with a name, so that one part of the day can change without moving the others."""

    def __init__(self, seed, name):
        self.random = random.Random(f"{seed}/{name}")

    def guid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def hex(self, digits):
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"

    def token(self, length, alphabet=string.ascii_letters + string.digits):
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def pick(self, values):
        return self.random.choice(values)

    def weighted(self, pairs):
        """One of `(value, weight)` pairs."""
        return self.random.choices([v for v, _ in pairs], [w for _, w in pairs])[0]

    def chance(self, probability):
        return self.random.random() < probability

    def between(self, low, high):
        return self.random.randint(low, high)

    def within(self, start, end):
        """A time between two times, in ticks."""
        return start + self.random.randrange(max(1, end - start))

    def office_hours(self):
        """A time of the day as people work: most between 07:30 and 17:30 UTC, with a dip at noon."""
        while True:
            hour = self.random.gauss(11.8, 2.9)
            if 5.2 < hour < 21 and not (11.4 < hour < 12.1 and self.chance(0.6)):
                return at(0) + seconds(hour * 3600) + self.random.randrange(TICKS)

    def any_hour(self):
        return self.within(at(0), at(24))


class Stream:
    """Where a kind of record is delivered: its folder, the form of its files, and how late records arrive (seconds)."""

    def __init__(self, folder, form, delay, name="PT1H.json", members=1):
        self.folder, self.form, self.delay, self.name, self.members = folder, form, delay, name, members


class Record:
    __slots__ = ("stream", "time", "arrival", "sequence", "body", "tag", "mark", "table")

    def __init__(self, stream, time, arrival, sequence, body, tag, mark, table):
        self.stream, self.time, self.arrival, self.sequence = stream, time, arrival, sequence
        self.body, self.tag, self.mark, self.table = body, tag, mark, table


class Story:
    """A planted step, or a benign look-alike: its own records carry its identifier as their tag."""

    def __init__(self, identifier, description, **facts):
        self.identifier, self.description, self.facts = identifier, description, facts


class Log:
    """Collects the records of the day. Chance for arrival delays is kept apart from chance for content."""

    def __init__(self, seed):
        self.seed = seed
        self.records = []
        self.steps = []
        self.benign = []
        self.delays = Dice(seed, "arrival")

    def dice(self, name):
        return Dice(self.seed, name)

    def add(self, stream, time, body, table, tag=None, mark=None):
        low, high = stream.delay
        arrival = time + seconds(low + (high - low) * self.delays.random.random() ** 2)
        self.records.append(Record(stream, time, arrival, len(self.records), body, tag, mark, table))

    def step(self, identifier, description, techniques, entities):
        self.steps.append(Story(identifier, description, techniques=techniques, entities=entities))
        return identifier

    def lookalike(self, identifier, description, why):
        self.benign.append(Story(identifier, description, why=why))
        return identifier
