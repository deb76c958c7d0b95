// What the kernels offer to bindings.cpp: raw pointers, sizes, and a stream on CUDA.
//
// A new operator adds one launcher a device here, cpu/<op>.cpp, cuda/<op>.cu, one binding, and one
// file in cmrbias/ops/, which checks shapes, types and devices before it launches.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cmrbias {

enum class Type { float32, float64, bfloat16 };

// What takes the place of the donor's heart (see background_swap.h).
enum class Fill { donor, mean, inpaint };

// The heart masks of a batch, and who gives a background to whom. All arrays are contiguous, row-major.
struct Hearts {
  std::int64_t cases;
  std::int64_t mask_frames;
  int height, width;           // height * width < 2^30
  const std::uint8_t* masks;   // (cases, mask_frames, height, width), non-zero = heart
  const std::int64_t* donors;  // (cases), each in [0, cases)
  const std::int64_t* shifts;  // (cases, mask_frames, 2): pixels down and to the right by which a recipient's
                               // donor is moved, within +-height and +-width; null: it stays
};

// A background swap or its gradient. mask_frames is `frames`, or 1: one mask for all frames of a case.
struct Swap : Hearts {
  Type type;
  Fill fill;
  std::int64_t frames;
  const void* input;           // (cases, frames, height, width): images, or gradients of the output
  const std::int64_t* order;   // (cases): recipients sorted by donor, stably; on CUDA, a swap by Fill::donor
                               // needs neither this nor the next
  const std::int64_t* starts;  // (cases + 1): donor d gives to order[starts[d]] ... order[starts[d + 1] - 1]
  void* output;                // as input: swapped images, or gradients of the images
};

// Bytes that one plane (a frame of a case) needs while its background is made, a multiple of 16.
std::size_t background_swap_scratch(const Swap& swap);

namespace cpu {
void background_swap(const Swap& swap);
void background_swap_backward(const Swap& swap);
// Writes Swap::order and, behind it, Swap::starts.
void group_by_donor(const std::int64_t* donors, std::int64_t cases, std::int64_t* order);
// Writes (cases, mask_frames, 3): a heart's pixels, the sum of their rows and that of their columns.
// Reads no donors and no shifts.
void heart_sums(const Hearts& hearts, std::int64_t* sums);
// Writes (cases, mask_frames): pixels of the moved donor's heart that lie outside the recipient's.
void heart_residual(const Hearts& hearts, std::int64_t* pixels);
// Copies with streaming stores, to measure the memory's bandwidth.
void stream_copy(void* to, const void* from, std::size_t bytes);
}  // namespace cpu

// `scratch` holds background_swap_scratch() bytes for each of cases * frames planes, on the device.
// Throws std::runtime_error if the launch fails. `stream` is a cudaStream_t.
namespace cuda {
void background_swap(const Swap& swap, void* scratch, void* stream);
void background_swap_backward(const Swap& swap, void* scratch, void* stream);
void heart_sums(const Hearts& hearts, std::int64_t* sums, void* stream);
void heart_residual(const Hearts& hearts, std::int64_t* pixels, void* stream);
}  // namespace cuda

// GradCAM: maps from activations and gradients.
struct Gradcam {
  Type type;  // of activations and gradients; the maps are double for float64, else float
  std::int64_t images;
  int targets;              // gradients, and so maps, an image
  int channels, cells;      // cells = h * w
  const void* activations;  // (images, channels, cells)
  const void* gradients;    // (images, targets, channels, cells)
  void* maps;               // (images, targets, cells)
};

// Masks summed onto a map's grid by the adjoint of the upsampling.
struct Projection {
  std::int64_t images;
  int height, width;          // of the grid
  int rows, columns;          // of the masks
  const std::uint8_t* masks;  // (images, rows, columns), non-zero = heart
  double* cells;              // (images, height, width), in units of 1 / (divisor * divisor), see math.h
  std::int64_t* areas;        // (images)
};

// Columns of what an overlap writes.
enum Sums { SALIENCY, INSIDE, MINIMUM, MAXIMUM, SUMS };
enum Counts { HOT_AREA, HOT_INSIDE, PEAK_INSIDE, COUNTS };
enum OfMask { AREA, CEILING, OF_MASK };

// Overlap of upsampled maps with masks.
struct Overlap {
  Type type;  // of the maps
  std::int64_t images;
  int targets;                // maps an image
  int height, width;          // of a map
  int rows, columns;          // of a mask, < 2^30 pixels
  double threshold;           // of the counts
  const void* maps;           // (images, targets, height, width)
  const std::uint8_t* masks;  // (images, rows, columns), or null: then the two below are given
  const double* cells;        // (images, height, width), of a Projection
  const std::int64_t* areas;  // (images)
  double* sums;               // (images, targets, SUMS)
  std::int64_t* counts;       // (images, targets, COUNTS), or null: always without masks
  double* of_mask;            // (images, OF_MASK)
};

// The first pixel, in row-major order, where each upsampled map is least, and where it is greatest.
struct Extremes {
  Type type;
  std::int64_t images;
  int height, width, rows, columns;
  const void* maps;      // (images, height, width)
  std::int64_t* pixels;  // (images, 2); -1 where a map is negative or not finite
};

namespace cpu {
void gradcam(const Gradcam& gradcam);
void project_masks(const Projection& projection);
void overlap(const Overlap& overlap);
void gradcam_overlap(const Gradcam& gradcam, const Overlap& overlap);  // overlap.maps = gradcam.maps
void extreme_pixels(const Extremes& extremes);
}  // namespace cpu

// As above; `scratch` holds the arguments' scratch_bytes, see cuda/scratch.h.
namespace cuda {
void gradcam(const Gradcam& gradcam, void* scratch, void* stream);
void project_masks(const Projection& projection, void* scratch, void* stream);
void overlap(const Overlap& overlap, void* scratch, void* stream);
void gradcam_overlap(const Gradcam& gradcam, const Overlap& overlap, void* scratch, void* stream);
void extreme_pixels(const Extremes& extremes, void* scratch, void* stream);
}  // namespace cuda

// AUCs of a sample and of its bootstrap resamples, drawn or given; on the processor only.
struct BootstrapAuc {
  std::int64_t resamples;  // < 2^31
  std::uint64_t seed;
  std::int64_t cases, classes;
  std::int64_t patients;         // a resample's patients * most cases of one * classes < 2^31, so that all counts fit
  std::int64_t strata;
  const std::int64_t* sizes;     // (strata): patients of each; they are numbered stratum by stratum
  const std::int64_t* weights;   // (resamples, patients): how often each holds a patient; null: they are drawn
  const std::int64_t* patient;   // (cases), each in [0, patients)
  const double* scores;          // (cases, classes), without NaN
  const std::uint8_t* positive;  // (cases, classes): has the case the class?
  const std::int64_t* order;     // (cases * classes): positions of the scores, ascending
  double* aucs;                  // (classes + 2, columns): each class, micro, macro

  // One a resample; where they are drawn, the sample is the first of them.
  std::int64_t columns() const { return weights ? resamples : resamples + 1; }
};

namespace cpu {
void bootstrap_auc(const BootstrapAuc& auc);
}  // namespace cpu

}  // namespace cmrbias
