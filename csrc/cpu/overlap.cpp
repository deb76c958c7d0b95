// overlap and project_masks on the processor: one thread an image, one pass over its mask.
//
// No upsampled map is written. Sums go through the projection of the mask onto the map's grid
// (sum of (U c) y = sum of c (U^T y)). Between four cells (a patch) the map is bilinear, so its corner
// pixels bound the others, up to rounding: a threshold decides most patches whole, extremes lie in few.
// Where the bound leaves a doubt, pixels are computed as math.h says, so every decision is exact.
#include <algorithm>
#include <cfloat>
#include <limits>
#include <memory>

#include "axis.h"
#include "gradcam.h"
#include "instruction_sets.h"
#include "rows.h"
#include "share.h"
#include "vectors.h"

namespace cmrbias::cpu {
namespace {

struct Grid {
  Axis rows, columns;
  bool exact;
  Grid(int height, int width, int rows, int columns)
      : rows(height, rows, exact_scales(height, width, rows, columns)),
        columns(width, columns, exact_scales(height, width, rows, columns)) {}
  double unit() const { return 1 / (rows.divisor * columns.divisor); }
  int patches() const { return static_cast<int>(rows.strips.size() * columns.strips.size()); }
};

constexpr int FLOATS = 8;
constexpr int BYTES = 32;
constexpr int MOST_ROWS = 255;  // of a patch, to be counted in bytes
using Floats = Vector<float, FLOATS>;
using Ints = Vector<std::int32_t, FLOATS>;
using Bytes = Vector<std::uint8_t, BYTES>;

// So many bytes that whole vectors hold them.
std::size_t padded(int columns) { return (static_cast<std::size_t>(columns) + BYTES - 1) / BYTES * BYTES; }

// --- the mask -------------------------------------------------------------------------------------

// Counts heart pixels in each column of a block's rows, and sums their row numbers in the block. `counts` and
// `numbers` have room for whole vectors.
void count_columns(std::uint8_t* counts, std::uint8_t* numbers, const std::uint8_t* mask, int rows,
                               int columns) {
  for (int x = 0; x < columns; x += BYTES) {
    const std::size_t width = static_cast<std::size_t>(std::min(BYTES, columns - x));
    Bytes count = {}, number = {};
    for (int row = 0; row < rows; ++row) {
      const std::uint8_t* from = mask + static_cast<std::int64_t>(row) * columns + x;
      const Bytes heart = load_part<Bytes>(from, width) != 0;  // 255 or 0
      count -= heart;
      number += heart & static_cast<std::uint8_t>(row);
    }
    std::memcpy(counts + x, &count, sizeof count);
    std::memcpy(numbers + x, &number, sizeof number);
  }
}

// Adds a block to its strip: how many heart pixels a column has, and the sum of their parts.
void add_block(double* counts, double* parts, const std::uint8_t* block_counts,
                           const std::uint8_t* block_numbers, double base, double step, int columns) {
  for (int x = 0; x < columns; ++x) {
    counts[x] += block_counts[x];
    parts[x] += base * block_counts[x] + step * block_numbers[x];
  }
}

struct Moments {
  double count, row, column, both;  // sums of 1, row part, column part and their product
};

// Sums over a patch's columns, WIDE partial sums at a time.
Moments patch_moments(const double* counts, const double* rows, const double* parts, int columns) {
  Doubles sums[4] = {};
  const auto add = [&](const double* count, const double* row, const double* part) {
    sums[0] += load_doubles(count);
    sums[1] += load_doubles(row);
    sums[2] += load_doubles(count) * load_doubles(part);
    sums[3] += load_doubles(row) * load_doubles(part);
  };
  int x = 0;
  for (; x + WIDE <= columns; x += WIDE) add(counts + x, rows + x, parts + x);
  if (x < columns) {
    double last[3][WIDE] = {};
    std::copy(counts + x, counts + columns, last[0]);
    std::copy(rows + x, rows + columns, last[1]);
    std::copy(parts + x, parts + columns, last[2]);
    add(last[0], last[1], last[2]);
  }
  const Four each = sum_each(sums[0], sums[1], sums[2], sums[3]);
  return {each[0], each[1], each[2], each[3]};
}

// A mask on the map's grid.
class Projected {
 public:
  explicit Projected(const Grid& grid)
      : grid_(grid),
        padded_(padded(grid.columns.pixels)),
        bytes_(2 * padded_),
        used_(grid.columns.strips.size()),
        columns_(2 * static_cast<std::size_t>(grid.columns.pixels)),
        inside(grid.patches()),
        cells(static_cast<std::size_t>(grid.rows.cells) * grid.columns.cells) {}

