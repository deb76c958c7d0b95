// bootstrap_auc on the processor: one thread a block of resamples, which lie side by side in vectors.
//
// A resample is a weight for each patient, so the scores are ranked once. Counting the pairs of a resample is one
// pass of additions along each ranking, with a product for each run of positives between two negatives.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "../kernels.h"
#include "../math.h"
#include "instruction_sets.h"
#include "vectors.h"

namespace cmrbias::cpu {
namespace {

// Resamples of a block lie side by side in one vector: so many of them as there are whole numbers T in it.
constexpr int BYTES_OF_BLOCK = 32;
template <class T>
constexpr int LANES_OF = BYTES_OF_BLOCK / sizeof(T);
template <class T>
using Block = Vector<T, LANES_OF<T>>;
// The same in memory.
template <class T>
struct alignas(BYTES_OF_BLOCK) Lanes {
  T of[LANES_OF<T>];
};

// Positives between which no negative lies: where they end, how many negatives lie below, and how many not above.
struct Run {
  std::uint32_t end, below, not_above;
};
// The scores of one class, or of all: the patients of the negatives and those of the positives, both in ascending
// order of scores.
struct Ranking {
  std::vector<std::uint32_t> negatives, positives;
  std::vector<Run> runs;

  explicit Ranking(std::size_t scores) {
    negatives.reserve(scores);
    positives.reserve(scores);
  }

  // Adds a score that is none of the earlier ones' lesser.
  void add(double score, std::uint32_t patient, bool positive) {
    if (score != last_) end_tie();
    last_ = score;
    (positive ? positives : negatives).push_back(patient);
  }

  // Ends the scores that tie with the last one: to be called behind all. A run goes on where no negative has come.
  void end_tie() {
    const auto end = static_cast<std::uint32_t>(positives.size());
    const auto not_above = static_cast<std::uint32_t>(negatives.size());
    if (!runs.empty() && runs.back().below == below_ && runs.back().not_above == not_above) {
      runs.back().end = end;
    } else if (end > (runs.empty() ? 0 : runs.back().end)) {
      runs.push_back({end, below_, not_above});
    }
    below_ = not_above;
  }

