"""What the speed benchmarks share: the work, the peers and their runners, the ceiling, and the tables."""
