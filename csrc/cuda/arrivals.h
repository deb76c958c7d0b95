// Copies to shared memory that run beside a block's work, some steps ahead.
//
// From compute capability 9.0 on one thread asks the GPU for all of a step's bytes (bulk copies, which announce
// themselves at a barrier in shared memory); from 8.0 on each thread asks for some vectors; before, and where values do
// not lie as vectors, threads copy.
#pragma once

#include "threads.h"

namespace cmrbias::cuda {

constexpr int STAGES = 2;  // steps in shared memory: one that is worked on, the others on their way

struct alignas(16) Vector {
  std::uint64_t low, high;
};

__device__ inline unsigned shared_address(const void* at) {
#ifdef __CUDA_ARCH__
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
#else
  return 0;
#endif
}

// Copies values to shared memory, the block's threads together, and waits for nobody; vectors, if `aligned`, past the
// registers where the GPU can.
template <class T>
__device__ void copy(T* tile, const T* values, int count, bool aligned) {
  const int in_vector = sizeof(Vector) / sizeof(T), vectors = aligned ? count / in_vector : 0;
  for (int i = threadIdx.x; i < vectors; i += THREADS) {
    auto* to = reinterpret_cast<Vector*>(tile) + i;
    const auto* from = reinterpret_cast<const Vector*>(values) + i;
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from));
#else
    *to = *from;
#endif
  }
  for (int i = vectors * in_vector + static_cast<int>(threadIdx.x); i < count; i += THREADS) tile[i] = values[i];
}

// Tells when a stage's copies are there. Its barriers lie in shared memory, and nothing else may in their place.
class Arrivals {
 public:
  __device__ explicit Arrivals(std::uint64_t (&barriers)[STAGES]) : barriers_(shared_address(barriers)) {
#if __CUDA_ARCH__ >= 900
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < STAGES; ++stage) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier(stage)) : "memory");
      }
      asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
#endif
  }

  // Asks for a stage's values, of two arrays, the block's threads together, which have waited for each other since they
  // used the stage last. Every stage is asked for in its turn, if for nothing.
  template <class T>
  __device__ void fetch(int stage, T* to, const T* from, T* and_to, const T* and_from, int count, bool aligned) const {
#if __CUDA_ARCH__ >= 900
    if (aligned) {
      if (threadIdx.x == 0 && count > 0) {
        const unsigned bytes = count * static_cast<unsigned>(sizeof(T));
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier(stage)), "r"(2 * bytes)
                     : "memory");
        bulk(to, from, bytes, barrier(stage));
        bulk(and_to, and_from, bytes, barrier(stage));
      }
      return;
    }
#endif
    copy(to, from, count, aligned);
    copy(and_to, and_from, count, aligned);
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
  }

  // Waits until the values that a stage was asked for are there, for all threads; there must be some.
  __device__ void wait(int stage, bool aligned) {
#if __CUDA_ARCH__ >= 900
    if (aligned) {
      int there = 0;
      while (!there) {
        asm volatile(
            "{\n .reg .pred there;\n"
            " mbarrier.try_wait.parity.shared::cta.b64 there, [%1], %2;\n"
            " selp.s32 %0, 1, 0, there;\n}"
            : "=r"(there)
            : "r"(barrier(stage)), "r"(phases_ >> stage & 1u)
            : "memory");
      }
      phases_ ^= 1u << stage;
      return;
    }
#endif
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 1) : "memory");
#endif
    __syncthreads();
  }

 private:
  __device__ unsigned barrier(int stage) const { return barriers_ + 8 * stage; }
#if __CUDA_ARCH__ >= 900
  __device__ static void bulk(void* to, const void* from, unsigned bytes, unsigned stage) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(stage)
                 : "memory");
  }
#endif

  unsigned barriers_;
  unsigned phases_ = 0;  // a bit a stage: how often its copies came, even or odd
};

}  // namespace cmrbias::cuda
