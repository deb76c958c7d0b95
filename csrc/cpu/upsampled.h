// An upsampled map, patch by patch, without its pixels.
//
// Between four cells (a patch) the map is bilinear, so its corner pixels bound the others, up to rounding: a
// threshold decides most patches whole, extremes lie in few. Where the bound leaves a doubt, pixels are computed as
// math.h says, so every decision is exact.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <limits>
#include <vector>

#include "crossings.h"
#include "grid.h"
#include "rows.h"
#include "vectors.h"

namespace cmrbias::cpu {

inline Four lerp(const Four& a, const Four& b, const Four& fraction) { return a + (b - a) * fraction; }

class Upsampled {
 public:
  explicit Upsampled(const Grid& grid)
      : grid_(grid),
        cells_(grid.weights.size()),
        left_(static_cast<std::size_t>(grid.rows.cells) * grid.across()),
        right_(left_.size()),
        least_(grid.patches()),
        most_(grid.patches()),
        top_(grid.columns.pixels + 3),
        bottom_(top_.size()),
        above_(grid.columns.pixels + FLOATS),
        slope_(above_.size()),
        crossings_(grid.columns.pixels + FLOATS) {}

  // Takes a map; returns false if it is negative somewhere or not finite. Meanwhile it asks for what comes next, as
  // count() does.
  template <class T>
  bool take(const T* map, Next* next) {
    if (!read(map)) return false;
    slack_ = greatest_ * SLACK + DBL_MIN;
    edges();
    corners(next);
    extremes();
    return true;
  }

  double low() const { return low_; }
  double high() const { return high_; }
  bool constant() const { return low_ == high_; }

  // Sums of (c - low) times what a cell weighs in the image, and in the heart (Projected::cells), row by row; 0 for a
  // constant map.
  struct Totals {
    double saliency, inside;
  };
  Totals totals(const std::vector<double>& hearts) const {
    if (constant()) return {0, 0};
    Totals sums{0, 0};
    const double *of_cell = cells_.data(), *of_heart = hearts.data();
    for (double down : grid_.rows.weights) {
      double whole = 0, part = 0;
      for (double right : grid_.columns.weights) {
        const double above = *of_cell++ - low_;
        whole += above * right;
        part += above * *of_heart++;
      }
      sums.saliency += whole * down;
      sums.inside += part;
    }
    return {std::max(sums.saliency * grid_.unit(), 0.0), std::max(sums.inside * grid_.unit(), 0.0)};
  }

  struct Hot {
    std::int64_t area, inside;
  };
  // Counts pixels inside the threshold, and those of them in the heart, of which each patch holds so many pixels.
  Hot count(double threshold, const std::vector<int>& hearts, const std::uint8_t* mask, Next* next) {
    const double bar = threshold * (high_ - low_);
    Hot hot{};
    grid_.each_patch([&](std::size_t patch, const Strip& rows, const Strip& columns) {
      next->ask();
      if (least_[patch] - slack_ - low_ >= bar + slack_) {
        hot.area += rows.size() * columns.size(), hot.inside += hearts[patch];
      } else if (most_[patch] + slack_ - low_ >= bar - slack_) {
        count_patch(rows, columns, bar, hearts[patch], mask, &hot);
      }
      return true;
    });
    return hot;
  }

  // Does any pixel that equals the maximum lie in the heart?
  bool peak_inside(const std::vector<int>& hearts, const std::uint8_t* mask) {
    return !grid_.each_patch([&](std::size_t patch, const Strip& rows, const Strip& columns) {
      if (hearts[patch] == 0 || most_[patch] + slack_ < high_) return true;
      rows_of(rows, columns);
      const std::uint8_t* heart = mask + at(rows.first, columns.first);
      int found = 0;
      for (int y = rows.first; y < rows.last; ++y, heart += grid_.columns.pixels) {
        for (int x = 0; x < columns.size(); ++x) found |= (pixel(y, x) == high_) & (heart[x] != 0);
      }
      return !found;
    });
  }

  // Returns the first pixel, in row-major order, that equals `value`, an extreme.
  std::int64_t first(double value) {
    std::int64_t found = std::numeric_limits<std::int64_t>::max();
    grid_.each_patch([&](std::size_t patch, const Strip& rows, const Strip& columns) {
      if (found < at(rows.first, 0)) return false;  // in an earlier strip
      if (least_[patch] - slack_ > value || most_[patch] + slack_ < value) return true;
      rows_of(rows, columns);
      for (int y = rows.first; y < rows.last; ++y) {
        for (int x = 0; x < columns.size(); ++x) {
          if (pixel(y, x) == value) found = std::min(found, at(y, columns.first + x));
        }
      }
      return true;
    });
    return found;
  }

