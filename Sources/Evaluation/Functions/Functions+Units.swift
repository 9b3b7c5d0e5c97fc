import Columnar
import KQL

/// Factors to a base unit.
private let lengths: [String: Double] = [
    "Angstrom": 1e-10, "AstronomicalUnit": 149_597_870_700, "Centimeter": 0.01, "Chain": 20.1168, "Decameter": 10, "Decimeter": 0.1,
    "Fathom": 1.8288, "Foot": 0.3048, "Hectometer": 100, "Inch": 0.0254, "Kilometer": 1000, "LightYear": 9_460_730_472_580_800,
    "Meter": 1, "Microinch": 2.54e-8, "Micrometer": 1e-6, "Mil": 2.54e-5, "Mile": 1609.344, "Millimeter": 0.001, "Nanometer": 1e-9,
    "NauticalMile": 1852, "Parsec": 3.085_677_581_491_367e16, "Picometer": 1e-12, "Yard": 0.9144,
]

private let masses: [String: Double] = [
    "Centigram": 1e-5, "Decagram": 0.01, "Decigram": 1e-4, "Gram": 0.001, "Hectogram": 0.1, "Kilogram": 1, "Kilotonne": 1e6,
    "LongTon": 1016.046_908_8, "Megatonne": 1e9, "Microgram": 1e-9, "Milligram": 1e-6, "Nanogram": 1e-12, "Ounce": 0.028_349_523_125,
    "Pound": 0.453_592_37, "ShortTon": 907.184_74, "Slug": 14.593_902_937_206_36, "Stone": 6.350_293_18, "Tonne": 1000,
]

private let angles: [String: Double] = [
    "Arcminute": 1.0 / 60, "Arcsecond": 1.0 / 3600, "Centiradian": 0.01 * 180 / .pi, "Deciradian": 0.1 * 180 / .pi, "Degree": 1,
    "Gradian": 0.9, "Microdegree": 1e-6, "Microradian": 1e-6 * 180 / .pi, "Millidegree": 1e-3, "Milliradian": 1e-3 * 180 / .pi,
    "Nanodegree": 1e-9, "Nanoradian": 1e-9 * 180 / .pi, "NatoMil": 360.0 / 6400, "Radian": 180 / .pi, "Revolution": 360, "Tilt": 90,
]

private let times: [(String, Double)] = [("Hour", 3600), ("Minute", 60), ("Second", 1)]

private let speeds: [String: Double] = {
    var out: [String: Double] = ["Knot": 1852.0 / 3600, "Mach": 340.29]
    for (unit, length) in lengths { for (time, seconds) in times { out["\(unit)Per\(time)"] = length / seconds } }
    return out
}()

private let volumes: [String: Double] = [
    "AcreFoot": 1233.481_837_547_52, "Centiliter": 1e-5, "CubicCentimeter": 1e-6, "CubicDecimeter": 1e-3, "CubicFoot": 0.028_316_846_592,
    "CubicInch": 1.638_706_4e-5, "CubicKilometer": 1e9, "CubicMeter": 1, "CubicMile": 4.168_181_825_440_58e9, "CubicMillimeter": 1e-9,
    "CubicYard": 0.764_554_857_984, "Deciliter": 1e-4, "Hectoliter": 0.1, "Kiloliter": 1, "Liter": 1e-3, "Megaliter": 1000,
    "Microliter": 1e-9, "Milliliter": 1e-6, "UsGallon": 3.785_411_784e-3, "ImperialGallon": 4.546_09e-3,
]

private let energies: [String: Double] = [
    "BritishThermalUnit": 1055.055_852_62, "Calorie": 4.184, "ElectronVolt": 1.602_176_634e-19, "Erg": 1e-7, "Joule": 1,
    "Kilocalorie": 4184,
    "Kilojoule": 1000, "KilowattHour": 3.6e6, "Megajoule": 1e6, "MegawattHour": 3.6e9, "Millijoule": 1e-3, "WattHour": 3600,
]

