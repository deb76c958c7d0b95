// background_swap on CUDA: the arithmetic and the orders of cpu/background_swap.cpp, so the same bits.
//
// Forward: one block a donor's plane makes its background (mean, or level 1 of the pyramid) in scratch
// memory, then one thread a pixel selects. Backward: one thread a pixel gathers from all recipients of a
// donor, then one block a donor's plane writes that plane alone, so no atomics.
#include <algorithm>

#include "../background_swap.h"
#include "block_sum.h"
#include "launch.h"

namespace cmrbias::cuda {
namespace {

constexpr int TILES = 65535;  // the largest gridDim.y
constexpr int RESIDENT = 2;   // blocks a multiprocessor: leaves ptxas the registers to spill none

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

// Calls work(i) for each pixel of a plane, shared out over the grid's y direction.
template <class Work>
__device__ void for_each_pixel(const Swap& swap, const Work& work) {
  const std::int64_t count = swap.height * swap.width;
  const std::int64_t step = std::int64_t{LANES} * gridDim.y;
  for (std::int64_t i = std::int64_t{LANES} * blockIdx.y + threadIdx.x; i < count; i += step) {
    work(static_cast<int>(i));
  }
}

// Calls step(fine, coarse, y, x) for each cell of each level, from level 1 up; level 0 is `plane`.
template <class T, class Step>
__device__ void for_each_level(const Plane<T>& plane, const Scratch<Real<T>>& scratch, const Step& step) {
  auto coarse = scratch.level(1);
  for_each_cell(coarse.height, coarse.width, [&](int y, int x, int) { step(plane, coarse, y, x); });
  while (coarse.size() > 1) {
    const auto fine = coarse;
    coarse = fine.above();
    for_each_cell(coarse.height, coarse.width, [&](int y, int x, int) { step(fine, coarse, y, x); });
  }
}

struct Average {
  template <class Fine, class R>
  __device__ void operator()(const Fine& fine, const Level<R>& coarse, int y, int x) const {
    average(fine, coarse, y, x);
  }
};

struct Gather {
  template <class Fine, class R>
  __device__ void operator()(const Fine& fine, const Level<R>& coarse, int y, int x) const {
    gather(fine, coarse, y, x);
  }
};

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
  for_each_level(plane, scratch, Average());
  for (int number = level_count(swap.height, swap.width) - 1; number >= 1; --number) {
    const auto fine = scratch.level(number), coarse = fine.above();
    for_each_cell(fine.height, fine.width, [&](int y, int x, int i) {
      if (!fine.known(i)) fine.values[i] = interpolate(coarse, y, x);
    });
  }
}

// A recipient's plane, and the background that it gets.
template <class T>
struct Recipient {
  const Swap& swap;
  const T *own, *other;  // pixels of the recipient, and of its donor
  const std::uint8_t *heart, *donor_heart;
  T* output;
  Shift shift;
  const double* mean;
  Level<Real<T>> above;

  __device__ Recipient(const Swap& swap, char* memory, std::size_t bytes) : swap(swap) {
    const std::int64_t recipient = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
    const std::int64_t donor = swap.donors[recipient];
    const auto* images = static_cast<const T*>(swap.input);
    own = images + plane_at(swap, recipient, frame);
    other = images + plane_at(swap, donor, frame);
    heart = heart_at(swap, recipient, frame);
    donor_heart = heart_at(swap, donor, frame);
    output = static_cast<T*>(swap.output) + plane_at(swap, recipient, frame);
    shift = shift_at(swap, recipient, frame);
    const Scratch<Real<T>> scratch(memory + (donor * swap.frames + frame) * bytes, swap.height, swap.width);
    mean = scratch.mean;
    above = scratch.level(1);
  }

