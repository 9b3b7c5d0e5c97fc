import ArgumentParser
import CKernels
import Columnar
import Ingest

/// References for the benchmarks: what the parts of the pipeline cost alone, on the same files in the same program.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures single stages, for the benchmarks.", shouldDisplay: false,
        subcommands: [Inflate.self, Frame.self])

    struct Inflate: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "inflate", abstract: "Decompresses files and throws the bytes away.")
        @Argument var paths: [String]

        func run() throws {
            let (files, _) = InputPaths.expand(paths)
            var raw: UInt64 = 0
            let out = UnsafeMutablePointer<UInt8>.allocate(capacity: 1 << 18)
            defer { out.deallocate() }
            var buffer = [UInt8](repeating: 0, count: 1 << 18)
            for f in files {
                guard let input = try? FileInput(path: f.path), let inflater = vk_inflater_new(VK_INFLATE_GZIP_ISAL) else { continue }
                defer { vk_inflater_free(inflater) }
                var failed = false
                while !failed {
                    let n = try buffer.withUnsafeMutableBytes { try input.read(into: $0) }
                    if n == 0 { break }
                    var at = 0
                    while true {
                        var consumed = 0
                        var produced = 0
                        let status = buffer.withUnsafeBufferPointer {
                            vk_inflate_step(inflater, $0.baseAddress.map { $0 + at }, n - at, &consumed, out, 1 << 18, &produced)
                        }
                        at += consumed
                        raw += UInt64(produced)
                        if status == VK_INFLATE_MEMBER_END {
                            if at < n { _ = vk_inflate_next_member(inflater) } else { break }
                        } else if status == VK_INFLATE_MORE_INPUT {
                            break
                        } else if status.rawValue < 0 {
                            failed = true
                            break
                        }
                    }
                }
            }
            BenchCommand.report("inflate", raw)
        }
    }

    struct Frame: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "frame", abstract: "Decompresses and finds records.")
        @Argument var paths: [String]

        func run() throws {
            let (files, _) = InputPaths.expand(paths)
            var raw: UInt64 = 0
            let chunk = Chunk()
            for f in files {
                guard let input = try? FileInput(path: f.path) else { continue }
                let reader = RecordReader(input)
                while try reader.next(into: chunk, final: true) == .chunk { raw += UInt64(chunk.produced) }
            }
            BenchCommand.report("frame", raw)
        }
    }

    static func report(_ stage: String, _ raw: UInt64) {
        let cpu = Double(vk_process_cpu_ns()) / 1e9
        Terminal.out(
            JSONText.compact(
                .object([
                    .init("stage", .string(stage)), .init("raw_bytes", .long(Int64(clamping: raw))), .init("cpu_seconds", .real(cpu)),
                    .init("mb_per_cpu_second", .real(cpu > 0 ? Double(raw) / 1e6 / cpu : 0)),
                ])))
    }
}