  void project(const std::uint8_t* mask) {
    std::fill(cells.begin(), cells.end(), 0.0);
    std::fill(inside.begin(), inside.end(), 0);
    area = 0;
    const int width = grid_.columns.pixels;
    for (std::size_t strip = 0; strip < grid_.rows.strips.size(); ++strip) {
      std::fill(used_.begin(), used_.end(), false);
      for (const Block& block : grid_.rows.blocks[strip]) {
        const std::uint8_t* first = mask + static_cast<std::int64_t>(block.first) * width;
        if (!has_heart(first, (block.last - block.first) * width)) continue;
        count_columns(bytes_.data(), bytes_.data() + padded_, first, block.last - block.first, width);
        for (std::size_t q = 0; q < used_.size(); ++q) add_to_patch(q, block);
      }
      for (std::size_t q = 0; q < used_.size(); ++q) {
        if (used_[q]) add_patch(static_cast<int>(strip), static_cast<int>(q));
      }
    }
  }

  const Grid& grid() const { return grid_; }

 private:
  // Adds a block's counts to one patch of its strip.
  void add_to_patch(std::size_t q, const Block& block) {
    const Strip& at = grid_.columns.strips[q];
    const std::uint8_t* block_counts = bytes_.data() + at.first;
    if (!has_heart(block_counts, at.size())) return;
    double *counts = columns_.data() + at.first, *parts = counts + grid_.columns.pixels;
    if (!used_[q]) {
      std::fill_n(counts, at.size(), 0.0);
      std::fill_n(parts, at.size(), 0.0);
      used_[q] = true;
    }
    add_block(counts, parts, block_counts, block_counts + padded_, block.base, block.step, at.size());
  }

  void add_patch(int strip, int q) {
    const Axis& across = grid_.columns;
    const Strip &rows = grid_.rows.strips[strip], &at = across.strips[q];
    const double down = grid_.rows.divisor, right = across.divisor;
    const double* counts = columns_.data() + at.first;
    const Moments m = patch_moments(counts, counts + across.pixels, across.parts.data() + at.first, at.size());
    double* upper = cells.data() + static_cast<std::int64_t>(rows.cell) * across.cells;
    double* lower = cells.data() + static_cast<std::int64_t>(rows.next) * across.cells;
    upper[at.cell] += down * right * m.count - right * m.row - down * m.column + m.both;
    upper[at.next] += down * m.column - m.both;
    lower[at.cell] += right * m.row - m.both;
    lower[at.next] += m.both;
    inside[strip * across.strips.size() + q] = static_cast<int>(m.count);
    area += static_cast<std::int64_t>(m.count);
  }

  const Grid& grid_;
  std::size_t padded_;
  std::vector<std::uint8_t> bytes_;
  std::vector<char> used_;  // does this patch of the strip hold any heart?
  std::vector<double> columns_;

