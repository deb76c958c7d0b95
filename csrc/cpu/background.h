// A donor's frame without its heart, on the processor.
#pragma once

#include <algorithm>

#include "../background_swap.h"
#include "rows.h"

namespace cmrbias::cpu {

// Adds the values inside (or outside) the heart into LANES sums, and those up.
template <class T>
double masked_sum(const T* values, const std::uint8_t* heart, bool inside, int count) {
  double lanes[LANES] = {};
  for (int start = 0; start < count; start += LANES) {
    const int length = std::min(LANES, count - start);
    for (int lane = 0; lane < length; ++lane) {
      const double value = load(values[start + lane]);
      lanes[lane] += (heart[start + lane] != 0) == inside ? value : 0.0;
    }
  }
  for (int half = LANES / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

inline int count_known(const std::uint8_t* heart, int count) {
  int known = 0;
  for (int i = 0; i < count; ++i) known += heart[i] == 0;
  return known;
}

// Down: a level from the one below it. Cells of four children come first, without average()'s bounds.
template <class Fine, class R>
void average_level(const Fine fine, const Level<R> coarse) {
  for (int y = 0; y < coarse.height; ++y) {
    const int whole = 2 * y + 1 < fine.height ? fine.width / 2 : 0;
    const int top = 2 * y * fine.width, bottom = top + fine.width;
    for (int x = 0; x < whole; ++x) {
      Mean<R> mean;
      mean.add(fine, top + 2 * x);
      mean.add(fine, top + 2 * x + 1);
      mean.add(fine, bottom + 2 * x);
      mean.add(fine, bottom + 2 * x + 1);
      mean.write(coarse, y * coarse.width + x);
    }
    for (int x = whole; x < coarse.width; ++x) average(fine, coarse, y, x);
  }
}

// Makes all levels of a plane; level 1 is `coarse`.
template <class T>
void average_levels(const Plane<T>& plane, Level<Real<T>> coarse) {
  average_level(plane, coarse);
  for (; coarse.size() > 1; coarse = coarse.above()) average_level(coarse, coarse.above());
}

// The rows of a donor's frame, filled where its heart was.
template <class T>
class Background {
 public:
  // `filled` has room for a plane, of which only the rows with heart are used.
  Background(Fill fill, const Plane<T>& donor, const Scratch<Real<T>>& scratch, T* filled)
      : donor_(donor), filled_(filled) {
    const int count = donor.height * donor.width;
    if (fill == Fill::donor || !any(donor.heart, count)) {
      filled_ = nullptr;
    } else if (fill == Fill::mean) {
      const int known = count_known(donor.heart, count);
      const double sum = masked_sum(donor.pixels, donor.heart, false, count);
      const double mean = known ? sum / known : 0.0;
      fill_rows([mean](int, int) { return mean; });
    } else {
      const auto above = inpaint(scratch);
      fill_rows([&above](int y, int x) { return interpolate(above, y, x); });
    }
  }

  const T* row(int y) const {
    const int start = y * donor_.width;
    return filled_ && any(donor_.heart + start, donor_.width) ? filled_ + start : donor_.pixels + start;
  }

 private:
  // Returns level 1, filled.
  Level<Real<T>> inpaint(const Scratch<Real<T>>& scratch) const {
    average_levels(donor_, scratch.level(1));
    for (int number = level_count(donor_.height, donor_.width) - 1; number >= 1; --number) {
      const auto fine = scratch.level(number), coarse = fine.above();
      for (int i = 0; i < fine.size(); ++i) {
        if (!fine.known(i)) fine.values[i] = interpolate(coarse, i / fine.width, i % fine.width);
      }
    }
    return scratch.level(1);
  }

  template <class Filling>
  void fill_rows(const Filling& filling) {
    for (int y = 0; y < donor_.height; ++y) {
      const int start = y * donor_.width;
      if (!any(donor_.heart + start, donor_.width)) continue;
      for (int x = 0; x < donor_.width; ++x) {
        if (donor_.known(start + x)) {
          filled_[start + x] = donor_.pixels[start + x];
        } else {
          store(filled_[start + x], filling(y, x));
        }
      }
    }
  }

  Plane<T> donor_;
  T* filled_;
};

}  // namespace cmrbias::cpu
