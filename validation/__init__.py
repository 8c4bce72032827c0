"""The experiments of the three papers, re-run beside the bounds."""