 public:
  std::vector<int> inside;  // heart pixels a patch; unknown where the cells were given
  std::vector<double> cells;
  std::int64_t area = 0;
};

// The best AKS that a map of the grid can reach: its whole weight in one cell.
double ceiling(const Grid& grid, const double* cells) {
  double best = 0;
  for (int j = 0; j < grid.rows.cells; ++j) {
    for (int q = 0; q < grid.columns.cells; ++q) {
      const double weight = grid.rows.weights[j] * grid.columns.weights[q];
      if (weight > 0) best = std::max(best, *cells / weight);
      ++cells;
    }
  }
  return std::min(best, 1.0);
}

// --- the map --------------------------------------------------------------------------------------

// The rows of a patch that lie inside the threshold, column by column: whole numbers, [from, to).
struct Crossings {
  std::vector<float> from, to;
  explicit Crossings(int columns) : from(padded(columns)), to(from.size()) {}
};

// How far down the rows of a strip lie, in float: the last one `last` of the way, each other one `step` less, but
// none before 0.
struct Descent {
  float rows, last, step;
  Floats at(Floats row) const {
    const Floats fraction = last - step * (rows - 1 - row);
    return fraction > 0 ? fraction : Floats{};
  }
};

// Finds where columns of a patch cross the threshold, each given its value at the upper edge and how much greater
// the lower edge is. Values are monotone down a column, in double too, so four of them prove where it crosses: at
// its ends, and on both sides. Returns how many pixels are inside, or -1 if one of those is closer to the threshold
// than float's error.
int find_crossings(Crossings* found, const float* top, const float* slope, int columns, const Descent& down, float bar,
                   float error) {
  const Floats none = {}, rows = none + down.rows, end = rows - 1, start = down.at(none);
  const float per_row = 1 / down.step;
  Floats inside = {};
  Ints doubt = {};
  for (int x = 0; x < columns; x += FLOATS) {
    const auto above = load_vector<Floats>(top + x) - bar, by = load_vector<Floats>(slope + x);
    Floats guess = end - (down.last + above / by) * per_row;  // NaN or infinite where the column is flat
    guess = guess > 0 ? guess : none;
    guess = guess < rows ? guess : rows;
    Floats cross = __builtin_convertvector(__builtin_convertvector(guess, Ints), Floats);
    cross += cross < guess ? none + 1 : none;  // the first row behind the crossing
    const Floats first = above + by * start, last = above + by * down.last;
    const Floats before = above + by * down.at(cross > 0 ? cross - 1 : none);
    const Floats behind = above + by * down.at(cross < rows ? cross : end);
    for (const Floats& v : {first, before, behind, last}) doubt |= (v < error) & (v > -error);
    doubt |= ((first > 0) ^ (before > 0)) | ((behind > 0) ^ (last > 0));
    const Floats from = before > 0 ? none : cross, to = behind > 0 ? rows : cross;
    inside += to - from;
    std::memcpy(found->from.data() + x, &from, sizeof from);
    std::memcpy(found->to.data() + x, &to, sizeof to);
  }
  int doubts = 0;
  float count = 0;
  for (int lane = 0; lane < FLOATS; ++lane) doubts |= doubt[lane], count += inside[lane];
  return doubts ? -1 : static_cast<int>(count);
}

// Counts heart pixels between the crossings of at most 255 rows.
int count_hearts(const Crossings& found, int columns, int rows, const std::uint8_t* mask, int stride) {
  int count = 0;
  for (int x = 0; x < columns; x += BYTES) {
    std::uint8_t from[BYTES], size[BYTES];
    for (int lane = 0; lane < BYTES; ++lane) {
      from[lane] = static_cast<std::uint8_t>(static_cast<int>(found.from[x + lane]));
      size[lane] = static_cast<std::uint8_t>(static_cast<int>(found.to[x + lane] - found.from[x + lane]));
    }
    const std::size_t width = static_cast<std::size_t>(std::min(BYTES, columns - x));
    const auto first = load_vector<Bytes>(from), inside = load_vector<Bytes>(size);
    Bytes hearts = {};
    for (int y = 0; y < rows; ++y) {
      const Bytes heart = load_part<Bytes>(mask + static_cast<std::int64_t>(y) * stride + x, width) != 0;
      hearts -= heart & (Bytes{} + static_cast<std::uint8_t>(y) - first < inside);
    }
    for (int lane = 0; lane < BYTES; ++lane) count += hearts[lane];
  }
  return count;
}

// The same pixel by pixel in double, as math.h says.
template <bool MASKED>
int count_hot(const double* top, const double* bottom, const double* fractions, int rows, int columns,
              double low, double bar, const std::uint8_t* mask, int stride) {
  int count = 0;
  for (int y = 0; y < rows; ++y, mask += stride) {
    for (int x = 0; x < columns; ++x) {
      const bool heart = !MASKED || mask[x] != 0;
      count += heart && is_hot(lerp(top[x], bottom[x], fractions[y]), low, bar);
    }
  }
  return count;
}

void lerp_row(double* row, const double* fractions, double left, double right, int columns) {
  for (int x = 0; x < columns; ++x) row[x] = lerp(left, right, fractions[x]);
}

// An upsampled map, patch by patch.
class Upsampled {
 public:
  explicit Upsampled(const Grid& grid)
      : grid_(grid),
        cells_(static_cast<std::size_t>(grid.rows.cells) * grid.columns.cells),
        edges_(2 * static_cast<std::size_t>(grid.rows.cells) * grid.columns.strips.size()),
        least_(grid.patches()),
        most_(grid.patches()),
        rows_(2 * static_cast<std::size_t>(grid.columns.pixels)),
        slopes_(rows_.size() + 2 * FLOATS),
        crossings_(grid.columns.pixels + FLOATS) {}

