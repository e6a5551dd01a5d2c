//! What the process has used, as the kernel accounts for it.

/// Processor time and memory of the process so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time, all threads.
    pub cpu_seconds: f64,
    /// The most memory held at any time.
    pub peak_rss_bytes: u64,
}

/// Reads it. Numbers that the system does not give are 0.
pub fn usage() -> Usage {
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces; the numbers begin after its closing parenthesis with field 3.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak_kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    Usage { cpu_seconds: (ticks(14) + ticks(15)) / ticks_per_second, peak_rss_bytes: peak_kib.unwrap_or(0) * 1024 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_gives_both_numbers() {
        let usage = super::usage();
        assert!(usage.peak_rss_bytes > 100_000, "{usage:?}");
        assert!(usage.cpu_seconds >= 0.0);
    }
}
