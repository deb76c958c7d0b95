// A mask on a map's grid, by the adjoint of the upsampling: sum of (U c) y = sum of c (U^T y).
//
// A block of rows without heart costs one look at its bytes. Elsewhere the columns between the heart's outermost
// are counted in bytes, a block at a time, added up to a strip of rows in double, and then patch by patch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "grid.h"
#include "rows.h"
#include "vectors.h"

namespace cmrbias::cpu {

// Columns [first, last) of a mask.
struct Columns {
  int first, last;
  bool empty() const { return first >= last; }
};

// The columns from the first to the last vector of bytes with any heart, in some rows of a mask.
inline Columns columns_with_heart(const std::uint8_t* mask, int rows, int columns) {
  Columns found{columns, 0};
  for (int x = 0; x < columns; x += BYTES) {
    const std::size_t width = static_cast<std::size_t>(std::min(BYTES, columns - x));
    Bytes seen = {};
    for (int row = 0; row < rows; ++row) {
      seen |= load_part(mask + static_cast<std::int64_t>(row) * columns + x, width);
    }
    if (!is_zero(seen)) found = {std::min(found.first, x), x + BYTES};
  }
  return found;
}

// Counts heart pixels in each column of a block's rows, and sums their row numbers in the block.
inline void count_columns(std::uint8_t* counts, std::uint8_t* numbers, const std::uint8_t* mask, int rows,
                          int columns, const Columns& among) {
  for (int x = among.first; x < among.last; x += BYTES) {
    const std::size_t width = static_cast<std::size_t>(std::min(BYTES, columns - x));
    Bytes count = {}, number = {};
    for (int row = 0; row < rows; ++row) {
      const std::uint8_t* from = mask + static_cast<std::int64_t>(row) * columns + x;
      const Bytes heart = load_part(from, width) != 0;  // 255 or 0
      count -= heart;
      number += heart & static_cast<std::uint8_t>(row);
    }
    store_vector(counts + x, count);
    store_vector(numbers + x, number);
  }
}

struct Moments {
  double count, row, column, both;  // sums of 1, row part, column part and their product
};

// Sums over a patch's columns, WIDE partial sums at a time.
inline Moments patch_moments(const double* counts, const double* rows, const double* parts, int columns) {
  Doubles sums[4] = {};
  const auto add = [&](const double* count, const double* row, const double* part) {
    sums[0] += load_doubles(count);
    sums[1] += load_doubles(row);
    sums[2] += load_doubles(count) * load_doubles(part);
    sums[3] += load_doubles(row) * load_doubles(part);
  };
  int x = 0;
  for (; x + WIDE <= columns; x += WIDE) add(counts + x, rows + x, parts + x);
  if (x < columns) {
    double last[3][WIDE] = {};
    std::copy(counts + x, counts + columns, last[0]);
    std::copy(rows + x, rows + columns, last[1]);
    std::copy(parts + x, parts + columns, last[2]);
    add(last[0], last[1], last[2]);
  }
  const Four each = sum_each(sums[0], sums[1], sums[2], sums[3]);
  return {each[0], each[1], each[2], each[3]};
}

// So many bytes ahead of what is looked at, the mask is asked for: the processor's own prefetching starts anew at
// each page.
constexpr int MASK_AHEAD = 3072;

class Projected {
 public:
  explicit Projected(const Grid& grid)
      : grid_(grid),
        padded_(whole<BYTES>(grid.columns.pixels)),
        bytes_(2 * padded_),
        counts_(padded_),
        parts_(padded_),
        inside(grid.patches()),
        cells(static_cast<std::size_t>(grid.rows.cells) * grid.columns.cells) {}

