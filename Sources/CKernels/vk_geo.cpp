// The library's own checks are for its developers; what comes from outside is checked here before it gets there.
#ifndef NDEBUG
#define NDEBUG
#endif

#include "include/vk_geo.h"

#include <s2/s2boolean_operation.h>
#include <s2/s2buffer_operation.h>
#include <s2/s2builder.h>
#include <s2/s2builderutil_s2polygon_layer.h>
#include <s2/s2builderutil_s2polyline_vector_layer.h>
#include <s2/s2builderutil_snap_functions.h>
#include <s2/s2cell.h>
#include <s2/s2cell_id.h>
#include <s2/s2closest_edge_query.h>
#include <s2/s2contains_point_query.h>
#include <s2/s2earth.h>
#include <s2/s2edge_crossings.h>
#include <s2/s2edge_distances.h>
#include <s2/s2edge_tessellator.h>
#include <s2/s2latlng.h>
#include <s2/s2metrics.h>
#include <s2/s2point_vector_shape.h>
#include <s2/s2polygon.h>
#include <s2/s2polyline.h>
#include <s2/s2projections.h>
#include <s2/s2region_coverer.h>
#include <s2/s2shape_index_buffered_region.h>
#include <s2/s2shape_index_region.h>

#include <cmath>
#include <memory>
#include <vector>

namespace {

constexpr double radius_meters = 6371010.0;

using Line = std::unique_ptr<S2Polyline>;

struct arrays {
    std::vector<double> coordinates;
    std::vector<uint32_t> rings;
    std::vector<uint32_t> parts;
};

S2Point place(double lng, double lat) { return S2LatLng::FromDegrees(lat, lng).ToPoint(); }

void degrees(const S2Point &p, double *out) {
    S2LatLng at(p);
    out[0] = at.lng().degrees();
    out[1] = at.lat().degrees();
}

S1Angle angle(double meters) { return S1Angle::Radians(meters / radius_meters); }

void add(const S2Point &p, arrays &to) {
    double at[2];
    degrees(p, at);
    to.coordinates.push_back(at[0]);
    to.coordinates.push_back(at[1]);
}

}  // namespace

struct vk_geo {
    std::vector<S2Point> points;
    std::vector<Line> lines;
    std::unique_ptr<S2Polygon> polygon;
    /// Where a densified shape's own coordinates are, by kind.
    arrays flat[4];
    bool is_flat = false;

    bool is_empty() const { return points.empty() && lines.empty() && (!polygon || polygon->is_empty()); }

    std::unique_ptr<MutableS2ShapeIndex> index() const {
        auto all = std::make_unique<MutableS2ShapeIndex>();
        if (!points.empty()) all->Add(std::make_unique<S2PointVectorShape>(points));
        for (const Line &l : lines) all->Add(std::make_unique<S2Polyline::Shape>(l.get()));
        if (polygon && !polygon->is_empty()) all->Add(std::make_unique<S2Polygon::Shape>(polygon.get()));
        return all;
    }
};

