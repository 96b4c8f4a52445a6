//! Child processes as tests use them.

use std::{process::Command, time::Duration};
use testkit::process::Process;

#[test]
fn lines_of_both_outputs_are_seen_while_the_process_runs() {
    let script = "echo ready on 80; echo oops >&2; exec sleep 60";
    let mut process = Process::start(Command::new("sh").args(["-c", script]));
    assert_eq!(process.wait_for_line("ready"), "ready on 80");
    assert_eq!(process.wait_for_line("oops"), "oops");
    process.signal("TERM");
    let status = process.wait_exit(Duration::from_secs(20)).expect("an end");
    assert!(!status.success());
}

#[test]
fn a_dropped_process_is_gone() {
    let process = Process::start(Command::new("sleep").arg("60"));
    let pid = process.pid();
    drop(process);
    let alive = Command::new("kill").args(["-0", &pid.to_string()]).output().unwrap();
    assert!(!alive.status.success());
}