  void project(const std::uint8_t* mask) {
    std::fill(cells.begin(), cells.end(), 0.0);
    std::fill(inside.begin(), inside.end(), 0);
    area = 0;
    const Axis& rows = grid_.rows;
    const int width = grid_.columns.pixels;
    for (std::size_t strip = 0; strip < rows.strips.size(); ++strip) {
      Columns used{width, 0};
      for (std::size_t at = rows.strips[strip].first_block; at < rows.strips[strip].last_block; ++at) {
        const Block& block = rows.blocks[at];
        const std::uint8_t* first = mask + static_cast<std::int64_t>(block.first) * width;
        prefetch(first + MASK_AHEAD, static_cast<std::size_t>(block.size()) * width);
        if (has_heart(first, block.size() * width)) add_block(block, first, &used);
      }
      if (!used.empty()) add_patches(strip, used);
    }
  }

  const Grid& grid() const { return grid_; }

 private:
  // Adds a block of rows to its strip; `used` are the strip's columns with heart so far.
  void add_block(const Block& block, const std::uint8_t* mask, Columns* used) {
    const int width = grid_.columns.pixels;
    const Columns with = columns_with_heart(mask, block.size(), width);
    std::uint8_t *count = bytes_.data(), *number = count + padded_;
    count_columns(count, number, mask, block.size(), width, with);
    if (used->empty()) {
      std::fill(counts_.begin(), counts_.end(), 0.0);
      std::fill(parts_.begin(), parts_.end(), 0.0);
    }
    double *counts = counts_.data(), *parts = parts_.data();
    for (int x = with.first; x < with.last; ++x) {
      counts[x] += count[x];
      parts[x] += block.base * count[x] + block.step * number[x];
    }
    *used = {std::min(used->first, with.first), std::max(used->last, with.last)};
  }

  // Adds a strip, the columns of which hold heart in `used`, to the cells.
  void add_patches(std::size_t strip, const Columns& used) {
    for (std::size_t q = 0; q < grid_.columns.strips.size(); ++q) {
      const Strip& at = grid_.columns.strips[q];
      if (at.first >= used.last || at.last <= used.first) continue;
      add_patch(grid_.rows.strips[strip], at, strip * grid_.across() + q);
    }
  }

  void add_patch(const Strip& rows, const Strip& columns, std::size_t patch) {
    const int x = columns.first;
    const double down = grid_.rows.divisor, right = grid_.columns.divisor;
    const Moments m = patch_moments(&counts_[x], &parts_[x], &grid_.columns.parts[x], columns.size());
    double* upper = cells.data() + static_cast<std::int64_t>(rows.cell) * grid_.columns.cells;
    double* lower = cells.data() + static_cast<std::int64_t>(rows.next) * grid_.columns.cells;
    upper[columns.cell] += down * right * m.count - right * m.row - down * m.column + m.both;
    upper[columns.next] += down * m.column - m.both;
    lower[columns.cell] += right * m.row - m.both;
    lower[columns.next] += m.both;
    inside[patch] = static_cast<int>(m.count);
    area += static_cast<std::int64_t>(m.count);
  }

  const Grid& grid_;
  std::size_t padded_;               // columns, so that whole vectors hold them
  std::vector<std::uint8_t> bytes_;  // of a block: counts, then sums of row numbers
  std::vector<double> counts_, parts_;  // of a strip, a column: heart pixels, and the sum of their parts

 public:
  std::vector<int> inside;  // heart pixels a patch; unknown where the cells were given
  std::vector<double> cells;
  std::int64_t area = 0;
};

// The best AKS that a map of the grid can reach: its whole weight in one cell.
inline double ceiling(const Grid& grid, const double* cells) {
  double best = 0;
  for (int j = 0; j < grid.rows.cells; ++j) {
    for (int q = 0; q < grid.columns.cells; ++q) {
      const double weight = grid.rows.weights[j] * grid.columns.weights[q];
      if (weight > 0) best = std::max(best, *cells / weight);
      ++cells;
    }
  }
  return std::min(best, 1.0);
}

}  // namespace cmrbias::cpu
