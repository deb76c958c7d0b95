// Masks on a map's grid on CUDA: one block an image, one pass over its mask; for project_masks, overlap and the pass
// that also makes the maps.
//
// A group of threads, at most a warp, sums over a patch; the cells then gather from the patches around them in
// the order of cpu/projected.h. At whole scales all sums are of whole numbers, and so the processor's; elsewhere
// they are added in another order, that of the threads, which the sizes fix.
#pragma once

#include "grid.h"

namespace cmrbias::cuda {

constexpr int SIDE = 16;      // a block holds the patches around SIDE x SIDE cells
constexpr int WORD = 8;       // mask pixels read at a time
constexpr int WORDS = 4;      // words that a thread has under way

// How masks are read: a patch by `across` threads side by side, in `down` rows, powers of two; words at once if
// `aligned`.
struct Reading {
  int across, down;
  bool aligned;
};

struct Moments {
  int count;                 // heart pixels
  double row, column, both;  // sums of their row part, column part and product of the two
};

// A plane of masks.
struct Mask {
  const std::uint8_t* pixels;
  int columns;
  bool aligned;
};

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
__device__ inline void add_word(Moments& sums, std::uint64_t word, double row_part, const double* column_parts) {
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
__device__ inline Moments add_up(const Mask& mask, const Grid& grid, const Patch& patch, const Reading& reading,
                                 int lane) {
  const Strip &rows = patch.rows, &columns = patch.columns;
  Moments sums{0, 0, 0, 0};
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

// Adds to a cell, in row j and column q of the grid, what one of the patches around it gives.
__device__ inline void add_patch(double& cell, const Moments& m, const Grid& grid, const Patch& patch, int j, int q) {
  const double down = grid.rows.divisor, right = grid.columns.divisor;
  const Strip &rows = patch.rows, &columns = patch.columns;
  if (rows.cell == j && columns.cell == q) cell += down * right * m.count - right * m.row - down * m.column + m.both;
  if (rows.cell == j && columns.next == q) cell += down * m.column - m.both;
  if (rows.next == j && columns.cell == q) cell += right * m.row - m.both;
  if (rows.next == j && columns.next == q) cell += m.both;
}

// Cells [top, bottom) x [left, right), and the patches that they gather from, which start a row above and a
// column before.
struct Window {
  int top, bottom, left, right;
  __device__ Window(const Grid& grid, int top, int left)
      : top(top), bottom(min(top + SIDE, grid.rows.cells)), left(left), right(min(left + SIDE, grid.columns.cells)) {}
  __device__ int above() const { return max(top - 1, 0); }
  __device__ int before() const { return max(left - 1, 0); }
};
using Board = Moments[SIDE + 1][SIDE + 1];

// Sums over each of a window's patches, a group of threads each.
__device__ inline void measure(Board& moments, const Mask& mask, const Grid& grid, const Window& window,
                               const Reading& reading) {
  const int threads = reading.across * reading.down, group = threadIdx.x / threads, lane = threadIdx.x % threads;
  const int across = window.right - window.before(), patches = (window.bottom - window.above()) * across;
  for (int first = 0; first < patches; first += THREADS / threads) {
    const int y = (first + group) / across, x = (first + group) % across;
    const bool exists = first + group < patches;  // all threads take part in the sums
    Moments sums{0, 0, 0, 0};
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

// Returns what the cell in row j and column q gets.
__device__ inline double gather(const Board& moments, const Grid& grid, const Window& window, int j, int q) {
  double cell = 0;
  for (int y = max(j - 1, 0); y <= j; ++y) {
    for (int x = max(q - 1, 0); x <= q; ++x) {
      const Patch patch{strip_of(grid.rows, y), strip_of(grid.columns, x)};
      add_patch(cell, moments[y - window.above()][x - window.before()], grid, patch, j, q);
    }
  }
  return cell;
}

// Projects a plane: the block's threads together. Returns a thread's share of the area.
__device__ inline int project_plane(Board& moments, const Mask& mask, const Grid& grid, const Reading& reading,
                                    double* cells, int* inside) {
  int area = 0;  // of under 2^30 pixels
  for (int top = 0; top < grid.rows.cells; top += SIDE) {
    for (int left = 0; left < grid.columns.cells; left += SIDE) {
      const Window window(grid, top, left);
      measure(moments, mask, grid, window, reading);
      __syncthreads();
      for (int i = threadIdx.x; i < SIDE * SIDE; i += THREADS) {
        const int j = top + i / SIDE, q = left + i % SIDE;
        if (j >= window.bottom || q >= window.right) continue;
        const int at = j * grid.columns.cells + q;
        const int count = moments[j - window.above()][q - window.before()].count;
        cells[at] = gather(moments, grid, window, j, q);
        if (inside) inside[at] = count;
        area += count;
      }
      __syncthreads();
    }
  }
  return area;
}

// A patch's words and rows, shared by as many threads of a warp as they keep busy.
inline Reading reading_of(const Projection& projection) {
  const int across = power_of_two(projection.columns / projection.width / WORD, WARP);
  const auto address = reinterpret_cast<std::uintptr_t>(projection.masks);
  return {across, power_of_two(projection.rows / projection.height, WARP / across),
          projection.columns % WORD == 0 && address % WORD == 0};
}

// Projects an image's mask, the block's threads together. `inside` (images, height, width) is given the heart pixels
// of each patch, unless null.
__device__ inline void project_image(Board& moments, const Projection& projection, const Grid& grid,
                                     const Reading& reading, std::int64_t image, int* inside) {
  const std::int64_t pixels = static_cast<std::int64_t>(projection.rows) * projection.columns;
  const std::int64_t first = image * grid.patches();
  const Mask mask{projection.masks + image * pixels, projection.columns, reading.aligned};
  int area = project_plane(moments, mask, grid, reading, projection.cells + first, inside ? inside + first : nullptr);
  area = combine_all(area, Sum());
  if (threadIdx.x == 0) projection.areas[image] = area;
}

// Projects masks onto a grid whose tables are written.
void project(const Projection& projection, const Grid& grid, int* inside, void* stream);

}  // namespace cmrbias::cuda
