// A copy past the caches by all threads: the bandwidth that benchmarks compare with.
#include <algorithm>

#include "../kernels.h"
#include "rows.h"

namespace cmrbias::cpu {

void stream_copy(void* to, const void* from, std::size_t bytes) {
  constexpr std::size_t PIECE = 1 << 20;
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (std::size_t start = 0; start < bytes; start += PIECE) {
      stream(target + start, source + start, std::min(PIECE, bytes - start));
    }
    stream_end();
  }
}

}  // namespace cmrbias::cpu
