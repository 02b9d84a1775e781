"""Recipe that downloads, extracts and cleans the benchmark corpora."""
