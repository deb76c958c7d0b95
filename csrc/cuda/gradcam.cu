// GradCAM on CUDA: the orders of cpu/gradcam.cpp, so the same bits for any number of images.
//
// A block takes a segment of an image's channels through shared memory, gradients and activations at once, and
// writes the segment's map; a last kernel adds the segments. Where maps have too many cells for that, one kernel
// reads the gradients and writes channels' weights, and another the activations. What lies between kernels is a
// small part of what is read, and mostly stays in the cache.
#include "../math.h"
#include "gradcam.h"
#include "threads.h"

namespace cmrbias::cuda {
namespace {

constexpr int OCTET = 8;               // threads of a channel: the processor's partial sums
constexpr int OCTETS = THREADS / OCTET;
constexpr int CHANNELS_OF_OCTET = 4;   // so that a block lives longer than its launch takes

// Returns the sum of a channel to each of its octet's threads, in the order of the processor's vectors: the last
// one starts before the channel's end, and what it shares with the one before is left out.
template <class T>
__device__ double channel_sum(const T* values, int cells, int lane) {
  double sum = 0;
  if (cells < OCTET) {
    if (lane < cells) sum = load(values[lane]);
  } else {
    const int whole = cells - cells % OCTET;
#pragma unroll 8
    for (int i = lane; i < whole; i += OCTET) sum += load(values[i]);
    const int last = cells - OCTET + lane;
    if (last >= whole) sum += load(values[last]);
  }
  for (int offset = OCTET / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
  return sum;
}

// Some channels of an image in shared memory: the values of an array lie there as they do in memory. There is room
// for a segment of 7 x 7 cells in float, and then for eight blocks on a multiprocessor.
struct alignas(16) Vector {
  std::uint64_t low, high;
};
template <class T>
struct Tiles {
  static constexpr int VALUES = SEGMENT * 49 * 4 / static_cast<int>(sizeof(T));
  alignas(16) T gradients[VALUES];
  alignas(16) T activations[VALUES];
  double weights[SEGMENT];
};

// Channels that go through the tiles at once, so many that they are whole vectors; none if maps have more cells
// than threads, or than fit.
template <class T>
CMRBIAS_BOTH int channels_of_tile(int cells) {
  const int most = Tiles<T>::VALUES / cells;
  return cells > THREADS ? 0 : most < SEGMENT ? most / 8 * 8 : SEGMENT;
}

// Copies values to shared memory, the block's threads together, and waits for nobody; vectors, if `aligned`, past
// the registers where the GPU can.
template <class T>
__device__ void fill_tile(T* tile, const T* values, int count, bool aligned) {
  const int in_vector = sizeof(Vector) / sizeof(T), vectors = aligned ? count / in_vector : 0;
  for (int i = threadIdx.x; i < vectors; i += THREADS) {
    auto* to = reinterpret_cast<Vector*>(tile) + i;
    const auto* from = reinterpret_cast<const Vector*>(values) + i;
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))),
                 "l"(from));
#else
    *to = *from;
#endif
  }
  for (int i = vectors * in_vector + static_cast<int>(threadIdx.x); i < count; i += THREADS) tile[i] = values[i];
}

// Waits until the block's threads have filled their tiles.
__device__ void wait_for_tiles() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
  __syncthreads();
}

// Writes the map of each segment of each target: a block each, an image's targets side by side.
template <class T>
__global__ void __launch_bounds__(THREADS, 8) map_segments(Gradcam gradcam, double* partials, int segments, bool aligned) {
  __shared__ Tiles<T> tiles;
  const auto* all_gradients = static_cast<const T*>(gradcam.gradients);
  const auto* all_activations = static_cast<const T*>(gradcam.activations);
  const int cells = gradcam.cells, most = channels_of_tile<T>(cells), cell = threadIdx.x;
  const int lane = threadIdx.x % OCTET, octet = threadIdx.x / OCTET;
  const std::int64_t image_size = static_cast<std::int64_t>(gradcam.channels) * cells;
  const std::int64_t tasks = gradcam.images * gradcam.targets * segments;
  for (std::int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int target = static_cast<int>(task % gradcam.targets);
    const int segment = static_cast<int>(task / gradcam.targets % segments);
    const std::int64_t image = task / gradcam.targets / segments, map = image * gradcam.targets + target;
    const int end = min((segment + 1) * SEGMENT, gradcam.channels);
    double sum = 0;
    for (int first = segment * SEGMENT; first < end; first += most) {
      const int count = min(most, end - first);
      const std::int64_t start = static_cast<std::int64_t>(first) * cells;
      fill_tile(tiles.gradients, all_gradients + map * image_size + start, count * cells, aligned);
      fill_tile(tiles.activations, all_activations + image * image_size + start, count * cells, aligned);
      wait_for_tiles();
      for (int i = 0; i < count; i += OCTETS) {
        const bool exists = i + octet < count;  // all threads take part in the sum
        const double total = channel_sum(tiles.gradients + (exists ? i + octet : 0) * cells, cells, lane);
        if (exists && lane == 0) tiles.weights[i + octet] = total / static_cast<double>(cells);
      }
      __syncthreads();
      if (cell < cells) {
#pragma unroll 8
        for (int i = 0; i < count; ++i) sum += tiles.weights[i] * load(tiles.activations[i * cells + cell]);
      }
      __syncthreads();
    }
    if (cell < cells) partials[(map * segments + segment) * cells + cell] = sum;
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
    const double* partials = scratch.partials + i / cells * scratch.segments * cells + i % cells;
    double sum = 0;
#pragma unroll 8
    for (int segment = 0; segment < scratch.segments; ++segment) sum += partials[segment * cells];
    maps[i] = static_cast<Real<T>>(sum < 0 ? 0.0 : sum);  // NaN stays
  }
}

std::int64_t tiles(std::int64_t tasks, int size) { return (tasks - 1) / size + 1; }

template <class T>
void launch_gradcam(const Gradcam& gradcam, const GradcamScratch& scratch, void* stream) {
  const std::int64_t maps = gradcam.images * gradcam.targets, cells = gradcam.cells;
  const unsigned along_x = blocks_along_x(maps);
  if (gradcam.channels > 0 && channels_of_tile<T>(gradcam.cells) > 0) {
    const auto addresses = reinterpret_cast<std::uintptr_t>(gradcam.activations) |
                           reinterpret_cast<std::uintptr_t>(gradcam.gradients) |
                           static_cast<std::uintptr_t>(gradcam.channels * cells * static_cast<std::int64_t>(sizeof(T)));
    launch("gradcam: map_segments", map_segments<T>, dim3(blocks_along_x(maps * scratch.segments)), THREADS, stream,
           gradcam, scratch.partials, scratch.segments, addresses % sizeof(Vector) == 0);
  } else if (gradcam.channels > 0) {
    const std::int64_t groups = tiles(gradcam.channels, OCTETS * CHANNELS_OF_OCTET);
    launch("gradcam: average_channels", average_channels<T>, dim3(along_x, blocks_along_y(groups)), THREADS, stream,
           gradcam, scratch.weights);
    launch("gradcam: add_segments", add_segments<T>,
           dim3(along_x, blocks_along_y(tiles(scratch.segments * cells, THREADS))), THREADS, stream, gradcam, scratch);
  }
  launch("gradcam: add_maps", add_maps<T>, dim3(blocks_along_x(tiles(maps * cells, THREADS))), THREADS, stream,
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
