"""The steps of the proofs as data, run by the tests and shown by the docs."""
