// Vectors of fixed width, as GCC and Clang offer them for every instruction set: where a loop's order of
// operations is to be the machine's too.
#pragma once

#include <cstring>

#include "../math.h"

namespace cmrbias::cpu {

template <class T, int WIDTH>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * WIDTH)));
};
template <class T, int WIDTH>
using Vector = typename VectorOf<T, WIDTH>::type;

constexpr int WIDE = 8;
using Doubles = Vector<double, WIDE>;

template <class V, class T>
inline __attribute__((always_inline)) V load_vector(const T* from) {
  V vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

// The first `width` bytes of a vector of bytes, and 0 behind them.
template <class V>
inline __attribute__((always_inline)) V load_part(const std::uint8_t* from, std::size_t width) {
  if (width == sizeof(V)) return load_vector<V>(from);
  V vector = {};
  std::memcpy(&vector, from, width);
  return vector;
}

// Eight values as doubles.
inline __attribute__((always_inline)) Doubles load_doubles(const double* from) {
  return load_vector<Doubles>(from);
}
inline __attribute__((always_inline)) Doubles load_doubles(const float* from) {
  return __builtin_convertvector(load_vector<Vector<float, 8>>(from), Doubles);
}
inline __attribute__((always_inline)) Doubles load_doubles(const bfloat16* from) {
  const auto halves = load_vector<Vector<std::uint16_t, 8>>(from);
  const auto bits = __builtin_convertvector(halves, Vector<std::uint32_t, 8>) << 16;
  return load_doubles(reinterpret_cast<const float*>(&bits));
}

// The sums of eight vectors, in order: lane i is added to lane i + 4, then i + 2, then i + 1.
inline __attribute__((always_inline)) Doubles sum_each(const Doubles* v) {
  Doubles fours[4], twos[2];
  for (int i = 0; i < 4; ++i) {
    fours[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11) +
               __builtin_shufflevector(v[2 * i], v[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 2; ++i) {
    twos[i] = __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 0, 1, 4, 5, 8, 9, 12, 13) +
              __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 2, 3, 6, 7, 10, 11, 14, 15);
  }
  return __builtin_shufflevector(twos[0], twos[1], 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(twos[0], twos[1], 1, 3, 5, 7, 9, 11, 13, 15);
}

}  // namespace cmrbias::cpu
