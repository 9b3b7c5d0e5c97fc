#ifndef VK_GEO_H
#define VK_GEO_H

#include "vk_common.h"

VK_BEGIN

// Geometry on the sphere of KQL's geo_* functions, by S2. Coordinates are degrees, longitude before latitude; distances are metres on a
// sphere of 6,371,010 m, the radius that Kusto's documented results follow from. Edges are geodesics.

/// What a geometry is made of; each kind has its own arrays of coordinates (pairs) and ends.
enum {
    VK_GEO_POINTS = 1,
    VK_GEO_LINES = 2,
    VK_GEO_POLYGONS = 3,
};

/// Borrowed coordinates. `rings[i]` is where ring (or line) i ends, in points; `parts[i]` where polygon i ends, in rings.
typedef struct vk_geo_shape {
    int32_t kind;
    const double *coordinates;
    size_t points;
    const uint32_t *rings;
    size_t ring_count;
    const uint32_t *parts;
    size_t part_count;
} vk_geo_shape;

/// A checked geometry. May be shared between threads once ``vk_geo_view`` was called on it, or never.
typedef struct vk_geo vk_geo;

bool vk_geo_is_place(double lng, double lat);
double vk_geo_distance(double lng1, double lat1, double lng2, double lat2);
/// Clockwise angles in radians, in [0, 2 pi): from north at point 1 towards point 2; at point 2 from point 1 to point 3.
double vk_geo_azimuth(double lng1, double lat1, double lng2, double lat2);
double vk_geo_angle(double lng1, double lat1, double lng2, double lat2, double lng3, double lat3);

/// NULL where the shape is not valid: places out of range, rings that are open, cross or repeat vertices, lines of one point,
/// edges of half a circle. The polygons of a shape are united.
vk_geo *vk_geo_new(const vk_geo_shape *shape);
void vk_geo_free(vk_geo *geo);
/// The lines or rings of `shape`, whose edges are straight on a plate carrée map, with points added until geodesics are within
/// `tolerance` metres of them. The shape must have been accepted by ``vk_geo_new``.
vk_geo *vk_geo_densify(const vk_geo_shape *shape, double tolerance);
/// The pieces of a geometry as coordinates, owned by it. `kind` as above; false if there are none of it.
bool vk_geo_view(const vk_geo *geo, int32_t kind, vk_geo_shape *out);

/// Whether a polygon holds a place, its vertices included.
bool vk_geo_contains(const vk_geo *geo, double lng, double lat);
/// Metres to lines, or to polygons (0 inside).
double vk_geo_point_distance(const vk_geo *geo, double lng, double lat);
/// The nearest place of lines or polygons.
void vk_geo_closest(const vk_geo *geo, double lng, double lat, double *out);
/// Square metres of polygons, metres around them, metres of lines.
double vk_geo_area(const vk_geo *geo);
double vk_geo_perimeter(const vk_geo *geo);
double vk_geo_length(const vk_geo *geo);
bool vk_geo_centroid(const vk_geo *geo, double *out);
/// Along the first line.
bool vk_geo_interpolate(const vk_geo *geo, double fraction, double *out);
bool vk_geo_locate(const vk_geo *geo, double lng, double lat, double *fraction);

vk_geo *vk_geo_simplify(const vk_geo *geo, double tolerance);
/// What lies within `radius` metres; NULL if that cannot be built.
vk_geo *vk_geo_buffer(const vk_geo *geo, double radius, double tolerance);
vk_geo *vk_geo_union(const vk_geo *const *all, size_t n);
vk_geo *vk_geo_intersection(const vk_geo *a, const vk_geo *b);
bool vk_geo_intersects(const vk_geo *a, const vk_geo *b);

/// S2 cells of one level that cover the geometry widened by `radius` metres. Returns their number, SIZE_MAX if there are more than
/// `cap`; writes them in order.
size_t vk_geo_cells(const vk_geo *geo, int level, double radius, uint64_t *out, size_t cap);

uint64_t vk_s2_cell(double lng, double lat, int level);
bool vk_s2_is_cell(uint64_t cell);
int vk_s2_level(uint64_t cell);
void vk_s2_center(uint64_t cell, double *out);
/// Four pairs, counterclockwise.
void vk_s2_corners(uint64_t cell, double *out);
/// The cells of the same level that share an edge or a corner, in the order of Kusto's documented example. `out` holds 8.
size_t vk_s2_neighbors(uint64_t cell, uint64_t *out);

VK_END

#endif
