// An upsampled map on CUDA, patch by patch: the decisions of cpu/upsampled.h.
//
// A block's threads take the patches in turn; where a patch's corners leave a doubt, a group of threads takes its
// columns, which are monotone downwards even when rounded.
#pragma once

#include <cfloat>

#include "grid.h"

namespace cmrbias::cuda {

// The least and the greatest of a patch's corner pixels: of all its pixels, up to the slack.
struct Range {
  double least, most;
};

// A patch's upper and lower edge at one column of pixels.
struct Column {
  double top, bottom;
};

template <class T>
struct Upsampled {
  const Grid& grid;
  const T* map;
  int lanes;                // threads that share a patch
  double low, high;         // of its pixels
  double slack;             // see math.h

  // Takes a map, the block's threads together; returns false if it is negative somewhere or not finite.
  __device__ bool take() {
    double greatest = 0;
    low = DBL_MAX, high = 0;
    for (int i = threadIdx.x; i < grid.patches(); i += THREADS) {
      const double c = load(map[i]);
      greatest = Greatest()(greatest, c >= 0 && c <= DBL_MAX ? c : INFINITY);
      const Patch patch = patch_at(grid, i / grid.columns.cells, i % grid.columns.cells);
      if (patch.size() == 0) continue;
      const Range range = corners(patch);
      low = Least()(low, range.least);
      high = Greatest()(high, range.most);
    }
    greatest = combine_all(greatest, Greatest());
    if (greatest > DBL_MAX) return false;
    slack = greatest * SLACK + DBL_MIN;
    low = combine_all(low, Least());
    high = combine_all(high, Greatest());
    look_beyond_corners();
    return true;
  }

  __device__ bool constant() const { return low == high; }
  __device__ double cell(int j, int q) const { return load(map[j * grid.columns.cells + q]); }

  // A patch's edges at column x, and a pixel between them at row y.
  __device__ Column column(const Patch& patch, int x) const {
    const Strip &rows = patch.rows, &columns = patch.columns;
    const double fraction = grid.columns.fractions[x];
    return {lerp(cell(rows.cell, columns.cell), cell(rows.cell, columns.next), fraction),
            lerp(cell(rows.next, columns.cell), cell(rows.next, columns.next), fraction)};
  }
  __device__ double pixel(const Column& at, int y) const { return lerp(at.top, at.bottom, grid.rows.fractions[y]); }

  __device__ Range corners(const Patch& patch) const {
    const Column left = column(patch, patch.columns.first), right = column(patch, patch.columns.last - 1);
    const double a = pixel(left, patch.rows.first), b = pixel(right, patch.rows.first);
    const double c = pixel(left, patch.rows.last - 1), d = pixel(right, patch.rows.last - 1);
    return {Least()(Least()(a, b), Least()(c, d)), Greatest()(Greatest()(a, b), Greatest()(c, d))};
  }

 private:
  __device__ bool flat(const Patch& patch) const {
    const Strip &rows = patch.rows, &columns = patch.columns;
    const double a = cell(rows.cell, columns.cell);
    return a == cell(rows.cell, columns.next) && a == cell(rows.next, columns.cell) &&
           a == cell(rows.next, columns.next);
  }

  // Rounding may put an extreme a last bit beyond the corners: the first and last rows of patches at the extreme
  // are looked at. Nothing is below 0, and a flat patch has one value.
  __device__ void look_beyond_corners() {
    const double lowest = low, highest = high;
    for_each_chosen(
        grid, lanes,
        [&](const Patch& patch) {
          if (flat(patch)) return false;
          const Range range = corners(patch);
          return (lowest > 0 && range.least - slack < lowest) || range.most + slack > highest;
        },
        [&](const Patch& patch, int lane) {
          for (int x = patch.columns.first + lane; x < patch.columns.last; x += lanes) {
            const Column at = column(patch, x);
            const double first = pixel(at, patch.rows.first), last = pixel(at, patch.rows.last - 1);
            low = Least()(low, Least()(first, last));
            high = Greatest()(high, Greatest()(first, last));
          }
        });
    low = combine_all(low, Least());
    high = combine_all(high, Greatest());
  }
};

// Calls work(column, x) for a thread's share of a patch's columns.
template <class T, class Work>
__device__ void for_each_column(const Upsampled<T>& map, const Patch& patch, int lane, const Work& work) {
  for (int x = patch.columns.first + lane; x < patch.columns.last; x += map.lanes) work(map.column(patch, x), x);
}

// How many threads share a patch: about as many as it has columns.
inline int lanes_of_patch(const Grid& grid) { return power_of_two(grid.columns.pixels / grid.columns.cells, WARP); }

}  // namespace cmrbias::cuda
