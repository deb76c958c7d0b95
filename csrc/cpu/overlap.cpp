// overlap and project_masks on the processor: one thread an image, one pass over its mask.
//
// No upsampled map is written: sums go through the projection of the mask onto the map's grid (projected.h), and
// decisions through the patches between cells (upsampled.h).
#include <algorithm>
#include <limits>
#include <memory>

#include "gradcam.h"
#include "instruction_sets.h"
#include "projected.h"
#include "share.h"
#include "upsampled.h"

namespace cmrbias::cpu {
namespace {

constexpr double NOT_A_NUMBER = std::numeric_limits<double>::quiet_NaN();

// The mask of the image behind this one, less what Projected asks for, in as many parts as there are patches.
Next next_mask(const Overlap& overlap, std::int64_t number, const Grid& grid) {
  const std::int64_t pixels = static_cast<std::int64_t>(overlap.rows) * overlap.columns;
  if (!overlap.masks || number + 1 == overlap.images || pixels <= MASK_AHEAD) return {};
  const std::uint8_t* mask = overlap.masks + (number + 1) * pixels;
  return {mask + MASK_AHEAD, static_cast<std::size_t>(pixels - MASK_AHEAD), grid.patches()};
}

// Everything about one image, in scratch memory.
template <class T>
void score(const Overlap& overlap, std::int64_t number, Projected* heart_memory, Upsampled* map_memory) {
  Projected& heart = *heart_memory;
  Upsampled& map = *map_memory;
  const std::int64_t pixels = static_cast<std::int64_t>(overlap.rows) * overlap.columns;
  const std::int64_t size = static_cast<std::int64_t>(overlap.height) * overlap.width;
  const std::uint8_t* mask = overlap.masks ? overlap.masks + number * pixels : nullptr;
  if (mask) {
    heart.project(mask);
  } else {
    heart.take(overlap.cells + number * size, overlap.areas[number]);
  }
  double* of_mask = overlap.of_mask + number * OF_MASK;
  of_mask[AREA] = static_cast<double>(heart.area);
  of_mask[CEILING] = ceiling(heart.grid(), heart.cells);
  Next next = next_mask(overlap, number, heart.grid());
  for (int target = 0; target < overlap.targets; ++target) {
    const std::int64_t at = number * overlap.targets + target;
    double* sums = overlap.sums + at * SUMS;
    std::int64_t* counts = overlap.counts ? overlap.counts + at * COUNTS : nullptr;
    std::fill_n(counts, counts ? COUNTS : 0, 0);
    std::fill_n(sums, static_cast<int>(SUMS), NOT_A_NUMBER);
    if (!map.take(static_cast<const T*>(overlap.maps) + at * size, &next)) continue;
    sums[MINIMUM] = map.low();
    sums[MAXIMUM] = map.high();
    const Upsampled::Totals total = map.totals(heart.cells);
    sums[SALIENCY] = total.saliency;
    sums[INSIDE] = heart.area == pixels ? total.saliency : std::min(total.inside, total.saliency);
    if (!counts || map.constant()) continue;
    const Upsampled::Hot hot = map.count(overlap.threshold, heart.inside, mask, &next);
    counts[HOT_AREA] = hot.area;
    counts[HOT_INSIDE] = hot.inside;
    counts[PEAK_INSIDE] = heart.area > 0 && map.peak_inside(heart.inside, mask);
  }
}

void score_image(const Overlap& overlap, std::int64_t number, Projected* heart, Upsampled* map) {
  switch (overlap.type) {
    case Type::float32: return best_of_v3<score<float>>(overlap, number, heart, map);
    case Type::float64: return best_of_v3<score<double>>(overlap, number, heart, map);
    case Type::bfloat16: return best_of_v3<score<bfloat16>>(overlap, number, heart, map);
  }
}

void project_image(const Projection& projection, std::int64_t number, Projected* heart) {
  heart->project(projection.masks + number * projection.rows * projection.columns);
  const std::size_t size = heart->grid().cells();
  std::copy_n(heart->cells.begin(), size, projection.cells + number * size);
  projection.areas[number] = heart->area;
}

template <class T>
void find_extremes(const Extremes& extremes, std::int64_t number, Upsampled* map) {
  const std::int64_t size = static_cast<std::int64_t>(extremes.height) * extremes.width;
  Next nothing;
  const bool good = map->take(static_cast<const T*>(extremes.maps) + number * size, &nothing);
  extremes.pixels[2 * number] = good ? map->first(map->low()) : -1;
  extremes.pixels[2 * number + 1] = good ? map->first(map->high()) : -1;
}

}  // namespace

void project_masks(const Projection& projection) {
  const Grid grid(projection.height, projection.width, projection.rows, projection.columns);
  const std::int64_t pixels = static_cast<std::int64_t>(projection.rows) * projection.columns;
#pragma omp parallel if (is_worth_threads(projection.images, pixels, 0))
  {
    Projected heart(grid);
#pragma omp for schedule(guided)
    for (std::int64_t number = 0; number < projection.images; ++number) {
      best_of_v3<project_image>(projection, number, &heart);
    }
  }
}

void overlap(const Overlap& overlap) {
  const Grid grid(overlap.height, overlap.width, overlap.rows, overlap.columns);
  const std::int64_t pixels = overlap.masks ? static_cast<std::int64_t>(overlap.rows) * overlap.columns : 0;
  const std::int64_t cells = static_cast<std::int64_t>(overlap.targets) * overlap.height * overlap.width;
#pragma omp parallel if (is_worth_threads(overlap.images, pixels, cells))
  {
    Projected heart(grid);
    Upsampled map(grid);
#pragma omp for schedule(guided)
    for (std::int64_t number = 0; number < overlap.images; ++number) score_image(overlap, number, &heart, &map);
  }
}

void gradcam_overlap(const Gradcam& gradcam, const Overlap& overlap) {
  const Grid grid(overlap.height, overlap.width, overlap.rows, overlap.columns);
#pragma omp parallel if (overlap.images > 1)
  {
    const std::unique_ptr<double[]> memory(new double[gradcam_scratch(gradcam)]);
    Projected heart(grid);
    Upsampled map(grid);
#pragma omp for schedule(dynamic, share(overlap.images))
    for (std::int64_t number = 0; number < overlap.images; ++number) {
      gradcam_image(gradcam, number, memory.get());
      score_image(overlap, number, &heart, &map);
    }
  }
}

void extreme_pixels(const Extremes& extremes) {
  const Grid grid(extremes.height, extremes.width, extremes.rows, extremes.columns);
#pragma omp parallel if (extremes.images > 1)
  {
    Upsampled map(grid);
#pragma omp for schedule(dynamic, share(extremes.images))
    for (std::int64_t number = 0; number < extremes.images; ++number) {
      switch (extremes.type) {
        case Type::float32: best_of_v3<find_extremes<float>>(extremes, number, &map); break;
        case Type::float64: best_of_v3<find_extremes<double>>(extremes, number, &map); break;
        case Type::bfloat16: best_of_v3<find_extremes<bfloat16>>(extremes, number, &map); break;
      }
    }
  }
}

}  // namespace cmrbias::cpu