 private:
  double last_ = std::numeric_limits<double>::quiet_NaN();  // equals no score
  std::uint32_t below_ = 0;                                 // negatives below the last score
};

// Returns the ranking of each class, then that of all scores.
std::vector<Ranking> rank_all(const BootstrapAuc& auc) {
  const auto cases = static_cast<std::size_t>(auc.cases), classes = static_cast<std::size_t>(auc.classes);
  std::vector<Ranking> rankings;
  for (std::size_t row = 0; row < classes; ++row) rankings.emplace_back(cases);
  rankings.emplace_back(cases * classes);
  for (std::size_t i = 0; i < cases * classes; ++i) {
    const std::int64_t at = auc.order[i];  // numbers of 32 bits are divided faster
    const std::uint32_t number = static_cast<std::uint32_t>(at) / static_cast<std::uint32_t>(classes);
    const auto patient = static_cast<std::uint32_t>(auc.patient[number]);
    for (const std::size_t row : {static_cast<std::size_t>(at) - number * classes, classes}) {
      rankings[row].add(auc.scores[at], patient, auc.positive[at]);
    }
  }
  for (Ranking& ranking : rankings) ranking.end_tie();
  return rankings;
}

// The most scores that a resample can hold. A drawn one has as many patients as the sample.
std::int64_t most_scores(const BootstrapAuc& auc) {
  std::vector<std::int64_t> cases(static_cast<std::size_t>(auc.patients));
  for (std::int64_t i = 0; i < auc.cases; ++i) ++cases[static_cast<std::size_t>(auc.patient[i])];
  std::int64_t patients = auc.weights ? 0 : auc.patients;
  for (std::int64_t row = 0; auc.weights && row < auc.resamples; ++row) {
    const std::int64_t* first = auc.weights + row * auc.patients;
    patients = std::max(patients, std::accumulate(first, first + auc.patients, std::int64_t{0}));
  }
  return patients * *std::max_element(cases.begin(), cases.end()) * auc.classes;  // < 2^31
}

// Writes how often each resample of a block holds each patient, as given.
template <class T>
void take_weights(const BootstrapAuc& auc, std::int64_t first, Lanes<T>* weights) {
  std::fill_n(weights, auc.patients, Lanes<T>{});
  const std::int64_t rows = std::min<std::int64_t>(LANES_OF<T>, auc.resamples - first);
  for (std::int64_t lane = 0; lane < rows; ++lane) {
    const std::int64_t* row = auc.weights + (first + lane) * auc.patients;
    for (std::int64_t patient = 0; patient < auc.patients; ++patient) {
      weights[patient].of[lane] = static_cast<T>(row[patient]);
    }
  }
}

// A draw is counted so many draws after it was made, in the shadow of the next ones' products.
constexpr std::uint32_t BEHIND = 4;

// Writes how often each drawn resample of a block holds each patient; column 0 is the sample, every patient once. A
// draw is made for all resamples of the block at a time, in registers that hold 8 / PARTS words.
template <int PARTS, class T>
void draw_weights(const BootstrapAuc& auc, std::int64_t first, Lanes<T>* weights) {
  constexpr int lanes = LANES_OF<T>, words = 8 / PARTS;
  using Words = Vector<std::uint64_t, words>;
  using Halves = Vector<std::uint32_t, words>;
  std::fill_n(weights, auc.patients, Lanes<T>{});
  Lanes<T>* stratum = weights;
  for (std::int64_t number = 0; number < auc.strata; ++number) {
    const auto n = static_cast<std::uint32_t>(auc.sizes[number]);
    const std::uint64_t key = mix(auc.seed + GOLDEN * (static_cast<std::uint64_t>(number) + 1));
    std::uint64_t first_states[lanes];
    for (int lane = 0; lane < lanes; ++lane) {
      first_states[lane] = key + GOLDEN * (static_cast<std::uint64_t>(first + lane - 1) << 32);
    }
    Words states[lanes / words];
    std::memcpy(states, first_states, sizeof states);
    std::uint32_t ring[2 * BEHIND][lanes];
    const auto make = [&](std::uint32_t draw) {
      std::uint32_t* drawn = ring[draw % (2 * BEHIND)];
      for (int part = 0; part < lanes / words; ++part) {
        states[part] += GOLDEN;  // key + GOLDEN * ((resample << 32) + draw + 1)
        const Words indices = (mix(states[part]) >> 32) * n >> 32;
        store_vector(drawn + part * words, __builtin_convertvector(indices, Halves));
      }
      if (first == 0) drawn[0] = draw;
    };
    for (std::uint32_t draw = 0; draw < BEHIND; ++draw) make(draw);
    for (std::uint32_t draw = 0; draw < n; ++draw) {
      make(draw + BEHIND);
      const std::uint32_t* drawn = ring[draw % (2 * BEHIND)];
      for (int lane = 0; lane < lanes; ++lane) ++stratum[drawn[lane]].of[lane];
    }
    stratum += n;
  }
}

// Sums of products of two blocks, lane by lane. Where Product has twice T's bits, the first part holds those of the
// even lanes, the lower halves of a block seen as Products, and the second those of the odd ones.
template <class T, class Product>
struct Products {
  static constexpr int STRIDE = sizeof(Product) / sizeof(T);
  using Part = Vector<Product, LANES_OF<T> / STRIDE>;
  Part parts[STRIDE] = {};

