//! What the controller counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only the controller changes and anybody may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($name:ident: $kind:literal $help:literal,)*) => {
        /// What the controller counts, from its start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Counters {
            /// In the text format of Prometheus.
            pub fn render(&self) -> String {
                let mut text = String::new();
                $(
                    let suffix = if $kind == "counter" { "_total" } else { "" };
                    let name = format!("portcullis_controller_{}{suffix}", stringify!($name));
                    text.push_str(&format!(
                        "# HELP {name} {}\n# TYPE {name} {}\n{name} {}\n",
                        $help, $kind, self.$name.get(),
                    ));
                )*
                text
            }
        }
    };
}

counters! {
    objects: "gauge" "Objects that are known.",
    changes: "counter" "Changes that the API server told.",
    lists: "counter" "Lists that were read from the beginning.",
    watch_errors: "counter" "Watches that failed and began again.",
    translations: "counter" "Translations of the snapshot.",
    translation_microseconds: "counter" "Time that translations took.",
    status_writes: "counter" "Statuses that were written.",
    status_conflicts: "counter" "Statuses that somebody else wrote at the same time.",
    status_errors: "counter" "Statuses that could not be written.",
    events: "counter" "Events that were written.",
    events_dropped: "counter" "Events that were left out, because there were too many.",
    leading: "gauge" "1 when this controller leads.",
}