namespace {

std::unique_ptr<S2Polygon> new_polygon() {
    auto p = std::make_unique<S2Polygon>();
    p->set_s2debug_override(S2Debug::DISABLE);
    return p;
}

bool valid_places(const vk_geo_shape &s) {
    for (size_t i = 0; i < s.points; i++) {
        if (!vk_geo_is_place(s.coordinates[2 * i], s.coordinates[2 * i + 1])) return false;
    }
    return true;
}

/// Neighbours must differ and not be opposite.
bool valid_edges(const std::vector<S2Point> &points, bool is_ring) {
    for (size_t i = 0; i + 1 < points.size() + (is_ring ? 1 : 0); i++) {
        const S2Point &a = points[i], &b = points[(i + 1) % points.size()];
        if (a == b || a == -b) return false;
    }
    return true;
}

std::vector<S2Point> ring_points(const vk_geo_shape &s, size_t begin, size_t end) {
    std::vector<S2Point> points;
    points.reserve(end - begin);
    for (size_t i = begin; i < end; i++) points.push_back(place(s.coordinates[2 * i], s.coordinates[2 * i + 1]));
    return points;
}

std::unique_ptr<S2Polygon> read_polygon(const vk_geo_shape &s, size_t first_ring, size_t end_ring) {
    if (first_ring == end_ring) return nullptr;
    std::vector<std::unique_ptr<S2Loop>> loops;
    for (size_t r = first_ring; r < end_ring; r++) {
        size_t begin = r ? s.rings[r - 1] : 0, end = s.rings[r];
        if (end - begin < 4) return nullptr;
        if (s.coordinates[2 * begin] != s.coordinates[2 * (end - 1)] || s.coordinates[2 * begin + 1] != s.coordinates[2 * end - 1]) {
            return nullptr;
        }
        std::vector<S2Point> points = ring_points(s, begin, end - 1);
        if (!valid_edges(points, true)) return nullptr;
        auto loop = std::make_unique<S2Loop>();
        loop->set_s2debug_override(S2Debug::DISABLE);
        loop->Init(points);
        S2Error error;
        if (loop->FindValidationError(&error)) return nullptr;
        loop->Normalize();
        loops.push_back(std::move(loop));
    }
    auto polygon = new_polygon();
    polygon->InitNested(std::move(loops));
    S2Error error;
    if (polygon->FindValidationError(&error)) return nullptr;
    return polygon;
}

std::unique_ptr<vk_geo> empty() { return std::make_unique<vk_geo>(); }

/// The library's own order (the smallest first): with it the rings start where Kusto's documented results start.
std::unique_ptr<S2Polygon> unite(std::vector<std::unique_ptr<S2Polygon>> all) {
    if (all.size() == 1) return std::move(all[0]);
    auto out = S2Polygon::DestructiveUnion(std::move(all));
    return out;
}

void flatten_polygon(const S2Polygon &polygon, arrays &to) {
    for (int i = 0; i < polygon.num_loops(); i++) {
        const S2Loop *shell = polygon.loop(i);
        if (shell->is_hole()) continue;
        for (int j = i; j <= polygon.GetLastDescendant(i); j++) {
            const S2Loop *loop = polygon.loop(j);
            if (j != i && loop->depth() != shell->depth() + 1) continue;
            int n = loop->num_vertices();
            for (int v = 0; v <= n; v++) add(loop->oriented_vertex(v % n), to);
            to.rings.push_back((uint32_t)(to.coordinates.size() / 2));
        }
        to.parts.push_back((uint32_t)to.rings.size());
    }
}

void flatten(const vk_geo &geo, int32_t kind, arrays &to) {
    if (kind == VK_GEO_POINTS) {
        for (const S2Point &p : geo.points) add(p, to);
    } else if (kind == VK_GEO_LINES) {
        for (const Line &l : geo.lines) {
            for (int i = 0; i < l->num_vertices(); i++) add(l->vertex(i), to);
            to.rings.push_back((uint32_t)(to.coordinates.size() / 2));
        }
    } else if (geo.polygon) {
        flatten_polygon(*geo.polygon, to);
    }
}

double azimuth(const S2LatLng &a, const S2LatLng &b) {
    double d = b.lng().radians() - a.lng().radians();
    double y = std::sin(d) * std::cos(b.lat().radians());
    double x = std::cos(a.lat().radians()) * std::sin(b.lat().radians()) -
               std::sin(a.lat().radians()) * std::cos(b.lat().radians()) * std::cos(d);
    double r = std::atan2(y, x);
    return r < 0 ? r + 2 * M_PI : r;
}

/// Points where edges of lines cross or touch, without those on `shared`.
std::vector<S2Point> crossings(const std::vector<Line> &a, const std::vector<Line> &b, const std::vector<Line> &shared) {
    std::vector<S2Point> found;
    auto note = [&](const S2Point &p) {
        for (const S2Point &q : found) {
            if (S2::ApproxEquals(p, q)) return;
        }
        for (const Line &l : shared) {
            int next;
            if (S2::ApproxEquals(l->Project(p, &next), p)) return;
        }
        found.push_back(p);
    };
    for (const Line &x : a) {
        for (const Line &y : b) {
            for (int i = 0; i + 1 < x->num_vertices(); i++) {
                for (int j = 0; j + 1 < y->num_vertices(); j++) {
                    const S2Point &p = x->vertex(i), &q = x->vertex(i + 1), &r = y->vertex(j), &s = y->vertex(j + 1);
                    int sign = S2::CrossingSign(p, q, r, s);
                    if (sign > 0) note(S2::GetIntersection(p, q, r, s));
                    if (sign == 0) note(p == r || p == s ? p : q);
                }
            }
        }
    }
    return found;
}

void shared_edges(const vk_geo &a, const vk_geo &b, std::vector<Line> &out) {
    auto ia = a.index(), ib = b.index();
    std::vector<Line> lines;
    s2builderutil::S2PolylineVectorLayer::Options layer;
    layer.set_edge_type(S2Builder::EdgeType::UNDIRECTED);
    layer.set_polyline_type(s2builderutil::S2PolylineVectorLayer::Options::PolylineType::WALK);
    layer.set_duplicate_edges(s2builderutil::S2PolylineVectorLayer::Options::DuplicateEdges::MERGE);
    S2BooleanOperation op(S2BooleanOperation::OpType::INTERSECTION, std::make_unique<s2builderutil::S2PolylineVectorLayer>(&lines, layer));
    S2Error error;
    if (op.Build(*ia, *ib, &error)) {
        for (Line &l : lines) {
            if (l->num_vertices() > 1) out.push_back(std::move(l));
        }
    }
}

template <typename Body>
auto guarded(Body body, decltype(body()) otherwise) -> decltype(body()) {
    try {
        return body();
    } catch (...) {
        return otherwise;
    }
}

}  // namespace

