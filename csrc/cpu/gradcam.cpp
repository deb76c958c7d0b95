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

// How an image's channels are read: one after the other, or, where they take more than a few pages, GROUP of them side
// by side from places far apart. Memory delivers several streams a quarter faster than one, but each starts slowly.
template <class T>
struct Streams {
  int count;
  int ahead;  // bytes from what a stream reads to what it asks for: processors' own prefetching ends with a page

  explicit Streams(std::int64_t values)
      : count(values * std::int64_t{sizeof(T)} > 65536 ? GROUP : 1), ahead(8192 / count) {}

  // Of so many things to read, those of each stream.
  int share(int things) const { return (things + count - 1) / count; }

  void prefetch(const T* values, std::size_t number) const {
    cpu::prefetch(reinterpret_cast<const char*>(values) + ahead, sizeof(T) * number);
  }
};

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

// Writes the mean of each channel's gradients, of GROUP channels at a time.
template <class V, class T>
void channel_means(double* means, const T* gradients, int channels, int cells, const Streams<T>& streams) {
  const Rest rest(cells);
  const int apart = streams.count == GROUP ? streams.share(channels) : 1;  // from a group's channel to its next one
  for (int block = 0; block < channels; block += GROUP * apart) {
    for (int first = block; first < block + apart; ++first) {
      int numbers[GROUP];  // the last one again where there are fewer
      const T* of[GROUP];
      for (int k = 0; k < GROUP; ++k) {
        numbers[k] = std::min(first + k * apart, channels - 1);
        of[k] = gradients + std::int64_t{numbers[k]} * cells;
        streams.prefetch(of[k], static_cast<std::size_t>(cells));
      }
      const Four means_of_group = channel_sums<V>(of, cells, rest) / static_cast<double>(cells);
      for (int k = 0; k < GROUP; ++k) means[numbers[k]] = means_of_group[k];
    }
  }
}

// Adds weighted channels, one after the other, to the map.
template <class V, class T>
void add_channels(double* sums, const double* weights, const T* activations, int channels, int cells,
                  const Streams<T>& streams) {
  int channel = 0;
  for (; channel + GROUP <= channels; channel += GROUP) {
    const T* a = activations + static_cast<std::int64_t>(channel) * cells;
    const T *b = a + cells, *c = b + cells, *d = c + cells;
    const double* w = weights + channel;
    streams.prefetch(a, GROUP * static_cast<std::size_t>(cells));
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

// Writes a map of each segment's weighted channels.
template <class V, class T>
void segment_maps(double* maps, const double* weights, const T* activations, int channels, int cells,
                  const Streams<T>& streams) {
  const int segments = segments_of(channels), apart = streams.share(segments);
  const int step = streams.count == 1 ? SEGMENT : GROUP;
  std::fill_n(maps, std::int64_t{segments} * cells, 0.0);
  for (int first = 0; first < apart; ++first) {
    for (int done = 0; done < SEGMENT; done += step) {
      for (int segment = first; segment < segments; segment += apart) {
        const int channel = segment * SEGMENT + done;
        add_channels<V>(maps + std::int64_t{segment} * cells, weights + channel,
                        activations + std::int64_t{channel} * cells, std::min(step, channels - channel), cells,
                        streams);
      }
    }
  }
}

template <class V, class T>
void image(const Gradcam& gradcam, std::int64_t number, double* scratch) {
  const int channels = gradcam.channels, cells = gradcam.cells;
  const std::int64_t size = static_cast<std::int64_t>(channels) * cells;
  const T* activations = static_cast<const T*>(gradcam.activations) + number * size;
  const Streams<T> streams(size);
  double *weights = scratch, *segments = weights + channels;
  double* sums = segments + std::int64_t{segments_of(channels)} * cells;
  for (int target = 0; target < gradcam.targets; ++target) {
    const std::int64_t at = number * gradcam.targets + target;
    channel_means<V>(weights, static_cast<const T*>(gradcam.gradients) + at * size, channels, cells, streams);
    segment_maps<V>(segments, weights, activations, channels, cells, streams);
    std::fill_n(sums, cells, 0.0);
    for (const double* segment = segments; segment < sums; segment += cells) {
      for (int i = 0; i < cells; ++i) sums[i] += segment[i];
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
