//! Synthetic desktop workload with ground truth damage.
