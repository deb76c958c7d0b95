// Masks on a map's grid on CUDA, for project_masks and for overlap.
#pragma once

#include "grid.h"

namespace cmrbias::cuda {

// Projects masks onto a grid whose tables are written. `inside` (images, height, width) is given the heart
// pixels of each patch, unless null.
void project(const Projection& projection, const Grid& grid, int* inside, void* stream);

}  // namespace cmrbias::cuda
