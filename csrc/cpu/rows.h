// Rows and planes on the processor: plain loops, which best() compiles once per instruction set
// (instruction_sets.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vectors.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace cmrbias::cpu {

// Whether a mask has any heart.
inline bool has_heart(const std::uint8_t* heart, int count) {
  std::uint8_t seen = 0;
  int i = 0;
  Bytes all[4] = {};
  for (; i + 4 * BYTES <= count; i += 4 * BYTES) {
    for (int k = 0; k < 4; ++k) all[k] |= load_vector<Bytes>(heart + i + k * BYTES);
  }
  for (; i < count; ++i) seen |= heart[i];
  return seen != 0 || !is_zero((all[0] | all[1]) | (all[2] | all[3]));
}

// Asks the memory for bytes that are read later: they need not exist. They come into the second cache (2), where more
// of them can be under way than into the first.
inline void prefetch(const void* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(from) + at, 0, 2);
}

// Bytes that are read next. The memory is asked for them a part at a time, from within work that needs no memory.
class Next {
 public:
  Next() = default;
  Next(const void* from, std::size_t bytes, std::size_t parts)
      : from_(static_cast<const char*>(from)), left_(bytes), part_(whole<64>(bytes / parts + 1)) {}

  void ask() {
    const std::size_t bytes = std::min(part_, left_);
    prefetch(from_, bytes);
    from_ += bytes, left_ -= bytes;
  }

 private:
  const char* from_ = nullptr;
  std::size_t left_ = 0, part_ = 0;
};

// The pixels that a row (or column) and itself moved by `shift` have in common: `count` of them, at `from`
// in the row, at `to` where they were moved.
struct Kept {
  int from, to, count;
  Kept(int shift, int length)
      : from(shift < 0 ? -shift : 0), to(shift < 0 ? 0 : shift), count(length - from - to) {}
};

// Copies bytes past the caches: for results too large to be read back from them.
inline void stream(void* to, const void* from, std::size_t bytes) {
#ifdef __SSE2__
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  for (; bytes > 0 && reinterpret_cast<std::uintptr_t>(target) % 16; --bytes) *target++ = *source++;
  for (; bytes >= 16; bytes -= 16, target += 16, source += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
    _mm_stream_si128(reinterpret_cast<__m128i*>(target), block);
  }
  std::memcpy(target, source, bytes);
#else
  std::memcpy(to, from, bytes);
#endif
}

// Makes this thread's streamed bytes visible to the others.
inline void stream_end() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

}  // namespace cmrbias::cpu
