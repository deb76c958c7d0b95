// One compilation of a kernel's work per instruction set.
//
// best<function>(arguments...) calls a function that is compiled, with everything it calls, once for each
// set below, in the form for the best set that the machine has (GCC on x86-64 Linux; elsewhere there is one).
// Sums keep their order and products are not fused, so all give the same bits: tests choose a lesser set
// and compare. best<function, wide>(arguments...) calls another one where registers hold 64 bytes.
// best_of_v3<function>(arguments...) goes no further than x86-64-v3: work in vectors of 32 bytes that compares much is
// 5 to 10 % slower on v4. Call them for a plane or a row at a time, inside the parallel region.
#pragma once

#include <string>
#include <vector>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define CMRBIAS_X86_SETS
#endif

namespace cmrbias::cpu {

enum class InstructionSet { baseline, x86_64_v3, x86_64_v4 };

// The names of the sets that this machine has, from the least to the best.
std::vector<std::string> instruction_sets();

// The one that best() uses: the machine's best until another is set.
InstructionSet instruction_set();

// Throws std::invalid_argument unless the name is one of instruction_sets().
void set_instruction_set(const std::string& name);

#ifdef CMRBIAS_X86_SETS

template <auto function, class... Arguments>
[[gnu::flatten, gnu::noinline, gnu::target("arch=x86-64-v3")]] auto on_v3(const Arguments&... arguments) {
  return function(arguments...);
}

template <auto function, class... Arguments>
[[gnu::flatten, gnu::noinline, gnu::target("arch=x86-64-v4")]] auto on_v4(const Arguments&... arguments) {
  return function(arguments...);
}

template <auto function, auto wide = function, class... Arguments>
auto best(const Arguments&... arguments) {
  switch (instruction_set()) {
    case InstructionSet::x86_64_v4: return on_v4<wide>(arguments...);
    case InstructionSet::x86_64_v3: return on_v3<function>(arguments...);
    default: return function(arguments...);
  }
}

template <auto function, class... Arguments>
auto best_of_v3(const Arguments&... arguments) {
  return instruction_set() == InstructionSet::baseline ? function(arguments...) : on_v3<function>(arguments...);
}

#else

template <auto function, auto wide = function, class... Arguments>
auto best(const Arguments&... arguments) {
  return function(arguments...);
}

template <auto function, class... Arguments>
auto best_of_v3(const Arguments&... arguments) {
  return function(arguments...);
}

#endif

}  // namespace cmrbias::cpu
