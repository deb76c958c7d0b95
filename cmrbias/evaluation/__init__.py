"""Evaluation of a trained classifier: predictions of a cohort's cases, and what they are worth."""
