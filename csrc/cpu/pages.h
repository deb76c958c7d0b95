// Memory in huge pages, where the system gives them to who asks for them.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace cmrbias::cpu {

// Asks for huge pages for a result of which nothing has been written. malloc gives a large one memory without
// pages, and making them 4 KiB at a time takes several times as long as writing them. Nothing depends on the answer.
inline void ask_for_huge_pages(void* result, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t PAGE = std::uintptr_t{1} << 21;
  const auto from = reinterpret_cast<std::uintptr_t>(result);
  const std::uintptr_t first = (from + PAGE - 1) / PAGE * PAGE, last = (from + bytes) / PAGE * PAGE;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  static_cast<void>(result), static_cast<void>(bytes);
#endif
}

}  // namespace cmrbias::cpu
