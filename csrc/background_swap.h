// The arithmetic of background_swap, cell by cell, for both devices.
//
// fill=inpaint is the push-pull of Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph", SIGGRAPH
// 1996, section 3.4.2, with weights 0 in the heart and 1 outside it, a 2 x 2 box as the filter down and
// the bilinear filter up. Gortler's saturated weight min(1, sum) then stays 0 or 1:
//
//   down  a cell of level l + 1 is the mean of its known children, the up to four cells
//         (2y..2y+1, 2x..2x+1) of level l; it is known if any child is. Level 0 is the image, known
//         outside the heart; the last level is one cell, 0 if nothing at all is known.
//   up    from the last level down to 0, an unknown cell is read off the filled level above, bilinearly
//         between cell centres: 3/4 of the nearer row (column) and 1/4 of the next one, which at the
//         border is the nearer one itself.
//
// A background is made in the donor's own frame and moved afterwards, by whole pixels (hearts.h).
//
// Unknown pixels are never read into arithmetic, so a NaN among them goes nowhere. For a given mask the
// result is linear in the known pixels; the gradient is the transposed map, its steps in reverse.
#pragma once

#include "hearts.h"
#include "kernels.h"
#include "math.h"

namespace cmrbias {

CMRBIAS_BOTH int halved(int length) { return length / 2 + length % 2; }

// Level 0: pixels, known outside the heart.
template <class T>
struct Plane {
  const T* pixels;
  const std::uint8_t* heart;
  int height, width;
  CMRBIAS_BOTH bool known(int i) const { return heart[i] == 0; }
  CMRBIAS_BOTH Real<T> value(int i) const { return load(pixels[i]); }
};

// A level above: cells with the number of their known children.
template <class R>
struct Level {
  R* values;
  std::uint8_t* counts;
  int height, width;
  CMRBIAS_BOTH bool known(int i) const { return counts[i] != 0; }
  CMRBIAS_BOTH R value(int i) const { return values[i]; }
  CMRBIAS_BOTH int size() const { return height * width; }
  // The next coarser level, which follows in memory.
  CMRBIAS_BOTH Level above() const {
    return {values + size(), counts + size(), halved(height), halved(width)};
  }
};

// The number of levels above the image: at least one.
CMRBIAS_BOTH int level_count(int height, int width) {
  int count = 0;
  do {
    height = halved(height);
    width = halved(width);
    ++count;
  } while (height > 1 || width > 1);
  return count;
}

// Cells of all levels above the image.
CMRBIAS_BOTH std::size_t cell_count(int height, int width) {
  std::size_t cells = 0;
  do {
    height = halved(height);
    width = halved(width);
    cells += static_cast<std::size_t>(height) * width;
  } while (height > 1 || width > 1);
  return cells;
}

// A plane's scratch memory, laid out by descending alignment.
template <class R>
struct Scratch {
  double* mean;          // 1
  R* gathered;           // height * width: gradients from all recipients
  R* values;             // cell_count
  std::uint8_t* counts;  // cell_count
  int height, width;
  std::size_t bytes;

  CMRBIAS_BOTH Scratch(void* memory, int rows, int columns) : height(rows), width(columns) {
    const std::size_t cells = cell_count(rows, columns);
    mean = static_cast<double*>(memory);
    gathered = reinterpret_cast<R*>(mean + 1);
    values = gathered + static_cast<std::size_t>(rows) * columns;
    counts = reinterpret_cast<std::uint8_t*>(values + cells);
    bytes = (sizeof(double) + (static_cast<std::size_t>(rows) * columns + cells) * sizeof(R) + cells + 15) /
            16 * 16;
  }

