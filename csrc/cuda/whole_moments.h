// Sums over the heart pixels of a mask's patches on CUDA in whole numbers, at scales that allow it: a third of the
// instructions of patch_moments.h, and the same sums in any order.
//
// A thread goes down some rows of a column of words, each of which lies in one patch, and adds what it found to its
// patch's sums. Pixels count as bytes of 0 or 1, which the GPU multiplies by their parts four at a time.
#pragma once

#include "moments.h"

namespace cmrbias::cuda {

constexpr int LARGEST_SCALE = 128;  // parts, under twice the scale, are bytes, and a patch's sums fit into 31 bits
constexpr int ROWS = 8;             // whose words a thread has under way

// Do patches end between words, and parts fit into bytes?
inline bool has_whole_words(const Projection& projection) {
  if (!exact_scales(projection.height, projection.width, projection.rows, projection.columns)) return false;
  const int down = projection.rows / projection.height, right = projection.columns / projection.width;
  return down <= LARGEST_SCALE && right <= LARGEST_SCALE && right % (2 * WORD) == 0;
}

// At a whole scale, without tables: the cell that a pixel lies at, where its strip begins, and so the one before ends.
__device__ inline int cell_of(const Axis& axis, int pixel) { return max(pixel - axis.scale / 2, 0) / axis.scale; }
__device__ inline int strip_start(const Axis& axis, int cell) {
  if (cell == 0) return 0;
  return cell < axis.cells ? cell * axis.scale + axis.scale / 2 : axis.pixels;
}

// The parts of a word's columns, four bytes each.
struct WordParts {
  unsigned low, high;

  __device__ WordParts(const Axis& columns, int x, int cell) : low(0), high(0) {
    if (x < columns.scale / 2) return;  // before the first cell's centre all of them are 0
    low = whole_part(x, cell, columns.scale) * 0x01010101u + 0x06040200u;
    high = low + 0x08080808u;
  }
};

// Returns 1 in each byte that is not 0.
__device__ inline unsigned ones(unsigned bytes) {
  return (((bytes & 0x7F7F7F7Fu) + 0x7F7F7F7Fu) | bytes) >> 7 & 0x01010101u;
}

// Adds the hearts in a column of words, COUNT rows from row y on, which lie in the strip of a cell.
template <int COUNT>
__device__ void add_words(Moments<int>& sums, const Mask& mask, int y, int x, const Axis& rows, int cell,
                          const WordParts& parts) {
  std::uint64_t words[COUNT], any = 0;
  const std::uint8_t* from = mask.pixels + y * mask.columns + x;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    words[i] = *reinterpret_cast<const std::uint64_t*>(from);
    from += mask.columns;
    any |= words[i];
  }
  if (any == 0) return;  // as most are
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    if (words[i] == 0) continue;
    const unsigned low = ones(static_cast<unsigned>(words[i])), high = ones(static_cast<unsigned>(words[i] >> 32));
    const auto count = static_cast<int>(__dp4a(high, 0x01010101u, __dp4a(low, 0x01010101u, 0u)));
    const auto column = static_cast<int>(__dp4a(high, parts.high, __dp4a(low, parts.low, 0u)));
    const int row_part = whole_part(y + i, cell, rows.scale);
    sums.count += count;
    sums.row += row_part * count;
    sums.column += column;
    sums.both += row_part * column;
  }
}

// Sums over a window's patches, the block's threads together.
__device__ inline void measure(Board<int>& sums, const Mask& mask, const Grid& grid, const Window& window,
                               const Reading& reading) {
  Moments<int>* all = &sums[0][0];
  for (int i = threadIdx.x; i < (SIDE + 1) * (SIDE + 1); i += THREADS) all[i] = {0, 0, 0, 0};
  __syncthreads();
  const Axis &rows = grid.rows, &columns = grid.columns;
  const int lane = threadIdx.x % reading.across, turn = threadIdx.x / reading.across;
  const int top = strip_start(rows, window.above()), bottom = strip_start(rows, window.bottom);
  const int share = (bottom - top + reading.down - 1) / reading.down;
  const int first = top + turn * share, last = min(first + share, bottom);
  const int right = strip_start(columns, window.right);
  for (int x = strip_start(columns, window.before()) + lane * WORD; x < right; x += reading.across * WORD) {
    const int q = cell_of(columns, x);
    const WordParts parts(columns, x, q);
    for (int y = first, j = cell_of(rows, first); y < last; ++j) {
      const int end = min(strip_start(rows, j + 1), last);
      Moments<int> own{0, 0, 0, 0};
      for (; y + ROWS <= end; y += ROWS) add_words<ROWS>(own, mask, y, x, rows, j, parts);
#pragma unroll 1
      for (; y < end; ++y) add_words<1>(own, mask, y, x, rows, j, parts);
      if (own.count == 0) continue;
      Moments<int>& to = sums[j - window.above()][q - window.before()];
      atomicAdd(&to.count, own.count);
      atomicAdd(&to.row, own.row);
      atomicAdd(&to.column, own.column);
      atomicAdd(&to.both, own.both);
    }
  }
}

}  // namespace cmrbias::cuda
