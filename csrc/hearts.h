// Where hearts are, for both devices.
#pragma once

#include "kernels.h"
#include "math.h"

namespace cmrbias {

// The mask plane of a case's frame, and where it begins.
CMRBIAS_BOTH std::int64_t mask_at(const Hearts& hearts, std::int64_t number, std::int64_t frame) {
  return number * hearts.mask_frames + (hearts.mask_frames == 1 ? 0 : frame);
}
CMRBIAS_BOTH const std::uint8_t* heart_at(const Hearts& hearts, std::int64_t number, std::int64_t frame) {
  return hearts.masks + mask_at(hearts, number, frame) * hearts.height * hearts.width;
}

// By how many pixels a recipient's donor is moved.
struct Shift {
  int down, right;
};

CMRBIAS_BOTH Shift shift_at(const Hearts& hearts, std::int64_t recipient, std::int64_t frame) {
  if (!hearts.shifts) return {0, 0};
  const std::int64_t* shift = hearts.shifts + 2 * mask_at(hearts, recipient, frame);
  return {static_cast<int>(shift[0]), static_cast<int>(shift[1])};
}

// The pixel that lies `down` rows below and `right` columns beside pixel i, or -1 if none does.
CMRBIAS_BOTH int beside(const Hearts& hearts, int i, int down, int right) {
  if (down == 0 && right == 0) return i;
  const int y = i / hearts.width + down, x = i % hearts.width + right;
  const bool inside = y >= 0 && y < hearts.height && x >= 0 && x < hearts.width;
  return inside ? y * hearts.width + x : -1;
}

}  // namespace cmrbias
