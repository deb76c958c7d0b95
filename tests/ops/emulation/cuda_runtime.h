// The subset of CUDA that csrc/cuda uses, on the processor: built with g++ instead of nvcc, the kernels run
// there. That shows their logic, not their speed, and races only where the order of threads decides.
//
// Blocks run one after the other, in every other row of the grid backwards. A block's threads are fibers; one runs
// until it ends or waits for its warp (__shfl_xor_sync, __any_sync) or its block (__syncthreads), a warp until all of its
// threads end or wait for the block, and every other round goes backwards: so most missing barriers show. __shared__ is
// static memory, filled with garbage by whoever used it before.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 gridDim, blockDim, blockIdx, threadIdx;

using std::max;
using std::min;

namespace emulation {

constexpr std::size_t STACK = 64 * 1024;
constexpr unsigned WARP = 32;

enum class State { ready, at_block, at_warp, done };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[STACK]};
  State state;
};

inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline unsigned current, threads;
inline std::uint64_t lanes[1024];  // what each thread offers in a shuffle
inline std::function<void()> body;

inline void wait(State state) {
  fibers[current].state = state;
  swapcontext(&fibers[current].context, &scheduler);
}

inline void run_fiber() {
  body();
  wait(State::done);
}

// Lets threads [first, last) go on if all of them have arrived where `state` says, or ended.
inline void release(unsigned first, unsigned last, State state) {
  for (unsigned i = first; i < last; ++i) {
    if (fibers[i].state != state && fibers[i].state != State::done) return;
  }
  for (unsigned i = first; i < last; ++i) {
    if (fibers[i].state == state) fibers[i].state = State::ready;
  }
}

// Resumes threads [first, last) that are ready, once each; returns whether any was.
inline bool resume(unsigned first, unsigned last, bool forwards) {
  bool ran = false;
  for (unsigned step = 0; step < last - first; ++step) {
    current = forwards ? first + step : last - 1 - step;
    if (fibers[current].state != State::ready) continue;
    ran = true;
    threadIdx = dim3(current);
    swapcontext(&scheduler, &fibers[current].context);
  }
  return ran;
}

// Runs each warp as far as it comes without the others; returns whether any ran.
inline bool run_round(bool forwards) {
  bool ran = false;
  const unsigned warps = (threads + WARP - 1) / WARP;
  for (unsigned step = 0; step < warps; ++step) {
    const unsigned first = (forwards ? step : warps - 1 - step) * WARP, last = std::min(first + WARP, threads);
    while (resume(first, last, forwards)) {
      ran = true;
      release(first, last, State::at_warp);
    }
  }
  release(0, threads, State::at_block);
  return ran;
}

inline void run_block() {
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& fiber = fibers[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK;
    makecontext(&fiber.context, &run_fiber, 0);
    fiber.state = State::ready;
  }
  bool forwards = blockIdx.x % 2 == 0;
  while (run_round(forwards)) forwards = !forwards;
  for (unsigned i = 0; i < threads; ++i) {
    if (fibers[i].state != State::done) std::abort();  // threads wait for each other at different places
  }
}

}  // namespace emulation

inline void __syncthreads() { emulation::wait(emulation::State::at_block); }

template <class T>
T __shfl_xor_sync(unsigned, T own, unsigned offset) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t), "one register pair");
  std::memcpy(&emulation::lanes[threadIdx.x], &own, sizeof own);
  emulation::wait(emulation::State::at_warp);
  T other;
  std::memcpy(&other, &emulation::lanes[threadIdx.x ^ offset], sizeof other);
  emulation::wait(emulation::State::at_warp);
  return other;
}

inline int __any_sync(unsigned mask, int own) {
  int any = own != 0;
  for (unsigned offset = emulation::WARP / 2; offset > 0; offset /= 2) any |= __shfl_xor_sync(mask, any, offset);
  return any;
}

inline void __threadfence() {}

inline int atomicAdd(int* to, int value) {
  const int before = *to;
  *to += value;
  return before;
}

inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

// Adds the products of two words' bytes to a sum.
inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum) {
  for (int shift = 0; shift < 32; shift += 8) sum += (a >> shift & 0xFF) * (b >> shift & 0xFF);
  return sum;
}

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0;
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "no error"; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  cudaStream_t stream;
};

template <class... Parameters, class... Arguments>
void cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments... arguments) {
  gridDim = config->gridDim;
  blockDim = config->blockDim;
  emulation::threads = blockDim.x;
  emulation::fibers.resize(std::max<std::size_t>(emulation::fibers.size(), blockDim.x));
  emulation::body = [=] { kernel(arguments...); };
  for (unsigned y = 0; y < gridDim.y; ++y) {
    for (unsigned step = 0; step < gridDim.x; ++step) {
      blockIdx = dim3(y % 2 == 0 ? step : gridDim.x - 1 - step, y);
      emulation::run_block();
    }
  }
}
