// bootstrap_auc on the processor: one thread a block of resamples, which lie side by side in vectors.
//
// A resample is a weight for each patient, so the scores are ranked once. Counting the pairs of a resample is one
// pass of additions along each ranking, with a product a positive.
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

// The scores of one class, or of all: the patients of the negatives in ascending order, and the positives, each
// with its patient, how many negatives lie below it, and how many do not lie above.
struct Positive {
  std::uint32_t patient, below, not_above;
};
struct Ranking {
  std::vector<std::uint32_t> negatives;
  std::vector<Positive> positives;

  // Adds scores that tie with each other, in ascending order.
  void add(const BootstrapAuc& auc, const std::int64_t* first, const std::int64_t* last) {
    const auto below = static_cast<std::uint32_t>(negatives.size());
    for (const std::int64_t* at = first; at != last; ++at) {
      if (!auc.positive[*at]) negatives.push_back(patient(auc, *at));
    }
    const auto not_above = static_cast<std::uint32_t>(negatives.size());
    for (const std::int64_t* at = first; at != last; ++at) {
      if (auc.positive[*at]) positives.push_back({patient(auc, *at), below, not_above});
    }
  }

 private:
  static std::uint32_t patient(const BootstrapAuc& auc, std::int64_t at) {
    return static_cast<std::uint32_t>(auc.patient[at / auc.classes]);
  }
};

// Returns the ranking of scores at some places, in ascending order.
Ranking rank(const BootstrapAuc& auc, const std::vector<std::int64_t>& places) {
  Ranking ranking;
  ranking.negatives.reserve(places.size());
  ranking.positives.reserve(places.size());
  const std::int64_t *first = places.data(), *end = first + places.size(), *last = first;
  for (; first != end; first = last) {
    while (last != end && auc.scores[*last] == auc.scores[*first]) ++last;
    ranking.add(auc, first, last);
  }
  return ranking;
}

