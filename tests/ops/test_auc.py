"""Bootstrap AUC: C++ against numpy to the last bit, both against scikit-learn and whole numbers."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from cmrbias import ops
from cmrbias.errors import CmrbiasError

DTYPES = (torch.float32, torch.float64, torch.bfloat16)

needs_extension = pytest.mark.skipif(ops._C is None, reason="the extension is not built")
both_ways = pytest.mark.parametrize("bootstrap", [ops.bootstrap_auc, ops.bootstrap_auc_reference])


def sample(seed=0, n=40, k=3, dtype=torch.float64, patients=None, multi_label=False, levels=None):
    """Returns scores (``levels``: how many different ones), labels with every outcome, and patients."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, k, generator=generator, dtype=torch.float64)
    if levels:
        scores = torch.randint(0, levels, (n, k), generator=generator).double() - 1
    if multi_label:
        labels = torch.rand(n, k, generator=generator) < 0.3
        labels[0], labels[1] = True, False
    else:
        labels = torch.randint(0, max(k, 2), (n,), generator=generator)
        labels[: max(k, 2)] = torch.arange(max(k, 2))
    codes = torch.randint(-(2**62), 2**62, (patients or n,), generator=generator)
    owner = torch.randint(0, patients, (n,), generator=generator) if patients else torch.arange(n)
    return scores.to(dtype), labels, codes[owner]


def flat(result):
    """Returns all numbers of a result as one (numbers,) tensor of bit patterns."""
    return torch.cat([part.reshape(-1).double() for parts in result for part in parts]).view(torch.int64)


# --- values ---------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    n=st.integers(4, 60),
    k=st.integers(1, 4),
    patients=st.sampled_from([None, 1, 2, 5, 30]),
    multi_label=st.booleans(),
    levels=st.sampled_from([None, 1, 2, 7]),
    dtype=st.sampled_from(DTYPES),
    resamples=st.sampled_from([1, 14, 15, 16, 17, 40]),
    seed=st.sampled_from([0, 1, 2**63 - 1]),
    data=st.integers(0, 1000),
)
def test_equals_the_reference_to_the_last_bit(
    n, k, patients, multi_label, levels, dtype, resamples, seed, data
):
    arguments = (*sample(data, n, k, dtype, patients, multi_label, levels), resamples, seed)
    result = ops.bootstrap_auc(*arguments)
    assert torch.equal(flat(result), flat(ops.bootstrap_auc_reference(*arguments)))
    assert result.sample.per_class.shape == result.skipped.per_class.shape == (k,)
    assert result.resampled.per_class.shape == (resamples, k)
    assert result.resampled.micro.shape == result.resampled.macro.shape == (resamples,)
    assert result.resampled.micro.dtype == torch.float64


@both_ways
@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("multi_label", [False, True])
def test_the_sample_is_that_of_scikit_learn(bootstrap, multi_label, levels):
    scores, labels, patients = sample(3, 200, 4, patients=50, multi_label=multi_label, levels=levels)
    outcomes = labels.numpy() if multi_label else np.eye(4)[labels]
    found = bootstrap(scores, labels, patients, 1).sample
    for average, auc in (("micro", found.micro), ("macro", found.macro), (None, found.per_class)):
        np.testing.assert_allclose(auc, roc_auc_score(outcomes, scores, average=average), rtol=1e-14)


@both_ways
def test_the_macro_auc_is_one_vs_rest_of_scikit_learn(bootstrap):
    scores, labels, patients = sample(4, 100, 3)
    scores = scores.softmax(1)
    expected = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert bootstrap(scores, labels, patients, 1).sample.macro.item() == pytest.approx(expected, rel=1e-14)


@both_ways
def test_one_column_holds_the_score_of_class_one(bootstrap):
    scores, labels, patients = sample(5, 60, 1)
    expected = pytest.approx(roc_auc_score(labels, scores[:, 0]), rel=1e-14)
    found = bootstrap(scores, labels, patients, 1).sample
    assert [found.micro.item(), found.macro.item(), found.per_class.item()] == [expected] * 3


