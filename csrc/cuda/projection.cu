// project_masks on CUDA.
#include "projection.h"

namespace cmrbias::cuda {
namespace {

template <class Part>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    project_images(Projection projection, Grid grid, Reading reading, int* inside) {
  __shared__ Board<Part> moments;
  for (std::int64_t image = blockIdx.x; image < projection.images; image += gridDim.x) {
    project_image(moments, projection, grid, reading, image, inside);
  }
}

}  // namespace

void project(const Projection& projection, const Grid& grid, int* inside, void* stream) {
  const Reading reading = reading_of(projection);
  launch("project_masks", reading.whole ? project_images<int> : project_images<double>,
         dim3(blocks_along_x(projection.images)), THREADS, stream, projection, grid, reading, inside);
}

void project_masks(const Projection& projection, void* scratch, void* stream) {
  Layout layout(scratch);
  const ProjectionScratch at(layout, projection);
  tabulate(at.grid, stream);
  project(projection, at.grid, nullptr, stream);
}

}  // namespace cmrbias::cuda