  // Takes a map; returns false if it is negative somewhere or not finite.
  template <class T>
  bool take(const T* map) {
    double least = DBL_MAX;
    greatest_ = 0;
    bool good = true;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      cells_[i] = load(map[i]);
      good &= cells_[i] >= 0 && cells_[i] <= DBL_MAX;
      greatest_ = std::max(greatest_, cells_[i]);
      least = std::min(least, cells_[i]);
    }
    if (!good) return false;
    variation_ = greatest_ - least;
    slack_ = greatest_ * SLACK + DBL_MIN;
    corners();
    extremes();
    return true;
  }

  double low() const { return low_; }
  double high() const { return high_; }
  bool constant() const { return low_ == high_; }

  // Sums of (c - low) times weights of cells: rows x columns, or given.
  double total() const {
    double sum = 0;
    for (int j = 0; j < grid_.rows.cells; ++j) {
      double row = 0;
      for (int q = 0; q < grid_.columns.cells; ++q) row += (cell(j, q) - low_) * grid_.columns.weights[q];
      sum += row * grid_.rows.weights[j];
    }
    return std::max(sum * grid_.unit(), 0.0);
  }
  double total(const double* weights) const {
    double sum = 0;
    for (int j = 0; j < grid_.rows.cells; ++j) {
      double row = 0;
      for (int q = 0; q < grid_.columns.cells; ++q) row += (cell(j, q) - low_) * *weights++;
      sum += row;
    }
    return std::max(sum * grid_.unit(), 0.0);
  }

  // Counts pixels inside the threshold, and those of them in the heart.
  void count(double threshold, const Projected& heart, const std::uint8_t* mask, std::int64_t* counts) {
    const double bar = threshold * (high_ - low_);
    for_each_patch([&](int patch, const Strip& rows, const Strip& columns) {
      const int size = rows.size() * columns.size(), hearts = heart.inside[patch];
      const double least = least_[patch] - slack_ - low_, most = most_[patch] + slack_ - low_;
      int hot = 0, both = 0;
      if (least >= bar + slack_) {
        hot = size, both = hearts;
      } else if (most >= bar - slack_) {
        edges_of(rows, columns);
        hot = cross(rows, columns.size(), bar);
        const bool crossed = hot >= 0;
        if (!crossed) hot = hot_pixels<false>(rows, columns, bar, mask);
        both = hot == 0 || hearts == 0 ? 0
               : hearts == size        ? hot
               : hot == size           ? hearts
               : crossed ? count_hearts(crossings_, columns.size(), rows.size(), mask + first_of(rows, columns), grid_.columns.pixels)
                         : hot_pixels<true>(rows, columns, bar, mask);
      }
      counts[HOT_AREA] += hot;
      counts[HOT_INSIDE] += both;
      return true;
    });
  }

  // Does any pixel that equals the maximum lie in the heart?
  bool peak_inside(const Projected& heart, const std::uint8_t* mask) {
    return !for_each_patch([&](int patch, const Strip& rows, const Strip& columns) {
      if (heart.inside[patch] == 0 || most_[patch] + slack_ < high_) return true;
      edges_of(rows, columns);
      for (int y = rows.first; y < rows.last; ++y) {
        for (int x = columns.first; x < columns.last; ++x) {
          if (pixel(y, x - columns.first, columns.size()) == high_ && mask[at(y, x)]) return false;
        }
      }
      return true;
    });
  }

