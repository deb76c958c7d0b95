// GradCAM on the processor: one thread an image, everything summed in double in a fixed order.
#include "gradcam.h"

#include <algorithm>
#include <memory>

#include "../math.h"
#include "instruction_sets.h"
#include "rows.h"
#include "share.h"
#include "vectors.h"

namespace cmrbias::cpu {
namespace {

constexpr int GROUP = 4;  // channels at a time: their sums share instructions, and the map's are loaded less often

// Asks the memory for what lies a little behind some values: the processor's own prefetching starts anew at each
// page.
constexpr int AHEAD = 8192;  // bytes
template <class T>
void prefetch_behind(const T* values, int count) {
  prefetch(reinterpret_cast<const char*>(values) + AHEAD, sizeof(T) * static_cast<std::size_t>(count));
}

// Which of a channel's last WIDE values the vectors before them do not hold: all ones in their lanes.
using Rest = Pair<Vector<std::int64_t, WIDE / 2>>;

Rest rest_of(int cells) {
  std::int64_t lanes[WIDE] = {};
  std::fill(lanes + WIDE - cells % WIDE, lanes + WIDE, std::int64_t{-1});
  return load_pair<decltype(Rest::low)>(lanes);
}

// The sum of a channel in WIDE partial sums. The last vector starts before the channel's end; what it shares
// with the one before is set to 0, so that a NaN counts once and as itself.
template <class T>
Doubles partial_sums(const T* values, int cells, const Rest& rest) {
  if (cells < WIDE) {
    double sums[WIDE] = {};
    for (int i = 0; i < cells; ++i) sums[i] = load(values[i]);
    return load_doubles(sums);
  }
  Doubles sums = {};
  for (int i = 0; i + WIDE <= cells; i += WIDE) sums += load_doubles(values + i);
  if (cells % WIDE == 0) return sums;
  const Doubles last = load_doubles(values + cells - WIDE);
  return sums + Doubles{rest.low ? last.low : Four{}, rest.high ? last.high : Four{}};
}

// Writes the mean of each channel's gradients.
template <class T>
void channel_means(double* means, const T* gradients, int channels, int cells) {
  const Rest rest = rest_of(cells);
  for (int first = 0; first < channels; first += GROUP) {
    Doubles sums[GROUP] = {};
    const int group = std::min(GROUP, channels - first);
    prefetch_behind(gradients, group * cells);
    for (int i = 0; i < group; ++i, gradients += cells) sums[i] = partial_sums(gradients, cells, rest);
    const Four total = sum_each(sums[0], sums[1], sums[2], sums[3]) / static_cast<double>(cells);
    std::memcpy(means + first, &total, sizeof(double) * static_cast<std::size_t>(group));
  }
}

// Adds weighted channels, one after the other, to the map.
template <class T>
void add_channels(double* sums, const double* weights, const T* activations, int channels,
                              int cells) {
  int channel = 0;
  for (; channel + GROUP <= channels; channel += GROUP) {
    const T* a = activations + static_cast<std::int64_t>(channel) * cells;
    const double* w = weights + channel;
    prefetch_behind(a, GROUP * cells);
    for (int i = 0; i < cells; ++i) {
      double sum = sums[i] + w[0] * load(a[i]);
      sum += w[1] * load(a[i + cells]);
      sum += w[2] * load(a[i + 2 * cells]);
      sums[i] = sum + w[3] * load(a[i + 3 * cells]);
    }
  }
  for (; channel < channels; ++channel) {
    const T* a = activations + static_cast<std::int64_t>(channel) * cells;
    for (int i = 0; i < cells; ++i) sums[i] += weights[channel] * load(a[i]);
  }
}

// Adds a segment to the map, and sets it to 0 for the next one.
void add_segment(double* sums, double* segment, int cells) {
  for (int i = 0; i < cells; ++i) {
    sums[i] += segment[i];
    segment[i] = 0;
  }
}

template <class T>
void image(const Gradcam& gradcam, std::int64_t number, double* scratch) {
  const int channels = gradcam.channels, cells = gradcam.cells;
  const std::int64_t size = static_cast<std::int64_t>(channels) * cells;
  const T* activations = static_cast<const T*>(gradcam.activations) + number * size;
  double *weights = scratch, *sums = scratch + channels, *segment = sums + cells;
  for (int target = 0; target < gradcam.targets; ++target) {
    const std::int64_t at = number * gradcam.targets + target;
    channel_means(weights, static_cast<const T*>(gradcam.gradients) + at * size, channels, cells);
    std::fill_n(sums, 2 * static_cast<std::size_t>(cells), 0.0);
    for (int first = 0; first < channels; first += SEGMENT) {
      add_channels(segment, weights + first, activations + static_cast<std::int64_t>(first) * cells,
                   std::min(SEGMENT, channels - first), cells);
      add_segment(sums, segment, cells);
    }
    Real<T>* map = static_cast<Real<T>*>(gradcam.maps) + at * cells;
    for (int i = 0; i < cells; ++i) map[i] = static_cast<Real<T>>(sums[i] < 0 ? 0.0 : sums[i]);  // NaN stays
  }
}

}  // namespace

void gradcam_image(const Gradcam& gradcam, std::int64_t number, double* scratch) {
  switch (gradcam.type) {
    case Type::float32: return best<image<float>>(gradcam, number, scratch);
    case Type::float64: return best<image<double>>(gradcam, number, scratch);
    case Type::bfloat16: return best<image<bfloat16>>(gradcam, number, scratch);
  }
}

void gradcam(const Gradcam& gradcam) {
#pragma omp parallel if (gradcam.images > 1)
  {
    const std::unique_ptr<double[]> memory(new double[gradcam_scratch(gradcam)]);
#pragma omp for schedule(dynamic, share(gradcam.images))
    for (std::int64_t number = 0; number < gradcam.images; ++number) {
      gradcam_image(gradcam, number, memory.get());
    }
  }
}

}  // namespace cmrbias::cpu
