"""Where a classifier looks: saliency methods, one a file, and what a cohort's maps score."""