  // What takes the place of the donor's heart at pixel `from`.
  __device__ T made(int from) const {
    T value;
    store(value, swap.fill == Fill::mean ? *mean : interpolate(above, from / swap.width, from % swap.width));
    return value;
  }
  __device__ T background(int i) const {
    const int from = beside(swap, i, -shift.down, -shift.right);
    if (from < 0) return T{};
    return swap.fill == Fill::donor || !donor_heart[from] ? other[from] : made(from);
  }
};

// Selects recipient or background: blockIdx.x is the recipient's plane.
template <class T>
__global__ void __launch_bounds__(LANES) compose(Swap swap, char* memory, std::size_t bytes) {
  const Recipient<T> plane(swap, memory, bytes);
  for_each_pixel(swap, [&](int i) { plane.output[i] = plane.heart[i] ? plane.own[i] : plane.background(i); });
}

// Neighbouring pixels, read and written at once.
constexpr int FOUR = 4;
template <class T>
struct alignas(FOUR * sizeof(T)) Four {
  T values[FOUR];
};
template <class T>
__device__ Four<T>& four_at(T* values, int number) {
  return reinterpret_cast<Four<T>*>(values)[number];
}
template <class T>
__device__ const Four<T>& four_at(const T* values, int number) {
  return reinterpret_cast<const Four<T>*>(values)[number];
}
__device__ bool any_of(const Four<std::uint8_t>& four) {
  return four.values[0] || four.values[1] || four.values[2] || four.values[3];
}
__device__ bool all_of(const Four<std::uint8_t>& four) {
  return four.values[0] && four.values[1] && four.values[2] && four.values[3];
}

// The same where no donor moves and planes are whole fours, of which a thread has `rounds` under way. What is not
// shown is not read: the recipient without a heart, the donor behind one.
template <class T, bool fills, int rounds>
__global__ void __launch_bounds__(LANES) compose_fours(Swap swap, char* memory, std::size_t bytes) {
  const Recipient<T> plane(swap, memory, bytes);
  const int count = swap.height * swap.width / FOUR, step = LANES * static_cast<int>(gridDim.y);
  for (int first = LANES * static_cast<int>(blockIdx.y) + static_cast<int>(threadIdx.x); first < count;
       first += rounds * step) {
    Four<std::uint8_t> heart[rounds], donor_heart[rounds];
    Four<T> own[rounds], other[rounds];
#pragma unroll
    for (int round = 0; round < rounds; ++round) {
      const int i = first + round * step;
      if (i < count) heart[round] = four_at(plane.heart, i);
      if (fills && i < count) donor_heart[round] = four_at(plane.donor_heart, i);
    }
#pragma unroll
    for (int round = 0; round < rounds; ++round) {
      const int i = first + round * step;
      if (i < count && !all_of(heart[round])) other[round] = four_at(plane.other, i);
      if (i < count && any_of(heart[round])) own[round] = four_at(plane.own, i);
    }
#pragma unroll
    for (int round = 0; round < rounds; ++round) {
      const int i = first + round * step;
      if (i >= count) continue;
#pragma unroll
      for (int k = 0; k < FOUR; ++k) {
        T& pixel = other[round].values[k];
        if (heart[round].values[k]) {
          pixel = own[round].values[k];
        } else if (fills && donor_heart[round].values[k]) {
          pixel = plane.made(FOUR * i + k);
        }
      }
      four_at(plane.output, i) = other[round];
    }
  }
}

template <class R>
__device__ void inpaint_backward(const Plane<R>& gathered, const Scratch<R>& scratch) {
  for_each_level(gathered, scratch, Average());  // for the counts; the values are overwritten
  for_each_level(gathered, scratch, Gather());
  for (int number = level_count(gathered.height, gathered.width) - 1; number >= 1; --number) {
    const auto fine = scratch.level(number), coarse = fine.above();
    for_each_cell(fine.height, fine.width, [&](int y, int x, int i) {
      if (fine.known(i)) fine.values[i] += scatter(coarse, y, x);
    });
  }
}

// Sums what reaches each donor's background from its recipients: blockIdx.x is the donor's plane.
template <class T>
__global__ void __launch_bounds__(LANES) gather_recipients(Swap swap, char* memory, std::size_t bytes) {
  const std::int64_t donor = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
  const auto* gradients = static_cast<const T*>(swap.input);
  Real<T>* gathered = scratch_of<T>(swap, memory, bytes).gathered;
  for_each_pixel(swap, [&](int i) {
    Real<T> sum = 0;
    for (std::int64_t at = swap.starts[donor]; at < swap.starts[donor + 1]; ++at) {
      const std::int64_t recipient = swap.order[at];
      const Shift shift = shift_at(swap, recipient, frame);
      const int to = beside(swap, i, shift.down, shift.right);
      const bool shown = to >= 0 && heart_at(swap, recipient, frame)[to] == 0;
      sum += shown ? load(gradients[plane_at(swap, recipient, frame) + to]) : Real<T>(0);
    }
    gathered[i] = sum;
  });
}

// Turns those sums into the gradient of each case's plane.
template <class T>
__global__ void __launch_bounds__(LANES, RESIDENT)
    backward_plane(Swap swap, char* memory, std::size_t bytes) {
  using R = Real<T>;
  const std::int64_t donor = blockIdx.x / swap.frames, frame = blockIdx.x % swap.frames;
  const auto scratch = scratch_of<T>(swap, memory, bytes);
  const T* own = static_cast<const T*>(swap.input) + plane_at(swap, donor, frame);
  const std::uint8_t* heart = heart_at(swap, donor, frame);
  T* result = static_cast<T*>(swap.output) + plane_at(swap, donor, frame);
  const R* gathered = scratch.gathered;

  double shared = 0;
  if (swap.fill == Fill::mean) {
    shared = masked_mean(gathered, heart, true, swap.height * swap.width);
  } else if (swap.fill == Fill::inpaint) {
    inpaint_backward(Plane<R>{gathered, heart, swap.height, swap.width}, scratch);
  }
  const auto above = scratch.level(1);
  for_each_cell(swap.height, swap.width, [&](int y, int x, int i) {
    store_gradient(result[i], swap.fill, heart[i] != 0, own[i], gathered[i], shared, above, y, x);
  });
}

// One block a plane, and one a tile of each plane.
unsigned planes_of(const Swap& swap) { return static_cast<unsigned>(swap.cases * swap.frames); }
dim3 tiles_of(const Swap& swap, int pixels_of_thread = 1) {
  const int tiles = (swap.height * swap.width - 1) / (LANES * pixels_of_thread) + 1;
  return dim3(planes_of(swap), static_cast<unsigned>(std::min(tiles, TILES)));
}

template <class T>
bool takes_fours(const Swap& swap) {
  const auto addresses = reinterpret_cast<std::uintptr_t>(swap.input) | reinterpret_cast<std::uintptr_t>(swap.output);
  return !swap.shifts && swap.height * swap.width % FOUR == 0 && addresses % sizeof(Four<T>) == 0 &&
         reinterpret_cast<std::uintptr_t>(swap.masks) % FOUR == 0;
}

template <class T>
void forward(const Swap& swap, char* scratch, cudaStream_t stream) {
  const std::size_t bytes = background_swap_scratch(swap);
  if (swap.fill != Fill::donor) {
    launch("background_swap: prepare", prepare<T>, planes_of(swap), LANES, stream, swap, scratch, bytes);
  }
  if (takes_fours<T>(swap)) {
    const bool fills = swap.fill != Fill::donor;  // which takes registers
    const auto kernel = fills ? compose_fours<T, true, 1> : compose_fours<T, false, 2>;
    launch("background_swap: compose_fours", kernel, tiles_of(swap, (fills ? 4 : 2) * FOUR), LANES, stream, swap, scratch,
           bytes);
  } else {
    launch("background_swap: compose", compose<T>, tiles_of(swap), LANES, stream, swap, scratch, bytes);
  }
}

template <class T>
void backward(const Swap& swap, char* scratch, cudaStream_t stream) {
  const std::size_t bytes = background_swap_scratch(swap);
  launch("background_swap_backward: gather_recipients", gather_recipients<T>, tiles_of(swap), LANES, stream, swap, scratch, bytes);
  launch("background_swap_backward: backward_plane", backward_plane<T>, planes_of(swap), LANES, stream, swap, scratch, bytes);
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
