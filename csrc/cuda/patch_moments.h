// Sums over the heart pixels of a mask's patches on CUDA, at any scale.
//
// A group of threads, at most a warp, sums over a patch, in an order that the sizes fix.
#pragma once

#include "moments.h"

namespace cmrbias::cuda {

constexpr int WORDS = 4;  // that a thread has under way

// Returns pixels [x, x + WORD) of a row, the first one lowest. Where the mask is not aligned, those outside the columns
// [first, last) are 0.
__device__ inline std::uint64_t load_word(const Mask& mask, int y, int x, int first, int last) {
  const std::uint8_t* from = mask.pixels + y * mask.columns + x;
  if (mask.aligned) return *reinterpret_cast<const std::uint64_t*>(from);
  std::uint64_t word = 0;
  for (int i = 0; i < WORD; ++i) {
    if (x + i >= first && x + i < last) word |= static_cast<std::uint64_t>(from[i]) << 8 * i;
  }
  return word;
}

// Returns a word without what lies outside the columns [first, last).
__device__ inline std::uint64_t clip(std::uint64_t word, int x, int first, int last) {
  if (x < first) word = word >> 8 * (first - x) << 8 * (first - x);
  if (x + WORD > last) word = word << 8 * (x + WORD - last) >> 8 * (x + WORD - last);
  return word;
}

// Adds the heart pixels of a word at column x of a row.
__device__ inline void add_word(Moments<double>& sums, std::uint64_t word, double row_part, const double* column_parts) {
  int count = 0;
  double column = 0;
#pragma unroll
  for (int i = 0; i < WORD; ++i) {  // without branches, so that the parts are loaded together
    const bool heart = (word >> 8 * i & 0xFF) != 0;
    count += heart;
    column += heart ? column_parts[i] : 0.0;
  }
  sums.count += count;
  sums.row += count * row_part;
  sums.column += column;
  sums.both += row_part * column;
}

// One thread's share of a patch.
__device__ inline Moments<double> add_up(const Mask& mask, const Grid& grid, const Patch& patch, const Reading& reading,
                                 int lane) {
  const Strip &rows = patch.rows, &columns = patch.columns;
  Moments<double> sums{0, 0, 0, 0};
  const int start = columns.first / WORD * WORD + lane % reading.across * WORD;
  for (int x = start; x < columns.last; x += reading.across * WORD) {
    for (int y = rows.first + lane / reading.across; y < rows.last; y += WORDS * reading.down) {
      std::uint64_t words[WORDS], any = 0;
#pragma unroll
      for (int i = 0; i < WORDS; ++i) {
        const int row = y + i * reading.down;
        words[i] = row < rows.last ? load_word(mask, row, x, columns.first, columns.last) : 0;
        any |= words[i];
      }
      if (any == 0) continue;  // as most are
#pragma unroll
      for (int i = 0; i < WORDS; ++i) {
        const std::uint64_t word = clip(words[i], x, columns.first, columns.last);
        if (word) add_word(sums, word, grid.rows.parts[y + i * reading.down], grid.columns.parts + x);
      }
    }
  }
  return sums;
}

// Sums over each of a window's patches, a group of threads each.
__device__ inline void measure(Board<double>& moments, const Mask& mask, const Grid& grid, const Window& window,
                               const Reading& reading) {
  const int threads = reading.across * reading.down, group = threadIdx.x / threads, lane = threadIdx.x % threads;
  const int across = window.right - window.before(), patches = (window.bottom - window.above()) * across;
  for (int first = 0; first < patches; first += THREADS / threads) {
    const int y = (first + group) / across, x = (first + group) % across;
    const bool exists = first + group < patches;  // all threads take part in the sums
    Moments<double> sums{0, 0, 0, 0};
    if (exists) {
      const Patch patch{strip_of(grid.rows, window.above() + y), strip_of(grid.columns, window.before() + x)};
      sums = add_up(mask, grid, patch, reading, lane);
    }
    const bool some = __any_sync(ALL_LANES, sums.count != 0);  // most patches hold no heart
    for (int offset = some ? threads / 2 : 0; offset > 0; offset /= 2) {
      sums.count += __shfl_xor_sync(ALL_LANES, sums.count, offset);
      sums.row += __shfl_xor_sync(ALL_LANES, sums.row, offset);
      sums.column += __shfl_xor_sync(ALL_LANES, sums.column, offset);
      sums.both += __shfl_xor_sync(ALL_LANES, sums.both, offset);
    }
    if (exists && lane == 0) moments[y][x] = sums;
  }
}

}  // namespace cmrbias::cuda
