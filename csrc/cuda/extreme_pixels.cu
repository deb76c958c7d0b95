// extreme_pixels on CUDA: one block a map.
#include "upsampled.h"

namespace cmrbias::cuda {
namespace {

// Writes the first pixel, in row-major order, that equals the map's minimum, and that which equals its maximum.
template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT) find_extremes(Extremes extremes, Grid grid, int lanes) {
  for (std::int64_t at = blockIdx.x; at < extremes.images; at += gridDim.x) {
    Upsampled<T> map{grid, static_cast<const T*>(extremes.maps) + at * grid.patches(), lanes, 0, 0, 0};
    const int none = grid.rows.pixels * grid.columns.pixels;
    int lowest = none, highest = none;
    if (map.take()) {
      for_each_chosen(
          grid, lanes,
          [&](const Patch& patch) {
            const Range range = map.corners(patch);
            return range.least - map.slack <= map.low || range.most + map.slack >= map.high;
          },
          [&](const Patch& patch, int lane) {
            for_each_column(map, patch, lane, [&](const Column& column, int x) {
              for (int y = patch.rows.first; y < patch.rows.last; ++y) {
                const double v = map.pixel(column, y);
                const int pixel = y * grid.columns.pixels + x;
                if (v == map.low) lowest = Least()(lowest, pixel);
                if (v == map.high) highest = Least()(highest, pixel);
              }
            });
          });
    }
    lowest = combine_all(lowest, Least());
    highest = combine_all(highest, Least());
    if (threadIdx.x != 0) continue;
    extremes.pixels[2 * at] = lowest == none ? -1 : lowest;
    extremes.pixels[2 * at + 1] = highest == none ? -1 : highest;
  }
}

template <class T>
void launch_extremes(const Extremes& extremes, const Grid& grid, void* stream) {
  launch("extreme_pixels: find_extremes", find_extremes<T>, dim3(blocks_along_x(extremes.images)), THREADS, stream,
         extremes, grid, lanes_of_patch(grid));
}

}  // namespace

void extreme_pixels(const Extremes& extremes, void* scratch, void* stream) {
  Layout layout(scratch);
  const ExtremesScratch at(layout, extremes);
  tabulate(at.grid, stream);
  switch (extremes.type) {
    case Type::float32: return launch_extremes<float>(extremes, at.grid, stream);
    case Type::float64: return launch_extremes<double>(extremes, at.grid, stream);
    case Type::bfloat16: return launch_extremes<bfloat16>(extremes, at.grid, stream);
  }
}

}  // namespace cmrbias::cuda
