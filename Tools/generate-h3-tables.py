#!/usr/bin/env python3
"""Derives the tables of the H3 grid by asking the h3 package (pip install h3), and writes Swift.

    python3 Tools/generate-h3-tables.py > Sources/Evaluation/Functions/Generated/H3Tables.swift
    python3 Tools/generate-h3-tables.py --vectors > Tests/EvaluationTests/Resources/h3.csv

The grid lies on an icosahedron whose corners are the centres of the twelve pentagons. Each face has axes of its own; which of the three
corners the first axis points to shows in where the corners of cells begin. A cell's digits on a face are those of its number after some
turns, which are found by comparing.
"""

import argparse
import math
import random
import sys

import h3

AP7 = math.asin(math.sqrt(3 / 28))
UNIT_0 = 0.38196601125010500003
SIN60 = math.sqrt(3) / 2
UNITS = {(0, 0, 0): 0, (0, 0, 1): 1, (0, 1, 0): 2, (0, 1, 1): 3, (1, 0, 0): 4, (1, 0, 1): 5, (1, 1, 0): 6}
TURN = {0: 0, 1: 5, 5: 4, 4: 6, 6: 2, 2: 3, 3: 1}
BACK = {v: k for k, v in TURN.items()}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def vector(lat, lng):
    return (math.cos(lat) * math.cos(lng), math.cos(lat) * math.sin(lng), math.sin(lat))


def place(v):
    n = math.sqrt(dot(v, v))
    return math.asin(max(-1.0, min(1.0, v[2] / n))), math.atan2(v[1], v[0])


def middle(points):
    s = [sum(p[i] for p in points) for i in range(3)]
    n = math.sqrt(dot(s, s))
    return tuple(x / n for x in s)


def azimuth(a, b):
    d = b[1] - a[1]
    return math.atan2(math.cos(b[0]) * math.sin(d), math.cos(a[0]) * math.sin(b[0]) - math.sin(a[0]) * math.cos(b[0]) * math.cos(d))


def normal(c):
    i, j, k = c
    if i < 0:
        i, j, k = 0, j - i, k - i
    if j < 0:
        i, j, k = i - j, 0, k - j
    if k < 0:
        i, j, k = i - k, j - k, 0
    m = min(i, j, k)
    return (i - m, j - m, k - m)


def nearest_cell(x, y):
    b = y / SIN60
    a = x + b / 2
    best = None
    for i in range(math.floor(a) - 1, math.floor(a) + 3):
        for j in range(math.floor(b) - 1, math.floor(b) + 3):
            d = (i - j / 2 - x) ** 2 + (j * SIN60 - y) ** 2
            if best is None or d < best[0] - 1e-15:
                best = (d, i, j)
    return normal((best[1], best[2], 0))


def half_away(v):
    return math.floor(v + 0.5) if v >= 0 else -math.floor(-v + 0.5)


def up(c, turned):
    i, j = c[0] - c[2], c[1] - c[2]
    if turned:
        return normal((half_away((2 * i + j) / 7), half_away((3 * j - i) / 7), 0))
    return normal((half_away((3 * i - j) / 7), half_away((i + 2 * j) / 7), 0))


def down(c, turned):
    axes = ((3, 1, 0), (0, 3, 1), (1, 0, 3)) if turned else ((3, 0, 1), (1, 3, 0), (0, 1, 3))
    return normal(tuple(sum(c[a] * axes[a][t] for a in range(3)) for t in range(3)))


def digits_on_face(center, axis, lat, lng, res):
    r = math.acos(max(-1.0, min(1.0, dot(vector(lat, lng), center))))
    angle = axis - azimuth(place(center), (lat, lng)) - (AP7 if res % 2 else 0)
    r = math.tan(r) / UNIT_0 * math.sqrt(7) ** res
    c = nearest_cell(r * math.cos(angle), r * math.sin(angle))
    out = []
    for t in range(res, 0, -1):
        above = up(c, t % 2 == 0)
        base = down(above, t % 2 == 0)
        out.append(UNITS[normal(tuple(c[q] - base[q] for q in range(3)))])
        c = above
    return c, out[::-1]


def turn(d, n=1):
    for _ in range(n):
        d = [TURN[x] for x in d]
    return d


def lead(d):
    return next((x for x in d if x), 0)


def pentagon_turn(d):
    d = turn(d)
    return turn(d) if lead(d) == 1 else d


def number(cell):
    v = int(cell, 16)
    return (v >> 45) & 127, [(v >> (45 - 3 * r)) & 7 for r in range(1, ((v >> 52) & 15) + 1)]


def faces():
    corners = [vector(*map(math.radians, h3.cell_to_latlng(c))) for c in sorted(h3.get_pentagons(0))]
    found = {}
    for i in range(12):
        for j in range(i + 1, 12):
            for k in range(j + 1, 12):
                three = (corners[i], corners[j], corners[k])
                if min(dot(three[0], three[1]), dot(three[1], three[2]), dot(three[0], three[2])) > 0.4:
                    c = middle(three)
                    lat, lng = place(c)
                    n = list(h3.get_icosahedron_faces(h3.latlng_to_cell(math.degrees(lat), math.degrees(lng), 6)))
                    found[n[0]] = (c, three)
    return [found[i] for i in range(20)]


