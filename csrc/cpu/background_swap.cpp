// background_swap on the processor: one thread a donor's plane, which goes to all of its recipients.
//
// So a background is made once for each donor that is used, and every result is written by one thread
// in a fixed order: the same bits for any number of threads, and no atomics in the gradient.
#include "../background_swap.h"

#include <omp.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "background.h"
#include "instruction_sets.h"
#include "pages.h"
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

constexpr int BLOCK = 32;  // pixels whose masks are looked at together
// A heart's pixels are too few a row for the processor's own prefetching: they are asked for so many rows ahead.
constexpr int ROWS_AHEAD = 4;

// Calls work<plane>(swap, case, frame, memory) for each plane, each thread with its own memory.
template <auto work>
void for_each_plane(const Swap& swap, std::size_t least) {
  const std::size_t bytes = (least + 63) / 64 * 64;  // no two threads in one cache line
  const std::int64_t planes = swap.cases * swap.frames;
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  const std::unique_ptr<char[]> memory(new char[bytes * threads]);
#pragma omp parallel
  {
    char* own = memory.get() + bytes * static_cast<std::size_t>(omp_get_thread_num());
#pragma omp for schedule(dynamic)
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      best<work>(swap, plane / swap.frames, plane % swap.frames, own);
    }
    stream_end();
  }
}

// Returns a row of the background as a recipient sees it: moved, 0 beyond the donor's border.
template <class T>
const T* moved_row(const Background<T>& background, const Swap& swap, const Shift& shift, int y, T* buffer) {
  const int from = y - shift.down;
  const bool inside = from >= 0 && from < swap.height;
  if (inside && shift.right == 0) return background.row(from);
  std::fill_n(buffer, swap.width, T{});
  if (inside) {
    const Kept columns(shift.right, swap.width);
    std::copy_n(background.row(from) + columns.from, columns.count, buffer + columns.to);
  }
  return buffer;
}

// Selects recipient or background; the recipient is read only in blocks that have heart.
template <class T>
void select(T* result, const T* own, const T* outside, const std::uint8_t* heart, int width) {
  for (int start = 0; start < width; start += BLOCK) {
    const int end = std::min(start + BLOCK, width);
    if (has_heart(heart + start, end - start)) {
      prefetch(own + ROWS_AHEAD * width + start, sizeof(T) * BLOCK);  // where the heart is likely to go on
      for (int x = start; x < end; ++x) {
        const T inner = own[x], outer = outside[x];  // both read, so that this becomes a vector's blend
        result[x] = heart[x] ? inner : outer;
      }
    } else {
      std::copy(outside + start, outside + end, result + start);
    }
  }
}

// Writes the frames of all recipients of a donor's plane.
template <class T>
void forward_plane(const Swap& swap, std::int64_t donor, std::int64_t frame, char* memory) {
  const std::int64_t begin = swap.starts[donor], end = swap.starts[donor + 1];
  if (begin == end) return;
  const auto* images = static_cast<const T*>(swap.input);
  auto* output = static_cast<T*>(swap.output);
  const int width = swap.width;
  const Scratch<Real<T>> scratch(memory, swap.height, width);
  T* moved = reinterpret_cast<T*>(memory + scratch.bytes);
  T* merged = moved + width;
  const T* pixels = images + plane_at(swap, donor, frame);
  const Background<T> background(swap.fill, {pixels, heart_at(swap, donor, frame), swap.height, width},
                                 scratch, reinterpret_cast<T*>(scratch.gathered));
  for (std::int64_t at = begin; at < end; ++at) {
    const std::int64_t recipient = swap.order[at];
    const Shift shift = shift_at(swap, recipient, frame);
    const std::int64_t plane = plane_at(swap, recipient, frame);
    const std::uint8_t* heart = heart_at(swap, recipient, frame);
    for (int y = 0; y < swap.height; ++y) {
      const T* outside = moved_row(background, swap, shift, y, moved);
      const int start = y * width;
      const bool whole = !has_heart(heart + start, width);
      if (!whole) select(merged, images + plane + start, outside, heart + start, width);
      stream(output + plane + start, whole ? outside : merged, sizeof(T) * static_cast<std::size_t>(width));
    }
  }
}

// Adds a recipient's gradient outside its heart to the donor's pixels that were shown there.
template <class T>
void add_outside(Real<T>* gathered, const T* gradient, const std::uint8_t* heart, const Shift& shift,
                 int height, int width) {
  const Kept rows(shift.down, height), columns(shift.right, width);
  for (int y = 0; y < rows.count; ++y) {
    Real<T>* sum = gathered + (rows.from + y) * width + columns.from;
    const int start = (rows.to + y) * width + columns.to;
    for (int x = 0; x < columns.count; ++x) {
      const Real<T> value = load(gradient[start + x]);
      sum[x] += heart[start + x] == 0 ? value : Real<T>(0);
    }
  }
}

// Up, transposed: a level's gradient from the one below it.
template <class Fine, class R>
void gather_level(const Fine& fine, const Level<R>& coarse) {
  for (int y = 0; y < coarse.height; ++y) {
    for (int x = 0; x < coarse.width; ++x) gather(fine, coarse, y, x);
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
    add_outside(gathered, gradients + plane_at(swap, recipient, frame), heart_at(swap, recipient, frame),
                shift_at(swap, recipient, frame), swap.height, swap.width);
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
void ask_for_output(const Swap& swap) {
  const std::int64_t pixels = swap.cases * swap.frames * swap.height * swap.width;
  ask_for_huge_pages(swap.output, sizeof(T) * static_cast<std::size_t>(pixels));
}

template <class T>
void forward(const Swap& swap) {
  ask_for_output<T>(swap);
  const std::size_t rows = 2 * sizeof(T) * static_cast<std::size_t>(swap.width);
  for_each_plane<forward_plane<T>>(swap, background_swap_scratch(swap) + rows);
}

template <class T>
void backward(const Swap& swap) {
  ask_for_output<T>(swap);
  for_each_plane<backward_plane<T>>(swap, background_swap_scratch(swap));
}

}  // namespace

void group_by_donor(const std::int64_t* donors, std::int64_t cases, std::int64_t* order) {
  std::int64_t* starts = order + cases;
  std::fill_n(starts, cases + 1, 0);
  for (std::int64_t recipient = 0; recipient < cases; ++recipient) ++starts[donors[recipient] + 1];
  std::partial_sum(starts, starts + cases + 1, starts);
  std::vector<std::int64_t> next(starts, starts + cases);
  for (std::int64_t recipient = 0; recipient < cases; ++recipient) order[next[donors[recipient]]++] = recipient;
}

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
