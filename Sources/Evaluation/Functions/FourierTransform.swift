import Glibc

/// A discrete Fourier transform of any length: radix 2 where the length is a power of two, else as a convolution (Bluestein).
struct FourierTransform {
    private(set) var real: [Double]
    private(set) var imaginary: [Double]

    /// Both parts have one length.
    init(real: [Double], imaginary: [Double]) {
        precondition(real.count == imaginary.count)
        self.real = real
        self.imaginary = imaginary
    }

    /// X[k] = sum of x[t] e^(-2 pi i k t / n)
    mutating func transform() {
        let n = real.count
        if n < 2 { return }
        if n & (n - 1) == 0 { radix2() } else { bluestein() }
    }

    /// x[t] = 1/n sum of X[k] e^(2 pi i k t / n): the transform with the parts exchanged.
    mutating func invert() {
        swap(&real, &imaginary)
        transform()
        swap(&real, &imaginary)
        let n = Double(max(1, real.count))
        for i in real.indices {
            real[i] /= n
            imaginary[i] /= n
        }
    }

    private mutating func radix2() {
        let n = real.count
        var j = 0
        for i in 1..<n {
            var bit = n >> 1
            while j & bit != 0 {
                j ^= bit
                bit >>= 1
            }
            j |= bit
            if i < j {
                real.swapAt(i, j)
                imaginary.swapAt(i, j)
            }
        }
        let cosines = (0..<(n / 2)).map { cos(2 * .pi * Double($0) / Double(n)) }
        let sines = (0..<(n / 2)).map { -sin(2 * .pi * Double($0) / Double(n)) }
        var length = 2
        while length <= n {
            let half = length / 2, stride = n / length
            for start in Swift.stride(from: 0, to: n, by: length) {
                for k in 0..<half {
                    let c = cosines[k * stride], s = sines[k * stride]
                    let p = start + k, q = p + half
                    let re = real[q] * c - imaginary[q] * s
                    let im = real[q] * s + imaginary[q] * c
                    real[q] = real[p] - re
                    imaginary[q] = imaginary[p] - im
                    real[p] += re
                    imaginary[p] += im
                }
            }
            length *= 2
        }
    }

    private mutating func bluestein() {
        let n = real.count
        var m = 1
        while m < 2 * n - 1 { m *= 2 }
        // e^(-pi i k^2 / n); k^2 modulo 2n keeps the angle small and so exact.
        let angles = (0..<n).map { k in Double.pi * Double((k * k) % (2 * n)) / Double(n) }
        let c = angles.map { cos($0) }, s = angles.map { sin($0) }
        var a = FourierTransform(real: [Double](repeating: 0, count: m), imaginary: [Double](repeating: 0, count: m))
        var b = a
        for k in 0..<n {
            a.real[k] = real[k] * c[k] + imaginary[k] * s[k]
            a.imaginary[k] = imaginary[k] * c[k] - real[k] * s[k]
            b.real[k] = c[k]
            b.imaginary[k] = s[k]
            if k > 0 {
                b.real[m - k] = c[k]
                b.imaginary[m - k] = s[k]
            }
        }
        a.radix2()
        b.radix2()
        for k in 0..<m {
            let re = a.real[k] * b.real[k] - a.imaginary[k] * b.imaginary[k]
            a.imaginary[k] = a.real[k] * b.imaginary[k] + a.imaginary[k] * b.real[k]
            a.real[k] = re
        }
        a.invert()
        for k in 0..<n {
            real[k] = a.real[k] * c[k] + a.imaginary[k] * s[k]
            imaginary[k] = a.imaginary[k] * c[k] - a.real[k] * s[k]
        }
    }
}
