//! Buffers of GBM: what a GPU's own driver allocates, tiled or linear, exported
//! as dma-bufs and drawn through the driver's linear view of them.
//!
//! Never run on a GPU: the tests drive it with a library of their own, and Mesa's
//! on nodes without a GPU (vgem, vkms).

mod sys;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;
use scanout_core::buffer::{DmaBuf, ImportError, ImportPolicy, Layout, MAX_PLANES, Plane};
use scanout_core::format::{FormatInfo, Fourcc, Modifier, PlaneInfo};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_trace::source::SourceFrame;

use crate::failure;
use sys::{Bo, CallError, Device, Gbm, LoadError};

/// The library's name of its only stable interface.
const LIBRARY: &str = "libgbm.so.1";

/// Major number of the kernel's DRM devices.
const DRM_MAJOR: u32 = 226;

/// Why there is no buffer, or why it cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(super) enum GbmError {
    #[error("{LIBRARY} cannot be used: {0}")]
    Library(#[from] LoadError),
    #[error("{}: {}", .node.display(), failure::reason(.cause))]
    Node { node: PathBuf, cause: io::Error },
    #[error("{} is no DRM device but {found} ({LIBRARY}: {cause})", .node.display())]
    NoDrmDevice {
        node: PathBuf,
        found: String,
        cause: CallError,
    },
    #[error("{LIBRARY} on {}: {cause}", .node.display())]
    Call { node: PathBuf, cause: CallError },
    #[error(
        "a buffer of {fourcc} has {planes} planes, and {LIBRARY} lets the CPU draw into buffers of 1"
    )]
    Planar { fourcc: Fourcc, planes: usize },
    #[error("{modifier} was asked for, and {LIBRARY} made a buffer that is {granted:?}")]
    Granted {
        modifier: Modifier,
        granted: Modifier,
    },
    #[error("{LIBRARY} does not tell how the buffer that it made is tiled (modifier INVALID)")]
    Untold,
    #[error("the dma-buf of {LIBRARY}: {0}")]
    Import(#[from] ImportError),
    #[error("examining a dma-buf of {LIBRARY}: {0}")]
    Examine(Errno),
}

impl GbmError {
    /// What the user can do about it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Library(LoadError::Open(_)) => {
                "install libgbm1 (Debian, Ubuntu) or mesa-libgbm (Fedora)"
            }
            Self::Node { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "the group render or video may open it: see `ls -l /dev/dri`"
            }
            Self::Node { .. } | Self::NoDrmDevice { .. } => {
                "`ls /dev/dri` shows the nodes, for example /dev/dri/renderD128"
            }
            Self::Call {
                cause: CallError::Lacks(_),
                ..
            } => "a newer libgbm has it; LINEAR needs no modifiers",
            // Mesa's drivers without a GPU make dumb buffers, for which the kernel
            // wants a primary node.
            Self::Call {
                cause:
                    CallError::Failed {
                        errno: Some(Errno::ACCESS),
                        ..
                    },
                ..
            } => {
                "a driver without a GPU makes buffers on a primary node only: try gbm:/dev/dri/card0:LINEAR"
            }
            Self::Planar { .. } => {
                "GBM takes sources of one plane, such as desktop, PNG or raw XR24"
            }
            Self::Untold => "name a modifier: gbm:NODE:LINEAR, or one that the driver has",
            Self::Call { .. } | Self::Granted { .. } => {
                "the driver may not have this modifier for this format and size: try gbm:NODE:LINEAR"
            }
            _ => return None,
        })
    }

    /// True where the request itself cannot be met, whatever the machine.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Planar { .. })
    }
}

/// Makes buffers of one device.
#[derive(Debug)]
pub(super) struct Allocator {
    node: PathBuf,
    device: Rc<Device>,
}

impl Allocator {
    /// Opens the library, then the node.
    pub(super) fn open(node: &Path) -> Result<Self, GbmError> {
        let gbm = Gbm::load(LIBRARY)?;
        let lacks = gbm.lacks();
        if !lacks.is_empty() {
            tracing::info!(library = LIBRARY, ?lacks, "an old libgbm");
        }
        let opened = OpenOptions::new().read(true).write(true).open(node);
        let file = opened.map_err(|cause| GbmError::Node {
            node: node.to_owned(),
            cause,
        })?;
        let found = not_drm(&file);
        let device = Device::create(gbm, file.into())
            .map_err(|cause| judge(node, found.as_deref(), cause))?;
        tracing::info!(node = %node.display(), backend = device.backend(), "GBM device");
        Ok(Self {
            node: node.to_owned(),
            device,
        })
    }

