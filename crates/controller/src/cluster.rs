//! The way to the API server.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use thiserror::Error;

/// Why there is no way to the API server.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("{path}: {source}")]
    Kubeconfig { path: PathBuf, source: kube::config::KubeconfigError },
    #[error("no kubeconfig and no service account was found: {0}; give --kubeconfig")]
    Nowhere(#[from] kube::config::InferConfigError),
    #[error("the kubeconfig cannot be used: {0}")]
    Unusable(#[from] kube::config::KubeconfigError),
    #[error("\"{0}\" is not a URL")]
    Url(String),
    #[error("the API server cannot be used: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// A cluster, by its API server. Cloning is cheap.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: Client,
    /// Of this machine, on the way to the API server.
    own_address: Option<IpAddr>,
}

impl Cluster {
    /// Finds the API server: the kubeconfig that is given, else `KUBECONFIG` or the one in the
    /// home directory, else the service account of the pod. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When no configuration is found, or it cannot be used.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
        let config = match kubeconfig {
            Some(path) => {
                let wrap = |source| ConnectError::Kubeconfig { path: path.to_owned(), source };
                let file = Kubeconfig::read_from(path).map_err(wrap)?;
                Config::from_custom_kubeconfig(file, &options).await.map_err(wrap)?
            }
            None if context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer().await?,
        };
        let own_address = own_address(&config);
        let client =
            Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))?;
        Ok(Self { client, own_address })
    }

    /// A cluster whose API server needs no proof of who we are, such as one of a test.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn at(url: &str) -> Result<Self, ConnectError> {
        let url = url.parse().map_err(|_| ConnectError::Url(url.to_owned()))?;
        let config = Config::new(url);
        let client =
            Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))?;
        Ok(Self { client, own_address: None })
    }

    /// The namespace of the pod, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// The address of this machine that the API server sees, when it is not loopback.
    pub fn own_address(&self) -> Option<IpAddr> {
        self.own_address
    }

    /// What provisioning needs.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// The source address for the way to the API server; a socket that is only connected, so that
/// nothing is sent.
fn own_address(config: &Config) -> Option<IpAddr> {
    let host = config.cluster_url.host()?.trim_start_matches('[').trim_end_matches(']');
    let server: IpAddr = host.parse().ok()?;
    let any: SocketAddr = match server {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(SocketAddr::new(server, 443)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}
