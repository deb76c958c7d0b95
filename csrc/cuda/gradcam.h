// GradCAM on CUDA, for gradcam and for the pass that scores its maps at once.
#pragma once

#include "scratch.h"

namespace cmrbias::cuda {

void gradcam(const Gradcam& gradcam, const GradcamScratch& scratch, void* stream);

}  // namespace cmrbias::cuda
