// overlap on CUDA, for overlap and, where one kernel does not do all of it, for gradcam_overlap.
#pragma once

#include "scratch.h"

namespace cmrbias::cuda {

// How an overlap's masks are projected.
inline Projection projection_of(const Overlap& overlap, const OverlapScratch& scratch) {
  return {overlap.images,  overlap.height, overlap.width, overlap.rows,
          overlap.columns, overlap.masks,  scratch.cells, scratch.areas};
}

void overlap(Overlap overlap, const OverlapScratch& scratch, void* stream);

}  // namespace cmrbias::cuda
