// gradcam_overlap on CUDA: one kernel reads everything once, where maps are small and sums of masks whole; else gradcam
// and overlap run one after the other.
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

// Blocks a multiprocessor that registers are kept for: with more, ptxas spills. From 9.0 on shared memory holds as many,
// before 8.0 two.
#if __CUDA_ARCH__ >= 800
constexpr int RESIDENT_PASS = 6;
#else
constexpr int RESIDENT_PASS = 2;
#endif

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
__device__ void finish(const Pass& pass, std::int64_t image, int target) {
  const int cells = pass.gradcam.cells, segments = pass.segments.segments;
  const std::int64_t map = image * pass.overlap.targets + target;
  auto* to = static_cast<Real<T>*>(pass.gradcam.maps) + map * cells;
  const double* partials = pass.segments.partials + map * segments * cells;
  for (int cell = threadIdx.x; cell < cells; cell += THREADS) {
    to[cell] = static_cast<Real<T>>(sum_of_segments(partials, segments, cells, cell));
  }
  __syncthreads();
  score_map<Real<T>>(pass.overlap, pass.grid, pass.lanes, pass.inside, image, target);
}

// blockIdx.y is an image, counted from `first` on; its first block projects its mask, the others take shares of its
// maps' channels.
template <class T, int CELLS>
__global__ void __launch_bounds__(THREADS, RESIDENT_PASS) map_and_score(Pass pass, std::int64_t first) {
  __shared__ union Memory {
    Tiles<T> tiles;
    Board<int> moments;
  } memory;
  __shared__ std::uint64_t barriers[STAGES];
  const int groups = pass.walk.groups, number = static_cast<int>(blockIdx.x) - 1;
  const std::int64_t image = first + blockIdx.y, maps = image * pass.overlap.targets;
  int target = number < 0 ? 0 : number / groups, last = target + 1;  // of the maps that this is a part of
  if (number < 0) {
    project_image(memory.moments, pass.projection, pass.grid, pass.reading, image, pass.inside);
    last = pass.overlap.targets;
  } else {
    Arrivals arrivals(barriers);
    const Share<T> share(pass.gradcam, pass.walk, image, maps + target, number - target * groups);
    map_segments<CELLS>(arrivals, memory.tiles, share,
                        pass.segments.partials + (maps + target) * pass.segments.segments * pass.gradcam.cells);
  }
  for (; target < last; ++target) {
    if (completes(pass.segments.done + maps + target, groups + 1)) finish<T>(pass, image, target);
  }
}

template <class T>
void launch_pass(const Gradcam& gradcam, const GradcamScratch& segments, Overlap overlap, const OverlapScratch& scratch,
                 void* stream) {
  const Walk walk = plan<T>(gradcam, segments.segments);
  const Projection projection = projection_of(overlap, scratch);
  const Reading reading = reading_of(projection);
  if (walk.groups == 0 || !reading.whole) {
    cuda::gradcam(gradcam, segments, stream);
    return cuda::overlap(overlap, scratch, stream);
  }
  overlap.cells = projection.cells;
  overlap.areas = projection.areas;
  tabulate(scratch.grid, stream, segments.done, gradcam.images * gradcam.targets);
  const int lanes = lanes_of_patch(scratch.grid);
  const Pass pass{gradcam, segments, walk, overlap, projection, scratch.grid, reading, lanes, scratch.inside};
  const auto kernel = gradcam.cells == USUAL_CELLS ? map_and_score<T, USUAL_CELLS> : map_and_score<T, 0>;
  for (std::int64_t first = 0; first < overlap.images; first += MOST_ALONG_Y) {
    const dim3 blocks(static_cast<unsigned>(1 + gradcam.targets * walk.groups), blocks_along_y(overlap.images - first));
    launch("gradcam_overlap: map_and_score", kernel, blocks, THREADS, stream, pass, first);
  }
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
