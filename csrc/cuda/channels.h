// GradCAM's maps of segments, which blocks make: the orders of cpu/gradcam.cpp, so the same bits.
//
// A block takes some segments of a map's channels through shared memory, gradients and activations at once, in steps:
// while it adds up the channels of one, those of the next are on their way. What limits this is not memory but the
// number of instructions, so the GPU copies by itself where it can, and the usual number of cells is a constant.
#pragma once

#include "../math.h"
#include "arrivals.h"
#include "scratch.h"
#include "threads.h"

namespace cmrbias::cuda {

constexpr int USUAL_CELLS = 7 * 7;
constexpr int CELLS_OF_THREAD = 2;  // at most
constexpr int OCTET = 8;            // threads of a channel: the processor's partial sums
constexpr int OCTETS = THREADS / OCTET;
constexpr int WARPS = THREADS / WARP;

// A step's channels, as they lie in memory. There is room for half a segment of 7 x 7 cells in float.
template <class T>
struct Stage {
  static constexpr int BYTES = SEGMENT / 2 * USUAL_CELLS * static_cast<int>(sizeof(float));
  static constexpr int VALUES = BYTES / static_cast<int>(sizeof(T));
  alignas(16) T gradients[VALUES];
  alignas(16) T activations[VALUES];
};
template <class T>
struct Tiles {
  Stage<T> stages[STAGES];
  double weights[SEGMENT];  // of a step's channels
};

// How blocks go through a map's channels.
struct Walk {
  int segments;  // that a block takes, one after the other
  int groups;    // blocks a map; none if its cells do not fit
  int channels;  // of a step, at most: whole vectors
  bool aligned;  // do all channels begin where vectors may?
};

// Plans a walk. A map's segments are shared by more blocks where there are few maps.
template <class T>
Walk plan(const Gradcam& gradcam, int segments) {
  constexpr std::int64_t ENOUGH = 1024;  // blocks
  constexpr int IN_VECTOR = sizeof(Vector) / sizeof(T), MOST = 4;  // segments
  const int channels = std::min(Stage<T>::VALUES / gradcam.cells / IN_VECTOR * IN_VECTOR, SEGMENT);
  if (channels == 0 || segments == 0 || gradcam.cells > THREADS * CELLS_OF_THREAD) return {0, 0, 0, false};
  const auto spare = std::clamp<std::int64_t>(gradcam.images * gradcam.targets * segments / ENOUGH, 1, MOST);
  const auto groups = static_cast<int>(pieces(segments, spare));
  const auto addresses = reinterpret_cast<std::uintptr_t>(gradcam.activations) |
                         reinterpret_cast<std::uintptr_t>(gradcam.gradients) |
                         gradcam.channels * sizeof(T) * gradcam.cells;
  return {static_cast<int>(pieces(segments, groups)), groups, channels, addresses % sizeof(Vector) == 0};
}

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
    for (int i = 0; i < whole; i += OCTET) sum += load(values[i + lane]);
    const int last = cells - OCTET + lane;
    if (last >= whole) sum += load(values[last]);
  }
  for (int offset = OCTET / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
  return sum;
}

// Writes the mean gradient of each of some channels. Octets of a warp take channels that lie apart, for the sake of
// the banks, and a thread divides one sum only, of the round that is its own.
template <class T>
__device__ void average(double* weights, const T* gradients, int channels, int cells) {
  constexpr int SIDE_BY_SIDE = WARP / OCTET, APART = 8;
  const int lane = threadIdx.x % OCTET, octet = threadIdx.x % WARP / OCTET, warp = threadIdx.x / WARP;
  const auto channel_of = [=](int round) {
    const int turn = round * WARPS + warp;
    return turn / APART * APART * SIDE_BY_SIDE + octet * APART + turn % APART;
  };
  double own = 0;
#pragma unroll
  for (int round = 0; round < SEGMENT / OCTETS; ++round) {
    if (round * WARPS / APART * APART * SIDE_BY_SIDE >= channels) break;
    const int channel = channel_of(round);  // all threads take part in the sum
    const double sum = channel_sum(gradients + (channel < channels ? channel : 0) * cells, cells, lane);
    if (lane == round) own = sum;
  }
  const int channel = channel_of(lane);
  if (lane < SEGMENT / OCTETS && channel < channels) weights[channel] = own / static_cast<double>(cells);
}