 private:
  double cell(int j, int q) const { return cells_[static_cast<std::size_t>(j) * grid_.columns.cells + q]; }
  std::int64_t at(int y, int x) const { return static_cast<std::int64_t>(y) * grid_.columns.pixels + x; }

  // Copies a map's cells; returns false if one is negative or not finite.
  template <class T>
  bool read(const T* map) {
    const std::size_t size = grid_.cells(), fours = size / 4 * 4;
    Range range{Four{} + DBL_MAX, Four{}};
    Vector<std::int64_t, 4> good = Four{} == 0;
    const auto look = [&](const Four& values) {
      range.join(values);
      good &= (values >= 0) & (values <= DBL_MAX);
    };
    for (std::size_t i = 0; i < fours; i += 4) {
      const Four values = load_four(map + i);
      store_vector(&cells_[i], values);
      look(values);
    }
    for (std::size_t i = fours; i < size; ++i) {
      cells_[i] = load(map[i]);
      look(Four{} + cells_[i]);
    }
    greatest_ = range.highest(), variation_ = greatest_ - range.lowest();
    return good[0] & good[1] & good[2] & good[3];
  }

  // Each row of cells at the first and the last pixel of each strip of columns.
  void edges() {
    const Ends& ends = grid_.columns.ends;
    const double* row = cells_.data();
    for (std::size_t to = 0; to < left_.size(); row += grid_.columns.cells) {
      for (std::size_t q = 0; q < ends.first.size(); q += 4, to += 4) {
        const Four left = load_at(row, &ends.cell[q]), right = load_at(row, &ends.next[q]);
        store_vector(&left_[to], lerp(left, right, load_four(&ends.first[q])));
        store_vector(&right_[to], lerp(left, right, load_four(&ends.last[q])));
      }
    }
  }

  // The bounds of each patch from its corner pixels, and of the map from all corners.
  void corners(Next* next) {
    Range all{Four{} + DBL_MAX, Four{}};
    double *least = least_.data(), *most = most_.data();
    for (const Strip& rows : grid_.rows.strips) {
      next->ask();
      const Four first = Four{} + grid_.rows.fractions[rows.first];
      const Four last = Four{} + grid_.rows.fractions[rows.last - 1];
      const std::size_t across = grid_.across(), upper = rows.cell * across, lower = rows.next * across;
      for (std::size_t q = 0; q < across; q += 4, least += 4, most += 4) {
        Range patch{Four{} + DBL_MAX, Four{}};
        for (const auto* edge : {&left_, &right_}) {
          const Four top = load_four(&(*edge)[upper + q]), bottom = load_four(&(*edge)[lower + q]);
          patch.join(lerp(top, bottom, first));
          patch.join(lerp(top, bottom, last));
        }
        store_vector(least, patch.least);
        store_vector(most, patch.greatest);
        all.join(patch.least);
        all.join(patch.greatest);
      }
    }
    low_ = all.lowest(), high_ = all.highest();
  }

  // Rounding may put the extreme a last bit beyond the corners. Down a column values are monotone even
  // when rounded, so only the first and last rows of patches at the extreme are looked at; nothing is
  // below 0, and a flat patch has one value.
  void extremes() {
    const double floor = low_ > 0 ? low_ : -DBL_MAX, roof = high_;
    const std::vector<Strip>& across = grid_.columns.strips;
    Range all{Four{} + low_, Four{} + high_};
    const double *least = least_.data(), *most = most_.data();
    for (const Strip& rows : grid_.rows.strips) {
      for (std::size_t q = 0; q < grid_.across(); q += 4, least += 4, most += 4) {
        const auto doubt = (load_four(least) - slack_ < floor) | (load_four(most) + slack_ > roof);
        if (is_zero(reinterpret_cast<Bytes>(doubt))) continue;
        for (std::size_t k = 0; k < std::min<std::size_t>(4, across.size() - q); ++k) {
          if (doubt[k] && !flat(rows, across[q + k])) join_rows(rows, across[q + k], &all);
        }
      }
    }
    low_ = all.lowest(), high_ = all.highest();
  }

