// overlap on CUDA: masks are projected once for all their maps (projection.h), then one block a map scores it
// (scores.h).
#include "overlap.h"
#include "projection.h"
#include "scores.h"

namespace cmrbias::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    score_maps(Overlap overlap, Grid grid, int lanes, const int* inside) {
  for (std::int64_t at = blockIdx.x; at < overlap.images * overlap.targets; at += gridDim.x) {
    score_map<T>(overlap, grid, lanes, inside, at);
  }
}

template <class T>
void launch_scores(const Overlap& overlap, const OverlapScratch& scratch, void* stream) {
  launch("overlap: score_maps", score_maps<T>, dim3(blocks_along_x(overlap.images * overlap.targets)), THREADS, stream,
         overlap, scratch.grid, lanes_of_patch(scratch.grid), static_cast<const int*>(scratch.inside));
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
