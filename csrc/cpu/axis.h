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
  std::size_t first_block, last_block;
  int size() const { return last - first; }
};

// Some pixels of a strip whose parts (see Axis) are base, base + step, base + 2 step, ...
struct Block {
  int first, last;
  double base, step;
  int size() const { return last - first; }
};

constexpr int BLOCK = 16;  // pixels of a block at most: sums of 0 + 1 + ... + 15 fit into a byte

// The ends of an axis' strips, and of further copies of the last one, so that whole vectors of Four hold them.
struct Ends {
  std::vector<int> cell, next;      // of each strip
  std::vector<double> first, last;  // the fractions of its first and its last pixel
  explicit Ends(std::size_t strips)
      : cell(whole<4>(strips)), next(cell.size()), first(cell.size()), last(cell.size()) {}
};

struct Axis {
  int cells, pixels;
  double divisor;                 // a fraction is part / divisor
  std::vector<double> fractions;  // of the way from a pixel's cell to the next, for decisions
  std::vector<float> floats;      // the fractions, rounded
  std::vector<double> parts;      // the same in units of 1 / divisor, for sums: whole numbers if exact
  std::vector<double> weights;    // (cells): sum of what pixels take from a cell, in the same units
  std::vector<Strip> strips;      // without empty ones
  std::vector<Block> blocks;      // of all strips, in order
  Ends ends;

  Axis(int cells, int pixels, bool exact)
      : cells(cells),
        pixels(pixels),
        divisor(cmrbias::divisor(cells, pixels, exact)),
        fractions(pixels),
        floats(pixels),
        parts(pixels),
        weights(cells),
        ends(0) {
    strips.reserve(cells);
    blocks.reserve(2 * static_cast<std::size_t>(cells) + pixels / BLOCK + 1);
    for (int i = 0; i < pixels; ++i) {
      const Sample at = sample(i, cells, pixels);
      fractions[i] = at.fraction;
      floats[i] = static_cast<float>(at.fraction);
      parts[i] = part(i, at, cells, pixels, exact);
      if (strips.empty() || strips.back().cell != at.cell) {
        strips.push_back({at.cell, std::min(at.cell + 1, cells - 1), i, i, blocks.size(), blocks.size()});
      }
      strips.back().last = i + 1;
    }
    for (Strip& strip : strips) {
      add_weights(strip);
      add_blocks(&strip, exact);
    }
    find_ends();
  }

 private:
  void add_weights(const Strip& strip) {
    double own = weights[strip.cell], next = weights[strip.next];
    const bool border = strip.next == strip.cell;
    for (int i = strip.first; i < strip.last; ++i) {
      own += divisor - parts[i];
      (border ? own : next) += parts[i];
    }
    weights[strip.next] = next;
    weights[strip.cell] = own;
  }

  // Pixels before the first cell's centre all have part 0; they get blocks of their own.
  void add_blocks(Strip* strip, bool exact) {
    strip->first_block = blocks.size();
    for (int i = strip->first; i < strip->last; ++i) {
      const bool before = (i + 0.5) * cells <= 0.5 * pixels;
      const double step = before ? 0 : exact ? 2 : static_cast<double>(cells) / pixels;
      if (i == strip->first || blocks.back().size() == BLOCK || blocks.back().step != step) {
        blocks.push_back({i, i, parts[i], step});
      }
      blocks.back().last = i + 1;
    }
    strip->last_block = blocks.size();
  }

  void find_ends() {
    ends = Ends(strips.size());
    for (std::size_t i = 0; i < ends.cell.size(); ++i) {
      const Strip& strip = strips[std::min(i, strips.size() - 1)];
      ends.cell[i] = strip.cell;
      ends.next[i] = strip.next;
      ends.first[i] = fractions[strip.first];
      ends.last[i] = fractions[strip.last - 1];
    }
  }
};

}  // namespace cmrbias::cpu
