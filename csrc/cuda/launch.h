// What every CUDA launcher needs.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace cmrbias::cuda {

// Call after each launch.
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("CUDA kernel ") + kernel + ": " + cudaGetErrorString(error));
  }
}

}  // namespace cmrbias::cuda
