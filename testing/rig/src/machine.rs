//! What this machine has.

use std::path::{Path, PathBuf};

use scanout_core::buffer::alloc::Provider;

use crate::sw_sync::Timeline;
use crate::udmabuf::Udmabuf;

/// Set by the rig's init, and by nothing else.
const RIG: &str = "SCANOUT_RIG";

/// True inside the rig, where every device is there and no test may skip.
pub fn in_rig() -> bool {
    std::env::var_os(RIG).is_some()
}

/// `found`, or else a line `skip: no WHAT here`.
///
/// # Panics
///
/// In the rig, which has everything that a test asks for.
pub fn or_skip<T>(what: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        assert!(!in_rig(), "the rig has no {what}");
        println!("skip: no {what} here");
    }
    found
}

/// A DRM node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `/dev/dri/cardN` or `/dev/dri/renderDN`.
    pub path: PathBuf,
    /// Name of the kernel driver: `vgem`, `vkms`, `i915`, ...; empty where sysfs
    /// does not say.
    pub driver: String,
}

/// All DRM nodes whose name begins with `prefix` (`card` or `renderD`), in order.
pub fn nodes(prefix: &str) -> Vec<Node> {
    let Ok(entries) = std::fs::read_dir("/dev/dri") else {
        return Vec::new();
    };
    let mut nodes: Vec<Node> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .map(|name| Node {
            driver: driver(&name),
            path: Path::new("/dev/dri").join(name),
        })
        .collect();
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    nodes
}

fn driver(name: &str) -> String {
    let device = Path::new("/sys/class/drm").join(name).join("device");
    // vgem and vkms have a platform or faux device, whose driver link may be
    // missing: its own name is the driver's then.
    let link = std::fs::read_link(device.join("driver")).or_else(|_| std::fs::canonicalize(device));
    link.ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .unwrap_or_default()
}

/// Every provider of real dma-bufs that gives one now: udmabuf, the system heap,
/// and the dumb buffers of each primary DRM node.
pub fn dma_buf_providers() -> Vec<Provider> {
    let heap = Provider::DmaHeap("system".to_owned());
    let dumb = nodes("card")
        .into_iter()
        .map(|node| Provider::Dumb(node.path));
    [Provider::Udmabuf, heap]
        .into_iter()
        .chain(dumb)
        .filter(|provider| provider.allocate(4096).is_ok())
        .collect()
}

/// As [`dma_buf_providers`]; of the four kinds that the rig has, those that are
/// missing are said to be skipped.
///
/// # Panics
///
/// In the rig, when one is missing.
pub fn providers() -> Vec<Provider> {
    let found = dma_buf_providers();
    let has = |provider: &Provider| found.contains(provider).then_some(());
    let dumb = |driver: &str| {
        let all = nodes("card");
        let mut of_driver = all.iter().filter(|node| node.driver == driver);
        of_driver.find_map(|node| has(&Provider::Dumb(node.path.clone())))
    };
    or_skip("udmabuf", has(&Provider::Udmabuf));
    or_skip("system heap", has(&Provider::DmaHeap("system".to_owned())));
    or_skip("dumb buffer of vgem", dumb("vgem"));
    or_skip("dumb buffer of vkms", dumb("vkms"));
    found
}

/// Some provider that gives dma-bufs, else a line that says so.
///
/// # Panics
///
/// In the rig, when there is none.
pub fn any_provider() -> Option<Provider> {
    or_skip("dma-buf provider", dma_buf_providers().into_iter().next())
}

/// A timeline for fences, else a line that says so. Needs root and a kernel with
/// `SW_SYNC`.
///
/// # Panics
///
/// In the rig, when there is none.
pub fn timeline() -> Option<Timeline> {
    or_skip("sw_sync", Timeline::new().ok())
}

/// A udmabuf of that size, else a line that says so.
///
/// # Panics
///
/// In the rig, when there is none.
pub fn udmabuf(bytes: u64) -> Option<Udmabuf> {
    or_skip("udmabuf", Udmabuf::new(bytes).ok())
}
