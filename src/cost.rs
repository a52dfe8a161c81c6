//! Processor time of this process.

use serde::Serialize;

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct CpuTime {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
}

impl CpuTime {
    /// So far, of all threads; zero where `/proc` is not there. The kernel
    /// counts in ticks of 10 ms here.
    pub(crate) fn now() -> Self {
        let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
            return Self::default();
        };
        let per_second = rustix::param::clock_ticks_per_second().max(1) as f64;
        // The name in parentheses may hold spaces; fields are counted after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut ticks = fields
            .split_whitespace()
            .skip(11)
            .map(|field| field.parse::<f64>().unwrap_or(0.0) / per_second);
        Self {
            user_s: ticks.next().unwrap_or(0.0),
            system_s: ticks.next().unwrap_or(0.0),
        }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user_s: self.user_s - earlier.user_s,
            system_s: self.system_s - earlier.system_s,
        }
    }

    pub(crate) fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_processor_time() {
        let before = CpuTime::now();
        let start = std::time::Instant::now();
        let mut sum = 0u64;
        while start.elapsed().as_millis() < 150 {
            sum = std::hint::black_box(sum.wrapping_mul(3).wrapping_add(1));
        }
        let spent = CpuTime::now().since(before);
        assert!(spent.total_s() > 0.02, "{spent:?}");
    }
}
