// Sums over heart masks on the processor, a plane at a time; rows without heart are only looked at.
#include "../hearts.h"

#include "instruction_sets.h"
#include "rows.h"

namespace cmrbias::cpu {
namespace {

void sum_plane(const Hearts& hearts, std::int64_t number, std::int64_t frame, std::int64_t* sums) {
  const std::uint8_t* heart = heart_at(hearts, number, frame);
  std::int64_t pixels = 0, rows = 0, columns = 0;
  for (int y = 0; y < hearts.height; ++y, heart += hearts.width) {
    if (!any(heart, hearts.width)) continue;
    std::int64_t count = 0, across = 0;
    for (int x = 0; x < hearts.width; ++x) {
      const std::int64_t inside = heart[x] != 0;
      count += inside;
      across += inside * x;
    }
    pixels += count;
    rows += count * y;
    columns += across;
  }
  sums += 3 * mask_at(hearts, number, frame);
  sums[0] = pixels;
  sums[1] = rows;
  sums[2] = columns;
}

void residual_plane(const Hearts& hearts, std::int64_t number, std::int64_t frame, std::int64_t* pixels) {
  const Shift shift = shift_at(hearts, number, frame);
  const Common rows(shift.down, hearts.height), columns(shift.right, hearts.width);
  const std::uint8_t* donors = heart_at(hearts, hearts.donors[number], frame) + columns.from;
  const std::uint8_t* own = heart_at(hearts, number, frame) + columns.to;
  std::int64_t count = 0;
  for (int y = 0; y < rows.count; ++y) {
    const std::uint8_t* shown = donors + (rows.from + y) * hearts.width;
    const std::uint8_t* hidden = own + (rows.to + y) * hearts.width;
    if (!any(shown, columns.count)) continue;
    int inside = 0;
    for (int x = 0; x < columns.count; ++x) inside += shown[x] != 0 && hidden[x] == 0;
    count += inside;
  }
  pixels[mask_at(hearts, number, frame)] = count;
}

// Calls work(hearts, case, frame, output) for each mask.
template <auto work>
void for_each_mask(const Hearts& hearts, std::int64_t* output) {
  const std::int64_t planes = hearts.cases * hearts.mask_frames;
#pragma omp parallel for schedule(static)
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    best<work>(hearts, plane / hearts.mask_frames, plane % hearts.mask_frames, output);
  }
}

}  // namespace

void heart_sums(const Hearts& hearts, std::int64_t* sums) { for_each_mask<sum_plane>(hearts, sums); }

void heart_residual(const Hearts& hearts, std::int64_t* pixels) {
  for_each_mask<residual_plane>(hearts, pixels);
}

}  // namespace cmrbias::cpu