extern "C" bool vk_geo_is_place(double lng, double lat) { return std::fabs(lng) <= 180 && std::fabs(lat) <= 90; }

extern "C" double vk_geo_distance(double lng1, double lat1, double lng2, double lat2) {
    return S2LatLng::FromDegrees(lat1, lng1).GetDistance(S2LatLng::FromDegrees(lat2, lng2)).radians() * radius_meters;
}

extern "C" double vk_geo_azimuth(double lng1, double lat1, double lng2, double lat2) {
    return azimuth(S2LatLng::FromDegrees(lat1, lng1), S2LatLng::FromDegrees(lat2, lng2));
}

extern "C" double vk_geo_angle(double lng1, double lat1, double lng2, double lat2, double lng3, double lat3) {
    S2LatLng p1 = S2LatLng::FromDegrees(lat1, lng1), p2 = S2LatLng::FromDegrees(lat2, lng2), p3 = S2LatLng::FromDegrees(lat3, lng3);
    double r = azimuth(p2, p3) - azimuth(p2, p1);
    return r < 0 ? r + 2 * M_PI : r;
}

extern "C" vk_geo *vk_geo_new(const vk_geo_shape *shape) {
    return guarded([&]() -> vk_geo * {
        const vk_geo_shape &s = *shape;
        if (s.points == 0 || !valid_places(s)) return nullptr;
        auto geo = empty();
        if (s.kind == VK_GEO_POINTS) {
            geo->points = ring_points(s, 0, s.points);
        } else if (s.kind == VK_GEO_LINES) {
            if (s.ring_count == 0) return nullptr;
            for (size_t r = 0; r < s.ring_count; r++) {
                size_t begin = r ? s.rings[r - 1] : 0, end = s.rings[r];
                std::vector<S2Point> points = ring_points(s, begin, end);
                if (points.size() < 2 || !valid_edges(points, false)) return nullptr;
                geo->lines.push_back(std::make_unique<S2Polyline>(points, S2Debug::DISABLE));
            }
        } else if (s.kind == VK_GEO_POLYGONS) {
            std::vector<std::unique_ptr<S2Polygon>> all;
            for (size_t p = 0; p < s.part_count; p++) {
                auto polygon = read_polygon(s, p ? s.parts[p - 1] : 0, s.parts[p]);
                if (!polygon) return nullptr;
                all.push_back(std::move(polygon));
            }
            if (all.empty()) return nullptr;
            geo->polygon = unite(std::move(all));
        } else {
            return nullptr;
        }
        return geo.release();
    }, nullptr);
}

extern "C" void vk_geo_free(vk_geo *geo) { delete geo; }