@both_ways
def test_by_hand(bootstrap):
    # class 0: 3, 1 against 2, 1: two pairs in order and a tie, of 4; class 1: 5, 4 against 4, 0: 3 and a tie
    scores = torch.tensor([[3.0, 4.0], [1.0, 0.0], [2.0, 5.0], [1.0, 4.0]])
    result = bootstrap(scores, torch.tensor([0, 0, 1, 1]), torch.arange(4), 10)
    assert result.sample.per_class.tolist() == [2.5 / 4, 3.5 / 4]
    assert result.sample.macro.item() == 6 / 8
    # pooled: positives 3 1 5 4 against 4 0 2 1: 3, 1 and a tie, 4, 3 and a tie, of 16
    assert result.sample.micro.item() == 12 / 16
    assert [part.tolist() for part in result.skipped] == [0, 0, [0, 0]]


@both_ways
def test_infinite_scores_are_ordered_and_zeros_tie(bootstrap):
    scores = torch.tensor([-torch.inf, -0.0, 0.0, torch.inf])[:, None]
    assert bootstrap(scores, torch.tensor([0, 0, 1, 1]), torch.arange(4), 1).sample.micro.item() == 3.5 / 4


@both_ways
def test_a_perfect_and_a_constant_score(bootstrap):
    labels = torch.arange(30) % 3
    perfect = bootstrap(torch.eye(3)[labels], labels, torch.arange(30), 50)
    constant = bootstrap(torch.zeros(30, 3), labels, torch.arange(30), 50)
    for part in range(2):
        assert all((auc == 1).all() for auc in perfect[part])
        assert all((auc == 0.5).all() for auc in constant[part])


# --- draws ----------------------------------------------------------------------------------------

MASK, GOLDEN = 2**64 - 1, 0x9E3779B97F4A7C15


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def drawn_patients(strata, resample, seed):
    """Returns the patients that a resample draws from lists of patients, in Python's whole numbers."""
    drawn = []
    for s, members in enumerate(strata):
        key = mix((seed + GOLDEN * (s + 1)) & MASK)
        for i in range(len(members)):
            u = mix((key + GOLDEN * ((resample << 32) + i + 1)) & MASK) >> 32
            drawn.append(members[(u * len(members)) >> 32])
    return drawn


def auc_in_fractions(scores, outcomes):
    """Returns the AUC of lists of scores and outcomes, pair by pair, or None without both outcomes."""
    pairs = [(p > n) * 2 + (p == n) for p, y in zip(scores, outcomes, strict=True) if y
             for n, z in zip(scores, outcomes, strict=True) if not z]  # fmt: skip
    return Fraction(sum(pairs), 2 * len(pairs)) if pairs else None


@both_ways
@pytest.mark.parametrize("multi_label", [False, True])
def test_resamples_are_those_of_whole_numbers(bootstrap, multi_label):
    scores, labels, patients = sample(8, 14, 3, patients=7, multi_label=multi_label, levels=5)
    outcomes = labels.bool() if multi_label else torch.eye(3)[labels].bool()
    owned = {code: (patients == code).nonzero().flatten().tolist() for code in sorted(patients.tolist())}
    strata = [[], [], [], []]
    for code, cases in owned.items():
        found = set() if multi_label else {int(labels[case]) for case in cases}
        strata[0 if multi_label else found.pop() if len(found) == 1 else 3].append(code)
    result = bootstrap(scores, labels, patients, 30, 5)
    for b in range(30):
        cases = [case for code in drawn_patients(strata, b, 5) for case in owned[code]]
        columns = [auc_in_fractions(scores[cases, k].tolist(), outcomes[cases, k].tolist()) for k in range(3)]
        micro = auc_in_fractions(scores[cases].flatten().tolist(), outcomes[cases].flatten().tolist())
        for auc, expected in zip(result.resampled.per_class[b].tolist(), columns, strict=True):
            assert np.isnan(auc) if expected is None else auc == float(expected)
        assert result.resampled.micro[b].item() == float(micro)
        if None in columns:
            assert result.resampled.macro[b].isnan()
        else:
            assert result.resampled.macro[b].item() == pytest.approx(float(sum(columns) / 3), rel=1e-15)
    assert any(result.resampled.macro.isfinite())


