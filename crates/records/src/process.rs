//! Which program writes a run, so that a run whose program is gone can be told from a live one.

use std::fs;

/// A program on a machine: host name, boot of that host, process number and its start. A number
/// alone would not do, since numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    host: String,
    boot: String,
    pid: u32,
    start_ticks: u64,
}

/// What is known of a program's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs on this host.
    Alive,
    /// It has ended, or its host, which is this one, was started again.
    Gone,
    /// It belongs to another host, or this system does not tell.
    Unknown,
}

impl Process {
    /// The running program. Parts that the system does not tell are empty or zero.
    pub fn current() -> Process {
        let pid = std::process::id();
        Process {
            host: kernel_text("hostname"),
            boot: kernel_text("random/boot_id"),
            pid,
            start_ticks: start_ticks(pid).unwrap_or(0),
        }
    }

    /// Whether the program still runs, as far as can be told from here.
    pub fn life(&self) -> Life {
        let here = Process::current();
        let known = here.start_ticks > 0 && !here.host.is_empty() && self.start_ticks > 0;
        if !known || self.host != here.host {
            Life::Unknown
        } else if self.boot != here.boot || start_ticks(self.pid) != Some(self.start_ticks) {
            Life::Gone
        } else {
            Life::Alive
        }
    }

    /// One line, read back by [`Process::parse`].
    pub(crate) fn to_text(&self) -> String {
        let Process {
            host,
            boot,
            pid,
            start_ticks,
        } = self;
        format!("{host} {boot} {pid} {start_ticks}")
    }

    pub(crate) fn parse(text: &str) -> Option<Process> {
        let [host, boot, pid, start_ticks] =
            <[&str; 4]>::try_from(text.split(' ').collect::<Vec<_>>()).ok()?;
        Some(Process {
            host: host.to_string(),
            boot: boot.to_string(),
            pid: pid.parse().ok()?,
            start_ticks: start_ticks.parse().ok()?,
        })
    }
}

fn kernel_text(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.split_whitespace().collect()
}

/// Clock ticks from boot to the start of a process: field 22 of its `stat` line, counted after the
/// program's name, which stands in parentheses and may itself hold spaces and parentheses.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_is_not_gone() {
        assert_ne!(Process::current().life(), Life::Gone);
        #[cfg(target_os = "linux")]
        assert_eq!(Process::current().life(), Life::Alive);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_number_used_again_is_another_program() {
        let mut before = Process::current();
        before.start_ticks += 1;
        assert_eq!(before.life(), Life::Gone);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_of_an_earlier_boot_is_gone_and_one_of_another_host_is_unknown() {
        let here = Process::current();
        let rebooted = Process {
            boot: "an earlier boot".into(),
            ..here.clone()
        };
        let elsewhere = Process {
            host: "another-host".into(),
            ..rebooted.clone()
        };
        assert_eq!(rebooted.life(), Life::Gone);
        assert_eq!(elsewhere.life(), Life::Unknown);
    }

    #[test]
    fn text_round_trip_and_lies() {
        let here = Process::current();
        assert_eq!(Process::parse(&here.to_text()), Some(here));
        for lie in ["", "a b 1", "a b 1 2 3", "a b -1 2", "a b 1 x"] {
            assert_eq!(Process::parse(lie), None, "{lie:?}");
        }
    }
}
