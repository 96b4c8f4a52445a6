//! What the tests of connections have in common.

use std::task::{Context, Waker};

use http2::Config;

/// Bounds as the proxy has them.
pub(crate) const CONFIG: Config = Config {
    streams: 100,
    window: 65_535,
    connection_window: 1 << 20,
    header_list: 32 << 10,
    output: 64 << 10,
    resets: 200,
    control_frames: 1000,
};

/// Somebody who looks again anyway.
pub(crate) fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
