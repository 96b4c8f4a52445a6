//! Our own log lines, on standard error, with a level that can be changed at run time.

use anyhow::{Context, Result, bail};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Changes the level of the running process.
#[derive(Clone)]
pub(crate) struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// Sets up logging; at most once for a process.
pub(crate) fn init(format: LogFormat, level: &str) -> Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = match format {
        LogFormat::Json => fmt::layer().json().with_writer(anstream::stderr).boxed(),
        LogFormat::Text => fmt::layer().with_target(false).with_writer(anstream::stderr).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .context("logging is already set up")?;
    Ok(LogLevel { handle })
}

impl LogLevel {
    /// `debug`, or a list such as `info,proxy=trace`.
    pub(crate) fn set(&self, level: &str) -> Result<()> {
        self.handle.reload(filter(level)?).context("the log level cannot be changed any more")
    }

    pub(crate) fn get(&self) -> String {
        self.handle.with_current(ToString::to_string).unwrap_or_default()
    }
}

/// A level, or a list of levels for modules. A bare name would silently mean "all of that module",
/// so a misspelt level is refused.
pub(crate) fn filter(text: &str) -> Result<EnvFilter> {
    const LEVELS: [&str; 6] = ["debug", "error", "info", "off", "trace", "warn"];
    const USE: &str = "use error, warn, info, debug or trace, or a list such as info,proxy=trace";
    let text = text.trim();
    for part in text.split(',').map(str::trim) {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        if !LEVELS.contains(&level) {
            bail!("\"{level}\" is no log level; {USE}");
        }
    }
    EnvFilter::try_new(text).context(USE)
}
