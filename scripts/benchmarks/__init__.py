"""What scripts/bench-programs measures with fio, and what scripts/bench-report makes of it."""