// A block's share of a map's channels, in steps that end where a segment ends.
template <class T>
struct Share {
  const T *gradients, *activations;  // of the channels that were not asked for yet
  int cells;
  int first, last;  // channels
  const Walk& walk;

  __device__ Share(const Gradcam& gradcam, const Walk& walk, std::int64_t image, std::int64_t map, int group)
      : cells(gradcam.cells), first(group * walk.segments * SEGMENT), walk(walk) {
    const std::int64_t before = static_cast<std::int64_t>(first) * cells;
    const std::int64_t size = static_cast<std::int64_t>(gradcam.channels) * cells;
    gradients = static_cast<const T*>(gradcam.gradients) + map * size + before;
    activations = static_cast<const T*>(gradcam.activations) + image * size + before;
    last = min(first + walk.segments * SEGMENT, gradcam.channels);
  }

  // Where the step ends that begins with a channel.
  __device__ int end_of_step(int channel) const {
    return min(min(channel + walk.channels, (channel | (SEGMENT - 1)) + 1), last);
  }
  // Asks for the next step, which begins with a channel, if there is one; returns where the one after it begins.
  __device__ int fetch(Arrivals& arrivals, Tiles<T>& tiles, int stage, int channel) {
    const int end = channel < last ? end_of_step(channel) : channel, values = (end - channel) * cells;
    Stage<T>& to = tiles.stages[stage];
    arrivals.fetch(stage, to.gradients, gradients, to.activations, activations, values, walk.aligned);
    gradients += values;
    activations += values;
    return end;
  }
};
static_assert((SEGMENT & (SEGMENT - 1)) == 0, "where a segment ends is found by bits");

// Writes the map of each segment of a block's share, the block's threads together.
template <int CELLS, class T>
__device__ void map_segments(Arrivals& arrivals, Tiles<T>& tiles, Share<T> share, double* partials) {
  constexpr int MOST = CELLS ? (CELLS - 1) / THREADS + 1 : CELLS_OF_THREAD;
  const int cells = CELLS ? CELLS : share.cells;
  double sums[MOST] = {};
  int ahead = share.first, stage = 0;
  for (int i = 0; i < STAGES; ++i) ahead = share.fetch(arrivals, tiles, i, ahead);
  for (int channel = share.first, end; channel < share.last; channel = end, stage = stage + 1 < STAGES ? stage + 1 : 0) {
    end = share.end_of_step(channel);
    arrivals.wait(stage, share.walk.aligned);
    average(tiles.weights, tiles.stages[stage].gradients, end - channel, cells);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < MOST; ++i) {
      const int cell = static_cast<int>(threadIdx.x) + i * THREADS;
      if (cell >= cells) continue;
      const T* activations = tiles.stages[stage].activations + cell;
#pragma unroll 16
      for (int k = 0; k < end - channel; ++k) sums[i] += tiles.weights[k] * load(activations[k * cells]);
      if (end % SEGMENT != 0 && end != share.last) continue;
      partials[channel / SEGMENT * cells + cell] = sums[i];
      sums[i] = 0;
    }
    __syncthreads();
    ahead = share.fetch(arrivals, tiles, stage, ahead);
  }
}

// Returns a cell of a map from its segments.
__device__ inline double sum_of_segments(const double* partials, int segments, int cells, int cell) {
  double sum = 0;
#pragma unroll 8
  for (int segment = 0; segment < segments; ++segment) sum += partials[segment * cells + cell];
  return sum < 0 ? 0.0 : sum;  // NaN stays
}

}  // namespace cmrbias::cuda