    fn failed(&self, cause: CallError) -> GbmError {
        let file = File::open(&self.node);
        judge(
            &self.node,
            file.ok().and_then(|f| not_drm(&f)).as_deref(),
            cause,
        )
    }

    /// A buffer with `modifier`, or in the layout that the driver likes best.
    pub(super) fn allocate(
        &self,
        format: &'static FormatInfo,
        size: Size,
        modifier: Option<Modifier>,
        policy: &ImportPolicy,
    ) -> Result<Buffer, GbmError> {
        let [plane] = format.planes else {
            return Err(GbmError::Planar {
                fourcc: format.fourcc,
                planes: format.planes.len(),
            });
        };
        let (bo, granted) = self
            .create(format.fourcc, plane, size, modifier)
            .map_err(|cause| self.failed(cause))?;
        if let Some(modifier) = modifier.filter(|modifier| *modifier != granted) {
            return Err(GbmError::Granted { modifier, granted });
        }
        // Whoever exports it, its driver chose the layout and may have tiled it.
        if granted == Modifier::INVALID {
            return Err(GbmError::Untold);
        }
        let (layout, objects) = self.describe(&bo, format.fourcc, size, granted)?;
        let fds: Vec<_> = objects.iter().map(AsFd::as_fd).collect();
        let source = DmaBuf::import(&fds, &layout, policy)?;
        Ok(Buffer {
            node: self.node.clone(),
            plane,
            bo,
            source,
        })
    }

    fn create(
        &self,
        fourcc: Fourcc,
        plane: &'static PlaneInfo,
        size: Size,
        modifier: Option<Modifier>,
    ) -> Result<(Bo, Modifier), CallError> {
        let device = &self.device;
        let told = |bo: Bo, unsaid: Modifier| {
            // INVALID is what the library says of layouts without a modifier.
            let modifier = bo
                .modifier()
                .map(Modifier)
                .filter(|m| *m != Modifier::INVALID);
            (bo, modifier.unwrap_or(unsaid))
        };
        let Some(modifier) = modifier else {
            let bo = device.buffer(fourcc, plane, size, sys::USE_RENDERING)?;
            return Ok(told(bo, Modifier::INVALID));
        };
        match device.buffer_with(fourcc, plane, size, modifier.0, sys::USE_RENDERING) {
            // Only what was listed may be granted.
            Ok(bo) => Ok(told(bo, modifier)),
            // Drivers without modifiers still know the flag for linear.
            Err(error) if modifier.is_linear() => {
                tracing::info!(%error, "LINEAR by its use flag");
                let flags = sys::USE_RENDERING | sys::USE_LINEAR;
                let bo = device.buffer(fourcc, plane, size, flags)?;
                Ok(told(bo, Modifier::LINEAR))
            }
            Err(error) => Err(error),
        }
    }

    /// Where the planes lie. Several may share an object: each is listed once.
    fn describe(
        &self,
        bo: &Bo,
        fourcc: Fourcc,
        size: Size,
        modifier: Modifier,
    ) -> Result<(Layout, Vec<OwnedFd>), GbmError> {
        let failed = |cause| self.failed(cause);
        let mut layout = Layout {
            fourcc,
            modifier,
            size,
            planes: Default::default(),
        };
        let mut objects: Vec<((u64, u64), OwnedFd)> = Vec::new();
        for index in 0..bo.plane_count().map_err(failed)? {
            let fd = bo.descriptor(index).map_err(failed)?;
            let stat = rustix::fs::fstat(&fd).map_err(GbmError::Examine)?;
            let id = (stat.st_dev, stat.st_ino);
            let object = match objects.iter().position(|(known, _)| *known == id) {
                Some(object) => object,
                None => {
                    objects.push((id, fd));
                    objects.len() - 1
                }
            };
            let plane = Plane {
                object: object as u8,
                offset: bo.offset(index).map_err(failed)?,
                stride: bo.stride(index).map_err(failed)?,
            };
            layout.planes.try_push(plane).map_err(|_| {
                GbmError::Import(ImportError::ObjectCount {
                    objects: index.into(),
                    max: MAX_PLANES,
                })
            })?;
        }
        Ok((layout, objects.into_iter().map(|(_, fd)| fd).collect()))
    }
}

/// What the failure comes from. The library judges first: some take devices
/// that are none of DRM's.
fn judge(node: &Path, not_drm: Option<&str>, cause: CallError) -> GbmError {
    let node = node.to_owned();
    match not_drm {
        Some(found) => GbmError::NoDrmDevice {
            node,
            found: found.to_owned(),
            cause,
        },
        None => GbmError::Call { node, cause },
    }
}