  // Returns the first pixel, in row-major order, that equals `value`, an extreme.
  std::int64_t first(double value) {
    for (std::size_t j = 0; j < grid_.rows.strips.size(); ++j) {
      const Strip& rows = grid_.rows.strips[j];
      std::int64_t found = -1;
      for (std::size_t q = 0; q < grid_.columns.strips.size(); ++q) {
        const std::size_t patch = j * grid_.columns.strips.size() + q;
        if (least_[patch] - slack_ > value || most_[patch] + slack_ < value) continue;
        const Strip& columns = grid_.columns.strips[q];
        edges_of(rows, columns);
        for (int y = rows.first; y < rows.last; ++y) {
          for (int x = columns.first; x < columns.last; ++x) {
            if (pixel(y, x - columns.first, columns.size()) != value) continue;
            if (found < 0 || at(y, x) < found) found = at(y, x);
          }
        }
      }
      if (found >= 0) return found;
    }
    return -1;  // not reached: an extreme is some pixel's value
  }

 private:
  double cell(int j, int q) const { return cells_[static_cast<std::size_t>(j) * grid_.columns.cells + q]; }
  std::int64_t at(int y, int x) const { return static_cast<std::int64_t>(y) * grid_.columns.pixels + x; }
  std::int64_t first_of(const Strip& rows, const Strip& columns) const { return at(rows.first, columns.first); }

  // Calls work(patch, rows, columns) until it returns false; returns whether it never did.
  template <class Work>
  bool for_each_patch(const Work& work) const {
    int patch = 0;
    for (const Strip& rows : grid_.rows.strips) {
      for (const Strip& columns : grid_.columns.strips) {
        if (!work(patch++, rows, columns)) return false;
      }
    }
    return true;
  }

  bool flat(const Strip& rows, const Strip& columns) const {
    const double a = cell(rows.cell, columns.cell);
    return a == cell(rows.cell, columns.next) && a == cell(rows.next, columns.cell) &&
           a == cell(rows.next, columns.next);
  }

  // The bounds of each patch from its corner pixels, and of the map from all corners.
  void corners() {
    const std::size_t across = grid_.columns.strips.size();
    for (int j = 0; j < grid_.rows.cells; ++j) {
      for (std::size_t q = 0; q < across; ++q) {
        const Strip& columns = grid_.columns.strips[q];
        const double left = cell(j, columns.cell), right = cell(j, columns.next);
        double* edge = &edges_[2 * (j * across + q)];
        edge[0] = lerp(left, right, grid_.columns.fractions[columns.first]);
        edge[1] = lerp(left, right, grid_.columns.fractions[columns.last - 1]);
      }
    }
    low_ = DBL_MAX, high_ = 0;
    for (std::size_t j = 0; j < grid_.rows.strips.size(); ++j) {
      const Strip& rows = grid_.rows.strips[j];
      const double first = grid_.rows.fractions[rows.first], last = grid_.rows.fractions[rows.last - 1];
      for (std::size_t q = 0; q < across; ++q) {
        const double* top = &edges_[2 * (rows.cell * across + q)];
        const double* bottom = &edges_[2 * (rows.next * across + q)];
        const double values[] = {lerp(top[0], bottom[0], first), lerp(top[1], bottom[1], first),
                                 lerp(top[0], bottom[0], last), lerp(top[1], bottom[1], last)};
        const std::size_t patch = j * across + q;
        least_[patch] = std::min(std::min(values[0], values[1]), std::min(values[2], values[3]));
        most_[patch] = std::max(std::max(values[0], values[1]), std::max(values[2], values[3]));
        low_ = std::min(low_, least_[patch]);
        high_ = std::max(high_, most_[patch]);
      }
    }
  }

  // Rounding may put the extreme a last bit beyond the corners. Down a column values are monotone even
  // when rounded, so only the first and last rows of patches at the extreme are looked at; nothing is
  // below 0, and a flat patch has one value.
  void extremes() {
    const double low = low_, high = high_;
    for_each_patch([&](int patch, const Strip& rows, const Strip& columns) {
      const bool may_be_lower = low > 0 && least_[patch] - slack_ < low;
      if ((!may_be_lower && most_[patch] + slack_ <= high) || flat(rows, columns)) return true;
      edges_of(rows, columns);
      for (int y : {rows.first, rows.last - 1}) {
        for (int x = 0; x < columns.size(); ++x) {
          const double v = pixel(y, x, columns.size());
          low_ = std::min(low_, v);
          high_ = std::max(high_, v);
        }
      }
      return true;
    });
  }

