"""Cohorts: the format on disk, splits, preparation, readers and the phantom."""
