// Where the columns of a patch cross a threshold: found in float and proven, so that pixels need not be asked.
#pragma once

#include <cstdint>
#include <vector>

#include "vectors.h"

namespace cmrbias::cpu {

constexpr int FLOATS = 8;
constexpr int MOST_ROWS = 255;  // of a patch, to be counted in bytes
using Floats = Vector<float, FLOATS>;
using Ints = Vector<std::int32_t, FLOATS>;

// The rows of a patch that lie inside the threshold, column by column: `size` of them, the first is `from`.
struct Crossings {
  std::vector<std::uint8_t> from, size;
  explicit Crossings(int columns) : from(whole<BYTES>(columns)), size(from.size()) {}
};

// How far down the rows of a strip lie, in float: the last one `last` of the way, each other one `step` less, but
// none before 0.
struct Descent {
  float rows, last, step;
  Floats at(Floats row) const {
    const Floats fraction = last - step * (rows - 1 - row);
    return fraction > 0 ? fraction : Floats{};
  }
};

// Whole numbers of 0 to 255 as bytes: the lowest byte of each (GCC converts vectors so short one by one).
inline Vector<std::uint8_t, FLOATS> bytes_of(const Floats& numbers) {
  const auto bytes = reinterpret_cast<Bytes>(__builtin_convertvector(numbers, Ints));
  return __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 16, 20, 24, 28);
}

// Finds where columns of a patch cross the threshold, each given its value at the upper edge and how much greater
// the lower edge is. Values are monotone down a column, in double too, so four of them prove where it crosses: at
// its ends, and on both sides. Returns how many pixels are inside, or -1 if one of those is closer to the threshold
// than float's error.
inline int find_crossings(Crossings* found, const float* top, const float* slope, int columns, const Descent& down,
                          float bar, float error) {
  const Floats none = {}, rows = none + down.rows, end = rows - 1, start = down.at(none);
  const float per_row = 1 / down.step;
  Floats inside = {};
  Ints doubt = {};
  for (int x = 0; x < columns; x += FLOATS) {
    const auto above = load_vector<Floats>(top + x) - bar, by = load_vector<Floats>(slope + x);
    Floats guess = end - (down.last + above / by) * per_row;  // NaN or infinite where the column is flat
    guess = guess > 0 ? guess : none;
    guess = guess < rows ? guess : rows;
    Floats cross = __builtin_convertvector(__builtin_convertvector(guess, Ints), Floats);
    cross += cross < guess ? none + 1 : none;  // the first row behind the crossing
    const Floats first = above + by * start, last = above + by * down.last;
    const Floats before = above + by * down.at(cross > 0 ? cross - 1 : none);
    const Floats behind = above + by * down.at(cross < rows ? cross : end);
    for (const Floats& v : {first, before, behind, last}) doubt |= (v < error) & (v > -error);
    doubt |= ((first > 0) ^ (before > 0)) | ((behind > 0) ^ (last > 0));
    const Floats from = before > 0 ? none : cross, size = (behind > 0 ? rows : cross) - from;
    inside += size;
    store_vector(&found->from[x], bytes_of(from));
    store_vector(&found->size[x], bytes_of(size));
  }
  Bytes doubts;
  std::memcpy(&doubts, &doubt, sizeof doubts);
  if (!is_zero(doubts)) return -1;
  float count = 0;
  for (int lane = 0; lane < FLOATS; ++lane) count += inside[lane];
  return static_cast<int>(count);
}

// Counts heart pixels between the crossings of at most MOST_ROWS rows.
inline int count_hearts(const Crossings& found, int columns, int rows, const std::uint8_t* mask, int stride) {
  int count = 0;
  for (int x = 0; x < columns; x += BYTES) {
    const std::size_t width = static_cast<std::size_t>(columns - x < BYTES ? columns - x : BYTES);
    const auto from = load_part(&found.from[x], width), size = load_part(&found.size[x], width);
    Bytes hearts = {};
    for (int y = 0; y < rows; ++y) {
      const Bytes heart = load_part(mask + static_cast<std::int64_t>(y) * stride + x, width) != 0;
      hearts -= heart & (Bytes{} + static_cast<std::uint8_t>(y) - from < size);
    }
    for (int lane = 0; lane < BYTES; ++lane) count += hearts[lane];
  }
  return count;
}

// The same pixel by pixel in double, as math.h says; without a mask, all pixels inside.
template <bool MASKED>
int count_hot(const double* top, const double* bottom, const double* fractions, int rows, int columns, double low,
              double bar, const std::uint8_t* mask, int stride) {
  int count = 0;
  for (int y = 0; y < rows; ++y, mask += stride) {
    for (int x = 0; x < columns; ++x) {
      const bool heart = !MASKED || mask[x] != 0;
      count += heart && is_hot(lerp(top[x], bottom[x], fractions[y]), low, bar);
    }
  }
  return count;
}

}  // namespace cmrbias::cpu
