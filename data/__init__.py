"""Codebook, corpus, reading and checking of labelled data."""
