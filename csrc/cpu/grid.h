// A map's cells on a mask's pixels: the upsampling's two axes.
#pragma once

#include "axis.h"

namespace cmrbias::cpu {

struct Grid {
  Axis rows, columns;
  std::vector<double> weights;  // of cells, as Axis has them, row-major; 0 behind them, so that whole vectors hold them

  Grid(int height, int width, int rows, int columns)
      : rows(height, rows, exact_scales(height, width, rows, columns)),
        // most grids are square: half of a small call's time is in these tables
        columns(width == height && columns == rows
                    ? this->rows
                    : Axis(width, columns, exact_scales(height, width, rows, columns))),
        weights(whole<4>(cells())) {
    double* weight = weights.data();
    for (double down : this->rows.weights) {
      for (double right : this->columns.weights) *weight++ = down * right;
    }
  }

  std::size_t cells() const { return static_cast<std::size_t>(rows.cells) * columns.cells; }

  // What one unit of a projection's cells is worth.
  double unit() const { return 1 / (rows.divisor * columns.divisor); }

  // Patches are the pixels between the same four cells. They are numbered in row-major order, in rows of across():
  // so many that whole vectors hold them.
  std::size_t across() const { return columns.ends.first.size(); }
  std::size_t patches() const { return rows.strips.size() * across(); }

  // Calls work(patch, rows, columns) until it returns false; returns whether it never did.
  template <class Work>
  bool each_patch(const Work& work) const {
    std::size_t first = 0;
    for (const Strip& of_rows : rows.strips) {
      std::size_t patch = first;
      for (const Strip& of_columns : columns.strips) {
        if (!work(patch++, of_rows, of_columns)) return false;
      }
      first += across();
    }
    return true;
  }
};

}  // namespace cmrbias::cpu
