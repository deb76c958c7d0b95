// GradCAM on the processor: one thread an image, everything summed in double in a fixed order.
#include "gradcam.h"

#include <algorithm>
#include <limits>
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
void prefetch_behind(const T* values, std::size_t count) {
  prefetch(reinterpret_cast<const char*>(values) + AHEAD, sizeof(T) * count);
}

// Which of a channel's last WIDE values the vectors before them do not hold: all ones in their lanes.
struct Rest {
  std::int64_t lanes[WIDE] = {};
  explicit Rest(int cells) { std::fill(lanes + WIDE - cells % WIDE, lanes + WIDE, std::int64_t{-1}); }

  // Those values, and 0 in the other lanes.
  Eight of(const Eight& last) const { return load_vector<Vector<std::int64_t, WIDE>>(lanes) ? last : Eight{}; }
  Doubles of(const Doubles& last) const {
    using Half = Vector<std::int64_t, WIDE / 2>;
    const auto low = load_vector<Half>(lanes), high = load_vector<Half>(lanes + WIDE / 2);
    return {low ? last.low : Four{}, high ? last.high : Four{}};
  }
};

// The sums of a group's channels, each in WIDE partial sums. The last vector starts before a channel's end; what it
// shares with the one before is set to 0, so that a NaN counts once and as itself.
template <class V, class T>
Four channel_sums(const T* const (&channels)[GROUP], int cells, const Rest& rest) {
  V sums[GROUP] = {};
  if (cells < WIDE) {
    double values[WIDE] = {};
    for (int k = 0; k < GROUP; ++k) {
      for (int i = 0; i < cells; ++i) values[i] = load(channels[k][i]);
      sums[k] = load_wide<V>(values);
    }
  } else {
    for (int i = 0; i + WIDE <= cells; i += WIDE) {
      for (int k = 0; k < GROUP; ++k) sums[k] += load_wide<V>(channels[k] + i);
    }
    for (int k = 0; k < GROUP && cells % WIDE; ++k) sums[k] += rest.of(load_wide<V>(channels[k] + cells - WIDE));
  }
  return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// Writes the mean of each channel's gradients.
template <class V, class T>
void channel_means(double* means, const T* gradients, int channels, int cells) {
  const Rest rest(cells);
  for (int first = 0; first < channels; first += GROUP) {
    const int group = std::min(GROUP, channels - first);
    const T* of[GROUP];  // the last one again where there are fewer
    for (int k = 0; k < GROUP; ++k) of[k] = gradients + std::int64_t{first + std::min(k, group - 1)} * cells;
    prefetch_behind(of[0], static_cast<std::size_t>(group) * cells);
    const Four means_of_group = channel_sums<V>(of, cells, rest) / static_cast<double>(cells);
    if (group == GROUP) {
      store_vector(means + first, means_of_group);
    } else {
      for (int k = 0; k < group; ++k) means[first + k] = means_of_group[k];
    }
  }
}

// Adds weighted channels, one after the other, to the map.
template <class V, class T>
void add_channels(double* sums, const double* weights, const T* activations, int channels, int cells) {
  int channel = 0;
  for (; channel + GROUP <= channels; channel += GROUP) {
    const T* a = activations + static_cast<std::int64_t>(channel) * cells;
    const T *b = a + cells, *c = b + cells, *d = c + cells;
    const double* w = weights + channel;
    prefetch_behind(a, std::size_t{GROUP} * cells);
    int i = 0;
    for (; i + WIDE <= cells; i += WIDE) {
      V sum = load_wide<V>(sums + i) + w[0] * load_wide<V>(a + i);
      sum += w[1] * load_wide<V>(b + i);
      sum += w[2] * load_wide<V>(c + i);
      sum += w[3] * load_wide<V>(d + i);
      store_wide(sums + i, sum);
    }
    for (; i < cells; ++i) {
      double sum = sums[i] + w[0] * load(a[i]);
      sum += w[1] * load(b[i]);
      sum += w[2] * load(c[i]);
      sums[i] = sum + w[3] * load(d[i]);
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

template <class V, class T>
void image(const Gradcam& gradcam, std::int64_t number, double* scratch) {
  const int channels = gradcam.channels, cells = gradcam.cells;
  const std::int64_t size = static_cast<std::int64_t>(channels) * cells;
  const T* activations = static_cast<const T*>(gradcam.activations) + number * size;
  double *weights = scratch, *sums = scratch + channels, *segment = sums + cells;
  for (int target = 0; target < gradcam.targets; ++target) {
    const std::int64_t at = number * gradcam.targets + target;
    channel_means<V>(weights, static_cast<const T*>(gradcam.gradients) + at * size, channels, cells);
    std::fill_n(sums, 2 * static_cast<std::size_t>(cells), 0.0);
    for (int first = 0; first < channels; first += SEGMENT) {
      add_channels<V>(segment, weights + first, activations + static_cast<std::int64_t>(first) * cells,
                   std::min(SEGMENT, channels - first), cells);
      add_segment(sums, segment, cells);
    }
    Real<T>* map = static_cast<Real<T>*>(gradcam.maps) + at * cells;
    for (int i = 0; i < cells; ++i) {
      // the sign of a sum of NaNs depends on the instruction set
      const double sum = sums[i] == sums[i] ? sums[i] : std::numeric_limits<double>::quiet_NaN();
      map[i] = static_cast<Real<T>>(sum < 0 ? 0.0 : sum);
    }
  }
}

}  // namespace

void gradcam_image(const Gradcam& gradcam, std::int64_t number, double* scratch) {
  switch (gradcam.type) {
    case Type::float32: return best<image<Doubles, float>, image<Eight, float>>(gradcam, number, scratch);
    case Type::float64: return best<image<Doubles, double>, image<Eight, double>>(gradcam, number, scratch);
    case Type::bfloat16: return best<image<Doubles, bfloat16>, image<Eight, bfloat16>>(gradcam, number, scratch);
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
