// Vectors of fixed width, as GCC and Clang offer them for every instruction set: where a loop's order of
// operations is to be the machine's too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../math.h"

namespace cmrbias::cpu {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes of half the width are told apart by their place");

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

template <class V, class T>
inline __attribute__((always_inline)) void store_vector(T* to, const V& vector) {
  std::memcpy(to, &vector, sizeof vector);
}

// As many as whole vectors of WIDTH hold.
template <int WIDTH>
constexpr std::size_t whole(std::size_t count) {
  return (count + WIDTH - 1) / WIDTH * WIDTH;
}

constexpr int BYTES = 32;
using Bytes = Vector<std::uint8_t, BYTES>;

// The first `width` bytes of a vector, and 0 behind them.
inline __attribute__((always_inline)) Bytes load_part(const std::uint8_t* from, std::size_t width) {
  if (width == BYTES) return load_vector<Bytes>(from);
  Bytes bytes = {};
  std::memcpy(&bytes, from, width);
  return bytes;
}

inline __attribute__((always_inline)) bool is_zero(const Bytes& bytes) {
  const auto words = reinterpret_cast<Vector<std::uint64_t, BYTES / 8>>(bytes);
  return (words[0] | words[1] | words[2] | words[3]) == 0;
}

using Sixteen = Vector<std::uint8_t, 16>;
inline __attribute__((always_inline)) bool is_zero(const Sixteen& bytes) {
  const auto words = reinterpret_cast<Vector<std::uint64_t, 2>>(bytes);
  return (words[0] | words[1]) == 0;
}

// One of the parts of a vector, from its lower end.
template <class Part, class V>
inline __attribute__((always_inline)) Part part_of(const V& vector, int number) {
  Part part;
  std::memcpy(&part, reinterpret_cast<const char*>(&vector) + number * sizeof part, sizeof part);
  return part;
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
template <class V>
Pair<V> operator*(double a, const Pair<V>& b) {
  return {a * b.low, a * b.high};
}

using Four = Vector<double, 4>;

// Four values as doubles.
inline Four load_four(const double* from) { return load_vector<Four>(from); }
inline Four load_four(const float* from) {
  return __builtin_convertvector(load_vector<Vector<float, 4>>(from), Four);
}
inline Four load_four(const bfloat16* from) {
  const auto halves = load_vector<Vector<std::uint16_t, 4>>(from);
  const auto bits = __builtin_convertvector(halves, Vector<std::uint32_t, 4>) << 16;
  return load_four(reinterpret_cast<const float*>(&bits));
}

// The values at four places.
inline Four load_at(const double* from, const int* places) {
  return Four{from[places[0]], from[places[1]], from[places[2]], from[places[3]]};
}

// The least and the greatest of some values, four at a time.
struct Range {
  Four least, greatest;
  void join(const Four& values) {
    least = values < least ? values : least;
    greatest = values > greatest ? values : greatest;
  }
  double lowest() const {
    const double low = least[1] < least[0] ? least[1] : least[0], high = least[3] < least[2] ? least[3] : least[2];
    return high < low ? high : low;
  }
  double highest() const {
    const Four& of = greatest;
    const double low = of[1] > of[0] ? of[1] : of[0], high = of[3] > of[2] ? of[3] : of[2];
    return high > low ? high : low;
  }
};

constexpr int WIDE = 8;
using Doubles = Pair<Four>;

// Eight values as doubles, each half by itself: a copy of the pair would go through memory.
inline Doubles load_doubles(const double* from) { return {load_four(from), load_four(from + WIDE / 2)}; }
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

// The same in one register of 64 bytes, where there is one. Their lanes are named, since GCC then converts them at
// once (in __builtin_convertvector it does by halves).
using Eight = Vector<double, WIDE>;
inline Eight load_eight(const double* from) { return load_vector<Eight>(from); }
template <class Floats>
Eight eight_of(const Floats& from) {
  return Eight{from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
}
inline Eight load_eight(const float* from) { return eight_of(from); }
inline Eight load_eight(const bfloat16* from) {
  const auto halves = load_vector<Vector<std::uint16_t, WIDE>>(from);
  const auto bits = __builtin_convertvector(halves, Vector<std::uint32_t, WIDE>) << 16;
  return eight_of(reinterpret_cast<Vector<float, WIDE>>(bits));
}

// Eight values as Doubles or as Eight.
template <class V, class T>
V load_wide(const T* from) {
  if constexpr (std::is_same_v<V, Eight>) {
    return load_eight(from);
  } else {
    return load_doubles(from);
  }
}

inline void store_wide(double* to, const Doubles& values) {
  store_vector(to, values.low);
  store_vector(to + WIDE / 2, values.high);
}
inline void store_wide(double* to, const Eight& values) { store_vector(to, values); }

inline Four sum_halves(const Doubles& of) { return of.low + of.high; }
inline Four sum_halves(const Eight& of) { return part_of<Four>(of, 0) + part_of<Four>(of, 1); }

// The sum of four vectors each, in order: lane i is added to lane i + 4, then i + 2, then i + 1.
template <class V>
Four sum_each(const V& a, const V& b, const V& c, const V& d) {
  const Four fours[] = {sum_halves(a), sum_halves(b), sum_halves(c), sum_halves(d)};
  Four twos[2];
  for (int i = 0; i < 2; ++i) {
    twos[i] = __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 0, 1, 4, 5) +
              __builtin_shufflevector(fours[2 * i], fours[2 * i + 1], 2, 3, 6, 7);
  }
  return __builtin_shufflevector(twos[0], twos[1], 0, 2, 4, 6) +
         __builtin_shufflevector(twos[0], twos[1], 1, 3, 5, 7);
}

// The sums of four vectors of whole numbers each, which must fit into 16 bits.
using Words = Vector<std::uint16_t, 8>;
inline Four sum_each(const Words& a, const Words& b, const Words& c, const Words& d) {
  using Pairs = Vector<std::uint32_t, 4>;
  const auto fours = [](const Words& x, const Words& y) {
    return reinterpret_cast<Pairs>(__builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11) +
                                   __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15));
  };
  const Pairs ab = fours(a, b), cd = fours(c, d);
  const Pairs twos = __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
  return __builtin_convertvector(reinterpret_cast<Vector<std::int32_t, 4>>((twos & 0xFFFF) + (twos >> 16)), Four);
}

}  // namespace cmrbias::cpu