private let forces: [String: Double] = [
    "Decanewton": 10, "Dyn": 1e-5, "KilogramForce": 9.80665, "Kilonewton": 1000, "KiloPond": 9.80665,
    "KilopoundForce": 4448.221_615_260_5, "Meganewton": 1e6, "Micronewton": 1e-6, "Millinewton": 1e-3, "Newton": 1,
    "OunceForce": 0.278_013_850_953_781_25, "Poundal": 0.138_254_954_376, "PoundForce": 4.448_221_615_260_5,
    "ShortTonForce": 8896.443_230_521, "TonneForce": 9806.65,
]

/// Kelvin = (value + first) * second.
private let temperatures: [String: (shift: Double, scale: Double)] = [
    "Kelvin": (0, 1), "DegreeCelsius": (273.15, 1), "DegreeFahrenheit": (459.67, 5.0 / 9), "DegreeRankine": (0, 5.0 / 9),
]

private func convert(_ name: String, _ table: [String: Double]) -> ScalarFunction {
    ScalarFunction(
        name, "value:numeric from:string to:string", .type(.real), "A quantity in another unit; null for unknown units.",
        "\(name)(1.0, \"...\", \"...\")",
        .strict { a in
            guard let from = table[text(a, 1)], let to = table[text(a, 2)] else { return .null(.real) }
            let result = real(a, 0) * from / to
            // Factors are rounded in binary; 15 digits are what they carry.
            return .real(Double(significant(result)) ?? result)
        })
}

/// 15 significant digits.
private func significant(_ v: Double) -> String {
    guard let d = Decimal128(v) else { return "\(v)" }
    var m = d.mantissa
    var e = Int(d.exponent)
    var limit: Int128 = 1
    for _ in 0..<15 { limit *= 10 }
    while m.magnitude >= limit.magnitude {
        let rest = m % 10
        m = m / 10 + (rest >= 5 ? 1 : (rest <= -5 ? -1 : 0))
        e += 1
    }
    return "\(m)e\(e)"
}

extension Functions {
    static let units: [ScalarFunction] = [
        convert("convert_length", lengths), convert("convert_mass", masses), convert("convert_angle", angles),
        convert("convert_speed", speeds),
        convert("convert_volume", volumes), convert("convert_energy", energies), convert("convert_force", forces),
        ScalarFunction(
            "convert_temperature", "value:numeric from:string to:string", .type(.real),
            "A temperature in another unit; null for unknown units.",
            "convert_temperature(1.2, \"Kelvin\", \"DegreeCelsius\") == -271.95",
            .strict { a in
                guard let from = temperatures[text(a, 1)], let to = temperatures[text(a, 2)] else { return .null(.real) }
                let result = (real(a, 0) + from.shift) * from.scale / to.scale - to.shift
                return .real(Double(significant(result)) ?? result)
            }),
    ]

    /// Functions of the language by family that this engine does not compute.
    static let refusedPrefixes: [(String, String)] = [
        ("geo_", "this geospatial function is not supported"),
        ("series_", "this series function is not supported"),
        ("rolling_", "rolling windows are not supported"),
        ("graph_", "graphs are not supported"),
        ("ai_", "machine-learning services are not reachable"),
    ]

    /// Functions of the language that this engine does not compute, with the reason.
    static let refused: [String: String] = {
        var out: [String: String] = [
            "hash_combine": "the way Kusto combines hashes is not documented",
            "hash_many": "the way Kusto combines hashes is not documented",
            "row_rank": "use row_rank_dense or row_rank_min",
            "datetime_list_timezones": "it lists the time zones of Kusto's service; here those of the system's tz database are known",
            "extent_id": "there are no extents",
            "extent_tags": "there are no extents",
            "cursor_after": "there are no database cursors", "cursor_before_or_at": "there are no database cursors",
            "cursor_current": "there are no database cursors",
            "current_principal": "there is no signed-in principal", "current_principal_details": "there is no signed-in principal",
            "current_principal_is_member_of": "there is no signed-in principal", "current_database": "there is no database",
            "current_cluster_endpoint": "there is no cluster",
            "toscalar": "it is part of the language, not a function", "todatetimefmt": "it is no function of Kusto",
            "stored_query_result": "there are no stored results",
        ]
        for name in ["cluster", "database", "workspace", "app", "resource", "external_table"] {
            out[name] = "remote sources are not reachable"
        }
        return out
    }()
}
