// An upsampling on CUDA: its tables, made once a call, and its patches.
#pragma once

#include "scratch.h"
#include "threads.h"

namespace cmrbias::cuda {

// Pixels [first, last) between cell `cell` and cell `next`, which at the border is the same.
struct Strip {
  int cell, next, first, last;
};
__device__ inline Strip strip_of(const Axis& axis, int cell) {
  const int next = cell + 1 < axis.cells ? cell + 1 : cell;
  return {cell, next, axis.firsts[cell], axis.firsts[cell + 1]};
}

// The pixels between the same four cells. Patches are numbered as the cell above and left of them.
struct Patch {
  Strip rows, columns;
  __device__ int size() const { return (rows.last - rows.first) * (columns.last - columns.first); }
};
__device__ inline Patch patch_of(const Grid& grid, int number) {
  return {strip_of(grid.rows, number / grid.columns.cells), strip_of(grid.columns, number % grid.columns.cells)};
}

// The least power of two that is not less than `count`, up to `most`.
inline int power_of_two(int count, int most) {
  int power = 1;
  while (power < count && power < most) power *= 2;
  return power;
}

// Writes the tables of a grid, and zeros where the next kernel counts.
void tabulate(const Grid& grid, void* stream, int* zeros = nullptr, std::int64_t count = 0);

}  // namespace cmrbias::cuda