  // Finds where the patch whose edges are in rows_ crosses the threshold; returns as find_crossings.
  int cross(const Strip& rows, int columns, double bar) {
    if (rows.size() > MOST_ROWS || !fits_float(variation_)) return -1;
    float *top = slopes_.data(), *slope = top + slopes_.size() / 2;  // above the minimum: upper edge, and lower minus it
    for (int x = 0; x < columns; ++x) {
      top[x] = static_cast<float>(rows_[x] - low_);
      slope[x] = static_cast<float>(rows_[columns + x] - rows_[x]);
    }
    std::fill_n(top + columns, FLOATS, -std::numeric_limits<float>::infinity());  // never inside
    std::fill_n(slope + columns, FLOATS, 0.0f);
    const Axis& axis = grid_.rows;
    const Descent down{static_cast<float>(rows.size()), axis.floats[rows.last - 1],
                       static_cast<float>(static_cast<double>(axis.cells) / axis.pixels)};
    return find_crossings(&crossings_, top, slope, columns, down, static_cast<float>(bar),
                          static_cast<float>(float_error(variation_, slack_)));
  }

  // Counts a patch's pixels inside the threshold one by one.
  template <bool MASKED>
  int hot_pixels(const Strip& rows, const Strip& columns, double bar, const std::uint8_t* mask) const {
    return count_hot<MASKED>(rows_.data(), rows_.data() + columns.size(), grid_.rows.fractions.data() + rows.first,
                             rows.size(), columns.size(), low_, bar, mask + first_of(rows, columns), grid_.columns.pixels);
  }

  // Upper and lower edge of a patch, column by column, into rows_.
  void edges_of(const Strip& rows, const Strip& columns) {
    const double* fractions = grid_.columns.fractions.data() + columns.first;
    lerp_row(rows_.data(), fractions, cell(rows.cell, columns.cell), cell(rows.cell, columns.next), columns.size());
    lerp_row(rows_.data() + columns.size(), fractions, cell(rows.next, columns.cell),
             cell(rows.next, columns.next), columns.size());
  }

  // A pixel of the patch whose edges are in rows_.
  double pixel(int y, int x, int columns) const {
    return lerp(rows_[x], rows_[columns + x], grid_.rows.fractions[y]);
  }

