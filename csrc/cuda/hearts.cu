// Sums over heart masks on CUDA: one block a mask.
#include "../hearts.h"

#include "block_sum.h"
#include "launch.h"

namespace cmrbias::cuda {
namespace {

__global__ void __launch_bounds__(LANES) sum_plane(Hearts hearts, std::int64_t* sums) {
  const std::uint8_t* heart = heart_at(hearts, blockIdx.x / hearts.mask_frames, blockIdx.x % hearts.mask_frames);
  std::int64_t pixels = 0, rows = 0, columns = 0;
  for (int i = threadIdx.x; i < hearts.height * hearts.width; i += LANES) {
    if (!heart[i]) continue;
    ++pixels;
    rows += i / hearts.width;
    columns += i % hearts.width;
  }
  pixels = block_sum(pixels);
  rows = block_sum(rows);
  columns = block_sum(columns);
  if (threadIdx.x != 0) return;
  sums[3 * std::int64_t{blockIdx.x}] = pixels;
  sums[3 * std::int64_t{blockIdx.x} + 1] = rows;
  sums[3 * std::int64_t{blockIdx.x} + 2] = columns;
}

__global__ void __launch_bounds__(LANES) residual_plane(Hearts hearts, std::int64_t* pixels) {
  const std::int64_t number = blockIdx.x / hearts.mask_frames, frame = blockIdx.x % hearts.mask_frames;
  const Shift shift = shift_at(hearts, number, frame);
  const std::uint8_t* own = heart_at(hearts, number, frame);
  const std::uint8_t* shown = heart_at(hearts, hearts.donors[number], frame);
  std::int64_t count = 0;
  for (int i = threadIdx.x; i < hearts.height * hearts.width; i += LANES) {
    const int to = shown[i] ? beside(hearts, i, shift.down, shift.right) : -1;
    count += to >= 0 && own[to] == 0;
  }
  count = block_sum(count);
  if (threadIdx.x == 0) pixels[blockIdx.x] = count;
}

unsigned masks_of(const Hearts& hearts) { return static_cast<unsigned>(hearts.cases * hearts.mask_frames); }

}  // namespace

void heart_sums(const Hearts& hearts, std::int64_t* sums, void* stream) {
  launch("heart_sums", sum_plane, masks_of(hearts), LANES, stream, hearts, sums);
}

void heart_residual(const Hearts& hearts, std::int64_t* pixels, void* stream) {
  launch("heart_residual", residual_plane, masks_of(hearts), LANES, stream, hearts, pixels);
}

}  // namespace cmrbias::cuda
