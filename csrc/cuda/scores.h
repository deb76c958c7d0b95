// The scores of a map on CUDA, by a block, for overlap and for the pass that also makes the maps.
//
// The decisions are those of cpu/upsampled.h, and sums of a map are added in its order. A mask is read again
// only in patches that the threshold or the peak leaves in doubt.
#pragma once

#include "upsampled.h"

namespace cmrbias::cuda {

// A mask and its projection; no pixels if only the projection was given.
struct Heart {
  const std::uint8_t* pixels;
  const int* inside;  // heart pixels of each patch
  const double* cells;
  std::int64_t area;
};

// The best AKS that a map of the grid can reach: its whole weight in one cell.
__device__ inline double ceiling(const Grid& grid, const double* cells) {
  double best = 0;
  for (int i = threadIdx.x; i < grid.patches(); i += THREADS) {
    const double weight = grid.rows.weights[i / grid.columns.cells] * grid.columns.weights[i % grid.columns.cells];
    if (weight > 0) best = Greatest()(best, cells[i] / weight);
  }
  return Least()(combine_all(best, Greatest()), 1.0);
}

struct Totals {
  double saliency, inside;
};

// Sums of (c - low) times what a cell weighs in the image, and in the heart: a thread a row of cells, then the
// first thread the rows. Only the first thread's result counts.
template <class T>
__device__ Totals totals(const Upsampled<T>& map, const double* cells) {
  __shared__ double saliency[THREADS], inside[THREADS];
  const Grid& grid = map.grid;
  Totals sums{0, 0};
  for (int first = 0; first < grid.rows.cells; first += THREADS) {
    const int j = first + static_cast<int>(threadIdx.x), count = min(THREADS, grid.rows.cells - first);
    if (j < grid.rows.cells) {
      double whole = 0, part = 0;
      for (int q = 0; q < grid.columns.cells; ++q) {
        const double above = map.cell(j, q) - map.low;
        whole += above * grid.columns.weights[q];
        part += above * cells[j * grid.columns.cells + q];
      }
      saliency[threadIdx.x] = whole * grid.rows.weights[j];
      inside[threadIdx.x] = part;
    }
    __syncthreads();
    for (int row = 0; threadIdx.x == 0 && row < count; ++row) {
      sums.saliency += saliency[row];
      sums.inside += inside[row];
    }
    __syncthreads();
  }
  return {Greatest()(sums.saliency * grid.unit(), 0.0), Greatest()(sums.inside * grid.unit(), 0.0)};
}

struct Hot {
  int area, inside;  // of a mask of under 2^30 pixels
};

struct Rows {
  int first, last;
};

// The rows of a patch's column that are inside the threshold: all from some row on, or all before it, since the
// column is monotone. So the search asks a few pixels, and for each the exact expression: first where a column without
// rounding would cross the threshold, then beside it, which mostly is all.
template <class T>
__device__ Rows hot_rows(const Upsampled<T>& map, const Column& at, const Strip& rows, double bar) {
  const Axis& axis = map.grid.rows;
  const bool rises = at.bottom > at.top;
  const float way = __fdividef(static_cast<float>(bar + map.low - at.top), static_cast<float>(at.bottom - at.top));
  const float crossing = fminf(fmaxf(way, 0.0f), 1.0f) + static_cast<float>(rows.cell) + 0.5f;
  const float scale = __fdividef(static_cast<float>(axis.pixels), static_cast<float>(axis.cells));
  int first = rows.first, last = rows.last, row = max(min(static_cast<int>(crossing * scale + 0.5f), last - 1), first);
  for (bool near = true; first < last; near = false) {
    const bool before = is_hot(map.pixel(at, row), map.low, bar) == rises;
    if (before) {
      last = row;
    } else {
      first = row + 1;
    }
    row = !near ? (first + last) / 2 : before ? last - 1 : first;
  }
  return rises ? Rows{first, rows.last} : Rows{rows.first, first};
}

// Counts pixels inside the threshold, and those of them in the heart.
template <class T>
__device__ Hot count_hot(const Upsampled<T>& map, const Heart& heart, double threshold) {
  const Grid& grid = map.grid;
  const double bar = threshold * (map.high - map.low);
  Hot hot{0, 0};
  for_each_chosen(
      grid, map.lanes,
      [&](const Patch& patch) {
        const Range range = map.corners(patch);
        if (range.least - map.slack - map.low >= bar + map.slack) {
          hot.area += patch.size();
          hot.inside += heart.inside[patch.number(grid)];
          return false;
        }
        return range.most + map.slack - map.low >= bar - map.slack;
      },
      [&](const Patch& patch, int lane) {
        const int hearts = heart.inside[patch.number(grid)];
        for_each_column(map, patch, lane, [&](const Column& at, int x) {
          const Rows rows = hot_rows(map, at, patch.rows, bar);
          const int count = rows.last - rows.first;
          hot.area += count;
          if (hearts == patch.size()) {
            hot.inside += count;
          } else if (hearts > 0) {
            const std::uint8_t* pixels = heart.pixels + x;
#pragma unroll 4
            for (int y = rows.first; y < rows.last; ++y) hot.inside += pixels[y * grid.columns.pixels] != 0;
          }
        });
      });
  return {combine_all(hot.area, Sum()), combine_all(hot.inside, Sum())};
}

// Does any pixel that equals the maximum lie in the heart?
template <class T>
__device__ bool peak_inside(const Upsampled<T>& map, const Heart& heart) {
  int found = 0;
  for_each_chosen(
      map.grid, map.lanes,
      [&](const Patch& patch) {
        return heart.inside[patch.number(map.grid)] > 0 && map.corners(patch).most + map.slack >= map.high;
      },
      [&](const Patch& patch, int lane) {
        for_each_column(map, patch, lane, [&](const Column& at, int x) {
          for (int y = patch.rows.first; y < patch.rows.last; ++y) {
            if (map.pixel(at, y) == map.high && heart.pixels[y * map.grid.columns.pixels + x]) found = 1;
          }
        });
      });
  return combine_all(found, Greatest()) != 0;
}

// Scores an image's map of a target, the block's threads together; the first thread writes. `inside` is null if
// projections were given.
template <class T>
__device__ void score_map(const Overlap& overlap, const Grid& grid, int lanes, const int* inside, std::int64_t image,
                          int target) {
  const int pixels = overlap.rows * overlap.columns;
  const std::int64_t at = image * overlap.targets + target;
  const Heart heart{overlap.masks ? overlap.masks + image * pixels : nullptr,
                    inside ? inside + image * grid.patches() : nullptr, overlap.cells + image * grid.patches(),
                    overlap.areas[image]};
  Upsampled<T> map{grid, static_cast<const T*>(overlap.maps) + at * grid.patches(), lanes, 0, 0, 0};
  const bool good = map.take(), varies = good && !map.constant();
  Totals total{0, 0};
  Hot hot{0, 0};
  bool peak = false;
  if (varies) {
    if (overlap.counts) {
      hot = count_hot(map, heart, overlap.threshold);
      peak = heart.area > 0 && peak_inside(map, heart);
    }
    total = totals(map, heart.cells);
    total.inside = heart.area == pixels ? total.saliency : Least()(total.inside, total.saliency);
  }
  const double best = target == 0 ? ceiling(grid, heart.cells) : 0.0;
  if (threadIdx.x != 0) return;
  double* sums = overlap.sums + at * SUMS;
  sums[SALIENCY] = good ? total.saliency : NAN;
  sums[INSIDE] = good ? total.inside : NAN;
  sums[MINIMUM] = good ? map.low : NAN;
  sums[MAXIMUM] = good ? map.high : NAN;
  if (overlap.counts) {
    std::int64_t* counts = overlap.counts + at * COUNTS;
    counts[HOT_AREA] = hot.area;
    counts[HOT_INSIDE] = hot.inside;
    counts[PEAK_INSIDE] = peak;
  }
  if (target != 0) return;
  overlap.of_mask[image * OF_MASK + AREA] = static_cast<double>(heart.area);
  overlap.of_mask[image * OF_MASK + CEILING] = best;
}

}  // namespace cmrbias::cuda
