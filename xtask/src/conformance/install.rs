//! Brings Portcullis into the cluster, and waits until the GatewayClass is accepted.

use super::{
    Args,
    target::{Place, Target},
};
use crate::step;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Addresses of the test cluster (`test/cluster/common.sh`): a process can bind these.
const LOCAL_RANGE: &str = "10.255.3.0/24";
/// Inside that range, and so late in it that nobody else gets it.
const LOCAL_USABLE: &str = "10.255.3.200";
/// The same for Services of type LoadBalancer.
const BALANCER_USABLE: &str = "10.255.2.200";

/// How long the GatewayClass may take to be accepted. It takes about a second; an image may have to start.
const ACCEPT: Duration = Duration::from_secs(90);

/// The address that the suite asks for in `spec.addresses` and must get.
pub(super) fn usable_address(args: &Args) -> String {
    let default = if args.inline { LOCAL_USABLE } else { BALANCER_USABLE };
    args.usable_address.clone().unwrap_or_else(|| default.to_owned())
}

/// A controller that runs as a process of ours and ends with this value.
pub(super) struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(super) fn install(
    root: &Path,
    args: &Args,
    target: &Target,
) -> anyhow::Result<Option<Controller>> {
    let binary = binary(root, args)?;
    let mut controller = None;
    remove_installed(args, target)?;
    if args.inline {
        apply(target, &class(&args.class))?;
        controller = Some(start_inline(root, args, &binary, target)?);
    } else {
        let mut command = Command::new(&binary);
        command.args(["install", "--print"]);
        apply(target, &step::output_of(command, "portcullis install --print")?)?;
        apply(target, &small_class(&args.class))?;
    }
    wait_for_class(args, target, controller.as_mut())?;
    Ok(controller)
}

/// A controller of an earlier run would look after the same Gateways, also one in pods whose image has
/// been replaced under its name. What it claimed is in the status of the class, which the suite believes.
fn remove_installed(args: &Args, target: &Target) -> anyhow::Result<()> {
    for (kind, name) in [("namespace", "portcullis-system"), ("gatewayclass", args.class.as_str())]
    {
        let delete = ["delete", kind, name, "--ignore-not-found", "--timeout=180s"];
        step::run_shown(target.kubectl(&delete), &format!("kubectl {}", delete.join(" ")))?;
    }
    Ok(())
}

fn binary(root: &Path, args: &Args) -> anyhow::Result<PathBuf> {
    if let Some(binary) = &args.binary {
        return binary.canonicalize().with_context(|| format!("{} is missing", binary.display()));
    }
    let mut build = vec!["build", "--package", "portcullis", "--features", "full"];
    if args.release {
        build.push("--release");
    }
    step::cargo(root, &build)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let profile = if args.release { "release" } else { "debug" };
    Ok(target.join(profile).join("portcullis"))
}

fn class(name: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\n\
         kind: GatewayClass\n\
         metadata: {{name: {name}}}\n\
         spec: {{controllerName: portcullis.dev/gateway-controller}}\n"
    )
}

/// The class with pods that ask for little: the suite holds up to forty Gateways at once, more than
/// a node of two cores has room for by default.
fn small_class(name: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1\n\
         kind: GatewayParameters\n\
         metadata: {{name: small, namespace: portcullis-system}}\n\
         spec: {{resources: {{requests: {{cpu: 5m, memory: 16Mi}}}}}}\n\
         ---\n\
         apiVersion: gateway.networking.k8s.io/v1\n\
         kind: GatewayClass\n\
         metadata: {{name: {name}}}\n\
         spec:\n  \
           controllerName: portcullis.dev/gateway-controller\n  \
           parametersRef: {{group: portcullis.dev, kind: GatewayParameters, name: small, namespace: portcullis-system}}\n"
    )
}

fn apply(target: &Target, manifests: &str) -> anyhow::Result<()> {
    let line = "kubectl apply --server-side -f -";
    println!("    $ {line}");
    let mut child = target
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let mut input = child.stdin.take().context("kubectl has no standard input")?;
    input.write_all(manifests.as_bytes())?;
    drop(input);
    let status = child.wait()?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

fn start_inline(
    root: &Path,
    args: &Args,
    binary: &Path,
    target: &Target,
) -> anyhow::Result<Controller> {
    let Place::Test(cluster) = &target.place else {
        bail!("--inline needs the test cluster");
    };
    let log_path = log_path(args);
    let log = File::create(root.join(&log_path))?;
    let mut command = cluster.on_network();
    // If we are killed, the kernel ends it.
    command.args(["setpriv", "--pdeathsig", "KILL"]).arg(binary);
    command.args(["controller", "--inline", "--address", LOCAL_RANGE]);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    println!(
        "    $ portcullis controller --inline --address {LOCAL_RANGE} (log: {})",
        log_path.display()
    );
    Ok(Controller(command.spawn().context("cannot start the controller")?))
}

fn log_path(args: &Args) -> PathBuf {
    args.output().join("controller.log")
}

fn wait_for_class(
    args: &Args,
    target: &Target,
    mut controller: Option<&mut Controller>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let get = ["get", "gatewayclass", args.class.as_str(), "-o", "json"];
        let class = step::output_of(target.kubectl(&get), "kubectl get gatewayclass")
            .ok()
            .and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if let Some(features) = class.as_ref().and_then(accepted) {
            println!(
                "    GatewayClass {} is accepted after {:.1} s and claims {features} features",
                args.class,
                started.elapsed().as_secs_f64()
            );
            return Ok(());
        }
        if let Some(controller) = controller.as_mut()
            && let Some(status) = controller.0.try_wait()?
        {
            bail!("the controller ended with {status}; see {}", log_path(args).display());
        }
        let status = class.and_then(|class| class.get("status").cloned()).unwrap_or_default();
        ensure!(
            started.elapsed() < ACCEPT,
            "GatewayClass {} is not accepted after {} s; its status: {status}",
            args.class,
            ACCEPT.as_secs()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How many features an accepted class claims.
fn accepted(class: &Value) -> Option<usize> {
    let conditions = class.pointer("/status/conditions")?.as_array()?;
    let is_true = conditions.iter().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Accepted")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    });
    let features = class.pointer("/status/supportedFeatures").and_then(Value::as_array);
    is_true.then(|| features.map_or(0, Vec::len))
}
