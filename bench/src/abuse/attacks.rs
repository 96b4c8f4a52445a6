//! The attacks, in the order of the lines of our acceptance list that they answer, and what we want to reach.

use crate::attack::Kind;

pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) connections: u32,
    /// How long it lasts; a flood's can be set.
    pub(super) seconds: u32,
    pub(super) plan: Plan,
}

/// What is looked at besides the victim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plan {
    /// Frames at the attacker's speed.
    Flood,
    /// Memory, and whether it is given back.
    Bomb,
    /// Connections that are to be closed this many seconds after they were opened.
    Slow { deadline: f64 },
    /// More connections than the proxy takes.
    Crowd,
    /// So many open files, under load.
    Files { most: u32 },
    /// So many bytes of memory, under more load than they carry.
    Memory { most: u64 },
}

impl Plan {
    /// Whether peers are attacked as well: where they need no settings of their own for it.
    pub(super) fn with_peers(self) -> bool {
        matches!(self, Self::Flood | Self::Bomb)
    }
}

/// Requests a second of the victim, and its connections.
pub(super) const VICTIM_RATE: u32 = 200;
pub(super) const VICTIM_CONNECTIONS: u32 = 8;

/// p99 of the victim over its p99 without an attack.
pub(super) const P99_RATIO: f64 = 3.0;
/// Requests that reach the backend for each connection of a flood.
pub(super) const UPSTREAM_PER_CONNECTION: f64 = 200.0;
/// MiB that a flood may add.
pub(super) const FLOOD_MIB: f64 = 16.0;
/// MiB with 200 bombs, and how soon they are given back.
pub(super) const BOMB_MIB: f64 = 512.0;
pub(super) const FREED_SECONDS: f64 = 60.0;
/// MiB above the start that count as given back.
pub(super) const FREED_MIB: f64 = 16.0;
/// Seconds around a deadline.
pub(super) const AROUND: f64 = 1.0;
pub(super) const RECOVER_SECONDS: f64 = 1.0;
/// Share of a core while nothing but the victim's requests can be served.
pub(super) const BLOCKED_CPU: f64 = 0.2;
/// Memory over the bytes that the attacker sent, and for each of its connections.
pub(super) const AMPLIFICATION: f64 = 100.0;
pub(super) const MIB_PER_CONNECTION: f64 = 4.0;

const FLOOD: Attack = Attack {
    name: "",
    title: "",
    kind: Kind::RapidReset,
    connections: 16,
    seconds: 4,
    plan: Plan::Flood,
};

pub(super) const ATTACKS: &[Attack] = &[
    Attack { name: "rapid-reset", title: "requests cancelled at once", ..FLOOD },
    Attack {
        name: "window-zero",
        title: "resets provoked: WINDOW_UPDATE of 0",
        kind: Kind::WindowZero,
        ..FLOOD
    },
    Attack {
        name: "window-overflow",
        title: "resets provoked: WINDOW_UPDATE beyond the limit",
        kind: Kind::WindowOverflow,
        ..FLOOD
    },
    Attack {
        name: "priority-length",
        title: "resets provoked: PRIORITY of a wrong size",
        kind: Kind::PriorityLength,
        ..FLOOD
    },
    Attack {
        name: "priority-self",
        title: "resets provoked: PRIORITY on itself",
        kind: Kind::PrioritySelf,
        ..FLOOD
    },
    Attack {
        name: "headers-after-end",
        title: "resets provoked: HEADERS behind the end",
        kind: Kind::HeadersAfterEnd,
        ..FLOOD
    },
    Attack {
        name: "data-after-end",
        title: "resets provoked: DATA behind the end",
        kind: Kind::DataAfterEnd,
        ..FLOOD
    },
    Attack {
        name: "continuation",
        title: "header blocks without end",
        kind: Kind::Continuation,
        ..FLOOD
    },
    Attack { name: "settings", title: "SETTINGS", kind: Kind::Settings, ..FLOOD },
    Attack { name: "ping", title: "PING", kind: Kind::Ping, ..FLOOD },
    Attack { name: "empty-data", title: "empty DATA", kind: Kind::EmptyData, ..FLOOD },
    Attack {
        name: "bomb",
        title: "HTTP/2 bomb: fields that grow when decoded, answers taken byte by byte",
        kind: Kind::Bomb,
        connections: 200,
        seconds: 12,
        plan: Plan::Bomb,
    },
    Attack {
        name: "slow-head",
        title: "a request head that never ends",
        kind: Kind::SlowHead,
        connections: 5000,
        seconds: 13,
        plan: Plan::Slow { deadline: 10.0 },
    },
    Attack {
        name: "slow-body",
        title: "a request body that stops",
        kind: Kind::SlowBody,
        connections: 5000,
        seconds: 33,
        plan: Plan::Slow { deadline: 30.0 },
    },
    Attack {
        name: "slow-read",
        title: "a response of 1 MiB that is not read",
        kind: Kind::SlowRead,
        connections: 5000,
        seconds: 42,
        plan: Plan::Slow { deadline: 30.0 },
    },
    Attack {
        name: "crowd",
        title: "15,000 connections where about 10,000 are allowed",
        kind: Kind::Crowd,
        connections: 15_000,
        seconds: 12,
        plan: Plan::Crowd,
    },
    Attack {
        name: "files",
        title: "256 open files, 400 clients that come and go",
        kind: Kind::Churn,
        connections: 400,
        seconds: 15,
        plan: Plan::Files { most: 256 },
    },
    Attack {
        name: "memory",
        title: "96 MiB of memory (control group), 40,000 answers of 100 KiB that are not taken",
        kind: Kind::Stall,
        connections: 400,
        seconds: 12,
        plan: Plan::Memory { most: 96 << 20 },
    },
];