  // Joins the pixels of a patch's first and last rows.
  void join_rows(const Strip& rows, const Strip& columns, Range* all) {
    rows_of(rows, columns);
    const int width = columns.size();
    for (auto* row : {&top_, &bottom_}) std::fill_n(&(*row)[width], 3, (*row)[width - 1]);
    const Four first = Four{} + grid_.rows.fractions[rows.first], last = Four{} + grid_.rows.fractions[rows.last - 1];
    Range other = *all;  // two chains of comparisons side by side
    for (int x = 0; x < width; x += 4) {
      const Four top = load_four(&top_[x]), bottom = load_four(&bottom_[x]);
      all->join(lerp(top, bottom, first));
      other.join(lerp(top, bottom, last));
    }
    all->join(other.least);
    all->join(other.greatest);
  }

  bool flat(const Strip& rows, const Strip& columns) const {
    const double a = cell(rows.cell, columns.cell);
    return a == cell(rows.cell, columns.next) && a == cell(rows.next, columns.cell) &&
           a == cell(rows.next, columns.next);
  }

  // Counts one patch that the threshold may cross.
  void count_patch(const Strip& rows, const Strip& columns, double bar, int hearts, const std::uint8_t* mask,
                   Hot* hot) {
    const int width = columns.size(), height = rows.size(), size = width * height;
    mask += at(rows.first, columns.first);
    rows_of(rows, columns);
    const int crossed = cross(rows, width, bar);
    const int area = crossed >= 0 ? crossed : hot_pixels<false>(rows, width, bar, mask);
    hot->area += area;
    if (area == 0 || hearts == 0) return;
    hot->inside += hearts == size ? area
                   : area == size ? hearts
                   : crossed >= 0 ? count_hearts(crossings_, width, height, mask, grid_.columns.pixels)
                                  : hot_pixels<true>(rows, width, bar, mask);
  }

  // Counts pixels inside the threshold one by one, of the patch whose rows of cells are in top_ and bottom_.
  template <bool MASKED>
  int hot_pixels(const Strip& rows, int columns, double bar, const std::uint8_t* mask) const {
    const double* fractions = &grid_.rows.fractions[rows.first];
    return count_hot<MASKED>(top_.data(), bottom_.data(), fractions, rows.size(), columns, low_, bar, mask,
                             grid_.columns.pixels);
  }

  // Finds where the patch whose edges are in top_ and bottom_ crosses the threshold; returns as find_crossings.
  int cross(const Strip& rows, int columns, double bar) {
    if (rows.size() > MOST_ROWS || !fits_float(variation_)) return -1;
    for (int x = 0; x < columns; ++x) {
      above_[x] = static_cast<float>(top_[x] - low_);
      slope_[x] = static_cast<float>(bottom_[x] - top_[x]);
    }
    std::fill_n(&above_[columns], FLOATS, -std::numeric_limits<float>::infinity());  // never inside
    std::fill_n(&slope_[columns], FLOATS, 0.0f);
    const Axis& axis = grid_.rows;
    const Descent down{static_cast<float>(rows.size()), axis.floats[rows.last - 1],
                       static_cast<float>(static_cast<double>(axis.cells) / axis.pixels)};
    return find_crossings(&crossings_, above_.data(), slope_.data(), columns, down, static_cast<float>(bar),
                          static_cast<float>(float_error(variation_, slack_)));
  }

  // A patch's rows of cells, above and below its pixels, at each column: into top_ and bottom_.
  void rows_of(const Strip& rows, const Strip& columns) {
    const double* fractions = &grid_.columns.fractions[columns.first];
    const auto fill = [&](std::vector<double>& row, int j) {
      const double left = cell(j, columns.cell), right = cell(j, columns.next);
      for (int x = 0; x < columns.size(); ++x) row[x] = cmrbias::lerp(left, right, fractions[x]);
    };
    fill(top_, rows.cell);
    fill(bottom_, rows.next);
  }

  // A pixel of the patch whose rows of cells are in top_ and bottom_, in its column x.
  double pixel(int y, int x) const { return cmrbias::lerp(top_[x], bottom_[x], grid_.rows.fractions[y]); }

  const Grid& grid_;
  std::vector<double> cells_, left_, right_, least_, most_, top_, bottom_;
  std::vector<float> above_, slope_;
  Crossings crossings_;
  double greatest_ = 0, variation_ = 0, slack_ = 0, low_ = 0, high_ = 0;
};

}  // namespace cmrbias::cpu