def first_axis(center, corners):
    """The corner whose direction is 30 degrees before that of a central cell's first corner."""
    lat, lng = place(center)
    cell = h3.latlng_to_cell(math.degrees(lat), math.degrees(lng), 6)
    here = tuple(map(math.radians, h3.cell_to_latlng(cell)))
    start = azimuth(here, tuple(map(math.radians, h3.cell_to_boundary(cell)[0])))
    best = min(corners, key=lambda p: abs(math.remainder(azimuth(place(center), place(p)) - start - math.pi / 6, 2 * math.pi)))
    return azimuth(place(center), place(best))


def tables():
    random.seed(7)
    all_faces = faces()
    centers = [f[0] for f in all_faces]
    axes = [first_axis(*f) for f in all_faces]
    pentagons = {number(c)[0] for c in h3.get_pentagons(0)}
    samples = {}

    def take(v, res=5):
        lat, lng = place(v)
        face = max(range(20), key=lambda f: dot(v, centers[f]))
        c, d = digits_on_face(centers[face], axes[face], lat, lng, res)
        base, wanted = number(h3.latlng_to_cell(math.degrees(lat), math.degrees(lng), res))
        samples.setdefault((face, c), []).append((base, d, wanted))

    for _ in range(60000):
        z = random.uniform(-1, 1)
        take(vector(math.asin(z), random.uniform(-math.pi, math.pi)))
    for _, corners in all_faces:
        for p in corners:
            for _ in range(400):
                take(middle([p, tuple(x * 0.05 for x in vector(random.uniform(-1.5, 1.5), random.uniform(-3.1, 3.1)))]))
    cells = [-1] * (20 * 27)
    clockwise = set()
    for (face, c), seen in sorted(samples.items()):
        bases = {s[0] for s in seen}
        assert len(bases) == 1, (face, c, bases)
        base = bases.pop()
        answers = []
        for n in range(6):
            for cw in (False, True) if base in pentagons else (False,):
                good = True
                for _, d, wanted in seen:
                    if base in pentagons:
                        if lead(d) == 1:
                            d = [BACK[x] for x in d] if cw else turn(d)
                        for _ in range(n):
                            d = pentagon_turn(d)
                    else:
                        d = turn(d, n)
                    if d != wanted:
                        good = False
                        break
                if good:
                    answers.append((n, cw))
        assert answers, (face, c, base, len(seen), seen[:3])
        n, cw = answers[0]
        if cw:
            clockwise.add((base, face))
        cells[face * 27 + c[0] * 9 + c[1] * 3 + c[2]] = base * 8 + n
    return centers, axes, cells, pentagons, clockwise


def write_swift():
    centers, axes, cells, pentagons, clockwise = tables()

    def wrapped(items, width=128):
        lines, line = [], ""
        for item in items:
            if len(line) + len(item) + 2 > width:
                lines.append(line.rstrip())
                line = ""
            line += item + ", "
        return "\n".join("        " + x for x in lines + [line.rstrip()])

    print("// Made by Tools/generate-h3-tables.py.\n")
    print("/// The H3 grid's own numbers.\nenum H3Tables {")
    print("    /// Centres of the icosahedron's faces, unit vectors.\n    static let centers: [Double] = [")
    print(wrapped([repr(x) for c in centers for x in c]) + "\n    ]")
    print("    /// Azimuth at the centre of the first axis of each face.\n    static let axes: [Double] = [")
    print(wrapped([repr(a) for a in axes]) + "\n    ]")
    print("    /// By face and i, j, k of a cell at resolution 0, each below 3: eight times the base cell, plus turns; -1 where there is none.")
    print("    static let cells: [Int16] = [\n" + wrapped([str(c) for c in cells]) + "\n    ]")
    print("    static let pentagons: Set<Int> = [\n" + wrapped([str(p) for p in sorted(pentagons)]) + "\n    ]")
    print("    /// Base cell times 32 plus face, where the deleted axis of a pentagon is passed clockwise.")
    print("    static let clockwise: Set<Int> = [\n" + wrapped([str(b * 32 + f) for b, f in sorted(clockwise)]) + "\n    ]")
    print("}")


def write_vectors():
    random.seed(3)
    rows = []
    cells = set()
    for _ in range(160):
        z = random.uniform(-1, 1)
        lat, lng = math.degrees(math.asin(z)), random.uniform(-180, 180)
        res = random.randint(0, 15)
        cell = h3.latlng_to_cell(lat, lng, res)
        rows.append(f"cell,{lat!r},{lng!r},{res},{cell}")
        cells.add(cell)
    for res in range(0, 5):
        cells.update(h3.get_pentagons(res)[:2])
        for p in h3.get_pentagons(res)[4:5]:
            cells.update(h3.grid_disk(p, 1))
    for cell in sorted(cells):
        lat, lng = h3.cell_to_latlng(cell)
        edge = " ".join(f"{a!r} {b!r}" for a, b in h3.cell_to_boundary(cell))
        rows.append(f"shape,{cell},{lat!r},{lng!r},{edge}")
        rows.append(f"near,{cell},{' '.join(sorted(set(h3.grid_disk(cell, 1)) - {cell}))}")
    for cell in sorted(cells)[::10]:
        if h3.get_resolution(cell) < 15:
            rows.append(f"children,{cell},{' '.join(h3.cell_to_children(cell))}")
    print("\n".join(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", action="store_true", help="write test vectors instead of tables")
    write_vectors() if parser.parse_args().vectors else write_swift()
    sys.exit(0)
