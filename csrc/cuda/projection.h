// Masks on a map's grid on CUDA: one block an image, one pass over its mask; for project_masks, overlap and the pass
// that also makes the maps.
//
// The sums over patches come from patch_moments.h or, in whole numbers, whole_moments.h; the cells gather from the patches
// around them in the order of cpu/projected.h. At whole scales all sums are of whole numbers, and so the processor's;
// elsewhere they are added in another order, that of the threads, which the sizes fix.
#pragma once

#include "patch_moments.h"
#include "whole_moments.h"

namespace cmrbias::cuda {

// Returns what the cell in row j and column q gets from the patches around it: from that of another cell what that
// gives beyond, at the border from its own also what no other cell takes.
template <class Part>
__device__ double gather(const Board<Part>& moments, const Grid& grid, const Window& window, int j, int q) {
  const double down = grid.rows.divisor, right = grid.columns.divisor;
  const bool lowest = j + 1 == grid.rows.cells, rightmost = q + 1 == grid.columns.cells;
  const auto of = [&](int y, int x) {
    const Moments<Part>& m = moments[y - window.above()][x - window.before()];
    return Moments<double>{m.count, static_cast<double>(m.row), static_cast<double>(m.column),
                           static_cast<double>(m.both)};
  };
  double cell = j > 0 && q > 0 ? of(j - 1, q - 1).both : 0.0;
  if (j > 0) {
    const Moments<double> m = of(j - 1, q);
    cell += right * m.row - m.both;
    if (rightmost) cell += m.both;
  }
  if (q > 0) {
    const Moments<double> m = of(j, q - 1);
    cell += down * m.column - m.both;
    if (lowest) cell += m.both;
  }
  const Moments<double> m = of(j, q);
  cell += down * right * m.count - right * m.row - down * m.column + m.both;
  if (rightmost) cell += down * m.column - m.both;
  if (lowest) cell += right * m.row - m.both;
  if (lowest && rightmost) cell += m.both;
  return cell;
}

// Writes a window's cells and, unless null, the heart pixels of their patches: the block's threads together. Returns a
// thread's share of the area.
template <class Part>
__device__ int write_cells(const Board<Part>& moments, const Grid& grid, const Window& window, double* cells,
                           int* inside) {
  int area = 0;  // of under 2^30 pixels
  const int across = window.right - window.left, count = (window.bottom - window.top) * across;
  for (int i = threadIdx.x; i < count; i += THREADS) {
    const int j = window.top + i / across, q = window.left + i % across;
    const int at = j * grid.columns.cells + q;
    const int hearts = moments[j - window.above()][q - window.before()].count;
    cells[at] = gather(moments, grid, window, j, q);
    if (inside) inside[at] = hearts;
    area += hearts;
  }
  return area;
}

// Projects a plane, in whole numbers or not: the block's threads together. Returns a thread's share of the area.
template <class Part>
__device__ int project_plane(Board<Part>& moments, const Mask& mask, const Grid& grid, const Reading& reading,
                             double* cells, int* inside) {
  int area = 0;
  for (int top = 0; top < grid.rows.cells; top += SIDE) {
    for (int left = 0; left < grid.columns.cells; left += SIDE) {
      const Window window(grid, top, left);
      measure(moments, mask, grid, window, reading);
      __syncthreads();
      area += write_cells(moments, grid, window, cells, inside);
      __syncthreads();
    }
  }
  return area;
}

// A patch's words and rows are shared by as many threads of a warp as they keep busy, a whole plane's by all threads.
inline Reading reading_of(const Projection& projection) {
  const auto address = reinterpret_cast<std::uintptr_t>(projection.masks);
  const bool aligned = projection.columns % WORD == 0 && address % WORD == 0;
  if (aligned && has_whole_words(projection)) {
    const int across = power_of_two(projection.columns / WORD, WARP);
    return {across, THREADS / across, true, true};
  }
  const int across = power_of_two(projection.columns / projection.width / WORD, WARP);
  return {across, power_of_two(projection.rows / projection.height, WARP / across), aligned, false};
}

// Projects an image's mask, the block's threads together. `inside` (images, height, width) is given the heart pixels
// of each patch, unless null.
template <class Part>
__device__ void project_image(Board<Part>& moments, const Projection& projection, const Grid& grid,
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
