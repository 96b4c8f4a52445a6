//! Hash indexes over hostnames and paths.

#[derive(Debug, Default)]
pub(crate) struct HostIndex {
    any: Option<u32>,
}

impl HostIndex {
    pub(crate) fn best(&self, _host: &str) -> Option<u32> {
        self.any
    }
}

#[derive(Debug, Default)]
pub(crate) struct RouteIndex {}
