//! What the system tells of the program's memory.

use std::path::Path;

use crate::files::Disk;

/// Most bytes of memory that the program has had resident so far; `None` where the system does
/// not tell it. The kernel's count is of this program alone, not of the one that started it.
pub fn peak_resident_bytes(disk: &dyn Disk) -> Option<u64> {
    let status = disk.read(Path::new("/proc/self/status")).ok()?;
    peak_of(std::str::from_utf8(&status).ok()?)
}

/// The line `VmHWM:   1234 kB` of a process's status.
fn peak_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim_end();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_line_of_that_name() {
        let status = "Name:\ttenon\nVmPeak:\t  999 kB\nVmHWM:\t    4096 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(peak_of(status), Some(4096 * 1024));
    }

    #[test]
    fn other_texts_tell_nothing() {
        for lie in [
            "",
            "VmHWM:",
            "VmHWM: kB",
            "VmHWM: 12",
            "VmHWM: -1 kB",
            "VmHWM: 18446744073709551615 kB",
            "xVmHWM: 1 kB",
        ] {
            assert_eq!(peak_of(lie), None, "{lie:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_program_has_memory() {
        let peak = peak_resident_bytes(&crate::files::RealDisk);
        assert!(peak.is_some_and(|bytes| bytes > 100 << 10), "{peak:?}");
    }
}
