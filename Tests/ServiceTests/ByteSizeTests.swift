import Service
import Testing

@Suite("byte sizes")
struct ByteSizeTests {
    @Test(
        "what is understood",
        arguments: [
            ("0", 0), ("4096", 4096), ("512k", 512 << 10), ("512MiB", 512 << 20), ("2 GB", 2 << 30), ("1t", 1 << 40), ("7B", 7),
        ] as [(String, Int)])
    func good(_ text: String, _ bytes: Int) { #expect(ByteSize.parse(text) == bytes) }

    @Test("what is not", arguments: ["", "k", "-1", "1.5G", "1 x", "99999999999999999999", "9999999999999T", "٣k"])
    func bad(_ text: String) { #expect(ByteSize.parse(text) == nil) }
}
