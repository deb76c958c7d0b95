// How images are shared out among threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cmrbias::cpu {

// Images that a thread takes at a time. Threads take what is left, since one that sleeps may wake up late
// (0.3 ms on a virtual machine), and a fixed half would wait for it.
inline std::int64_t share(std::int64_t images) { return std::max<std::int64_t>(1, images / 64); }

}  // namespace cmrbias::cpu
