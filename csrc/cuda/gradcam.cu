// GradCAM on CUDA: the orders of cpu/gradcam.cpp, so the same bits for any number of images.
//
// Blocks write the maps of segments of channels (channels.h); a last kernel adds the segments. Where maps have too
// many cells for that, one kernel reads the gradients and writes channels' weights, and another the activations. What
// lies between kernels is a small part of what is read, and mostly stays in the cache.
#include "channels.h"
#include "gradcam.h"

namespace cmrbias::cuda {
namespace {

constexpr int CHANNELS_OF_OCTET = 4;  // so that a block lives longer than its launch takes

// Writes the map of each segment: blockIdx.x is a share of a map's channels, blockIdx.y the map.
template <class T, int CELLS>
__global__ void __launch_bounds__(THREADS, RESIDENT) map_channels(Gradcam gradcam, Walk walk, GradcamScratch scratch) {
  __shared__ Tiles<T> tiles;
  __shared__ std::uint64_t barriers[STAGES];
  Arrivals arrivals(barriers);
  for (std::int64_t map = blockIdx.y; map < gradcam.images * gradcam.targets; map += gridDim.y) {
    const Share<T> share(gradcam, walk, map / gradcam.targets, map, static_cast<int>(blockIdx.x));
    map_segments<CELLS>(arrivals, tiles, share, scratch.partials + map * scratch.segments * gradcam.cells);
  }
}

// Writes each channel's mean gradient: blockIdx.x is the target of an image, blockIdx.y some channels.
template <class T>
__global__ void __launch_bounds__(THREADS) average_channels(Gradcam gradcam, double* weights) {
  const auto* gradients = static_cast<const T*>(gradcam.gradients);
  const int lane = threadIdx.x % OCTET, octet = threadIdx.x / OCTET;
  const std::int64_t step = std::int64_t{OCTETS} * gridDim.y;
  for (std::int64_t map = blockIdx.x; map < gradcam.images * gradcam.targets; map += gridDim.x) {
    for (std::int64_t first = std::int64_t{OCTETS} * blockIdx.y; first < gradcam.channels; first += step) {
      const bool exists = first + octet < gradcam.channels;  // all threads take part in the sum
      const std::int64_t channel = map * gradcam.channels + (exists ? first + octet : first);
      const double sum = channel_sum(gradients + channel * gradcam.cells, gradcam.cells, lane);
      if (exists && lane == 0) weights[channel] = sum / static_cast<double>(gradcam.cells);
    }
  }
}

// Adds the weighted channels of each segment: one thread a cell of a segment. An image has under 2^32 of them,
// or its activations would take a terabyte.
template <class T>
__global__ void __launch_bounds__(THREADS) add_segments(Gradcam gradcam, GradcamScratch scratch) {
  const auto* activations = static_cast<const T*>(gradcam.activations);
  const std::int64_t cells = gradcam.cells, tasks = scratch.segments * cells;
  const std::int64_t step = std::int64_t{THREADS} * gridDim.y;
  for (std::int64_t map = blockIdx.x; map < gradcam.images * gradcam.targets; map += gridDim.x) {
    for (std::int64_t i = std::int64_t{THREADS} * blockIdx.y + threadIdx.x; i < tasks; i += step) {
      const int segment = static_cast<unsigned>(i) / static_cast<unsigned>(cells);
      const int first = segment * SEGMENT;
      const int count = gradcam.channels - first < SEGMENT ? gradcam.channels - first : SEGMENT;
      const double* weights = scratch.weights + map * gradcam.channels + first;
      const T* values =
          activations + (map / gradcam.targets * gradcam.channels + first) * cells + (i - segment * cells);
      double sum = 0;
#pragma unroll 16
      for (int channel = 0; channel < count; ++channel) sum += weights[channel] * load(values[channel * cells]);
      scratch.partials[map * tasks + i] = sum;
    }
  }
}

// Adds the segments and keeps what is positive: one thread a cell.
template <class T>
__global__ void __launch_bounds__(THREADS) add_maps(Gradcam gradcam, GradcamScratch scratch) {
  auto* maps = static_cast<Real<T>*>(gradcam.maps);
  const std::int64_t cells = gradcam.cells, tasks = gradcam.images * gradcam.targets * cells;
  const std::int64_t step = std::int64_t{THREADS} * gridDim.x;
  for (std::int64_t i = std::int64_t{THREADS} * blockIdx.x + threadIdx.x; i < tasks; i += step) {
    const double* partials = scratch.partials + i / cells * scratch.segments * cells;
    const int cell = static_cast<int>(i % cells);
    maps[i] = static_cast<Real<T>>(sum_of_segments(partials, scratch.segments, gradcam.cells, cell));
  }
}

template <class T>
void launch_gradcam(const Gradcam& gradcam, const GradcamScratch& scratch, void* stream) {
  const std::int64_t maps = gradcam.images * gradcam.targets, cells = gradcam.cells;
  const unsigned along_x = blocks_along_x(maps);
  const Walk walk = plan<T>(gradcam, scratch.segments);
  if (walk.groups > 0) {
    const auto kernel = cells == USUAL_CELLS ? map_channels<T, USUAL_CELLS> : map_channels<T, 0>;
    launch("gradcam: map_channels", kernel, dim3(static_cast<unsigned>(walk.groups), blocks_along_y(maps)), THREADS,
           stream, gradcam, walk, scratch);
  } else if (gradcam.channels > 0) {
    const std::int64_t groups = pieces(gradcam.channels, OCTETS * CHANNELS_OF_OCTET);
    launch("gradcam: average_channels", average_channels<T>, dim3(along_x, blocks_along_y(groups)), THREADS, stream,
           gradcam, scratch.weights);
    launch("gradcam: add_segments", add_segments<T>,
           dim3(along_x, blocks_along_y(pieces(scratch.segments * cells, THREADS))), THREADS, stream, gradcam, scratch);
  }
  launch("gradcam: add_maps", add_maps<T>, dim3(blocks_along_x(pieces(maps * cells, THREADS))), THREADS, stream,
         gradcam, scratch);
}

}  // namespace

void gradcam(const Gradcam& gradcam, const GradcamScratch& scratch, void* stream) {
  switch (gradcam.type) {
    case Type::float32: return launch_gradcam<float>(gradcam, scratch, stream);
    case Type::float64: return launch_gradcam<double>(gradcam, scratch, stream);
    case Type::bfloat16: return launch_gradcam<bfloat16>(gradcam, scratch, stream);
  }
}

void gradcam(const Gradcam& gradcam, void* scratch, void* stream) {
  Layout layout(scratch);
  cuda::gradcam(gradcam, GradcamScratch(layout, gradcam), stream);
}

}  // namespace cmrbias::cuda
