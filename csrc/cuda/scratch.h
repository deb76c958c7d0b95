// The memory that kernels ask of their caller: how much, and what lies where in it. Plain C++.
#pragma once

#include "../kernels.h"
#include "../math.h"

namespace cmrbias::cuda {

// Lays arrays one behind the other, each at a multiple of 16 bytes.
class Layout {
 public:
  explicit Layout(void* memory) : start_(reinterpret_cast<std::uintptr_t>(memory)), end_(start_) {}

  template <class T>
  T* take(std::int64_t count) {
    T* array = reinterpret_cast<T*>(end_);
    end_ += (static_cast<std::size_t>(count) * sizeof(T) + 15) / 16 * 16;
    return array;
  }
  std::size_t bytes() const { return end_ - start_; }

 private:
  std::uintptr_t start_, end_;
};

// One axis of an upsampling as tables, the same numbers as cpu/axis.h. Strip c of an axis is the pixels
// between cell c and the next: it may be empty, where there are more cells than pixels.
struct Axis {
  int cells, pixels;
  int scale;          // pixels a cell, where projections are exact; else 0
  double divisor;     // a fraction is part / divisor
  double* fractions;  // (pixels): of the way from a pixel's cell to the next, for decisions
  double* parts;      // (pixels): the same in units of 1 / divisor, for sums
  double* weights;    // (cells): sum of what pixels take from a cell, in the same units
  int* firsts;        // (cells + 1): strip c is the pixels firsts[c] ... firsts[c + 1] - 1

  Axis(Layout& layout, int cells, int pixels, bool exact)
      : cells(cells),
        pixels(pixels),
        scale(exact ? pixels / cells : 0),
        divisor(cmrbias::divisor(cells, pixels, exact)),
        fractions(layout.take<double>(pixels)),
        parts(layout.take<double>(pixels)),
        weights(layout.take<double>(cells)),
        firsts(layout.take<int>(cells + 1)) {}
};

struct Grid {
  Axis rows, columns;

  Grid(Layout& layout, int height, int width, int rows, int columns)
      : rows(layout, height, rows, exact_scales(height, width, rows, columns)),
        columns(layout, width, columns, exact_scales(height, width, rows, columns)) {}
  CMRBIAS_BOTH int patches() const { return rows.cells * columns.cells; }
  CMRBIAS_BOTH double unit() const { return 1 / (rows.divisor * columns.divisor); }
};

struct GradcamScratch {
  int segments;
  double* weights;   // (images, targets, channels)
  double* partials;  // (images, targets, segments, cells)
  int* done;         // (images, targets): blocks that have done their part of a map

  GradcamScratch(Layout& layout, const Gradcam& gradcam)
      : segments(segments_of(gradcam.channels)),
        weights(layout.take<double>(gradcam.images * gradcam.targets * gradcam.channels)),
        partials(layout.take<double>(gradcam.images * gradcam.targets * segments * gradcam.cells)),
        done(layout.take<int>(gradcam.images * gradcam.targets)) {}
};

struct ProjectionScratch {
  Grid grid;
  ProjectionScratch(Layout& layout, const Projection& projection)
      : grid(layout, projection.height, projection.width, projection.rows, projection.columns) {}
};

// With masks, also what projecting them gives.
struct OverlapScratch {
  Grid grid;
  double* cells = nullptr;
  std::int64_t* areas = nullptr;
  int* inside = nullptr;  // (images, height, width): heart pixels of each patch

  OverlapScratch(Layout& layout, const Overlap& overlap)
      : grid(layout, overlap.height, overlap.width, overlap.rows, overlap.columns) {
    if (!overlap.masks) return;
    cells = layout.take<double>(overlap.images * grid.patches());
    areas = layout.take<std::int64_t>(overlap.images);
    inside = layout.take<int>(overlap.images * grid.patches());
  }
};

struct ExtremesScratch {
  Grid grid;
  ExtremesScratch(Layout& layout, const Extremes& extremes)
      : grid(layout, extremes.height, extremes.width, extremes.rows, extremes.columns) {}
};

// Bytes of a scratch memory.
template <class Scratch, class Arguments>
std::size_t scratch_bytes(const Arguments& arguments) {
  Layout layout(nullptr);
  const Scratch scratch(layout, arguments);
  static_cast<void>(scratch);
  return layout.bytes();
}

}  // namespace cmrbias::cuda