extern "C" vk_geo *vk_geo_densify(const vk_geo_shape *shape, double tolerance) {
    return guarded([&]() -> vk_geo * {
        const vk_geo_shape &s = *shape;
        S2::PlateCarreeProjection projection(180);
        S2EdgeTessellator tessellator(&projection, angle(tolerance));
        auto geo = empty();
        arrays &to = geo->flat[s.kind == VK_GEO_LINES ? VK_GEO_LINES : VK_GEO_POLYGONS];
        for (size_t r = 0; r < s.ring_count; r++) {
            size_t begin = r ? s.rings[r - 1] : 0, end = s.rings[r];
            for (size_t i = begin; i + 1 < end; i++) {
                R2Point a(s.coordinates[2 * i], s.coordinates[2 * i + 1]), b(s.coordinates[2 * i + 2], s.coordinates[2 * i + 3]);
                std::vector<S2Point> points;
                tessellator.AppendUnprojected(a, b, &points);
                R2Point d = b - a;
                // An edge over the antimeridian goes the short way.
                if (d[0] > 180) d[0] -= 360;
                if (d[0] < -180) d[0] += 360;
                to.coordinates.push_back(a[0]);
                to.coordinates.push_back(a[1]);
                // The edge is halved again and again: places are binary fractions of it, and are given as such.
                for (size_t k = 1; k + 1 < points.size(); k++) {
                    double at[2];
                    degrees(points[k], at);
                    double along = std::fabs(d[0]) >= std::fabs(d[1]) ? at[0] - a[0] : at[1] - a[1], whole = d[0];
                    if (std::fabs(d[0]) >= std::fabs(d[1])) {
                        if (along > 180) along -= 360;
                        if (along < -180) along += 360;
                    } else {
                        whole = d[1];
                    }
                    double t = std::round(along / whole * 1048576.0) / 1048576.0;
                    double lng = a[0] + t * d[0];
                    to.coordinates.push_back(lng > 180 ? lng - 360 : lng < -180 ? lng + 360 : lng);
                    to.coordinates.push_back(a[1] + t * d[1]);
                }
            }
            to.coordinates.push_back(s.coordinates[2 * end - 2]);
            to.coordinates.push_back(s.coordinates[2 * end - 1]);
            to.rings.push_back((uint32_t)(to.coordinates.size() / 2));
        }
        to.parts.assign(s.parts, s.parts + s.part_count);
        geo->is_flat = true;
        return geo.release();
    }, nullptr);
}

extern "C" bool vk_geo_view(const vk_geo *geo, int32_t kind, vk_geo_shape *out) {
    return guarded([&]() -> bool {
        // Made once; the handle is one thread's until then.
        arrays &flat = const_cast<vk_geo *>(geo)->flat[kind];
        if (!geo->is_flat && flat.coordinates.empty()) flatten(*geo, kind, flat);
        *out = vk_geo_shape{kind, flat.coordinates.data(), flat.coordinates.size() / 2, flat.rings.data(), flat.rings.size(),
                            flat.parts.data(), flat.parts.size()};
        return !flat.coordinates.empty();
    }, false);
}

extern "C" bool vk_geo_contains(const vk_geo *geo, double lng, double lat) {
    return guarded([&]() -> bool {
        if (!geo->polygon) return false;
        auto query = MakeS2ContainsPointQuery(&geo->polygon->index(), S2ContainsPointQueryOptions(S2VertexModel::CLOSED));
        return query.Contains(place(lng, lat));
    }, false);
}

extern "C" double vk_geo_point_distance(const vk_geo *geo, double lng, double lat) {
    return guarded([&]() -> double {
        auto index = geo->index();
        S2ClosestEdgeQuery query(index.get());
        S2ClosestEdgeQuery::PointTarget target(place(lng, lat));
        return query.GetDistance(&target).ToAngle().radians() * radius_meters;
    }, 0);
}

extern "C" void vk_geo_closest(const vk_geo *geo, double lng, double lat, double *out) {
    guarded([&]() -> bool {
        auto index = geo->index();
        S2ClosestEdgeQuery query(index.get());
        S2Point p = place(lng, lat);
        S2ClosestEdgeQuery::PointTarget target(p);
        S2ClosestEdgeQuery::Result result = query.FindClosestEdge(&target);
        out[0] = lng;
        out[1] = lat;
        if (result.is_interior() || result.is_empty()) return true;
        degrees(query.Project(p, result), out);
        return true;
    }, false);
}

extern "C" double vk_geo_area(const vk_geo *geo) {
    return guarded([&] { return geo->polygon ? geo->polygon->GetArea() * radius_meters * radius_meters : 0.0; }, 0);
}

extern "C" double vk_geo_perimeter(const vk_geo *geo) {
    return guarded([&] {
        double sum = 0;
        for (int i = 0; geo->polygon && i < geo->polygon->num_loops(); i++) {
            const S2Loop *l = geo->polygon->loop(i);
            for (int v = 0; v < l->num_vertices(); v++) sum += S1Angle(l->vertex(v), l->vertex(v + 1)).radians();
        }
        return sum * radius_meters;
    }, 0);
}

extern "C" double vk_geo_length(const vk_geo *geo) {
    return guarded([&] {
        double sum = 0;
        for (const Line &l : geo->lines) sum += l->GetLength().radians();
        return sum * radius_meters;
    }, 0);
}

