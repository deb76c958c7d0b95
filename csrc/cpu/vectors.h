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

// Two vectors side by side. A register of AVX2 holds 32 bytes, and GCC keeps wider vectors in memory there
// and converts and shuffles them element by element (5 x slower): so a wide vector is two of 32 bytes.
template <class V>
struct Pair {
  V low, high;
  Pair& operator+=(const Pair& other) {
    low += other.low;
    high += other.high;
    return *this;
  }
};
template <class V>
Pair<V> operator+(Pair<V> a, const Pair<V>& b) {
  return a += b;
}
template <class V>
Pair<V> operator*(const Pair<V>& a, const Pair<V>& b) {
  return {a.low * b.low, a.high * b.high};
}

// Each half by itself: a copy of the pair would go through memory.
template <class V, class T>
Pair<V> load_pair(const T* from) {
  return {load_vector<V>(from), load_vector<V>(from + sizeof(V) / sizeof(T))};
}

constexpr int WIDE = 8;
using Four = Vector<double, 4>;
using Doubles = Pair<Four>;

// Eight values as doubles.
inline Doubles load_doubles(const double* from) {
  return load_pair<Four>(from);
}
inline Doubles load_doubles(const float* from) {
  using Floats = Vector<float, 4>;
  return {__builtin_convertvector(load_vector<Floats>(from), Four),
          __builtin_convertvector(load_vector<Floats>(from + 4), Four)};
}
inline Doubles load_doubles(const bfloat16* from) {
  const auto halves = load_vector<Vector<std::uint16_t, 8>>(from);
  const auto bits = __builtin_convertvector(halves, Vector<std::uint32_t, 8>) << 16;
  return load_doubles(reinterpret_cast<const float*>(&bits));
}

// The sum of four vectors each, in order: lane i is added to lane i + 4, then i + 2, then i + 1.
inline Four sum_each(const Doubles& a, const Doubles& b, const Doubles& c, const Doubles& d) {
  const Four fours[] = {a.low + a.high, b.low + b.high, c.low + c.high, d.low + d.high};
  Four twos[2];
  for (int i = 0; i < 2; ++i) {
    twos[i] = __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 0, 1, 4, 5) +
              __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 2, 3, 6, 7);
  }
  return __builtin_shufflevector(twos[0], twos[1], 0, 2, 4, 6) +
         __builtin_shufflevector(twos[0], twos[1], 1, 3, 5, 7);
}

}  // namespace cmrbias::cpu
