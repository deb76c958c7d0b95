// How images are shared out among threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cmrbias::cpu {

// Images that a thread takes at a time. Threads take what is left, since one that sleeps may wake up late
// (0.3 ms on a virtual machine), and a fixed half would wait for it. Where only masks are read, schedule(guided) does
// that too, in longer runs, which the memory delivers 4 % faster.
inline std::int64_t share(std::int64_t images) { return std::max<std::int64_t>(1, images / 64); }

// Is it worth waking other threads for images of so many mask pixels and map cells? From about 0.1 ms on: a mask of
// 224 x 224 pixels takes some 2 us, a map of 7 x 7 cells 0.3 to 5 us.
inline bool is_worth_threads(std::int64_t images, std::int64_t pixels, std::int64_t cells) {
  return images > 1 && images * (pixels + 80 * cells) > (std::int64_t{1} << 21);
}

}  // namespace cmrbias::cpu
