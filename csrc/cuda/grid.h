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
  __device__ int number(const Grid& grid) const { return rows.cell * grid.columns.cells + columns.cell; }
};
__device__ inline Patch patch_at(const Grid& grid, int row, int column) {
  return {strip_of(grid.rows, row), strip_of(grid.columns, column)};
}

// Calls choose(patch) for each patch that has pixels, a thread each, and work(patch, lane) by a group of `lanes` threads
// for each one chosen; `lanes` is a power of two up to a warp. The groups take them in any order.
template <class Choose, class Work>
__device__ void for_each_chosen(const Grid& grid, int lanes, const Choose& choose, const Work& work) {
  __shared__ int chosen[THREADS];  // rows and columns of cells, of under 2^15: they are not divided out again
  __shared__ int number;
  const int bits = __popc(static_cast<unsigned>(lanes - 1)), lane = threadIdx.x & (lanes - 1);
  for (int first = 0; first < grid.patches(); first += THREADS) {
    if (threadIdx.x == 0) number = 0;
    __syncthreads();
    const int i = first + static_cast<int>(threadIdx.x);
    if (i < grid.patches()) {
      const int row = i / grid.columns.cells, column = i - row * grid.columns.cells;
      const Patch patch = patch_at(grid, row, column);
      if (patch.size() > 0 && choose(patch)) chosen[atomicAdd(&number, 1)] = row << 15 | column;
    }
    __syncthreads();
    for (int at = threadIdx.x >> bits; at < number; at += THREADS >> bits) {
      work(patch_at(grid, chosen[at] >> 15, chosen[at] & 0x7FFF), lane);
    }
    __syncthreads();
  }
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
