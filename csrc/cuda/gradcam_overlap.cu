// gradcam_overlap on CUDA: one kernel reads everything once.
//
// Some blocks write maps of segments of channels, others project the images' masks; whichever of a map's blocks is
// done last adds up the map and scores it. So what computes runs beside what reads.
#include "channels.h"
#include "gradcam.h"
#include "overlap.h"
#include "projection.h"
#include "scores.h"

namespace cmrbias::cuda {
namespace {

constexpr int RESIDENT_PASS = 6;  // blocks a multiprocessor: with more, ptxas spills

// All that the blocks share.
struct Pass {
  Gradcam gradcam;
  GradcamScratch segments;
  Walk walk;
  Overlap overlap;
  Projection projection;
  Grid grid;
  Reading reading;
  int lanes, *inside;
};

// Says that the block has done its part of a map; returns, to all its threads, whether the parts of all blocks are
// there, and visible.
__device__ bool completes(int* done, int parts) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(done, 1) == parts - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

// Adds up a map and scores it, the block's threads together.
template <class T>
__device__ void finish(const Pass& pass, std::int64_t map) {
  const int cells = pass.gradcam.cells, segments = pass.segments.segments;
  auto* to = static_cast<Real<T>*>(pass.gradcam.maps) + map * cells;
  const double* partials = pass.segments.partials + map * segments * cells;
  for (int cell = threadIdx.x; cell < cells; cell += THREADS) {
    to[cell] = static_cast<Real<T>>(sum_of_segments(partials, segments, cells, cell));
  }
  __syncthreads();
  score_map<Real<T>>(pass.overlap, pass.grid, pass.lanes, pass.inside, map);
}

// blockIdx.y is an image, whose first block projects its mask; the others take shares of its maps' channels.
template <class T, int CELLS>
__global__ void __launch_bounds__(THREADS, RESIDENT_PASS) map_and_score(Pass pass) {
  __shared__ union Memory {
    Tiles<T> tiles;
    Board moments;
  } memory;
  __shared__ std::uint64_t barriers[STAGES];
  Arrivals arrivals(barriers);
  const int targets = pass.overlap.targets, groups = pass.walk.groups, number = static_cast<int>(blockIdx.x) - 1;
  const int target = number < 0 ? 0 : number / groups;
  for (std::int64_t image = blockIdx.y; image < pass.overlap.images; image += gridDim.y) {
    std::int64_t map = image * targets + target, last = map + 1;  // those that this is a part of
    if (number < 0) {
      project_image(memory.moments, pass.projection, pass.grid, pass.reading, image, pass.inside);
      last = map + targets;
    } else {
      const Share<T> share(pass.gradcam, pass.walk, image, map, number - target * groups);
      map_segments<CELLS>(arrivals, memory.tiles, share,
                          pass.segments.partials + map * pass.segments.segments * pass.gradcam.cells);
    }
    for (; map < last; ++map) {
      if (completes(pass.segments.done + map, groups + 1)) finish<T>(pass, map);
    }
  }
}

template <class T>
void launch_pass(const Gradcam& gradcam, const GradcamScratch& segments, Overlap overlap, const OverlapScratch& scratch,
                 void* stream) {
  const Walk walk = plan<T>(gradcam, segments.segments);
  if (walk.groups == 0) {
    cuda::gradcam(gradcam, segments, stream);
    return cuda::overlap(overlap, scratch, stream);
  }
  const Projection projection = projection_of(overlap, scratch);
  overlap.cells = projection.cells;
  overlap.areas = projection.areas;
  tabulate(scratch.grid, stream, segments.done, gradcam.images * gradcam.targets);
  const int lanes = lanes_of_patch(scratch.grid);
  const Pass pass{gradcam, segments, walk, overlap, projection, scratch.grid, reading_of(projection), lanes,
                  scratch.inside};
  const auto kernel = gradcam.cells == USUAL_CELLS ? map_and_score<T, USUAL_CELLS> : map_and_score<T, 0>;
  const dim3 blocks(static_cast<unsigned>(1 + gradcam.targets * walk.groups), blocks_along_y(overlap.images));
  launch("gradcam_overlap: map_and_score", kernel, blocks, THREADS, stream, pass);
}

}  // namespace

void gradcam_overlap(const Gradcam& gradcam, const Overlap& overlap, void* scratch, void* stream) {
  Layout layout(scratch);
  const GradcamScratch segments(layout, gradcam);
  const OverlapScratch at(layout, overlap);
  switch (gradcam.type) {
    case Type::float32: return launch_pass<float>(gradcam, segments, overlap, at, stream);
    case Type::float64: return launch_pass<double>(gradcam, segments, overlap, at, stream);
    case Type::bfloat16: return launch_pass<bfloat16>(gradcam, segments, overlap, at, stream);
  }
}

}  // namespace cmrbias::cuda