/// What `file` is where it is no DRM device.
fn not_drm(file: &File) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let kind = metadata.file_type();
    if !kind.is_char_device() {
        return Some(
            if kind.is_dir() {
                "a directory"
            } else {
                "a file"
            }
            .to_owned(),
        );
    }
    let (major, minor) = (
        rustix::fs::major(metadata.rdev()),
        rustix::fs::minor(metadata.rdev()),
    );
    (major != DRM_MAJOR).then(|| format!("character device {major}:{minor}"))
}

/// A buffer that its driver made.
#[derive(Debug)]
pub(super) struct Buffer {
    node: PathBuf,
    plane: &'static PlaneInfo,
    bo: Bo,
    source: DmaBuf,
}

impl Buffer {
    /// The buffer as what a reader gets.
    pub(super) fn source(&self) -> &DmaBuf {
        &self.source
    }

    /// Draws what `damage` names of `frame`. `None` where the frame is too short.
    pub(super) fn draw(
        &mut self,
        frame: &SourceFrame<'_>,
        damage: &Damage,
    ) -> Result<Option<()>, GbmError> {
        let Some(from) = frame.planes.first() else {
            return Ok(None);
        };
        let size = self.source.layout().size;
        let plane = self.plane;
        let node = &self.node;
        let block = usize::from(plane.block_bytes);
        for rect in damage.rects() {
            let rect = blocks(rect.clip(size), plane, size);
            if rect.is_empty() {
                continue;
            }
            let mut mapping = self.bo.map(rect).map_err(|cause| GbmError::Call {
                node: node.clone(),
                cause,
            })?;
            let left = (rect.x / u32::from(plane.h_sub)) as usize * block;
            for y in 0..rect.height as usize {
                let start = from.offset + (rect.y as usize + y) * from.stride + left;
                let Some(to) = mapping.row(y) else {
                    return Ok(None);
                };
                let Some(pixels) = frame.data.get(start..start + to.len()) else {
                    return Ok(None);
                };
                to.copy_from_slice(pixels);
            }
        }
        Ok(Some(()))
    }
}

/// `rect` with whole blocks of `plane` at both ends, as far as there are pixels.
fn blocks(rect: Rect, plane: &PlaneInfo, size: Size) -> Rect {
    let step = u32::from(plane.h_sub);
    let left = rect.x / step * step;
    let right = rect.right().div_ceil(step).saturating_mul(step);
    Rect::new(
        left,
        rect.y,
        right.min(size.width).saturating_sub(left),
        rect.height,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No library is no failure of the test: it is what is told that counts.
    fn refused(node: &str) -> Option<GbmError> {
        match Allocator::open(Path::new(node)) {
            Err(GbmError::Library(error)) => {
                let required = std::env::var("SCANOUT_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
                assert!(!required, "{error}, and SCANOUT_REQUIRE_TOOLS is set");
                println!("skip: {error}");
                None
            }
            Err(error) => Some(error),
            Ok(allocator) => {
                // Mesa may make a device of anything; then the buffer must fail.
                let format = scanout_core::format::info(Fourcc::XRGB8888).unwrap();
                let policy = ImportPolicy::default();
                Some(
                    allocator
                        .allocate(format, Size::new(64, 64), None, &policy)
                        .unwrap_err(),
                )
            }
        }
    }

    #[test]
    fn nodes_that_are_none_are_told_apart() {
        if let Some(error) = refused("/dev/dri/not-there") {
            assert!(matches!(&error, GbmError::Node { .. }), "{error}");
            assert!(error.to_string().contains("/dev/dri/not-there"), "{error}");
        }
        if let Some(error) = refused("/dev/null") {
            let text = error.to_string();
            assert!(text.contains("character device 1:3"), "{text}");
            assert!(text.contains("gbm_"), "{text}");
        }
    }

    #[test]
    fn rectangles_grow_to_whole_blocks() {
        let yuyv = scanout_core::format::info(Fourcc::YUYV).unwrap().planes;
        let size = Size::new(7, 4);
        assert_eq!(
            blocks(Rect::new(3, 1, 2, 2), &yuyv[0], size),
            Rect::new(2, 1, 4, 2)
        );
        assert_eq!(
            blocks(Rect::new(6, 0, 1, 1), &yuyv[0], size),
            Rect::new(6, 0, 1, 1)
        );
    }
}