extern "C" bool vk_geo_centroid(const vk_geo *geo, double *out) {
    return guarded([&]() -> bool {
        S2Point sum(0, 0, 0);
        for (const Line &l : geo->lines) sum += l->GetCentroid();
        if (geo->polygon) sum += geo->polygon->GetCentroid();
        if (sum.Norm2() == 0) return false;
        degrees(sum.Normalize(), out);
        return true;
    }, false);
}

extern "C" bool vk_geo_interpolate(const vk_geo *geo, double fraction, double *out) {
    return guarded([&]() -> bool {
        if (geo->lines.empty()) return false;
        degrees(geo->lines[0]->Interpolate(fraction), out);
        return true;
    }, false);
}

extern "C" bool vk_geo_locate(const vk_geo *geo, double lng, double lat, double *fraction) {
    return guarded([&]() -> bool {
        if (geo->lines.empty()) return false;
        int next;
        S2Point on = geo->lines[0]->Project(place(lng, lat), &next);
        *fraction = geo->lines[0]->UnInterpolate(on, next);
        return true;
    }, false);
}

extern "C" vk_geo *vk_geo_simplify(const vk_geo *geo, double tolerance) {
    return guarded([&]() -> vk_geo * {
        auto out = empty();
        for (const Line &l : geo->lines) {
            std::vector<int> kept;
            l->SubsampleVertices(angle(tolerance), &kept);
            std::vector<S2Point> points;
            for (int i : kept) points.push_back(l->vertex(i));
            if (points.size() == 1) points.push_back(l->vertex(l->num_vertices() - 1));
            out->lines.push_back(std::make_unique<S2Polyline>(points, S2Debug::DISABLE));
        }
        if (geo->polygon) {
            out->polygon = new_polygon();
            // The snap radius has a largest value.
            S1Angle snap = std::min(angle(tolerance), s2builderutil::IdentitySnapFunction::kMaxSnapRadius());
            out->polygon->InitToSimplified(*geo->polygon, s2builderutil::IdentitySnapFunction(snap));
        }
        return out.release();
    }, nullptr);
}

extern "C" vk_geo *vk_geo_buffer(const vk_geo *geo, double radius, double tolerance) {
    return guarded([&]() -> vk_geo * {
        auto out = empty();
        out->polygon = new_polygon();
        S2BufferOperation::Options options(angle(radius));
        double fraction = tolerance / radius;
        options.set_error_fraction(std::fmin(1, std::fmax(S2BufferOperation::Options::kMinErrorFraction, fraction)));
        S2BufferOperation op(std::make_unique<s2builderutil::S2PolygonLayer>(out->polygon.get()), options);
        auto index = geo->index();
        op.AddShapeIndex(*index);
        S2Error error;
        if (!op.Build(&error) || out->polygon->is_full()) return nullptr;
        return out.release();
    }, nullptr);
}

extern "C" vk_geo *vk_geo_union(const vk_geo *const *all, size_t n) {
    return guarded([&]() -> vk_geo * {
        auto out = empty();
        std::vector<std::unique_ptr<S2Polygon>> polygons;
        S2Builder::Options options;
        options.set_split_crossing_edges(true);
        S2Builder builder(options);
        s2builderutil::S2PolylineVectorLayer::Options layer;
        layer.set_edge_type(S2Builder::EdgeType::UNDIRECTED);
        layer.set_polyline_type(s2builderutil::S2PolylineVectorLayer::Options::PolylineType::WALK);
        layer.set_duplicate_edges(s2builderutil::S2PolylineVectorLayer::Options::DuplicateEdges::MERGE);
        layer.set_s2debug_override(S2Debug::DISABLE);
        builder.StartLayer(std::make_unique<s2builderutil::S2PolylineVectorLayer>(&out->lines, layer));
        bool has_lines = false;
        for (size_t i = 0; i < n; i++) {
            if (all[i]->polygon) polygons.emplace_back(all[i]->polygon->Clone());
            for (const Line &l : all[i]->lines) builder.AddPolyline(*l);
            has_lines = has_lines || !all[i]->lines.empty();
        }
        S2Error error;
        if (has_lines && !builder.Build(&error)) return nullptr;
        if (!polygons.empty()) out->polygon = unite(std::move(polygons));
        return out.release();
    }, nullptr);
}

