"""Synthetic short-axis cine with known anatomy and known bias."""
