// background_swap on CUDA: the arithmetic and the orders of cpu/background_swap.cpp, so the same bits.
//
// Forward: one block a donor's plane makes its background (mean, or level 1 of the pyramid) in scratch
// memory, then one thread a pixel selects. Backward: one block a donor's plane gathers from all of its
// recipients and writes that plane alone, so no atomics.
#include <algorithm>

#include "../background_swap.h"
#include "launch.h"

namespace cmrbias::cuda {
namespace {

constexpr int TILES = 65535;  // the largest gridDim.y

// Returns the sum of all threads' values, to all threads of a block of LANES.
__device__ double block_sum(double own) {
  __shared__ double lanes[LANES];
  __syncthreads();
  lanes[threadIdx.x] = own;
  __syncthreads();
  for (int half = LANES / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) lanes[threadIdx.x] += lanes[threadIdx.x + half];
    __syncthreads();
  }
  return lanes[0];
}

// Returns the mean over the background's pixels of the values inside (or outside) the heart's sum.
template <class T>
__device__ double masked_mean(const T* values, const std::uint8_t* heart, bool inside, int count) {
  double sum = 0, known = 0;
  for (int i = threadIdx.x; i < count; i += LANES) {
    const double value = load(values[i]);
    sum += (heart[i] != 0) == inside ? value : 0.0;
    known += heart[i] == 0;
  }
  sum = block_sum(sum);
  known = block_sum(known);
  return known > 0 ? sum / known : 0.0;
}

// Calls work(y, x, i) for each cell of a level, the block's threads side by side, and waits for all.
template <class Work>
__device__ void for_each_cell(int height, int width, const Work& work) {
  for (int i = threadIdx.x; i < height * width; i += LANES) work(i / width, i % width, i);
  __syncthreads();
}

template <class T>
__device__ void average_levels(const Plane<T>& plane, const Scratch<Real<T>>& scratch, int levels) {
  for (int number = 1; number <= levels; ++number) {
    const auto coarse = scratch.level(number);
    for_each_cell(coarse.height, coarse.width, [&](int y, int x, int) {
      number == 1 ? average(plane, coarse, y, x) : average(scratch.level(number - 1), coarse, y, x);
    });
  }
}

template <class T>
__device__ Scratch<Real<T>> scratch_of(const Swap& swap, char* memory, std::size_t bytes) {
  return Scratch<Real<T>>(memory + blockIdx.x * bytes, swap.height, swap.width);
}

// Makes each used donor's mean or filled level 1.
template <class T>
__global__ void __launch_bounds__(LANES) prepare(Swap swap, char* memory, std::size_t bytes) {
  const std::int64_t donor = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
  if (swap.starts[donor] == swap.starts[donor + 1]) return;
  const auto scratch = scratch_of<T>(swap, memory, bytes);
  const Plane<T> plane{static_cast<const T*>(swap.input) + plane_at(swap, donor, frame),
                       heart_at(swap, donor, frame), swap.height, swap.width};
  if (swap.fill == Fill::mean) {
    const double mean = masked_mean(plane.pixels, plane.heart, false, swap.height * swap.width);
    if (threadIdx.x == 0) *scratch.mean = mean;
    return;
  }
  const int levels = level_count(swap.height, swap.width);
  average_levels(plane, scratch, levels);
  for (int number = levels - 1; number >= 1; --number) {
    const auto fine = scratch.level(number), coarse = scratch.level(number + 1);
    for_each_cell(fine.height, fine.width, [&](int y, int x, int i) {
      if (!fine.known(i)) fine.values[i] = interpolate(coarse, y, x);
    });
  }
}

// Selects recipient or background: blockIdx.x is the recipient's plane.
template <class T>
__global__ void __launch_bounds__(LANES) compose(Swap swap, char* memory, std::size_t bytes) {
  const std::int64_t recipient = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
  const std::int64_t donor = swap.donors[recipient];
  const auto* images = static_cast<const T*>(swap.input);
  const std::int64_t own = plane_at(swap, recipient, frame), other = plane_at(swap, donor, frame);
  const std::uint8_t* heart = heart_at(swap, recipient, frame);
  const std::uint8_t* donor_heart = heart_at(swap, donor, frame);
  const Scratch<Real<T>> scratch(memory + (donor * swap.frames + frame) * bytes, swap.height, swap.width);
  const auto above = scratch.level(1);
  auto* output = static_cast<T*>(swap.output) + own;
  const int count = swap.height * swap.width;
  for (std::int64_t at = blockIdx.y * std::int64_t{LANES} + threadIdx.x; at < count; at += std::int64_t{LANES} * gridDim.y) {
    const int i = static_cast<int>(at);
    if (heart[i]) {
      output[i] = images[own + i];
    } else if (swap.fill == Fill::donor || !donor_heart[i]) {
      output[i] = images[other + i];
    } else if (swap.fill == Fill::mean) {
      store(output[i], *scratch.mean);
    } else {
      store(output[i], interpolate(above, i / swap.width, i % swap.width));
    }
  }
}

template <class R>
__device__ void inpaint_backward(const Plane<R>& gathered, const Scratch<R>& scratch) {
  const int levels = level_count(gathered.height, gathered.width);
  average_levels(gathered, scratch, levels);
  for (int number = 1; number <= levels; ++number) {
    const auto coarse = scratch.level(number);
    for_each_cell(coarse.height, coarse.width, [&](int y, int x, int) {
      number == 1 ? gather(gathered, coarse, y, x) : gather(scratch.level(number - 1), coarse, y, x);
    });
  }
  for (int number = levels - 1; number >= 1; --number) {
    const auto fine = scratch.level(number), coarse = scratch.level(number + 1);
    for_each_cell(fine.height, fine.width, [&](int y, int x, int i) {
      if (fine.known(i)) fine.values[i] += scatter(coarse, y, x);
    });
  }
}

template <class T>
__global__ void __launch_bounds__(LANES) backward_plane(Swap swap, char* memory, std::size_t bytes) {
  using R = Real<T>;
  const std::int64_t donor = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
  const auto scratch = scratch_of<T>(swap, memory, bytes);
  const auto* gradients = static_cast<const T*>(swap.input);
  const T* own = gradients + plane_at(swap, donor, frame);
  const std::uint8_t* heart = heart_at(swap, donor, frame);
  T* result = static_cast<T*>(swap.output) + plane_at(swap, donor, frame);
  R* gathered = scratch.gathered;

  for_each_cell(swap.height, swap.width, [&](int, int, int i) {
    R sum = 0;
    for (std::int64_t at = swap.starts[donor]; at < swap.starts[donor + 1]; ++at) {
      const std::int64_t recipient = swap.order[at];
      const bool outside = heart_at(swap, recipient, frame)[i] == 0;
      sum += outside ? load(gradients[plane_at(swap, recipient, frame) + i]) : R(0);
    }
    gathered[i] = sum;
  });
  double shared = 0;  // what each background pixel gets for its part in the mean
  const auto above = scratch.level(1);
  if (swap.fill == Fill::mean) {
    shared = masked_mean(gathered, heart, true, swap.height * swap.width);
  } else if (swap.fill == Fill::inpaint) {
    inpaint_backward(Plane<R>{gathered, heart, swap.height, swap.width}, scratch);
  }
  for_each_cell(swap.height, swap.width, [&](int y, int x, int i) {
    if (swap.fill == Fill::donor) {
      store(result[i], heart[i] ? load(own[i]) + gathered[i] : gathered[i]);
    } else if (heart[i]) {
      result[i] = own[i];
    } else if (swap.fill == Fill::mean) {
      store(result[i], gathered[i] + shared);
    } else {
      store(result[i], gathered[i] + scatter(above, y, x));
    }
  });
}

template <class T>
void forward(const Swap& swap, char* scratch, cudaStream_t stream) {
  const std::size_t bytes = background_swap_scratch(swap);
  const auto planes = static_cast<unsigned>(swap.cases * swap.frames);
  if (swap.fill != Fill::donor) {
    prepare<T><<<planes, LANES, 0, stream>>>(swap, scratch, bytes);
    check_launch("background_swap: prepare");
  }
  const int tiles = std::min((swap.height * swap.width - 1) / LANES + 1, TILES);
  compose<T><<<dim3(planes, static_cast<unsigned>(tiles)), LANES, 0, stream>>>(swap, scratch, bytes);
  check_launch("background_swap: compose");
}

template <class T>
void backward(const Swap& swap, char* scratch, cudaStream_t stream) {
  const auto planes = static_cast<unsigned>(swap.cases * swap.frames);
  backward_plane<T><<<planes, LANES, 0, stream>>>(swap, scratch, background_swap_scratch(swap));
  check_launch("background_swap_backward");
}

}  // namespace

void background_swap(const Swap& swap, void* scratch, void* stream) {
  auto* memory = static_cast<char*>(scratch);
  auto* on = static_cast<cudaStream_t>(stream);
  switch (swap.type) {
    case Type::float32: return forward<float>(swap, memory, on);
    case Type::float64: return forward<double>(swap, memory, on);
    case Type::bfloat16: return forward<bfloat16>(swap, memory, on);
  }
}

void background_swap_backward(const Swap& swap, void* scratch, void* stream) {
  auto* memory = static_cast<char*>(scratch);
  auto* on = static_cast<cudaStream_t>(stream);
  switch (swap.type) {
    case Type::float32: return backward<float>(swap, memory, on);
    case Type::float64: return backward<double>(swap, memory, on);
    case Type::bfloat16: return backward<bfloat16>(swap, memory, on);
  }
}

}  // namespace cmrbias::cuda