@both_ways
def test_a_resample_without_both_outcomes_is_skipped_and_counted(bootstrap):
    labels = torch.tensor([[1, 1], [0, 0], [1, 0], [0, 0], [0, 1]], dtype=torch.uint8)
    result = bootstrap(torch.rand(5, 2), labels, torch.arange(5), 300)
    for aucs, skipped in zip(result.resampled, result.skipped, strict=True):
        assert torch.equal(aucs.isnan().sum(0), skipped)
        assert (skipped > 0).all()
        assert (skipped < 100).all()
    # nobody of the five has the class, or everybody: (3^5 + 2^5) / 5^5 of all resamples
    expected = 300 * (3**5 + 2**5) / 5**5
    assert (result.skipped.per_class - expected).abs().max() < 4 * expected**0.5
    assert result.skipped.macro >= result.skipped.per_class.max()
    assert result.skipped.micro <= result.skipped.per_class.min()


@both_ways
def test_without_strata_of_several_classes_nothing_is_skipped(bootstrap):
    scores, labels, patients = sample(n=8, k=4)
    result = bootstrap(scores, labels, patients, 200)
    assert sum(int(part.sum()) for part in result.skipped) == 0


def test_two_models_are_resampled_alike():
    scores, labels, patients = sample(9, 80, 3, patients=40)
    better = scores + 0.5 * torch.eye(3)[labels]
    ours, theirs = (ops.bootstrap_auc(model, labels, patients, 400, 3) for model in (better, scores))
    paired = ours.resampled.micro - theirs.resampled.micro
    other = ops.bootstrap_auc(better, labels, patients, 400, 4).resampled.micro
    assert (other != ours.resampled.micro).any()
    assert paired.std() < 0.7 * (other - theirs.resampled.micro).std()


