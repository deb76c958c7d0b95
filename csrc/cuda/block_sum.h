// The sum over a block of LANES threads, in the order of math.h.
#pragma once

#include <cuda_runtime.h>

#include "../math.h"

namespace cmrbias::cuda {

// Returns the sum of all threads' values, to all threads.
template <class T>
__device__ T block_sum(T own) {
  __shared__ T lanes[LANES];
  __syncthreads();
  lanes[threadIdx.x] = own;
  __syncthreads();
  for (int half = LANES / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) lanes[threadIdx.x] += lanes[threadIdx.x + half];
    __syncthreads();
  }
  return lanes[0];
}

}  // namespace cmrbias::cuda
