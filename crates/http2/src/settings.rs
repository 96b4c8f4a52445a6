//! What the two sides tell each other about themselves (RFC 9113 6.5).

use crate::{
    code::{ErrorCode, Fault},
    frame::{self, MOST_31_BITS, PAYLOAD_MOST},
};

/// Names of settings.
mod name {
    pub(super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(super) const ENABLE_PUSH: u16 = 2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(super) const MAX_FRAME_SIZE: u16 = 5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;
    /// RFC 8441.
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The window of a stream, and of a connection, before anybody says another.
pub(crate) const FIRST_WINDOW: u32 = 65_535;

/// Which side of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer opens streams.
    Server,
    /// We do.
    Client,
}

/// Bounds of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Streams in progress that a client may have, or that we have to a server that says nothing.
    pub streams: u32,
    /// Bytes that the peer may send of one body before they are read.
    pub window: u32,
    /// The same for all bodies of the connection.
    pub connection_window: u32,
    /// Size of a decoded field section, as RFC 9113 6.5.2 counts it.
    pub header_list: usize,
    /// Bytes that wait for the transport, from which on bodies wait.
    pub output: usize,
    /// Streams that the peer may reset, or make us reset, in ten seconds.
    pub resets: u32,
    /// Frames without content in ten seconds, beyond those that traffic excuses.
    pub control_frames: u32,
}

impl Config {
    /// Says our settings.
    pub(crate) fn write(&self, role: Role, out: &mut Vec<u8>) {
        let header_list = u32::try_from(self.header_list).unwrap_or(u32::MAX);
        let window = self.window.min(MOST_31_BITS);
        let common =
            [(name::INITIAL_WINDOW_SIZE, window), (name::MAX_HEADER_LIST_SIZE, header_list)];
        match role {
            Role::Server => {
                let own = [(name::MAX_CONCURRENT_STREAMS, self.streams)];
                let connect = [(name::ENABLE_CONNECT_PROTOCOL, 1)];
                frame::write_settings(out, &[&own[..], &common, &connect].concat());
            }
            Role::Client => {
                frame::write_settings(out, &[&[(name::ENABLE_PUSH, 0)][..], &common].concat());
            }
        }
    }
}

/// What the peer said of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSettings {
    /// What a stream that begins may be sent.
    pub(crate) window: u32,
    /// Largest payload that we send; at most [`PAYLOAD_MOST`], so that streams take turns.
    pub(crate) payload: usize,
    /// Streams that we may have in progress.
    pub(crate) streams: u32,
    pub(crate) extended_connect: bool,
    /// New sizes of the peer's HPACK table that our encoder has not heard of: the smallest, which
    /// it has to follow as well (RFC 7541 4.2), and the last.
    pub(crate) table_size: Option<(u32, u32)>,
}

impl PeerSettings {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            window: FIRST_WINDOW,
            payload: PAYLOAD_MOST,
            streams: config.streams,
            extended_connect: false,
            table_size: None,
        }
    }

    /// Reads a SETTINGS payload from the peer of `role`.
    pub(crate) fn read(&mut self, role: Role, payload: &[u8]) -> Result<(), Fault> {
        let (settings, []) = payload.as_chunks::<6>() else { return Err(Fault::SIZE) };
        for [high, low, value @ ..] in settings {
            self.set(role, u16::from_be_bytes([*high, *low]), u32::from_be_bytes(*value))?;
        }
        Ok(())
    }

    fn set(&mut self, role: Role, name: u16, value: u32) -> Result<(), Fault> {
        match name {
            name::HEADER_TABLE_SIZE => {
                let least = self.table_size.map_or(value, |(least, _)| least.min(value));
                self.table_size = Some((least, value));
            }
            // A server has nothing to say about it but 0 (RFC 9113 6.5.2).
            name::ENABLE_PUSH if value > u32::from(role == Role::Server) => {
                return Err(Fault::PROTOCOL);
            }
            name::MAX_CONCURRENT_STREAMS => self.streams = value,
            name::INITIAL_WINDOW_SIZE if value > MOST_31_BITS => {
                return Err(Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR));
            }
            name::INITIAL_WINDOW_SIZE => self.window = value,
            name::MAX_FRAME_SIZE => {
                let value = usize::try_from(value).unwrap_or(usize::MAX);
                if !(PAYLOAD_MOST..1 << 24).contains(&value) {
                    return Err(Fault::PROTOCOL);
                }
            }
            name::ENABLE_CONNECT_PROTOCOL => {
                // Once said, it stays (RFC 8441 section 3).
                if value > 1 || (self.extended_connect && value == 0) {
                    return Err(Fault::PROTOCOL);
                }
                self.extended_connect = value == 1;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const CONFIG: Config = Config {
        streams: 100,
        window: 65_535,
        connection_window: 1 << 20,
        header_list: 32 << 10,
        output: 64 << 10,
        resets: 200,
        control_frames: 1000,
    };

    fn read(role: Role, values: &[(u16, u32)]) -> Result<PeerSettings, Fault> {
        let mut bytes = Vec::new();
        frame::write_settings(&mut bytes, values);
        let mut settings = PeerSettings::new(&CONFIG);
        settings.read(role, &bytes[frame::HEADER..]).map(|()| settings)
    }

    #[test]
    fn values_out_of_range_are_refused() {
        const FLOW: Fault = Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR);
        let cases = [
            (Role::Server, 2, 2, Fault::PROTOCOL),
            (Role::Client, 2, 1, Fault::PROTOCOL),
            (Role::Server, 4, 1 << 31, FLOW),
            (Role::Server, 5, 16_383, Fault::PROTOCOL),
            (Role::Server, 5, 1 << 24, Fault::PROTOCOL),
            (Role::Client, 8, 2, Fault::PROTOCOL),
        ];
        for (role, name, value, fault) in cases {
            assert_eq!(read(role, &[(name, value)]).err(), Some(fault), "{name}={value}");
        }
        assert_eq!(read(Role::Client, &[(8, 1), (8, 0)]).err(), Some(Fault::PROTOCOL));
    }

    #[test]
    fn each_side_reads_what_the_other_says() {
        for role in [Role::Server, Role::Client] {
            let mut bytes = Vec::new();
            CONFIG.write(role, &mut bytes);
            let other = if role == Role::Server { Role::Client } else { Role::Server };
            let mut settings = PeerSettings::new(&Config { streams: 7, ..CONFIG });
            settings.read(other, &bytes[frame::HEADER..]).unwrap();
            assert_eq!(settings.window, CONFIG.window);
            assert_eq!(settings.extended_connect, role == Role::Server);
            assert_eq!(settings.streams, if role == Role::Server { 100 } else { 7 });
        }
    }
}
