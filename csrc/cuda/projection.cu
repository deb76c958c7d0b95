// project_masks on CUDA: one block an image, one pass over its mask.
//
// A group of threads, at most a warp, sums over a patch; the cells then gather from the patches around them in
// the order of cpu/projected.h. At whole scales all sums are of whole numbers, and so the processor's; elsewhere
// they are added in another order, that of the threads, which the sizes fix.
#include "projection.h"

namespace cmrbias::cuda {
namespace {

constexpr int SIDE = 16;      // a block holds the patches around SIDE x SIDE cells: a cell a thread
constexpr int WORD = 8;       // mask pixels read at a time
constexpr int WORDS = 4;      // words that a thread has under way
static_assert(SIDE * SIDE == THREADS, "a cell a thread");

// How a group of threads shares a patch: `across` threads side by side, in `down` rows; powers of two.
struct Tile {
  int across, down;
};

struct Moments {
  int count;                 // heart pixels
  double row, column, both;  // sums of their row part, column part and product of the two
};

// A plane of masks; `aligned` if words can be read at once.
struct Mask {
  const std::uint8_t* pixels;
  int columns;
  bool aligned;
};

// Returns pixels [x, x + WORD) of a row, the first one lowest; 0 outside the columns [first, last).
__device__ std::uint64_t load_word(const Mask& mask, int y, int x, int first, int last) {
  const std::uint8_t* from = mask.pixels + static_cast<std::int64_t>(y) * mask.columns + x;
  std::uint64_t word = 0;
  if (mask.aligned) {
    word = *reinterpret_cast<const std::uint64_t*>(from);
    if (x < first) word = word >> 8 * (first - x) << 8 * (first - x);
    if (x + WORD > last) word = word << 8 * (x + WORD - last) >> 8 * (x + WORD - last);
    return word;
  }
  for (int i = 0; i < WORD; ++i) {
    if (x + i >= first && x + i < last) word |= static_cast<std::uint64_t>(from[i]) << 8 * i;
  }
  return word;
}

// Adds the heart pixels of a word at column x of a row.
__device__ void add_word(Moments& sums, std::uint64_t word, double row_part, const double* column_parts) {
  int count = 0;
  double column = 0;
  for (int i = 0; i < WORD; ++i) {
    if ((word >> 8 * i & 0xFF) == 0) continue;
    ++count;
    column += column_parts[i];
  }
  sums.count += count;
  sums.row += count * row_part;
  sums.column += column;
  sums.both += row_part * column;
}

// One thread's share of a patch.
__device__ Moments add_up(const Mask& mask, const Grid& grid, const Patch& patch, const Tile& tile, int lane) {
  const Strip &rows = patch.rows, &columns = patch.columns;
  Moments sums{0, 0, 0, 0};
  for (int x = columns.first / WORD * WORD + lane % tile.across * WORD; x < columns.last; x += tile.across * WORD) {
    for (int y = rows.first + lane / tile.across; y < rows.last; y += WORDS * tile.down) {
      std::uint64_t words[WORDS];
#pragma unroll
      for (int i = 0; i < WORDS; ++i) {
        const int row = y + i * tile.down;
        words[i] = row < rows.last ? load_word(mask, row, x, columns.first, columns.last) : 0;
      }
#pragma unroll
      for (int i = 0; i < WORDS; ++i) {
        if (words[i]) add_word(sums, words[i], grid.rows.parts[y + i * tile.down], grid.columns.parts + x);
      }
    }
  }
  return sums;
}

// Adds to a cell, in row j and column q of the grid, what one of the patches around it gives.
__device__ void add_patch(double& cell, const Moments& m, const Grid& grid, const Patch& patch, int j, int q) {
  const double down = grid.rows.divisor, right = grid.columns.divisor;
  const Strip &rows = patch.rows, &columns = patch.columns;
  if (rows.cell == j && columns.cell == q) cell += down * right * m.count - right * m.row - down * m.column + m.both;
  if (rows.cell == j && columns.next == q) cell += down * m.column - m.both;
  if (rows.next == j && columns.cell == q) cell += right * m.row - m.both;
  if (rows.next == j && columns.next == q) cell += m.both;
}

// Cells [top, bottom) x [left, right), and the patches that they gather from, which start a row above and a
// column before.
struct Window {
  int top, bottom, left, right;
  __device__ Window(const Grid& grid, int top, int left)
      : top(top), bottom(min(top + SIDE, grid.rows.cells)), left(left), right(min(left + SIDE, grid.columns.cells)) {}
  __device__ int above() const { return max(top - 1, 0); }
  __device__ int before() const { return max(left - 1, 0); }
};
using Board = Moments[SIDE + 1][SIDE + 1];

// Sums over each of a window's patches, a group of threads each.
__device__ void measure(Board& moments, const Mask& mask, const Grid& grid, const Window& window, const Tile& tile) {
  const int threads = tile.across * tile.down, group = threadIdx.x / threads, lane = threadIdx.x % threads;
  const int across = window.right - window.before(), patches = (window.bottom - window.above()) * across;
  for (int first = 0; first < patches; first += THREADS / threads) {
    const int y = (first + group) / across, x = (first + group) % across;
    const bool exists = first + group < patches;  // all threads take part in the sums
    Moments sums{0, 0, 0, 0};
    if (exists) {
      const Patch patch{strip_of(grid.rows, window.above() + y), strip_of(grid.columns, window.before() + x)};
      sums = add_up(mask, grid, patch, tile, lane);
    }
    const bool some = __any_sync(ALL_LANES, sums.count != 0);  // most patches hold no heart
    for (int offset = some ? threads / 2 : 0; offset > 0; offset /= 2) {
      sums.count += __shfl_xor_sync(ALL_LANES, sums.count, offset);
      sums.row += __shfl_xor_sync(ALL_LANES, sums.row, offset);
      sums.column += __shfl_xor_sync(ALL_LANES, sums.column, offset);
      sums.both += __shfl_xor_sync(ALL_LANES, sums.both, offset);
    }
    if (exists && lane == 0) moments[y][x] = sums;
  }
}

// Returns what the cell in row j and column q gets.
__device__ double gather(const Board& moments, const Grid& grid, const Window& window, int j, int q) {
  double cell = 0;
  for (int y = max(j - 1, 0); y <= j; ++y) {
    for (int x = max(q - 1, 0); x <= q; ++x) {
      const Patch patch{strip_of(grid.rows, y), strip_of(grid.columns, x)};
      add_patch(cell, moments[y - window.above()][x - window.before()], grid, patch, j, q);
    }
  }
  return cell;
}

// Projects a plane: the block's threads together. Returns a thread's share of the area.
__device__ int project_plane(const Mask& mask, const Grid& grid, const Tile& tile, double* cells, int* inside) {
  __shared__ Board moments;
  int area = 0;  // of under 2^30 pixels
  for (int top = 0; top < grid.rows.cells; top += SIDE) {
    for (int left = 0; left < grid.columns.cells; left += SIDE) {
      const Window window(grid, top, left);
      measure(moments, mask, grid, window, tile);
      __syncthreads();
      const int j = top + static_cast<int>(threadIdx.x) / SIDE, q = left + static_cast<int>(threadIdx.x) % SIDE;
      if (j < window.bottom && q < window.right) {
        const int at = j * grid.columns.cells + q;
        const int count = moments[j - window.above()][q - window.before()].count;
        cells[at] = gather(moments, grid, window, j, q);
        if (inside) inside[at] = count;
        area += count;
      }
      __syncthreads();
    }
  }
  return area;
}

__global__ void __launch_bounds__(THREADS, RESIDENT)
    project_images(Projection projection, Grid grid, Tile tile, bool aligned, int* inside) {
  const std::int64_t pixels = static_cast<std::int64_t>(projection.rows) * projection.columns;
  for (std::int64_t image = blockIdx.x; image < projection.images; image += gridDim.x) {
    const Mask mask{projection.masks + image * pixels, projection.columns, aligned};
    const std::int64_t first = image * grid.patches();
    int area = project_plane(mask, grid, tile, projection.cells + first, inside ? inside + first : nullptr);
    area = combine_all(area, Sum());
    if (threadIdx.x == 0) projection.areas[image] = area;
  }
}

// A patch's words and rows, shared by as many threads of a warp as they keep busy.
Tile tile_of(const Projection& projection) {
  const int across = power_of_two(projection.columns / projection.width / WORD, WARP);
  return {across, power_of_two(projection.rows / projection.height, WARP / across)};
}

}  // namespace

void project(const Projection& projection, const Grid& grid, int* inside, void* stream) {
  const auto address = reinterpret_cast<std::uintptr_t>(projection.masks);
  const bool aligned = projection.columns % WORD == 0 && address % WORD == 0;
  launch("project_masks", project_images, dim3(blocks_along_x(projection.images)), THREADS, stream, projection, grid,
         tile_of(projection), aligned, inside);
}

void project_masks(const Projection& projection, void* scratch, void* stream) {
  Layout layout(scratch);
  const ProjectionScratch at(layout, projection);
  tabulate(at.grid, stream);
  project(projection, at.grid, nullptr, stream);
}

}  // namespace cmrbias::cuda