extern "C" vk_geo *vk_geo_intersection(const vk_geo *a, const vk_geo *b) {
    return guarded([&]() -> vk_geo * {
        auto out = empty();
        if (a->polygon && b->polygon) {
            out->polygon = new_polygon();
            out->polygon->InitToIntersection(*a->polygon, *b->polygon);
        } else if (a->polygon || b->polygon) {
            const S2Polygon &polygon = a->polygon ? *a->polygon : *b->polygon;
            for (const Line &l : a->polygon ? b->lines : a->lines) {
                for (Line &piece : polygon.IntersectWithPolyline(*l)) out->lines.push_back(std::move(piece));
            }
        } else {
            shared_edges(*a, *b, out->lines);
            out->points = crossings(a->lines, b->lines, out->lines);
        }
        return out.release();
    }, nullptr);
}

extern "C" bool vk_geo_intersects(const vk_geo *a, const vk_geo *b) {
    return guarded([&]() -> bool {
        if (a->polygon && b->polygon) return a->polygon->Intersects(*b->polygon);
        if (a->polygon || b->polygon) {
            const S2Polygon &polygon = a->polygon ? *a->polygon : *b->polygon;
            for (const Line &l : a->polygon ? b->lines : a->lines) {
                if (polygon.Intersects(*l)) return true;
            }
            return false;
        }
        for (const Line &x : a->lines) {
            for (const Line &y : b->lines) {
                if (x->Intersects(*y)) return true;
            }
        }
        return false;
    }, false);
}

extern "C" size_t vk_geo_cells(const vk_geo *geo, int level, double radius, uint64_t *out, size_t cap) {
    return guarded([&]() -> size_t {
        // How many there must be at least: what is far too much is not begun.
        double reach = radius / radius_meters, cells = 0;
        if (geo->polygon) cells = geo->polygon->GetArea() / S2::kMaxArea.GetValue(level);
        double border = (vk_geo_length(geo) + vk_geo_perimeter(geo)) / radius_meters;
        cells = std::fmax(cells, border / S2::kMaxDiag.GetValue(level) / 2);
        cells = std::fmax(cells, (border * reach + M_PI * reach * reach / 4) / S2::kMaxArea.GetValue(level) / 2);
        if (!(cells <= (double)cap * 4)) return SIZE_MAX;
        S2RegionCoverer::Options options;
        options.set_fixed_level(level);
        options.set_max_cells((int)cap);
        S2RegionCoverer coverer(options);
        std::vector<S2CellId> found;
        auto index = geo->index();
        if (radius > 0) {
            S2ShapeIndexBufferedRegion region(index.get(), S1ChordAngle(angle(radius)));
            coverer.GetCovering(region, &found);
        } else {
            auto region = MakeS2ShapeIndexRegion(index.get());
            coverer.GetCovering(region, &found);
        }
        if (found.size() > cap) return SIZE_MAX;
        for (size_t i = 0; i < found.size(); i++) out[i] = found[i].id();
        return found.size();
    }, SIZE_MAX);
}

extern "C" uint64_t vk_s2_cell(double lng, double lat, int level) { return S2CellId(S2LatLng::FromDegrees(lat, lng)).parent(level).id(); }

extern "C" bool vk_s2_is_cell(uint64_t cell) { return S2CellId(cell).is_valid(); }

extern "C" int vk_s2_level(uint64_t cell) { return S2CellId(cell).level(); }

extern "C" void vk_s2_center(uint64_t cell, double *out) {
    S2LatLng at = S2CellId(cell).ToLatLng();
    out[0] = at.lng().degrees();
    out[1] = at.lat().degrees();
}

extern "C" void vk_s2_corners(uint64_t cell, double *out) {
    S2Cell c{S2CellId(cell)};
    for (int i = 0; i < 4; i++) degrees(c.GetVertex(i), out + 2 * i);
}

extern "C" size_t vk_s2_neighbors(uint64_t cell, uint64_t *out) {
    return guarded([&]() -> size_t {
        S2CellId id(cell);
        std::vector<S2CellId> all;
        id.AppendAllNeighbors(id.level(), &all);
        // The library gives, in the cell's own axes: both lower corners, below, above, left, right, both upper corners. A cell at a corner of
        // the cube has seven.
        static const int order[8] = {7, 0, 1, 2, 3, 5, 4, 6};
        size_t n = 0;
        for (int i : order) {
            if ((size_t)i >= all.size()) continue;
            bool known = false;
            for (size_t k = 0; k < n; k++) known = known || out[k] == all[i].id();
            if (!known) out[n++] = all[i].id();
        }
        return n;
    }, 0);
}
