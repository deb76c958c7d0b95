// bootstrap_auc on the processor: one thread a block of resamples, which lie side by side in vectors.
//
// A resample is a weight for each patient, so the scores are ranked once, and counting the pairs of a
// resample is one pass of additions along each ranking, with a product a stretch of it.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "../kernels.h"
#include "../math.h"
#include "instruction_sets.h"
#include "vectors.h"

namespace cmrbias::cpu {
namespace {

constexpr int BLOCK = 16;  // resamples a block

// How often each resample of a block holds a patient.
struct alignas(64) Weights {
  std::uint32_t of[BLOCK];
};

// Numbers of a block in one register. Plain arrays are not kept there: 1.5 x slower.
using Narrow = Pair<Vector<std::uint32_t, BLOCK / 2>>;
using Wide = Pair<Vector<std::uint64_t, BLOCK / 4>>;

// Of each resample: 2 * pairs of a positive and a lower negative + tied pairs, and how many there are of
// both.
struct Tally {
  std::uint64_t pairs[BLOCK];
  std::uint32_t negatives[BLOCK], positives[BLOCK];
};

struct Score {
  double value;
  std::uint32_t patient;
  bool positive;
};

// Ends of three runs of scores: negatives, further negatives, and positives that lie above the former and
// tie with the latter.
struct Stretch {
  std::uint32_t below, tied, positives;
};

// The patients behind scores in ascending order, and the stretches that they make up.
struct Ranking {
  std::vector<std::uint32_t> patients;
  std::vector<Stretch> stretches;
};

// Returns the ranking of scores in ascending order.
Ranking rank(const std::vector<Score>& scores) {
  Ranking ranking;
  auto& patients = ranking.patients;
  patients.reserve(scores.size());
  Stretch stretch{};
  for (auto first = scores.begin(), last = first; first != scores.end(); first = last) {
    while (last != scores.end() && last->value == first->value) ++last;
    const auto take = [&](bool positive) {
      for (auto score = first; score != last; ++score) {
        if (score->positive == positive) patients.push_back(score->patient);
      }
      return static_cast<std::uint32_t>(patients.size());
    };
    stretch.tied = take(false);
    stretch.positives = take(true);
    if (stretch.positives == stretch.tied) {
      stretch.below = stretch.tied;  // nothing ties with them
    } else {
      ranking.stretches.push_back(stretch);
      stretch.below = stretch.positives;
    }
  }
  const auto all = static_cast<std::uint32_t>(patients.size());
  ranking.stretches.push_back({all, all, all});
  return ranking;
}

// Returns the ranking of each class, then that of all scores.
std::vector<Ranking> rank_all(const BootstrapAuc& auc) {
  const std::int64_t count = auc.cases * auc.classes;
  std::vector<std::vector<Score>> scores(static_cast<std::size_t>(auc.classes) + 1);
  for (auto& of : scores) of.reserve(static_cast<std::size_t>(&of == &scores.back() ? count : auc.cases));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = auc.order[i], patient = auc.patient[at / auc.classes];
    const Score score{auc.scores[at], static_cast<std::uint32_t>(patient), auc.positive[at] != 0};
    scores[static_cast<std::size_t>(at % auc.classes)].push_back(score);
    scores.back().push_back(score);
  }
  std::vector<Ranking> rankings;
  for (const auto& of : scores) rankings.push_back(rank(of));
  return rankings;
}

// Do twice the pairs of any resample and ranking fit into 32 bits? A resample has as many patients as the sample, and
// so at most `scores` scores.
bool pairs_are_narrow(const BootstrapAuc& auc) {
  std::vector<std::int64_t> cases(static_cast<std::size_t>(auc.patients));
  for (std::int64_t i = 0; i < auc.cases; ++i) ++cases[static_cast<std::size_t>(auc.patient[i])];
  const std::int64_t most = cases.empty() ? 0 : *std::max_element(cases.begin(), cases.end());
  const std::int64_t scores = auc.patients * most * auc.classes;  // < 2^31
  return scores * scores / 2 < std::numeric_limits<std::uint32_t>::max();
}

// Writes the draws of one resample (its number in the upper half of `resample`) from a stratum of n patients.
void draw(std::uint32_t* drawn, std::uint64_t key, std::uint64_t resample, std::uint32_t n) {
  std::uint64_t state = key + GOLDEN * resample;
  for (std::uint32_t i = 0; i < n; ++i) {
    state += GOLDEN;  // key + GOLDEN * (resample + i + 1)
    drawn[i] = static_cast<std::uint32_t>(mix(state) >> 32);
  }
  // a loop of its own: numbers of 32 bits, whose product is one instruction for several
  for (std::uint32_t i = 0; i < n; ++i) drawn[i] = static_cast<std::uint32_t>((std::uint64_t{drawn[i]} * n) >> 32);
}

// Writes how often each resample of a block holds each patient; column 0 is the sample, every patient once.
// `drawn` has room for BLOCK draws a patient.
void weigh(const BootstrapAuc& auc, std::int64_t first, std::uint32_t* drawn, Weights* weights) {
  std::fill_n(weights, auc.patients, Weights{});
  Weights* stratum = weights;
  for (std::int64_t number = 0; number < auc.strata; ++number) {
    const auto n = static_cast<std::size_t>(auc.sizes[number]);
    const std::uint64_t key = mix(auc.seed + GOLDEN * (static_cast<std::uint64_t>(number) + 1));
    for (int lane = 0; lane < BLOCK; ++lane) {
      const auto resample = static_cast<std::uint64_t>(first + lane - 1) << 32;
      draw(drawn + lane * n, key, resample, static_cast<std::uint32_t>(n));
    }
    if (first == 0) std::iota(drawn, drawn + n, 0u);
    // Resample by resample would often wait for the last addition to the same patient.
    for (std::size_t i = 0; i < n; ++i) {
      for (int lane = 0; lane < BLOCK; ++lane) ++stratum[drawn[lane * n + i]].of[lane];
    }
    stratum += n;
  }
}

Narrow load(const Weights& weights) { return load_pair<decltype(Narrow::low)>(weights.of); }

// Every second number, as a register multiplies them: the first, third, ... or the second, fourth, ...
Wide even_lanes(const Narrow& of) {
  using Half = decltype(Wide::low);
  return {reinterpret_cast<Half>(of.low) & 0xFFFFFFFF, reinterpret_cast<Half>(of.high) & 0xFFFFFFFF};
}
Wide odd_lanes(const Narrow& of) {
  using Half = decltype(Wide::low);
  return {reinterpret_cast<Half>(of.low) >> 32, reinterpret_cast<Half>(of.high) >> 32};
}

// Sums of products of a block's numbers: in 32 bits where all pairs of a resample fit, which takes a third of the
// instructions, else in 64.
struct NarrowSum {
  Narrow sum{};
  void add(const Narrow& a, const Narrow& b) { sum += a * b; }
  void write(std::uint64_t* pairs) const {
    std::uint32_t each[BLOCK];
    std::memcpy(each, &sum, sizeof sum);
    std::copy_n(each, BLOCK, pairs);
  }
};
struct WideSum {
  Wide even{}, odd{};
  void add(const Narrow& a, const Narrow& b) {
    even += even_lanes(a) * even_lanes(b);
    odd += odd_lanes(a) * odd_lanes(b);
  }
  void write(std::uint64_t* pairs) const {
    std::uint64_t evens[BLOCK / 2], odds[BLOCK / 2];
    std::memcpy(evens, &even, sizeof even);
    std::memcpy(odds, &odd, sizeof odd);
    for (int i = 0; i < BLOCK; ++i) pairs[i] = i % 2 ? odds[i / 2] : evens[i / 2];
  }
};

// Counts the pairs of one ranking.
template <class Sum>
void count(Tally& tally, const Ranking& ranking, const Weights* weights) {
  const std::uint32_t* patients = ranking.patients.data();
  Sum pairs;
  Narrow negatives{}, positives{};
  std::uint32_t at = 0;
  for (const Stretch& stretch : ranking.stretches) {
    Narrow tied{}, above{};
    for (; at < stretch.below; ++at) negatives += load(weights[patients[at]]);
    for (; at < stretch.tied; ++at) tied += load(weights[patients[at]]);
    for (; at < stretch.positives; ++at) above += load(weights[patients[at]]);
    const Narrow over = negatives + negatives + tied;
    pairs.add(above, over);
    negatives += tied;
    positives += above;
  }
  pairs.write(tally.pairs);
  std::memcpy(tally.negatives, &negatives, sizeof negatives);
  std::memcpy(tally.positives, &positives, sizeof positives);
}

// Returns the AUC, NaN without both outcomes: integers throughout, and one division.
double ratio(std::uint64_t pairs, std::uint64_t negatives, std::uint64_t positives) {
  const std::uint64_t all = 2 * negatives * positives;
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(pairs) / static_cast<double>(all);
}

// Writes a block's columns of all AUCs; `drawn` and `weights` are scratch memory.
template <class Sum>
void block_aucs(const BootstrapAuc& auc, const std::vector<Ranking>& rankings, std::int64_t first,
                std::uint32_t* drawn, Weights* weights) {
  weigh(auc, first, drawn, weights);
  const std::int64_t columns = auc.resamples + 1, end = std::min(first + BLOCK, columns);
  for (std::size_t row = 0; row < rankings.size(); ++row) {
    Tally tally;
    count<Sum>(tally, rankings[row], weights);
    double* aucs = auc.aucs + static_cast<std::int64_t>(row) * columns;
    for (std::int64_t column = first; column < end; ++column) {
      const auto lane = column - first;
      aucs[column] = ratio(tally.pairs[lane], tally.negatives[lane], tally.positives[lane]);
    }
  }
  for (std::int64_t column = first; column < end; ++column) {
    double sum = 0;
    for (std::int64_t number = 0; number < auc.classes; ++number) sum += auc.aucs[number * columns + column];
    auc.aucs[(auc.classes + 1) * columns + column] = sum / static_cast<double>(auc.classes);
  }
}

}  // namespace

void bootstrap_auc(const BootstrapAuc& auc) {
  const auto rankings = rank_all(auc);
  const bool narrow = pairs_are_narrow(auc);
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  const auto patients = static_cast<std::size_t>(auc.patients);
  const std::unique_ptr<Weights[]> weights(new Weights[threads * patients]);
  const std::unique_ptr<std::uint32_t[]> drawn(new std::uint32_t[threads * patients * BLOCK]);
#pragma omp parallel if (auc.resamples >= BLOCK)
  {
    const std::size_t own = static_cast<std::size_t>(omp_get_thread_num()) * patients;
#pragma omp for schedule(dynamic)
    for (std::int64_t first = 0; first <= auc.resamples; first += BLOCK) {
      std::uint32_t* draws = drawn.get() + own * BLOCK;
      if (narrow) {
        best<block_aucs<NarrowSum>>(auc, rankings, first, draws, weights.get() + own);
      } else {
        best<block_aucs<WideSum>>(auc, rankings, first, draws, weights.get() + own);
      }
    }
  }
}

}  // namespace cmrbias::cpu
