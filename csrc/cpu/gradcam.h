// One image's GradCAM map, for gradcam and for the pass that scores it at once.
#pragma once

#include "../kernels.h"
#include "../math.h"

namespace cmrbias::cpu {

// Doubles of scratch memory for an image: weights, the segments' maps and their sum.
inline std::size_t gradcam_scratch(const Gradcam& gradcam) {
  const auto maps = static_cast<std::size_t>(segments_of(gradcam.channels)) + 1;
  return static_cast<std::size_t>(gradcam.channels) + maps * static_cast<std::size_t>(gradcam.cells);
}

// Writes the maps of one image.
void gradcam_image(const Gradcam& gradcam, std::int64_t image, double* scratch);

}  // namespace cmrbias::cpu
