// A mask on a map's grid, by the adjoint of the upsampling: sum of (U c) y = sum of c (U^T y).
//
// A block of rows without heart costs one look at its bytes. Elsewhere columns are counted in bytes, and tiles (a block
// of rows by one of columns, in which all parts grow evenly) in whole numbers; these make up the sums over a patch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "grid.h"
#include "rows.h"
#include "vectors.h"

namespace cmrbias::cpu {

// So many bytes ahead of what is looked at, the mask is asked for: the processor's own prefetching starts anew at
// each page.
constexpr int MASK_AHEAD = 3072;

// Columns [first, last) of a mask.
struct Columns {
  int first, last;
};

// Counts heart pixels in each column of a block's rows, and sums their row numbers in the block. Returns the columns
// from the first to the last vector of bytes with any heart.
inline Columns count_columns(std::uint8_t* counts, std::uint8_t* numbers, const std::uint8_t* mask, int rows,
                             int columns) {
  const auto all = static_cast<std::uint8_t>(rows), all_numbers = static_cast<std::uint8_t>(rows * (rows - 1) / 2);
  Columns found{columns, 0};
  const int width = std::min(BYTES, columns);
  for (int next = 0; next < columns; next += BYTES) {
    const int x = std::min(next, columns - width);  // the last vector may count columns once more
    Bytes outside = {}, outside_numbers = {};
    const std::uint8_t* from = mask + static_cast<std::int64_t>(rows) * columns + x;
#pragma GCC unroll 4
    for (int row = 0; row < rows; ++row) {  // from below: row r is in r of the counts that are added up
      outside_numbers += outside;
      outside -= load_part(from -= columns, static_cast<std::size_t>(width)) == 0;  // 255 or 0
    }
    prefetch(mask + next * rows + MASK_AHEAD, static_cast<std::size_t>(rows) * BYTES);
    const Bytes count = all - outside;
    store_vector(counts + x, count);
    store_vector(numbers + x, all_numbers - outside_numbers);
    if (!is_zero(count)) found = {std::min(found.first, x), x + width};
  }
  return found;
}

// Sums over a tile's heart pixels of 1, column, row, and row times column, numbered from the tile's first: at most
// (15 * 16 / 2)^2, which fits into 16 bits. Of each column it takes count_columns()'s bytes, BLOCK of them in any case.
inline Four tile_sums(const std::uint8_t* counts, const std::uint8_t* numbers, int columns) {
  const Sixteen place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Words even = {0, 2, 4, 6, 8, 10, 12, 14}, odd = even + 1;
  const auto inside = reinterpret_cast<Sixteen>(place < static_cast<std::uint8_t>(columns));
  const auto count = reinterpret_cast<Words>(load_vector<Sixteen>(counts) & inside);
  const auto number = reinterpret_cast<Words>(load_vector<Sixteen>(numbers) & inside);
  const Words count_even = count & 0xFF, count_odd = count >> 8, number_even = number & 0xFF, number_odd = number >> 8;
  return sum_each(count_even + count_odd, count_even * even + count_odd * odd, number_even + number_odd,
                  number_even * even + number_odd * odd);
}

class Projected {
 public:
  explicit Projected(const Grid& grid)
      : grid_(grid),
        counts_(whole<BYTES>(grid.columns.pixels) + BLOCK),
        numbers_(counts_.size()),
        inside(grid.patches()),
        cells(grid.weights.size()) {}

  void project(const std::uint8_t* mask) {
    std::fill(cells.begin(), cells.end(), 0.0);
    std::fill(inside.begin(), inside.end(), 0);
    area = 0;
    const int width = grid_.columns.pixels;
    std::size_t patch = 0;
    for (const Strip& strip : grid_.rows.strips) {
      for (std::size_t at = strip.first_block; at < strip.last_block; ++at) {
        const Block& block = grid_.rows.blocks[at];
        const std::uint8_t* first = mask + static_cast<std::int64_t>(block.first) * width;
        if (has_heart(first, block.size() * width)) {
          add_block(strip, block, first, patch);
        } else {
          prefetch(first + MASK_AHEAD, static_cast<std::size_t>(block.size()) * width);
        }
      }
      patch += grid_.across();
    }
  }

  // Takes a projection that was made before; the patches' heart pixels are not known then.
  void take(const double* projected, std::int64_t pixels) {
    std::copy_n(projected, grid_.cells(), cells.begin());
    area = pixels;
  }

  const Grid& grid() const { return grid_; }

 private:
  // Adds a block of a strip of rows, whose first patch is `patch`.
  void add_block(const Strip& rows, const Block& block, const std::uint8_t* mask, std::size_t patch) {
    const Columns used = count_columns(counts_.data(), numbers_.data(), mask, block.size(), grid_.columns.pixels);
    for (const Strip& columns : grid_.columns.strips) {
      if (columns.first < used.last && columns.last > used.first) add_patch(rows, block, columns, patch);
      ++patch;
    }
  }

  void add_patch(const Strip& rows, const Block& block, const Strip& columns, std::size_t patch) {
    Four sums = {};  // of 1, column part, row number, and column part times row number
    for (std::size_t at = columns.first_block; at < columns.last_block; ++at) {
      const Block& tile = grid_.columns.blocks[at];
      const std::uint8_t *counts = &counts_[tile.first], *numbers = &numbers_[tile.first];
      if (is_zero(load_vector<Sixteen>(counts))) continue;
      const Four found = tile_sums(counts, numbers, tile.size());
      sums += __builtin_shufflevector(found, found, 0, 0, 2, 2) * Four{1, tile.base, 1, tile.base} +
              __builtin_shufflevector(found, found, 1, 1, 3, 3) * Four{0, tile.step, 0, tile.step};
    }
    const double count = sums[0], column = sums[1];
    if (count == 0) return;
    const double row = block.base * count + block.step * sums[2], both = block.base * column + block.step * sums[3];
    const double down = grid_.rows.divisor, right = grid_.columns.divisor;
    double* upper = cells.data() + static_cast<std::int64_t>(rows.cell) * grid_.columns.cells;
    double* lower = cells.data() + static_cast<std::int64_t>(rows.next) * grid_.columns.cells;
    upper[columns.cell] += down * right * count - right * row - down * column + both;
    upper[columns.next] += down * column - both;
    lower[columns.cell] += right * row - both;
    lower[columns.next] += both;
    inside[patch] += static_cast<int>(count);
    area += static_cast<std::int64_t>(count);
  }

  const Grid& grid_;
  std::vector<std::uint8_t> counts_, numbers_;  // of a block's columns: heart pixels, and the sum of their row numbers

 public:
  std::vector<int> inside;    // heart pixels a patch
  std::vector<double> cells;  // as many as Grid::weights
  std::int64_t area = 0;
};

// The best AKS that a map of the grid can reach: its whole weight in one cell.
inline double ceiling(const Grid& grid, const std::vector<double>& cells) {
  Four best = {};
  for (std::size_t i = 0; i < cells.size(); i += 4) {
    if (is_zero(load_vector<Bytes>(&cells[i]))) continue;  // most are, and a division takes long
    const Four share = load_four(&cells[i]) / load_four(&grid.weights[i]);  // NaN where no pixel takes from the cell
    best = share > best ? share : best;
  }
  return std::min(std::max(std::max(best[0], best[1]), std::max(best[2], best[3])), 1.0);
}

}  // namespace cmrbias::cpu
