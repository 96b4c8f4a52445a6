//! The settings of a controller.

use clap::Args;

/// The cluster that a controller looks after, and how it does that.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ClusterFlags {
    /// Carry the traffic of all Gateways in this process, on the addresses of --address
    #[arg(long, env = "PORTCULLIS_INLINE", hide_env_values = true)]
    pub(crate) inline: bool,

    /// The API server and who we are to it; default that of KUBECONFIG, of the home directory, or
    /// of the pod
    #[arg(long, env = "PORTCULLIS_KUBECONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<String>,

    /// The context of the kubeconfig; default the current one
    #[arg(long, env = "PORTCULLIS_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The namespace of the lease by which one of several controllers leads; default that of the
    /// pod, or of the context
    #[arg(
        long,
        env = "PORTCULLIS_LEASE_NAMESPACE",
        hide_env_values = true,
        value_name = "NAMESPACE"
    )]
    pub(crate) lease_namespace: Option<String>,

    /// The name of that lease; default portcullis-controller
    #[arg(long, env = "PORTCULLIS_LEASE_NAME", hide_env_values = true, value_name = "NAME")]
    pub(crate) lease_name: Option<String>,

    /// Tells this controller from the others; default the Pod's name in POD_NAME, else host name
    /// and process
    #[arg(long, env = "PORTCULLIS_LEASE_IDENTITY", hide_env_values = true, value_name = "NAME")]
    pub(crate) lease_identity: Option<String>,

    /// Where proxies are listened to; default 0.0.0.0:9443
    #[arg(long, env = "PORTCULLIS_LINK_ADDRESS", hide_env_values = true, value_name = "HOST:PORT")]
    pub(crate) link_address: Option<String>,

    /// Where proxies find the controllers: a Service in front of all of them; default
    /// portcullis-controller.portcullis-system.svc:9443
    #[arg(long, env = "PORTCULLIS_LINK_SERVICE", hide_env_values = true, value_name = "HOST:PORT")]
    pub(crate) link_service: Option<String>,

    /// Where proxies find this very controller while it leads; default the Pod's address in
    /// POD_IP, else link-service
    #[arg(long, env = "PORTCULLIS_OWN_ADDRESS", hide_env_values = true, value_name = "IP")]
    pub(crate) own_address: Option<String>,

    /// The image of proxies; default localhost/portcullis and this version
    #[arg(long, env = "PORTCULLIS_PROXY_IMAGE", hide_env_values = true, value_name = "REFERENCE")]
    pub(crate) proxy_image: Option<String>,
}

/// Host name and process: a container that is started anew in its pod keeps both.
pub(super) fn default_lease_identity() -> String {
    let process = || {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}_{}", host.trim(), std::process::id())
    };
    std::env::var("POD_NAME").unwrap_or_else(|_| process())
}

/// The address of the Pod, where there is one.
pub(super) fn default_own_address() -> String {
    std::env::var("POD_IP").unwrap_or_default()
}
