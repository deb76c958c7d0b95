// The tables of an upsampling, which all blocks of a call share: the sums of cpu/axis.h in the same order.
#include "grid.h"

namespace cmrbias::cuda {
namespace {

// Writes an axis, the block's threads together.
__device__ void write_axis(const Axis& axis) {
  for (int i = threadIdx.x; i < axis.pixels; i += THREADS) {
    const Sample at = sample(i, axis.cells, axis.pixels);
    axis.fractions[i] = at.fraction;
    axis.parts[i] = part(i, at, axis.cells, axis.pixels, axis.scale > 0);
    const int before = i > 0 ? sample(i - 1, axis.cells, axis.pixels).cell : -1;
    for (int cell = before + 1; cell <= at.cell; ++cell) axis.firsts[cell] = i;
    if (i + 1 < axis.pixels) continue;
    for (int cell = at.cell + 1; cell <= axis.cells; ++cell) axis.firsts[cell] = axis.pixels;
  }
  __syncthreads();
  for (int cell = threadIdx.x; cell < axis.cells; cell += THREADS) {
    double weight = 0;
#pragma unroll 8
    for (int i = cell > 0 ? axis.firsts[cell - 1] : 0; i < axis.firsts[cell]; ++i) weight += axis.parts[i];
#pragma unroll 8
    for (int i = axis.firsts[cell]; i < axis.firsts[cell + 1]; ++i) {
      weight += axis.divisor - axis.parts[i];
      if (cell + 1 == axis.cells) weight += axis.parts[i];
    }
    axis.weights[cell] = weight;
  }
}

// Block 0 writes the rows, block 1 the columns; both the zeros.
__global__ void __launch_bounds__(THREADS) tabulate_axes(Grid grid, int* zeros, std::int64_t count) {
  for (std::int64_t i = blockIdx.x * THREADS + threadIdx.x; i < count; i += 2 * THREADS) zeros[i] = 0;
  if (blockIdx.x == 0) {
    write_axis(grid.rows);
  } else {
    write_axis(grid.columns);
  }
}

}  // namespace

void tabulate(const Grid& grid, void* stream, int* zeros, std::int64_t count) {
  launch("grid: tabulate_axes", tabulate_axes, dim3(2), THREADS, stream, grid, zeros, count);
}

}  // namespace cmrbias::cuda
