// What is summed over the heart pixels of a mask's patches on CUDA, for projection.h to spread over the cells: in
// whole_moments.h where numbers are whole, else in patch_moments.h.
#pragma once

#include "grid.h"

namespace cmrbias::cuda {

constexpr int SIDE = 16;  // a block holds the patches around SIDE x SIDE cells
constexpr int WORD = 8;   // mask pixels read at a time

template <class Part>
struct Moments {
  int count;               // heart pixels
  Part row, column, both;  // sums of their row part, column part and product of the two
};

// How masks are read.
struct Reading {
  int across, down;  // threads side by side and in rows, powers of two: of a patch, or of a plane in whole numbers
  bool aligned;      // are words read at once?
  bool whole;        // are sums of whole numbers? then by whole_moments.h
};

// A plane of masks.
struct Mask {
  const std::uint8_t* pixels;
  int columns;
  bool aligned;
};

// Cells [top, bottom) x [left, right), and the patches that they gather from, which start a row above and a
// column before.
struct Window {
  int top, bottom, left, right;
  __device__ Window(const Grid& grid, int top, int left)
      : top(top), bottom(min(top + SIDE, grid.rows.cells)), left(left), right(min(left + SIDE, grid.columns.cells)) {}
  __device__ int above() const { return max(top - 1, 0); }
  __device__ int before() const { return max(left - 1, 0); }
};
template <class Part>
using Board = Moments<Part>[SIDE + 1][SIDE + 1];

}  // namespace cmrbias::cuda
