// A block's threads together.
#pragma once

#include "launch.h"

namespace cmrbias::cuda {

constexpr int WARP = 32;
constexpr int THREADS = 128;
constexpr int RESIDENT = 8;  // blocks a multiprocessor, of large kernels: leaves ptxas the registers to spill none
constexpr unsigned ALL_LANES = 0xFFFFFFFFu;

struct Least {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Greatest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// Combines all threads' values, in an order that must not matter, and returns the result to all threads.
template <class T, class Combine>
__device__ T combine_all(T own, const Combine& combine) {
  __shared__ T of_warps[THREADS / WARP];
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    own = combine(own, __shfl_xor_sync(ALL_LANES, own, offset));
  }
  __syncthreads();  // whoever still reads the result before this one
  if (threadIdx.x % WARP == 0) of_warps[threadIdx.x / WARP] = own;
  __syncthreads();
  T all = of_warps[0];
  for (int warp = 1; warp < THREADS / WARP; ++warp) all = combine(all, of_warps[warp]);
  return all;
}

}  // namespace cmrbias::cuda