@both_ways
def test_the_order_of_cases_and_increasing_maps_of_scores_and_codes_do_not_matter(bootstrap):
    scores, labels, patients = sample(10, 30, 3, patients=12, levels=6)
    expected = flat(bootstrap(scores, labels, patients, 50))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(flat(bootstrap(scores[order], labels[order], patients[order], 50)), expected)
    assert torch.equal(flat(bootstrap(scores.exp(), labels, patients // 2 - 9, 50)), expected)


@both_ways
def test_non_contiguous_input(bootstrap):
    scores, labels, patients = sample(11, 30, 3, multi_label=True)
    strided = [torch.stack([part, part.flip(0)], -1)[..., 0] for part in (scores, labels, patients)]
    assert not any(part.is_contiguous() for part in strided)
    assert torch.equal(flat(bootstrap(*strided, 20)), flat(bootstrap(scores, labels, patients, 20)))


def test_counts_are_exact_past_32_bits():
    # all pairs in order but one that ties: 1 - 1 / (2 * 300,000^2), which is no 1 in float64
    n = 300_000
    scores = torch.cat([torch.arange(n), torch.arange(n) + n - 1]).double()[:, None]
    labels = (torch.arange(2 * n) >= n).long()
    auc = ops.bootstrap_auc(scores, labels, torch.arange(2 * n), 1).sample.micro.item()
    assert auc == (2 * n * n - 1) / (2 * n * n) < 1


@pytest.mark.parametrize("n", [23_170, 23_171])  # of 4 classes: 92,682^2 / 2 is the first beyond 32 bits
def test_pairs_are_counted_alike_on_both_sides_of_32_bits(n):
    arguments = (*sample(n=n, k=4, levels=1000), 3)
    assert torch.equal(flat(ops.bootstrap_auc(*arguments)), flat(ops.bootstrap_auc_reference(*arguments)))


# --- as a statistic -------------------------------------------------------------------------------


def test_resampled_means_are_near_the_sample():
    scores, labels, patients = sample(12, 200, 4, patients=90)
    result = ops.bootstrap_auc(scores + torch.eye(4)[labels], labels, patients, 2000)
    for once, often in zip(result.sample, result.resampled, strict=True):
        error = often.std(0) / 2000**0.5
        assert ((often.mean(0) - once).abs() < 5 * error + 0.003).all()


def test_percentile_intervals_cover_as_they_say():
    # scores of class 1 are one SD higher: AUC = Phi(1 / sqrt 2); 300 sets of 60 patients a class
    truth, sets = norm.cdf(0.5**0.5), 300
    labels, patients = torch.arange(120) // 60, torch.arange(120)
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for seed in range(sets):
        scores = torch.randn(120, 1, generator=generator) + labels[:, None]
        low, high = ops.bootstrap_auc(scores, labels, patients, 1000, seed).resampled.micro.quantile(
            torch.tensor([0.025, 0.975], dtype=torch.float64)
        )
        covered += bool(low <= truth <= high)
    assert abs(covered / sets - 0.95) < 4 * (0.95 * 0.05 / sets) ** 0.5


def test_whole_patients_make_wider_intervals_than_their_cases():
    # four cases a patient with one score each: nothing but the patient's draw varies
    labels = (torch.arange(40) // 20).repeat_interleave(4)
    scores = torch.randn(40, generator=torch.Generator().manual_seed(1)).repeat_interleave(4) + labels
    of_four = torch.arange(40).repeat_interleave(4)
    clustered, single = (
        ops.bootstrap_auc(scores[:, None], labels, patients).resampled.micro
        for patients in (of_four, torch.arange(160))
    )
    assert clustered.std() / single.std() == pytest.approx(2, rel=0.1)


# --- as an operator -------------------------------------------------------------------------------


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_opcheck(dtype, multi_label):
    arguments = (*sample(dtype=dtype, multi_label=multi_label), 20, 1)  # none of them skipped: NaN != NaN
    torch.library.opcheck(torch.ops.cmrbias.bootstrap_auc.default, arguments)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own
def test_compiles_as_one_graph():
    torch._dynamo.reset()
    arguments = (*sample(), 30, 2)
    result = torch.compile(ops.bootstrap_auc, fullgraph=True)(*arguments)
    assert torch.equal(flat(result), flat(ops.bootstrap_auc(*arguments)))


def test_one_graph_serves_all_sizes_and_seeds():
    torch._dynamo.reset()
    graphs = []
    compiled = torch.compile(
        ops.bootstrap_auc,
        fullgraph=True,
        dynamic=True,
        backend=lambda graph, _: graphs.append(graph) or graph,
    )
    for n, resamples, seed in ((40, 30, 2), (50, 60, 3), (60, 70, 4)):
        arguments = (*sample(n=n), resamples, seed)
        assert torch.equal(flat(compiled(*arguments)), flat(ops.bootstrap_auc(*arguments)))
    assert len(graphs) == 1


def test_compiled_code_still_checks_values():
    torch._dynamo.reset()
    compiled = torch.compile(ops.bootstrap_auc, fullgraph=True, backend="eager")
    scores, labels, patients = sample()
    scores[3, 1] = torch.nan
    with pytest.raises(CmrbiasError, match=r"scores\[3, 1\]: expected a number, got nan"):
        compiled(scores, labels, patients)


def test_scores_that_ask_for_a_gradient_get_none():
    scores, labels, patients = sample()
    assert not ops.bootstrap_auc(scores.requires_grad_(), labels, patients, 5).sample.micro.requires_grad


@pytest.mark.parametrize("n", [60, 15_000, 33_000])  # counted in 16, 32 and 64 bits
def test_same_bits_on_every_instruction_set(n, on_every_instruction_set):
    scores, labels = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3
    results = on_every_instruction_set(lambda: ops.bootstrap_auc(scores, labels, torch.arange(n), 20))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0].resampled, other.resampled, strict=True))


def test_same_bits_for_any_number_of_threads(set_threads):
    arguments = (*sample(n=200, k=4, patients=60, levels=50), 333, 5)
    results = []
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        results.append(flat(ops.bootstrap_auc(*arguments)))
    assert all(torch.equal(result, results[0]) for result in results)


# --- wrong arguments ------------------------------------------------------------------------------

MULTI = torch.tensor([[1, 0, 1], [0, 1, 0]] * 3, dtype=torch.uint8)


@both_ways
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": torch.zeros(6)}, r"scores: expected shape \(N, K\), .*, got \(6,\)"),
        ({"scores": torch.zeros(0, 3)}, r"scores: .* at least one case and one class, got \(0, 3\)"),
        ({"scores": torch.zeros(6, 0)}, r"scores: .* at least one case and one class, got \(6, 0\)"),
        ({"scores": torch.zeros(6, 3).half()}, r"scores: expected float32, float64 or bfloat16, got .*16"),
        ({"scores": torch.zeros(6, 3, device="meta")}, r"scores: expected a tensor on the CPU .*, got meta"),
        ({"scores": torch.full((6, 3), torch.nan)}, r"scores\[0, 0\]: expected a number, got nan"),
        ({"labels": torch.zeros(5).long()}, r"labels: expected shape \(6,\), or \(6, 3\) .*, got \(5,\)"),
        ({"labels": torch.zeros(6, 2).bool()}, r"labels: expected shape \(6,\), or .*, got \(6, 2\)"),
        ({"labels": torch.zeros(6).int()}, r"labels: expected int64, the class .*, got torch.int32"),
        ({"labels": torch.zeros(6, 3).long()}, r"labels: expected bool or uint8, .*, got torch.int64"),
        ({"labels": torch.tensor([0, 1, 2, 3, -1, 0])}, r"labels\[3\]: expected a class, 0 to 2, got 3"),
        ({"labels": torch.tensor([0, 1, 2, 1, -1, 0])}, r"labels\[4\]: expected a class, 0 to 2, got -1"),
        ({"labels": torch.tensor([0, 2, 2, 0, 0, 2])}, r"labels: .* case of each class, got none of class 1"),
        ({"labels": MULTI * 2}, r"labels\[0, 0\]: expected 0 or 1, got 2"),
        ({"labels": MULTI * MULTI.new_tensor([1, 1, 0])}, r"labels: .*, got none with class 2"),
        ({"labels": MULTI | MULTI.new_tensor([0, 1, 0])}, r"labels: .*, got none without class 1"),
        ({"labels": torch.zeros(6, dtype=torch.int64, device="meta")}, r"labels: .* CPU .*, got meta"),
        ({"patients": torch.zeros(5).long()}, r"patients: expected shape \(6,\), got \(5,\)"),
        ({"patients": torch.zeros(6)}, r"patients: expected int64, got torch.float32"),
        ({"patients": torch.zeros(6, dtype=torch.int64, device="meta")}, r"patients: .* CPU .*, got meta"),
        ({"resamples": 0}, r"resamples: expected a whole number, 1 to 2\*\*31 - 1, got 0"),
        ({"resamples": 2**31}, r"resamples: expected .*, got 2147483648"),
        ({"resamples": 2e3}, r"resamples: expected a whole number, .*, got 2000.0"),
        ({"seed": -1}, r"seed: expected a whole number, 0 to 2\*\*63 - 1, got -1"),
        ({"seed": 2**63}, r"seed: expected a whole number, .*, got 9223372036854775808"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(bootstrap, change, message):
    arguments = {"scores": torch.zeros(6, 3), "labels": torch.tensor([0, 1, 2, 0, 1, 2])}
    arguments |= {"patients": torch.arange(6), "resamples": 10, "seed": 0, **change}
    with pytest.raises(CmrbiasError, match=message):
        bootstrap(**arguments)


@both_ways
def test_a_binary_class_without_case_is_named(bootstrap):
    with pytest.raises(CmrbiasError, match="got none of class 0"):
        bootstrap(torch.zeros(3, 1), torch.ones(3).long(), torch.arange(3))


@both_ways
def test_counts_that_could_overflow_are_refused(bootstrap):
    # one patient of 50,000 cases might be drawn 43,000 times
    patients = torch.cat([torch.zeros(50_000), 1 + torch.arange(43_000)]).long()
    with pytest.raises(CmrbiasError, match=r"patients: expected .* below 2\*\*31, got 43001 \* 50000 \* 1"):
        bootstrap(torch.zeros(93_000, 1), torch.arange(93_000) % 2, patients)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@both_ways
def test_a_tensor_on_the_gpu_is_refused(bootstrap):
    with pytest.raises(CmrbiasError, match=r"scores: expected a tensor on the CPU .*, got cuda:0"):
        bootstrap(*(part.cuda() for part in sample()))


# --- where the extension is missing ---------------------------------------------------------------


def test_without_the_extension_numpy_does_the_work_after_one_warning():
    code = """
import sys, warnings
sys.modules["cmrbias._C"] = None  # as if it were not installed
import torch
from cmrbias import ops
arguments = (torch.rand(9, 3), torch.arange(9) % 3, torch.arange(9), 20)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    results = [ops.bootstrap_auc(*arguments) for _ in range(2)]
expected = ops.bootstrap_auc_reference(*arguments)
compiled = torch.compile(ops.bootstrap_auc, fullgraph=True, backend="eager")
for result in (*results, compiled(*arguments)):
    assert torch.equal(result.resampled.per_class, expected.resampled.per_class)
print(ops._C, len(caught), caught[0].category.__name__, caught[0].message)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("None 1 RuntimeWarning the extension cmrbias._C is missing (")