  void add(const Block<T>& a, const Block<T>& b) {
    if constexpr (STRIDE == 1) {
      parts[0] += a * b;
    } else {
      constexpr Product lower = std::numeric_limits<T>::max();
      constexpr int bits = std::numeric_limits<T>::digits;
      const Part x = reinterpret_cast<Part>(a), y = reinterpret_cast<Part>(b);
      parts[0] += (x & lower) * (y & lower);
      parts[1] += (x >> bits) * (y >> bits);
    }
  }
  Product of(int lane) const { return parts[lane % STRIDE][lane / STRIDE]; }
};

// What a block's resamples hold of one ranking: 2 * pairs of a positive and a lower negative + tied pairs, and
// how many there are of both.
template <class T, class Product>
struct Tally {
  Products<T, Product> pairs;
  Block<T> negatives, positives;
};

// Counts one ranking: additions along the negatives and the positives, and a product a run.
template <class T, class Product>
Tally<T, Product> count(const Ranking& ranking, const Lanes<T>* weights) {
  Products<T, Product> pairs;
  Block<T> negatives{}, positives{};
  const std::uint32_t *below = ranking.negatives.data(), *patient = ranking.positives.data();
  const auto advance = [&](Block<T> sum, const std::uint32_t*& at, const std::uint32_t* end) {
    for (; at < end; ++at) sum += load_vector<Block<T>>(&weights[*at]);
    return sum;
  };
  for (const Run& run : ranking.runs) {
    const Block<T> lower = advance(negatives, below, ranking.negatives.data() + run.below);
    negatives = advance(lower, below, ranking.negatives.data() + run.not_above);
    const Block<T> held = advance(Block<T>{}, patient, ranking.positives.data() + run.end);
    positives += held;
    pairs.add(held, lower + negatives);
  }
  negatives = advance(negatives, below, ranking.negatives.data() + ranking.negatives.size());
  return {pairs, negatives, positives};
}

// Returns the AUC, NaN without both outcomes: integers throughout, and one division.
double ratio(std::uint64_t pairs, std::uint64_t negatives, std::uint64_t positives) {
  const std::uint64_t all = 2 * negatives * positives;
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(pairs) / static_cast<double>(all);
}

// Writes a block's columns of all AUCs.
template <int PARTS, class T, class Product>
void block_aucs(const BootstrapAuc& auc, const std::vector<Ranking>& rankings, std::int64_t first,
                Lanes<T>* weights) {
  if (auc.weights) {
    take_weights<T>(auc, first, weights);
  } else {
    draw_weights<PARTS, T>(auc, first, weights);
  }
  const std::int64_t columns = auc.columns(), end = std::min<std::int64_t>(first + LANES_OF<T>, columns);
  for (std::size_t row = 0; row < rankings.size(); ++row) {
    const auto tally = count<T, Product>(rankings[row], weights);
    double* aucs = auc.aucs + static_cast<std::int64_t>(row) * columns;
    for (std::int64_t column = first; column < end; ++column) {
      const auto lane = static_cast<int>(column - first);
      aucs[column] = ratio(tally.pairs.of(lane), tally.negatives[lane], tally.positives[lane]);
    }
  }
  for (std::int64_t column = first; column < end; ++column) {
    double sum = 0;
    for (std::int64_t number = 0; number < auc.classes; ++number) sum += auc.aucs[number * columns + column];
    auc.aucs[(auc.classes + 1) * columns + column] = sum / static_cast<double>(auc.classes);
  }
}

template <class T, class Product>
void all_aucs(const BootstrapAuc& auc) {
  const auto rankings = rank_all(auc);
#pragma omp parallel if (auc.columns() > LANES_OF<T>)
  {
    std::vector<Lanes<T>> weights(static_cast<std::size_t>(auc.patients));
#pragma omp for schedule(dynamic)
    for (std::int64_t first = 0; first < auc.columns(); first += LANES_OF<T>) {
      best<block_aucs<2, T, Product>, block_aucs<1, T, Product>>(auc, rankings, first, weights.data());
    }
  }
}

}  // namespace

// Numbers are as narrow as they may be: twice the negatives fit into T, and twice the pairs into Product.
void bootstrap_auc(const BootstrapAuc& auc) {
  const std::int64_t scores = most_scores(auc);
  if (scores < 1 << 15) return all_aucs<std::uint16_t, std::uint32_t>(auc);
  if (scores * scores / 2 < std::numeric_limits<std::uint32_t>::max()) {
    return all_aucs<std::uint32_t, std::uint32_t>(auc);
  }
  all_aucs<std::uint32_t, std::uint64_t>(auc);
}

}  // namespace cmrbias::cpu
