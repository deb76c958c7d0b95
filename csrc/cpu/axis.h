// One axis of an upsampling as tables: which pixels lie between which cells, and where.
#pragma once

#include <algorithm>
#include <vector>

#include "../math.h"
#include "vectors.h"

namespace cmrbias::cpu {

// Pixels [first, last) between cell `cell` and cell `next`, which at the border is the same.
struct Strip {
  int cell, next, first, last;
  int size() const { return last - first; }
};

// Some pixels of a strip whose parts (see Axis) are base, base + step, base + 2 step, ...
struct Block {
  int first, last;
  double base, step;
  int size() const { return last - first; }
};

// The ends of an axis' strips, and of further copies of the last one, so that whole vectors of Four hold them.
struct Ends {
  std::vector<int> cell, next;        // of each strip
  std::vector<double> first, last;    // the fractions of its first and its last pixel
};

constexpr int BLOCK = 16;  // pixels of a block at most: sums of 0 + 1 + ... + 15 fit into a byte

struct Axis {
  int cells, pixels;
  double divisor;                 // a fraction is part / divisor
  std::vector<double> fractions;  // of the way from a pixel's cell to the next, for decisions
  std::vector<float> floats;      // the fractions, rounded
  std::vector<double> parts;      // the same in units of 1 / divisor, for sums: whole numbers if exact
  std::vector<double> weights;    // (cells): sum of what pixels take from a cell, in the same units
  std::vector<Strip> strips;      // without empty ones
  std::vector<std::vector<Block>> blocks;  // of each strip
  Ends ends;

  Axis(int cells, int pixels, bool exact)
      : cells(cells),
        pixels(pixels),
        divisor(cmrbias::divisor(cells, pixels, exact)),
        fractions(pixels),
        floats(pixels),
        parts(pixels),
        weights(cells) {
    strips.reserve(cells);
    blocks.reserve(cells);
    for (int i = 0; i < pixels; ++i) {
      const Sample at = sample(i, cells, pixels);
      if (strips.empty() || strips.back().cell != at.cell) {
        strips.push_back({at.cell, std::min(at.cell + 1, cells - 1), i, i});
        blocks.emplace_back();
      }
      strips.back().last = i + 1;
      fractions[i] = at.fraction;
      floats[i] = static_cast<float>(at.fraction);
      parts[i] = part(i, at, cells, pixels, exact);
      weights[at.cell] += divisor - parts[i];
      weights[strips.back().next] += parts[i];
      add_to_block(i, exact);
    }
    for (std::size_t i = 0; i < whole<4>(static_cast<int>(strips.size())); ++i) {
      const Strip& strip = strips[std::min(i, strips.size() - 1)];
      ends.cell.push_back(strip.cell);
      ends.next.push_back(strip.next);
      ends.first.push_back(fractions[strip.first]);
      ends.last.push_back(fractions[strip.last - 1]);
    }
  }

 private:
  // Pixels before the first cell's centre all have part 0; they get blocks of their own.
  void add_to_block(int i, bool exact) {
    auto& all = blocks.back();
    const bool before = (i + 0.5) * cells <= 0.5 * pixels;
    const double step = before ? 0 : exact ? 2 : static_cast<double>(cells) / pixels;
    if (all.empty() || all.back().size() == BLOCK || all.back().step != step) {
      all.push_back({i, i, parts[i], step});
    }
    all.back().last = i + 1;
  }
};

}  // namespace cmrbias::cpu