  const Grid& grid_;
  std::vector<double> cells_, edges_, least_, most_, rows_;
  std::vector<float> slopes_;
  Crossings crossings_;
  double greatest_ = 0, variation_ = 0, slack_ = 0, low_ = 0, high_ = 0;
};

// --- both -----------------------------------------------------------------------------------------

constexpr double NOT_A_NUMBER = std::numeric_limits<double>::quiet_NaN();

// Everything about one image, in scratch memory.
template <class T>
void score(const Overlap& overlap, std::int64_t number, Projected* heart_memory, Upsampled* map_memory) {
  Projected& heart = *heart_memory;
  Upsampled& map = *map_memory;
  const Grid& grid = heart.grid();
  const std::int64_t pixels = static_cast<std::int64_t>(overlap.rows) * overlap.columns;
  const std::int64_t size = static_cast<std::int64_t>(overlap.height) * overlap.width;
  const std::uint8_t* mask = overlap.masks ? overlap.masks + number * pixels : nullptr;
  const double* cells = overlap.cells + number * size;
  if (mask) {
    heart.project(mask);
    cells = heart.cells.data();
  }
  const std::int64_t area = mask ? heart.area : overlap.areas[number];
  double* of_mask = overlap.of_mask + number * OF_MASK;
  of_mask[AREA] = static_cast<double>(area);
  of_mask[CEILING] = ceiling(grid, cells);
  for (int target = 0; target < overlap.targets; ++target) {
    const std::int64_t at = number * overlap.targets + target;
    double* sums = overlap.sums + at * SUMS;
    std::int64_t* counts = overlap.counts ? overlap.counts + at * COUNTS : nullptr;
    std::fill_n(counts, counts ? COUNTS : 0, 0);
    std::fill_n(sums, static_cast<int>(SUMS), NOT_A_NUMBER);
    if (!map.take(static_cast<const T*>(overlap.maps) + at * size)) continue;
    sums[MINIMUM] = map.low();
    sums[MAXIMUM] = map.high();
    sums[SALIENCY] = map.constant() ? 0 : map.total();
    sums[INSIDE] = map.constant() ? 0 : area == pixels ? sums[SALIENCY] : std::min(map.total(cells), sums[SALIENCY]);
    if (!counts || map.constant()) continue;
    map.count(overlap.threshold, heart, mask, counts);
    counts[PEAK_INSIDE] = area > 0 && map.peak_inside(heart, mask);
  }
}

void score_image(const Overlap& overlap, std::int64_t number, Projected* heart, Upsampled* map) {
  switch (overlap.type) {
    case Type::float32: return best<score<float>>(overlap, number, heart, map);
    case Type::float64: return best<score<double>>(overlap, number, heart, map);
    case Type::bfloat16: return best<score<bfloat16>>(overlap, number, heart, map);
  }
}

void project_image(const Projection& projection, std::int64_t number, Projected* heart) {
  heart->project(projection.masks + number * projection.rows * projection.columns);
  std::copy(heart->cells.begin(), heart->cells.end(), projection.cells + number * heart->cells.size());
  projection.areas[number] = heart->area;
}

template <class T>
void find_extremes(const Extremes& extremes, std::int64_t number, Upsampled* map) {
  const std::int64_t size = static_cast<std::int64_t>(extremes.height) * extremes.width;
  const bool good = map->take(static_cast<const T*>(extremes.maps) + number * size);
  extremes.pixels[2 * number] = good ? map->first(map->low()) : -1;
  extremes.pixels[2 * number + 1] = good ? map->first(map->high()) : -1;
}

}  // namespace

void project_masks(const Projection& projection) {
  const Grid grid(projection.height, projection.width, projection.rows, projection.columns);
#pragma omp parallel if (projection.images > 1)
  {
    Projected heart(grid);
#pragma omp for schedule(dynamic, share(projection.images))
    for (std::int64_t number = 0; number < projection.images; ++number) {
      best<project_image>(projection, number, &heart);
    }
  }
}

void overlap(const Overlap& overlap) {
  const Grid grid(overlap.height, overlap.width, overlap.rows, overlap.columns);
#pragma omp parallel if (overlap.images > 1)
  {
    Projected heart(grid);
    Upsampled map(grid);
#pragma omp for schedule(dynamic, share(overlap.images))
    for (std::int64_t number = 0; number < overlap.images; ++number) score_image(overlap, number, &heart, &map);
  }
}

void gradcam_overlap(const Gradcam& gradcam, const Overlap& overlap) {
  const Grid grid(overlap.height, overlap.width, overlap.rows, overlap.columns);
#pragma omp parallel if (overlap.images > 1)
  {
    const std::unique_ptr<double[]> memory(new double[gradcam_scratch(gradcam)]);
    Projected heart(grid);
    Upsampled map(grid);
#pragma omp for schedule(dynamic, share(overlap.images))
    for (std::int64_t number = 0; number < overlap.images; ++number) {
      gradcam_image(gradcam, number, memory.get());
      score_image(overlap, number, &heart, &map);
    }
  }
}

void extreme_pixels(const Extremes& extremes) {
  const Grid grid(extremes.height, extremes.width, extremes.rows, extremes.columns);
#pragma omp parallel if (extremes.images > 1)
  {
    Upsampled map(grid);
#pragma omp for schedule(dynamic, share(extremes.images))
    for (std::int64_t number = 0; number < extremes.images; ++number) {
      switch (extremes.type) {
        case Type::float32: best<find_extremes<float>>(extremes, number, &map); break;
        case Type::float64: best<find_extremes<double>>(extremes, number, &map); break;
        case Type::bfloat16: best<find_extremes<bfloat16>>(extremes, number, &map); break;
      }
    }
  }
}

}  // namespace cmrbias::cpu
