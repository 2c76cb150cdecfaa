"""The stages of a request's life, in the order of `pipeline.py`; no stage imports another."""
