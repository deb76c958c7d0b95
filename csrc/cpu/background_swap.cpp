// background_swap on the processor: one thread a donor's plane, which goes to all of its recipients.
//
// So a background is made once for each donor that is used, and every result is written by one thread
// in a fixed order: the same bits for any number of threads, and no atomics in the gradient.
#include "../background_swap.h"

#include <omp.h>

#include <algorithm>
#include <memory>

#include "rows.h"

namespace cmrbias {
namespace {

template <class T>
std::size_t scratch_bytes(const Swap& swap) {
  return Scratch<Real<T>>(nullptr, swap.height, swap.width).bytes;
}

}  // namespace

std::size_t background_swap_scratch(const Swap& swap) {
  return swap.type == Type::float64 ? scratch_bytes<double>(swap) : scratch_bytes<float>(swap);
}

namespace cpu {
namespace {

template <class T>
CMRBIAS_ROW bool any(const T* row, int width) {
  T seen = 0;
  for (int x = 0; x < width; ++x) seen |= row[x];
  return seen != 0;
}

// Adds the values inside (or outside) the heart into LANES sums.
template <class T>
CMRBIAS_ROW void add_lanes(double* lanes, const T* values, const std::uint8_t* heart, bool inside,
                           int count) {
  for (int start = 0; start < count; start += LANES) {
    const int length = std::min(LANES, count - start);
    for (int lane = 0; lane < length; ++lane) {
      const double value = load(values[start + lane]);
      lanes[lane] += (heart[start + lane] != 0) == inside ? value : 0.0;
    }
  }
}

template <class T>
double masked_sum(const T* values, const std::uint8_t* heart, bool inside, int count) {
  double lanes[LANES] = {};
  add_lanes(lanes, values, heart, inside, count);
  for (int half = LANES / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

CMRBIAS_ROW int count_known(const std::uint8_t* heart, int count) {
  int known = 0;
  for (int i = 0; i < count; ++i) known += heart[i] == 0;
  return known;
}

// Adds a recipient's gradient outside its heart.
template <class T>
CMRBIAS_ROW void add_outside(Real<T>* sum, const T* gradient, const std::uint8_t* heart, int count) {
  for (int i = 0; i < count; ++i) {
    const Real<T> value = load(gradient[i]);
    sum[i] += heart[i] == 0 ? value : Real<T>(0);
  }
}

// Down: a level from the one below it.
template <class Fine, class R>
CMRBIAS_ROW void average_level(const Fine& fine, const Level<R>& coarse) {
  for (int y = 0; y < coarse.height; ++y) {
    for (int x = 0; x < coarse.width; ++x) average(fine, coarse, y, x);
  }
}

// Makes all levels of a plane; level 1 is `coarse`.
template <class T>
void average_levels(const Plane<T>& plane, Level<Real<T>> coarse) {
  average_level(plane, coarse);
  for (; coarse.size() > 1; coarse = coarse.above()) average_level(coarse, coarse.above());
}

// Up, transposed: a level's gradient from the one below it.
template <class Fine, class R>
CMRBIAS_ROW void gather_level(const Fine& fine, const Level<R>& coarse) {
  for (int y = 0; y < coarse.height; ++y) {
    for (int x = 0; x < coarse.width; ++x) gather(fine, coarse, y, x);
  }
}

// Calls work(swap, case, frame, memory) for each plane, each thread with its own memory.
template <class Work>
void for_each_plane(const Swap& swap, std::size_t least, const Work& work) {
  const std::size_t bytes = (least + 63) / 64 * 64;  // no two threads in one cache line
  const std::int64_t planes = swap.cases * swap.frames;
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  const std::unique_ptr<char[]> memory(new char[bytes * threads]);
#pragma omp parallel
  {
    char* own = memory.get() + bytes * static_cast<std::size_t>(omp_get_thread_num());
#pragma omp for schedule(dynamic)
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      work(swap, plane / swap.frames, plane % swap.frames, own);
    }
    stream_end();
  }
}

// A donor's plane without its heart, row by row.
template <class T>
class Background {
 public:
  Background(Fill fill, const Plane<T>& donor, const Scratch<Real<T>>& scratch)
      : fill_(fill), donor_(donor), above_(scratch.level(1)) {
    const int count = donor.height * donor.width;
    if (fill_ == Fill::donor || !any(donor.heart, count)) {
      fill_ = Fill::donor;
    } else if (fill_ == Fill::mean) {
      const int known = count_known(donor.heart, count);
      const double sum = masked_sum(donor.pixels, donor.heart, false, count);
      store(mean_, known ? sum / known : 0.0);
    } else {
      inpaint(scratch);
    }
  }

  // Returns row y, in `buffer` or where the donor has it.
  const T* row(int y, T* buffer) const {
    const T* pixels = donor_.pixels + y * donor_.width;
    const std::uint8_t* heart = donor_.heart + y * donor_.width;
    if (fill_ == Fill::donor || !any(heart, donor_.width)) return pixels;
    for (int x = 0; x < donor_.width; ++x) {
      if (!heart[x]) {
        buffer[x] = pixels[x];
      } else if (fill_ == Fill::mean) {
        buffer[x] = mean_;
      } else {
        store(buffer[x], interpolate(above_, y, x));
      }
    }
    return buffer;
  }

 private:
  void inpaint(const Scratch<Real<T>>& scratch) {
    average_levels(donor_, above_);
    for (int number = level_count(donor_.height, donor_.width) - 1; number >= 1; --number) {
      const auto fine = scratch.level(number), coarse = fine.above();
      for (int i = 0; i < fine.size(); ++i) {
        if (!fine.known(i)) fine.values[i] = interpolate(coarse, i / fine.width, i % fine.width);
      }
    }
  }

  Fill fill_;
  Plane<T> donor_;
  Level<Real<T>> above_;
  T mean_{};
};

// Writes the rows of all recipients of a donor's plane.
template <class T>
void forward_plane(const Swap& swap, std::int64_t donor, std::int64_t frame, char* memory) {
  const std::int64_t begin = swap.starts[donor], end = swap.starts[donor + 1];
  if (begin == end) return;
  const auto* images = static_cast<const T*>(swap.input);
  auto* output = static_cast<T*>(swap.output);
  const int width = swap.width;
  const Scratch<Real<T>> scratch(memory, swap.height, width);
  T* filled = reinterpret_cast<T*>(memory + scratch.bytes);
  T* merged = filled + width;
  const T* pixels = images + plane_at(swap, donor, frame);
  const Background<T> background(swap.fill, {pixels, heart_at(swap, donor, frame), swap.height, width},
                                 scratch);
  for (int y = 0; y < swap.height; ++y) {
    const T* outside = background.row(y, filled);
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t own = plane_at(swap, swap.order[at], frame) + y * width;
      const std::uint8_t* heart = heart_at(swap, swap.order[at], frame) + y * width;
      const bool whole = !any(heart, width);
      for (int x = 0; !whole && x < width; ++x) merged[x] = heart[x] ? images[own + x] : outside[x];
      stream(output + own, whole ? outside : merged, sizeof(T) * static_cast<std::size_t>(width));
    }
  }
}

// Turns the gradient of a donor's background, gathered from its recipients, into that of level 1 (see
// background_swap.h): gradients climb from unknown cells and fall onto known ones.
template <class R>
void inpaint_backward(const Plane<R>& gathered, const Scratch<R>& scratch) {
  auto coarse = scratch.level(1);
  average_levels(gathered, coarse);  // for the counts; the values are overwritten
  gather_level(gathered, coarse);
  for (; coarse.size() > 1; coarse = coarse.above()) gather_level(coarse, coarse.above());
  for (int number = level_count(gathered.height, gathered.width) - 1; number >= 1; --number) {
    const auto fine = scratch.level(number), above = fine.above();
    for (int i = 0; i < fine.size(); ++i) {
      if (fine.known(i)) fine.values[i] += scatter(above, i / fine.width, i % fine.width);
    }
  }
}

// Writes the gradient of a case's plane, as recipient and as donor.
template <class T>
void backward_plane(const Swap& swap, std::int64_t donor, std::int64_t frame, char* memory) {
  const auto* gradients = static_cast<const T*>(swap.input);
  const T* own = gradients + plane_at(swap, donor, frame);
  const std::uint8_t* heart = heart_at(swap, donor, frame);
  T* result = static_cast<T*>(swap.output) + plane_at(swap, donor, frame);
  const int count = swap.height * swap.width;

  const Scratch<Real<T>> scratch(memory, swap.height, swap.width);
  auto* gathered = scratch.gathered;
  std::fill_n(gathered, count, Real<T>(0));
  for (std::int64_t at = swap.starts[donor]; at < swap.starts[donor + 1]; ++at) {
    const std::int64_t recipient = swap.order[at];
    const T* gradient = gradients + plane_at(swap, recipient, frame);
    add_outside(gathered, gradient, heart_at(swap, recipient, frame), count);
  }
  double shared = 0;
  if (swap.fill == Fill::mean) {
    const int known = count_known(heart, count);
    shared = known ? masked_sum(gathered, heart, true, count) / known : 0.0;
  } else if (swap.fill == Fill::inpaint) {
    inpaint_backward(Plane<Real<T>>{gathered, heart, swap.height, swap.width}, scratch);
  }
  const auto above = scratch.level(1);
  for (int i = 0; i < count; ++i) {
    store_gradient(result[i], swap.fill, heart[i] != 0, own[i], gathered[i], shared, above, i / swap.width,
                   i % swap.width);
  }
}

template <class T>
void forward(const Swap& swap) {
  const std::size_t rows = 2 * sizeof(T) * static_cast<std::size_t>(swap.width);
  for_each_plane(swap, background_swap_scratch(swap) + rows, forward_plane<T>);
}

template <class T>
void backward(const Swap& swap) {
  for_each_plane(swap, background_swap_scratch(swap), backward_plane<T>);
}

}  // namespace

void background_swap(const Swap& swap) {
  switch (swap.type) {
    case Type::float32: return forward<float>(swap);
    case Type::float64: return forward<double>(swap);
    case Type::bfloat16: return forward<bfloat16>(swap);
  }
}

void background_swap_backward(const Swap& swap) {
  switch (swap.type) {
    case Type::float32: return backward<float>(swap);
    case Type::float64: return backward<double>(swap);
    case Type::bfloat16: return backward<bfloat16>(swap);
  }
}

}  // namespace cpu
}  // namespace cmrbias
