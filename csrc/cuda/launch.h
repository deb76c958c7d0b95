// What every CUDA launcher needs.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace cmrbias::cuda {

// Launches a kernel on a stream; throws, naming it, if that fails. Plain C++, so that the kernels can also be
// built without nvcc and emulated (tests/ops/emulation).
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 blocks, int threads, void* stream,
            Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = static_cast<cudaStream_t>(stream);
  cudaLaunchKernelEx(&config, kernel, arguments...);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("CUDA kernel ") + name + ": " + cudaGetErrorString(error));
  }
}

// How many pieces of a size a whole has, the last one perhaps smaller.
inline std::int64_t pieces(std::int64_t whole, std::int64_t size) { return (whole - 1) / size + 1; }

// Blocks along a grid's x or y for so many tasks; the rest is for the caller, or kernels loop over it.
constexpr std::int64_t MOST_ALONG_X = 2147483647, MOST_ALONG_Y = 65535;
inline unsigned blocks_along_x(std::int64_t tasks) { return static_cast<unsigned>(std::min(tasks, MOST_ALONG_X)); }
inline unsigned blocks_along_y(std::int64_t tasks) { return static_cast<unsigned>(std::min(tasks, MOST_ALONG_Y)); }

}  // namespace cmrbias::cuda
