//! What the system tells of the program's memory.

use std::path::Path;

use crate::files::Disk;

/// Most bytes of memory that the program has had resident so far; `None` where the system does
/// not tell it. The kernel's count is of this program alone, not of the one that started it.
pub fn peak_resident_bytes(disk: &dyn Disk) -> Option<u64> {
    of_status(disk, "VmHWM:")
}

/// Bytes of memory that the program has resident now; `None` where the system does not tell it.
pub fn resident_bytes(disk: &dyn Disk) -> Option<u64> {
    of_status(disk, "VmRSS:")
}

fn of_status(disk: &dyn Disk, name: &str) -> Option<u64> {
    let status = disk.read(Path::new("/proc/self/status")).ok()?;
    amount(std::str::from_utf8(&status).ok()?, name)
}

/// The bytes in a line such as `VmHWM:   1234 kB` of a process's status.
fn amount(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = line.trim().strip_suffix("kB")?.trim_end();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_in_the_line_of_its_name() {
        let status = "Name:\ttenon\nVmPeak:\t  999 kB\nVmHWM:\t    4096 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(amount(status, "VmHWM:"), Some(4096 * 1024));
        assert_eq!(amount(status, "VmRSS:"), Some(12 * 1024));
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
            assert_eq!(amount(lie, "VmHWM:"), None, "{lie:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_program_has_memory() {
        let peak = peak_resident_bytes(&crate::files::RealDisk);
        assert!(peak.is_some_and(|bytes| bytes > 100 << 10), "{peak:?}");
        let now = resident_bytes(&crate::files::RealDisk);
        assert!(now.is_some_and(|bytes| bytes > 100 << 10), "{now:?}");
    }
}
