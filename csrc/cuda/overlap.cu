// overlap on CUDA: masks are projected once for all their maps (projection.h), then one block a map scores it
// (scores.h).
#include "overlap.h"
#include "projection.h"
#include "scores.h"

namespace cmrbias::cuda {
namespace {

// blockIdx.x is an image, blockIdx.y a target, counted from the first ones on.
template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    score_maps(Overlap overlap, Grid grid, int lanes, const int* inside, std::int64_t first, int first_target) {
  const int target = first_target + static_cast<int>(blockIdx.y);
  score_map<T>(overlap, grid, lanes, inside, first + blockIdx.x, target);
}

template <class T>
void launch_scores(const Overlap& overlap, const OverlapScratch& scratch, void* stream) {
  const int lanes = lanes_of_patch(scratch.grid);
  for (std::int64_t first = 0; first < overlap.images; first += MOST_ALONG_X) {
    for (std::int64_t target = 0; target < overlap.targets; target += MOST_ALONG_Y) {
      const dim3 blocks(blocks_along_x(overlap.images - first), blocks_along_y(overlap.targets - target));
      launch("overlap: score_maps", score_maps<T>, blocks, THREADS, stream, overlap, scratch.grid, lanes,
             static_cast<const int*>(scratch.inside), first, static_cast<int>(target));
    }
  }
}

}  // namespace

void overlap(Overlap overlap, const OverlapScratch& scratch, void* stream) {
  tabulate(scratch.grid, stream);
  if (overlap.masks) {
    const Projection projection = projection_of(overlap, scratch);
    project(projection, scratch.grid, scratch.inside, stream);
    overlap.cells = projection.cells;
    overlap.areas = projection.areas;
  }
  switch (overlap.type) {
    case Type::float32: return launch_scores<float>(overlap, scratch, stream);
    case Type::float64: return launch_scores<double>(overlap, scratch, stream);
    case Type::bfloat16: return launch_scores<bfloat16>(overlap, scratch, stream);
  }
}

void overlap(const Overlap& overlap, void* scratch, void* stream) {
  Layout layout(scratch);
  cuda::overlap(overlap, OverlapScratch(layout, overlap), stream);
}

}  // namespace cmrbias::cuda
