// Which instruction set best() uses.
#include "instruction_sets.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

namespace cmrbias::cpu {
namespace {

const char* const NAMES[] = {"baseline", "x86-64-v3", "x86-64-v4"};

InstructionSet machine_best() {
#ifdef CMRBIAS_X86_SETS
  if (__builtin_cpu_supports("x86-64-v4")) return InstructionSet::x86_64_v4;
  if (__builtin_cpu_supports("x86-64-v3")) return InstructionSet::x86_64_v3;
#endif
  return InstructionSet::baseline;
}

std::atomic<InstructionSet> chosen{machine_best()};

}  // namespace

std::vector<std::string> instruction_sets() {
  return {NAMES, NAMES + static_cast<int>(machine_best()) + 1};
}

InstructionSet instruction_set() { return chosen.load(std::memory_order_relaxed); }

void set_instruction_set(const std::string& name) {
  const auto names = instruction_sets();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::invalid_argument("this machine has no instruction set " + name);
  chosen = static_cast<InstructionSet>(found - names.begin());
}

}  // namespace cmrbias::cpu