// Returns the ranking of each class, then that of all scores.
std::vector<Ranking> rank_all(const BootstrapAuc& auc) {
  const std::vector<std::int64_t> all(auc.order, auc.order + auc.cases * auc.classes);
  std::vector<std::vector<std::int64_t>> of_class(static_cast<std::size_t>(auc.classes));
  for (auto& places : of_class) places.reserve(static_cast<std::size_t>(auc.cases));
  for (const std::int64_t at : all) of_class[static_cast<std::size_t>(at % auc.classes)].push_back(at);
  std::vector<Ranking> rankings;
  for (const auto& places : of_class) rankings.push_back(rank(auc, places));
  rankings.push_back(rank(auc, all));
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

// The same for drawn resamples; column 0 is the sample, every patient once. `drawn` has room for a block's draws.
template <class T>
void draw_weights(const BootstrapAuc& auc, std::int64_t first, std::uint32_t* drawn, Lanes<T>* weights) {
  constexpr int lanes = LANES_OF<T>;
  std::fill_n(weights, auc.patients, Lanes<T>{});
  Lanes<T>* stratum = weights;
  for (std::int64_t number = 0; number < auc.strata; ++number) {
    const auto n = static_cast<std::size_t>(auc.sizes[number]);
    const std::uint64_t key = mix(auc.seed + GOLDEN * (static_cast<std::uint64_t>(number) + 1));
    for (int lane = 0; lane < lanes; ++lane) {
      const auto resample = static_cast<std::uint64_t>(first + lane - 1) << 32;
      draw(drawn + lane * n, key, resample, static_cast<std::uint32_t>(n));
    }
    if (first == 0) std::iota(drawn, drawn + n, 0u);
    // Resample by resample would often wait for the last addition to the same patient.
    for (std::size_t i = 0; i < n; ++i) {
      for (int lane = 0; lane < lanes; ++lane) ++stratum[drawn[lane * n + i]].of[lane];
    }
    stratum += n;
  }
}

// What a block's resamples hold of one ranking: 2 * pairs of a positive and a lower negative + tied pairs, and
// how many there are of both.
template <class T, class Product>
struct Tally {
  Product pairs[LANES_OF<T>];
  T negatives[LANES_OF<T>], positives[LANES_OF<T>];
};

// Counts one ranking: additions along the negatives, and a product a positive. Positives that tie with each other
// share what lies below them. Products are wider than what they are of: PARTS registers hold those of a block.
template <int PARTS, class T, class Product>
Tally<T, Product> count(const Ranking& ranking, const Lanes<T>* weights) {
  using Part = Vector<T, LANES_OF<T> / PARTS>;
  using Products = Vector<Product, LANES_OF<T> / PARTS>;
  Block<T> lower{}, negatives{}, positives{};
  Products pairs[PARTS] = {};
  const std::uint32_t* patients = ranking.negatives.data();
  std::uint32_t at = 0;
  const auto advance = [&](std::uint32_t to) {
    for (; at < to; ++at) negatives += load_vector<Block<T>>(&weights[patients[at]]);
  };
  for (const Positive& positive : ranking.positives) {
    if (at <= positive.below) {
      advance(positive.below);
      lower = negatives;
      advance(positive.not_above);
    }
    const auto held = load_vector<Block<T>>(&weights[positive.patient]);
    const Block<T> over = lower + negatives;
    positives += held;
    for (int part = 0; part < PARTS; ++part) {
      pairs[part] += __builtin_convertvector(part_of<Part>(held, part), Products) *
                     __builtin_convertvector(part_of<Part>(over, part), Products);
    }
  }
  advance(static_cast<std::uint32_t>(ranking.negatives.size()));
  Tally<T, Product> tally;
  std::memcpy(tally.pairs, pairs, sizeof pairs);
  std::memcpy(tally.negatives, &negatives, sizeof negatives);
  std::memcpy(tally.positives, &positives, sizeof positives);
  return tally;
}

// Returns the AUC, NaN without both outcomes: integers throughout, and one division.
double ratio(std::uint64_t pairs, std::uint64_t negatives, std::uint64_t positives) {
  const std::uint64_t all = 2 * negatives * positives;
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(pairs) / static_cast<double>(all);
}

// Memory of one thread: `drawn` has room for a block's draws, `weights` for all patients.
template <class T>
struct Scratch {
  std::vector<std::uint32_t> drawn;
  std::vector<Lanes<T>> weights;
  explicit Scratch(std::size_t patients) : drawn(LANES_OF<T> * patients), weights(patients) {}
};

// Writes a block's columns of all AUCs.
template <int PARTS, class T, class Product>
void block_aucs(const BootstrapAuc& auc, const std::vector<Ranking>& rankings, std::int64_t first,
                Scratch<T>* scratch) {
  if (auc.weights) {
    take_weights<T>(auc, first, scratch->weights.data());
  } else {
    draw_weights<T>(auc, first, scratch->drawn.data(), scratch->weights.data());
  }
  const std::int64_t columns = auc.columns(), end = std::min<std::int64_t>(first + LANES_OF<T>, columns);
  for (std::size_t row = 0; row < rankings.size(); ++row) {
    const auto tally = count<PARTS, T, Product>(rankings[row], scratch->weights.data());
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

template <class T, class Product>
void all_aucs(const BootstrapAuc& auc) {
  const auto rankings = rank_all(auc);
  const bool wide = instruction_set() == InstructionSet::x86_64_v4;  // registers of 64 bytes
#pragma omp parallel if (auc.columns() > LANES_OF<T>)
  {
    Scratch<T> scratch(static_cast<std::size_t>(auc.patients));
#pragma omp for schedule(dynamic)
    for (std::int64_t first = 0; first < auc.columns(); first += LANES_OF<T>) {
      if (wide) {
        best<block_aucs<1, T, Product>>(auc, rankings, first, &scratch);
      } else {
        best<block_aucs<2, T, Product>>(auc, rankings, first, &scratch);
      }
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
