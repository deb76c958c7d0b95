// Scalar arithmetic shared by both devices: the same operations in the same order, so the same bits.
//
// Built with -ffp-contract=off and --fmad=false: a product is rounded before it is added, as in torch.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define CMRBIAS_BOTH __host__ __device__ inline
#else
#define CMRBIAS_BOTH inline
#endif

namespace cmrbias {

// The upper half of a float's bits.
struct bfloat16 {
  std::uint16_t bits;
};

// What a stored type is computed in.
template <class T>
struct RealOf {
  using type = T;
};
template <>
struct RealOf<bfloat16> {
  using type = float;
};
template <class T>
using Real = typename RealOf<T>::type;

CMRBIAS_BOTH float load(float x) { return x; }
CMRBIAS_BOTH double load(double x) { return x; }
CMRBIAS_BOTH float load(bfloat16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float real;
  std::memcpy(&real, &bits, sizeof real);
  return real;
}

CMRBIAS_BOTH void store(float& to, double x) { to = static_cast<float>(x); }
CMRBIAS_BOTH void store(double& to, double x) { to = x; }
// Rounds to nearest, ties to even; a NaN stays one.
CMRBIAS_BOTH void store(bfloat16& to, double x) {
  const float real = static_cast<float>(x);
  std::uint32_t bits;
  std::memcpy(&bits, &real, sizeof bits);
  const std::uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  to.bits = real != real ? std::uint16_t{0x7FC0} : static_cast<std::uint16_t>(rounded >> 16);
}

// A sum over a plane is kept in LANES partial sums (pixel i in lane i % LANES), which are then added
// pairwise, halving their number: an order that suits vectors and thread blocks alike.
constexpr int LANES = 256;

// GradCAM adds weighted channels in segments of this many, each from 0, then the segments in order: a chain
// that many threads can share.
constexpr int SEGMENT = 64;
CMRBIAS_BOTH constexpr int segments_of(int channels) { return channels / SEGMENT + (channels % SEGMENT != 0); }

// Bilinear upsampling, align_corners=False, always in double. Thresholds and peaks turn the last bit into
// another answer, so everything that decides uses these expressions in this order (DESIGN 11), here and in
// ops/overlap.py.

// Where pixel i of `pixels` lies among `cells`: between `cell` and the next one, at `fraction` of the way.
struct Sample {
  int cell;
  double fraction;
};
CMRBIAS_BOTH Sample sample(int i, int cells, int pixels) {
  const double at = (i + 0.5) * cells / pixels - 0.5;
  const double inside = at > 0 ? at : 0;
  const int cell = static_cast<int>(inside);  // the floor, since it is not negative
  return {cell, inside - cell};
}

CMRBIAS_BOTH double lerp(double a, double b, double fraction) { return a + (b - a) * fraction; }

// Is a pixel of value v inside the threshold? `bar` is threshold * (high - low).
CMRBIAS_BOTH bool is_hot(double v, double low, double bar) { return v - low >= bar; }

// A fraction of the way is a whole number of 1 / divisor(): 2 * scale where the scale is a whole number
// (and all sums of products of two stay exact in double), so that projections are exact; else 1.
CMRBIAS_BOTH bool exact_scales(int height, int width, int rows, int columns) {
  if (rows % height || columns % width) return false;
  const double most = 4.0 * (rows / height) * (columns / width) * rows * columns;
  return most < 9007199254740992.0;  // 2^53
}
CMRBIAS_BOTH double divisor(int cells, int pixels, bool exact) { return exact ? 2.0 * (pixels / cells) : 1.0; }

// The fraction of pixel i, which lies at `cell`, in units of 1 / divisor: at a whole scale, and at any.
CMRBIAS_BOTH int whole_part(int i, int cell, int scale) {
  const int beyond = 2 * i + 1 - scale;
  return (beyond > 0 ? beyond : 0) - 2 * scale * cell;
}
CMRBIAS_BOTH double part(int i, const Sample& at, int cells, int pixels, bool exact) {
  return exact ? whole_part(i, at.cell, pixels / cells) : at.fraction;
}

// Pixels of a patch (those between the same four cells) lie between its corner pixels up to this share of the
// map's greatest cell: five roundings a pixel, with a margin of ten.
constexpr double SLACK = 0x1p-47;

// In float, a pixel is off by less than this share of what the cells vary by: at most nine roundings (edge,
// slope, fraction, product, sum, threshold), with a margin of seven; above `low`, neither it nor the edges that
// it lies between exceed that variation.
CMRBIAS_BOTH double float_error(double variation, double slack) { return variation * 0x1p-20 + slack; }
// Does float hold maps that vary by this much, without overflow or loss of digits?
CMRBIAS_BOTH bool fits_float(double variation) { return variation > 0x1p-100 && variation < 0x1p100; }

// SplitMix64's increment and finaliser (Steele, Lea and Flood 2014): random bits of a counter, a std::uint64_t or a
// vector of them.
constexpr std::uint64_t GOLDEN = 0x9E3779B97F4A7C15;
template <class Word>
CMRBIAS_BOTH Word mix(Word x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace cmrbias