  // Level 1, 2, ... above the image.
  CMRBIAS_BOTH Level<R> level(int number) const {
    Level<R> at{values, counts, halved(height), halved(width)};
    for (; number > 1; --number) at = at.above();
    return at;
  }
};

// Down: the mean of a coarse cell's known children, added in row-major order.
template <class R>
struct Mean {
  R sum = 0;
  int count = 0;
  template <class Fine>
  CMRBIAS_BOTH void add(const Fine& fine, int i) {
    const R value = fine.value(i);
    const bool known = fine.known(i);
    sum += known ? value : R(0);
    count += known;
  }
  CMRBIAS_BOTH void write(const Level<R>& coarse, int cell) const {
    coarse.values[cell] = count ? sum / static_cast<R>(count) : R(0);
    coarse.counts[cell] = static_cast<std::uint8_t>(count);
  }
};
template <class Fine, class R>
CMRBIAS_BOTH void average(const Fine& fine, const Level<R>& coarse, int y, int x) {
  Mean<R> mean;
  for (int row = 2 * y; row < 2 * y + 2 && row < fine.height; ++row) {
    for (int column = 2 * x; column < 2 * x + 2 && column < fine.width; ++column) {
      mean.add(fine, row * fine.width + column);
    }
  }
  mean.write(coarse, y * coarse.width + x);
}

// The coarse row or column next to `fine`'s own, on the side where it lies; inside [0, length).
CMRBIAS_BOTH int neighbour(int fine, int length) {
  const int next = fine / 2 + (fine % 2 ? 1 : -1);
  return next < 0 ? 0 : next < length ? next : length - 1;
}

// Up: the coarse level, filled, at row y and column x of the finer one.
template <class R>
CMRBIAS_BOTH R interpolate(const Level<R>& coarse, int y, int x) {
  const R* near = coarse.values + y / 2 * coarse.width;
  const R* next = coarse.values + neighbour(y, coarse.height) * coarse.width;
  const int left = x / 2, right = neighbour(x, coarse.width);
  const R first = R(0.75) * near[left] + R(0.25) * next[left];
  const R second = R(0.75) * near[right] + R(0.25) * next[right];
  return R(0.75) * first + R(0.25) * second;
}

// The share of coarse row or column `coarse` in what `fine` reads off: 1, 3/4, 1/4 or 0.
template <class R>
CMRBIAS_BOTH R share(int fine, int coarse, int length) {
  return (fine / 2 == coarse ? R(0.75) : R(0)) + (neighbour(fine, length) == coarse ? R(0.25) : R(0));
}

// Up, transposed: a coarse cell gathers the gradients of the unknown cells that read it.
template <class Fine, class R>
CMRBIAS_BOTH void gather(const Fine& fine, const Level<R>& coarse, int y, int x) {
  R sum = 0;
  for (int row = 2 * y - 1; row < 2 * y + 3; ++row) {
    if (row < 0 || row >= fine.height) continue;
    for (int column = 2 * x - 1; column < 2 * x + 3; ++column) {
      if (column < 0 || column >= fine.width) continue;
      const int i = row * fine.width + column;
      if (fine.known(i)) continue;
      sum += share<R>(row, y, coarse.height) * share<R>(column, x, coarse.width) * fine.value(i);
    }
  }
  coarse.values[y * coarse.width + x] = sum;
}

// Down, transposed: what a known cell at row y and column x gets from the mean above it.
template <class R>
CMRBIAS_BOTH R scatter(const Level<R>& coarse, int y, int x) {
  const int cell = y / 2 * coarse.width + x / 2;
  return coarse.values[cell] / static_cast<R>(coarse.counts[cell]);
}

// The gradient of a case's pixel: `own` of the result there, if it is heart; `gathered` from where it is
// the background of others; and what their filled hearts owe it: `shared` for its part in the mean, or
// what comes down from level 1, `above`.
template <class T>
CMRBIAS_BOTH void store_gradient(T& result, Fill fill, bool heart, T own, Real<T> gathered, double shared,
                                 const Level<Real<T>>& above, int y, int x) {
  if (fill == Fill::donor) {
    store(result, heart ? load(own) + gathered : gathered);
  } else if (heart) {
    result = own;
  } else if (fill == Fill::mean) {
    store(result, gathered + shared);
  } else {
    store(result, gathered + scatter(above, y, x));
  }
}

// Where a plane of case `number` begins.
CMRBIAS_BOTH std::int64_t plane_at(const Swap& swap, std::int64_t number, std::int64_t frame) {
  return (number * swap.frames + frame) * swap.height * swap.width;
}

}  // namespace cmrbias
